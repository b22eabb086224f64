//! The numbers that a store goes on with after an image was installed. Pure.

use std::time::Duration;

use crate::entry::ImageHead;
use crate::role::TermStart;
use crate::state::Published;
use crate::types::Revision;

/// Far above what another member can have handed out that nobody here knows of.
const PROMOTION_REVISIONS: i64 = 1_000_000_000;
const PROMOTION_SEQUENCES: u64 = 1 << 40;

/// Whoever saw the last revision asks for the one after it: to be told that it is compacted, the
/// compact revision has to be one more.
const RESTORE_REVISIONS: i64 = 2;

/// What is installed, and when it is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The image was made at that moment on the wall clock.
    Restore { created_at: Duration },
    /// The newest term that this standby knew of when the image began to come.
    Reseed { newest: Option<TermStart> },
    /// The own state as of a sequence number, in a new term.
    Promotion { term: u64, sequence: u64 },
}

impl Purpose {
    /// Whether the history in the image counts.
    pub(crate) fn keeps_history(self) -> bool {
        matches!(self, Self::Reseed { .. })
    }

    /// When a lease runs out that the image says runs out at `expires_at`.
    pub(crate) fn expires_at(self, expires_at: Duration, ttl_s: i64, now: Duration) -> Duration {
        let ttl = Duration::from_secs(ttl_s.unsigned_abs());
        match self {
            Self::Restore { created_at } => now + expires_at.saturating_sub(created_at).min(ttl),
            Self::Reseed { .. } => expires_at,
            Self::Promotion { .. } => now + ttl,
        }
    }
}

/// The head of an image when it is installed over what is published; `None` if it was to be the
/// same state and is not any more.
pub(crate) fn plan_head(
    purpose: Purpose,
    image: &ImageHead,
    (now, term): (&Published, u64),
) -> Option<ImageHead> {
    let compacted = |sequence, term, revision| ImageHead {
        sequence,
        term,
        revision: Revision(revision),
        compact_revision: Revision(revision),
    };
    match purpose {
        Purpose::Reseed { .. } => Some(*image),
        Purpose::Restore { .. } => {
            let above = now.revision.max(image.revision).0 + RESTORE_REVISIONS;
            Some(compacted(now.sequence + 1, term, above))
        }
        Purpose::Promotion { term, sequence } if sequence == now.sequence => {
            let revision = now.revision.0 + PROMOTION_REVISIONS;
            Some(compacted(sequence + PROMOTION_SEQUENCES, term, revision))
        }
        Purpose::Promotion { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Published =
        Published { revision: Revision(50), compact_revision: Revision(40), sequence: 70 };

    const RESEED: Purpose = Purpose::Reseed { newest: None };

    fn image(revision: i64) -> ImageHead {
        let compact_revision = Revision(revision - 1);
        ImageHead { sequence: 20, term: 9, revision: Revision(revision), compact_revision }
    }

    fn plan(purpose: Purpose, revision: i64) -> Option<(u64, u64, i64, i64)> {
        let head = plan_head(purpose, &image(revision), (&NOW, 3))?;
        Some((head.sequence, head.term, head.revision.0, head.compact_revision.0))
    }

    #[test]
    fn a_restore_is_above_the_store_and_the_image() {
        let restore = Purpose::Restore { created_at: Duration::ZERO };
        assert_eq!(plan(restore, 10), Some((71, 3, 52, 52)));
        assert_eq!(plan(restore, 1_000), Some((71, 3, 1_002, 1_002)));
    }

    #[test]
    fn a_reseed_keeps_the_images_numbers() {
        assert_eq!(plan(RESEED, 10), Some((20, 9, 10, 9)));
    }

    #[test]
    fn a_promotion_is_far_above_the_state_it_was_made_of_and_of_no_other() {
        let promotion = |sequence| Purpose::Promotion { term: 4, sequence };
        let far = (70 + (1 << 40), 4, 1_000_000_050, 1_000_000_050);
        assert_eq!(plan(promotion(70), 50), Some(far));
        assert_eq!(plan(promotion(69), 50), None);
    }

    #[test]
    fn leases_resume_keep_or_begin_anew() {
        let at = Duration::from_secs;
        let restore = Purpose::Restore { created_at: at(100) };
        assert_eq!(restore.expires_at(at(130), 60, at(1_000)), at(1_030));
        assert_eq!(restore.expires_at(at(90), 60, at(1_000)), at(1_000));
        assert_eq!(restore.expires_at(at(900), 60, at(1_000)), at(1_060));
        assert_eq!(RESEED.expires_at(at(130), 60, at(1_000)), at(130));
        let promotion = Purpose::Promotion { term: 2, sequence: 1 };
        assert_eq!(promotion.expires_at(at(130), 60, at(1_000)), at(1_060));
    }
}
