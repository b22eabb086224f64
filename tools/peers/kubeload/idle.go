package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
)

// opening bounds how many connections or streams are opened at once.
const opening = 64

// idle opens what is to be weighed, prints "ready", and keeps it open until its input ends.
func idle(s *settings) error {
	kinds := map[string]func(*settings) error{
		"connections": idleConnections, "streams": idleStreams, "watchers": idleWatchers,
	}
	open := kinds[s.kind]
	if open == nil {
		return fmt.Errorf("-kind %s: it is connections, streams or watchers", s.kind)
	}
	if err := open(s); err != nil {
		return err
	}
	fmt.Println("ready")
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// dial opens a connection that carries no call.
func dial(ctx context.Context, endpoint string) (*grpc.ClientConn, error) {
	connection, err := grpc.NewClient(endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	connection.Connect()
	for state := connection.GetState(); state != connectivity.Ready; state = connection.GetState() {
		if !connection.WaitForStateChange(ctx, state) {
			return nil, fmt.Errorf("connect %s: %w", endpoint, ctx.Err())
		}
	}
	return connection, nil
}

// inParallel opens that many, some at once, and tells the first error.
func inParallel(total int, open func(n int) error) error {
	var group sync.WaitGroup
	var once sync.Once
	var failed error
	room := make(chan struct{}, opening)
	for n := range total {
		room <- struct{}{}
		group.Go(func() {
			defer func() { <-room }()
			if err := open(n); err != nil {
				once.Do(func() { failed = err })
			}
		})
	}
	group.Wait()
	return failed
}

func idleConnections(s *settings) error {
	return inParallel(s.objects, func(int) error {
		ctx, cancel := context.WithTimeout(context.Background(), dialTime)
		defer cancel()
		_, err := dial(ctx, s.endpoint)
		return err
	})
}

// idleStreams opens Watch streams with one watcher each, so that the server is known to have them.
func idleStreams(s *settings) error {
	pool := make([]*grpc.ClientConn, s.connections)
	for n := range pool {
		var err error
		if pool[n], err = dial(context.Background(), s.endpoint); err != nil {
			return err
		}
	}
	return inParallel(s.objects, func(n int) error {
		stream, err := pb.NewWatchClient(pool[n%len(pool)]).Watch(context.Background())
		if err != nil {
			return err
		}
		create := &pb.WatchCreateRequest{Key: []byte(objectKey(n))}
		if err := stream.Send(&pb.WatchRequest{
			RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: create},
		}); err != nil {
			return err
		}
		_, err = stream.Recv()
		return err
	})
}

// idleWatchers opens watchers on a few streams.
func idleWatchers(s *settings) error {
	pool, err := connect(s.endpoint, s.streams)
	if err != nil {
		return err
	}
	return inParallel(s.objects, func(n int) error {
		channel := pool[n%len(pool)].Watch(context.Background(), objectKey(n), clientv3.WithCreatedNotify())
		if created := <-channel; !created.Created {
			return fmt.Errorf("watch %s: %w", objectKey(n), created.Err())
		}
		return nil
	})
}
