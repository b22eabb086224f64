//! Leases.

use decube_etcd_api::wire::etcdserverpb::{
    LeaseGrantRequest, LeaseKeepAliveRequest, LeaseLeasesRequest, LeaseRevokeRequest,
    LeaseTimeToLiveRequest, PutRequest,
};
use tonic::Code;

use crate::served::{check_refused, owned, revision, serve, within};

fn grant(id: i64, ttl: i64) -> LeaseGrantRequest {
    LeaseGrantRequest { id, ttl }
}

#[tokio::test]
async fn a_lease_takes_its_keys_with_it_in_one_revision() {
    let served = serve();
    let mut lease = served.lease();
    let granted = lease.lease_grant(grant(0, 60)).await.expect("a lease").into_inner();
    assert!(granted.id != 0 && granted.ttl == 60 && revision(granted.header.as_ref()) == 1);
    for key in ["a", "b"] {
        let put = PutRequest { key: owned(key), lease: granted.id, ..Default::default() };
        served.kv().put(put).await.expect("a put with a lease");
    }
    let ask = LeaseTimeToLiveRequest { id: granted.id, keys: true };
    let told = lease.lease_time_to_live(ask).await.expect("an answer").into_inner();
    assert_eq!((told.granted_ttl, told.keys), (60, vec![owned("a"), owned("b")]));
    assert!(told.ttl <= 60 && told.ttl > 0);
    let all = lease.lease_leases(LeaseLeasesRequest {}).await.expect("an answer").into_inner();
    assert_eq!(all.leases.iter().map(|lease| lease.id).collect::<Vec<_>>(), [granted.id]);
    let revoke = LeaseRevokeRequest { id: granted.id };
    let revoked = lease.lease_revoke(revoke).await.expect("a revocation").into_inner();
    assert_eq!(revision(revoked.header.as_ref()), 4);
    assert!(served.get("a").await.kvs.is_empty() && served.get("b").await.kvs.is_empty());
}

#[tokio::test]
async fn grants_and_revocations_are_refused_in_etcds_words() {
    let served = serve();
    let mut lease = served.lease();
    lease.lease_grant(grant(-5, 60)).await.expect("a negative id is fine");
    let again = lease.lease_grant(grant(-5, 60)).await;
    check_refused(again, Code::FailedPrecondition, "etcdserver: lease already exists");
    let too_long = lease.lease_grant(grant(-5, 9_000_000_001)).await;
    check_refused(too_long, Code::OutOfRange, "etcdserver: too large lease TTL");
    let unknown = lease.lease_revoke(LeaseRevokeRequest { id: 9 }).await;
    check_refused(unknown, Code::NotFound, "etcdserver: requested lease not found");
    let short = lease.lease_grant(grant(0, -3)).await.expect("a short lease").into_inner();
    assert_eq!(short.ttl, 2, "raised to the minimum");
}

#[tokio::test]
async fn an_unknown_lease_is_no_error_to_ask_about_or_to_renew() {
    let served = serve();
    let mut lease = served.lease();
    let ask = LeaseTimeToLiveRequest { id: 9, keys: true };
    let told = lease.lease_time_to_live(ask).await.expect("an answer").into_inner();
    assert_eq!((told.id, told.ttl, told.granted_ttl), (9, -1, 0));
    lease.lease_grant(grant(5, 60)).await.expect("a lease");
    let requests = [9, 5].map(|id| LeaseKeepAliveRequest { id });
    let renewed = lease.lease_keep_alive(tokio_stream::iter(requests)).await;
    let mut renewed = renewed.expect("a stream").into_inner();
    for expected in [(9, 0), (5, 60)] {
        let answer = within("a renewal", renewed.message()).await.expect("the stream goes on");
        let answer = answer.expect("one answer for each request");
        assert_eq!((answer.id, answer.ttl), expected);
        assert_eq!(revision(answer.header.as_ref()), 1);
    }
    let end = within("the end", renewed.message()).await.expect("a clean end");
    assert!(end.is_none());
}

#[tokio::test]
async fn leases_are_listed_by_when_they_run_out() {
    let served = serve();
    let mut lease = served.lease();
    for (id, ttl) in [(1, 1_000), (2, 10), (3, 100)] {
        lease.lease_grant(grant(id, ttl)).await.expect("a lease");
    }
    let all = lease.lease_leases(LeaseLeasesRequest {}).await.expect("an answer").into_inner();
    assert_eq!(all.leases.iter().map(|lease| lease.id).collect::<Vec<_>>(), [2, 3, 1]);
}
