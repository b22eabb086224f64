package main

import (
	"errors"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
)

// compaction is a race of API servers; the losers read what the winner wrote. What was compacted is
// refused in words that API servers tell apart.
func compaction(s *session) {
	first := s.list("/registry/pods/", "", 100, 0)
	pinned := first.Revision
	next := string(first.Kvs[len(first.Kvs)-1].Key) + "\x00"
	for i := range 20 {
		s.create(podKey("compaction", fmt.Sprint(i)), "1")
	}
	told := s.watch("of compactions", compactRevKey, s.currentRevision())
	defer told.cancel()
	s.check(s.compact(1, pinned), "nobody compacts")
	s.check(!s.compact(1, pinned+5), "two compact")
	told.until(pinned + 21)
	for _, revision := range []int64{pinned - 1, pinned, pinned + 1, 1} {
		s.list("/registry/pods/", next, 100, revision)
		s.get(podKey("watched", "web"), revision)
		s.listStream("/registry/pods/", clientv3.WithPrefix(), clientv3.WithRev(revision))
	}
	s.check(s.compact(2, pinned+10), "nobody compacts")
	s.list("/registry/pods/", next, 100, pinned)
	// Again, below, and ahead of what there is.
	for _, revision := range []int64{pinned + 10, pinned, pinned + 10_000} {
		_, _ = s.Client.Compact(s.ctx, revision)
	}
}

func watchesAfterCompaction(s *session) {
	key := podKey("compacted", "web")
	created := s.create(key, "1")
	updated := s.update(key, "2", created, true)
	s.check(s.delete(key, updated, true), "the pod is not deleted")
	s.check(s.compact(3, updated), "nobody compacts")
	for _, from := range []int64{1, created} {
		w := s.watch(fmt.Sprintf("from %d on", from), "/registry/pods/", from)
		w.end()
		w.cancel()
	}
	w := s.watch("from the compaction on", "/registry/pods/", updated+1)
	defer w.cancel()
	w.until(s.create(key, "3"))
}

// listStream records what a list by a stream comes to: its chunks depend on sizes that a store may
// choose, all of them together do not.
func (s *session) listStream(from string, options ...clientv3.OpOption) {
	asked := fmt.Sprintf("RangeStream from %q, %d options", from, len(options))
	stream, err := s.KV.GetStream(s.ctx, from, options...)
	if err == nil {
		stream, err = checkedChunks(stream)
	}
	if err != nil {
		s.log.add(asked, failure(err))
		return
	}
	response, err := clientv3.GetStreamToGetResponse(stream)
	if err != nil {
		s.log.add(asked, failure(err))
		return
	}
	list := kubernetes.ListResponse{Kvs: response.Kvs, Count: response.Count, Revision: response.Header.Revision}
	s.log.add(asked, fmt.Sprintf("%d of %d at %d, more: %v: %v",
		len(list.Kvs), list.Count, list.Revision, response.More, list.Kvs))
}

// checkedChunks hands the chunks on, once all are there: only the last may tell more than objects.
func checkedChunks(stream clientv3.GetStreamChan) (clientv3.GetStreamChan, error) {
	var chunks []clientv3.RangeStreamResponse
	for chunk := range stream {
		chunks = append(chunks, chunk)
	}
	checked := make(chan clientv3.RangeStreamResponse, len(chunks))
	for i, chunk := range chunks {
		if i < len(chunks)-1 && (chunk.Header != nil || chunk.Count != 0 || chunk.More) {
			return nil, errors.New("a chunk before the last tells more than objects")
		}
		checked <- chunk
	}
	close(checked)
	return checked, nil
}
