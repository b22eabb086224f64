//! etcd's HTTP endpoints, on the same port.

mod exposition;
mod health;
mod process;

use std::fmt::Write;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Method, Response, StatusCode, Uri};

use crate::grpc::ReplyBody;
use crate::metrics::Counters;
use crate::router::Shared;
use crate::store::Store;
use crate::{ETCD_CLUSTER_VERSION, ETCD_VERSION};

const PLAIN_TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// The pages of one worker.
pub(crate) struct Pages {
    store: Arc<Store>,
    shared: Shared,
}

impl Pages {
    pub(crate) fn new(store: Arc<Store>, shared: &Shared) -> Self {
        Self { store, shared: shared.clone() }
    }

    /// Answers what is not gRPC.
    pub(crate) fn answer(
        &self,
        method: &Method,
        uri: &Uri,
        counters: &Counters,
    ) -> Response<ReplyBody> {
        let path = uri.path();
        let page: fn(&Self, &Uri, &Counters) -> Response<ReplyBody> = match path {
            "/health" => Self::health,
            "/version" => Self::version,
            "/metrics" => Self::metrics,
            _ if health::Check::of_path(path).is_some() => Self::checks,
            _ => return text(StatusCode::NOT_FOUND, PLAIN_TEXT, "404 page not found\n"),
        };
        if method != Method::GET && !(method == Method::HEAD && path == "/metrics") {
            let mut refused =
                text(StatusCode::METHOD_NOT_ALLOWED, PLAIN_TEXT, "Method Not Allowed\n");
            refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
            return refused;
        }
        page(self, uri, counters)
    }

    fn health(&self, uri: &Uri, counters: &Counters) -> Response<ReplyBody> {
        match health::healthy(&self.store, uri) {
            Ok(()) => {
                counters.health_successes.add(1);
                text(StatusCode::OK, PLAIN_TEXT, r#"{"health":"true","reason":""}"#)
            }
            Err(reason) => {
                counters.health_failures.add(1);
                let body =
                    format!("{{\"health\":\"false\",\"reason\":{}}}\n", json_string(&reason));
                text(StatusCode::SERVICE_UNAVAILABLE, PLAIN_TEXT, body)
            }
        }
    }

    fn checks(&self, uri: &Uri, _counters: &Counters) -> Response<ReplyBody> {
        let (passed, report) = health::report(&self.store, uri, &self.shared.checks);
        let status = if passed { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let mut response = text(status, PLAIN_TEXT, report);
        let nosniff = HeaderName::from_static("x-content-type-options");
        response.headers_mut().insert(nosniff, HeaderValue::from_static("nosniff"));
        response
    }

    fn version(&self, _uri: &Uri, _counters: &Counters) -> Response<ReplyBody> {
        let versions = [
            ("etcdserver", ETCD_VERSION),
            ("etcdcluster", ETCD_CLUSTER_VERSION),
            ("storage", ETCD_CLUSTER_VERSION),
            ("decube", &self.store.options.product_version),
        ];
        let fields = versions.map(|(name, version)| format!("\"{name}\":{}", json_string(version)));
        text(StatusCode::OK, JSON, format!("{{{}}}", fields.join(",")))
    }

    fn metrics(&self, _uri: &Uri, _counters: &Counters) -> Response<ReplyBody> {
        let page = exposition::page(&self.store, &self.shared);
        text(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", page)
    }
}

fn text(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::Plain(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A JSON string literal.
fn json_string(text: &str) -> String {
    let mut literal = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => literal.extend(['\\', character]),
            control if control < ' ' => {
                // Writing to a string cannot fail.
                let _ = write!(literal, "\\u{:04x}", u32::from(control));
            }
            _ => literal.push(character),
        }
    }
    literal.push('"');
    literal
}

#[cfg(test)]
mod tests {
    #[test]
    fn text_becomes_a_json_string() {
        assert_eq!(super::json_string("a\"b\\c\nd"), r#""a\"b\\c\u000ad""#);
    }
}
