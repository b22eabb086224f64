package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Longer than this a scenario hangs; random requests have some time each beside it.
const (
	scenarioWithin = 60 * time.Second
	requestWithin  = 20 * time.Millisecond
)

type scenario struct {
	name string
	run  func(s *session)
}

// One after the other on the same store: later ones find what earlier ones left.
var scenarios = []scenario{
	{"start", start},
	{"objects", objects},
	{"large objects", largeObjects},
	{"lists", lists},
	{"lists at a revision", listsAtARevision},
	{"list streams", listStreams},
	{"leases", leases},
	{"leases that run out", leasesThatRunOut},
	{"a watch step by step", watchStepByStep},
	{"a watch of what was", watchOfWhatWas},
	{"many watches on one stream", manyWatches},
	{"progress on request", progressOnRequest},
	{"progress of an idle watch", progressOfAnIdleWatch},
	{"consistent reads from a cache", consistentReads},
	{"compaction", compaction},
	{"watches after compaction", watchesAfterCompaction},
	{"random requests", randomRequests},
}

// Comparison is what `compare` prints.
type Comparison struct {
	Compared    int            `json:"compared"`
	Differences []Difference   `json:"differences"`
	Scenarios   map[string]int `json:"compared_by_scenario"`
	Methods     map[string]int `json:"calls_by_method"`
	// The longest that a reader waited for its cache to be told of progress.
	LongestWaitMs          int64 `json:"longest_wait_for_progress_ms"`
	ReferenceLongestWaitMs int64 `json:"reference_longest_wait_for_progress_ms"`
}

// Difference is an answer that is not the same, or one to another question.
type Difference struct {
	entry
	Reference entry `json:"reference"`
}

func compareCommand(ctx context.Context, arguments []string) (any, error) {
	flags, store := newFlags("compare")
	reference := flags.String("reference", "127.0.0.1:12379", "host:port of a real etcd")
	seed := flags.Uint64("seed", 1, "of the random requests")
	requests := flags.Int("requests", 1000, "how many random requests")
	only := flags.String("only", "", "the one scenario to run; all of them if empty")
	_ = flags.Parse(arguments)
	options := options{seed: *seed, requests: *requests, only: *only}
	var group sync.WaitGroup
	sessions, errors := make([]*session, 2), make([]error, 2)
	for i, address := range []string{*store, *reference} {
		group.Go(func() { sessions[i], errors[i] = play(ctx, address, options) })
	}
	group.Wait()
	for _, err := range errors {
		if err != nil {
			return nil, err
		}
	}
	return compared(sessions[0], sessions[1]), nil
}

// play runs all scenarios on one store.
func play(ctx context.Context, address string, options options) (*session, error) {
	s := &session{address: address, log: newTranscript(), options: options}
	client, err := connect(address, s.log.dialOptions()...)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	s.Client = client
	for _, scenario := range scenarios {
		if options.only != "" && options.only != scenario.name {
			continue
		}
		if err := s.play(ctx, scenario); err != nil {
			return nil, fmt.Errorf("%s, %s: %w", address, scenario.name, err)
		}
	}
	return s, nil
}

func (s *session) play(ctx context.Context, scenario scenario) (err error) {
	within := scenarioWithin + time.Duration(s.options.requests)*requestWithin
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	s.ctx = ctx
	s.log.begin(scenario.name)
	defer func() {
		switch why := recover().(type) {
		case nil:
		case scenarioEnded:
			err = why.err
		default:
			panic(why)
		}
	}()
	scenario.run(s)
	return nil
}

func compared(ours, reference *session) Comparison {
	result := Comparison{
		Scenarios:              map[string]int{},
		Methods:                ours.log.methods,
		Differences:            []Difference{},
		LongestWaitMs:          ours.longestWait.Milliseconds(),
		ReferenceLongestWaitMs: reference.longestWait.Milliseconds(),
	}
	for i := range max(len(ours.log.entries), len(reference.log.entries)) {
		mine, theirs := at(ours.log.entries, i), at(reference.log.entries, i)
		result.Compared++
		result.Scenarios[mine.Scenario]++
		if mine != theirs {
			result.Differences = append(result.Differences, differing(mine, theirs))
		}
	}
	return result
}

// differing shows answers from where they differ on: lists are long.
func differing(mine, theirs entry) Difference {
	const shown, before = 400, 40
	same := 0
	for same < min(len(mine.Answered), len(theirs.Answered)) && mine.Answered[same] == theirs.Answered[same] {
		same++
	}
	cut := func(e entry) entry {
		from := max(0, same-before)
		e.Answered = fmt.Sprintf("%.*s", shown, e.Answered[from:])
		return e
	}
	return Difference{cut(mine), cut(theirs)}
}

func at(entries []entry, i int) entry {
	if i < len(entries) {
		return entries[i]
	}
	return entry{Asked: "nothing", Answered: "nothing"}
}
