use super::*;
use decube_engine::SystemClock;

struct Unheard;

/// A peer that was told of when the epoch began.
fn last_heard_of_long_ago(peers: &Peers, address: &str) {
    peers.inner.lock().dialed.get_mut(address).unwrap().last_heartbeat_s = 1;
}

impl Notify for Unheard {
    fn notify(&self) {}
}

fn peers(configured: &[&str]) -> Peers {
    let addresses: Vec<_> = configured.iter().map(|address| (*address).to_owned()).collect();
    Peers::of(&addresses, Arc::new(SystemClock::new()), Arc::new(Unheard))
}

fn member(member_id: u64, address: &str) -> Member {
    Member { member_id, replication_address: address.to_owned(), ..Member::default() }
}

#[test]
fn the_end_of_an_old_session_says_nothing_about_the_new_one() {
    let peers = peers(&[]);
    let connected = |peers: &Peers| peers.all(0, None).1.iter().any(|peer| peer.connected);
    let old = peers.dialed_by(&member(7, "b:2380"), Feed::None);
    let new = peers.dialed_by(&member(7, "b:2380"), Feed::None);
    peers.dialer_left(old);
    assert!(connected(&peers));
    peers.dialer_left(new);
    assert!(!connected(&peers));
}

#[test]
fn a_member_that_dials_before_it_was_reached_is_listed_once() {
    let peers = peers(&["b:2380"]);
    peers.lost("b:2380", "connection refused");
    peers.dialed_by(&member(7, "b:2380"), Feed::None);
    let (_, all) = peers.all(0, None);
    assert_eq!(all.len(), 1, "{all:?}");
    assert!(all[0].connected && all[0].member_id == 7 && !all[0].error.is_empty(), "{all:?}");
    peers.reached("b:2380", &member(7, "b:2380"));
    assert_eq!(peers.all(0, None).1.len(), 1);
}

#[test]
fn a_member_that_was_replaced_where_it_was_is_not_listed_any_more() {
    let peers = peers(&[]);
    let old = peers.dialed_by(&member(7, "b:2380"), Feed::None);
    peers.dialed_by(&member(9, "c:2380"), Feed::None);
    peers.dialer_left(old);
    peers.dialed_by(&member(8, "b:2380"), Feed::None);
    let ids: Vec<_> = peers.all(0, None).1.iter().map(|peer| peer.member_id).collect();
    assert_eq!(ids, [8, 9]);
}

#[test]
fn only_a_member_that_is_sent_frames_has_what_was_written() {
    let peers = peers(&[]);
    let far_ahead = Member { last_sequence: 1_000, ..member(7, "b:2380") };
    peers.dialed_by(&far_ahead, Feed::None);
    assert!(!peers.a_standby_has(10), "it counts frames of another log");
    let copies = peers.dialed_by(&Member { last_sequence: 9, ..far_ahead }, Feed::Frames);
    assert!(!peers.a_standby_has(10));
    peers.heard_from_dialer(copies, Progress { sequence: 10, revision: 11 }, None);
    assert!(peers.a_standby_has(10));
    peers.dialer_left(copies);
    assert!(!peers.a_standby_has(10));
}

#[test]
fn a_standby_that_never_caught_up_is_behind_since_it_began() {
    let (began, hour) = (Instant::now(), Duration::from_secs(3_600));
    let peers = peers(&["a:2380"]);
    peers.reached("a:2380", &Member { last_sequence: 10, ..member(1, "a:2380") });
    peers.set_source(Some("a:2380"));
    let now = Instant::now();
    assert!(peers.lag_at(9, began + hour) <= hour && peers.lag_at(9, now + hour) >= hour);
    assert_eq!(peers.lag_at(10, now + hour), Duration::ZERO);
    peers.set_source(None);
    peers.inner.lock().caught_up_at = began;
    peers.stepped_down();
    assert!(peers.lag_at(10, now + hour) <= hour, "it was the primary for a while");
}

#[test]
fn a_standby_that_says_nothing_any_more_is_further_behind_from_moment_to_moment() {
    let peers = peers(&[]);
    let copies = peers.dialed_by(&Member { last_sequence: 9, ..member(7, "b:2380") }, Feed::Frames);
    let lag = Some(Duration::from_millis(20));
    peers.heard_from_dialer(copies, Progress { sequence: 10, revision: 11 }, lag);
    let lag_in = |seconds, own| {
        let in_time = Instant::now() + Duration::from_secs(seconds);
        peers.all_at(own, in_time).1[0].lag_seconds
    };
    assert!(lag_in(1, 11) < 0.1, "between two heartbeats it is as old as it told");
    assert!(lag_in(60, 10) < 0.1, "it lacks nothing");
    assert!((60.0..61.0).contains(&lag_in(60, 11)));
    peers.dialer_left(copies);
    assert!((60.0..61.0).contains(&lag_in(60, 11)));
}

#[test]
fn a_standby_that_left_while_it_was_seeded_is_further_and_further_behind() {
    let peers = peers(&[]);
    let seeded = peers.dialed_by(&member(7, "b:2380"), Feed::Image);
    let lag_in = |seconds| {
        let in_time = Instant::now() + Duration::from_secs(seconds);
        peers.all_at(0, in_time).1[0].lag_seconds
    };
    assert!(lag_in(1) < 0.1, "nobody knows, while an image is on its way");
    peers.dialer_left(seeded);
    assert!((60.0..61.0).contains(&lag_in(60)));
}

#[test]
fn a_primary_that_was_replaced_and_is_gone_is_behind_since_it_was_heard_of() {
    let peers = peers(&["a:2380", "c:2380"]);
    let lag = |leads| peers.all(10, leads).1[0].lag_seconds;
    peers.reached("a:2380", &Member { last_sequence: 10, ..member(7, "a:2380") });
    last_heard_of_long_ago(&peers, "a:2380");
    assert!(lag(Some(2)) < 0.1, "it is there");
    peers.lost("a:2380", "connection refused");
    assert!(lag(None) < 0.1, "a standby does not know what it lacks");
    assert!(lag(Some(0)) < 0.1, "it lacks nothing");
    assert!(lag(Some(2)) > 1e6, "what it has is of the term before");
    assert!(peers.all(10, Some(2)).1[1].lag_seconds < 0.1, "nobody ever heard of that one");
}
