//! The core's log events, queued for Python's logger to write them with its own.
//!
//! Events come from any thread; a full queue drops the newest and counts them, because a log must
//! never hold up the store. Of other crates only warnings and errors are wanted.

use std::collections::VecDeque;
use std::fmt::{Debug, Write};
use std::mem;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;

use decube_engine::{Clock, SystemClock};
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span;
use tracing::{Event, Level, Metadata, Subscriber};

use crate::bell::Bell;
use crate::errors;
use crate::owned::Owned;

/// Events of these crates are ours.
const OURS: &str = "decube";

/// A longer text is cut: one event must not fill the memory.
const TEXT_BYTES_MAX: usize = 4096;

#[pyclass(name = "LogQueue", module = "decube._native", frozen)]
pub(crate) struct PyLogQueue {
    queue: Owned<Arc<Queue>>,
}

#[pymethods]
impl PyLogQueue {
    #[staticmethod]
    fn open(py: Python<'_>, level: &str, events_max: usize) -> PyResult<Self> {
        let level = level_of(level)?;
        let bell = Bell::new()
            .map_err(|error| errors::io_failed_at("cannot make a socket pair", &error))?;
        let queue = Arc::new(Queue { waiting: Mutex::default(), bell, events_max });
        let collector = Collector { queue: Arc::clone(&queue), level, clock: SystemClock::new() };
        py.detach(|| tracing::subscriber::set_global_default(collector)).map_err(|_| {
            errors::bad_argument("log", "the core's log events are collected already")
        })?;
        Ok(Self { queue: Owned::new(queue) })
    }

    fn fileno(&self) -> PyResult<RawFd> {
        Ok(self.queue.get()?.bell.descriptor())
    }

    fn take<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyList>, u64)> {
        let queue = self.queue.get()?;
        let waiting = py.detach(|| queue.take());
        let list = PyList::empty(py);
        for event in waiting.events {
            let fields = PyDict::new(py);
            for (name, value) in event.fields {
                fields.set_item(name, value)?;
            }
            let wall_s = event.wall.as_secs_f64();
            list.append((wall_s, event.level, event.target, event.message, fields))?;
        }
        Ok((list, waiting.dropped))
    }
}

fn level_of(level: &str) -> PyResult<LevelFilter> {
    match level {
        "error" => Ok(LevelFilter::ERROR),
        "warn" => Ok(LevelFilter::WARN),
        "info" => Ok(LevelFilter::INFO),
        "debug" => Ok(LevelFilter::DEBUG),
        _ => Err(errors::bad_argument("level", format!("no log level {level:?}"))),
    }
}

struct LogEvent {
    wall: Duration,
    level: &'static str,
    target: &'static str,
    message: String,
    fields: Vec<(&'static str, Value)>,
}

#[derive(IntoPyObject)]
enum Value {
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Text(String),
}

#[derive(Default)]
struct Waiting {
    events: VecDeque<LogEvent>,
    dropped: u64,
    rung: bool,
}

struct Queue {
    waiting: Mutex<Waiting>,
    bell: Bell,
    events_max: usize,
}

impl Queue {
    fn take(&self) -> Waiting {
        self.bell.hush();
        mem::take(&mut *self.waiting.lock())
    }

    fn put(&self, event: LogEvent) {
        let mut waiting = self.waiting.lock();
        if waiting.events.len() < self.events_max {
            waiting.events.push_back(event);
        } else {
            waiting.dropped += 1;
        }
        let ring = !mem::replace(&mut waiting.rung, true);
        drop(waiting);
        if ring {
            self.bell.ring();
        }
    }
}

struct Collector {
    queue: Arc<Queue>,
    level: LevelFilter,
    clock: SystemClock,
}

impl Subscriber for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let wanted =
            if metadata.target().starts_with(OURS) { self.level } else { LevelFilter::WARN };
        metadata.is_event() && *metadata.level() <= wanted.min(self.level)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let mut fields = Fields::default();
        event.record(&mut fields);
        self.queue.put(LogEvent {
            wall: self.clock.wall(),
            level: name_of(*metadata.level()),
            target: metadata.target(),
            message: fields.message,
            fields: fields.others,
        });
    }

    // Spans are not collected.
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

fn name_of(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        _ => "debug",
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, Value)>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        self.others.push((field.name(), value));
    }

    fn put_text(&mut self, field: &Field, mut text: String) {
        let mut length = TEXT_BYTES_MAX.min(text.len());
        while !text.is_char_boundary(length) {
            length -= 1;
        }
        text.truncate(length);
        if field.name() == "message" {
            self.message = text;
        } else {
            self.put(field, Value::Text(text));
        }
    }
}

impl Visit for Fields {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Value::Bool(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Value::Signed(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, Value::Unsigned(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, Value::Float(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put_text(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut text = String::new();
        // Writing into a string fails only when a Debug implementation says so.
        let _ = write!(text, "{value:?}");
        self.put_text(field, text);
    }
}
