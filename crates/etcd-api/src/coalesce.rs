//! A connection's socket, with the writes of one poll gathered into one system call.
//!
//! h2 flushes before each frame it does not copy, that is once for every answer above 256 bytes;
//! a `writev` for each was nearly half of the processor time of a read. Here writes only append to
//! a buffer, flushing does nothing, and whoever polls the connection calls
//! [`Coalesced::poll_drain`] after each poll: one write for all the answers that became ready
//! together.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Gathered at most; above it the connection waits for the socket.
const PENDING_BYTES_MAX: usize = 64 << 10;

/// The buffer is given back when a poll leaves it larger than this and empty.
const IDLE_BYTES_MAX: usize = 8 << 10;

/// The socket, shared between the HTTP connection and the task that polls it. The lock is never
/// contended: both are on one thread.
#[derive(Clone)]
pub(crate) struct Coalesced(Arc<Mutex<Inner>>);

struct Inner {
    stream: TcpStream,
    pending: BytesMut,
}

impl Coalesced {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self(Arc::new(Mutex::new(Inner { stream, pending: BytesMut::new() })))
    }

    /// Writes what was gathered; ready when nothing is left.
    pub(crate) fn poll_drain(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.lock().poll_drain(context)
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
        Poll::Ready(Ok(()))
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
        Pin::new(&mut self.0.lock().stream).poll_read(context, buffer)
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
        inner.pending.extend_from_slice(bytes);
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
            inner.pending.extend_from_slice(slice);
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
