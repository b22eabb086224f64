//! Whether somebody who proved himself is at the other end of a connection.
//!
//! A connection takes one of a few permits, and who says nothing must not keep it.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

/// Of one connection.
#[derive(Clone, Default)]
pub(crate) struct Presence(watch::Sender<Sessions>);

/// Those whose dialer proved himself.
#[derive(Clone, Copy, Debug, Default)]
struct Sessions {
    running: usize,
    begun: bool,
}

/// A session is running, until dropped.
pub(crate) struct Proven(Presence);

impl Presence {
    /// The dialer of a session has proven himself.
    pub(crate) fn prove(&self) -> Proven {
        self.0.send_modify(|sessions| {
            sessions.running += 1;
            sessions.begun = true;
        });
        Proven(self.clone())
    }

    pub(crate) fn was_proven(&self) -> bool {
        self.0.borrow().begun
    }

    /// Returns when there has been no session for so long.
    pub(crate) async fn end(&self, patience: Duration) {
        let mut sessions = self.0.subscribe();
        loop {
            let begun = timeout(patience, sessions.wait_for(|now| now.running > 0)).await.is_ok();
            if !begun || sessions.wait_for(|now| now.running == 0).await.is_err() {
                return;
            }
        }
    }
}

impl Drop for Proven {
    fn drop(&mut self) {
        self.0.0.send_modify(|sessions| sessions.running -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_ends_when_it_had_no_session_for_a_while() {
        let patience = Duration::from_millis(10);
        let presence = Presence::default();
        let watched = presence.clone();
        let ended = tokio::spawn(async move { watched.end(patience).await });
        let proven = presence.prove();
        let mut ended = std::pin::pin!(ended);
        assert!(timeout(patience * 5, &mut ended).await.is_err(), "it has one");
        drop(proven);
        ended.await.expect("it ends");
        assert!(presence.was_proven());
    }
}
