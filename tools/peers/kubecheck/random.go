package main

import (
	"fmt"
	"math/rand/v2"

	"go.etcd.io/etcd/client/v3/kubernetes"
)

// What the requests of an API server are about, in percent as etcd's own robustness tests mix them
// for Kubernetes.
const (
	randomObjects  = 60
	percentUpdates = 40
	percentCreates = 15
	percentDeletes = 10
	percentGets    = 15
	percentLists   = 18
	// Revisions that a compaction leaves for watches and lists that are under way.
	historyKept = 300
)

// randomRequests goes on with both stores in step: what is asked depends on the seed, and on
// answers that are the same as long as the stores are.
func randomRequests(s *session) {
	random := rand.New(rand.NewPCG(s.options.seed, 0))
	key := func() string {
		return fmt.Sprintf("/registry/random/ns-%d/%d", random.IntN(3), random.IntN(randomObjects))
	}
	revisions := map[string]int64{}
	w := s.watch("of random requests", "/registry/random/", s.currentRevision()+1)
	defer w.cancel()
	last, compactVersion := w.revision, int64(4)
	for i := range s.options.requests {
		key := key()
		expected := revisions[key]
		if random.IntN(10) == 0 {
			expected = last - random.Int64N(20)
		}
		written := int64(0)
		switch dice := random.IntN(100); {
		case dice < percentUpdates:
			written = s.update(key, fmt.Sprint("value ", i), expected, random.IntN(4) > 0)
		case dice < percentUpdates+percentCreates:
			written = s.put(key, fmt.Sprint("created ", i), 0, s.randomOptions(random))
		case dice < percentUpdates+percentCreates+percentDeletes:
			if expected > 0 && s.delete(key, expected, random.IntN(4) > 0) {
				written = s.currentRevision()
				delete(revisions, key)
				last = written
				continue
			}
		case dice < percentUpdates+percentCreates+percentDeletes+percentGets:
			s.get(key, s.randomRevision(random, last))
		case dice < percentUpdates+percentCreates+percentDeletes+percentGets+percentLists:
			s.list("/registry/random/", key, random.Int64N(50), s.randomRevision(random, last))
		default:
			if s.compact(compactVersion, last-historyKept) {
				compactVersion++
			}
		}
		if written > 0 {
			revisions[key], last = written, written
		}
	}
	w.until(last)
}

// randomRevision is mostly that of now; some are compacted, some have yet to come.
func (s *session) randomRevision(random *rand.Rand, last int64) int64 {
	if random.IntN(2) == 0 {
		return 0
	}
	return last + 3 - random.Int64N(historyKept+20)
}

func (s *session) randomOptions(random *rand.Rand) kubernetes.PutOptions {
	options := kubernetes.PutOptions{GetOnFailure: random.IntN(4) > 0}
	if random.IntN(5) == 0 {
		options.LeaseID = s.grant(7200)
	}
	return options
}
