//! How far a standby is behind at a steady rate of writes, and how fast it catches up.
//!
//! `cargo run --release --example lag -p decube-replication -- DIRECTORY [writes a second] [seconds] [writes to catch up]`

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use bytes::Bytes;
use decube_engine::vfs::Disk;
use decube_engine::{
    Answer, Command, Engine, LogLocation, Mailbox, Notify, Options, Outcome, PutRequest, Role,
    Storage, SystemClock,
};
use decube_replication::{Addresses, Replication, ReplicationOptions};
use parking_lot::Mutex;

const OUTSTANDING: usize = 1_000;
const VALUE_BYTES: usize = 256;

/// Nobody looks at the status here.
struct Silent;

impl Notify for Silent {
    fn notify(&self) {}
}

/// When each put was durable, by its ticket.
struct Acknowledged(Mutex<Sender<(u64, i64, Instant)>>);

impl Mailbox for Acknowledged {
    fn deliver(&self, answers: Vec<Answer>) {
        let (now, sender) = (now(), self.0.lock());
        for answer in answers {
            let Ok(Outcome::Put(put)) = answer.result else { panic!("a put is answered") };
            sender.send((answer.ticket, put.revision.0, now)).expect("the measurer lives");
        }
    }
}

/// When the standby showed a revision.
struct Shown(Engine, Mutex<Sender<(i64, Instant)>>);

impl Notify for Shown {
    fn notify(&self) {
        let shown = (self.0.revision().0, now());
        let _ = self.1.lock().send(shown);
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().expect("a directory");
    let mut number =
        |default: u64| arguments.next().map_or(default, |text| text.parse().expect("a number"));
    let (rate, seconds, to_catch_up) = (number(5_000), number(10), number(200_000));
    let primary = open(&Path::new(&dir).join("primary"), Role::Primary);
    let standby = open(&Path::new(&dir).join("standby"), Role::Standby);
    let serving = replicate(&primary, Vec::new());
    let address = serving.local_address().to_string();
    let copying = replicate(&standby, vec![address.clone()]);
    steady(&primary, &standby, rate, seconds);
    copying.stop();
    let local = burst(&primary, to_catch_up);
    let started = now();
    let _copying = replicate(&standby, vec![address]);
    wait_for(&standby, &primary);
    let caught_up = per_second(to_catch_up, started.elapsed());
    println!("local writes {local:.0}/s, catching up {caught_up:.0}/s: {:.2}", caught_up / local);
}

fn open(dir: &Path, role: Role) -> Engine {
    let vfs = Arc::new(Disk);
    let location = LogLocation { log_dir: dir.into(), checkpoint_dir: dir.into(), vfs };
    let options = Options { role, ..Options::new(Storage::Log(location)) };
    Engine::open(options).expect("the store opens")
}

fn replicate(engine: &Engine, peers: Vec<String>) -> Replication {
    let options = ReplicationOptions {
        listen: "127.0.0.1:0".parse().expect("an address"),
        peers,
        token: Some("secret".into()),
        server_tls: None,
        client_tls: None,
        tls_reload_interval: Duration::from_secs(3),
        name: "member".into(),
        addresses: Addresses::default(),
        peer_timeout: Duration::from_secs(5),
        retry_interval: Duration::from_millis(100),
        max_retries: 3,
        window_bytes: 8 << 20,
        clock: Arc::new(SystemClock::new()),
        notify: Arc::new(Silent),
    };
    Replication::start(engine.clone(), options).expect("replication starts")
}

/// Puts at a rate, and how long after each was durable here it was there.
fn steady(primary: &Engine, standby: &Engine, rate: u64, seconds: u64) {
    put_all(primary, 1_000, None);
    wait_for(standby, primary);
    let (sender, shown) = channel();
    let from = standby.status().log_sequence + 1;
    let shown_by = Arc::new(Shown(standby.clone(), Mutex::new(sender)));
    let follower = standby.follow(from, shown_by).expect("its log");
    let puts = put_all(primary, rate * seconds, Some(rate));
    wait_for(standby, primary);
    drop(follower);
    let durable: Vec<_> = puts.iter().map(|put| put.acknowledged - put.submitted).collect();
    let shown: Vec<_> = shown.iter().collect();
    let lag = puts.iter().map(|put| {
        let at = shown.partition_point(|(revision, _)| *revision < put.revision);
        let shown = shown.get(at).expect("the standby has it").1;
        shown.saturating_duration_since(put.acknowledged)
    });
    report("durable here, after it was submitted", durable);
    report("there, after it was durable here", lag.collect());
}

/// Puts as fast as it goes; returns how many a second.
fn burst(engine: &Engine, puts: u64) -> f64 {
    let started = now();
    put_all(engine, puts, None);
    per_second(puts, started.elapsed())
}

struct Put {
    revision: i64,
    submitted: Instant,
    acknowledged: Instant,
}

fn put_all(engine: &Engine, puts: u64, rate: Option<u64>) -> Vec<Put> {
    let (sender, answered) = channel();
    let mailbox: Arc<dyn Mailbox> = Arc::new(Acknowledged(Mutex::new(sender)));
    let value = Bytes::from(vec![b'v'; VALUE_BYTES]);
    let (never, started) = (channel::<()>(), now());
    let mut submitted = Vec::new();
    let mut done = Vec::new();
    for number in 0..puts {
        if let Some(rate) = rate {
            pace(&never.1, started, Duration::from_nanos(number * 1_000_000_000 / rate));
        }
        while submitted.len() - done.len() >= OUTSTANDING {
            take(&answered, &submitted, &mut done);
        }
        let key = format!("/registry/pods/default/pod-{:08}", number % 100_000);
        let put = PutRequest { key: key.into(), value: value.clone(), ..PutRequest::default() };
        submitted.push(now());
        engine.submit(Command::Put(put), &mailbox, number).expect("the queue has room");
    }
    while done.len() < submitted.len() {
        take(&answered, &submitted, &mut done);
    }
    done
}

fn take(answered: &Receiver<(u64, i64, Instant)>, submitted: &[Instant], done: &mut Vec<Put>) {
    let (ticket, revision, acknowledged) = answered.recv().expect("the store answers");
    let submitted =
        *submitted.get(usize::try_from(ticket).expect("a small number")).expect("it was submitted");
    done.push(Put { revision, submitted, acknowledged });
}

fn pace(never: &Receiver<()>, started: Instant, due: Duration) {
    let left = due.saturating_sub(started.elapsed());
    if left > Duration::from_millis(1) {
        let _ = never.recv_timeout(left);
    }
}

fn wait_for(standby: &Engine, primary: &Engine) {
    let (_sender, never) = channel::<()>();
    while standby.status().log_sequence < primary.status().log_sequence {
        let _ = never.recv_timeout(Duration::from_millis(1));
    }
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let last = times.len().saturating_sub(1);
    let at = |percent: usize| {
        times.get(last * percent / 100).map_or(0.0, |time| time.as_secs_f64() * 1e3)
    };
    println!("{what}: p50 {:.2} ms, p99 {:.2} ms, most {:.2} ms", at(50), at(99), at(100));
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn per_second(count: u64, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64()
}

#[expect(clippy::disallowed_methods, reason = "measures the machine")]
fn now() -> Instant {
    Instant::now()
}
