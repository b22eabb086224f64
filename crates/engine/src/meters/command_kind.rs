//! The commands that are timed, by etcd's names for them.

use crate::types::Command;

/// A command that etcd applies; a keep-alive is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandKind {
    /// A put.
    Put,
    /// A delete.
    DeleteRange,
    /// A transaction that may write.
    Txn,
    /// A compaction.
    Compaction,
    /// The grant of a lease.
    LeaseGrant,
    /// The end of a lease, by whomever.
    LeaseRevoke,
    /// An alarm, raised or ended.
    Alarm,
}

impl CommandKind {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::Put,
        Self::DeleteRange,
        Self::Txn,
        Self::Compaction,
        Self::LeaseGrant,
        Self::LeaseRevoke,
        Self::Alarm,
    ];

    /// What a command is; `None`: nothing that etcd would apply.
    #[must_use]
    pub fn of(command: &Command) -> Option<Self> {
        Some(match command {
            Command::Put(_) => Self::Put,
            Command::DeleteRange(_) => Self::DeleteRange,
            Command::Txn(_) => Self::Txn,
            Command::Compact(_) => Self::Compaction,
            Command::LeaseGrant { .. } => Self::LeaseGrant,
            Command::LeaseRevoke { .. } => Self::LeaseRevoke,
            Command::Alarm { .. } => Self::Alarm,
            Command::LeaseKeepAlive { .. } => return None,
        })
    }

    /// etcd's name for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Put => "Put",
            Self::DeleteRange => "DeleteRange",
            Self::Txn => "Txn",
            Self::Compaction => "Compaction",
            Self::LeaseGrant => "LeaseGrant",
            Self::LeaseRevoke => "LeaseRevoke",
            Self::Alarm => "Alarm",
        }
    }
}
