//! From a request's path to who answers it.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use decube_tls::ServerTls;
use http::{HeaderMap, Request, Response};
use http_body::Body;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use tower_service::Service;

use crate::forward::{self, Forwarder, Place};
use crate::grpc::{self, Method, ReplyBody, deadline};
use crate::metrics::{Counters, OpenStream};
use crate::service;
use crate::status;
use crate::store::Store;
use crate::wire::etcdserverpb as pb;
use crate::wire::health;

type TonicFuture = Pin<Box<dyn Future<Output = Response<tonic::body::Body>> + Send>>;

/// The answer to one request.
pub(crate) type Answering =
    Pin<Box<dyn Future<Output = Result<Response<ReplyBody>, Infallible>> + Send>>;

/// A service that tonic generated, whatever its type.
type TonicService = Arc<dyn Fn(Request<Incoming>) -> TonicFuture + Send + Sync>;

/// One worker's services.
pub(crate) struct Router {
    store: Arc<Store>,
    counters: Arc<Counters>,
    draining: CancellationToken,
    forwarder: Forwarder,
    pages: crate::http::Pages,
    reflection: TonicService,
    reflection_alpha: TonicService,
}

/// What the workers have in common.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) counters: Arc<[Arc<Counters>]>,
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
            reflection: erased(reflection().build_v1()?),
            reflection_alpha: erased(reflection().build_v1alpha()?),
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
        if let Some(service) = self.stream(method) {
            let answer = service(request);
            return Box::pin(async move {
                let response = answer.await.map(ReplyBody::Tonic);
                router.counters.handle(method, code(response.headers()));
                Ok(response)
            });
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

    fn renewals(&self, body: Incoming) -> service::Renewals {
        let open = OpenStream::new(&self.counters, Method::LeaseKeepAlive);
        let store = Arc::clone(&self.store);
        service::Renewals::new(store, body, self.draining.clone(), open)
    }

    fn watch(&self, body: Incoming) -> Response<ReplyBody> {
        let open = OpenStream::new(&self.counters, Method::Watch);
        service::watch(Arc::clone(&self.store), body, self.draining.clone(), open)
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

    /// Answers what a standby may have to pass on.
    async fn as_standby(&self, method: Method, request: Request<Incoming>) -> Response<ReplyBody> {
        let response = match method {
            Method::Range | Method::RangeStream => self.range_as_standby(method, request).await,
            _ => match self.forwarder.place(request.headers()).await {
                Ok(Place::There(connection)) => {
                    self.forwarder.pass_on(connection, request.map(Either::Left)).await
                }
                // It counts itself.
                Ok(Place::Here) if method == Method::LeaseKeepAlive => {
                    return self.renewals(request.into_body()).respond().await;
                }
                Ok(Place::Here) => self.unary(method, request.into_body()).await,
                Err(refusal) => refusal,
            },
        };
        self.count(method, &response);
        response
    }

    /// Only a serializable read is content with what is here.
    async fn range_as_standby(
        &self,
        method: Method,
        request: Request<Incoming>,
    ) -> Response<ReplyBody> {
        let (parts, body) = request.into_parts();
        let message = match grpc::read_message(body, &self.store.arriving).await {
            Ok(message) => message,
            Err(status) => return grpc::error_response(status),
        };
        let serializable = grpc::decode::<pb::RangeRequest>(&message);
        let body = Full::new(grpc::framed(&message));
        if serializable.is_ok_and(|range| range.serializable) {
            return self.range(method, body).await;
        }
        match self.forwarder.place(&parts.headers).await {
            Ok(Place::There(connection)) => {
                let request = Request::from_parts(parts, Either::Right(body));
                self.forwarder.pass_on(connection, request).await
            }
            Ok(Place::Here) => self.range(method, body).await,
            Err(refusal) => refusal,
        }
    }

    async fn unary(&self, method: Method, body: Incoming) -> Response<ReplyBody> {
        let store = &*self.store;
        match method {
            Method::Range | Method::RangeStream => self.range(method, body).await,
            Method::Put => self.call(body, async |r| service::put(store, r).await).await,
            Method::Txn => self.call(body, async |r| service::txn(store, r).await).await,
            // The rest is rare: boxed, so that its state does not swell that of every call.
            _ => Box::pin(self.rare_unary(method, body)).await,
        }
    }

    async fn range<B>(&self, method: Method, body: B) -> Response<ReplyBody>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let (counters, arriving) = (&self.counters, &self.store.arriving);
        if method == Method::Range {
            let handler = async |r| service::range(&self.store, r);
            return grpc::unary(body, arriving, counters, handler, grpc::range_response).await;
        }
        let handler = async |r| service::range_stream(&self.store, r);
        let respond =
            |chunks, _: &_| grpc::streamed_response(chunks, OpenStream::new(counters, method));
        grpc::unary(body, arriving, counters, handler, respond).await
    }

    async fn rare_unary(&self, method: Method, body: Incoming) -> Response<ReplyBody> {
        let store = &*self.store;
        match method {
            Method::DeleteRange => {
                self.call(body, async |r| service::delete_range(store, r).await).await
            }
            Method::Compact => self.call(body, async |r| service::compact(store, r).await).await,
            Method::LeaseGrant => {
                self.call(body, async |r| service::lease_grant(store, r).await).await
            }
            Method::LeaseRevoke => {
                self.call(body, async |r| service::lease_revoke(store, r).await).await
            }
            Method::LeaseTimeToLive => {
                self.call(body, async |r| service::lease_time_to_live(store, &r)).await
            }
            Method::LeaseLeases => {
                let answer = async |_: pb::LeaseLeasesRequest| Ok(service::lease_leases(store));
                self.call(body, answer).await
            }
            Method::MemberList => {
                let answer = async |_: pb::MemberListRequest| Ok(service::member_list(store));
                self.call(body, answer).await
            }
            Method::Alarm => self.call(body, async |r| service::alarm(store, r).await).await,
            Method::Status => {
                let answer = async |_: pb::StatusRequest| Ok(service::member_status(store));
                self.call(body, answer).await
            }
            Method::Defragment => {
                self.call(body, async |_: pb::DefragmentRequest| Ok(service::defragment())).await
            }
            Method::Hash => self.call(body, async |_: pb::HashRequest| service::hash(store)).await,
            Method::HashKv => self.call(body, async |r| service::hash_kv(store, r)).await,
            Method::HealthCheck => self.call(body, async |r| service::health_check(&r)).await,
            Method::HealthList => {
                let answer = async |_: health::HealthListRequest| Ok(service::health_list());
                self.call(body, answer).await
            }
            _ => grpc::error_response(status::unimplemented(method.name())),
        }
    }

    async fn call<Message, Reply>(
        &self,
        body: Incoming,
        handler: impl AsyncFnOnce(Message) -> Result<Reply, Status>,
    ) -> Response<ReplyBody>
    where
        Message: prost::Message + prost::Name + Default,
        Reply: prost::Message,
    {
        let arriving = &self.store.arriving;
        grpc::unary(body, arriving, &self.counters, handler, grpc::message_response).await
    }

    /// The service of a method that tonic serves.
    fn stream(&self, method: Method) -> Option<&TonicService> {
        match method {
            Method::Reflection => Some(&self.reflection),
            Method::ReflectionAlpha => Some(&self.reflection_alpha),
            _ => None,
        }
    }
}

fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(crate::wire::DESCRIPTORS)
}

fn erased<S>(service: S) -> TonicService
where
    S: Service<Request<Incoming>, Response = Response<tonic::body::Body>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send,
{
    Arc::new(move |request| {
        // A generated service is always ready.
        let answer = service.clone().call(request);
        Box::pin(async move {
            match answer.await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        })
    })
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
