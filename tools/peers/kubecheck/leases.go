package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/client/v3/kubernetes"
)

const leasePrefix = "/registry/leases/kube-node-lease/"

// Requests that may be under way at once: as many as an API server lets through.
const leaseWorkers = 400

// One in so many updates is made twice at once, by a kubelet and by somebody who is in its way.
const contestedEvery = 50

// LeaseLoad is what `leases` prints. An update that is told to have failed and was in nobody's way
// is a spurious conflict; one that is told to have succeeded and is not there is a lost one.
type LeaseLoad struct {
	Objects     int      `json:"objects"`
	Updates     int64    `json:"updates"`
	Contested   int64    `json:"contested"`
	Spurious    int64    `json:"spurious_conflicts"`
	WonByNobody int64    `json:"contested_and_won_by_nobody"`
	WonByBoth   int64    `json:"contested_and_won_by_both"`
	WrongAnswer int64    `json:"losers_told_of_another_winner"`
	Errors      int64    `json:"errors"`
	Error       string   `json:"error,omitempty"` // one of them
	Lost        []string `json:"lost"`
	Unwatched   int64    `json:"updates_that_the_watch_missed"`
	PerSecond   float64  `json:"updates_per_second"`
	P50Ms       float64  `json:"p50_ms"`
	P99Ms       float64  `json:"p99_ms"`
}

// A nodeLease is an object as the last winner left it.
type nodeLease struct {
	key      string
	mutex    sync.Mutex
	value    string
	revision int64
	version  int64
}

type leaseLoad struct {
	clients   []*kubernetes.Client
	objects   []*nodeLease
	spurious  atomic.Int64
	contested atomic.Int64
	nobody    atomic.Int64
	both      atomic.Int64
	wrong     atomic.Int64
	errors    atomic.Int64
	said      atomic.Value
	latencies []time.Duration
}

func leasesCommand(ctx context.Context, arguments []string) (any, error) {
	flags, store := newFlags("leases")
	objects := flags.Int("objects", 10_000, "nodes that have a lease")
	rate := flags.Int("rate", 1000, "updates in a second; as fast as possible where that is slower")
	seconds := flags.Int("seconds", 10, "times so many updates are made")
	connections := flags.Int("connections", 8, "API servers")
	_ = flags.Parse(arguments)
	load := &leaseLoad{latencies: make([]time.Duration, *rate**seconds)}
	for range *connections {
		client, err := connect(*store)
		if err != nil {
			return nil, err
		}
		defer client.Close()
		load.clients = append(load.clients, client)
	}
	if err := load.create(ctx, *objects); err != nil {
		return nil, err
	}
	watched := load.watch(ctx)
	began := time.Now()
	load.run(ctx, *rate)
	took := time.Since(began)
	return load.result(ctx, watched, took)
}

func (l *leaseLoad) create(ctx context.Context, objects int) error {
	l.objects = make([]*nodeLease, objects)
	for i := range l.objects {
		l.objects[i] = &nodeLease{key: fmt.Sprintf("%snode-%05d", leasePrefix, i), value: leaseValue(-1, "")}
	}
	inParallel(leaseWorkers, objects, func(i int) {
		object := l.objects[i]
		response, err := l.client(i).Kubernetes.OptimisticPut(
			ctx, object.key, []byte(object.value), 0, kubernetes.PutOptions{})
		if err == nil && !response.Succeeded {
			err = fmt.Errorf("%s is there already", object.key)
		}
		if err != nil {
			l.fail(err)
		}
		object.revision, object.version = response.Revision, 1
	})
	if l.errors.Load() > 0 {
		return fmt.Errorf("%d leases were not created: %s", l.errors.Load(), l.said.Load())
	}
	return nil
}

// run makes each update at its time, or as soon as a worker is free.
func (l *leaseLoad) run(ctx context.Context, rate int) {
	began := time.Now()
	inParallel(leaseWorkers, len(l.latencies), func(i int) {
		due := began.Add(time.Duration(i) * time.Second / time.Duration(rate))
		time.Sleep(time.Until(due))
		object := l.objects[i%len(l.objects)]
		// A kubelet waits for its last update before it makes the next.
		object.mutex.Lock()
		defer object.mutex.Unlock()
		sent := time.Now()
		if i%contestedEvery == 0 {
			l.contest(ctx, object, i)
		} else {
			l.update(ctx, object, i)
		}
		l.latencies[i] = time.Since(sent)
	})
}

func (l *leaseLoad) update(ctx context.Context, object *nodeLease, i int) {
	value := leaseValue(i, "kubelet")
	response, err := l.put(ctx, l.client(i), object, value)
	switch {
	case err != nil:
		l.fail(err)
	case !response.Succeeded:
		l.spurious.Add(1)
	default:
		object.won(value, response.Revision)
	}
}

// contest makes two updates of the same revision by different API servers: one has to win, and the
// other has to be told of it.
func (l *leaseLoad) contest(ctx context.Context, object *nodeLease, i int) {
	l.contested.Add(1)
	values := []string{leaseValue(i, "kubelet"), leaseValue(i, "rival")}
	responses, errors := make([]kubernetes.PutResponse, 2), make([]error, 2)
	inParallel(2, 2, func(side int) {
		responses[side], errors[side] = l.put(ctx, l.client(i+side), object, values[side])
	})
	for _, err := range errors {
		if err != nil {
			l.fail(err)
			return
		}
	}
	if responses[0].Succeeded == responses[1].Succeeded {
		counter := &l.nobody
		if responses[0].Succeeded {
			counter = &l.both
		}
		counter.Add(1)
		return
	}
	winner, loser := 0, 1
	if responses[1].Succeeded {
		winner, loser = 1, 0
	}
	object.won(values[winner], responses[winner].Revision)
	told := responses[loser].KV
	if told == nil || string(told.Value) != object.value || told.ModRevision != object.revision {
		l.wrong.Add(1)
	}
}

func (l *leaseLoad) put(
	ctx context.Context, client *kubernetes.Client, object *nodeLease, value string,
) (kubernetes.PutResponse, error) {
	options := kubernetes.PutOptions{GetOnFailure: true}
	return client.Kubernetes.OptimisticPut(ctx, object.key, []byte(value), object.revision, options)
}

func (o *nodeLease) won(value string, revision int64) {
	o.value, o.revision, o.version = value, revision, o.version+1
}

func (l *leaseLoad) client(i int) *kubernetes.Client { return l.clients[i%len(l.clients)] }

func (l *leaseLoad) fail(err error) {
	l.errors.Add(1)
	l.said.Store(err.Error())
}

// leaseValue is about as long as a Lease object of a node.
func leaseValue(update int, by string) string {
	return fmt.Sprintf("k8s\x00 coordination.k8s.io/v1 Lease, renewal %d by %-300s", update, by)
}

// inParallel calls do with 0 to count-1, in order, and returns when all calls have.
func inParallel(workers, count int, do func(i int)) {
	var group sync.WaitGroup
	var next atomic.Int64
	for range min(workers, count) {
		group.Go(func() {
			for i := next.Add(1) - 1; i < int64(count); i = next.Add(1) - 1 {
				do(int(i))
			}
		})
	}
	group.Wait()
}

func percentile(sorted []time.Duration, percent int) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return float64(sorted[(len(sorted)-1)*percent/100].Microseconds()) / 1000
}

func sortedCopy(latencies []time.Duration) []time.Duration {
	sorted := slices.Clone(latencies)
	slices.Sort(sorted)
	return sorted
}
