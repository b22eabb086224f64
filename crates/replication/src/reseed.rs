//! Taking in an image of the primary: what was here before is replaced by it.
//!
//! All that waits for the disk is done on a thread of its own, and the session goes on telling the
//! peer that this member is alive. Whatever ends the session, that thread drops what came so far.

use std::pin::pin;
use std::sync::Arc;

use decube_engine::log::LogDamage;
use decube_engine::{InstallError, InstallMode, Installed, Installer, Standing};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tonic::Status;

use crate::node::Node;
use crate::standby::{Ended, Session};
use crate::wire::{Image, Member, from_dialer, to_dialer};

/// Pieces of an image that wait for the one before.
const PIECES_WAITING: usize = 1;

/// Takes the image in, and returns to dial again, for the frames behind it.
pub(crate) async fn run(
    session: &mut Session<'_>,
    epoch: &mut watch::Receiver<u64>,
) -> Result<Ended, Status> {
    let node = Arc::clone(session.node);
    let (keeper, primary) = (Arc::clone(&node), session.peer.clone());
    let kept = node.tasks.spawn_blocking(move || keep_what_is_lost(&keeper, &primary));
    ended(session, kept).await??;
    let installer = node.engine.installer(InstallMode::Reseed).map_err(|error| failed(&error))?;
    // The installer is for the newest term there was when it was made; the image is of the peer's.
    if node.engine.standing().terms.last() != session.peer.standing().terms.last() {
        return Ok(Ended::Again);
    }
    let (pieces, coming) = mpsc::channel(PIECES_WAITING);
    let installing = node.tasks.spawn_blocking(move || install(installer, coming));
    let received = receive(session, epoch, pieces).await;
    let outcome = ended(session, installing).await?.map_err(|error| failed(&error))?;
    received?;
    let Some(holds) = outcome else { return Ok(Ended::Again) };
    node.set_diverged(false);
    let (revision, sequence, term) = (holds.revision.0, holds.sequence, holds.term);
    tracing::info!(revision, sequence, term, "this standby holds an image of its primary");
    // Other sessions were told the numbers of before.
    node.begin_epoch();
    Ok(Ended::Again)
}

/// What this member wrote and the primary does not have is kept in a file before it goes.
fn keep_what_is_lost(node: &Node, primary: &Member) -> Result<(), Status> {
    let ours = node.member();
    if ours.cluster_id != primary.cluster_id || ours.last_sequence == 0 {
        return Ok(());
    }
    let after = shared_up_to(&primary.standing(), ours.log_term).unwrap_or(primary.last_sequence);
    if ours.last_sequence <= after {
        return Ok(());
    }
    let kept =
        node.engine.keep_aside(after).map_err(|error| Status::unavailable(error.to_string()))?;
    for LogDamage { path, offset, reason, first, last } in kept.damaged {
        tracing::error!(
            path = %path.display(),
            offset,
            reason,
            first,
            last,
            "the log is damaged: these frames, which the primary does not have, are lost"
        );
    }
    if let Some(file) = kept.file {
        tracing::warn!(
            path = %file.path.display(),
            first = file.first,
            last = file.last,
            absent = file.absent,
            "the primary does not have these frames; they were kept aside"
        );
    }
    Ok(())
}

/// The last frame that a log in this term can have in common with the primary's; `None` for one in
/// the primary's own term.
fn shared_up_to(primary: &Standing, log_term: u64) -> Option<u64> {
    let newest = primary.terms.last()?;
    // In nobody's term: what this standby was told to write came after some frame of a primary's.
    if log_term == 0 {
        return Some(newest.after_sequence);
    }
    // Where an older term ended may not be known any more: then too much is better than too little.
    (log_term < newest.term).then(|| primary.end_of(log_term).unwrap_or(0))
}

/// Hands on the pieces as they come, until the last, or until the session has to begin anew.
async fn receive(
    session: &mut Session<'_>,
    epoch: &mut watch::Receiver<u64>,
    pieces: mpsc::Sender<Image>,
) -> Result<(), Status> {
    let patience = session.node.options.peer_timeout;
    let mut ticks = interval(session.node.options.heartbeat_interval());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut silent_at = Instant::now() + patience;
    loop {
        tokio::select! {
            _ = epoch.changed() => return Ok(()),
            _ = ticks.tick() => beat(session),
            message = session.inbound.message() => {
                match message?.and_then(|message| message.message) {
                    Some(to_dialer::Message::Progress(progress)) => session.heard(progress),
                    Some(to_dialer::Message::Image(image)) => {
                        let end = image.end;
                        let handed_on = beating(session, pieces.send(image)).await;
                        // Nobody takes any more: why, the thread tells.
                        if end || handed_on.is_err() {
                            return Ok(());
                        }
                    }
                    Some(_) => return Err(Status::invalid_argument("out of order")),
                    None => return Err(Status::unavailable("the peer hung up")),
                }
                // Nobody listened to the peer while the disk was slow.
                silent_at = Instant::now() + patience;
            }
            () = sleep_until(silent_at) => {
                return Err(Status::deadline_exceeded("the peer was silent for too long"));
            }
        }
    }
}

/// The thread's body. `None` if the last piece does not come.
fn install(
    mut installer: Installer,
    mut coming: mpsc::Receiver<Image>,
) -> Result<Option<Installed>, InstallError> {
    while let Some(image) = coming.blocking_recv() {
        installer.push(&image.bytes)?;
        if image.end {
            return installer.commit().map(Some);
        }
    }
    Ok(None)
}

/// What a thread comes to.
async fn ended<T>(session: &Session<'_>, thread: JoinHandle<T>) -> Result<T, Status> {
    let ended = beating(session, thread).await;
    ended.map_err(|error| Status::internal(error.to_string()))
}

/// Waits for something slow, and tells the peer meanwhile that this member is alive.
async fn beating<T>(session: &Session<'_>, slow: impl Future<Output = T>) -> T {
    let mut ticks = interval(session.node.options.heartbeat_interval());
    let mut slow = pin!(slow);
    loop {
        tokio::select! {
            done = &mut slow => return done,
            _ = ticks.tick() => beat(session),
        }
    }
}

fn beat(session: &Session<'_>) {
    let progress = session.node.progress();
    // Full: what waits there says as much.
    drop(session.outbound.try_send(from_dialer::Message::Progress(progress).into()));
}

fn failed(error: &InstallError) -> Status {
    Status::unavailable(error.to_string())
}
