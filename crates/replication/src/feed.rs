//! The side of a session that answered: it sends what the dialer lacks.
//!
//! Frames go out as they become durable, as many as the window has room for; the dialer's
//! acknowledgements make room. Neither the writer nor any other session waits for a slow standby.

use std::collections::VecDeque;
use std::error::Error as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use decube_engine::log::{FollowError, FrameBatch};
use decube_engine::{Follower, Notify as EngineNotify, Role};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tonic::{Status, Streaming};

use crate::greeting::{self, Introduced};
use crate::node::{Node, unavailable};
use crate::peers::DialerSession;
use crate::presence::Presence;
use crate::wire::{
    Feed, Frames, FromDialer, Image, Member, PIECE_BYTES, Progress, ToDialer, Welcome, from_dialer,
    to_dialer,
};

/// Frames gathered at once.
const BATCH_BYTES: usize = 1 << 20;

/// A session with a member that dialed.
pub(crate) struct Session {
    pub(crate) node: Arc<Node>,
    pub(crate) inbound: Streaming<FromDialer>,
    pub(crate) outbound: mpsc::Sender<Result<ToDialer, Status>>,
    pub(crate) caller: Caller,
}

/// Who dialed, before he tells.
pub(crate) struct Caller {
    /// He showed a certificate.
    pub(crate) certified: bool,
    pub(crate) address: SocketAddr,
    pub(crate) presence: Presence,
}

/// What a dialer is sent.
enum Plan {
    Nothing,
    Frames(Box<Follower>, Arc<Bell>),
    Image,
}

/// Rung by the engine when there are new frames.
#[derive(Default)]
struct Bell(Notify);

impl EngineNotify for Bell {
    fn notify(&self) {
        self.0.notify_one();
    }
}

impl Session {
    /// Runs it to its end, of which the dialer is told.
    pub(crate) async fn run(mut self) {
        let outbound = self.outbound.clone();
        let stopping = self.node.stopping.clone();
        let ended = tokio::select! {
            ended = self.serve() => ended,
            () = stopping.cancelled() => Err(Status::unavailable("this member is stopping")),
        };
        if let Err(status) = ended {
            tracing::debug!(reason = status.message(), "a session of a peer ended");
            // It is not there to hear it, or it has hung up: then nobody needs to be told.
            drop(outbound.try_send(Err(status)));
        }
    }

    async fn serve(&mut self) -> Result<(), Status> {
        let patience = self.node.options.peer_timeout;
        let mut epoch = self.node.epoch();
        let (node, certified) = (Arc::clone(&self.node), self.caller.certified);
        let greeting = greeting::receive(&node, certified, &mut self.inbound, &self.outbound);
        let from = self.caller.address;
        let tell = |refused: &Status| {
            // One whose connection broke was not refused.
            if refused.source().is_none() {
                node.refusals.tell(from.ip(), refused.message().to_owned());
            }
        };
        let greeted = timeout(patience, greeting).await.unwrap_or_else(|_late| Err(silent()));
        let mut introduced = greeted.inspect_err(tell)?;
        let _proven = self.caller.presence.prove();
        place(&mut introduced.member, from);
        node.meet(&introduced.member).inspect_err(tell)?;
        epoch.mark_unchanged();
        let plan = plan(&node, &introduced)?;
        let feed = match plan {
            Plan::Nothing => Feed::None,
            Plan::Frames(..) => Feed::Frames,
            Plan::Image => Feed::Image,
        };
        let mut welcome = Welcome { member: Some(node.member()), feed: 0 };
        welcome.set_feed(feed);
        greeting::send(&self.outbound, to_dialer::Message::Welcome(welcome)).await?;
        let member = &introduced.member;
        let session = node.peers.dialed_by(member, feed);
        node.knocked.notify_waiters();
        let _leaving = Leaving { node: &node, session };
        match plan {
            Plan::Image => self.send_image(&mut epoch, session).await,
            Plan::Nothing => self.stream(&mut epoch, session, None).await,
            Plan::Frames(follower, bell) => {
                self.stream(&mut epoch, session, Some((follower, bell))).await
            }
        }
    }

    /// Sends frames, if any, and heartbeats until something ends it.
    async fn stream(
        &mut self,
        epoch: &mut watch::Receiver<u64>,
        session: DialerSession,
        frames: Option<(Box<Follower>, Arc<Bell>)>,
    ) -> Result<(), Status> {
        let node = Arc::clone(&self.node);
        let mut ticks = interval(node.options.heartbeat_interval());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut follower, bell) = frames.unzip();
        let bell = bell.unwrap_or_default();
        let mut window = Window::new(node.options.window_bytes);
        let mut heard_at = Instant::now();
        let mut more = follower.is_some();
        loop {
            tokio::select! {
                _ = epoch.changed() => return Err(changed()),
                message = self.inbound.message() => {
                    let progress = progress(message?)?;
                    heard_at = Instant::now();
                    window.acknowledged(progress.sequence);
                    let lag = window.lag(node.options.clock.wall());
                    node.peers.heard_from_dialer(session, progress, Some(lag));
                }
                _ = ticks.tick() => {
                    if heard_at.elapsed() > node.options.peer_timeout {
                        return Err(silent());
                    }
                    self.send(to_dialer::Message::Progress(node.progress())).await?;
                }
                () = bell.0.notified() => more = follower.is_some(),
                () = std::future::ready(()), if more && window.has_room() => {
                    let Some(follower) = &mut follower else { continue };
                    match follower.take(BATCH_BYTES).map_err(|error| lost(&error))? {
                        Some(batch) => self.send_frames(batch, &mut window).await?,
                        None => more = false,
                    }
                }
            }
        }
    }

    async fn send_frames(&self, batch: FrameBatch, window: &mut Window) -> Result<(), Status> {
        window.sent(&batch);
        let mut bytes = batch.bytes;
        while !bytes.is_empty() {
            let bytes = bytes.split_to(bytes.len().min(PIECE_BYTES));
            self.send(to_dialer::Message::Frames(Frames { bytes })).await?;
        }
        Ok(())
    }

    /// Sends the whole store; the dialer comes back when it has taken it in.
    async fn send_image(
        &mut self,
        epoch: &mut watch::Receiver<u64>,
        session: DialerSession,
    ) -> Result<(), Status> {
        let mut image = self.node.engine.image(true).map_err(|error| unavailable(&error))?;
        loop {
            if epoch.has_changed().unwrap_or(true) {
                return Err(changed());
            }
            let taken = tokio::task::block_in_place(|| image.take(PIECE_BYTES / 2));
            let mut bytes = bytes::Bytes::from(taken.map_err(|error| unavailable(&error))?);
            let end = bytes.is_empty();
            loop {
                let piece = bytes.split_to(bytes.len().min(PIECE_BYTES));
                let image = to_dialer::Message::Image(Image { bytes: piece, end });
                self.send_while_it_lives(image, session, epoch).await?;
                if bytes.is_empty() {
                    break;
                }
            }
            if end {
                return self.until_it_leaves(epoch, session).await;
            }
        }
    }

    /// Who is sent an image may be busy with what it had before: it is there as long as it says so.
    async fn send_while_it_lives(
        &mut self,
        message: to_dialer::Message,
        session: DialerSession,
        epoch: &mut watch::Receiver<u64>,
    ) -> Result<(), Status> {
        let patience = self.node.options.peer_timeout;
        let mut sending = std::pin::pin!(greeting::send(&self.outbound, message));
        loop {
            tokio::select! {
                sent = &mut sending => return sent,
                _ = epoch.changed() => return Err(changed()),
                heard = timeout(patience, self.inbound.message()) => {
                    let progress = progress(heard.map_err(|_late| silent())??)?;
                    self.node.peers.heard_from_dialer(session, progress, None);
                }
            }
        }
    }

    /// An image takes a while to be taken in.
    async fn until_it_leaves(
        &mut self,
        epoch: &mut watch::Receiver<u64>,
        session: DialerSession,
    ) -> Result<(), Status> {
        loop {
            let heard = timeout(self.node.options.peer_timeout, self.inbound.message());
            tokio::select! {
                _ = epoch.changed() => return Err(changed()),
                message = heard => {
                    let Some(message) = message.map_err(|_late| silent())?? else { return Ok(()) };
                    self.node.peers.heard_from_dialer(session, progress(Some(message))?, None);
                }
            }
        }
    }

    /// A peer that does not take what it is sent is as good as silent.
    async fn send(&self, message: to_dialer::Message) -> Result<(), Status> {
        let sent = greeting::send(&self.outbound, message);
        timeout(self.node.options.peer_timeout, sent).await.map_err(|_late| silent())?
    }
}

/// What the dialer gets: frames if its log is a beginning of this member's.
fn plan(node: &Node, dialer: &Introduced) -> Result<Plan, Status> {
    let Introduced { member, diverged } = dialer;
    let primary = node.engine.standing().role == Role::Primary;
    if !primary || member.standing().role != Role::Standby {
        return Ok(Plan::Nothing);
    }
    let status = node.engine.status();
    // Within a term only its primary writes: there the sequence number alone tells the rest.
    let same_log =
        member.cluster_id == status.cluster_id && member.log_term == node.engine.log_term();
    if *diverged || !same_log {
        return Ok(Plan::Image);
    }
    let bell = Arc::new(Bell::default());
    let notify = Arc::<Bell>::clone(&bell);
    match node.engine.follow(member.last_sequence + 1, notify) {
        Ok(follower) => Ok(Plan::Frames(Box::new(follower), bell)),
        Err(FollowError::TooOld { .. } | FollowError::Ahead { .. }) => Ok(Plan::Image),
        Err(error) => Err(lost(&error)),
    }
}

/// Frames that were sent and are not acknowledged.
struct Window {
    bytes_max: usize,
    bytes: usize,
    /// Of each batch the last sequence number, its bytes, and when its first frame was written.
    batches: VecDeque<(u64, usize, Duration)>,
}

impl Window {
    fn new(bytes_max: usize) -> Self {
        Self { bytes_max, bytes: 0, batches: VecDeque::new() }
    }

    /// One batch always fits.
    fn has_room(&self) -> bool {
        self.bytes < self.bytes_max
    }

    fn sent(&mut self, batch: &FrameBatch) {
        self.bytes += batch.bytes.len();
        self.batches.push_back((batch.last.sequence, batch.bytes.len(), batch.first.wall));
    }

    fn acknowledged(&mut self, sequence: u64) {
        while let Some((last, bytes, _)) = self.batches.front()
            && *last <= sequence
        {
            self.bytes -= bytes;
            self.batches.pop_front();
        }
    }

    /// How old the oldest frame is that is not acknowledged.
    fn lag(&self, now: Duration) -> Duration {
        let oldest = self.batches.front();
        oldest.map_or(Duration::ZERO, |(.., wall)| now.saturating_sub(*wall))
    }
}

/// Notes the end of a session however it came.
struct Leaving<'a> {
    node: &'a Node,
    session: DialerSession,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.node.peers.dialer_left(self.session);
    }
}

/// A member that listens everywhere tells no address that leads to it: what it dialed from does.
fn place(member: &mut Member, from: SocketAddr) {
    if let Ok(told) = member.replication_address.parse::<SocketAddr>()
        && told.ip().is_unspecified()
    {
        member.replication_address = SocketAddr::new(from.ip(), told.port()).to_string();
    }
}

fn progress(message: Option<FromDialer>) -> Result<Progress, Status> {
    match message.and_then(|message| message.message) {
        Some(from_dialer::Message::Progress(progress)) => Ok(progress),
        Some(_) => Err(Status::invalid_argument("the peer sent something else than its progress")),
        None => Err(Status::unavailable("the peer hung up")),
    }
}

fn silent() -> Status {
    Status::deadline_exceeded("the peer was silent for too long")
}

fn changed() -> Status {
    Status::aborted("this member's role or term changed; dial again")
}

fn lost(error: &FollowError) -> Status {
    Status::aborted(error.to_string())
}
