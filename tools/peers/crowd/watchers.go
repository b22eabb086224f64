package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
)

const (
	watchedPrefix  = "watched/"
	watchersPerKey = 10
	streamsOfAll   = 100
	settledWithin  = 60 * time.Second
)

// Watchers is what `watchers` prints. Two rounds of the same puts: one without the stalled readers,
// and one while they are there.
type Watchers struct {
	Watchers int       `json:"watchers"`
	Stalled  int       `json:"stalled"`
	Alone    Latencies `json:"latency_alone"`
	Beside   Latencies `json:"latency_beside_stalled_readers"`
	// Readers that got every event, in order, when they read at last.
	CaughtUp int `json:"stalled_readers_that_caught_up"`
	// Readers whose stream had ended.
	Ended int `json:"stalled_readers_that_were_disconnected"`
}

type watcherCrowd struct {
	writer     *clientv3.Client
	keys, puts int
	value      string
	heard      chan time.Duration
	sent       sync.Map // revision to time
}

func watchersCommand(ctx context.Context, arguments []string) (any, error) {
	flags, store := newFlags("watchers")
	watchers := flags.Int("watchers", 10_000, "watchers, ten of them on each key")
	stalled := flags.Int("stalled", 100, "further watchers, of all keys, who do not read")
	connections := flags.Int("connections", 10, "connections of those who read")
	puts := flags.Int("puts", 1000, "puts of each round")
	valueBytes := flags.Int("value-bytes", 4096, "bytes of a value")
	_ = flags.Parse(arguments)
	closeAll, pool, err := connect(*store, *connections+2)
	if err != nil {
		return nil, err
	}
	defer closeAll()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	crowd := &watcherCrowd{
		writer: pool[0], keys: max(1, *watchers/watchersPerKey), puts: *puts,
		value: strings.Repeat("v", *valueBytes), heard: make(chan time.Duration, *watchers),
	}
	result := Watchers{Watchers: *watchers, Stalled: *stalled}
	if err := crowd.open(ctx, pool[2:], *watchers); err != nil {
		return nil, err
	}
	if result.Alone, err = crowd.round(ctx); err != nil {
		return nil, err
	}
	readers, err := stall(ctx, pool[1].ActiveConnection(), *stalled)
	if err != nil {
		return nil, err
	}
	if result.Beside, err = crowd.round(ctx); err != nil {
		return nil, err
	}
	for _, reader := range readers {
		if caughtUp(reader, *puts) {
			result.CaughtUp++
		} else {
			result.Ended++
		}
	}
	return result, nil
}

// open makes the watchers who read, and waits until they are.
func (c *watcherCrowd) open(ctx context.Context, pool []*clientv3.Client, watchers int) error {
	for i := range watchers {
		// Each number is a stream of its own.
		named := metadataContext(ctx, i%streamsOfAll)
		key := fmt.Sprintf("%s%d", watchedPrefix, i%c.keys)
		channel := pool[i%streamsOfAll%len(pool)].Watch(named, key, clientv3.WithCreatedNotify())
		select {
		case created := <-channel:
			if err := created.Err(); err != nil {
				return err
			}
		case <-time.After(settledWithin):
			return fmt.Errorf("watcher %d is not made", i)
		}
		go c.read(channel)
	}
	return nil
}

func (c *watcherCrowd) read(channel clientv3.WatchChan) {
	for response := range channel {
		now := time.Now()
		for _, event := range response.Events {
			if sent, ok := c.sent.Load(string(event.Kv.Value[:20])); ok {
				c.heard <- now.Sub(sent.(time.Time))
			}
		}
	}
}

// round puts one key after the other, and returns when everybody has heard of everything.
func (c *watcherCrowd) round(ctx context.Context) (Latencies, error) {
	expected := 0
	failed := make(chan error, 1)
	go func() {
		for i := range c.puts {
			now := time.Now()
			stamp := fmt.Sprintf("%020d", now.UnixNano())
			c.sent.Store(stamp, now)
			_, err := c.writer.Put(ctx, fmt.Sprintf("%s%d", watchedPrefix, i%c.keys), stamp+c.value)
			if err != nil {
				failed <- err
				return
			}
		}
	}()
	expected = c.puts * watchersPerKey
	latencies := make([]time.Duration, 0, expected)
	for len(latencies) < expected {
		select {
		case latency := <-c.heard:
			latencies = append(latencies, latency)
		case err := <-failed:
			return Latencies{}, err
		case <-time.After(settledWithin):
			return Latencies{}, fmt.Errorf("%d events of %d arrived", len(latencies), expected)
		}
	}
	return summarised(latencies), nil
}

// stall opens streams that nobody reads from.
func stall(ctx context.Context, connection *grpc.ClientConn, count int) ([]pb.Watch_WatchClient, error) {
	var readers []pb.Watch_WatchClient
	for range count {
		stream, err := pb.NewWatchClient(connection).Watch(ctx)
		if err != nil {
			return nil, err
		}
		create := &pb.WatchCreateRequest{
			Key: []byte(watchedPrefix), RangeEnd: []byte(clientv3.GetPrefixRangeEnd(watchedPrefix)),
		}
		request := &pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: create}}
		if err := stream.Send(request); err != nil {
			return nil, err
		}
		// It has to be there before the puts begin.
		if created, err := stream.Recv(); err != nil || !created.Created {
			return nil, errors.Join(err, errors.New("a watcher was not made"))
		}
		readers = append(readers, stream)
	}
	return readers, nil
}

// caughtUp reads at last; false if the stream was ended.
func caughtUp(reader pb.Watch_WatchClient, events int) bool {
	revision := int64(0)
	for events > 0 {
		response, err := reader.Recv()
		if err != nil {
			return false
		}
		for _, event := range response.Events {
			if event.Kv.ModRevision <= revision {
				return false
			}
			revision = event.Kv.ModRevision
			events--
		}
	}
	return events == 0
}
