//! Who connects and is no peer.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use decube_engine::Role;

use crate::link::Link;
use crate::member::{Member, pair, wait_until, wait_until_equal};

/// Longer than anything here takes; a connection that lives on is seen by it.
const PATIENCE: Duration = Duration::from_secs(20);

/// The beginning of HTTP/2 from the client's side: its greeting, and settings that say nothing.
const GREETING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

#[test]
fn a_connection_without_a_session_ends_and_one_with_a_session_goes_on() {
    let (mut primary, mut standby) = pair(90);
    (primary.peer_timeout, standby.peer_timeout) = (Duration::from_secs(2), Duration::from_secs(2));
    primary.start(Role::Primary);
    primary.put_many("a", 10);
    standby.start(Role::Standby);
    wait_until_equal(&primary, &standby);
    for said in [b"".as_slice(), GREETING] {
        let mut stranger = TcpStream::connect(primary.replication().local_address()).unwrap();
        stranger.set_read_timeout(Some(PATIENCE)).unwrap();
        stranger.write_all(said).unwrap();
        let mut heard = Vec::new();
        let ended = stranger.read_to_end(&mut heard);
        assert!(
            !ended.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock),
            "it was closed after {said:?}"
        );
    }
    wait_until("the peer is there", &[&primary, &standby], || {
        standby.status().peers[0].connected && primary.status().peers[0].connected
    });
}

#[test]
fn a_change_during_a_session_that_fails_is_followed_by_another_session_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let mut member = Member::new("a", 91, &Link::new(), &[]);
    member.peers = vec![listener.local_addr().unwrap().to_string()];
    member.retry_interval = Duration::from_secs(3_600);
    member.start(Role::Standby);
    let mut stranger = None;
    wait_until("the peer is dialed", &[&member], || {
        stranger = listener.accept().ok();
        stranger.is_some()
    });
    // The session has begun, and nobody answers in it.
    member.replication().promote().unwrap();
    drop(stranger);
    wait_until("the peer is dialed again", &[&member], || listener.accept().is_ok());
}
