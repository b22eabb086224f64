//! How soon a stream that sends very many messages sends the next ones.
//!
//! A message costs a client, and us, several times what one event more in it does. Events of a
//! watcher join those of it that wait ([`decube_engine::WatchStream::take`]), so a stream that rests
//! has fewer messages to send, each of which tells more. Few watchers hardly notice: what they wait
//! for is paid off with the messages that were sent, however many events were in them.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// What a stream sends on average is at most one message in this time.
const MESSAGE: Duration = Duration::from_micros(200);

/// What may be sent at once before it rests.
const CREDIT: Duration = Duration::from_millis(10);

/// However many were sent at once, nobody waits longer for the next ones.
const REST_MAX: Duration = Duration::from_millis(20);

/// Of one stream.
#[derive(Default)]
pub(super) struct Pace {
    /// When all that was sent would have been sent, one message after the other.
    paid_at: Option<Instant>,
    rest: Option<Pin<Box<Sleep>>>,
}

impl Pace {
    /// Ready unless it rests.
    pub(super) fn poll_rested(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(rest) = &mut self.rest else { return Poll::Ready(()) };
        let rested = rest.as_mut().poll(context);
        if rested.is_ready() {
            self.rest = None;
        }
        rested
    }

    /// So many messages are about to be sent, and it rests behind them if they are too many.
    pub(super) fn sending(&mut self, messages: usize) {
        let messages = u32::try_from(messages).unwrap_or(u32::MAX);
        let now = Instant::now();
        let begun = self.paid_at.map_or(now, |paid_at| paid_at.max(now));
        let paid_at = (begun + MESSAGE * messages).min(now + CREDIT + REST_MAX);
        self.paid_at = Some(paid_at);
        if paid_at > now + CREDIT {
            self.rest = Some(Box::pin(sleep_until(paid_at - CREDIT)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    /// How long it rests behind so many messages.
    async fn rests(pace: &mut Pace, messages: usize) -> Duration {
        let begun = Instant::now();
        pace.sending(messages);
        poll_fn(|context| pace.poll_rested(context)).await;
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn what_few_messages_say_is_not_held_up() {
        let mut pace = Pace::default();
        for _ in 0..1_000 {
            assert_eq!(rests(&mut pace, 1).await, Duration::ZERO);
            tokio::time::sleep(Duration::from_micros(250)).await;
        }
        assert_eq!(rests(&mut pace, 40).await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn behind_many_messages_it_rests_for_what_they_are_too_many() {
        let mut pace = Pace::default();
        assert_eq!(rests(&mut pace, 60).await, Duration::from_millis(2));
        assert_eq!(rests(&mut pace, 20).await, Duration::from_millis(4));
        tokio::time::sleep(CREDIT).await;
        assert_eq!(rests(&mut pace, 50).await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_long() {
        let mut pace = Pace::default();
        for _ in 0..3 {
            assert_eq!(rests(&mut pace, 10_000).await, REST_MAX);
        }
        tokio::time::sleep(CREDIT).await;
        assert_eq!(rests(&mut pace, 1).await, Duration::ZERO);
    }
}
