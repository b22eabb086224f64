//! Who was refused, and why: told once, however often he tries.

use std::collections::VecDeque;
use std::error::Error;
use std::net::IpAddr;

use parking_lot::Mutex;
use tonic::Status;

/// Of very many the oldest are forgotten, and told again.
const REMEMBERED_MAX: usize = 32;

/// What was told.
#[derive(Default)]
pub(crate) struct Refusals {
    told: Mutex<VecDeque<(IpAddr, String)>>,
}

impl Refusals {
    /// Tells it, the first time.
    pub(crate) fn tell(&self, from: IpAddr, reason: String) {
        let mut told = self.told.lock();
        if told.iter().any(|known| *known == (from, reason.clone())) {
            return;
        }
        tracing::warn!(%from, reason, "a peer was refused; this is told once");
        told.truncate(REMEMBERED_MAX - 1);
        told.push_front((from, reason));
    }
}

/// An error with all that led to it.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        // Some say what their source says.
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = error.source();
    }
    text
}

/// What a status says, with what led to it if it comes from the connection and not from the peer.
pub(crate) fn reason(status: &Status) -> String {
    status.source().map_or_else(|| status.message().to_owned(), chain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn an_error_is_told_with_its_sources_and_nothing_twice() {
        let inner = io::Error::other("received fatal alert: UnknownCA");
        let outer = Status::from_error(Box::new(io::Error::other(inner)));
        assert_eq!(reason(&outer), "received fatal alert: UnknownCA");
        assert_eq!(reason(&Status::unavailable("gone")), "gone");
    }

    #[test]
    fn a_refusal_is_remembered_and_of_many_the_latest_are() {
        let refusals = Refusals::default();
        let from = IpAddr::from([127, 0, 0, 1]);
        for number in 0..100 {
            refusals.tell(from, (number % 50).to_string());
            refusals.tell(from, (number % 50).to_string());
        }
        let told = refusals.told.lock();
        assert_eq!(told.len(), REMEMBERED_MAX);
        assert_eq!(told.front().map(|(_, reason)| reason.as_str()), Some("49"));
    }
}
