//! What is known of the other members: of those that are dialed, and of those that dialed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use decube_engine::{Clock, Notify};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::options::ReplicationOptions;
use crate::status::PeerStatus;
use crate::wire::{Feed, Member, Progress};

/// Members that dialed and are not among the configured ones; further ones are not remembered.
const STRANGERS_MAX: usize = 64;

/// A member that said nothing for longer than a few heartbeats at their slowest is away.
const SILENCE: Duration = Duration::from_secs(3);

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
    dialers: BTreeMap<u64, Dialer>,
    sessions: u64,
    /// The address of the one that feeds this member.
    source: Option<String>,
    /// When this member last had everything that its source had, or became one that has a source.
    caught_up_at: Instant,
}

/// A member that dialed.
struct Dialer {
    status: PeerStatus,
    /// The session that counts: an older one may take a while to end.
    session: u64,
    /// What it is sent. With frames of this member's log the sequence number that it tells counts
    /// them.
    feed: Feed,
    heard_at: Instant,
}

/// A session of a member that dialed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DialerSession {
    member_id: u64,
    number: u64,
}

impl Peers {
    pub(crate) fn new(options: &ReplicationOptions) -> Self {
        Self::of(&options.peers, Arc::clone(&options.clock), Arc::clone(&options.notify))
    }

    fn of(configured: &[String], clock: Arc<dyn Clock>, notify: Arc<dyn Notify>) -> Self {
        let empty = |address: &String| {
            (address.clone(), PeerStatus { address: address.clone(), ..PeerStatus::default() })
        };
        let inner = Inner {
            dialed: configured.iter().map(empty).collect(),
            dialers: BTreeMap::new(),
            sessions: 0,
            source: None,
            caught_up_at: Instant::now(),
        };
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

    /// A dialed peer could not be reached, or its session broke. Returns how often in a row, and
    /// whether the reason is another one than the last time.
    pub(crate) fn lost(&self, address: &str, error: &str) -> (u32, bool) {
        let mut told = (0, false);
        self.change(|inner, _| {
            let Some(peer) = inner.dialed.get_mut(address) else { return };
            peer.connected = false;
            peer.failures = peer.failures.saturating_add(1);
            told = (peer.failures, peer.error != error);
            error.clone_into(&mut peer.error);
        });
        told
    }

    /// A dialed peer told how far it is.
    pub(crate) fn heard(&self, address: &str, progress: Progress) {
        let now = self.clock.wall();
        if let Some(peer) = self.inner.lock().dialed.get_mut(address) {
            note(peer, progress, now);
        }
    }

    /// A member that dialed is here.
    pub(crate) fn dialed_by(&self, member: &Member, feed: Feed) -> DialerSession {
        let mut session = DialerSession { member_id: member.member_id, number: 0 };
        self.change(|inner, now| {
            inner.sessions += 1;
            session.number = inner.sessions;
            let crowded = inner.dialers.len() >= STRANGERS_MAX;
            // Who left and was where this one is now was replaced by it.
            inner.dialers.retain(|_, Dialer { status, .. }| {
                status.connected || !(crowded || status.address == member.replication_address)
            });
            let dialer = inner.dialers.entry(member.member_id);
            let heard_at = Instant::now();
            let fresh = Dialer { status: PeerStatus::default(), session: 0, feed, heard_at };
            let dialer = dialer.or_insert(fresh);
            (dialer.session, dialer.feed) = (session.number, feed);
            introduce(&mut dialer.status, member, now);
        });
        session
    }

    /// A member that dialed told how far it is; `lag` is how old the oldest frame is it lacks, if
    /// that is known: it is not while an image is on its way.
    pub(crate) fn heard_from_dialer(
        &self,
        session: DialerSession,
        progress: Progress,
        lag: Option<Duration>,
    ) {
        let now = self.clock.wall();
        if let Some(Dialer { status, heard_at, .. }) = self.inner.lock().in_session(session) {
            note(status, progress, now);
            status.lag_seconds = lag.map_or(status.lag_seconds, |lag| lag.as_secs_f64());
            *heard_at = Instant::now();
        }
    }

    /// Whether a member that copies this one's log has everything up to a sequence number. Others
    /// count other frames.
    pub(crate) fn a_standby_has(&self, sequence: u64) -> bool {
        let inner = self.inner.lock();
        let has = |dialer: &Dialer| dialer.status.connected && !dialer.lacks(sequence);
        inner.dialers.values().any(has)
    }

    /// The session of a member that dialed has ended.
    pub(crate) fn dialer_left(&self, session: DialerSession) {
        self.change(|inner, _| {
            if let Some(Dialer { status, .. }) = inner.in_session(session) {
                status.connected = false;
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
            inner.caught_up_at = Instant::now();
        }
    }

    /// This member was the primary until now, and lacks nothing but what it has not heard of.
    pub(crate) fn stepped_down(&self) {
        self.inner.lock().caught_up_at = Instant::now();
    }

    /// How long this member has been behind its source.
    pub(crate) fn lag(&self, sequence: u64) -> Duration {
        self.lag_at(sequence, Instant::now())
    }

    fn lag_at(&self, sequence: u64, now: Instant) -> Duration {
        let inner = self.inner.lock();
        let source = inner.source.as_ref().and_then(|address| inner.dialed.get(address));
        if source.is_some_and(|source| source.sequence <= sequence) {
            return Duration::ZERO;
        }
        now.saturating_duration_since(inner.caught_up_at)
    }

    /// The one that feeds this member, and all. What a member told by dialing is put to what is
    /// known of it by dialing it: it is the same one by its identity, or, as long as it was not
    /// reached, by its address. `sequence` is how far this member's own log is, `leads` the term that
    /// it is the primary in, if it is.
    pub(crate) fn all(
        &self,
        sequence: u64,
        leads: Option<u64>,
    ) -> (Option<PeerStatus>, Vec<PeerStatus>) {
        let (primary, mut peers) = self.all_at(sequence, Instant::now());
        let now = self.clock.wall();
        for peer in peers.iter_mut().filter(|_| leads.is_some()) {
            // The primary before this one, as a rule: it never copied from here.
            let lacks = peer.sequence < sequence || leads.is_some_and(|term| peer.term < term);
            if !peer.connected && lacks && peer.last_heartbeat_s > 0 {
                let silent = now.saturating_sub(Duration::from_secs(peer.last_heartbeat_s));
                peer.lag_seconds = peer.lag_seconds.max(silent.as_secs_f64());
            }
        }
        (primary, peers)
    }

    fn all_at(&self, sequence: u64, now: Instant) -> (Option<PeerStatus>, Vec<PeerStatus>) {
        let inner = self.inner.lock();
        let dialers = inner.dialers.iter();
        let dialers = dialers.map(|(id, dialer)| (*id, dialer.status_at(sequence, now)));
        let mut dialers: BTreeMap<_, _> = dialers.collect();
        let mut peers: Vec<_> = inner.dialed.values().cloned().collect();
        for peer in &mut peers {
            let known = dialers.remove(&peer.member_id);
            let known = known.or_else(|| {
                let told = |status: &PeerStatus| status.address == peer.address;
                let id = dialers.iter().find(|(_, status)| !peer.connected && told(status))?.0;
                let id = *id;
                dialers.remove(&id)
            });
            if let Some(dialer) = known {
                merge(peer, dialer);
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

impl Inner {
    /// The member whose session this is, unless it has a newer one.
    fn in_session(&mut self, session: DialerSession) -> Option<&mut Dialer> {
        let dialer = self.dialers.get_mut(&session.member_id)?;
        (dialer.session == session.number).then_some(dialer)
    }
}

impl Dialer {
    /// Whether it does not have, or is not known to have, everything up to a sequence number.
    fn lacks(&self, sequence: u64) -> bool {
        self.feed != Feed::Frames || self.status.sequence < sequence
    }

    /// How it stands by now. Of one that says nothing any more, and lacks something, nobody told how
    /// old that is: at most as old as what it said last.
    fn status_at(&self, sequence: u64, now: Instant) -> PeerStatus {
        let mut status = self.status.clone();
        let silent = now.saturating_duration_since(self.heard_at);
        if self.feed != Feed::None && self.lacks(sequence) && silent > SILENCE {
            status.lag_seconds = status.lag_seconds.max(silent.as_secs_f64());
        }
        status
    }
}

/// Puts what a member told by dialing to what is known of it by dialing it.
fn merge(peer: &mut PeerStatus, dialer: PeerStatus) {
    if peer.member_id != dialer.member_id {
        let (address, error) = (std::mem::take(&mut peer.address), std::mem::take(&mut peer.error));
        *peer = PeerStatus { address, error, failures: peer.failures, ..dialer };
        return;
    }
    peer.connected |= dialer.connected;
    peer.lag_seconds = dialer.lag_seconds;
    if dialer.last_heartbeat_s > peer.last_heartbeat_s || dialer.sequence > peer.sequence {
        peer.last_heartbeat_s = peer.last_heartbeat_s.max(dialer.last_heartbeat_s);
        (peer.sequence, peer.revision) = (dialer.sequence, dialer.revision);
        (peer.role, peer.term) = (dialer.role, dialer.term);
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

#[cfg(test)]
#[path = "peers_tests.rs"]
mod tests;
