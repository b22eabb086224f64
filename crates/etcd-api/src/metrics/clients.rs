//! By which version of etcd's API clients say they speak. What a client makes up is no label: a
//! version that etcd never had is counted with the others of its kind.

use http::{HeaderMap, HeaderName};

use super::Counter;
use crate::grpc::Method;

/// How etcd's clients tell it.
static CLIENT_API_VERSION: HeaderName = HeaderName::from_static("client-api-version");

/// The minor versions that are told apart, of major version 3.
const MINORS: usize = 10;

/// Clients that tell nothing, and those that tell anything else.
const UNKNOWN: usize = MINORS;
const OTHER: usize = MINORS + 1;

/// One worker's requests, by the client's version.
#[derive(Default)]
pub(crate) struct ClientRequests([[Counter; 2]; MINORS + 2]);

impl ClientRequests {
    /// Counts a call by its headers.
    pub(crate) fn count(&self, method: Method, headers: &HeaderMap) {
        let version = headers.get(&CLIENT_API_VERSION);
        let version = version.map_or(UNKNOWN, |version| index(version.as_bytes()));
        let is_unary = usize::from(method.kind() == "unary");
        if let Some(counter) = self.0.get(version).and_then(|counters| counters.get(is_unary)) {
            counter.add(1);
        }
    }

    /// `client_api_version` and `type`, as etcd labels them, with the counts.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (String, &'static str, u64)> {
        self.0.iter().enumerate().flat_map(|(version, [streams, unary])| {
            [(name(version), "stream", streams.get()), (name(version), "unary", unary.get())]
        })
    }
}

fn index(version: &[u8]) -> usize {
    match version {
        [b'3', b'.', minor @ b'0'..=b'9'] => usize::from(minor - b'0'),
        _ => OTHER,
    }
}

fn name(version: usize) -> String {
    match version {
        UNKNOWN => "unknown".to_owned(),
        OTHER => "other".to_owned(),
        minor => format!("3.{minor}"),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn check(told: Option<&'static str>, method: Method, label: (&str, &str)) {
        let requests = ClientRequests::default();
        let mut headers = HeaderMap::new();
        if let Some(told) = told {
            headers.insert(&CLIENT_API_VERSION, HeaderValue::from_static(told));
        }
        requests.count(method, &headers);
        let counted: Vec<_> = requests.counts().filter(|(_, _, count)| *count > 0).collect();
        assert_eq!(
            counted,
            [(label.0.to_owned(), if label.1 == "unary" { "unary" } else { "stream" }, 1)]
        );
    }

    #[test]
    fn versions_of_etcd_are_told_apart_and_what_a_client_makes_up_is_not() {
        check(Some("3.7"), Method::Put, ("3.7", "unary"));
        check(Some("3.5"), Method::Watch, ("3.5", "stream"));
        check(Some("3.6"), Method::RangeStream, ("3.6", "stream"));
        check(None, Method::Put, ("unknown", "unary"));
        for made_up in ["3.77", "4.0", "", "3.7\", x=\"", "3.x"] {
            check(Some(made_up), Method::Put, ("other", "unary"));
        }
    }
}
