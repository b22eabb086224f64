//! gRPC's reflection: which services there are and of what their messages are made. tonic serves it.
//!
//! tonic holds what has come of a request until its end has, so both the requests that are begun and
//! the length of each are bounded.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;
use tonic::body::Body;
use tonic_reflection::server::{Builder, Error};
use tower_service::Service;

use crate::grpc::Method;
use crate::status;

/// A request names a file or a symbol.
const REQUEST_BYTES_MAX: usize = 64 << 10;
/// Of one worker. A client asks what it wants to know on one stream, and ends it.
const STREAMS_MAX: usize = 256;

type Answer = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

/// A service that tonic generated, whatever its type.
type TonicService = Arc<dyn Fn(Request<Body>) -> Answer + Send + Sync>;

/// Both versions that clients speak.
pub(super) struct Reflection {
    v1: TonicService,
    alpha: TonicService,
    room: Arc<Semaphore>,
}

impl Reflection {
    pub(super) fn new() -> Result<Self, Error> {
        let v1 = builder().build_v1()?.max_decoding_message_size(REQUEST_BYTES_MAX);
        let alpha = builder().build_v1alpha()?.max_decoding_message_size(REQUEST_BYTES_MAX);
        let room = Arc::new(Semaphore::new(STREAMS_MAX));
        Ok(Self { v1: erased(v1), alpha: erased(alpha), room })
    }

    /// Begins to answer in the version of `method`.
    ///
    /// # Errors
    /// Too many of this worker's clients are asking.
    pub(super) fn answer(
        &self,
        method: Method,
        request: Request<Incoming>,
    ) -> Result<Answer, Status> {
        let room = Arc::clone(&self.room).try_acquire_owned();
        let room = room.map_err(|_taken| status::too_many_requests())?;
        let request = request.map(|body| Body::new(Asked { body, _room: room }));
        let service = if method == Method::Reflection { &self.v1 } else { &self.alpha };
        Ok(service(request))
    }
}

/// What a client asks, on a stream that counts until it ends.
struct Asked {
    body: Incoming,
    _room: OwnedSemaphorePermit,
}

impl http_body::Body for Asked {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

fn builder() -> Builder<'static> {
    Builder::configure().register_encoded_file_descriptor_set(crate::wire::DESCRIPTORS)
}

fn erased<S>(service: S) -> TonicService
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
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
