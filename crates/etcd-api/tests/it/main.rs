//! The wire contract over loopback: real clients, a real server, the engine in memory.

#[path = "../../../tls/tests/it/authority.rs"]
mod authority;
mod deadlines;
mod drain;
mod http;
mod kv;
mod lease;
mod limits;
mod maintenance;
mod metrics;
mod pings;
mod range_stream;
mod reflection;
mod served;
mod standby;
mod tls;
mod txn;
mod watch;
