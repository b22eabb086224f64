//! The bytes of an image from its items and back, for stores that are not this engine and for tools.

use decube_engine::log::Identity;
use decube_engine::{
    Alarm, AlarmKind, Clock, ImageDecoder, ImageEncoder, ImageHead, ImageItem, ImageOrigin,
    LeaseId, Record, Revision, SystemClock, Version,
};
use parking_lot::Mutex;
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::convert::key_value;
use crate::errors;
use crate::options::seconds;

#[pyclass(name = "ImageEncoder", module = "decube._native", frozen)]
pub(crate) struct PyImageEncoder {
    encoder: Mutex<ImageEncoder>,
}

#[pymethods]
impl PyImageEncoder {
    #[new]
    fn new(revision: i64, compact_revision: i64, cluster_id: u64, member_id: u64) -> Self {
        let created_at = SystemClock::new().wall();
        let origin = ImageOrigin { identity: Identity { cluster_id, member_id }, created_at };
        let head = ImageHead {
            sequence: 0,
            term: 1,
            revision: Revision(revision),
            compact_revision: Revision(compact_revision),
        };
        Self { encoder: Mutex::new(ImageEncoder::new(&origin, &head)) }
    }

    fn lease(&self, py: Python<'_>, lease_id: i64, ttl_s: i64, expires_at_s: f64) -> PyResult<()> {
        let expires_at = seconds("expires_at_s", expires_at_s)?;
        self.push(py, &ImageItem::Lease { id: LeaseId(lease_id), ttl_s, expires_at });
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "plain arguments cross cheapest on a hot path")]
    fn put(
        &self,
        py: Python<'_>,
        key: &[u8],
        value: &[u8],
        create_revision: i64,
        mod_revision: i64,
        version: i64,
        lease_id: i64,
    ) {
        let record = Record::put(&Version {
            key,
            value,
            create_revision: Revision(create_revision),
            mod_revision: Revision(mod_revision),
            sub_revision: 0,
            version,
            lease: LeaseId(lease_id),
        });
        self.push(py, &ImageItem::Record(record));
    }

    fn ready_bytes(&self, py: Python<'_>) -> usize {
        py.detach(|| self.encoder.lock().ready_bytes())
    }

    fn take<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let bytes = py.detach(|| self.encoder.lock().take());
        PyBytes::new(py, &bytes)
    }

    fn finish<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let bytes = py.detach(|| {
            let mut encoder = self.encoder.lock();
            encoder.finish();
            encoder.take()
        });
        PyBytes::new(py, &bytes)
    }
}

impl PyImageEncoder {
    fn push(&self, py: Python<'_>, item: &ImageItem) {
        py.detach(|| self.encoder.lock().push(item));
    }
}

#[pyclass(name = "ImageDecoder", module = "decube._native", frozen)]
pub(crate) struct PyImageDecoder {
    decoder: Mutex<ImageDecoder>,
}

#[pymethods]
impl PyImageDecoder {
    #[new]
    fn new() -> Self {
        Self { decoder: Mutex::new(ImageDecoder::new()) }
    }

    fn feed<'py>(&self, py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyList>> {
        let mut items = Vec::new();
        py.detach(|| {
            self.decoder.lock().feed(data, &mut |item| {
                items.push(item);
                Ok(())
            })
        })
        .map_err(|error| errors::bad_image(&error))?;
        let list = PyList::empty(py);
        for item in items {
            list.append(item_of(py, item)?)?;
        }
        Ok(list)
    }

    fn finish(&self, py: Python<'_>) -> PyResult<u64> {
        py.detach(|| self.decoder.lock().finish()).map_err(|error| errors::bad_image(&error))
    }

    fn origin(&self, py: Python<'_>) -> Option<(u64, u64, f64)> {
        let ImageOrigin { identity, created_at } = py.detach(|| self.decoder.lock().origin())?;
        Some((identity.cluster_id, identity.member_id, created_at.as_secs_f64()))
    }
}

fn item_of(py: Python<'_>, item: ImageItem) -> PyResult<Bound<'_, PyAny>> {
    match item {
        ImageItem::Head(head) => {
            ("head", head.sequence, head.term, head.revision.0, head.compact_revision.0)
                .into_bound_py_any(py)
        }
        ImageItem::Alarm(Alarm { member_id, kind }) => {
            let kind = match kind {
                AlarmKind::NoSpace => "no_space",
                AlarmKind::Corrupt => "corrupt",
            };
            ("alarm", member_id, kind).into_bound_py_any(py)
        }
        ImageItem::Lease { id, ttl_s, expires_at } => {
            ("lease", id.0, ttl_s, expires_at.as_secs_f64()).into_bound_py_any(py)
        }
        ImageItem::Record(record) if record.is_tombstone() => {
            ("tombstone", PyBytes::new(py, record.key()), record.mod_revision().0)
                .into_bound_py_any(py)
        }
        ImageItem::Record(record) => ("put", key_value(py, &record)?).into_bound_py_any(py),
    }
}
