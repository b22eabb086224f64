package testserver

// The packages whose tests are run: go.sum has to know what those need.
import (
	_ "k8s.io/apiserver/pkg/storage/cacher"
	_ "k8s.io/apiserver/pkg/storage/etcd3"
)
