//! What a client can make the server hold is bounded.

use decube_etcd_api::wire::etcdserverpb::kv_client::KvClient;
use decube_etcd_api::wire::etcdserverpb::{PutRequest, RangeRequest};
use decube_etcd_api::{EtcdServer, ServeError, ServeOptions};
use tonic::Code;

use crate::served::{check_refused, connect, owned, serve, serve_with, within};

fn put_of(value_bytes: usize) -> PutRequest {
    PutRequest { key: owned("k"), value: vec![b'v'; value_bytes].into(), ..Default::default() }
}

#[tokio::test]
async fn a_request_just_too_large_is_refused_by_etcd_and_a_huge_one_by_grpc() {
    let served = serve();
    let mut kv = served.kv();
    kv.put(put_of(1536 * 1024 - 64)).await.expect("just below the limit");
    let text = "etcdserver: request is too large";
    check_refused(kv.put(put_of(1536 * 1024)).await, Code::InvalidArgument, text);
    let answer = kv.put(put_of(2 << 20)).await;
    let text = "grpc: received message larger than max (2097160 vs. 2097152)";
    check_refused(answer, Code::ResourceExhausted, text);
}

#[tokio::test]
async fn the_request_limit_can_be_set() {
    let served = serve_with(|options| options.request_bytes_max = 1000);
    let mut kv = served.kv();
    kv.put(put_of(900)).await.expect("below the limit");
    let text = "etcdserver: request is too large";
    check_refused(kv.put(put_of(1000)).await, Code::InvalidArgument, text);
}

#[tokio::test]
async fn a_taken_port_is_told_as_such() {
    let served = serve();
    let address = served.server.local_address();
    match EtcdServer::start(&served.engine, ServeOptions::new(address)) {
        Err(ServeError::AddressInUse { address: taken }) => assert_eq!(taken, address),
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("two servers on one port"),
    }
}

#[tokio::test]
async fn connections_above_the_limit_are_closed_and_one_that_ends_makes_room() {
    let served = serve_with(|options| options.connections_max = 1);
    served.get("k").await;
    let refused = connect(served.server.local_address());
    let request = RangeRequest { key: owned("k"), ..Default::default() };
    let answer = within("a refusal", KvClient::new(refused).range(request.clone())).await;
    answer.expect_err("there is no room");
    let address = served.server.local_address();
    drop(served.channel);
    let admitted = async {
        loop {
            let channel = connect(address);
            if KvClient::new(channel).range(request.clone()).await.is_ok() {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    within("room for another connection", admitted).await;
}
