//! An image on its way into the store.

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use decube_engine::{Engine, Error, InstallError, InstallMode, Installed, Installer};
use decube_snapshot::{FileRead, FilesAhead, Stopped};
use parking_lot::Mutex;
use pyo3::prelude::*;

use crate::digest::hexadecimal;
use crate::errors;
use crate::owned::Owned;

#[pyclass(name = "ImageInstaller", module = "decube._native", frozen)]
pub(crate) struct PyImageInstaller {
    open: Owned<Mutex<Option<Open>>>,
    /// It is to be closed: whoever pushes a long file need not go on.
    closing: AtomicBool,
}

struct Open {
    installer: Installer,
    /// From the first file on.
    files: Option<FilesAhead>,
}

impl PyImageInstaller {
    pub(crate) fn new(installer: Installer) -> Self {
        let open = Owned::new(Mutex::new(Some(Open { installer, files: None })));
        Self { open, closing: AtomicBool::new(false) }
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
        let open = self.open.get()?;
        py.detach(|| match open.lock().as_mut() {
            Some(open) => open.installer.push(data),
            None => Err(ended()),
        })
        .map_err(|error| errors::not_installed(&error))
    }

    fn expect_file(
        &self,
        py: Python<'_>,
        path: PathBuf,
        bytes_max: u64,
        digested: bool,
    ) -> PyResult<()> {
        let open = self.open.get()?;
        let expected = py.detach(|| {
            let mut open = open.lock();
            let Open { files, .. } = open.as_mut().ok_or_else(|| Stopped::Refused(ended()))?;
            let file = File::open(path).map_err(Stopped::Io)?.take(bytes_max);
            let files = match files {
                Some(files) => files,
                None => files.insert(FilesAhead::start().map_err(Stopped::Io)?),
            };
            files.expect(file, digested).map_err(Stopped::Io)
        });
        expected.map_err(not_pushed)
    }

    fn push_file(&self, py: Python<'_>) -> PyResult<(u64, Option<String>)> {
        let open = self.open.get()?;
        let read = py.detach(|| {
            let mut open = open.lock();
            let Some(Open { installer, files: Some(files) }) = open.as_mut() else {
                return Err(Stopped::Refused(ended()));
            };
            files.take(|bytes| {
                if self.closing.load(Ordering::Relaxed) {
                    return Err(ended());
                }
                installer.push(bytes)
            })
        });
        let FileRead { bytes, sha256 } = read.map_err(not_pushed)?;
        Ok((bytes, sha256.map(hexadecimal)))
    }

    fn commit(&self, py: Python<'_>) -> PyResult<(i64, u64, u64)> {
        let open = self.open.get()?;
        let result = py.detach(|| {
            let whole = open.lock().take();
            whole.ok_or_else(ended)?.installer.commit()
        });
        let Installed { revision, sequence, term } =
            result.map_err(|error| errors::not_installed(&error))?;
        Ok((revision.0, sequence, term))
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let open = self.open.get()?;
        self.closing.store(true, Ordering::Relaxed);
        py.detach(|| drop(open.lock().take()));
        Ok(())
    }
}

fn not_pushed(stopped: Stopped<InstallError>) -> PyErr {
    errors::stopped(stopped, errors::not_installed)
}

fn ended() -> InstallError {
    Error::ImageLost { reason: "it was installed or closed" }.into()
}
