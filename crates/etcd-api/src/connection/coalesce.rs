//! A connection's socket, with the writes of one poll gathered into one system call.
//!
//! h2 flushes before each frame it does not copy, that is once for every answer above 256 bytes;
//! a `writev` for each was nearly half of the processor time of a read. Here writes only append to
//! a buffer, flushing does nothing, and whoever polls the connection calls
//! [`Coalesced::poll_drain`] after each poll: one write for all the answers that became ready
//! together. Since all bytes pass here, pings are counted here, too, and what h2 would refuse without
//! need is replaced.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use decube_tls::Socket;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::headers::{HeaderRoom, Headers};
use super::pings::{PREFACE, PingWatch};

/// Gathered at most; above it the connection waits for the socket.
const PENDING_BYTES_MAX: usize = 64 << 10;

/// The buffer is given back when a poll leaves it larger than this and empty.
const IDLE_BYTES_MAX: usize = 8 << 10;

/// Of what was missing, read at once.
const MISSING_BYTES_MAX: usize = 2 << 10;

/// The socket, shared between the HTTP connection and the task that polls it. The lock is never
/// contended: both are on one thread.
#[derive(Clone)]
pub(super) struct Coalesced(Arc<Mutex<Inner>>);

struct Inner {
    stream: Socket,
    pending: BytesMut,
    pings: PingWatch,
    headers: Headers,
}

impl Coalesced {
    pub(super) fn new(stream: Socket, pings: PingWatch, room: Arc<HeaderRoom>) -> Self {
        let headers = Headers::new(PREFACE.len(), room);
        Self(Arc::new(Mutex::new(Inner { stream, pending: BytesMut::new(), pings, headers })))
    }

    /// Writes what was gathered; ready when nothing is left.
    pub(super) fn poll_drain(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.lock().poll_drain(context)
    }

    /// Whether the client said which protocol it speaks.
    pub(super) fn is_greeted(&self) -> bool {
        self.0.lock().pings.is_greeted()
    }

    /// Gathers what a client that pinged too often is told last; false if it did not.
    pub(super) fn bid_farewell(&self) -> bool {
        let mut inner = self.0.lock();
        let farewell = inner.pings.farewell();
        inner.pending.extend_from_slice(farewell.as_deref().unwrap_or_default());
        farewell.is_some()
    }

    /// Forgets what the client still sends; ready when it sends nothing more.
    pub(super) fn poll_discard(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut room = [0; 4096];
        loop {
            let mut buffer = ReadBuf::new(&mut room);
            let read = Pin::new(&mut self.0.lock().stream).poll_read(context, &mut buffer);
            if ready!(read).is_err() || buffer.filled().is_empty() {
                return Poll::Ready(());
            }
        }
    }
}

impl Inner {
    fn poll_drain(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.pending.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, &self.pending))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.pending.advance(written);
        }
        if self.pending.capacity() > IDLE_BYTES_MAX {
            self.pending = BytesMut::new();
        }
        // Of what was written, TLS may still hold something.
        Pin::new(&mut self.stream).poll_flush(context)
    }

    /// Reads, and counts the pings.
    fn poll_receive(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if read.is_pending() {
            self.pings.run_dry();
            if self.headers.poll_late(context).is_ready() {
                return Poll::Ready(Err(io::Error::other("the end of headers does not come")));
            }
        } else if !self.pings.receive(buffer.filled().get(before..).unwrap_or_default()) {
            return Poll::Ready(Err(io::Error::other("the client pings too often")));
        }
        read
    }

    fn gather(&mut self, bytes: &[u8]) {
        self.pings.send(bytes);
        self.pending.extend_from_slice(bytes);
    }

    /// Makes room for more, or waits for the socket.
    fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.pending.len() < PENDING_BYTES_MAX {
            return Poll::Ready(Ok(()));
        }
        self.poll_drain(context)
    }
}

impl AsyncRead for Coalesced {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let inner = &mut *self.0.lock();
        loop {
            if inner.headers.release(buffer) {
                return Poll::Ready(Ok(()));
            }
            if let Some(missing) = inner.headers.missing() {
                let mut room = [0; MISSING_BYTES_MAX];
                let room = room.get_mut(..missing.min(MISSING_BYTES_MAX)).unwrap_or_default();
                let mut part = ReadBuf::new(room);
                ready!(inner.poll_receive(context, &mut part))?;
                inner.headers.resume(part.filled());
                continue;
            }
            let before = buffer.filled().len();
            ready!(inner.poll_receive(context, buffer))?;
            let received = buffer.filled_mut().get_mut(before..).unwrap_or_default();
            if received.is_empty() || !inner.pings.may_be_http2() {
                return Poll::Ready(Ok(()));
            }
            let handed_on = inner.headers.receive(received)?;
            buffer.set_filled(before + handed_on);
            if handed_on > 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for Coalesced {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut inner = self.0.lock();
        ready!(inner.poll_room(context))?;
        inner.gather(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut inner = self.0.lock();
        ready!(inner.poll_room(context))?;
        for slice in slices {
            inner.gather(slice);
        }
        Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.0.lock();
        ready!(inner.poll_drain(context))?;
        Pin::new(&mut inner.stream).poll_shutdown(context)
    }
}
