"""The one seam: everything above speaks the `Store` protocol, whose semantics are etcd v3's."""
