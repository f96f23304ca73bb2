use std::net::Ipv4Addr;

use cairn_platform::ManualClock;

use super::*;

const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

fn head(bytes: usize) -> Parts {
    let value = "v".repeat(bytes - HEADER_OVERHEAD - 2);
    let request = http::Request::builder().uri("/").header("a", value);
    request.body(()).expect("a request").into_parts().0
}

fn budget(total: usize) -> (BodyBudget, ManualClock) {
    let clock = ManualClock::at(0);
    (BodyBudget::new(total, 0, Arc::new(clock.clone())), clock)
}

fn peer(last: u8) -> IpAddr {
    IpAddr::from([198, 51, 100, last])
}

// Proves: R18, L2
#[test]
fn heads_take_room_and_no_peer_takes_more_than_its_share() {
    let (budget, _) = budget(1000);
    budget.believe(A);
    budget.believe(B);
    let first = budget.take_head(A, &head(400)).expect("there is room");
    assert_eq!(budget.held_bytes(), 400);
    let over_share = budget.take_head(A, &head(200));
    assert_eq!(over_share.map(drop), Err(BodyError::NoRoom));
    let other = budget.take_head(B, &head(400)).expect("others have theirs");
    let over_all = budget.take(300);
    assert_eq!(over_all.map(drop), Err(BodyError::NoRoom));
    drop(first);
    assert!(budget.take_head(A, &head(500)).is_ok());
    drop(other);
    assert_eq!(budget.held_bytes(), 0);
    assert!(budget.lock().by_peer.is_empty(), "nobody is remembered");
}

// Proves: R18, L2
#[test]
fn strangers_leave_half_of_the_room_to_whoever_was_believed_lately() {
    let (budget, clock) = budget(8000);
    budget.believe(A);
    let held: Vec<_> = (0..9)
        .map(|last| budget.take_head(peer(last), &head(1000)))
        .collect();
    let let_in = held.iter().filter(|room| room.is_ok()).count();
    assert_eq!(let_in, 4, "strangers have half of it together");
    let known = budget.take_head(A, &head(4000));
    assert!(known.is_ok(), "the rest is for those who are known");
    drop((held, known));
    let most = budget.take_head(peer(1), &head(1000)).expect("an eighth");
    assert!(budget.take_head(peer(1), &head(100)).is_err());
    drop(most);
    clock.advance(KNOWN_FOR);
    let forgotten = budget.take_head(A, &head(1001));
    assert_eq!(forgotten.map(drop), Err(BodyError::NoRoom));
    assert_eq!(budget.held_bytes(), 0);
    assert_eq!(budget.lock().by_strangers, 0);
}

#[test]
fn only_so_many_peers_are_known() {
    let (budget, clock) = budget(8000);
    budget.believe(A);
    for number in 0..KNOWN_PEERS_MAX {
        clock.advance(Duration::from_millis(1));
        let number = u32::try_from(number).expect("a small number");
        budget.believe(Ipv4Addr::from_bits(number).into());
    }
    assert_eq!(budget.lock().known.len(), KNOWN_PEERS_MAX);
    assert!(!budget.is_known(A), "it was quiet longest");
}

#[test]
fn the_addresses_of_one_network_share() {
    let address = |text: &str| peer_network(text.parse().expect("an address"));
    assert_eq!(address("2001:db8::1"), address("2001:db8::ffff:0:0:9"));
    assert_ne!(address("2001:db8::1"), address("2001:db8:0:1::1"));
    assert_eq!(address("::ffff:192.0.2.1"), A);
    assert_ne!(address("192.0.2.1"), address("192.0.2.2"));
}
