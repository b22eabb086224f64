package main

import (
	"fmt"
	"sync"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// watchStepByStep waits for each event before it goes on, so that headers are comparable, too.
func watchStepByStep(s *session) {
	key := podKey("watched", "web")
	w := s.watch("step by step", "/registry/pods/", s.currentRevision()+1)
	defer w.cancel()
	step := func(revision int64) {
		response := w.next()
		s.check(w.revision == revision, "revision %d is told as %d", revision, w.revision)
		s.log.add("header of watch "+w.name, s.log.text(response.Header))
		w.record(response)
	}
	created := s.create(key, "1")
	step(created)
	updated := s.update(key, "2", created, true)
	step(updated)
	s.update(key, "stale", created, true)
	s.create("/registry/configmaps/watched/not-a-pod", "1")
	other := s.create(podKey("watched", "other"), "1")
	step(other)
	s.check(s.delete(key, updated, true), "the pod is not deleted")
	step(other + 1)
	step(s.create(key, "3"))
}

// watchOfWhatWas begins in the past, as after a list or a lost connection.
func watchOfWhatWas(s *session) {
	now := s.currentRevision()
	for _, back := range []int64{0, 1, 3, 50, 300} {
		w := s.watch(fmt.Sprintf("from %d back", back), "/registry/pods/", now-back+1)
		last := s.create(podKey("past", fmt.Sprintf("pod-%d", back)), "1")
		w.until(last)
		w.cancel()
	}
	single := s.watch("of one object", podKey("watched", "web"), now-3)
	single.until(s.update(podKey("watched", "web"), "4", now, true))
	single.cancel()
}

// manyWatches share one stream, as all watches of an API server do.
func manyWatches(s *session) {
	const writes = 200
	now := s.currentRevision()
	resources := []string{"pods", "nodes", "secrets", "configmaps"}
	var watches []*watch
	for i := range 20 {
		resource := resources[i%len(resources)]
		from := now + 1 - int64(i)
		w := s.watch(fmt.Sprintf("%d of %s", i, resource), "/registry/"+resource+"/", from)
		defer w.cancel()
		watches = append(watches, w)
	}
	last := map[string]int64{}
	for i := range writes {
		resource := resources[i%len(resources)]
		last[resource] = s.create(fmt.Sprintf("/registry/%s/many/%d", resource, i), "1")
	}
	for i, w := range watches {
		w.until(last[resources[i%len(resources)]])
	}
}

func progressOnRequest(s *session) {
	w := s.watch("that is asked for progress", "/registry/pods/", s.currentRevision()+1)
	defer w.cancel()
	for i := range 5 {
		other := s.create(fmt.Sprintf("/registry/secrets/progress/%d", i), "1")
		w.awaitProgress(other)
		s.log.add("progress of watch "+w.name, fmt.Sprint(w.revision))
		w.awaitProgress(s.create(podKey("progress", fmt.Sprint(i)), "1"))
	}
}

// progressOfAnIdleWatch comes by itself, from stores that are told to notify often.
func progressOfAnIdleWatch(s *session) {
	from := s.currentRevision() + 1
	w := s.watch("that is idle", "/registry/leases/idle/", from, clientv3.WithProgressNotify())
	defer w.cancel()
	s.create("/registry/secrets/idle/1", "1")
	w.until(from)
	s.log.add("progress of watch "+w.name, fmt.Sprint(w.revision))
}

// consistentReads is the read of a cache that must not be stale: ask the store for its revision,
// then wait until the cache's watch has heard of it. Writers go on meanwhile. What is written lies
// apart: its order differs from run to run.
func consistentReads(s *session) {
	const writers, objectsEach, reads = 4, 50, 30
	w := s.watch("of a cache", "/registry/events/", s.currentRevision()+1, clientv3.WithProgressNotify())
	defer w.cancel()
	quiet, err := connect(s.address)
	s.checkNo(err)
	defer quiet.Close()
	writing := session{Client: quiet, ctx: s.ctx, log: newTranscript()}
	var group sync.WaitGroup
	for writer := range writers {
		group.Go(func() {
			for i := range objectsEach {
				key := fmt.Sprintf("/registry/events/%d/%d", writer, i)
				revision := writing.create(key, "1")
				writing.delete(key, writing.update(key, "2", revision, true), true)
			}
		})
	}
	defer group.Wait()
	for range reads {
		response, err := quiet.KV.Get(s.ctx, "/registry/events", clientv3.WithLimit(1))
		s.checkNo(err)
		w.awaitProgress(response.Header.Revision)
	}
}
