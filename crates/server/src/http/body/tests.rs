use super::*;

const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

fn head(bytes: usize) -> Parts {
    let value = "v".repeat(bytes - HEADER_OVERHEAD - 2);
    let request = http::Request::builder().uri("/").header("a", value);
    request.body(()).expect("a request").into_parts().0
}

// Proves: R18, L2
#[test]
fn heads_take_room_and_no_peer_takes_more_than_its_share() {
    let budget = BodyBudget::new(1000, 0);
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

#[test]
fn the_addresses_of_one_network_share() {
    let address = |text: &str| peer_network(text.parse().expect("an address"));
    assert_eq!(address("2001:db8::1"), address("2001:db8::ffff:0:0:9"));
    assert_ne!(address("2001:db8::1"), address("2001:db8:0:1::1"));
    assert_eq!(address("::ffff:192.0.2.1"), A);
    assert_ne!(address("192.0.2.1"), address("192.0.2.2"));
}
