package main

import (
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
)

// grant is all that API servers do about a lease: they never renew or revoke one.
func (s *session) grant(ttlSeconds int64) clientv3.LeaseID {
	response, err := s.Grant(s.ctx, ttlSeconds)
	s.checkNo(err)
	return response.ID
}

func eventKey(i int) string { return fmt.Sprintf("/registry/events/default/event-%d", i) }

// leases are shared by objects that end about the same time.
func leases(s *session) {
	lease := s.grant(3600)
	withLease := kubernetes.PutOptions{GetOnFailure: true, LeaseID: lease}
	var revision int64
	for i := range 5 {
		revision = s.put(eventKey(i), "1", 0, withLease)
	}
	s.list("/registry/events/", "", 0, 0)
	revision = s.put(eventKey(4), "2", revision, withLease)
	revision = s.put(eventKey(4), "of another lease", revision,
		kubernetes.PutOptions{LeaseID: s.grant(3660)})
	s.get(eventKey(4), 0)
	s.update(eventKey(4), "of no lease", revision, true)
	s.get(eventKey(4), 0)
	s.put(eventKey(5), "of a lease that is not there", 0, kubernetes.PutOptions{LeaseID: 77})
	s.put(eventKey(0), "a lost race with it", 0, kubernetes.PutOptions{LeaseID: 77, GetOnFailure: true})
}

// leasesThatRunOut end their objects, and watches hear of it. The objects come in one transaction,
// so that the lease does not run out between them, however slow the machine is.
func leasesThatRunOut(s *session) {
	w := s.watch("of what ends", "/registry/masterleases/", s.currentRevision()+1)
	defer w.cancel()
	// The shortest that a store grants, which is longer.
	s.grant(1)
	const ttlSeconds = 4
	lease := clientv3.WithLease(s.grant(ttlSeconds))
	var puts []clientv3.Op
	for _, name := range []string{"c", "a", "b"} {
		puts = append(puts, clientv3.OpPut("/registry/masterleases/"+name, "1", lease))
	}
	response, err := s.Txn(s.ctx).Then(puts...).Commit()
	s.checkNo(err)
	w.until(response.Header.Revision + 1)
	s.list("/registry/masterleases/", "", 0, 0)
}
