//! A standby takes over, and the one before it comes back.

use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use decube_engine::log::FrameReader;
use decube_engine::vfs::{Crash, Fault, Vfs as _};
use decube_engine::{Command, Error, InstallMode, LeaseId, Role};

use crate::held::Held;
use crate::link::Link;
use crate::member::{Member, pair, running_pair, wait_until, wait_until_equal};

/// The keys in the side files of a member, in order.
fn tail_of(member: &Member) -> Vec<u64> {
    let mut sequences = Vec::new();
    for path in member.engine().side_files().expect("it can be read") {
        let file = member.disk.open(&path).expect("it can be read");
        let mut bytes =
            vec![0; usize::try_from(file.len().expect("it can be read")).expect("it can be read")];
        assert_eq!(file.read_at(0, &mut bytes).expect("it can be read"), bytes.len());
        let frames = FrameReader::default()
            .push(bytes.get(64..).expect("a header"))
            .expect("it can be read");
        sequences.extend(frames.iter().map(|frame| frame.stamp().sequence));
    }
    sequences
}

#[test]
fn the_standby_takes_over_and_the_old_primary_returns_with_its_tail_kept() {
    let (mut old, new) = running_pair(40);
    old.engine().execute(Command::LeaseGrant { id: LeaseId(5), ttl_s: 60 }).unwrap();
    wait_until_equal(&old, &new);
    new.link.leads_to(None);
    old.link.leads_to(None);
    let replicated = old.sequence();
    old.put_many("lost", 25);
    let last = old.sequence();
    old.kill();

    let before = new.engine().revision();
    new.replication().promote().unwrap();
    assert!(new.engine().revision().0 > before.0 + 900_000_000);
    assert_eq!((new.status().role, new.status().term), (Role::Primary, 2));
    new.put_many("new", 30);

    new.link.leads_to(Some(new.replication().local_address()));
    old.start(Role::Primary);
    wait_until_equal(&new, &old);
    let state = old.status();
    assert_eq!(
        (state.role, state.term, state.raised_by),
        (Role::Standby, 2, new.status().raised_by)
    );
    assert_eq!(tail_of(&old), (replicated + 1..=last).collect::<Vec<_>>());
    assert_eq!(old.replication().tails().len(), 1);
    assert!(matches!(old.put("x", "y"), Err(Error::NotPrimary)));
}

#[test]
fn an_old_primary_asks_its_peers_before_anybody_can_write_to_it() {
    let (mut old, new) = running_pair(59);
    old.kill();
    new.replication().promote().unwrap();
    old.open(Role::Primary);
    old.replication().ask_peers();
    assert_eq!((old.status().role, old.status().term), (Role::Standby, 2));
    assert!(matches!(old.put("x", "y"), Err(Error::NotPrimary)));
    old.replication().join();
    wait_until_equal(&new, &old);
}

#[test]
fn two_that_start_at_once_answer_while_they_ask() {
    let (mut old, mut new) = running_pair(60);
    old.kill();
    new.replication().promote().unwrap();
    new.stop();
    new.open(Role::Standby);
    old.open(Role::Primary);
    thread::scope(|scope| {
        scope.spawn(|| new.replication().ask_peers());
        old.replication().ask_peers();
    });
    assert_eq!((old.status().role, new.status().role), (Role::Standby, Role::Primary));
}

#[test]
fn an_old_primary_waits_for_peers_that_are_starting_too() {
    let (mut old, mut new) = running_pair(62);
    old.kill();
    new.replication().promote().unwrap();
    new.stop();
    old.open(Role::Primary);
    thread::scope(|scope| {
        scope.spawn(|| old.replication().ask_peers());
        new.start(Role::Standby);
    });
    assert_eq!((old.status().role, new.status().role), (Role::Standby, Role::Primary));
}

#[test]
fn a_primary_does_not_wait_for_peers_that_do_not_answer() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let (link, absent) = (Link::new(), Link::new());
    let mut primary = Member::new("alone", 61, &link, &[&absent]);
    primary.peers.push(silent.local_addr().expect("its address").to_string());
    primary.peer_timeout = Duration::from_secs(3600);
    primary.open(Role::Primary);
    primary.replication().ask_peers();
    primary.put("x", "y").expect("it is the primary");
}

#[test]
fn an_old_primary_that_was_restored_in_place_meanwhile_keeps_its_tail_and_returns() {
    let (mut old, new) = running_pair(47);
    new.link.leads_to(None);
    old.link.leads_to(None);
    let replicated = old.sequence();
    old.put_many("lost", 25);
    let restored_at = old.sequence() + 1;
    let mut restore = old.engine().installer(InstallMode::Restore).unwrap();
    restore.push(&old.engine().image(false).unwrap().take(usize::MAX).unwrap()).unwrap();
    restore.commit().unwrap();
    old.put_many("lost later", 25);
    let last = old.sequence();
    new.replication().promote().unwrap();
    new.put_many("new", 30);
    new.link.leads_to(Some(new.replication().local_address()));
    wait_until_equal(&new, &old);
    let mut kept: Vec<_> = (replicated + 1..=last).collect();
    // No frame has the number of the restore.
    kept.retain(|sequence| *sequence != restored_at);
    assert_eq!(tail_of(&old), kept);
    old.stop();
    old.start(Role::Standby);
    wait_until_equal(&new, &old);
}

#[test]
fn keeping_a_tail_may_take_longer_than_a_peer_may_be_silent() {
    let (mut old, mut new) = pair(48);
    (old.peer_timeout, new.peer_timeout) = (Duration::from_secs(2), Duration::from_secs(2));
    let held = Held::new(&old.disk, "tail-");
    old.detour = Some(Arc::new(held.clone()));
    old.start(Role::Primary);
    new.start(Role::Standby);
    // More than fits into a session's window.
    for number in 0..24 {
        old.put(&format!("large{number}"), &"x".repeat(1 << 20)).unwrap();
    }
    wait_until_equal(&old, &new);
    new.link.leads_to(None);
    old.link.leads_to(None);
    old.put_many("lost", 25);
    new.replication().promote().unwrap();
    new.link.leads_to(Some(new.replication().local_address()));
    hold_for_longer_than_a_peer_may_be_silent(&held, &new, &old);
    wait_until_equal(&new, &old);
    assert_eq!(old.replication().tails().len(), 1);
}

/// The timeout of both is two seconds.
fn hold_for_longer_than_a_peer_may_be_silent(held: &Held, primary: &Member, standby: &Member) {
    let both = [primary, standby];
    wait_until("its disk is slow", &both, || held.holds());
    let peers = || primary.status().peers;
    let heard_of = || peers().iter().map(|peer| peer.last_heartbeat_s).max().expect("a peer");
    let began = heard_of();
    wait_until("it is heard of for longer than the timeout", &both, || {
        assert!(peers().iter().any(|peer| peer.connected), "it was cut off");
        heard_of() > began + 4
    });
    held.let_go();
}

/// Text that compression does not make much shorter.
fn noise(seed: u64, length: usize) -> String {
    let mut state = seed;
    let letters = std::iter::repeat_with(|| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b' ' + (state >> 58) as u8)
    });
    letters.take(length).collect()
}

#[test]
fn taking_in_an_image_may_take_longer_than_a_peer_may_be_silent() {
    let (mut primary, mut standby) = pair(49);
    (primary.peer_timeout, standby.peer_timeout) = (Duration::from_secs(2), Duration::from_secs(2));
    let held = Held::new(&standby.disk, "install-");
    standby.detour = Some(Arc::new(held.clone()));
    primary.start(Role::Primary);
    // More than fits into a connection's window.
    for number in 0..12 {
        primary.put(&format!("large{number}"), &noise(number, 1 << 20)).unwrap();
    }
    standby.start(Role::Standby);
    // It is heard of by its own session alone.
    standby.link.leads_to(None);
    hold_for_longer_than_a_peer_may_be_silent(&held, &primary, &standby);
    wait_until_equal(&primary, &standby);
}

#[test]
fn a_primary_that_lives_stops_when_a_standby_is_promoted() {
    let (old, new) = running_pair(41);
    new.replication().promote().unwrap();
    wait_until("the old primary stops", &[&old, &new], || {
        matches!(old.put("x", "y"), Err(Error::NotPrimary))
    });
    new.put_many("new", 30);
    wait_until_equal(&new, &old);
    // And back again.
    old.replication().promote().unwrap();
    wait_until("the new primary stops", &[&old, &new], || {
        matches!(new.put("x", "y"), Err(Error::NotPrimary))
    });
    old.put_many("back", 30);
    wait_until_equal(&old, &new);
    assert_eq!(old.status().term, 3);
}

#[test]
fn a_primary_that_is_demoted_hands_over_what_it_wrote() {
    let (old, new) = running_pair(46);
    old.put_many("the last", 200);
    old.replication().demote().unwrap();
    assert_eq!(new.sequence(), old.sequence());
    new.replication().promote().unwrap();
    wait_until_equal(&new, &old);
    assert!(old.replication().tails().is_empty());
}

#[test]
fn two_primaries_of_one_term_refuse_each_other_and_a_third_promotion_settles_it() {
    let links = [Link::new(), Link::new(), Link::new()];
    let [a, b, c] = &links;
    let mut first = Member::new("a", 42, a, &[b, c]);
    let mut second = Member::new("b", 43, b, &[a, c]);
    let mut third = Member::new("c", 44, c, &[a, b]);
    first.start(Role::Primary);
    second.start(Role::Standby);
    third.start(Role::Standby);
    first.put_many("a", 20);
    wait_until_equal(&first, &second);
    wait_until_equal(&first, &third);
    first.kill();
    for link in &links {
        link.leads_to(None);
    }
    second.replication().promote().unwrap();
    third.replication().promote().unwrap();
    second.put_many("second", 5);
    third.put_many("third", 5);
    second.link.leads_to(Some(second.replication().local_address()));
    third.link.leads_to(Some(third.replication().local_address()));
    let conflict = |member: &Member| {
        let peers = member.status().peers;
        peers.iter().any(|peer| peer.error.contains("two members were made the primary"))
    };
    wait_until("they refuse each other", &[&second, &third], || {
        conflict(&second) && conflict(&third)
    });
    second.replication().demote().unwrap();
    second.replication().promote().unwrap();
    wait_until_equal(&second, &third);
    assert_eq!(third.status().role, Role::Standby);
}

#[test]
fn a_promotion_that_a_crash_cut_short_is_ended_or_never_was() {
    let (mut old, mut new) = running_pair(45);
    old.kill();
    let sequence = new.sequence();
    new.stop();
    let before = new.disk.clone();
    let (mut ended_later, mut never_was) = (0, 0);
    // Any of its calls may be the last one.
    for last in 1..40 {
        new.disk = before.crash(Crash::Process);
        new.start(Role::Standby);
        new.disk.inject(new.disk.calls() + last, Fault::Halt);
        let promoted = new.replication().promote();
        new.kill();
        new.start(Role::Standby);
        if new.status().role == Role::Primary {
            new.put_many("it takes writes", 1);
            assert_eq!((new.status().term, new.engine().log_term()), (2, 2));
            ended_later += usize::from(promoted.is_err());
        } else {
            assert_eq!((new.status().term, new.sequence()), (1, sequence));
            never_was += 1;
        }
        new.kill();
    }
    assert!(ended_later > 0 && never_was > 0, "{ended_later} and {never_was}");
}

/// After healing all members hold the same, and what was lost is in the side files.
fn kill_and_promote(rounds: u64, seed: u64) {
    let (mut a, mut b) = running_pair(seed);
    for round in 0..rounds {
        a.put_many("round", 20 + usize::try_from(round * 7 % 30).expect("a small number"));
        match (seed + round * 5) % 4 {
            0 => a.kill(),
            1 => b.kill(),
            2 => a.stop(),
            _ => b.link.cut(),
        }
        let lives = |member: &Member| member.is_running();
        if !lives(&a) {
            b.replication().promote().expect("a promotion");
            b.put_many("promoted", 20);
            a.start(Role::Primary);
            std::mem::swap(&mut a, &mut b);
        } else if !lives(&b) {
            b.start(Role::Standby);
        }
        wait_until_equal(&a, &b);
    }
}

#[test]
fn members_that_are_killed_in_turn_hold_the_same_when_they_are_back() {
    kill_and_promote(8, 50);
}

#[test]
#[ignore = "a minute: many rounds of the same"]
fn members_that_are_killed_in_turn_for_long_hold_the_same_when_they_are_back() {
    for seed in 60..70 {
        kill_and_promote(30, seed * 100);
    }
}
