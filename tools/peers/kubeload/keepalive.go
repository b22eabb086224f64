package main

import (
	"context"
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

const leaseTTL = 600

// keepAlive renews leases as long-lived clients do: each lease on a stream that stays open. etcd's
// own `benchmark lease-keepalive` opens a stream for every renewal.
func keepAlive(s *settings) error {
	pool, err := connect(s.endpoint, s.connections)
	if err != nil {
		return err
	}
	defer closeAll(pool)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	streams := make([]pb.Lease_LeaseKeepAliveClient, s.clients)
	leases := make([]int64, s.clients)
	for n := range streams {
		client := pool[n%len(pool)]
		granted, err := client.Grant(ctx, leaseTTL)
		if err != nil {
			return err
		}
		leases[n] = int64(granted.ID)
		if streams[n], err = pb.NewLeaseClient(client.ActiveConnection()).LeaseKeepAlive(ctx); err != nil {
			return err
		}
	}
	m, err := measureCPU(s.serverPID, func() (Measurement, error) {
		return closedLoop("keepalive", s.clients, s.operations, func(_ context.Context, worker, _ int) error {
			if err := streams[worker].Send(&pb.LeaseKeepAliveRequest{ID: leases[worker]}); err != nil {
				return err
			}
			answer, err := streams[worker].Recv()
			if err == nil && answer.TTL != leaseTTL {
				err = fmt.Errorf("lease %x has a TTL of %d", leases[worker], answer.TTL)
			}
			return err
		})
	})
	if err != nil {
		return err
	}
	return m.print()
}
