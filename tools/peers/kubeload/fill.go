package main

import (
	"context"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
)

// putsPerTxn is below the limit of 128.
const putsPerTxn = 100

// fill writes objects first to objects-1, a hundred in a transaction: a way to have them, not a load.
func fill(s *settings) error {
	pool, err := connect(s.endpoint, s.connections)
	if err != nil {
		return err
	}
	defer closeAll(pool)
	values := newValues()
	total := (s.objects - s.first + putsPerTxn - 1) / putsPerTxn
	m, err := closedLoop("fill", s.clients, total, func(ctx context.Context, worker, n int) error {
		begin := s.first + n*putsPerTxn
		var puts []clientv3.Op
		for object := begin; object < min(begin+putsPerTxn, s.objects); object++ {
			puts = append(puts, clientv3.OpPut(objectKey(object), string(values.value(object))))
		}
		_, err := pool[worker%len(pool)].Txn(ctx).Then(puts...).Commit()
		return err
	})
	if err != nil {
		return err
	}
	return m.print()
}

// update writes objects that are there, spread over all of them.
func update(s *settings) error {
	pool, err := connect(s.endpoint, s.connections)
	if err != nil {
		return err
	}
	defer closeAll(pool)
	m, err := measureCPU(s.serverPID, func() (Measurement, error) {
		return closedLoop("update", s.clients, s.operations, spreadPuts(s, pool))
	})
	if err != nil {
		return err
	}
	return m.print()
}

// spreadPuts puts to objects that are far from one another, as hashes of their numbers are.
func spreadPuts(s *settings, pool []*kubernetes.Client) func(context.Context, int, int) error {
	values := newValues()
	return func(ctx context.Context, worker, n int) error {
		object := int(uint64(n) * 0x9e3779b97f4a7c15 >> 33 % uint64(s.objects))
		_, err := pool[worker%len(pool)].Put(ctx, objectKey(object), string(values.value(n)))
		return err
	}
}

// list reads all objects in one answer.
func list(s *settings) error {
	pool, err := connect(s.endpoint, 1)
	if err != nil {
		return err
	}
	defer closeAll(pool)
	m, err := measureCPU(s.serverPID, func() (Measurement, error) {
		return closedLoop("list", 1, s.lists, func(ctx context.Context, _, _ int) error {
			_, err := pool[0].List(ctx, prefix, kubernetes.ListOptions{})
			return err
		})
	})
	if err != nil {
		return err
	}
	return m.print()
}
