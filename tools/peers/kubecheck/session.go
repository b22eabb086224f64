package main

import (
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
)

type options struct {
	seed     uint64
	requests int
	only     string
}

// A session is one store while the scenarios run. What is asked of it goes into its transcript by
// itself; what a scenario needs to know it gets as a result, and everything else it ignores.
type session struct {
	*kubernetes.Client
	ctx         context.Context
	address     string
	log         *transcript
	options     options
	longestWait time.Duration
}

// scenarioEnded is thrown by check: a scenario reads better without a branch after each line.
type scenarioEnded struct{ err error }

func (s *session) check(condition bool, format string, arguments ...any) {
	if !condition {
		panic(scenarioEnded{fmt.Errorf(format, arguments...)})
	}
}

func (s *session) checkNo(err error) { s.check(err == nil, "%w", err) }

// create returns the object's revision, or 0 if there is one already.
func (s *session) create(key, value string) int64 {
	return s.update(key, value, 0, true)
}

func (s *session) update(key, value string, expected int64, getOnFailure bool) int64 {
	options := kubernetes.PutOptions{GetOnFailure: getOnFailure}
	return s.put(key, value, expected, options)
}

func (s *session) put(key, value string, expected int64, options kubernetes.PutOptions) int64 {
	response, err := s.Kubernetes.OptimisticPut(s.ctx, key, []byte(value), expected, options)
	if err != nil || !response.Succeeded {
		return 0
	}
	return response.Revision
}

func (s *session) delete(key string, expected int64, getOnFailure bool) bool {
	options := kubernetes.DeleteOptions{GetOnFailure: getOnFailure}
	response, err := s.Kubernetes.OptimisticDelete(s.ctx, key, expected, options)
	return err == nil && response.Succeeded
}

func (s *session) get(key string, revision int64) {
	_, _ = s.Kubernetes.Get(s.ctx, key, kubernetes.GetOptions{Revision: revision})
}

func (s *session) list(prefix, from string, limit, revision int64) kubernetes.ListResponse {
	options := kubernetes.ListOptions{Limit: limit, Revision: revision, Continue: from}
	response, _ := s.Kubernetes.List(s.ctx, prefix, options)
	return response
}

// currentRevision asks as API servers do: for a key that is none.
func (s *session) currentRevision() int64 {
	response, err := s.Kubernetes.Get(s.ctx, "/registry/pods", kubernetes.GetOptions{})
	s.checkNo(err)
	return response.Revision
}

// compact is what one of several API servers does every few minutes: who wins the transaction
// compacts to the revision that it saw the last time.
func (s *session) compact(version, revision int64) (won bool) {
	response, err := s.KV.Txn(s.ctx).If(
		clientv3.Compare(clientv3.Version(compactRevKey), "=", version),
	).Then(
		clientv3.OpPut(compactRevKey, fmt.Sprint(revision)),
	).Else(
		clientv3.OpGet(compactRevKey),
	).Commit()
	s.checkNo(err)
	if response.Succeeded && revision != 0 {
		_, _ = s.Client.Compact(s.ctx, revision)
	}
	return response.Succeeded
}

const compactRevKey = "compact_rev_key"
