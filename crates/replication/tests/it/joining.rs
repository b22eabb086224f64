//! Who may join a cluster, and with what it begins.

use std::sync::Arc;
use std::time::Duration;

use decube_engine::vfs::{Crash, Faulty};
use decube_engine::{
    Command, Error, InstallMode, NewNumbers, OfflineRestore, Role, SystemClock, TermStart,
};
use decube_replication::StartError;

use crate::link::Link;
use crate::member::{Member, pair, running_pair, wait_until, wait_until_equal};

#[test]
fn an_empty_standby_joins_a_primary_with_a_history() {
    let (mut primary, mut standby) = pair(20);
    primary.start(Role::Primary);
    primary.put_many("before", 500);
    primary.engine().execute(Command::Compact(primary.engine().revision())).unwrap();
    standby.start(Role::Standby);
    wait_until_equal(&primary, &standby);
    primary.put_many("after", 50);
    wait_until_equal(&primary, &standby);
}

#[test]
fn a_standby_that_is_too_far_behind_gets_an_image() {
    let (mut primary, mut standby) = pair(21);
    primary.settings = |options| {
        options.checkpoint_bytes_min = 64 << 10;
        options.segment_bytes = 32 << 10;
        options.log_retention = Duration::ZERO;
        options.log_retention_bytes = 0;
    };
    primary.start(Role::Primary);
    standby.start(Role::Standby);
    primary.put_many("first", 20);
    wait_until_equal(&primary, &standby);
    let seen = standby.sequence();
    standby.stop();
    let too_old = |primary: &Member| {
        let (notify, _) = crate::member::bell();
        primary.engine().follow(seen + 1, notify).is_err()
    };
    while !too_old(&primary) {
        primary.put_many("missed", 100);
    }
    standby.start(Role::Standby);
    wait_until_equal(&primary, &standby);
    assert!(standby.replication().tails().is_empty(), "it had nothing of its own");
}

#[test]
fn a_standby_follows_its_primary_through_a_restore() {
    let (primary, mut standby) = running_pair(29);
    for connected in [true, false] {
        let mut image = primary.engine().image(false).unwrap();
        let mut restore = primary.engine().installer(InstallMode::Restore).unwrap();
        primary.put_many("undone", 30);
        wait_until_equal(&primary, &standby);
        if !connected {
            standby.stop();
        }
        loop {
            let bytes = image.take(64 << 10).unwrap();
            if bytes.is_empty() {
                break;
            }
            restore.push(&bytes).unwrap();
        }
        restore.commit().unwrap();
        if !connected {
            standby.start(Role::Standby);
        }
        wait_until_equal(&primary, &standby);
        primary.put_many("later", 30);
        wait_until_equal(&primary, &standby);
    }
}

#[test]
fn a_peer_with_another_token_gets_nothing() {
    let (mut primary, mut standby) = pair(22);
    standby.token = Some("guessed");
    primary.start(Role::Primary);
    primary.put_many("a", 10);
    standby.start(Role::Standby);
    wait_until("it is refused", &[&standby], || standby.status().peers[0].failures > 2);
    let error = standby.status().peers[0].error.clone();
    assert!(error.contains("token"), "{error}");
    assert_eq!(standby.sequence(), 0);
    assert!(primary.status().peers.iter().all(|peer| !peer.connected));
}

#[test]
fn without_a_proof_replication_does_not_start() {
    let mut member = Member::new("alone", 23, &Link::new(), &[]);
    member.start(Role::Primary);
    let mut options = member.options_for_another();
    options.token = None;
    let refused = decube_replication::Replication::start(member.engine().clone(), options);
    assert!(matches!(refused.err(), Some(StartError::NoProof)));
}

#[test]
fn a_standby_of_another_cluster_is_refused_by_name() {
    let (mut primary, mut standby) = pair(24);
    primary.start(Role::Primary);
    primary.put_many("a", 10);
    standby.start(Role::Primary);
    standby.put_many("mine", 10);
    standby.replication().demote().unwrap();
    wait_until("it is refused", &[&standby], || {
        standby.status().peers[0].error.contains("is of cluster")
    });
    let error = &standby.status().peers[0].error;
    assert!(error.contains("first") && error.contains("second"), "{error}");
    assert_eq!(standby.sequence(), 10, "it lost nothing");
}

#[test]
fn a_standby_ahead_of_a_primary_that_lost_its_disk_is_seeded_anew_and_keeps_what_it_had() {
    let (mut primary, standby) = running_pair(25);
    primary.stop();
    let old = primary.disk.crash(Crash::Process);
    primary.start(Role::Primary);
    primary.put_many("lost", 30);
    wait_until_equal(&primary, &standby);
    primary.kill();
    // The disk as it was before: what came after it is on the standby alone.
    primary.disk = old;
    let had = standby.sequence();
    primary.start(Role::Primary);
    wait_until_equal(&primary, &standby);
    assert!(standby.sequence() < had);
    assert_eq!(standby.replication().tails().len(), 1, "{:?}", standby.replication().tails());
}

#[test]
fn a_primary_that_was_made_offline_takes_over_and_its_old_standby_keeps_what_it_lacks() {
    for (seed, numbers) in [(30, NewNumbers::FarAbove), (31, NewNumbers::Kept)] {
        let (mut primary, standby) = running_pair(seed);
        let image = primary.engine().image(false).unwrap().take(usize::MAX).unwrap();
        primary.put_many("lost", 10);
        wait_until_equal(&primary, &standby);
        primary.kill();
        primary.disk = Faulty::new(seed + 500);
        let mut restore = OfflineRestore::new(Arc::new(SystemClock::new()));
        restore.push(&image).unwrap();
        restore.create(&primary.store_options(), numbers).unwrap();
        primary.start(Role::Primary);
        // With its own frames under the numbers of the lost ones, and beyond.
        primary.put_many("new", 20);
        wait_until_equal(&primary, &standby);
        assert_eq!(standby.replication().tails().len(), 1, "{numbers:?}");
        assert_eq!(standby.status().term, 2);
    }
}

/// A standby that was told of a term, and has nothing else.
fn empty_standby_that_knows_term_2(mut standby: Member) -> Member {
    let terms = [TermStart { term: 2, raised_by: 77, after_sequence: 5 }];
    let peers = std::mem::take(&mut standby.peers);
    standby.start(Role::Standby);
    standby.engine().meet(&terms).expect("the terms are taken");
    assert_eq!((standby.status().term, standby.sequence()), (2, 0));
    standby.stop();
    standby.peers = peers;
    standby
}

#[test]
fn an_empty_standby_takes_over_the_terms_of_the_cluster_it_joins_and_tells_it_none() {
    let (mut primary, standby) = pair(32);
    primary.start(Role::Primary);
    primary.put_many("a", 10);
    let mut standby = empty_standby_that_knows_term_2(standby);
    standby.start(Role::Standby);
    wait_until_equal(&primary, &standby);
    assert_eq!((primary.status().role, primary.status().term), (Role::Primary, 1));
    assert_eq!((standby.status().role, standby.status().term), (Role::Standby, 1));
    standby.stop();
    standby.start(Role::Standby);
    primary.put_many("b", 10);
    wait_until_equal(&primary, &standby);
}

#[test]
fn an_empty_standby_joins_a_cluster_whose_term_somebody_else_raised() {
    let (primary, standby) = pair(33);
    let mut primary = primary;
    primary.start(Role::Standby);
    primary.replication().promote().unwrap();
    primary.put_many("a", 10);
    assert_eq!(primary.status().term, 2);
    let mut standby = empty_standby_that_knows_term_2(standby);
    standby.start(Role::Standby);
    wait_until_equal(&primary, &standby);
    assert_eq!(standby.status().raised_by, primary.status().raised_by);
}

#[test]
fn a_peer_that_dials_over_and_over_does_not_hurry_the_dialing_of_another() {
    let links = [Link::new(), Link::new(), Link::new()];
    let [a, b, nobody] = &links;
    let mut primary = Member::new("a", 34, a, &[b, nobody]);
    primary.retry_interval = Duration::from_secs(3_600);
    let mut standby = Member::new("b", 35, b, &[a]);
    primary.start(Role::Primary);
    primary.put_many("a", 10);
    let tries = || {
        let peers = primary.status().peers;
        peers.iter().find(|peer| peer.address == nobody.address()).map(|peer| peer.failures)
    };
    wait_until("nobody is there", &[&primary], || tries() == Some(1));
    for _ in 0..5 {
        standby.start(Role::Standby);
        wait_until_equal(&primary, &standby);
        standby.stop();
    }
    assert_eq!(tries(), Some(1));
}

#[test]
fn three_members_hold_the_same_and_only_one_takes_writes() {
    let links = [Link::new(), Link::new(), Link::new()];
    let [a, b, c] = &links;
    let mut primary = Member::new("a", 26, a, &[b, c]);
    let mut standbys = [Member::new("b", 27, b, &[a, c]), Member::new("c", 28, c, &[a, b])];
    primary.start(Role::Primary);
    for standby in &mut standbys {
        standby.start(Role::Standby);
    }
    primary.put_many("a", 100);
    for standby in &standbys {
        wait_until_equal(&primary, standby);
        assert!(matches!(standby.put("x", "y"), Err(Error::NotPrimary)));
    }
}
