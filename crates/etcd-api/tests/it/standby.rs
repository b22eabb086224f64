//! The port of a standby. What it has itself is told from what its primary has by the value.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use decube_engine::vfs::Faulty;
use decube_engine::{LogLocation, Options, Role, Storage};
use decube_etcd_api::wire::etcdserverpb::{
    LeaseGrantRequest, LeaseKeepAliveRequest, PutRequest, RangeRequest, StatusRequest,
};
use decube_etcd_api::{FindPrimary, Primary};
use parking_lot::Mutex;
use tonic::Code;

use crate::served::{Served, check_refused, owned, serve, serve_store};

/// A standby with nothing in it; `who` is whom it takes for its primary.
fn standby(who: &Arc<Mutex<Option<Primary>>>) -> Served {
    let dir = PathBuf::from("/store");
    let vfs = Arc::new(Faulty::new(1));
    let location = LogLocation { log_dir: dir.clone(), checkpoint_dir: dir, vfs };
    let store = Options { role: Role::Standby, ..Options::new(Storage::Log(location)) };
    let who = Arc::clone(who);
    serve_store(store, |options| {
        options.primary_patience = Duration::from_millis(500);
        options.primary = Some(FindPrimary::new(move || who.lock().clone()));
    })
}

fn pair() -> (Served, Served) {
    let primary = serve();
    let etcd_address = primary.server.local_address().to_string();
    let member_id = primary.engine.identity().member_id;
    let who = Arc::new(Mutex::new(Some(Primary { member_id, etcd_address })));
    (primary, standby(&who))
}

#[tokio::test]
async fn writes_and_latest_reads_of_a_standby_are_its_primarys() {
    let (primary, standby) = pair();
    let put = standby.put("a", "1").await;
    let header = put.header.expect("a header");
    assert_eq!(header.member_id, primary.engine.identity().member_id);
    assert_eq!(primary.get("a").await.kvs.len(), 1);
    assert_eq!(standby.get("a").await.kvs.len(), 1);
    let here = RangeRequest { key: owned("a"), serializable: true, ..RangeRequest::default() };
    let here = standby.kv().range(here).await.expect("a read").into_inner();
    assert!(here.kvs.is_empty(), "it has nothing of its own");
    assert_eq!(standby.delete("a").await, 1);
    let long = "x".repeat(1 << 20);
    standby.put("long", &long).await;
    assert_eq!(standby.get("long").await.kvs[0].value(), long.as_bytes());
}

#[tokio::test]
async fn errors_of_the_primary_come_back_to_the_letter() {
    let (_primary, standby) = pair();
    let refused = standby.kv().put(PutRequest::default()).await;
    check_refused(refused, Code::InvalidArgument, "etcdserver: key is not provided");
}

#[tokio::test]
async fn leases_are_kept_alive_through_a_standby() {
    let (primary, standby) = pair();
    let grant = LeaseGrantRequest { id: 7, ttl: 60 };
    standby.lease().lease_grant(grant).await.expect("a lease");
    assert_eq!(primary.engine.leases().len(), 1);
    let renewals = tokio_stream::iter([LeaseKeepAliveRequest { id: 7 }]);
    let mut answers =
        standby.lease().lease_keep_alive(renewals).await.expect("a stream").into_inner();
    let answer = answers.message().await.expect("an answer").expect("an answer");
    assert_eq!((answer.id, answer.ttl), (7, 60));
    assert!(answers.message().await.expect("an end").is_none());
}

#[tokio::test]
async fn without_a_primary_there_is_no_leader_and_reads_of_what_is_here_go_on() {
    let who = Arc::new(Mutex::new(None));
    let standby = standby(&who);
    let put = || PutRequest { key: owned("a"), ..PutRequest::default() };
    check_refused(standby.kv().put(put()).await, Code::Unavailable, "etcdserver: no leader");
    let latest = RangeRequest { key: owned("a"), ..RangeRequest::default() };
    let refused = standby.kv().range(latest.clone()).await;
    check_refused(refused, Code::Unavailable, "etcdserver: no leader");
    let here = RangeRequest { serializable: true, ..latest };
    standby.kv().range(here).await.expect("a read of what is here");
    // Nobody listens there, and then itself: what was passed on is not passed on again.
    let own = standby.server.local_address().to_string();
    for etcd_address in ["127.0.0.1:1".to_owned(), own] {
        *who.lock() = Some(Primary { member_id: 9, etcd_address });
        check_refused(standby.kv().put(put()).await, Code::Unavailable, "etcdserver: no leader");
    }
    let status = standby.maintenance().status(StatusRequest::default()).await;
    assert_eq!(status.expect("a status").into_inner().leader, 9);
}

#[tokio::test]
async fn a_standby_that_was_promoted_answers_by_itself() {
    let (primary, standby) = pair();
    standby.put("a", "there").await;
    standby.engine.promote().expect("a promotion");
    standby.put("b", "here").await;
    assert!(primary.get("b").await.kvs.is_empty());
    assert!(standby.get("a").await.kvs.is_empty());
}
