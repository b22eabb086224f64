//! Real handshakes over loopback, with certificates made on the spot.

mod authority;
mod handshakes;
mod reloads;
