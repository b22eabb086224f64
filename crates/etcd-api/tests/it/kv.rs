//! KV: what reads and writes answer.

use decube_etcd_api::wire::etcdserverpb::range_request::{SortOrder, SortTarget};
use decube_etcd_api::wire::etcdserverpb::{
    CompactionRequest, DeleteRangeRequest, LeaseGrantRequest, PutRequest, RangeRequest,
};
use tonic::Code;

use crate::served::{check_refused, owned, revision, serve, within};

const COMPACTED: &str = "etcdserver: mvcc: required revision has been compacted";
const FUTURE: &str = "etcdserver: mvcc: required revision is a future revision";

fn all_keys() -> RangeRequest {
    RangeRequest { key: owned("\0"), range_end: owned("\0"), ..RangeRequest::default() }
}

#[tokio::test]
async fn every_header_tells_who_answered_and_the_current_revision() {
    let served = serve();
    assert_eq!(revision(served.get("absent").await.header.as_ref()), 1, "a fresh store");
    let put = served.put("a", "1").await;
    assert_eq!(revision(put.header.as_ref()), 2);
    served.put("b", "2").await;
    let read_back = RangeRequest { key: owned("a"), revision: 2, ..RangeRequest::default() };
    let read = served.kv().range(read_back).await.expect("an old revision").into_inner();
    let header = read.header.expect("a header");
    assert_eq!(header.revision, 3, "the current revision, not the one read");
    assert!(header.cluster_id != 0 && header.member_id != 0 && header.raft_term != 0);
    assert_eq!(served.delete("absent").await, 0);
    assert_eq!(
        revision(served.get("a").await.header.as_ref()),
        3,
        "deleting nothing is no revision"
    );
}

#[tokio::test]
async fn a_key_is_answered_with_its_whole_story() {
    let served = serve();
    served.put("a", "1").await;
    served.put("a", "2").await;
    let read = served.get("a").await;
    assert_eq!((read.count, read.more, read.kvs.len()), (1, false, 1));
    let kv = &read.kvs[0];
    assert_eq!((kv.key(), kv.value()), (&b"a"[..], &b"2"[..]));
    assert_eq!((kv.create_revision(), kv.mod_revision(), kv.version(), kv.lease()), (2, 3, 2, 0));
    let put =
        PutRequest { key: owned("a"), value: owned("3"), prev_kv: true, ..Default::default() };
    let previous = served.kv().put(put).await.expect("a put").into_inner().prev_kv;
    assert_eq!(previous.expect("there was a version before").value(), b"2");
}

#[tokio::test]
async fn keys_only_leaves_value_and_lease_out_unless_sorted_by_value() {
    let served = serve();
    let grant = LeaseGrantRequest { ttl: 100, id: 7 };
    served.lease().lease_grant(grant).await.expect("a lease");
    let put = PutRequest { key: owned("a"), value: owned("1"), lease: 7, ..Default::default() };
    served.kv().put(put).await.expect("a put with a lease");
    let check = async |sort_target: SortTarget, lease: i64| {
        let request = RangeRequest {
            keys_only: true,
            sort_target: sort_target as i32,
            sort_order: SortOrder::Ascend as i32,
            ..all_keys()
        };
        let read = served.kv().range(request).await.expect("a read").into_inner();
        let kv = &read.kvs[0];
        assert_eq!((kv.key(), kv.value(), kv.mod_revision()), (&b"a"[..], &b""[..], 2));
        assert_eq!(kv.lease(), lease, "sorted by {sort_target:?}");
    };
    check(SortTarget::Key, 0).await;
    check(SortTarget::Value, 7).await;
}

#[tokio::test]
async fn a_limit_cuts_the_answer_but_not_the_count() {
    let served = serve();
    for key in ["a", "b", "c"] {
        served.put(key, "v").await;
    }
    let request = RangeRequest { limit: 2, ..all_keys() };
    let read = served.kv().range(request).await.expect("a read").into_inner();
    assert_eq!((read.kvs.len(), read.more, read.count), (2, true, 3));
    let request = RangeRequest { count_only: true, ..all_keys() };
    let read = served.kv().range(request).await.expect("a read").into_inner();
    assert_eq!((read.kvs.len(), read.more, read.count), (0, false, 3));
}

#[tokio::test]
async fn a_long_range_arrives_whole_and_so_do_calls_beside_it() {
    let served = serve();
    for key in 0..300 {
        served.put(&format!("{key:03}"), &"v".repeat(1000)).await;
    }
    let long = RangeRequest { limit: 299, ..all_keys() };
    let (mut kv, short) = (served.kv(), served.get("007"));
    let (read, short) = tokio::join!(kv.range(long), short);
    let read = read.expect("a read").into_inner();
    assert_eq!((read.kvs.len(), read.count, read.more), (299, 300, true));
    assert_eq!(revision(read.header.as_ref()), 301);
    let expected = (0..299).map(|key| format!("{key:03}").into_bytes());
    assert!(read.kvs.iter().map(|kv| kv.key().to_vec()).eq(expected));
    assert!(read.kvs.iter().all(|kv| kv.value() == "v".repeat(1000).as_bytes()));
    assert_eq!(short.kvs, read.kvs[7..8]);
}

#[tokio::test]
async fn deleting_a_range_is_one_revision_and_tells_what_was_deleted() {
    let served = serve();
    for key in ["a", "b", "c"] {
        served.put(key, key).await;
    }
    let request = DeleteRangeRequest { key: owned("a"), range_end: owned("c"), prev_kv: true };
    let deleted = served.kv().delete_range(request).await.expect("a delete").into_inner();
    let values: Vec<_> = deleted.prev_kvs.iter().map(|kv| kv.value().to_vec()).collect();
    assert_eq!((revision(deleted.header.as_ref()), deleted.deleted), (5, 2));
    assert_eq!(values, [b"a", b"b"]);
}

#[tokio::test]
async fn reads_are_refused_in_etcds_words() {
    let served = serve();
    let mut kv = served.kv();
    let empty = RangeRequest::default();
    check_refused(kv.range(empty).await, Code::InvalidArgument, "etcdserver: key is not provided");
    let future = RangeRequest { revision: 9, ..all_keys() };
    check_refused(kv.range(future).await, Code::OutOfRange, FUTURE);
    let bad_sort = RangeRequest { sort_order: 3, ..all_keys() };
    let text = "etcdserver: invalid sort option";
    check_refused(kv.range(bad_sort).await, Code::InvalidArgument, text);
    let bad_target = RangeRequest { sort_target: -1, ..all_keys() };
    check_refused(kv.range(bad_target).await, Code::InvalidArgument, text);
}

#[tokio::test]
async fn writes_are_refused_in_etcds_words_and_change_nothing() {
    let served = serve();
    let mut kv = served.kv();
    let mut check = async |put: PutRequest, code: Code, text: &str| {
        check_refused(kv.put(put).await, code, text);
    };
    let key = owned("k");
    let text = "etcdserver: key is not provided";
    check(PutRequest::default(), Code::InvalidArgument, text).await;
    let put = PutRequest { key: key.clone(), lease: 5, ..Default::default() };
    check(put, Code::NotFound, "etcdserver: requested lease not found").await;
    let put = PutRequest { key: key.clone(), ignore_value: true, ..Default::default() };
    check(put, Code::InvalidArgument, "etcdserver: key not found").await;
    let put = PutRequest {
        key: key.clone(),
        value: owned("v"),
        ignore_value: true,
        ..Default::default()
    };
    check(put, Code::InvalidArgument, "etcdserver: value is provided").await;
    let put = PutRequest { key, lease: 5, ignore_lease: true, ..Default::default() };
    check(put, Code::InvalidArgument, "etcdserver: lease is provided").await;
    let text = "etcdserver: key is not provided";
    let answer = served.kv().delete_range(DeleteRangeRequest::default()).await;
    check_refused(answer, Code::InvalidArgument, text);
    assert_eq!(revision(served.get("k").await.header.as_ref()), 1);
}

#[tokio::test]
async fn what_is_compacted_is_refused_and_compaction_too() {
    let served = serve();
    served.put("a", "1").await;
    served.put("a", "2").await;
    let mut kv = served.kv();
    let compact = |revision| CompactionRequest { revision, physical: true };
    let done = kv.compact(compact(3)).await.expect("a compaction").into_inner();
    assert_eq!(revision(done.header.as_ref()), 3);
    check_refused(kv.compact(compact(3)).await, Code::OutOfRange, COMPACTED);
    check_refused(kv.compact(compact(9)).await, Code::OutOfRange, FUTURE);
    let at = |revision| RangeRequest { key: owned("a"), revision, ..Default::default() };
    check_refused(kv.range(at(2)).await, Code::OutOfRange, COMPACTED);
    let read = kv.range(at(3)).await.expect("the compacted revision itself can be read");
    assert_eq!(read.into_inner().kvs[0].value(), b"2");
}

#[tokio::test]
async fn a_physical_compaction_is_answered_when_nothing_is_left_of_it() {
    let served = serve();
    for _ in 0..1_000 {
        served.put("a", &"v".repeat(100)).await;
    }
    let kept = || served.engine.status().db_size_bytes;
    let image = served.engine.image(true).expect("an image");
    let mut kv = served.kv();
    let compact = CompactionRequest { revision: 1_001, physical: true };
    let mut compacting = tokio::spawn(async move { kv.compact(compact).await });
    within("the compaction", async {
        while served.engine.status().compact_revision.0 < 1_001 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let logical = CompactionRequest { revision: 1_000, physical: false };
    check_refused(served.kv().compact(logical).await, Code::OutOfRange, COMPACTED);
    assert!(kept() > 100_000, "an image that is read keeps what it has yet to read");
    assert!(!compacting.is_finished());
    drop(image);
    let done = within("its end", &mut compacting).await.expect("a task").expect("a compaction");
    assert_eq!(revision(done.into_inner().header.as_ref()), 1_001);
    assert!(kept() < 10_000, "{} bytes are left", kept());
}
