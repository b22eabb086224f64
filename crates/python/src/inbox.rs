//! Where the engine's threads leave what an event loop shall take: answers, and the watches that
//! have something. One wake-up, whatever has gathered until the loop looks.
//!
//! Bounded by what was asked for: an answer a queued command (the engine bounds those), and one
//! notice a watch.

use std::mem;
use std::sync::Arc;

use decube_engine::{Answer, Mailbox, Notify};
use parking_lot::Mutex;

use crate::bell::Bell;

pub(crate) struct Inbox {
    waiting: Mutex<Waiting>,
    bell: Bell,
}

#[derive(Default)]
pub(crate) struct Waiting {
    pub(crate) answers: Vec<Answer>,
    pub(crate) watches: Vec<u64>,
    rung: bool,
}

impl Inbox {
    pub(crate) fn new(bell: Bell) -> Self {
        Self { waiting: Mutex::default(), bell }
    }

    pub(crate) fn bell(&self) -> &Bell {
        &self.bell
    }

    /// Takes all there is. What comes later rings anew.
    pub(crate) fn take(&self) -> Waiting {
        self.bell.hush();
        mem::take(&mut *self.waiting.lock())
    }

    fn leave(&self, put: impl FnOnce(&mut Waiting)) {
        let mut waiting = self.waiting.lock();
        put(&mut waiting);
        let ring = !mem::replace(&mut waiting.rung, true);
        drop(waiting);
        if ring {
            self.bell.ring();
        }
    }
}

impl Mailbox for Inbox {
    fn deliver(&self, answers: Vec<Answer>) {
        self.leave(|waiting| {
            if waiting.answers.is_empty() {
                waiting.answers = answers;
            } else {
                waiting.answers.extend(answers);
            }
        });
    }
}

/// Tells the inbox that one watch has something.
pub(crate) struct WatchNotice {
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) id: u64,
}

impl Notify for WatchNotice {
    fn notify(&self) {
        self.inbox.leave(|waiting| waiting.watches.push(self.id));
    }
}
