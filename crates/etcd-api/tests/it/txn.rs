//! Transactions.

use decube_etcd_api::wire::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use decube_etcd_api::wire::etcdserverpb::request_op::Request;
use decube_etcd_api::wire::etcdserverpb::response_op::Response;
use decube_etcd_api::wire::etcdserverpb::{
    Compare, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, ResponseHeader, TxnRequest,
    TxnResponse,
};
use tonic::Code;

use crate::served::{Served, check_refused, owned, revision, serve};

fn put(key: &str, value: &str) -> RequestOp {
    let put = PutRequest { key: owned(key), value: owned(value), ..Default::default() };
    RequestOp { request: Some(Request::RequestPut(put)) }
}

fn range(key: &str) -> RequestOp {
    let range = RangeRequest { key: owned(key), ..Default::default() };
    RequestOp { request: Some(Request::RequestRange(range)) }
}

fn delete(key: &str) -> RequestOp {
    let delete = DeleteRangeRequest { key: owned(key), ..Default::default() };
    RequestOp { request: Some(Request::RequestDeleteRange(delete)) }
}

fn nested(txn: TxnRequest) -> RequestOp {
    RequestOp { request: Some(Request::RequestTxn(txn)) }
}

fn mod_revision_is(key: &str, revision: i64) -> Compare {
    Compare {
        key: owned(key),
        result: CompareResult::Equal as i32,
        target: CompareTarget::Mod as i32,
        target_union: Some(TargetUnion::ModRevision(revision)),
        ..Default::default()
    }
}

async fn run(served: &Served, txn: TxnRequest) -> TxnResponse {
    served.kv().txn(txn).await.expect("a transaction succeeds").into_inner()
}

#[tokio::test]
async fn create_if_absent_happens_once() {
    let served = serve();
    let create = TxnRequest {
        compare: vec![mod_revision_is("a", 0)],
        success: vec![put("a", "1")],
        failure: vec![range("a")],
    };
    let first = run(&served, create.clone()).await;
    assert_eq!((first.succeeded, revision(first.header.as_ref())), (true, 2));
    let second = run(&served, create).await;
    assert_eq!((second.succeeded, revision(second.header.as_ref())), (false, 2));
    match second.responses[0].response.as_ref() {
        Some(Response::ResponseRange(read)) => assert_eq!(read.kvs[0].value(), b"1"),
        other => panic!("not a read: {other:?}"),
    }
}

#[tokio::test]
async fn operations_share_a_revision_and_see_each_other() {
    let served = serve();
    served.put("b", "old").await;
    let inner = TxnRequest { success: vec![range("a")], ..Default::default() };
    let txn = TxnRequest {
        success: vec![put("a", "1"), delete("b"), range("b"), nested(inner)],
        ..Default::default()
    };
    let done = run(&served, txn).await;
    assert_eq!(revision(done.header.as_ref()), 3);
    let headers = done.responses.iter().map(|response| match &response.response {
        Some(Response::ResponsePut(put)) => put.header,
        Some(Response::ResponseDeleteRange(delete)) => delete.header,
        Some(Response::ResponseRange(range)) => range.header,
        Some(Response::ResponseTxn(txn)) => txn.header,
        None => None,
    });
    // Only the revision, and of a nested transaction, as in etcd, not even that.
    let told = |revision| Some(ResponseHeader { revision, ..Default::default() });
    assert_eq!(headers.collect::<Vec<_>>(), [told(3), told(3), told(3), told(0)]);
    match done.responses[3].response.as_ref() {
        Some(Response::ResponseTxn(inner)) => match inner.responses[0].response.as_ref() {
            Some(Response::ResponseRange(read)) => assert_eq!(read.kvs[0].value(), b"1"),
            other => panic!("not a read: {other:?}"),
        },
        other => panic!("not a transaction: {other:?}"),
    }
}

#[tokio::test]
async fn keys_only_reads_inside_a_transaction_have_no_values() {
    let served = serve();
    served.put("a", "1").await;
    let range = RangeRequest { key: owned("a"), keys_only: true, ..Default::default() };
    let only = RequestOp { request: Some(Request::RequestRange(range)) };
    let inner = TxnRequest { success: vec![only], ..Default::default() };
    let done =
        run(&served, TxnRequest { success: vec![nested(inner)], ..Default::default() }).await;
    match done.responses[0].response.as_ref() {
        Some(Response::ResponseTxn(inner)) => match inner.responses[0].response.as_ref() {
            Some(Response::ResponseRange(read)) => {
                assert_eq!((read.kvs[0].key(), read.kvs[0].value()), (&b"a"[..], &b""[..]));
            }
            other => panic!("not a read: {other:?}"),
        },
        other => panic!("not a transaction: {other:?}"),
    }
}

#[tokio::test]
async fn malformed_transactions_are_refused_in_the_order_etcd_checks() {
    let served = serve();
    let mut kv = served.kv();
    let mut check = async |success: Vec<RequestOp>, text: &str| {
        let txn = TxnRequest { success, ..Default::default() };
        check_refused(kv.txn(txn).await, Code::InvalidArgument, text);
    };
    let range = RangeRequest { key: owned("k"), sort_order: 9, ..Default::default() };
    let bad_sort = RequestOp { request: Some(Request::RequestRange(range)) };
    let nothing = RequestOp { request: None };
    check(vec![put("a", ""), put("a", "")], "etcdserver: duplicate key given in txn request").await;
    let many = (0..129).map(|key| put(&key.to_string(), "")).collect();
    check(many, "etcdserver: too many operations in txn request").await;
    check(vec![nothing.clone(), bad_sort.clone()], "etcdserver: key not found").await;
    check(vec![bad_sort.clone(), nothing], "etcdserver: invalid sort option").await;
    check(vec![put("", ""), bad_sort.clone()], "etcdserver: key is not provided").await;
    check(vec![bad_sort, put("", "")], "etcdserver: invalid sort option").await;
    assert_eq!(revision(served.get("a").await.header.as_ref()), 1);
}

#[tokio::test]
async fn a_compare_target_that_does_not_exist_counts_as_equal() {
    let served = serve();
    let check = async |result: i32, holds: bool| {
        let compare = Compare { key: owned("k"), result, target: 99, ..Default::default() };
        let done = run(&served, TxnRequest { compare: vec![compare], ..Default::default() }).await;
        assert_eq!(done.succeeded, holds, "operator {result}");
    };
    check(CompareResult::Equal as i32, true).await;
    check(CompareResult::NotEqual as i32, false).await;
    check(CompareResult::Less as i32, false).await;
    check(CompareResult::Greater as i32, false).await;
    check(77, true).await;
}
