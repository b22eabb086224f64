//! Dials one peer, for ever.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::connection::Connection;
use crate::greeting;
use crate::node::Node;
use crate::refusals::{chain, reason};
use crate::standby::{Ended, Session};
use crate::wire::{Feed, FromDialer, Member, ToDialer, from_dialer};

/// Between two attempts to dial a peer that is down.
const DELAY_MAX: Duration = Duration::from_secs(30);

/// After a session that ended because something changed: others have to notice it too.
const AGAIN_DELAY: Duration = Duration::from_millis(10);

/// Messages to the peer that wait to be sent. Only the latest progress matters.
const OUTBOUND_MESSAGES: usize = 4;

/// Keeps a session with the peer at `address`.
pub(crate) async fn run(node: Arc<Node>, address: String) {
    let stopping = node.stopping.clone();
    let sessions = async {
        loop {
            let knocked = node.knocked.notified();
            let mut epoch = node.epoch();
            let mut delay = match session(&node, &address, epoch.clone()).await {
                Ok(Ended::Again) => AGAIN_DELAY,
                Err(status) => failed(&node, &address, &status),
            };
            // What failed may have been of before.
            if epoch.has_changed().unwrap_or(true) {
                epoch.mark_unchanged();
                delay = AGAIN_DELAY;
            }
            // Who dialed here may be anybody, and may do so over and over.
            let knocked = async {
                sleep(delay.min(node.options.retry_interval)).await;
                knocked.await;
            };
            tokio::select! {
                () = sleep(delay) => {}
                // Who it is that is dialed may be another matter now.
                _ = epoch.changed() => {}
                () = knocked => {}
            }
        }
    };
    tokio::select! {
        () = sessions => {}
        () = stopping.cancelled() => {}
    }
}

async fn session(
    node: &Arc<Node>,
    address: &str,
    epoch: watch::Receiver<u64>,
) -> Result<Ended, Status> {
    let Greeted { connection: _open, inbound, outbound, peer, feed } = greet(node, address).await?;
    node.meet(&peer)?;
    node.peers.reached(address, &peer);
    // What the peer was told of this member may not hold any more, since before the greeting.
    if epoch.has_changed().unwrap_or(true) {
        return Ok(Ended::Again);
    }
    Session { node, address, inbound, outbound, peer }.run(feed, epoch).await
}

/// A connection whose both sides have proven and told who they are.
pub(crate) struct Greeted {
    connection: Connection,
    inbound: Streaming<ToDialer>,
    outbound: mpsc::Sender<FromDialer>,
    pub(crate) peer: Member,
    feed: Feed,
}

pub(crate) async fn greet(node: &Node, address: &str) -> Result<Greeted, Status> {
    let patience = node.options.peer_timeout;
    let late = |_late| Status::deadline_exceeded("the peer does not answer");
    let opened = timeout(patience, Connection::open(&node.options, address)).await.map_err(late)?;
    let mut connection = opened.map_err(|error| Status::unavailable(chain(&error)))?;
    let (outbound, messages) = mpsc::channel(OUTBOUND_MESSAGES);
    let greeting = async {
        let (hello, nonce) = greeting::hello();
        let sent = outbound.send(from_dialer::Message::Hello(hello).into()).await;
        sent.map_err(|_closed| Status::unavailable("the peer hung up"))?;
        let answer = connection.client.connect(ReceiverStream::new(messages)).await?;
        let mut inbound = answer.into_inner();
        let (peer, feed) = greeting::offer(node, &mut inbound, &outbound, &nonce).await?;
        Ok::<_, Status>((inbound, peer, feed))
    };
    match timeout(patience, greeting).await.map_err(late)? {
        Ok((inbound, peer, feed)) => Ok(Greeted { connection, inbound, outbound, peer, feed }),
        Err(status) => Err(connection.explain(status).await),
    }
}

/// Notes a failure, and returns how long to wait.
fn failed(node: &Node, address: &str, status: &Status) -> Duration {
    let reason = reason(status);
    let (failures, news) = node.peers.lost(address, &reason);
    let options = &node.options;
    if failures == options.max_retries.saturating_add(1) {
        tracing::warn!(address, reason, "a peer is down");
    } else if news {
        tracing::info!(address, reason, "a session with a peer failed");
    } else {
        tracing::debug!(address, reason, failures, "a session with a peer failed");
    }
    let doublings = failures.saturating_sub(options.max_retries).min(16);
    options.retry_interval.saturating_mul(1 << doublings).min(DELAY_MAX.max(options.retry_interval))
}
