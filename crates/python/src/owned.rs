//! A thing that belongs to the process that made it, and that only ends without the GIL.
//!
//! After a fork the child has the memory and none of the threads: a lock may be held for ever, and
//! joining a thread would never return. So in a child nothing inside is touched, not even to drop it.

use std::mem;
use std::process;

use pyo3::prelude::*;

use crate::errors;

pub(crate) struct Owned<T: Send> {
    value: Option<T>,
    pid: u32,
}

impl<T: Send> Owned<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { value: Some(value), pid: process::id() }
    }

    /// The thing, for the process that made it.
    pub(crate) fn get(&self) -> PyResult<&T> {
        match &self.value {
            Some(value) if process::id() == self.pid => Ok(value),
            _ => Err(errors::forked(self.pid)),
        }
    }
}

impl<T: Send> Drop for Owned<T> {
    fn drop(&mut self) {
        let value = self.value.take();
        if process::id() != self.pid {
            mem::forget(value);
            return;
        }
        // Python frees an object with the GIL held, and ending a store waits for its threads.
        let mut value = Some(value);
        Python::try_attach(|py| {
            let value = value.take();
            py.detach(move || drop(value));
        });
        drop(value);
    }
}
