package main

import (
	"context"
	"time"

	"go.etcd.io/etcd/tests/v3/robustness/client"
)

// Between two requests for progress, as API servers make them.
const progressInterval = 100 * time.Millisecond

// follow watches everything from the first revision on and asks for progress all the time, until it
// has seen the revision that comes through `last`. It tells whether it has: a store that loses events
// may never show it, and then what there is has to be judged.
func (t *trafficRun) follow(
	ctx context.Context, set *client.ClientSet, last <-chan int64,
) (bool, error) {
	c, err := set.NewClient(t.endpoints)
	if err != nil {
		return false, err
	}
	defer c.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ticker := time.NewTicker(progressInterval)
	defer ticker.Stop()
	var overdue <-chan time.Time
	var seen, wanted int64 = 1, 0
	watch := c.Watch(ctx, "", seen+1, true, true, true)
	for wanted == 0 || seen < wanted {
		select {
		case revision, sent := <-last:
			if !sent {
				return false, nil // the traffic failed, and says so
			}
			wanted, last, overdue = revision, nil, time.After(t.settle)
		case <-overdue:
			return false, nil
		case <-ticker.C:
			_ = c.RequestProgress(ctx)
		case response, open := <-watch:
			if events := response.Events; len(events) > 0 {
				seen = events[len(events)-1].Kv.ModRevision
			}
			if !open || response.Err() != nil {
				// What is compacted begins at the compaction itself.
				seen = max(seen, response.CompactRevision-1)
				watch = c.Watch(ctx, "", seen+1, true, true, true)
			}
		}
	}
	return true, nil
}
