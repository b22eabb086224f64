//! gRPC's reflection, and what it holds.

use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};

use crate::served::{Served, serve, within};

/// Asks by reflection which services there are.
async fn reflect(
    served: &Served,
    asked: impl Stream<Item = ServerReflectionRequest> + Send + 'static,
) -> Result<Streaming<ServerReflectionResponse>, Status> {
    let mut reflection = ServerReflectionClient::new(served.channel.clone());
    reflection.server_reflection_info(asked).await.map(tonic::Response::into_inner)
}

fn which_services(host: String) -> ServerReflectionRequest {
    let message_request = Some(MessageRequest::ListServices(String::new()));
    ServerReflectionRequest { host, message_request }
}

#[tokio::test]
async fn reflection_lists_etcds_services() {
    let served = serve();
    let asked = tokio_stream::once(which_services(String::new()));
    let answer = reflect(&served, asked).await.expect("a stream").message().await;
    let answer = answer.expect("an answer");
    let services = match answer.and_then(|answer| answer.message_response) {
        Some(MessageResponse::ListServicesResponse(list)) => list.service,
        other => panic!("not a list: {other:?}"),
    };
    for name in ["KV", "Watch", "Lease", "Cluster", "Maintenance", "Auth"] {
        let full = format!("etcdserverpb.{name}");
        assert!(services.iter().any(|service| service.name == full), "{full} in {services:?}");
    }
}

#[tokio::test]
async fn what_reflection_holds_of_requests_is_bounded() {
    let served = serve();
    let long = tokio_stream::once(which_services("h".repeat(64 << 10)));
    let answer = reflect(&served, long).await.expect("a stream").message().await;
    assert!(answer.expect("only an end").is_none(), "it is too long to be read");

    // A stream whose client could ask more, and ends it by letting go of the first half.
    let open = || {
        let (asking, asked) = mpsc::channel(1);
        let answers = reflect(&served, ReceiverStream::new(asked));
        async { within("an answer", answers).await.map(|answers| (asking, answers)) }
    };
    let mut streams = Vec::new();
    let refused = loop {
        assert!(streams.len() < 1_000, "there is no end of streams");
        match open().await {
            Ok(stream) => streams.push(stream),
            Err(refused) => break refused,
        }
    };
    let told = (refused.code(), refused.message());
    assert_eq!(told, (Code::ResourceExhausted, "etcdserver: too many requests"));
    drop(streams);
    let ended = async {
        while open().await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    within("room again", ended).await;
}
