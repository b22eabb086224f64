//! What a primary asks its peers when it starts: whether another was made the primary meanwhile.

use std::sync::Arc;
use std::time::Duration;

use decube_engine::Role;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::dialer::greet;
use crate::node::Node;

/// For peers that do not answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Before a peer is asked once more that may be starting too.
const AGAIN_DELAY: Duration = Duration::from_millis(50);

/// Hears from all peers which term holds: whoever was replaced is a standby when this ends. Says so
/// where it remains the primary without having heard of all.
pub(crate) async fn ask_peers(node: &Arc<Node>) {
    // Nobody was promoted for a store that is new, and its peers may be started after it.
    let is_new = node.engine.status().log_sequence == 0;
    let mut silent = node.options.peers.clone();
    let mut asking = JoinSet::new();
    for address in silent.clone() {
        let node = Arc::clone(node);
        asking.spawn(async move { ask(&node, &address, !is_new).await.then_some(address) });
    }
    let is_primary = || node.engine.standing().role == Role::Primary;
    let asked = async {
        while let Some(asked) = asking.join_next().await {
            if let Ok(Some(answered)) = asked {
                silent.retain(|address| *address != answered);
            }
            if !is_primary() {
                return;
            }
        }
    };
    drop(timeout(PATIENCE, asked).await);
    if is_primary() && !is_new && !silent.is_empty() {
        let peers = silent.join(", ");
        tracing::warn!(peers, "not all peers could be asked whether this is still the primary");
    }
}

/// Hears from the peer at `address` who it is; no session follows. If it is `patient`, for ever where
/// it cannot reach it. Returns whether it did.
async fn ask(node: &Node, address: &str, patient: bool) -> bool {
    loop {
        // Whoever dials it next tells what is wrong, also with what it told.
        match greet(node, address).await {
            Ok(greeted) => {
                drop(node.meet(&greeted.peer));
                return true;
            }
            Err(status) => tracing::debug!(address, %status, "a peer was asked in vain"),
        }
        if !patient {
            return false;
        }
        sleep(AGAIN_DELAY).await;
    }
}
