//! Maintenance, Cluster, health, reflection, and what is not there.

use decube_etcd_api::wire::etcdserverpb::auth_client::AuthClient;
use decube_etcd_api::wire::etcdserverpb::cluster_client::ClusterClient;
use decube_etcd_api::wire::etcdserverpb::{
    AlarmRequest, AuthStatusRequest, DefragmentRequest, HashKvRequest, MemberListRequest,
    RangeRequest, SnapshotRequest, StatusRequest,
};
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::served::{check_refused, revision, serve, serve_with};

#[tokio::test]
async fn status_tells_the_etcd_version_that_is_matched() {
    let served = serve();
    served.put("a", "1").await;
    let status = served.maintenance().status(StatusRequest {}).await.expect("a status");
    let status = status.into_inner();
    let header = status.header.expect("a header");
    assert_eq!((status.version.as_str(), header.revision), ("3.7.1", 2));
    assert_eq!((status.leader, status.is_learner), (header.member_id, false));
    assert!(status.db_size > 0 && status.errors.is_empty());
}

#[tokio::test]
async fn members_tell_where_clients_connect() {
    let served = serve();
    let mut cluster = ClusterClient::new(served.channel.clone());
    let list = cluster.member_list(MemberListRequest::default()).await.expect("a list");
    let list = list.into_inner();
    let address = format!("http://{}", served.server.local_address());
    assert_eq!(list.members[0].client_ur_ls, [address]);
    assert_eq!(revision(list.header.as_ref()), 0, "as in etcd");
    let served = serve_with(|options| options.advertise_client_urls = vec!["http://db:1".into()]);
    let mut cluster = ClusterClient::new(served.channel.clone());
    let list = cluster.member_list(MemberListRequest::default()).await.expect("a list");
    assert_eq!(list.into_inner().members[0].client_ur_ls, ["http://db:1"]);
}

#[tokio::test]
async fn hashes_cover_the_history_up_to_a_revision() {
    let served = serve();
    served.put("a", "1").await;
    let mut maintenance = served.maintenance();
    let mut hash = async |revision| {
        let hash = maintenance.hash_kv(HashKvRequest { revision }).await.expect("a hash");
        hash.into_inner()
    };
    let before = hash(0).await;
    assert_eq!((before.hash_revision, before.compact_revision), (2, -1));
    served.put("a", "2").await;
    assert_ne!(hash(0).await.hash, before.hash);
    let again = hash(2).await;
    assert_eq!((again.hash, again.hash_revision), (before.hash, 2));
    assert_eq!(revision(again.header.as_ref()), 3);
}

#[tokio::test]
async fn alarms_are_listed_and_defragmenting_does_nothing() {
    let served = serve();
    let mut maintenance = served.maintenance();
    let alarms = maintenance.alarm(AlarmRequest::default()).await.expect("a list").into_inner();
    assert_eq!((alarms.alarms.len(), revision(alarms.header.as_ref())), (0, 1));
    let done = maintenance.defragment(DefragmentRequest {}).await.expect("done").into_inner();
    assert_eq!(done.header, None, "as in etcd");
}

#[tokio::test]
async fn what_is_not_there_is_unimplemented_by_its_name() {
    let served = serve();
    let mut auth = AuthClient::new(served.channel.clone());
    let text = "unknown method AuthStatus for service etcdserverpb.Auth";
    let answer = auth.auth_status(AuthStatusRequest {}).await;
    check_refused(answer, Code::Unimplemented, text);
    let answer = served.kv().range_stream(RangeRequest::default()).await;
    assert_eq!(answer.expect_err("not there yet").code(), Code::Unimplemented);
    let answer = served.maintenance().snapshot(SnapshotRequest {}).await;
    assert_eq!(answer.expect_err("not there yet").code(), Code::Unimplemented);
}

#[tokio::test]
async fn the_health_service_says_serving() {
    let served = serve();
    let mut health = HealthClient::new(served.channel.clone());
    let answer = health.check(HealthCheckRequest::default()).await.expect("an answer");
    assert_eq!(answer.into_inner().status(), ServingStatus::Serving);
}

#[tokio::test]
async fn reflection_lists_etcds_services() {
    let served = serve();
    let mut reflection = ServerReflectionClient::new(served.channel.clone());
    let request = ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..Default::default()
    };
    let answers = reflection.server_reflection_info(tokio_stream::once(request)).await;
    let answer = answers.expect("a stream").into_inner().message().await.expect("an answer");
    let services = match answer.and_then(|answer| answer.message_response) {
        Some(MessageResponse::ListServicesResponse(list)) => list.service,
        other => panic!("not a list: {other:?}"),
    };
    for name in ["KV", "Watch", "Lease", "Cluster", "Maintenance", "Auth"] {
        let full = format!("etcdserverpb.{name}");
        assert!(services.iter().any(|service| service.name == full), "{full} in {services:?}");
    }
}
