//! Headers that have yet to come to their end.
//!
//! Of each call h2 takes headers up to a bound, which is high enough for tokens and what else
//! travels with calls; of few bytes that a table stands behind it makes a list of that length, and
//! keeps it until their end has come. That is nearly always in the same frame. So only some of the
//! connections may be amid headers of several frames at a time, and not for long. Trailers, which
//! no client of gRPC sends, are kept until somebody reads them, in each of thousands of calls: they
//! are to be short.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};

use crate::connection::frames::{END_HEADERS, FrameHead, HEADERS};

/// A frame of trailers.
const TRAILER_BYTES_MAX: u32 = 256;

/// What a worker's connections have in common.
pub(in crate::connection) struct HeaderRoom {
    places: Arc<Semaphore>,
    patience: Duration,
}

impl HeaderRoom {
    pub(in crate::connection) fn new(places: usize, patience: Duration) -> Self {
        Self { places: Arc::new(Semaphore::new(places)), patience }
    }
}

/// Of one connection.
pub(super) struct Unfinished {
    room: Arc<HeaderRoom>,
    last_stream: u32,
    begun: Option<Begun>,
}

/// It is amid headers.
struct Begun {
    _place: OwnedSemaphorePermit,
    late: Pin<Box<Sleep>>,
}

impl Unfinished {
    pub(super) fn new(room: Arc<HeaderRoom>) -> Self {
        Self { room, last_stream: 0, begun: None }
    }

    /// Looks at the head of each frame of headers.
    pub(super) fn see(&mut self, head: FrameHead) -> io::Result<()> {
        let ends = head.flags & END_HEADERS != 0;
        if head.kind == HEADERS {
            if head.stream > self.last_stream {
                self.last_stream = head.stream;
            } else if !ends || head.payload_bytes > TRAILER_BYTES_MAX {
                return Err(io::Error::other("the client sends long trailers"));
            }
        }
        if ends {
            self.begun = None;
        } else if self.begun.is_none() {
            let place = Arc::clone(&self.room.places).try_acquire_owned();
            let place = place.map_err(|_full| io::Error::other("too many unfinished headers"))?;
            let late = Box::pin(sleep(self.room.patience));
            self.begun = Some(Begun { _place: place, late });
        }
        Ok(())
    }

    /// Ready when the end has been waited for too long.
    pub(super) fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match &mut self.begun {
            Some(begun) => begun.late.as_mut().poll(context),
            None => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::time::Instant;

    use super::*;
    use crate::connection::frames::CONTINUATION;

    const PATIENCE: Duration = Duration::from_secs(60);

    fn room(places: usize) -> Arc<HeaderRoom> {
        Arc::new(HeaderRoom::new(places, PATIENCE))
    }

    fn head(kind: u8, flags: u8, stream: u32) -> FrameHead {
        FrameHead { payload_bytes: TRAILER_BYTES_MAX, kind, flags, stream }
    }

    #[tokio::test]
    async fn headers_of_several_frames_take_a_place_until_their_end() {
        let room = room(1);
        let (mut first, mut second) =
            (Unfinished::new(Arc::clone(&room)), Unfinished::new(Arc::clone(&room)));
        first.see(head(HEADERS, 0, 1)).expect("a place");
        first.see(head(CONTINUATION, 0, 1)).expect("the same");
        second.see(head(HEADERS, END_HEADERS, 1)).expect("it needs none");
        second.see(head(HEADERS, 0, 3)).expect_err("there is none");
        first.see(head(CONTINUATION, END_HEADERS, 1)).expect("the end");
        second.see(head(HEADERS, 0, 5)).expect("a place");
        drop(second);
        first.see(head(HEADERS, 0, 3)).expect("a place");
    }

    #[tokio::test(start_paused = true)]
    async fn their_end_is_waited_for_but_not_for_ever() {
        let mut unfinished = Unfinished::new(room(1));
        unfinished.see(head(HEADERS, 0, 1)).expect("a place");
        let begun = Instant::now();
        poll_fn(|context| unfinished.poll_late(context)).await;
        assert_eq!(begun.elapsed(), PATIENCE);
    }

    #[tokio::test]
    async fn trailers_are_short() {
        let mut unfinished = Unfinished::new(room(9));
        unfinished.see(head(HEADERS, END_HEADERS, 1)).expect("a call");
        unfinished.see(head(HEADERS, END_HEADERS, 1)).expect("short trailers");
        unfinished.see(head(HEADERS, 0, 1)).expect_err("longer than a frame");
        let long =
            FrameHead { payload_bytes: TRAILER_BYTES_MAX + 1, ..head(HEADERS, END_HEADERS, 1) };
        unfinished.see(long).expect_err("longer than they may be");
    }
}
