//! Members that know each other by their certificates.

use decube_engine::Role;
use decube_tls::{ClientAuth, TlsFiles};

use crate::authority::{Authority, LOCALHOST, trusting};
use crate::member::{Member, pair, wait_until, wait_until_equal};

/// A certificate of this authority, asking for one of the same.
fn mutual(authority: &Authority, name: &str) -> TlsFiles {
    let files = trusting(authority.issue(name, &LOCALHOST), &authority.ca_file());
    TlsFiles { client_auth: ClientAuth::Require, ..files }
}

/// A pair without a token, that dials each other by name.
fn certified(seed: u64, first: TlsFiles, second: TlsFiles) -> (Member, Member) {
    let (mut a, mut b) = pair(seed);
    (a.token, b.token) = (None, None);
    (a.tls, b.tls) = (Some(first), Some(second));
    (a.peers, b.peers) = (vec![b.link.named_address()], vec![a.link.named_address()]);
    (a, b)
}

#[test]
fn certificates_of_one_authority_are_proof_enough() {
    let authority = Authority::new("the cluster's");
    let (first, second) = (mutual(&authority, "first"), mutual(&authority, "second"));
    let (mut primary, mut standby) = certified(80, first, second);
    primary.start(Role::Primary);
    primary.put_many("a", 50);
    standby.start(Role::Standby);
    wait_until_equal(&primary, &standby);
    standby.replication().promote().unwrap();
    wait_until("the old primary follows", &[&primary, &standby], || {
        primary.status().role == Role::Standby
    });
    wait_until_equal(&standby, &primary);
}

#[test]
fn a_certificate_of_another_authority_gets_nothing() {
    let (authority, other) = (Authority::new("the cluster's"), Authority::new("another"));
    // It trusts the cluster's members, but they do not trust it.
    let stranger = trusting(other.issue("stranger", &LOCALHOST), &authority.ca_file());
    let (mut primary, mut standby) = certified(81, mutual(&authority, "first"), stranger);
    primary.start(Role::Primary);
    primary.put_many("a", 10);
    standby.start(Role::Standby);
    wait_until("it is refused", &[&standby], || standby.status().peers[0].failures > 2);
    assert_eq!(standby.sequence(), 0);
}

#[test]
fn a_listener_that_asks_for_no_certificate_takes_no_peer_without_a_token() {
    let authority = Authority::new("the cluster's");
    let lax = trusting(authority.issue("first", &LOCALHOST), &authority.ca_file());
    let (mut primary, mut standby) = certified(82, lax, mutual(&authority, "second"));
    primary.start(Role::Primary);
    primary.put_many("a", 10);
    standby.start(Role::Standby);
    wait_until("it is refused", &[&standby], || {
        standby.status().peers[0].error.contains("prove themselves")
    });
    assert_eq!(standby.sequence(), 0);
}
