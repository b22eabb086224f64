//! Stopping.

use std::net::TcpStream;
use std::time::Duration;

use tonic::Code;

use crate::served::{serve, within};

const GRACE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_server_accepts_nothing_and_the_store_lives_on() {
    let served = serve();
    served.put("a", "1").await;
    let address = served.server.local_address();
    assert!(served.server.stop(GRACE), "nothing was cut off");
    assert!(served.server.stop(GRACE), "stopping twice is fine");
    TcpStream::connect(address).expect_err("nobody listens");
    assert_eq!(served.engine.revision().0, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn open_streams_end_as_unavailable_so_that_clients_reconnect() {
    let served = serve();
    let (requests, incoming) = tokio::sync::mpsc::channel(1);
    let incoming = tokio_stream::wrappers::ReceiverStream::new(incoming);
    let renewals = served.lease().lease_keep_alive(incoming).await.expect("a stream");
    let mut renewals = renewals.into_inner();
    assert!(served.server.stop(GRACE), "nothing was cut off");
    let end = within("the end", renewals.message()).await.expect_err("told why");
    assert_eq!((end.code(), end.message()), (Code::Unavailable, "etcdserver: server stopped"));
    drop(requests);
}
