//! An image from outside, on its way in.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::numbers::Purpose;
use super::sink::Sink;
use super::{InstallError, InstallMode, Installed};
use crate::engine::Engine;
use crate::image::{ImageDecoder, ImageError, ImageOrigin};
use crate::role::TermStart;
use crate::store::Store;

/// Takes the bytes of an image in pieces of any length, and installs it when all are there.
/// Dropped before [`Installer::commit`] it leaves nothing behind.
pub struct Installer {
    engine: Engine,
    mode: InstallMode,
    /// The newest term that the store knew of when it began.
    newest: Option<TermStart>,
    decoder: ImageDecoder,
    /// From the image's header on.
    sink: Option<Sink>,
    _under_way: UnderWay,
}

/// Counts itself among the images that are on their way in.
struct UnderWay(Arc<Store>);

impl UnderWay {
    fn begin(store: &Arc<Store>) -> Self {
        store.meters.installing.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(store))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.meters.installing.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Engine {
    /// Begins to install an image.
    pub fn installer(&self, mode: InstallMode) -> Result<Installer, InstallError> {
        self.store().check_open()?;
        self.check_writes()?;
        let newest = self.standing().terms.last().copied();
        let decoder = ImageDecoder::sharing_with(self.store());
        let under_way = UnderWay::begin(self.store());
        let engine = self.clone();
        Ok(Installer { engine, mode, newest, decoder, sink: None, _under_way: under_way })
    }
}

impl Installer {
    /// Takes the next bytes. They are checked, and written beside the store, which they do not
    /// change. After an error nothing more can be pushed.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), InstallError> {
        let rest = self.decoder.begin(bytes)?;
        let Some(ImageOrigin { created_at, .. }) = self.decoder.origin() else { return Ok(()) };
        let purpose = match self.mode {
            InstallMode::Restore => Purpose::Restore { created_at },
            InstallMode::Reseed => Purpose::Reseed { newest: self.newest },
        };
        let sink = self.sink.get_or_insert_with(|| Sink::new(&self.engine, purpose));
        let mut refused = None;
        let fed = self.decoder.feed(rest, &mut |item| {
            sink.take(item).map_err(|error| {
                let reason = error.to_string();
                refused = Some(error);
                reason
            })
        });
        match refused {
            Some(error) => Err(error),
            None => Ok(fed?),
        }
    }

    /// All bytes were pushed: makes the image durable, and the store what it is of. Waits for the
    /// disk, and for the writer.
    pub fn commit(self) -> Result<Installed, InstallError> {
        self.decoder.finish()?;
        let origin = self.decoder.origin();
        let (Some(sink), Some(origin)) = (self.sink, origin) else {
            let reason = "it has no head".to_owned();
            return Err(ImageError::Damaged { offset: 0, reason }.into());
        };
        sink.commit(origin.identity.cluster_id)
    }
}

impl fmt::Debug for Installer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Installer").field("mode", &self.mode).finish_non_exhaustive()
    }
}
