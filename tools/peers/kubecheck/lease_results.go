package main

import (
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// How long the watch may take to tell of the last update.
const watchWithin = 60 * time.Second

// watchedLeases is what a cache knows: for each object the revision of its last update, and how
// many updates there were.
type watchedLeases struct {
	cancel  context.CancelFunc
	channel clientv3.WatchChan
}

func (l *leaseLoad) watch(ctx context.Context) *watchedLeases {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	var last int64
	for _, object := range l.objects {
		last = max(last, object.revision)
	}
	options := []clientv3.OpOption{clientv3.WithPrefix(), clientv3.WithPrevKV(), clientv3.WithRev(last + 1)}
	return &watchedLeases{cancel, l.clients[0].Watch(ctx, leasePrefix, options...)}
}

// count follows the watch to a revision, and counts the updates of which it told properly: each
// with the object as it was before.
func (w *watchedLeases) count(through int64) (int64, error) {
	defer w.cancel()
	return countEvents(w.channel, through, func(event *clientv3.Event, seen int64) bool {
		return event.PrevKv != nil && event.PrevKv.Version == event.Kv.Version-1 && event.Kv.ModRevision > seen
	})
}

// countEvents follows a watch to a revision, and counts the events that are proper behind the
// revision that was seen before them.
func countEvents(
	watched clientv3.WatchChan, through int64, proper func(event *clientv3.Event, seen int64) bool,
) (int64, error) {
	gaveUp := time.After(watchWithin)
	seen, told := int64(0), int64(0)
	for seen < through {
		select {
		case <-gaveUp:
			return told, fmt.Errorf("the watch stands at revision %d of %d", seen, through)
		case response := <-watched:
			if err := response.Err(); err != nil {
				return told, err
			}
			for _, event := range response.Events {
				if proper(event, seen) {
					told++
				}
				seen = event.Kv.ModRevision
			}
		}
	}
	return told, nil
}

func (l *leaseLoad) result(ctx context.Context, watched *watchedLeases, took time.Duration) (any, error) {
	var newest, updates int64
	for _, object := range l.objects {
		newest = max(newest, object.revision)
		updates += object.version - 1
	}
	told := int64(0)
	if updates > 0 {
		var err error
		if told, err = watched.count(newest); err != nil {
			return nil, err
		}
	}
	lost, err := l.lost(ctx)
	if err != nil {
		return nil, err
	}
	said, _ := l.said.Load().(string)
	sorted := sortedCopy(l.latencies)
	return LeaseLoad{
		Objects: len(l.objects), Updates: updates, Contested: l.contested.Load(),
		Spurious: l.spurious.Load(), WonByNobody: l.nobody.Load(), WonByBoth: l.both.Load(),
		WrongAnswer: l.wrong.Load(), Errors: l.errors.Load(), Error: said, Lost: lost,
		Unwatched: updates - told, PerSecond: float64(updates) / took.Seconds(),
		P50Ms: percentile(sorted, 50), P99Ms: percentile(sorted, 99),
	}, nil
}

// lost compares every object with what its last winner was told.
func (l *leaseLoad) lost(ctx context.Context) ([]string, error) {
	response, err := l.clients[0].KV.Get(ctx, leasePrefix, clientv3.WithPrefix())
	if err != nil {
		return nil, err
	}
	lost := []string{}
	if len(response.Kvs) != len(l.objects) {
		lost = append(lost, fmt.Sprintf("%d objects of %d are there", len(response.Kvs), len(l.objects)))
		return lost, nil
	}
	for i, kv := range response.Kvs {
		object := l.objects[i]
		is := fmt.Sprintf("%s of revision %d, version %d, %q", kv.Key, kv.ModRevision, kv.Version, kv.Value)
		want := fmt.Sprintf("%s of revision %d, version %d, %q", object.key, object.revision, object.version, object.value)
		if is != want {
			lost = append(lost, fmt.Sprintf("%s instead of %s", is, want))
		}
	}
	return lost, nil
}
