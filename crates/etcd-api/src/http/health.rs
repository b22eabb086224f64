//! `/health`, `/livez` and `/readyz`, with etcd's checks, texts and switches (`?verbose`,
//! `?exclude=<check or alarm>`, `?serializable=true`, and a path for each check alone).

use std::fmt::Write;

use bytes::Bytes;
use decube_engine::{KeyRange, RangeRequest};
use http::Uri;

use crate::metrics::{CHECKS_MAX, CheckResults};
use crate::service::alarm_name;
use crate::store::Store;

/// One check of `/livez` or `/readyz`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    DataCorruption,
    SerializableRead,
    LinearizableRead,
    NonLearner,
}

/// The paths that checks are asked for by.
pub(super) const PATHS: [&str; 2] = ["livez", "readyz"];

const LIVEZ: &[Check] = &[Check::SerializableRead];
const READYZ: &[Check] =
    &[Check::DataCorruption, Check::SerializableRead, Check::LinearizableRead, Check::NonLearner];

impl Check {
    /// All of them, in the order of their numbers.
    pub(super) const ALL: [Self; CHECKS_MAX] =
        [Self::DataCorruption, Self::SerializableRead, Self::LinearizableRead, Self::NonLearner];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::DataCorruption => "data_corruption",
            Self::SerializableRead => "serializable_read",
            Self::LinearizableRead => "linearizable_read",
            Self::NonLearner => "non_learner",
        }
    }

    /// The checks that a path asks for.
    pub(super) fn of_path(path: &str) -> Option<&'static [Self]> {
        let (checks, rest) = match path.split_at_checked(6)? {
            ("/livez", rest) => (LIVEZ, rest),
            _ => (READYZ, path.strip_prefix("/readyz")?),
        };
        if rest.is_empty() {
            return Some(checks);
        }
        let name = rest.strip_prefix('/')?;
        checks.iter().position(|check| check.name() == name).and_then(|at| checks.get(at..=at))
    }

    fn run(self, store: &Store) -> Result<(), String> {
        match self {
            Self::SerializableRead => read(store),
            Self::LinearizableRead => read_latest(store),
            // One member, that has nobody to disagree with or to learn from.
            Self::DataCorruption | Self::NonLearner => Ok(()),
        }
    }
}

/// What `/health` says: no alarm but those that `?exclude` names, and an answer; by
/// `?serializable=true` from a store that takes no writes any more, too.
pub(super) fn healthy(store: &Store, uri: &Uri) -> Result<(), String> {
    let alarms = store.engine.status().alarms;
    let mut names = alarms.into_iter().map(|alarm| alarm_name(alarm.kind));
    if let Some(name) = names.find(|name| !is_excluded(uri, name)) {
        return Err(format!("ALARM {name}"));
    }
    let serializable = query(uri).any(|pair| pair == ("serializable", "true"));
    if serializable { read(store) } else { read_latest(store) }
}

/// Whether the store answers and can go on. In etcd a linearizable read needs what a write needs; a
/// store that takes no writes any more must not look ready.
fn read_latest(store: &Store) -> Result<(), String> {
    read(store)?;
    store.engine.check_writes().map_err(|error| format!("RANGE ERROR:{error}"))
}

/// Whether the store answers.
fn read(store: &Store) -> Result<(), String> {
    let range = KeyRange { key: Bytes::from_static(b"\0"), end: Bytes::new() };
    let request = RangeRequest { range, limit: 1, keys_only: true, ..RangeRequest::default() };
    store.engine.range(&request).map(drop).map_err(|error| format!("RANGE ERROR:{error}"))
}

/// Runs the checks of a path: whether all passed, and what to say.
pub(super) fn report(store: &Store, uri: &Uri, results: &CheckResults) -> (bool, String) {
    let checks = Check::of_path(uri.path()).unwrap_or_default();
    let mut report = String::new();
    let mut passed = true;
    for check in checks.iter().filter(|check| !is_excluded(uri, check.name())) {
        let found = check.run(store);
        let path = usize::from(uri.path().starts_with("/readyz"));
        if let Some(result) = results.of(path, *check as usize) {
            result.found(found.is_ok());
        }
        // Writing to a string cannot fail.
        let _ = match found {
            Ok(()) => writeln!(report, "[+]{} ok", check.name()),
            Err(reason) => {
                passed = false;
                writeln!(report, "[-]{} failed: {reason}", check.name())
            }
        };
    }
    if !passed {
        report.push('\n');
    } else if query(uri).any(|(name, _)| name == "verbose") {
        report.push_str("ok\n");
    } else {
        "ok\n".clone_into(&mut report);
    }
    (passed, report)
}

fn is_excluded(uri: &Uri, what: &str) -> bool {
    query(uri).any(|pair| pair == ("exclude", what))
}

fn query(uri: &Uri) -> impl Iterator<Item = (&str, &str)> {
    let pairs = uri.query().unwrap_or_default().split('&');
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_all_checks_or_one() {
        assert_eq!(Check::of_path("/livez"), Some(LIVEZ));
        assert_eq!(Check::of_path("/readyz"), Some(READYZ));
        assert_eq!(Check::of_path("/readyz/non_learner"), Some(&[Check::NonLearner][..]));
        assert_eq!(Check::of_path("/livez/non_learner"), None);
        assert_eq!(Check::of_path("/readyzz"), None);
        assert_eq!(Check::of_path("/l"), None);
    }
}
