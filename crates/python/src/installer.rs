//! An image on its way into the store.

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use decube_engine::{Engine, Error, InstallError, InstallMode, Installed, Installer};
use decube_snapshot::{FileRead, Stopped, read_ahead};
use parking_lot::Mutex;
use pyo3::prelude::*;

use crate::digest::hexadecimal;
use crate::errors;
use crate::owned::Owned;

#[pyclass(name = "ImageInstaller", module = "decube._native", frozen)]
pub(crate) struct PyImageInstaller {
    installer: Owned<Mutex<Option<Installer>>>,
    /// It is to be closed: whoever pushes a long file need not go on.
    closing: AtomicBool,
}

impl PyImageInstaller {
    pub(crate) fn new(installer: Installer) -> Self {
        let installer = Owned::new(Mutex::new(Some(installer)));
        Self { installer, closing: AtomicBool::new(false) }
    }

    pub(crate) fn begin(py: Python<'_>, engine: &Engine, mode: &str) -> PyResult<Self> {
        let mode = match mode {
            "restore" => InstallMode::Restore,
            "reseed" => InstallMode::Reseed,
            _ => return Err(errors::bad_argument("mode", format!("no mode {mode:?}"))),
        };
        py.detach(|| engine.installer(mode)).map(Self::new).map_err(|e| errors::not_installed(&e))
    }
}

#[pymethods]
impl PyImageInstaller {
    fn push(&self, py: Python<'_>, data: &[u8]) -> PyResult<()> {
        let installer = self.installer.get()?;
        py.detach(|| match installer.lock().as_mut() {
            Some(installer) => installer.push(data),
            None => Err(ended()),
        })
        .map_err(|error| errors::not_installed(&error))
    }

    fn push_file(
        &self,
        py: Python<'_>,
        path: PathBuf,
        bytes_max: u64,
        digested: bool,
    ) -> PyResult<(u64, Option<String>)> {
        let installer = self.installer.get()?;
        let read = py.detach(|| {
            let mut installer = installer.lock();
            let installer = installer.as_mut().ok_or_else(|| Stopped::Refused(ended()))?;
            let file = File::open(path).map_err(Stopped::Io)?;
            read_ahead(file.take(bytes_max), digested, |bytes| {
                if self.closing.load(Ordering::Relaxed) {
                    return Err(ended());
                }
                installer.push(bytes)
            })
        });
        let FileRead { bytes, sha256 } = read.map_err(|stopped| match stopped {
            Stopped::Io(error) => errors::of_system(&error),
            Stopped::Refused(error) => errors::not_installed(&error),
        })?;
        Ok((bytes, sha256.map(hexadecimal)))
    }

    fn commit(&self, py: Python<'_>) -> PyResult<(i64, u64, u64)> {
        let installer = self.installer.get()?;
        let result = py.detach(|| {
            let whole = installer.lock().take();
            whole.ok_or_else(ended)?.commit()
        });
        let Installed { revision, sequence, term } =
            result.map_err(|error| errors::not_installed(&error))?;
        Ok((revision.0, sequence, term))
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let installer = self.installer.get()?;
        self.closing.store(true, Ordering::Relaxed);
        py.detach(|| drop(installer.lock().take()));
        Ok(())
    }
}

fn ended() -> InstallError {
    Error::ImageLost { reason: "it was installed or closed" }.into()
}
