package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
)

const eventsTimeMax = 60 * time.Second

// watcher receives every event of every object, with what was there before, as the cache of a
// kube-apiserver does.
type watcher struct {
	client   *kubernetes.Client
	cancel   context.CancelFunc
	received atomic.Int64
	expected int64
	advanced chan struct{} // there is more in received
	failed   chan error
}

func watchEverything(endpoint string) (*watcher, error) {
	clients, err := connect(endpoint, 1)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(context.Background()))
	channel := clients[0].Watch(ctx, prefix, clientv3.WithPrefix(), clientv3.WithPrevKV(), clientv3.WithCreatedNotify())
	if created := <-channel; !created.Created {
		cancel()
		return nil, fmt.Errorf("watch %s: %w", prefix, created.Err())
	}
	w := &watcher{
		client: clients[0], cancel: cancel,
		advanced: make(chan struct{}, 1), failed: make(chan error, 1),
	}
	go w.receive(channel)
	return w, nil
}

func (w *watcher) receive(channel clientv3.WatchChan) {
	for answer := range channel {
		if err := answer.Err(); err != nil {
			w.failed <- err
			return
		}
		for _, event := range answer.Events {
			if !event.IsCreate() && event.PrevKv == nil {
				w.failed <- fmt.Errorf("an event of %s is without what was there before", event.Kv.Key)
				return
			}
		}
		w.received.Add(int64(len(answer.Events)))
		select {
		case w.advanced <- struct{}{}:
		default:
		}
	}
}

// waitForMore waits for that many events and tells how many milliseconds it waited.
func (w *watcher) waitForMore(events int) (float64, error) {
	begun := time.Now()
	late := time.After(eventsTimeMax)
	w.expected += int64(events)
	for w.received.Load() < w.expected {
		select {
		case <-w.advanced:
		case err := <-w.failed:
			return 0, err
		case <-late:
			return 0, fmt.Errorf("%d events did not come", w.expected-w.received.Load())
		}
	}
	if w.received.Load() > w.expected {
		return 0, errors.New("more events came than there were writes")
	}
	return milliseconds(time.Since(begun)), nil
}

func (w *watcher) close() {
	w.cancel()
	_ = w.client.Close()
}
