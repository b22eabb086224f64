//! Room for the messages that are still on their way.
//!
//! Nearly every message comes in one frame and needs none. Of one that does not, what came is kept
//! until its end is there, and a client may begin a large message in each of thousands of calls and
//! end none. So they have room in common. A call that finds none is shed, and one whose message does
//! not come to its end in time is let go.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};
use tonic::Status;

use super::gzip;
use crate::status;

/// What is known of messages before they are read.
#[derive(Debug)]
pub(crate) struct Arriving {
    /// Of one message.
    message_bytes_max: usize,
    /// Of all together.
    room: Semaphore,
    patience: Duration,
}

impl Arriving {
    pub(crate) fn new(message_bytes_max: usize, room_bytes: usize, patience: Duration) -> Self {
        let room = Semaphore::new(room_bytes.min(Semaphore::MAX_PERMITS));
        Self { message_bytes_max, room, patience }
    }

    /// Refuses a message that is too long.
    pub(super) fn check_length(&self, length: usize) -> Result<(), Status> {
        if length > self.message_bytes_max {
            return Err(status::message_too_large(length, self.message_bytes_max));
        }
        Ok(())
    }

    /// The message that a client compressed, if it is not too long then.
    pub(super) fn inflate(&self, compressed: &[u8]) -> Result<Bytes, Status> {
        gzip::inflate(compressed, self.message_bytes_max)
    }

    /// Room for a message of which so many bytes have come.
    pub(crate) fn room_for(&self, bytes: usize) -> Result<Room<'_>, Status> {
        let mut room = Room { of: self, taken: None };
        room.grow(bytes)?;
        Ok(room)
    }

    /// Waits for a part of a message, but not for ever; `due`: when the last part must be here, from
    /// the first wait on.
    pub(super) async fn in_time<T>(
        &self,
        due: &mut Option<Instant>,
        part: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, Status> {
        let due = *due.get_or_insert_with(|| Instant::now() + self.patience);
        let arrived = timeout_at(due, part).await;
        arrived.unwrap_or_else(|_late| Err(status::message_too_late(self.patience)))
    }
}

/// What one message takes of the room; dropping it gives that back.
pub(crate) struct Room<'a> {
    of: &'a Arriving,
    taken: Option<SemaphorePermit<'a>>,
}

impl Room<'_> {
    /// More has come.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), Status> {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let more =
            self.of.room.try_acquire_many(bytes).map_err(|_full| status::too_many_requests())?;
        match &mut self.taken {
            Some(taken) => taken.merge(more),
            None => self.taken = Some(more),
        }
        Ok(())
    }
}
