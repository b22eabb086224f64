//! Wakes an event loop: a descriptor that turns readable when rung.
//!
//! A socket pair and not an eventfd, because the standard library has it on every Unix.

use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;

pub(crate) struct Bell {
    rope: UnixStream,
    ear: UnixStream,
}

impl Bell {
    pub(crate) fn new() -> io::Result<Self> {
        let (rope, ear) = UnixStream::pair()?;
        rope.set_nonblocking(true)?;
        ear.set_nonblocking(true)?;
        Ok(Self { rope, ear })
    }

    /// Makes the descriptor readable. Its owner rings once until it was hushed, so the buffer never
    /// fills; an error can only mean that nobody listens any more.
    pub(crate) fn ring(&self) {
        let _ = (&self.rope).write(&[1]);
    }

    /// Makes the descriptor unreadable; to be called before looking at what it was rung for.
    pub(crate) fn hush(&self) {
        let _ = (&self.ear).read(&mut [0; 16]);
    }

    pub(crate) fn descriptor(&self) -> RawFd {
        self.ear.as_raw_fd()
    }
}
