//! The messages between members, and what they say in the engine's words.

use decube_engine::{Role, Standing, TermStart};

pub(crate) use messages::replication_client::ReplicationClient;
pub(crate) use messages::replication_server::{Replication as Service, ReplicationServer};
pub(crate) use messages::{
    Challenge, Feed, Frames, FromDialer, Hello, Image, Member, Progress, Proof, ToDialer, Welcome,
    from_dialer, to_dialer,
};

/// Package `decube.v1`.
#[allow(clippy::all, clippy::pedantic, missing_docs, unreachable_pub)]
mod messages {
    tonic::include_proto!("decube.v1");
}

/// Of the protocol.
pub(crate) const VERSION: u32 = 1;

/// Bytes of frames or of an image in one message.
pub(crate) const PIECE_BYTES: usize = 512 << 10;

/// No message is longer: pieces, and what is said of them.
pub(crate) const MESSAGE_BYTES_MAX: usize = PIECE_BYTES + (64 << 10);

impl Member {
    /// Its role and terms.
    pub(crate) fn standing(&self) -> Standing {
        let start = |start: &messages::TermStart| TermStart {
            term: start.term,
            raised_by: start.raised_by,
            after_sequence: start.after_sequence,
        };
        let role = match self.role() {
            messages::Role::Standalone => Role::Standalone,
            messages::Role::Primary => Role::Primary,
            messages::Role::Standby => Role::Standby,
        };
        Standing { role, terms: self.terms.iter().map(start).collect() }
    }

    pub(crate) fn set_standing(&mut self, standing: &Standing) {
        self.set_role(match standing.role {
            Role::Standalone => messages::Role::Standalone,
            Role::Primary => messages::Role::Primary,
            Role::Standby => messages::Role::Standby,
        });
        let start = |start: &TermStart| messages::TermStart {
            term: start.term,
            raised_by: start.raised_by,
            after_sequence: start.after_sequence,
        };
        self.terms = standing.terms.iter().map(start).collect();
    }
}

impl From<to_dialer::Message> for ToDialer {
    fn from(message: to_dialer::Message) -> Self {
        Self { message: Some(message) }
    }
}

impl From<from_dialer::Message> for FromDialer {
    fn from(message: from_dialer::Message) -> Self {
        Self { message: Some(message) }
    }
}
