//! Durable puts and point reads a second, and the CPU time each costs, through the public API.
//!
//! `cargo run --release --example throughput -p decube-engine -- [memory|DIRECTORY] [puts] [keys] [value bytes]`

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use bytes::Bytes;
use decube_engine::vfs::Disk;
use decube_engine::{
    Answer, Command, Engine, KeyRange, LogLocation, Mailbox, Options, PutRequest, RangeRequest,
    Storage,
};

const OUTSTANDING: usize = 1_000;

/// Passes each batch of answers on to the thread that submits.
struct Window(Sender<usize>);

impl Mailbox for Window {
    fn deliver(&self, answers: Vec<Answer>) {
        for answer in &answers {
            answer.result.as_ref().expect("a put is answered");
        }
        self.0.send(answers.len()).expect("the submitter lives");
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let place = arguments.next().unwrap_or_else(|| "memory".into());
    let puts: u64 = arguments.next().map_or(1_000_000, |text| text.parse().expect("a number"));
    let keys: u64 = arguments.next().map_or(100_000, |text| text.parse().expect("a number"));
    let value_bytes = arguments.next().map_or(256, |text| text.parse().expect("a number"));
    let mut engine = None;
    measure("open", 1, || engine = Some(open(&place)));
    let engine = engine.expect("opened");
    println!("{:?}", engine.recovered());
    measure("put", puts, || put_all(&engine, puts, keys, value_bytes));
    measure("get", puts, || get_all(&engine, puts, keys));
    println!("{:?}", engine.status());
    println!("resident: {} MiB", resident_mib());
}

fn open(place: &str) -> Engine {
    let storage = if place == "memory" {
        Storage::Memory
    } else {
        let dir = PathBuf::from(place);
        let vfs = Arc::new(Disk);
        Storage::Log(LogLocation { log_dir: dir.clone(), checkpoint_dir: dir, vfs })
    };
    Engine::open(Options::new(storage)).expect("the store opens")
}

/// Spread over the key space; as many numbers as there are keys hit every key once.
fn key(number: u64, keys: u64) -> Bytes {
    let scattered = number.wrapping_mul(15_485_863) % keys;
    format!("/registry/pods/default/a-pod-with-a-usual-name-{scattered:012}").into()
}

fn put_all(engine: &Engine, puts: u64, keys: u64, value_bytes: usize) {
    let (sender, answered) = channel();
    let mailbox: Arc<dyn Mailbox> = Arc::new(Window(sender));
    let value = Bytes::from(vec![b'v'; value_bytes]);
    let mut outstanding = 0;
    for number in 0..puts {
        while outstanding >= OUTSTANDING {
            outstanding -= answered.recv().expect("the store answers");
        }
        let put = PutRequest { key: key(number, keys), value: value.clone(), ..Default::default() };
        engine.submit(Command::Put(put), &mailbox, number).expect("the queue has room");
        outstanding += 1;
    }
    while outstanding > 0 {
        outstanding -= answered.recv().expect("the store answers");
    }
}

fn get_all(engine: &Engine, gets: u64, keys: u64) {
    for number in 0..gets {
        let range = KeyRange { key: key(number, keys), end: Bytes::new() };
        let request = RangeRequest { range, ..Default::default() };
        assert_eq!(engine.range(&request).expect("a read").count, 1);
    }
}

#[expect(clippy::disallowed_methods, reason = "measures the machine")]
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn measure(name: &str, operations: u64, run: impl FnOnce()) {
    let (wall, cpu) = (Instant::now(), cpu_time());
    run();
    let (wall, cpu) = (wall.elapsed(), cpu_time().saturating_sub(cpu));
    let each = |time: Duration| time.as_secs_f64() * 1e6 / operations as f64;
    let rate = operations as f64 / wall.as_secs_f64();
    println!("{name}: {rate:.0}/s, {:.2} us CPU each, {:.2} us wall each", each(cpu), each(wall));
}

/// User and system time of the process: fields 14 and 15 of `stat`, in 1/100 s.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields = stat.rsplit(')').next().expect("a command").split(' ').skip(12).take(2);
    let ticks: u64 = fields.map(|field| field.parse::<u64>().expect("ticks")).sum();
    Duration::from_millis(ticks * 10)
}

fn resident_mib() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: u64 = statm.split(' ').nth(1).expect("a field").parse().expect("pages");
    pages * 4 / 1024
}
