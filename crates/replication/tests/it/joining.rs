//! Who may join a cluster, and with what it begins.

use std::time::Duration;

use decube_engine::vfs::Crash;
use decube_engine::{Command, Error, InstallMode, Role};
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
    assert!(standby.status().tails.is_empty(), "it had nothing of its own");
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
    assert_eq!(standby.status().tails.len(), 1, "{:?}", standby.status().tails);
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
