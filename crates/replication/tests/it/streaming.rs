//! A standby that is there, goes away, and comes back.

use decube_engine::vfs::{Errno, Fault};
use decube_engine::{Command, LeaseId, Operation, PutRequest, Revision, Role, TxnRequest};

use crate::member::{pair, running_pair, wait_until, wait_until_equal};

#[test]
fn a_standby_gets_everything_and_both_know_of_each_other() {
    let (primary, standby) = running_pair(1);
    primary.engine().execute(Command::LeaseGrant { id: LeaseId(7), ttl_s: 60 }).unwrap();
    primary.put_many("more", 200);
    primary.engine().execute(Command::Compact(Revision(100))).unwrap();
    wait_until_equal(&primary, &standby);
    wait_until("both are connected", &[&primary, &standby], || {
        let caught_up = |peer: &decube_replication::PeerStatus| {
            peer.connected && peer.sequence == primary.sequence() && peer.lag_seconds == 0.0
        };
        primary.status().peers.iter().all(caught_up) && standby.status().lag_seconds == 0.0
    });
    let (ours, theirs) = (primary.status(), standby.status());
    assert_eq!((ours.role, theirs.role), (Role::Primary, Role::Standby));
    assert_eq!((ours.term, theirs.term), (1, 1));
    assert_eq!(ours.peers.len(), 1);
    assert_eq!((ours.peers[0].name.as_str(), ours.peers[0].role), ("second", Role::Standby));
    let source = theirs.primary.expect("it is fed");
    assert_eq!((source.name.as_str(), source.role), ("first", Role::Primary));
    assert!(
        ours.primary.is_none()
            && primary.replication().tails().is_empty()
            && standby.replication().tails().is_empty()
    );
}

#[test]
fn a_standby_that_was_away_gets_the_frames_it_missed() {
    let (primary, mut standby) = running_pair(2);
    for round in 0..3 {
        if round == 1 {
            standby.kill();
        } else {
            standby.stop();
        }
        primary.put_many("missed", 300);
        standby.start(Role::Standby);
        wait_until_equal(&primary, &standby);
        assert_eq!(standby.engine().recovered().checkpoint_sequence, first_image(&standby));
    }
}

/// Of the image it joined with: later ones would be re-seeds.
fn first_image(standby: &crate::member::Member) -> u64 {
    let files = standby.disk.files();
    let mut images = files.iter().filter_map(|(path, _)| {
        let name = path.file_name()?.to_str()?;
        name.strip_suffix(".checkpoint")?.parse().ok()
    });
    let first = images.next().expect("it joined with an image");
    assert_eq!(images.next(), None, "there was no second image");
    first
}

#[test]
fn a_standby_that_was_written_to_by_hand_is_seeded_even_after_a_restart() {
    let (mut primary, mut standby) = running_pair(7);
    primary.stop();
    let next = Revision(standby.engine().revision().0 + 1);
    let put = PutRequest { key: "by hand".into(), ..PutRequest::default() };
    let txn = TxnRequest { success: vec![Operation::Put(put)], ..TxnRequest::default() };
    wait_until("nobody feeds it", &[&standby], || {
        standby.replication().copy_revisions(vec![(next, txn.clone())]).is_ok()
    });
    standby.stop();
    standby.start(Role::Standby);
    primary.start(Role::Primary);
    primary.put_many("otherwise", 10);
    wait_until_equal(&primary, &standby);
}

#[test]
fn a_primary_that_restarts_goes_on_with_its_standby() {
    let (mut primary, standby) = running_pair(3);
    for round in 0..3 {
        if round == 1 {
            primary.kill();
        } else {
            primary.stop();
        }
        primary.start(Role::Primary);
        primary.put_many("again", 50);
        wait_until_equal(&primary, &standby);
    }
}

#[test]
fn cut_connections_lose_nothing() {
    let (primary, standby) = running_pair(4);
    for _ in 0..15 {
        primary.put_many("cut", 40);
        primary.link.cut();
        primary.put_many("cut", 20);
        standby.link.cut();
    }
    wait_until_equal(&primary, &standby);
    assert!(standby.replication().tails().is_empty());
}

#[test]
fn a_standby_on_a_failing_disk_stops_and_goes_on_after_a_restart() {
    let (primary, mut standby) = running_pair(5);
    let calls = standby.disk.calls();
    (1..=4).for_each(|call| standby.disk.inject(calls + call, Fault::Fail(Errno::Io)));
    primary.put_many("bad", 100);
    wait_until("the standby stops", &[&standby], || standby.engine().check_writes().is_err());
    primary.put_many("good", 100);
    standby.kill();
    standby.start(Role::Standby);
    wait_until_equal(&primary, &standby);
}

#[test]
fn a_peer_that_is_down_is_told_and_found_when_it_comes() {
    let (mut primary, mut standby) = pair(6);
    standby.start(Role::Standby);
    wait_until("the peer is down", &[&standby], || standby.status().peers[0].failures > 4);
    let peer = &standby.status().peers[0];
    assert!(!peer.connected && !peer.error.is_empty(), "{peer:?}");
    primary.start(Role::Primary);
    primary.put_many("a", 10);
    wait_until_equal(&primary, &standby);
    assert_eq!(standby.status().peers[0].failures, 0);
}
