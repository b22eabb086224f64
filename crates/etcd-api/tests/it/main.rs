//! The wire contract over loopback: real clients, a real server, the engine in memory.

mod drain;
mod http;
mod kv;
mod lease;
mod limits;
mod maintenance;
mod pings;
mod served;
mod txn;
mod watch;
