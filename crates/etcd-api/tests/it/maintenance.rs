//! Maintenance, Cluster, health, and what is not there.

use std::time::Duration;

use decube_etcd_api::wire::etcdserverpb::alarm_request::AlarmAction;
use decube_etcd_api::wire::etcdserverpb::auth_client::AuthClient;
use decube_etcd_api::wire::etcdserverpb::cluster_client::ClusterClient;
use decube_etcd_api::wire::etcdserverpb::{
    AlarmRequest, AlarmType, AuthStatusRequest, CompactionRequest, DefragmentRequest,
    HashKvRequest, MemberListRequest, PutRequest, SnapshotRequest, StatusRequest,
};
use decube_etcd_api::wire::health::health_check_response::ServingStatus;
use decube_etcd_api::wire::health::health_client::HealthClient;
use decube_etcd_api::wire::health::{HealthCheckRequest, HealthListRequest};
use tonic::Code;

use crate::served::{
    Served, check_refused, owned, revision, serve, serve_quota, serve_with, within,
};

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
async fn the_size_in_use_counts_history_as_etcds_does() {
    let served = serve();
    for _ in 0..25 {
        served.put("k", &"v".repeat(4096)).await;
    }
    let status = served.maintenance().status(StatusRequest {}).await.expect("a status");
    let status = status.into_inner();
    assert!(status.db_size_in_use >= 25 * 4096, "{status:?}");
    assert!(status.db_size_in_use <= status.db_size, "{status:?}");
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

/// What `Alarm` answers: members and kinds.
async fn alarm(
    served: &Served,
    action: AlarmAction,
    member_id: u64,
    kind: AlarmType,
) -> Vec<(u64, AlarmType)> {
    let request = AlarmRequest { action: action as i32, member_id, alarm: kind as i32 };
    let reply = served.maintenance().alarm(request).await.expect("an answer").into_inner();
    reply.alarms.iter().map(|member| (member.member_id, member.alarm())).collect()
}

#[tokio::test]
async fn alarms_are_raised_listed_told_and_ended_as_etcds_are() {
    use AlarmAction::{Activate, Deactivate, Get};
    use AlarmType::{Corrupt, None, Nospace};
    let served = serve();
    served.put("k", "1").await;
    assert_eq!(alarm(&served, Get, 0, None).await, []);
    assert_eq!(alarm(&served, Activate, 7, None).await, [], "an alarm of no kind is none");
    assert_eq!(alarm(&served, Activate, 7, Nospace).await, [(7, Nospace)]);
    assert_eq!(alarm(&served, Activate, 7, Nospace).await, [(7, Nospace)], "raised already");
    assert_eq!(alarm(&served, Activate, 0, Nospace).await, [(0, Nospace)]);
    let both = [(0, Nospace), (7, Nospace)];
    assert_eq!(alarm(&served, Get, 0, None).await, both);
    assert_eq!(alarm(&served, Get, 5, Nospace).await, both, "whichever member is named");
    assert_eq!(alarm(&served, Get, 0, Corrupt).await, []);
    let status = served.maintenance().status(StatusRequest {}).await.expect("a status");
    assert_eq!(status.into_inner().errors, ["alarm:NOSPACE", "memberID:7  alarm:NOSPACE"]);
    let put = PutRequest { key: owned("k"), value: owned("2"), ..Default::default() };
    let text = "etcdserver: mvcc: database space exceeded";
    check_refused(served.kv().put(put).await, Code::ResourceExhausted, text);
    assert_eq!((served.get("k").await.count, served.delete("k").await), (1, 1));
    assert_eq!(alarm(&served, Deactivate, 0, None).await, []);
    assert_eq!(alarm(&served, Deactivate, 7, Nospace).await, [(7, Nospace)]);
    assert_eq!(alarm(&served, Deactivate, 7, Nospace).await, [], "ended already");
    assert_eq!(alarm(&served, Deactivate, 0, Nospace).await, [(0, Nospace)]);
    served.put("k", "2").await;
}

#[tokio::test]
async fn alarms_of_unknown_kinds_are_refused_by_number() {
    let served = serve();
    let mut maintenance = served.maintenance();
    let mut check = async |request, code, text| {
        check_refused(maintenance.alarm(request).await, code, text);
    };
    let unknown = AlarmRequest { alarm: 9, ..Default::default() };
    check(unknown, Code::InvalidArgument, "etcdserver: unknown alarm type 9").await;
    let unknown = AlarmRequest { action: 7, ..Default::default() };
    check(unknown, Code::InvalidArgument, "etcdserver: unknown alarm action 7").await;
    let corrupt = AlarmRequest { action: 1, member_id: 1, alarm: AlarmType::Corrupt as i32 };
    let text = "etcdserver: the alarm CORRUPT cannot be raised on a store of one member";
    check(corrupt, Code::Unimplemented, text).await;
}

#[tokio::test]
async fn the_quota_refuses_in_etcds_words_and_clears_by_compaction_and_disarming() {
    let served = serve_quota(200_000);
    let mut maintenance = served.maintenance();
    let status = maintenance.status(StatusRequest {}).await.expect("a status").into_inner();
    assert_eq!((status.db_size_quota, status.errors.len()), (200_000, 0));
    let large = || PutRequest {
        key: owned("large"),
        value: owned(&"v".repeat(50_000)),
        ..Default::default()
    };
    let refused = loop {
        if let Err(refused) = served.kv().put(large()).await {
            break refused;
        }
    };
    let text = "etcdserver: mvcc: database space exceeded";
    assert_eq!((refused.code(), refused.message()), (Code::ResourceExhausted, text));
    let raised = alarm(&served, AlarmAction::Get, 0, AlarmType::None).await;
    let member = status.header.expect("a header").member_id;
    assert_eq!(raised, [(member, AlarmType::Nospace)]);
    let revision = revision(served.get("large").await.header.as_ref());
    let compaction = CompactionRequest { revision, physical: true };
    served.kv().compact(compaction).await.expect("compaction goes on");
    maintenance.defragment(DefragmentRequest {}).await.expect("so does this");
    assert_eq!(alarm(&served, AlarmAction::Deactivate, member, AlarmType::Nospace).await, raised);
    let room = async {
        // What a compaction makes unreachable is dropped in slices behind it.
        while served.kv().put(large()).await.is_err() {
            alarm(&served, AlarmAction::Deactivate, member, AlarmType::Nospace).await;
        }
    };
    within("room", room).await;
}

#[tokio::test]
async fn defragmenting_does_nothing() {
    let served = serve();
    let done = served.maintenance().defragment(DefragmentRequest {}).await.expect("done");
    assert_eq!(done.into_inner().header, None, "as in etcd");
}

#[tokio::test]
async fn what_is_not_there_is_unimplemented_by_its_name() {
    let served = serve();
    let mut auth = AuthClient::new(served.channel.clone());
    let text = "unknown method AuthStatus for service etcdserverpb.Auth";
    let answer = auth.auth_status(AuthStatusRequest {}).await;
    check_refused(answer, Code::Unimplemented, text);
    let answer = served.maintenance().snapshot(SnapshotRequest {}).await;
    assert_eq!(answer.expect_err("not there yet").code(), Code::Unimplemented);
}

#[tokio::test]
async fn health_is_told_as_gos_library_tells_it() {
    let served = serve();
    let mut health = HealthClient::new(served.channel.clone());
    let of = |service: &str| HealthCheckRequest { service: service.to_owned() };
    let answer = health.check(of("")).await.expect("an answer");
    assert_eq!(answer.into_inner().status(), ServingStatus::Serving);
    check_refused(health.check(of("unknown")).await, Code::NotFound, "unknown service");
    let list = health.list(HealthListRequest {}).await.expect("a list").into_inner();
    let told: Vec<_> =
        list.statuses.iter().map(|(name, told)| (&name[..], told.status())).collect();
    assert_eq!(told, [("", ServingStatus::Serving)]);
    let mut watched = Vec::new();
    for (service, expected) in
        [("", ServingStatus::Serving), ("unknown", ServingStatus::ServiceUnknown)]
    {
        let mut answers = health.watch(of(service)).await.expect("a stream").into_inner();
        let first = answers.message().await.expect("an answer").expect("one at once");
        assert_eq!(first.status(), expected, "{service}");
        watched.push(answers);
    }
    let served = tokio::task::spawn_blocking(move || served.server.stop(Duration::from_secs(20)));
    for mut answers in watched {
        let end = within("the end", answers.message()).await.expect_err("the server leaves");
        assert_eq!(end.code(), Code::Unavailable);
    }
    assert!(served.await.expect("no panic"), "drained");
}
