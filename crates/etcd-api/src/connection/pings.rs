//! Keep-alive enforcement: a client that pings too often is told `too_many_pings` and left.
//!
//! The rules are those of the gRPC library under etcd. A ping is a strike when it comes sooner
//! after the last one than the minimal interval, or, while the client has no call open, than two
//! hours. A ping after the server sent headers or data of some call is none and forgets the
//! strikes: clients measure the connection by such pings. The third strike is one too many.
//!
//! Pings and answers are seen in the bytes that pass the socket; calls are counted where they are
//! served. For HTTP/1.1, told by its first bytes, nothing is looked at.

use std::time::Duration;

use tokio::time::Instant;

use super::calls::OpenCalls;
use super::frames::{ACK, DATA, FrameHead, FrameScanner, GOAWAY, HEADERS, PING};

/// What every client of HTTP/2 says first (RFC 9113, section 3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A client that waits for nothing has little reason to ask.
const INTERVAL_MIN_WITHOUT_CALLS: Duration = Duration::from_secs(2 * 60 * 60);

const STRIKES_MAX: u8 = 2;

const ENHANCE_YOUR_CALM: u32 = 0xb;
const TOO_MANY_PINGS: &[u8] = b"too_many_pings";

/// The clones of [`OpenCalls`] that stand for the connection itself: the one that makes the calls'
/// clones, and ours.
const STANDING: usize = 2;

/// What was seen of a client's first bytes.
enum Greeting {
    /// This much of the preface.
    Http2(usize),
    Complete,
    Other,
}

/// One connection's bytes, under watch.
pub(super) struct PingWatch {
    greeting: Greeting,
    received: FrameScanner,
    sent: FrameScanner,
    calls: OpenCalls,
    /// A call began in bytes that were received but may not have been looked at by the server.
    call_arrived: bool,
    last_stream: u32,
    strikes: Strikes,
}

impl PingWatch {
    pub(super) fn new(calls: OpenCalls, interval_min: Duration) -> Self {
        Self {
            greeting: Greeting::Http2(0),
            received: FrameScanner::default(),
            sent: FrameScanner::default(),
            calls,
            call_arrived: false,
            last_stream: 0,
            strikes: Strikes { interval_min, last_ping: None, answered: false, count: 0 },
        }
    }

    /// Whether the client said that it speaks HTTP/2, or something else.
    pub(super) fn is_greeted(&self) -> bool {
        !matches!(self.greeting, Greeting::Http2(_))
    }

    /// Whether the client has not said that it speaks something else.
    pub(super) fn may_be_http2(&self) -> bool {
        !matches!(self.greeting, Greeting::Other)
    }

    /// Looks at what the client sent; false once it pinged too often.
    pub(super) fn receive(&mut self, bytes: &[u8]) -> bool {
        let bytes = self.past_greeting(bytes);
        let Self { received, calls, call_arrived, last_stream, strikes, .. } = self;
        received.scan(bytes, |head| match head.kind {
            HEADERS if head.stream > *last_stream => {
                *last_stream = head.stream;
                *call_arrived = true;
            }
            PING if head.flags & ACK == 0 => {
                strikes.ping(Instant::now(), *call_arrived || calls.any_beyond(STANDING));
            }
            _ => {}
        });
        self.strikes.count <= STRIKES_MAX
    }

    /// All that was received has been looked at.
    pub(super) fn run_dry(&mut self) {
        self.call_arrived = false;
    }

    /// Looks at what the server sends.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        if matches!(self.greeting, Greeting::Complete) {
            let Self { sent, strikes, .. } = self;
            sent.scan(bytes, |head| strikes.answered |= matches!(head.kind, DATA | HEADERS));
        }
    }

    /// What a client that pinged too often is told; `None` in the middle of another frame.
    pub(super) fn farewell(&self) -> Option<Vec<u8>> {
        if self.strikes.count <= STRIKES_MAX || !self.sent.at_boundary() {
            return None;
        }
        let payload =
            [&self.last_stream.to_be_bytes()[..], &ENHANCE_YOUR_CALM.to_be_bytes(), TOO_MANY_PINGS]
                .concat();
        let payload_bytes = u32::try_from(payload.len()).ok()?;
        let head = FrameHead { payload_bytes, kind: GOAWAY, flags: 0, stream: 0 };
        Some([&head.encode()[..], &payload].concat())
    }

    /// Leaves what follows the preface: nothing of another protocol.
    fn past_greeting<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let matched = match self.greeting {
            Greeting::Complete => return bytes,
            Greeting::Other => return &[],
            Greeting::Http2(matched) => matched,
        };
        let expected = PREFACE.get(matched..).unwrap_or_default();
        let (start, rest) = bytes.split_at(bytes.len().min(expected.len()));
        self.greeting = if !expected.starts_with(start) {
            Greeting::Other
        } else if start.len() == expected.len() {
            Greeting::Complete
        } else {
            Greeting::Http2(matched + start.len())
        };
        rest
    }
}

/// The pings that came too soon.
struct Strikes {
    interval_min: Duration,
    last_ping: Option<Instant>,
    /// The server sent headers or data since the last ping.
    answered: bool,
    count: u8,
}

impl Strikes {
    fn ping(&mut self, now: Instant, has_calls: bool) {
        let last = self.last_ping.replace(now);
        if std::mem::take(&mut self.answered) {
            self.count = 0;
            return;
        }
        let interval_min = if has_calls { self.interval_min } else { INTERVAL_MIN_WITHOUT_CALLS };
        if last.is_some_and(|last| now < last + interval_min) {
            self.count = self.count.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(5);
    const PING_FRAME: &[u8] = b"\0\0\x08\x06\0\0\0\0\0abcdefgh";
    const PING_ACK: &[u8] = b"\0\0\x08\x06\x01\0\0\0\0abcdefgh";
    const CALL: &[u8] = b"\0\0\x01\x01\x04\0\0\0\x01x";
    const ANSWER: &[u8] = b"\0\0\x01\0\x01\0\0\0\x01x";

    /// A connection that greeted, and what makes its calls.
    fn greeted() -> (PingWatch, OpenCalls) {
        let calls = OpenCalls::default();
        let mut watch = PingWatch::new(calls.clone(), INTERVAL);
        assert!(watch.receive(PREFACE));
        (watch, calls)
    }

    #[tokio::test(start_paused = true)]
    async fn the_third_ping_too_soon_is_too_many_and_told_by_a_goaway() {
        let (mut watch, calls) = greeted();
        let call = calls.clone();
        assert!(watch.receive(&[CALL, PING_FRAME, PING_FRAME, PING_FRAME].concat()));
        assert_eq!(watch.farewell(), None);
        assert!(!watch.receive(PING_FRAME));
        let goaway = b"\0\0\x16\x07\0\0\0\0\0\0\0\0\x01\0\0\0\x0btoo_many_pings";
        assert_eq!(watch.farewell().as_deref(), Some(&goaway[..]));
        drop(call);
    }

    #[tokio::test(start_paused = true)]
    async fn pings_as_often_as_allowed_are_fine_while_a_call_is_open() {
        let (mut watch, calls) = greeted();
        let call = calls.clone();
        for _ in 0..20 {
            tokio::time::advance(INTERVAL).await;
            assert!(watch.receive(PING_FRAME));
        }
        drop(call);
        assert!(watch.receive(PING_FRAME));
        tokio::time::advance(INTERVAL).await;
        assert!(watch.receive(PING_FRAME));
        tokio::time::advance(INTERVAL).await;
        assert!(!watch.receive(PING_FRAME), "without a call two hours are asked for");
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_counts_before_the_server_looked_at_it() {
        let (mut watch, _calls) = greeted();
        assert!(watch.receive(&[PING_FRAME, CALL].concat()));
        for _ in 0..9 {
            tokio::time::advance(INTERVAL).await;
            assert!(watch.receive(PING_FRAME));
        }
        watch.run_dry();
        for still_fine in [true, true, false] {
            tokio::time::advance(INTERVAL).await;
            assert_eq!(watch.receive(PING_FRAME), still_fine);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_answer_forgives_one_ping_and_the_strikes_before_it() {
        let (mut watch, _calls) = greeted();
        for _ in 0..20 {
            assert!(watch.receive(&[PING_FRAME, PING_FRAME].concat()));
            watch.send(ANSWER);
        }
        watch.send(PING_ACK);
        assert!(watch.receive(&[PING_FRAME, PING_FRAME, PING_FRAME].concat()));
        assert!(!watch.receive(PING_FRAME), "an answer to a ping is no answer to a call");
    }

    #[tokio::test(start_paused = true)]
    async fn answers_to_our_own_pings_are_not_counted() {
        let (mut watch, _calls) = greeted();
        for _ in 0..20 {
            assert!(watch.receive(PING_ACK));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_said_in_the_middle_of_another_frame() {
        let (mut watch, _calls) = greeted();
        assert!(!watch.receive(&PING_FRAME.repeat(4)));
        let (start, rest) = ANSWER.split_at(9);
        watch.send(start);
        assert_eq!(watch.farewell(), None);
        watch.send(rest);
        assert!(watch.farewell().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn the_greeting_is_known_however_it_is_cut_and_another_protocol_is_let_be() {
        for cut in 0..PREFACE.len() {
            let mut watch = PingWatch::new(OpenCalls::default(), INTERVAL);
            let (start, rest) = PREFACE.split_at(cut);
            assert!(watch.receive(start));
            assert!(watch.receive(rest));
            assert!(!watch.receive(&PING_FRAME.repeat(4)), "cut at {cut}");
        }
        let mut watch = PingWatch::new(OpenCalls::default(), INTERVAL);
        assert!(watch.receive(b"PRINT / HTTP/1.1\r\n"));
        assert!(watch.receive(&PING_FRAME.repeat(4)));
    }
}
