//! gRPC's reflection: which services there are and of what their messages are made. tonic serves it.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use tonic::body::Body;
use tonic_reflection::server::{Builder, Error};
use tower_service::Service;

use crate::grpc::Method;

type Answer = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

/// A service that tonic generated, whatever its type.
type TonicService = Arc<dyn Fn(Request<Incoming>) -> Answer + Send + Sync>;

/// Both versions that clients speak.
pub(super) struct Reflection {
    v1: TonicService,
    alpha: TonicService,
}

impl Reflection {
    pub(super) fn new() -> Result<Self, Error> {
        Ok(Self { v1: erased(builder().build_v1()?), alpha: erased(builder().build_v1alpha()?) })
    }

    /// What answers the method, if it is one of reflection.
    pub(super) fn of(&self, method: Method) -> Option<&TonicService> {
        match method {
            Method::Reflection => Some(&self.v1),
            Method::ReflectionAlpha => Some(&self.alpha),
            _ => None,
        }
    }
}

fn builder() -> Builder<'static> {
    Builder::configure().register_encoded_file_descriptor_set(crate::wire::DESCRIPTORS)
}

fn erased<S>(service: S) -> TonicService
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible>,
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
