//! An image on its way into the store.

use decube_engine::{Engine, Error, InstallError, InstallMode, Installed, Installer};
use parking_lot::Mutex;
use pyo3::prelude::*;

use crate::errors;
use crate::owned::Owned;

#[pyclass(name = "ImageInstaller", module = "decube._native", frozen)]
pub(crate) struct PyImageInstaller {
    installer: Owned<Mutex<Option<Installer>>>,
}

impl PyImageInstaller {
    pub(crate) fn new(installer: Installer) -> Self {
        Self { installer: Owned::new(Mutex::new(Some(installer))) }
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
        py.detach(|| drop(installer.lock().take()));
        Ok(())
    }
}

fn ended() -> InstallError {
    Error::ImageLost { reason: "it was installed or closed" }.into()
}
