//! Making a new store out of an image, and of what is left of a log, where no store runs.
//!
//! The image is loaded; frames of the log of the store that it is of may be replayed on top, up to
//! a revision or a moment. What is live then is written into empty directories.
//!
//! To the members that the lost store had the new one is what a promoted standby is: it is in a term
//! of its own, which began where it parted from their logs.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::entry::{Entry, ImageHead, ImageItem};
use crate::error::OpenError;
use crate::image::{Extent, ImageDecoder, ImageError, read_key};
use crate::log::{Archive, NewStore, Replay as _, TERM_OF_NOBODY, Written};
use crate::options::{Options, Storage};
use crate::role::{Role, Standing, TermStart};
use crate::state::{Loader, State};
use crate::types::Revision;
use crate::vfs::Vfs;

/// How far a log is to be replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayTo {
    /// Up to and including this revision.
    Revision(Revision),
    /// Up to and including this moment of wall time.
    Time(Duration),
}

/// The numbers of the store that is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewNumbers {
    /// Far above what the lost store can have handed out after the image, with all before
    /// compacted: no client sees a revision again that meant something else.
    FarAbove,
    /// Those of the image and the log.
    Kept,
}

/// Where a store stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// At which revision.
    pub revision: Revision,
    /// At which sequence number.
    pub sequence: u64,
    /// When it was written, or the image made; wall time.
    pub wall: Duration,
}

/// A store that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Created {
    /// What was restored.
    pub point: Point,
    /// The revision that the store is at.
    pub revision: Revision,
    /// The cluster is the image's.
    pub cluster_id: u64,
    /// The member is new.
    pub member_id: u64,
    /// Live keys.
    pub keys: u64,
    /// Leases.
    pub leases: u64,
}

/// Why no store was made.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// The bytes are no whole image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A directory or a segment.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The log is of another store than the image.
    #[error("{} is the log of cluster {found:x}, the image is of cluster {wanted:x}", path.display())]
    OtherCluster { path: PathBuf, found: u64, wanted: u64 },
    /// There is a gap between the image and the log.
    #[error("the log begins behind revision {}, the image ends at {}; take a later image", begins.0, image.0)]
    LogTooShort { begins: Revision, image: Revision },
    /// The image is of a later point.
    #[error("the image is of revision {} already; take an earlier one", image.revision.0)]
    ImageTooNew { image: Point },
    /// The log ends before.
    #[error("the log reaches to revision {}, not as far as asked for", reached.revision.0)]
    LogEnds { reached: Point },
}

/// An image, and what is replayed on top of it.
pub struct OfflineRestore {
    clock: Arc<dyn Clock>,
    decoder: ImageDecoder,
    loader: Loader,
    head: Option<ImageHead>,
    /// The last frame replayed.
    replayed: Option<Point>,
}

/// Far above what the store can have handed out before it was lost.
const REVISIONS_ABOVE: i64 = 1_000_000_000;
const SEQUENCES_ABOVE: u64 = 1 << 40;

/// Each term takes a promotion by an operator.
const TERMS_ABOVE: u64 = 1_000_000;

impl OfflineRestore {
    /// Begins with an image to come.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let loader = Loader::new(&*clock);
        Self { clock, decoder: ImageDecoder::new(), loader, head: None, replayed: None }
    }

    /// Takes the next bytes of the image.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), OfflineError> {
        let Self { decoder, loader, head, .. } = self;
        Ok(decoder.feed(bytes, &mut |item| {
            if let ImageItem::Head(found) = &item {
                *head = Some(*found);
            }
            loader.item(item)
        })?)
    }

    /// Replays the log in a directory, whose store must not run, on top of the whole image. Nothing
    /// in it is changed. Fails, telling how far the log reaches, when that is not far enough.
    pub fn replay(
        &mut self,
        vfs: &dyn Vfs,
        log_dir: &Path,
        to: ReplayTo,
    ) -> Result<Point, OfflineError> {
        let image = self.image_point()?;
        if to.is_before(&image) {
            return Err(OfflineError::ImageTooNew { image });
        }
        let archive = Archive::open(vfs, log_dir)?;
        let wanted = self.cluster_id()?;
        if let Some(found) = archive.cluster_id().filter(|found| *found != wanted) {
            return Err(OfflineError::OtherCluster { path: log_dir.to_owned(), found, wanted });
        }
        if let Some((_, begins)) = archive.first().filter(|(first, _)| *first > image.sequence + 1)
        {
            return Err(OfflineError::LogTooShort { begins, image: image.revision });
        }
        let mut reached = image;
        let mut passed = false;
        archive.read(image.sequence, &mut |frame, Written { revision, wall }| {
            let point = Point { revision, sequence: frame.sequence, wall };
            if to.is_before(&point) {
                passed = true;
                return Ok(ControlFlow::Break(()));
            }
            // What is restored has no history: there is nothing to forget of it.
            if !matches!(frame.entry, Entry::Compact { .. }) {
                self.loader.frame(frame)?;
            }
            reached = point;
            Ok(ControlFlow::Continue(()))
        })?;
        if !passed && to != ReplayTo::Revision(reached.revision) {
            return Err(OfflineError::LogEnds { reached });
        }
        self.replayed = Some(reached);
        Ok(reached)
    }

    /// Writes what is live now into the directories of these options, which must be empty.
    pub fn create(self, options: &Options, numbers: NewNumbers) -> Result<Created, OfflineError> {
        let image = self.image_point()?;
        let cluster_id = self.cluster_id()?;
        let point = self.replayed.unwrap_or(image);
        let Storage::Log(location) = &options.storage else {
            unreachable!("a store in memory has no directories to be restored into");
        };
        let head = new_head(&point, self.head.unwrap_or_default().term, numbers);
        let state = self.loader.finish();
        let now = self.clock.wall();
        let store = NewStore::begin(location, cluster_id, head, now)?;
        let member_id = store.identity().member_id;
        let began =
            TermStart { term: head.term, raised_by: member_id, after_sequence: point.sequence };
        let standing = Standing { role: Role::Standalone, terms: vec![began] };
        write(store, &state, &head, (point.wall, now))?
            .finish(options, &standing)
            .map_err(OpenError::from)?;
        Ok(Created {
            point,
            revision: head.revision,
            cluster_id,
            member_id,
            keys: state.size.keys as u64,
            leases: state.leases.len() as u64,
        })
    }

    /// Where the image is; refuses one that is not whole.
    fn image_point(&self) -> Result<Point, OfflineError> {
        self.decoder.finish()?;
        let ImageHead { revision, sequence, .. } = self.head.unwrap_or_default();
        let wall = self.decoder.origin().map(|origin| origin.created_at).unwrap_or_default();
        Ok(Point { revision, sequence, wall })
    }

    fn cluster_id(&self) -> Result<u64, OfflineError> {
        self.decoder.finish()?;
        Ok(self.decoder.origin().map_or(0, |origin| origin.identity.cluster_id))
    }
}

impl ReplayTo {
    /// Whether a store that is at this point has gone too far.
    fn is_before(self, point: &Point) -> bool {
        match self {
            Self::Revision(wanted) => wanted < point.revision,
            Self::Time(wanted) => wanted < point.wall,
        }
    }
}

/// What was live is all there is: as after a compaction. The term is a new one: members of before
/// have a log that this store's does not go on from, whatever the numbers. An image of a standby
/// that was written to by hand is of nobody's term, and does not tell which ones there were.
fn new_head(point: &Point, term: u64, numbers: NewNumbers) -> ImageHead {
    let (revisions, sequences) = match numbers {
        NewNumbers::FarAbove => (REVISIONS_ABOVE, SEQUENCES_ABOVE),
        NewNumbers::Kept => (0, 0),
    };
    let revision = Revision(point.revision.0 + revisions);
    ImageHead {
        sequence: point.sequence + sequences,
        term: if term == TERM_OF_NOBODY { TERMS_ABOVE } else { term + 1 },
        revision,
        compact_revision: revision,
    }
}

/// Leases go on with what they had left at `then`.
fn write(
    mut store: NewStore,
    state: &State,
    head: &ImageHead,
    (then, now): (Duration, Duration),
) -> Result<NewStore, OpenError> {
    for (id, lease) in state.leases.all_published(state.sequence) {
        let ttl = Duration::from_secs(lease.ttl_s.unsigned_abs());
        let expires_at = now + lease.expires_at.saturating_sub(then).min(ttl);
        store.push(&ImageItem::Lease { id, ttl_s: lease.ttl_s, expires_at })?;
    }
    let mut items = Vec::new();
    for history in state.index.range(b"", None) {
        read_key(history, head, Extent::Live, &mut items);
        for item in items.drain(..) {
            store.push(&item)?;
        }
    }
    Ok(store)
}
