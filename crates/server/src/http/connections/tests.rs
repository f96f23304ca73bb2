use cairn_platform::ManualClock;
use futures::FutureExt;

use super::*;

fn clock() -> Arc<dyn Clock> {
    Arc::new(ManualClock::at(0))
}

// Proves: R18, L2
#[tokio::test]
async fn a_connection_that_becomes_idle_while_someone_waits_makes_room() {
    let clock = clock();
    let connections = Arc::new(Connections::default());
    let place = connections.admit(1, &clock).await;
    let request = place.begin_request();
    let mut waiting = Box::pin(connections.admit(1, &clock));
    assert!(waiting.as_mut().now_or_never().is_none(), "it is busy");
    drop(request);
    assert!(waiting.as_mut().now_or_never().is_none(), "it is there yet");
    let evicted = place.evicted().now_or_never();
    assert!(evicted.is_some(), "it must leave now that it is idle");
    drop(place);
    assert!(waiting.now_or_never().is_some());
}

// Proves: R18, L2
#[tokio::test]
async fn a_request_that_deserves_no_place_does_not_hold_one() {
    let clock = clock();
    let connections = Arc::new(Connections::default());
    let place = connections.admit(1, &clock).await;
    let request = Arc::new(place.begin_request());
    let mut waiting = Box::pin(connections.admit(1, &clock));
    assert!(waiting.as_mut().now_or_never().is_none(), "it is busy");
    Activity::of(&request).over();
    assert!(waiting.as_mut().now_or_never().is_none(), "it is there yet");
    assert!(place.evicted().now_or_never().is_some());
    drop((request, place));
    assert!(waiting.now_or_never().is_some());
    let places = connections.places.load(Ordering::Relaxed);
    assert_eq!(places, 0, "nothing was counted twice");
}

#[tokio::test]
async fn one_that_has_begun_a_request_since_it_was_chosen_stays() {
    let clock = clock();
    let connections = Arc::new(Connections::default());
    let chosen = connections.admit(2, &clock).await;
    let other = connections.admit(2, &clock).await;
    let mut waiting = Box::pin(connections.admit(2, &clock));
    assert!(waiting.as_mut().now_or_never().is_none());
    let request = chosen.begin_request();
    assert!(chosen.evicted().now_or_never().is_none(), "it has work");
    assert!(waiting.as_mut().now_or_never().is_none());
    assert!(other.evicted().now_or_never().is_some(), "the next in turn");
    assert!(chosen.evicted().now_or_never().is_none(), "one is enough");
    drop(other);
    assert!(waiting.now_or_never().is_some());
    drop(request);
}

// Proves: R18
#[tokio::test]
async fn an_answer_on_its_way_keeps_its_place_until_it_is_in_the_socket() {
    let clock = clock();
    let connections = Arc::new(Connections::default());
    let place = connections.admit(1, &clock).await;
    let request = place.begin_request();
    let answer = place.begin_answer();
    drop(request);
    let mut waiting = Box::pin(connections.admit(1, &clock));
    assert!(waiting.as_mut().now_or_never().is_none(), "an answer goes");
    assert!(place.evicted().now_or_never().is_none());
    place.flushed();
    drop(answer);
    assert!(waiting.as_mut().now_or_never().is_none(), "its end is left");
    assert!(place.evicted().now_or_never().is_none());
    place.flushed();
    assert!(waiting.as_mut().now_or_never().is_none());
    assert!(place.evicted().now_or_never().is_some(), "now it is idle");
    drop(place);
    assert!(waiting.now_or_never().is_some());
}

// Proves: R18, L2
#[tokio::test]
async fn an_answer_that_does_not_move_is_idle() {
    let clock = Arc::new(ManualClock::at(0));
    let shared: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
    let connections = Arc::new(Connections::default());
    let place = connections.admit(1, &shared).await;
    let request = place.begin_request();
    let answer = place.begin_answer();
    let second = Duration::from_secs(1);
    clock.advance(second);
    assert_eq!(place.idle_for(), Duration::ZERO, "it is worked on");
    drop(request);
    clock.advance(second);
    assert_eq!(place.idle_for(), second);
    answer.progressed();
    assert_eq!(place.idle_for(), Duration::ZERO);
    clock.advance(second);
    place.wrote();
    assert_eq!(place.idle_for(), second, "bytes of others are no progress");
    drop(answer);
    clock.advance(second);
    assert_eq!(place.idle_for(), second);
    place.wrote();
    assert_eq!(place.idle_for(), Duration::ZERO, "its end goes out");
}
