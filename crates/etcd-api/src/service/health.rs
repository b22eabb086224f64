//! gRPC's own question whether a server serves, answered as gRPC's library for Go answers it under
//! etcd. There is one service, the server itself, and it serves for as long as it answers.

use std::collections::HashMap;

use futures_util::stream::{once, unfold};
use http::Response;
use hyper::body::Incoming;
use tokio_stream::StreamExt;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::grpc::{self, ReplyBody};
use crate::metrics::OpenStream;
use crate::status;
use crate::store::Store;
use crate::wire::health as pb;
use crate::wire::health::health_check_response::ServingStatus;

/// The server's name as a service.
const SERVER: &str = "";

/// Whether a service serves; one that is not known is an error here.
pub(crate) fn health_check(
    request: &pb::HealthCheckRequest,
) -> Result<pb::HealthCheckResponse, Status> {
    match health_of(&request.service) {
        ServingStatus::ServiceUnknown => Err(Status::not_found("unknown service")),
        serving => Ok(response(serving)),
    }
}

/// All services.
pub(crate) fn health_list() -> pb::HealthListResponse {
    let server = (SERVER.to_owned(), response(health_of(SERVER)));
    pb::HealthListResponse { statuses: HashMap::from([server]) }
}

/// Tells at once whether a service serves, and nothing more until the server leaves.
pub(crate) async fn health_watch(
    store: &Store,
    body: Incoming,
    draining: CancellationToken,
    mut open: OpenStream,
) -> Response<ReplyBody> {
    let first = match grpc::read_message(body, &store.arriving).await {
        Ok(message) => {
            open.call().received(message.len());
            grpc::decode::<pb::HealthCheckRequest>(&message).and_then(|request| {
                grpc::reply(&response(health_of(&request.service)), open.call())
            })
        }
        Err(status) => Err(status),
    };
    if let Err(refused) = first {
        open.end(refused.code());
        return grpc::error_response(refused);
    }
    let end = unfold(Some((draining, open)), |left| async move {
        let (draining, mut open) = left?;
        draining.cancelled().await;
        let stopped = status::stopped();
        open.end(stopped.code());
        Some((Err(stopped), None))
    });
    grpc::answered_response(Box::pin(once(async { first }).chain(end))).await
}

fn health_of(service: &str) -> ServingStatus {
    if service == SERVER { ServingStatus::Serving } else { ServingStatus::ServiceUnknown }
}

fn response(serving: ServingStatus) -> pb::HealthCheckResponse {
    pb::HealthCheckResponse { status: serving.into() }
}
