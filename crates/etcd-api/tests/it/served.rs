//! A server of its own for each test.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use decube_engine::{Engine, Options, Storage};
use decube_etcd_api::wire::etcdserverpb::kv_client::KvClient;
use decube_etcd_api::wire::etcdserverpb::lease_client::LeaseClient;
use decube_etcd_api::wire::etcdserverpb::maintenance_client::MaintenanceClient;
use decube_etcd_api::wire::etcdserverpb::watch_client::WatchClient;
use decube_etcd_api::wire::etcdserverpb::{
    DeleteRangeRequest, PutRequest, PutResponse, RangeRequest, RangeResponse, ResponseHeader,
};
use decube_etcd_api::{EtcdServer, ServeOptions};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Response, Status};

/// A running server with a store in memory, and a connection to it.
pub(crate) struct Served {
    pub(crate) server: EtcdServer,
    pub(crate) engine: Engine,
    pub(crate) channel: Channel,
}

/// Any free port of this machine.
pub(crate) fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// Starts a server with the default settings.
pub(crate) fn serve() -> Served {
    serve_with(|_| {})
}

/// Starts a server with changed settings.
pub(crate) fn serve_with(change: impl FnOnce(&mut ServeOptions)) -> Served {
    serve_store(Options::new(Storage::Memory), change)
}

/// Starts a server with a store that may not grow above this.
pub(crate) fn serve_quota(bytes: u64) -> Served {
    serve_store(Options { quota_bytes: Some(bytes), ..Options::new(Storage::Memory) }, |_| {})
}

pub(crate) fn serve_store(store: Options, change: impl FnOnce(&mut ServeOptions)) -> Served {
    let engine = Engine::open(store).expect("a store in memory opens");
    let mut options = ServeOptions::new(any_port());
    change(&mut options);
    let server = EtcdServer::start(&engine, options).expect("a free port is served");
    let channel = connect(server.local_address());
    Served { server, engine, channel }
}

/// A connection that is made when it is first used.
pub(crate) fn connect(address: SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{address}")).expect("an address is a URL").connect_lazy()
}

impl Served {
    pub(crate) fn kv(&self) -> KvClient<Channel> {
        KvClient::new(self.channel.clone())
    }

    pub(crate) fn watch(&self) -> WatchClient<Channel> {
        WatchClient::new(self.channel.clone())
    }

    pub(crate) fn lease(&self) -> LeaseClient<Channel> {
        LeaseClient::new(self.channel.clone())
    }

    pub(crate) fn maintenance(&self) -> MaintenanceClient<Channel> {
        MaintenanceClient::new(self.channel.clone())
    }

    pub(crate) async fn put(&self, key: &str, value: &str) -> PutResponse {
        let request = PutRequest { key: owned(key), value: owned(value), ..PutRequest::default() };
        self.kv().put(request).await.expect("a put succeeds").into_inner()
    }

    pub(crate) async fn delete(&self, key: &str) -> i64 {
        let request = DeleteRangeRequest { key: owned(key), ..DeleteRangeRequest::default() };
        self.kv().delete_range(request).await.expect("a delete succeeds").into_inner().deleted
    }

    pub(crate) async fn get(&self, key: &str) -> RangeResponse {
        let request = RangeRequest { key: owned(key), ..RangeRequest::default() };
        self.kv().range(request).await.expect("a read succeeds").into_inner()
    }
}

/// The bytes of a text.
pub(crate) fn owned(text: &str) -> bytes::Bytes {
    bytes::Bytes::copy_from_slice(text.as_bytes())
}

/// The revision a response tells.
pub(crate) fn revision(header: Option<&ResponseHeader>) -> i64 {
    header.expect("every response has a header").revision
}

/// The answer is this error, to the letter.
pub(crate) fn check_refused<T: std::fmt::Debug>(
    answer: Result<Response<T>, Status>,
    code: Code,
    text: &str,
) {
    let status = answer.expect_err("the request is refused");
    assert_eq!((status.code(), status.message()), (code, text));
}

/// Waits, but not forever.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let bound = Duration::from_secs(20);
    tokio::time::timeout(bound, future).await.unwrap_or_else(|_| panic!("{what}: not in {bound:?}"))
}
