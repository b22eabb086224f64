//! A TCP proxy: a member's address that outlives the member, and that can be cut.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use parking_lot::Mutex;

/// Where peers find a member.
#[derive(Clone)]
pub(crate) struct Link {
    address: SocketAddr,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    /// Where the member listens; nothing gets through without one.
    target: Option<SocketAddr>,
    open: Vec<TcpStream>,
}

impl Link {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let inner = Arc::new(Mutex::new(Inner::default()));
        let link = Self { address, inner: Arc::clone(&inner) };
        // It ends with the process: a test has a handful of them.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                carry(&inner, client);
            }
        });
        link
    }

    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// By the name that certificates for tests have.
    pub(crate) fn named_address(&self) -> String {
        format!("localhost:{}", self.address.port())
    }

    pub(crate) fn leads_to(&self, target: Option<SocketAddr>) {
        self.inner.lock().target = target;
        self.cut();
    }

    /// Ends all connections.
    pub(crate) fn cut(&self) {
        for stream in self.inner.lock().open.drain(..) {
            drop(stream.shutdown(Shutdown::Both));
        }
    }
}

fn carry(inner: &Mutex<Inner>, client: TcpStream) {
    let Some(target) = inner.lock().target else { return };
    let Ok(server) = TcpStream::connect(target) else { return };
    let copy = |stream: &TcpStream| stream.try_clone().expect("a descriptor");
    inner.lock().open.extend([copy(&client), copy(&server)]);
    for (from, to) in [(copy(&client), copy(&server)), (server, client)] {
        thread::spawn(move || pump(from, to));
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count) = from.read(&mut buffer) {
        let came = buffer.get(..count).unwrap_or_default();
        if came.is_empty() || to.write_all(came).is_err() {
            break;
        }
    }
    drop(to.shutdown(Shutdown::Both));
    drop(from.shutdown(Shutdown::Both));
}
