//! What is known of the other members: of those that are dialed, and of those that dialed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use decube_engine::{Clock, Notify};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::options::ReplicationOptions;
use crate::status::PeerStatus;
use crate::wire::{Member, Progress};

/// Members that dialed and are not among the configured ones; further ones are not remembered.
const STRANGERS_MAX: usize = 64;

/// The other members.
pub(crate) struct Peers {
    clock: Arc<dyn Clock>,
    notify: Arc<dyn Notify>,
    inner: Mutex<Inner>,
}

struct Inner {
    /// By address, as configured.
    dialed: BTreeMap<String, PeerStatus>,
    /// By identity.
    dialers: BTreeMap<u64, PeerStatus>,
    /// The address of the one that feeds this member.
    source: Option<String>,
    /// When this member last had everything that its source had.
    caught_up_at: Option<Instant>,
}

impl Peers {
    pub(crate) fn new(options: &ReplicationOptions) -> Self {
        let empty = |address: &String| {
            (address.clone(), PeerStatus { address: address.clone(), ..PeerStatus::default() })
        };
        let inner = Inner {
            dialed: options.peers.iter().map(empty).collect(),
            dialers: BTreeMap::new(),
            source: None,
            caught_up_at: None,
        };
        let (clock, notify) = (Arc::clone(&options.clock), Arc::clone(&options.notify));
        Self { clock, notify, inner: Mutex::new(inner) }
    }

    /// A session with a dialed peer has begun.
    pub(crate) fn reached(&self, address: &str, member: &Member) {
        self.change(|inner, now| {
            let Some(peer) = inner.dialed.get_mut(address) else { return };
            introduce(peer, member, now);
            peer.failures = 0;
            peer.error = String::new();
        });
    }

    /// A dialed peer could not be reached, or its session broke. Returns how often in a row.
    pub(crate) fn lost(&self, address: &str, error: &str) -> u32 {
        let mut failures = 0;
        self.change(|inner, _| {
            let Some(peer) = inner.dialed.get_mut(address) else { return };
            peer.connected = false;
            peer.failures = peer.failures.saturating_add(1);
            error.clone_into(&mut peer.error);
            failures = peer.failures;
        });
        failures
    }

    /// A dialed peer told how far it is.
    pub(crate) fn heard(&self, address: &str, progress: Progress) {
        let now = self.clock.wall();
        if let Some(peer) = self.inner.lock().dialed.get_mut(address) {
            note(peer, progress, now);
        }
    }

    /// A member that dialed is here.
    pub(crate) fn dialed_by(&self, member: &Member) {
        self.change(|inner, now| {
            if inner.dialers.len() >= STRANGERS_MAX {
                inner.dialers.retain(|_, peer| peer.connected);
            }
            introduce(inner.dialers.entry(member.member_id).or_default(), member, now);
        });
    }

    /// A member that dialed told how far it is; `lag` is how old the oldest frame is it lacks.
    pub(crate) fn heard_from_dialer(&self, member_id: u64, progress: Progress, lag: Duration) {
        let now = self.clock.wall();
        if let Some(peer) = self.inner.lock().dialers.get_mut(&member_id) {
            note(peer, progress, now);
            peer.lag_seconds = lag.as_secs_f64();
        }
    }

    /// Whether a member that is here has everything up to a sequence number.
    pub(crate) fn a_standby_has(&self, sequence: u64) -> bool {
        let inner = self.inner.lock();
        inner.dialers.values().any(|peer| peer.connected && peer.sequence >= sequence)
    }

    /// The session of a member that dialed has ended.
    pub(crate) fn dialer_left(&self, member_id: u64) {
        self.change(|inner, _| {
            if let Some(peer) = inner.dialers.get_mut(&member_id) {
                peer.connected = false;
            }
        });
    }

    /// Who feeds this member.
    pub(crate) fn set_source(&self, address: Option<&str>) {
        self.change(|inner, _| inner.source = address.map(str::to_owned));
    }

    /// The identity and the etcd address of the one that feeds this member.
    pub(crate) fn source(&self) -> Option<(u64, String)> {
        let inner = self.inner.lock();
        let source = inner.dialed.get(inner.source.as_ref()?)?;
        let address = source.etcd_address.clone();
        (!address.is_empty()).then_some((source.member_id, address))
    }

    /// This member has everything up to here.
    pub(crate) fn applied(&self, sequence: u64) {
        let mut inner = self.inner.lock();
        let source = inner.source.as_ref().and_then(|address| inner.dialed.get(address));
        if source.is_some_and(|source| source.sequence <= sequence) {
            inner.caught_up_at = Some(Instant::now());
        }
    }

    /// How long this member has been behind its source.
    pub(crate) fn lag(&self, sequence: u64) -> Duration {
        let inner = self.inner.lock();
        let source = inner.source.as_ref().and_then(|address| inner.dialed.get(address));
        if source.is_some_and(|source| source.sequence <= sequence) {
            return Duration::ZERO;
        }
        inner.caught_up_at.map_or(Duration::ZERO, |at| at.elapsed())
    }

    /// The one that feeds this member, and all. What a member told by dialing is put to what is
    /// known by its address.
    pub(crate) fn all(&self) -> (Option<PeerStatus>, Vec<PeerStatus>) {
        let inner = self.inner.lock();
        let mut dialers = inner.dialers.clone();
        let mut peers: Vec<_> = inner.dialed.values().cloned().collect();
        for peer in &mut peers {
            if let Some(dialer) = dialers.remove(&peer.member_id) {
                peer.connected |= dialer.connected;
                peer.lag_seconds = dialer.lag_seconds;
                if dialer.last_heartbeat_s > peer.last_heartbeat_s
                    || dialer.sequence > peer.sequence
                {
                    peer.last_heartbeat_s = peer.last_heartbeat_s.max(dialer.last_heartbeat_s);
                    (peer.sequence, peer.revision) = (dialer.sequence, dialer.revision);
                    (peer.role, peer.term) = (dialer.role, dialer.term);
                }
            }
        }
        let source = inner.source.as_ref();
        let primary = source.and_then(|address| peers.iter().find(|peer| peer.address == *address));
        let primary = primary.cloned();
        peers.extend(dialers.into_values());
        (primary, peers)
    }

    fn change(&self, change: impl FnOnce(&mut Inner, Duration)) {
        let now = self.clock.wall();
        change(&mut self.inner.lock(), now);
        self.notify.notify();
    }
}

fn introduce(peer: &mut PeerStatus, member: &Member, now: Duration) {
    let standing = member.standing();
    if peer.address.is_empty() {
        peer.address.clone_from(&member.replication_address);
    }
    peer.member_id = member.member_id;
    peer.name.clone_from(&member.name);
    peer.role = standing.role;
    peer.term = standing.term();
    peer.rest_address.clone_from(&member.rest_address);
    peer.grpc_address.clone_from(&member.grpc_address);
    peer.etcd_address.clone_from(&member.etcd_address);
    peer.connected = true;
    let progress = Progress { sequence: member.last_sequence, revision: member.revision };
    note(peer, progress, now);
}

fn note(peer: &mut PeerStatus, progress: Progress, now: Duration) {
    peer.sequence = progress.sequence;
    peer.revision = progress.revision;
    peer.last_heartbeat_s = now.as_secs();
}
