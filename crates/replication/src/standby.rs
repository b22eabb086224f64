//! The side of a session that dialed: it takes in what it is sent, and tells how far it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use decube_engine::log::FrameReader;
use decube_engine::{Answer, Error, Mailbox, Outcome};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tonic::{Status, Streaming};

use crate::node::{Node, unavailable};
use crate::wire::{Feed, FromDialer, Member, Progress, ToDialer, from_dialer, to_dialer};

/// Messages whose frames wait for the writer; no more are read before.
const WAITING_MAX: usize = 1_024;

/// A session with a peer that was dialed, after its welcome.
pub(crate) struct Session<'a> {
    pub(crate) node: &'a Arc<Node>,
    pub(crate) address: &'a str,
    pub(crate) inbound: Streaming<ToDialer>,
    pub(crate) outbound: mpsc::Sender<FromDialer>,
    pub(crate) peer: Member,
}

/// Why a session ended without a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Something changed; dial again.
    Again,
}

impl Session<'_> {
    /// Runs it to its end.
    pub(crate) async fn run(
        mut self,
        feed: Feed,
        mut epoch: watch::Receiver<u64>,
    ) -> Result<Ended, Status> {
        let right = match feed {
            Feed::None => None,
            Feed::Frames | Feed::Image => self.node.begin_feed(),
        };
        if right.is_none() {
            return self.copy(&mut epoch, None).await;
        }
        self.node.peers.set_source(Some(self.address));
        tracing::info!(primary = %self.peer.name, address = self.address, ?feed, "copying");
        let ended = if feed == Feed::Image {
            crate::reseed::run(&mut self, &mut epoch).await
        } else {
            self.copy(&mut epoch, Some(FrameReader::default())).await
        };
        self.node.peers.set_source(None);
        ended
    }

    /// Takes in frames, if there are to be any, and heartbeats.
    async fn copy(
        &mut self,
        epoch: &mut watch::Receiver<u64>,
        mut reader: Option<FrameReader>,
    ) -> Result<Ended, Status> {
        let patience = self.node.options.peer_timeout;
        let mut ticks = interval(self.node.options.heartbeat_interval());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let landed = Arc::new(Landed::new(self.node.engine.status().log_sequence));
        let mailbox = Arc::clone(&landed) as Arc<dyn Mailbox>;
        let mut durable = landed.durable.subscribe();
        let mut silent_at = Instant::now() + patience;
        let mut to_tell = true;
        loop {
            tokio::select! {
                _ = epoch.changed() => return Ok(Ended::Again),
                permit = self.outbound.reserve(), if to_tell => {
                    let permit = permit.map_err(|_closed| Status::unavailable("it hung up"))?;
                    permit.send(from_dialer::Message::Progress(self.node.progress()).into());
                    to_tell = false;
                }
                _ = durable.changed() => {
                    let landed = durable.borrow_and_update().clone();
                    let sequence = landed.map_err(|error| self.refused(&error))?;
                    self.node.peers.applied(sequence);
                    to_tell = true;
                }
                _ = ticks.tick() => to_tell = true,
                message = self.inbound.message(), if landed.has_room() => {
                    silent_at = Instant::now() + patience;
                    match (message?.and_then(|message| message.message), &mut reader) {
                        (Some(to_dialer::Message::Progress(progress)), _) => self.heard(progress),
                        (Some(to_dialer::Message::Frames(frames)), Some(reader)) => {
                            let frames = reader.push(&frames.bytes);
                            let frames = frames.map_err(|bad| Status::data_loss(bad.to_string()))?;
                            landed.waiting.fetch_add(1, Ordering::SeqCst);
                            let queued = self.node.engine.copy(frames, &mailbox, 0);
                            queued.map_err(|error| self.refused(&error))?;
                        }
                        (Some(_), _) => return Err(Status::invalid_argument("out of order")),
                        (None, _) => return Err(Status::unavailable("the peer hung up")),
                    }
                }
                () = sleep_until(silent_at) => {
                    return Err(Status::deadline_exceeded("the peer was silent for too long"));
                }
            }
        }
    }

    pub(crate) fn heard(&self, progress: Progress) {
        self.node.peers.heard(self.address, progress);
        self.node.peers.applied(self.node.engine.status().log_sequence);
    }

    /// Frames were not taken in. If they never will be an image has to take their place.
    fn refused(&self, error: &Error) -> Status {
        if let Error::FrameUnfit { .. } = error {
            tracing::error!(%error, primary = %self.peer.name, "this standby has diverged");
            self.node.set_diverged(true);
        }
        unavailable(error)
    }
}

/// Where the writer tells how far the frames are durable.
struct Landed {
    durable: watch::Sender<Result<u64, Error>>,
    /// Messages that are not answered.
    waiting: AtomicUsize,
}

impl Landed {
    fn new(sequence: u64) -> Self {
        Self { durable: watch::Sender::new(Ok(sequence)), waiting: AtomicUsize::new(0) }
    }

    fn has_room(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) < WAITING_MAX
    }
}

impl Mailbox for Landed {
    fn deliver(&self, answers: Vec<Answer>) {
        self.waiting.fetch_sub(answers.len(), Ordering::SeqCst);
        for Answer { result, .. } in answers {
            // The first refusal stays: what comes behind it is refused because of it.
            self.durable.send_if_modified(|durable| {
                if durable.is_err() {
                    return false;
                }
                match result {
                    Ok(Outcome::Copied { sequence }) => *durable = Ok(sequence),
                    Ok(_) => {}
                    Err(error) => *durable = Err(error),
                }
                true
            });
        }
    }
}
