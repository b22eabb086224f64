package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Clients is what `clients` prints.
type Clients struct {
	Answered int64  `json:"answered"`
	Shed     int64  `json:"shed"`
	Errors   int64  `json:"errors"`
	Error    string `json:"error,omitempty"` // one of them
	// Another client, who reads one key from a connection of its own all the while.
	Reader Latencies `json:"reader"`
}

type crowdOfClients struct {
	Clients
	answered, shed, errors atomic.Int64
	said                   atomic.Value
}

// clientsCommand lets each client put, wait for the answer, and put again.
func clientsCommand(ctx context.Context, arguments []string) (any, error) {
	flags, store := newFlags("clients")
	clients := flags.Int("clients", 20_000, "clients, each with one request under way")
	connections := flags.Int("connections", 50, "connections that they share")
	valueBytes := flags.Int("value-bytes", 256, "bytes of a value")
	puts := flags.Int("puts", 3, "puts of each client")
	_ = flags.Parse(arguments)
	closeAll, pool, err := connect(*store, *connections+1)
	if err != nil {
		return nil, err
	}
	defer closeAll()
	reader, pool := pool[0], pool[1:]
	value := strings.Repeat("v", *valueBytes)
	crowd := &crowdOfClients{}
	reading, stopReading := context.WithCancel(ctx)
	read := make(chan []time.Duration)
	go func() { read <- readAllTheWhile(reading, reader) }()
	var group sync.WaitGroup
	for i := range *clients {
		group.Go(func() {
			key := fmt.Sprintf("crowd/%d", i)
			for range *puts {
				_, err := pool[i%len(pool)].KV.Put(ctx, key, value)
				crowd.count(err)
			}
		})
	}
	group.Wait()
	stopReading()
	crowd.Reader = summarised(<-read)
	crowd.Answered, crowd.Shed, crowd.Errors = crowd.answered.Load(), crowd.shed.Load(), crowd.errors.Load()
	crowd.Error, _ = crowd.said.Load().(string)
	return crowd.Clients, nil
}

func (c *crowdOfClients) count(err error) {
	switch {
	case err == nil:
		c.answered.Add(1)
	case errors.Is(err, rpctypes.ErrTooManyRequests):
		c.shed.Add(1)
	default:
		c.errors.Add(1)
		c.said.Store(err.Error())
	}
}

func readAllTheWhile(ctx context.Context, client *clientv3.Client) []time.Duration {
	var latencies []time.Duration
	for ctx.Err() == nil {
		began := time.Now()
		if _, err := client.Get(ctx, "crowd/0"); err != nil {
			continue
		}
		latencies = append(latencies, time.Since(began))
	}
	return latencies
}
