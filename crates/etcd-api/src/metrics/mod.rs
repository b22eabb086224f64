//! What is counted while serving. Every worker counts for itself, so that no counter is shared
//! between threads; whoever shows them adds them up.

mod checks;
mod clients;
mod requests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tonic::Code;

pub(crate) use self::checks::{CHECKS_MAX, CheckResults};
pub(crate) use self::clients::ClientRequests;
pub(crate) use self::requests::{Asked, RequestTimes};
use crate::grpc::Method;

/// gRPC's codes, 0 to 16.
const CODES: usize = 17;

/// One worker's counters.
#[derive(Default)]
pub(crate) struct Counters {
    methods: [MethodCounters; Method::ALL.len()],
    pub(crate) received_bytes: Counter,
    pub(crate) sent_bytes: Counter,
    pub(crate) events_sent: Counter,
    pub(crate) connections_opened: Counter,
    pub(crate) connections_closed: Counter,
    pub(crate) health_successes: Counter,
    pub(crate) health_failures: Counter,
    pub(crate) clients: ClientRequests,
    pub(crate) times: RequestTimes,
}

#[derive(Default)]
struct MethodCounters {
    started: Counter,
    handled: [Counter; CODES],
    received: Counter,
    sent: Counter,
}

impl MethodCounters {
    fn passed(&self, passed: Passed) -> &Counter {
        match passed {
            Passed::Received => &self.received,
            Passed::Sent => &self.sent,
        }
    }
}

/// Which way a message went.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Passed {
    Received,
    Sent,
}

/// One call, for whoever reads and writes its messages.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) counters: &'a Counters,
    pub(crate) method: Method,
}

impl Call<'_> {
    /// A message of so many bytes came.
    pub(crate) fn received(self, bytes: usize) {
        self.counters.received_bytes.add(bytes as u64);
        self.counters.pass(self.method, Passed::Received);
    }

    /// A message of so many bytes goes.
    pub(crate) fn sent(self, bytes: usize) {
        self.counters.sent_bytes.add(bytes as u64);
        self.counters.pass(self.method, Passed::Sent);
    }
}

/// A number that only grows.
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    pub(crate) fn start(&self, method: Method) {
        if let Some(counters) = self.methods.get(method as usize) {
            counters.started.add(1);
        }
    }

    pub(crate) fn handle(&self, method: Method, code: Code) {
        let counters = self.methods.get(method as usize);
        if let Some(counter) = counters.and_then(|counters| counters.handled.get(code as usize)) {
            counter.add(1);
        }
    }

    /// A message of a call came, or goes.
    pub(crate) fn pass(&self, method: Method, passed: Passed) {
        if let Some(counters) = self.methods.get(method as usize) {
            counters.passed(passed).add(1);
        }
    }

    /// How many messages came, or went.
    pub(crate) fn messages(&self, method: Method, passed: Passed) -> u64 {
        self.methods.get(method as usize).map_or(0, |counters| counters.passed(passed).get())
    }

    pub(crate) fn started(&self, method: Method) -> u64 {
        self.methods.get(method as usize).map_or(0, |counters| counters.started.get())
    }

    /// How often the method ended with each code, from 0.
    pub(crate) fn handled(&self, method: Method) -> impl Iterator<Item = u64> {
        let counters = self.methods.get(method as usize);
        counters.into_iter().flat_map(|counters| counters.handled.iter().map(Counter::get))
    }
}

/// A stream that is counted as handled when it ends, or as cancelled when it is dropped.
pub(crate) struct OpenStream {
    counters: Arc<Counters>,
    method: Method,
    ended: bool,
}

impl OpenStream {
    pub(crate) fn new(counters: &Arc<Counters>, method: Method) -> Self {
        Self { counters: Arc::clone(counters), method, ended: false }
    }

    pub(crate) fn end(&mut self, code: Code) {
        if !std::mem::replace(&mut self.ended, true) {
            self.counters.handle(self.method, code);
        }
    }

    pub(crate) fn call(&self) -> Call<'_> {
        Call { counters: &self.counters, method: self.method }
    }

    pub(crate) fn events_sent(&self, count: usize) {
        self.counters.events_sent.add(count as u64);
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.end(Code::Cancelled);
    }
}
