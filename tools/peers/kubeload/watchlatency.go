package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
)

// arrivals are the events that the watchers got, each with the time since its put was due, which
// the value tells.
type arrivals struct {
	begun     time.Time
	lock      sync.Mutex
	latencies []time.Duration
	group     sync.WaitGroup
}

// watchLatency gives every watcher a key of its own and puts to the keys in turn, at the rate. The
// latency of an event runs from the moment its put was due to the moment its watcher has it.
func watchLatency(s *settings) error {
	pool, err := connect(s.endpoint, s.connections)
	if err != nil {
		return err
	}
	defer closeAll(pool)
	total := int(float64(s.rate) * s.seconds)
	total -= total % s.watchers
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	got := &arrivals{begun: time.Now()}
	if err := got.watch(ctx, s, total/s.watchers); err != nil {
		return err
	}
	m, err := measureCPU(s.serverPID, func() (Measurement, error) {
		puts, err := putPaced(s, pool, total, got.begun)
		got.group.Wait()
		took := time.Duration(puts.Seconds * float64(time.Second))
		return newMeasurement("watch-latency", took, got.latencies), err
	})
	if err != nil {
		return err
	}
	if m.Operations != total {
		return fmt.Errorf("%d of %d events came", m.Operations, total)
	}
	return m.print()
}

// watch opens the watchers, each on one of the streams, and lets them wait for their events.
func (a *arrivals) watch(ctx context.Context, s *settings, events int) error {
	streams, err := connect(s.endpoint, s.streams)
	if err != nil {
		return err
	}
	for n := range s.watchers {
		channel := streams[n%len(streams)].Watch(ctx, objectKey(n), clientv3.WithCreatedNotify())
		if created := <-channel; !created.Created {
			return fmt.Errorf("watch %s: %w", objectKey(n), created.Err())
		}
		a.group.Go(func() { a.receive(channel, events) })
	}
	return nil
}

func (a *arrivals) receive(channel clientv3.WatchChan, events int) {
	for answer := range channel {
		now := time.Since(a.begun)
		a.lock.Lock()
		for _, event := range answer.Events {
			due := time.Duration(binary.BigEndian.Uint64(event.Kv.Value))
			a.latencies = append(a.latencies, now-due)
		}
		a.lock.Unlock()
		if events -= len(answer.Events); events <= 0 {
			return
		}
	}
}

// putPaced puts `total` times at the rate; values begin with the time since `begun` at which they
// were due.
func putPaced(s *settings, pool []*kubernetes.Client, total int, begun time.Time) (Measurement, error) {
	values := newValues()
	start := time.Since(begun)
	return openLoop(s.rate, total, nil, func(n int) error {
		due := start + time.Duration(n)*time.Second/time.Duration(s.rate)
		value := binary.BigEndian.AppendUint64(nil, uint64(due))
		value = append(value, values.value(n)[len(value):]...)
		_, err := pool[n%len(pool)].Put(context.Background(), objectKey(n%s.watchers), string(value))
		return err
	})
}
