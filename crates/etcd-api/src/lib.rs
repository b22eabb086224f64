//! etcd v3 over gRPC.
