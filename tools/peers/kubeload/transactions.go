package main

import (
	"context"
	"fmt"

	"go.etcd.io/etcd/client/v3/kubernetes"
)

// objectLoad is the state that the phases of one run share.
type objectLoad struct {
	*settings
	pool      []*kubernetes.Client
	values    values
	revisions []int64 // in which each object was written last
	watcher   *watcher
}

// transactions runs the phases one after the other, on the same objects.
func transactions(s *settings) error {
	pool, err := connect(s.endpoint, s.connections)
	if err != nil {
		return err
	}
	defer closeAll(pool)
	watcher, err := watchEverything(s.endpoint)
	if err != nil {
		return err
	}
	defer watcher.close()
	load := &objectLoad{s, pool, newValues(), make([]int64, s.objects), watcher}
	phases := []struct {
		name   string
		total  int
		events int
		do     func(ctx context.Context, worker, n int) error
	}{
		{"create", s.objects, s.objects, load.put},
		{"get", s.objects, 0, load.get},
		{"update", s.objects, s.objects, load.put},
		{"list", s.lists, 0, load.list},
		{"delete", s.objects, s.objects, load.delete},
	}
	for _, phase := range phases {
		m, err := measureCPU(s.serverPID, func() (Measurement, error) {
			m, err := closedLoop(phase.name, s.clients, phase.total, phase.do)
			if err == nil {
				m.WatchLag, err = watcher.waitForMore(phase.events)
				m.EventsGotten = int64(phase.events)
			}
			return m, err
		})
		if err == nil {
			err = m.print()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *objectLoad) client(worker int) *kubernetes.Client { return l.pool[worker%len(l.pool)] }

// put creates an object, or updates it if it was created.
func (l *objectLoad) put(ctx context.Context, worker, n int) error {
	answer, err := l.client(worker).OptimisticPut(ctx, objectKey(n), l.values.value(n),
		l.revisions[n], kubernetes.PutOptions{GetOnFailure: l.revisions[n] != 0})
	if err == nil && !answer.Succeeded {
		err = fmt.Errorf("%s is not at revision %d", objectKey(n), l.revisions[n])
	}
	l.revisions[n] = answer.Revision
	return err
}

func (l *objectLoad) get(ctx context.Context, worker, n int) error {
	answer, err := l.client(worker).Get(ctx, objectKey(n), kubernetes.GetOptions{})
	if err == nil && answer.KV == nil {
		err = fmt.Errorf("%s is missing", objectKey(n))
	}
	return err
}

// list reads a page from somewhere in the middle, where there are enough objects behind it.
func (l *objectLoad) list(ctx context.Context, worker, n int) error {
	from := objectKey(n * 7919 % 500)
	options := kubernetes.ListOptions{Limit: l.listLimit, Continue: from}
	answer, err := l.client(worker).List(ctx, prefix, options)
	if wanted := min(l.listLimit, int64(l.objects/2)); err == nil && int64(len(answer.Kvs)) < wanted {
		err = fmt.Errorf("a list from %s has %d objects", from, len(answer.Kvs))
	}
	return err
}

func (l *objectLoad) delete(ctx context.Context, worker, n int) error {
	answer, err := l.client(worker).OptimisticDelete(ctx, objectKey(n), l.revisions[n],
		kubernetes.DeleteOptions{GetOnFailure: true})
	if err == nil && !answer.Succeeded {
		err = fmt.Errorf("%s is not at revision %d", objectKey(n), l.revisions[n])
	}
	return err
}
