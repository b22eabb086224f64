//! Where a worker waits for the engine: a mailbox that the writer fills once per group commit, and
//! the bells of the watch streams. Either way the worker's thread is woken once, and wakes its own
//! tasks from inside, which costs no system call.
//!
//! A ticket is the index of a slot. A slot is taken before the command is submitted and is free
//! again when its answer was taken, or, if nobody waits any more, when the answer arrives: so a
//! ticket never names two commands at a time.
//!
//! Lock order: `delivered` and `slots` are never held together. `slots` is touched by the worker's
//! thread alone and wakers are called after it is let go of.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use decube_engine::{Answer, Error, Mailbox, Outcome};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// One worker's inbox.
#[derive(Default)]
pub(crate) struct Answers {
    delivered: Mutex<Delivered>,
    slots: Mutex<Slots>,
    bell: Notify,
}

#[derive(Default)]
struct Delivered {
    answers: Vec<Answer>,
    streams: Vec<Arc<StreamBell>>,
}

#[derive(Default)]
struct Slots {
    slots: Vec<Slot>,
    free: Vec<usize>,
}

enum Slot {
    Free,
    Waiting(Option<Waker>),
    Answered(Result<Outcome, Error>),
    /// The caller went away; the answer is yet to come.
    Abandoned,
}

impl Answers {
    /// Asks for something by a ticket; the future gives the answer.
    pub(crate) fn ask(
        self: &Arc<Self>,
        by: impl FnOnce(u64) -> Result<(), Error>,
    ) -> Result<Answered, Error> {
        let slot = self.slots.lock().take_free();
        if let Err(error) = by(slot as u64) {
            self.slots.lock().free(slot);
            return Err(error);
        }
        Ok(Answered { answers: Arc::clone(self), slot })
    }

    /// Hands out what the engine delivers; runs for as long as the worker does.
    pub(crate) async fn dispatch(self: Arc<Self>) {
        let mut wakers = Vec::new();
        loop {
            self.bell.notified().await;
            let delivered = mem::take(&mut *self.delivered.lock());
            {
                let mut slots = self.slots.lock();
                for answer in delivered.answers {
                    wakers.extend(slots.answer(answer));
                }
            }
            wakers.drain(..).for_each(Waker::wake);
            for stream in delivered.streams {
                stream.wake();
            }
        }
    }
}

impl Mailbox for Answers {
    fn deliver(&self, answers: Vec<Answer>) {
        let mut delivered = self.delivered.lock();
        if delivered.answers.is_empty() {
            delivered.answers = answers;
        } else {
            delivered.answers.extend(answers);
        }
        drop(delivered);
        self.bell.notify_one();
    }
}

impl Slots {
    fn take_free(&mut self) -> usize {
        if let Some(index) = self.free.pop()
            && let Some(slot) = self.slots.get_mut(index)
        {
            *slot = Slot::Waiting(None);
            return index;
        }
        self.slots.push(Slot::Waiting(None));
        self.slots.len() - 1
    }

    fn free(&mut self, index: usize) {
        if let Some(slot) = self.slots.get_mut(index) {
            *slot = Slot::Free;
            self.free.push(index);
        }
    }

    fn answer(&mut self, answer: Answer) -> Option<Waker> {
        let index = usize::try_from(answer.ticket).ok()?;
        let slot = self.slots.get_mut(index)?;
        match slot {
            Slot::Waiting(waker) => {
                let waker = waker.take();
                *slot = Slot::Answered(answer.result);
                waker
            }
            Slot::Abandoned => {
                self.free(index);
                None
            }
            Slot::Free | Slot::Answered(_) => {
                tracing::error!(ticket = answer.ticket, "the engine answered a command twice");
                None
            }
        }
    }
}

/// A command's answer, once there is one. Dropping it does not take the command back.
pub(crate) struct Answered {
    answers: Arc<Answers>,
    slot: usize,
}

impl Future for Answered {
    type Output = Result<Outcome, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut slots = self.answers.slots.lock();
        match slots.slots.get_mut(self.slot) {
            Some(Slot::Waiting(waker)) => {
                *waker = Some(context.waker().clone());
                Poll::Pending
            }
            Some(slot @ Slot::Answered(_)) => match mem::replace(slot, Slot::Free) {
                Slot::Answered(result) => Poll::Ready(result),
                _ => Poll::Ready(Err(Error::Closed)),
            },
            _ => Poll::Ready(Err(Error::Closed)),
        }
    }
}

impl Drop for Answered {
    fn drop(&mut self) {
        let mut slots = self.answers.slots.lock();
        match slots.slots.get_mut(self.slot) {
            Some(slot @ Slot::Waiting(_)) => *slot = Slot::Abandoned,
            Some(Slot::Answered(_) | Slot::Free) => slots.free(self.slot),
            Some(Slot::Abandoned) | None => {}
        }
    }
}

/// Wakes one watch stream's task when its watchers have something.
#[derive(Default)]
pub(crate) struct StreamBell {
    rung: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl StreamBell {
    /// Asks to be woken by the next ring; what was rung before is forgotten, so look afterwards.
    pub(crate) fn arm(&self, context: &Context<'_>) {
        let mut waker = self.waker.lock();
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            *waker = Some(context.waker().clone());
        }
        drop(waker);
        self.rung.store(false, Ordering::Release);
    }

    fn wake(&self) {
        let waker = self.waker.lock().clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The engine's end of a [`StreamBell`].
pub(crate) struct Ringer {
    pub(crate) bell: Arc<StreamBell>,
    pub(crate) answers: Arc<Answers>,
}

impl decube_engine::Notify for Ringer {
    fn notify(&self) {
        if !self.bell.rung.swap(true, Ordering::AcqRel) {
            self.answers.delivered.lock().streams.push(Arc::clone(&self.bell));
            self.answers.bell.notify_one();
        }
    }
}
