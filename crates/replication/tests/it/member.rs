//! A member under test: its disk, its store, its part in replication.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use bytes::Bytes;
use decube_engine::vfs::{Crash, Faulty, Vfs};
use decube_engine::{
    Command, Engine, Error, LogLocation, Notify, Options, Outcome, PutRequest, Revision, Role,
    Storage, SystemClock,
};
use decube_replication::{Addresses, Replication, ReplicationOptions, ReplicationStatus};
use decube_tls::{ClientTls, ServerLimits, ServerTls, TlsFiles};
use parking_lot::Mutex;

use crate::link::Link;

/// How long anything may take on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a level is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

pub(crate) struct Member {
    pub(crate) name: &'static str,
    pub(crate) disk: Faulty,
    pub(crate) link: Link,
    pub(crate) peers: Vec<String>,
    pub(crate) token: Option<&'static str>,
    /// For its listener and for what it dials.
    pub(crate) tls: Option<TlsFiles>,
    pub(crate) peer_timeout: Duration,
    pub(crate) retry_interval: Duration,
    /// The way to its disk, if it is not the straight one.
    pub(crate) detour: Option<Arc<dyn Vfs>>,
    /// Changed before a start.
    pub(crate) settings: fn(&mut Options),
    running: Option<(Engine, Replication)>,
}

/// The bell of a member, with nobody there to hear it.
struct Told(Mutex<Sender<()>>);

impl Notify for Told {
    fn notify(&self) {
        let _ = self.0.lock().send(());
    }
}

impl Member {
    pub(crate) fn new(name: &'static str, seed: u64, link: &Link, peers: &[&Link]) -> Self {
        Self {
            name,
            disk: Faulty::new(seed),
            link: link.clone(),
            peers: peers.iter().map(|link| link.address()).collect(),
            token: Some("secret"),
            tls: None,
            peer_timeout: Duration::from_secs(10),
            retry_interval: Duration::from_millis(20),
            detour: None,
            settings: |_| {},
            running: None,
        }
    }

    /// Of its store, which is on its disk.
    pub(crate) fn store_options(&self) -> Options {
        let dir = PathBuf::from("/store");
        let straight = || Arc::new(self.disk.clone()) as Arc<dyn Vfs>;
        let vfs = self.detour.clone().unwrap_or_else(straight);
        let location = LogLocation { log_dir: dir.clone(), checkpoint_dir: dir, vfs };
        let mut options = Options::new(Storage::Log(location));
        options.segment_bytes = 256 << 10;
        options
    }

    pub(crate) fn start(&mut self, role: Role) {
        self.open(role);
        self.replication().join();
    }

    /// Without its peers.
    pub(crate) fn open(&mut self, role: Role) {
        let mut options = self.store_options();
        options.role = role;
        (self.settings)(&mut options);
        let engine = Engine::open(options).expect("the store opens");
        let (told, _) = bell();
        let replication = Replication::open(engine.clone(), self.options(told));
        let replication = replication.expect("replication starts");
        self.link.leads_to(Some(replication.local_address()));
        self.running = Some((engine, replication));
    }

    fn options(&self, notify: Arc<dyn Notify>) -> ReplicationOptions {
        ReplicationOptions {
            listen: "127.0.0.1:0".parse().expect("an address"),
            peers: self.peers.clone(),
            token: self.token.map(str::to_owned),
            server_tls: self.tls.clone().map(|files| {
                ServerTls::open(files, ServerLimits::default()).expect("good certificates")
            }),
            client_tls: self.tls.clone().map(|files| ClientTls::open(files).expect("good ones")),
            tls_reload_interval: Duration::from_secs(3),
            name: self.name.to_owned(),
            addresses: Addresses { replication: self.link.address(), ..Addresses::default() },
            peer_timeout: self.peer_timeout,
            retry_interval: self.retry_interval,
            max_retries: 3,
            window_bytes: 8 << 20,
            clock: Arc::new(SystemClock::new()),
            notify,
        }
    }

    pub(crate) fn options_for_another(&self) -> ReplicationOptions {
        self.options(bell().0)
    }

    pub(crate) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.running.as_ref().expect("it runs").0
    }

    pub(crate) fn replication(&self) -> &Replication {
        &self.running.as_ref().expect("it runs").1
    }

    pub(crate) fn status(&self) -> ReplicationStatus {
        self.replication().status()
    }

    /// As `SIGTERM` does.
    pub(crate) fn stop(&mut self) {
        self.link.leads_to(None);
        let (engine, replication) = self.running.take().expect("it runs");
        replication.stop();
        engine.close();
    }

    /// As `kill -9` does: what its disk had at that moment is all there is.
    pub(crate) fn kill(&mut self) {
        self.link.leads_to(None);
        let disk = self.disk.crash(Crash::Process);
        self.running = None;
        self.disk = disk;
    }

    pub(crate) fn put(&self, key: &str, value: &str) -> Result<i64, Error> {
        let (key, value) = (Bytes::from(key.to_owned()), Bytes::from(value.to_owned()));
        let put = PutRequest { key, value, ..PutRequest::default() };
        match self.engine().execute(Command::Put(put))? {
            Outcome::Put(result) => Ok(result.revision.0),
            other => panic!("a put was answered by {other:?}"),
        }
    }

    pub(crate) fn put_many(&self, prefix: &str, count: usize) {
        for number in 0..count {
            let key = format!("{prefix}{}", number % 50);
            self.put(&key, &"x".repeat(100)).expect("the primary takes writes");
        }
    }

    pub(crate) fn sequence(&self) -> u64 {
        self.engine().status().log_sequence
    }
}

pub(crate) fn bell() -> (Arc<dyn Notify>, Receiver<()>) {
    let (sender, rung) = channel();
    (Arc::new(Told(Mutex::new(sender))), rung)
}

/// Two members that dial each other.
pub(crate) fn pair(seed: u64) -> (Member, Member) {
    let (a, b) = (Link::new(), Link::new());
    let first = Member::new("first", seed, &a, &[&b]);
    let second = Member::new("second", seed + 1_000, &b, &[&a]);
    (first, second)
}

/// A primary, and a standby that holds what it holds.
pub(crate) fn running_pair(seed: u64) -> (Member, Member) {
    let (mut primary, mut standby) = pair(seed);
    primary.start(Role::Primary);
    standby.start(Role::Standby);
    primary.put_many("first", 20);
    wait_until_equal(&primary, &standby);
    (primary, standby)
}

/// Looks until it is so.
pub(crate) fn wait_until(what: &str, members: &[&Member], mut so: impl FnMut() -> bool) {
    let (_never_rung, rung) = channel::<()>();
    let looks = PATIENCE.as_millis() / LOOK_AGAIN.as_millis();
    for _ in 0..looks {
        if so() {
            return;
        }
        let _ = rung.recv_timeout(LOOK_AGAIN);
    }
    let states: Vec<_> = members.iter().map(|member| (member.name, member.status())).collect();
    panic!("never: {what}; {states:#?}");
}

pub(crate) fn wait_until_equal(primary: &Member, standby: &Member) {
    wait_until("the standby has what the primary has", &[primary, standby], || {
        let (ours, theirs) = (primary.engine().status(), standby.engine().status());
        (ours.cluster_id, ours.log_sequence) == (theirs.cluster_id, theirs.log_sequence)
            && standby.status().primary.is_some()
    });
    let hash = |member: &Member| member.engine().hash_kv(Revision(0)).expect("a hash");
    assert_eq!(hash(primary), hash(standby));
    assert_eq!(primary.engine().leases(), standby.engine().leases());
}
