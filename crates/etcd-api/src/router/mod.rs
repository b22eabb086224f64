//! From a request's path to who answers it.

mod reflection;
mod standby;
mod unary;

use std::convert::Infallible;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use decube_tls::ServerTls;
use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use self::reflection::Reflection;
use crate::forward::{self, Forwarder};
use crate::grpc::{self, Method, ReplyBody, deadline};
use crate::metrics::{Call, CheckResults, Counters, OpenStream};
use crate::service;
use crate::status;
use crate::store::Store;

/// The answer to one request.
pub(crate) type Answering =
    Pin<Box<dyn Future<Output = Result<Response<ReplyBody>, Infallible>> + Send>>;

/// One worker's services.
pub(crate) struct Router {
    store: Arc<Store>,
    counters: Arc<Counters>,
    draining: CancellationToken,
    forwarder: Forwarder,
    pages: crate::http::Pages,
    reflection: Reflection,
}

/// What the workers have in common.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) counters: Arc<[Arc<Counters>]>,
    pub(crate) checks: Arc<CheckResults>,
    pub(crate) draining: CancellationToken,
    /// What connections are made of; `None`: they are served as they are.
    pub(crate) tls: Option<ServerTls>,
}

impl Router {
    pub(crate) fn new(
        store: Arc<Store>,
        counters: Arc<Counters>,
        shared: &Shared,
    ) -> Result<Self, tonic_reflection::server::Error> {
        Ok(Self {
            forwarder: Forwarder::new(&store),
            pages: crate::http::Pages::new(Arc::clone(&store), shared),
            reflection: Reflection::new()?,
            draining: shared.draining.clone(),
            store,
            counters,
        })
    }

    /// Answers one request of any kind. Boxed here, while it is small: the transport moves it
    /// several times before it polls it.
    pub(crate) fn answer(self: &Arc<Self>, request: Request<Incoming>) -> Answering {
        let path = request.uri().path();
        let Some(method) = Method::find(path) else {
            let response = if grpc::is_grpc(request.headers()) {
                grpc::error_response(status::unimplemented(path))
            } else {
                self.pages.answer(request.method(), request.uri(), &self.counters)
            };
            return Box::pin(ready(Ok(response)));
        };
        if !grpc::is_grpc(request.headers()) {
            return Box::pin(ready(Ok(unsupported_media_type())));
        }
        self.counters.start(method);
        self.counters.clients.count(method, request.headers());
        match deadline::patience(request.headers()) {
            Ok(None) => self.carry_out(method, request),
            Ok(Some(patience)) => self.answer_within(patience, method, request),
            Err(refused) => Box::pin(ready(Ok(self.refuse(method, refused)))),
        }
    }

    /// Answers a call whose client gives up after a time; streams it ends by itself.
    fn answer_within(
        self: &Arc<Self>,
        patience: Duration,
        method: Method,
        request: Request<Incoming>,
    ) -> Answering {
        let answering = self.carry_out(method, request);
        if method.kind() != "unary" {
            return answering;
        }
        let router = Arc::clone(self);
        Box::pin(async move {
            let answer = timeout(patience, answering).await;
            answer.unwrap_or_else(|_late| Ok(router.refuse(method, deadline::exceeded())))
        })
    }

    fn refuse(&self, method: Method, refused: Status) -> Response<ReplyBody> {
        self.counters.handle(method, refused.code());
        grpc::error_response(refused)
    }

    fn carry_out(self: &Arc<Self>, method: Method, request: Request<Incoming>) -> Answering {
        let router = Arc::clone(self);
        if !self.store.engine.takes_writes() && forward::may_need_primary(method) {
            return Box::pin(async move { Ok(router.as_standby(method, request).await) });
        }
        if matches!(method, Method::Reflection | Method::ReflectionAlpha) {
            return self.reflect(method, request);
        }
        let body = request.into_body();
        if method == Method::LeaseKeepAlive {
            let renewals = self.renewals(body);
            return Box::pin(async move { Ok(renewals.respond().await) });
        }
        if method == Method::Watch {
            return Box::pin(ready(Ok(self.watch(body))));
        }
        if method == Method::HealthWatch {
            return Box::pin(async move { Ok(router.health_watch(body).await) });
        }
        Box::pin(async move {
            let response = router.unary(method, body).await;
            router.count(method, &response);
            Ok(response)
        })
    }

    fn reflect(self: &Arc<Self>, method: Method, request: Request<Incoming>) -> Answering {
        let answer = match self.reflection.answer(method, request) {
            Ok(answer) => answer,
            Err(refused) => return Box::pin(ready(Ok(self.refuse(method, refused)))),
        };
        let router = Arc::clone(self);
        Box::pin(async move {
            let response = answer.await.map(ReplyBody::Tonic);
            // Its messages are not seen here.
            router.counters.handle(method, code(response.headers()));
            Ok(response)
        })
    }

    fn renewals(&self, body: Incoming) -> service::Renewals {
        let open = OpenStream::new(&self.counters, Method::LeaseKeepAlive);
        let store = Arc::clone(&self.store);
        service::Renewals::new(store, body, self.draining.clone(), open)
    }

    fn watch(&self, body: Incoming) -> Response<ReplyBody> {
        let open = OpenStream::new(&self.counters, Method::Watch);
        service::watch(Arc::clone(&self.store), body, self.draining.clone(), open)
    }

    /// Where the messages of a call are counted.
    fn counted(&self, method: Method) -> Call<'_> {
        Call { counters: &self.counters, method }
    }

    async fn health_watch(&self, body: Incoming) -> Response<ReplyBody> {
        let open = OpenStream::new(&self.counters, Method::HealthWatch);
        service::health_watch(&self.store, body, self.draining.clone(), open).await
    }

    /// Counts an answered call; one whose answer is streamed is counted where that ends.
    fn count(&self, method: Method, response: &Response<ReplyBody>) {
        if !matches!(response.body(), ReplyBody::Streamed(_)) {
            self.counters.handle(method, code(response.headers()));
        }
    }
}

/// The code of a response: an error is told in the headers, success behind the message.
fn code(headers: &HeaderMap) -> Code {
    headers.get("grpc-status").map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes()))
}

fn unsupported_media_type() -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::Plain("this is gRPC\n".into()));
    *response.status_mut() = http::StatusCode::UNSUPPORTED_MEDIA_TYPE;
    response
}
