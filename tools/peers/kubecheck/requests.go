package main

import (
	"bytes"
	"fmt"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
)

func podKey(namespace, name string) string {
	return fmt.Sprintf("/registry/pods/%s/%s", namespace, name)
}

// start is what an API server asks before it serves.
func start(s *session) {
	_, err := s.Status(s.ctx, "http://"+s.address)
	s.checkNo(err)
	_, _ = s.KV.Get(s.ctx, "/registry/health")
	s.check(s.currentRevision() == 1, "%s is not an empty store", s.address)
	s.list("/registry/pods/", "", 500, 0)
	s.check(s.compact(0, 0), "somebody else compacts")
	s.check(!s.compact(0, 0), "two have won")
}

func objects(s *session) {
	key := podKey("default", "web")
	created := s.create(key, "1")
	s.check(created > 0, "a first pod cannot be created")
	s.create(key, "again")
	s.update(key, "without a look at what there is", 0, false)
	s.get(key, 0)
	updated := s.update(key, "2", created, true)
	s.update(key, "stale", created, true)
	s.update(key, "stale", created, false)
	s.update(key, "from the future", updated+1000, true)
	s.get(key, created)
	s.get(key, updated)
	s.get(key, updated+1000)
	s.get(podKey("default", "none"), 0)
	s.update(podKey("default", "none"), "of what is not there", updated, true)
	s.delete(podKey("default", "none"), updated, true)
	s.delete(podKey("default", "none"), 0, true)
	s.delete(key, created, true)
	s.delete(key, created, false)
	s.check(s.delete(key, updated, true), "the right revision does not delete")
	s.delete(key, updated, true)
	s.get(key, 0)
	s.get(key, updated)
	recreated := s.create(key, "another of that name")
	s.get(key, 0)
	s.update(key, "", recreated, true)
	s.get(key, 0)
	s.create(podKey("default", "bytes"), "k8s\x00\n\x0c\xff\xfe")
	s.get(podKey("default", "bytes"), 0)
	s.create("", "an empty key")
	s.get("", 0)
}

func largeObjects(s *session) {
	key := "/registry/configmaps/default/large"
	revision := s.create(key, strings.Repeat("x", 1<<20))
	s.get(key, 0)
	revision = s.update(key, strings.Repeat("y", 1<<20), revision, true)
	// The answer to a lost update is as large as what there is.
	s.update(key, strings.Repeat("z", 1<<20), 1, true)
	s.update(key, strings.Repeat("x", 1536<<10), revision, true)
	s.update(key, strings.Repeat("x", 3<<20), revision, true)
	s.delete(key, revision, true)
}

// pods fills three namespaces, and puts neighbours before and behind.
func (s *session) pods(perNamespace int) {
	for _, neighbour := range []string{"/registry/pod/x", "/registry/podtemplates/default/x", "/registry/pods0"} {
		s.create(neighbour, "not a pod")
	}
	value := string(bytes.Repeat([]byte{'v'}, 300))
	for _, namespace := range []string{"kube-system", "prod", "test"} {
		for i := range perNamespace {
			s.create(podKey(namespace, fmt.Sprintf("pod-%04d", i)), value)
		}
	}
}

func lists(s *session) {
	s.pods(150)
	s.list("/registry/pods/", "", 0, 0)
	s.list("/registry/pods/prod/", "", 0, 0)
	s.list("/registry/pods/nobody/", "", 0, 0)
	s.page("/registry/pods/", 100, false)
	s.page("/registry/pods/", 7, true)
	s.page("/registry/pods/test/", 150, false)
	s.page("/registry/pods/test/", 149, false)
	for _, prefix := range []string{"/registry/pods/", "/registry/pods/prod/", "/registry/nothing/"} {
		_, _ = s.Kubernetes.Count(s.ctx, prefix, kubernetes.CountOptions{})
		_, _ = s.KV.Get(s.ctx, prefix, clientv3.WithPrefix(), clientv3.WithKeysOnly())
	}
}

// page reads a list in pages, all of the state that the first one saw, while it is changed.
func (s *session) page(prefix string, limit int64, growing bool) {
	const limitMax = 10_000
	from, revision := "", int64(0)
	for {
		response := s.list(prefix, from, limit, revision)
		s.check(revision == 0 || len(response.Kvs) > 0, "a page behind the first is empty")
		s.create(fmt.Sprintf("%szz-%d-%d", prefix, limit, response.Revision), "not in the list")
		if int64(len(response.Kvs)) >= response.Count {
			return
		}
		if revision == 0 {
			revision = response.Revision
		}
		from = string(response.Kvs[len(response.Kvs)-1].Key) + "\x00"
		if growing {
			limit = min(limit*2, limitMax)
		}
	}
}

// listsAtARevision are what checks the cache against the store, and what a client pins.
func listsAtARevision(s *session) {
	revision := s.currentRevision()
	s.check(s.create(podKey("later", "a"), "1") > revision, "revisions do not grow")
	for _, at := range []int64{revision, revision - 1, revision - 100, 1, 0, revision + 1, revision + 1000} {
		s.list("/registry/pods/", "", 10_000, at)
		s.list("/registry/pods/", podKey("prod", "pod-0100")+"\x00", 10, at)
		s.get(podKey("later", "a"), at)
	}
}

// listStreams are how newer API servers fill their caches.
func listStreams(s *session) {
	revision := s.currentRevision()
	prefix := "/registry/pods/"
	whole := clientv3.WithRange(clientv3.GetPrefixRangeEnd(prefix))
	s.listStream(prefix, whole)
	s.listStream(prefix, whole, clientv3.WithRev(revision-10))
	s.listStream(prefix, whole, clientv3.WithLimit(100))
	s.listStream(podKey("prod", "pod-0100")+"\x00", whole, clientv3.WithRev(revision), clientv3.WithLimit(25))
	s.listStream("/registry/nothing/", clientv3.WithPrefix())
	s.listStream(prefix, whole, clientv3.WithRev(revision+1000))
}
