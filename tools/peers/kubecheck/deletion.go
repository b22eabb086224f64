package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
)

const (
	rangePrefix      = "/registry/events/deleted-as-a-range/"
	collectionPrefix = "/registry/events/deleted-as-a-collection/"
	// Puts of one transaction, and objects of one page.
	objectsPerTxn  = 100
	objectsPerPage = 500
)

// Deletion is what `deletion` prints.
type Deletion struct {
	Objects int `json:"objects"`
	// One DeleteRange of all.
	RangeDeleted int64   `json:"range_deleted"`
	RangeSeconds float64 `json:"range_seconds"`
	// A list in pages, and a transaction for each object, as API servers delete a collection.
	CollectionDeleted int64   `json:"collection_deleted"`
	CollectionSeconds float64 `json:"collection_seconds"`
	NoDeleteRange     int64   `json:"answers_that_are_no_delete_range"`
	Left              int64   `json:"left"`
	Unwatched         int64   `json:"deletions_that_the_watch_missed"`
}

func deletionCommand(ctx context.Context, arguments []string) (any, error) {
	flags, store := newFlags("deletion")
	objects := flags.Int("objects", 10_000, "objects to delete, each way")
	workers := flags.Int("workers", 16, "who delete the collection together")
	_ = flags.Parse(arguments)
	client, err := connect(*store)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	from, err := fill(ctx, client, *objects)
	if err != nil {
		return nil, err
	}
	watchContext, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	watched := client.Watch(watchContext, "/registry/events/",
		clientv3.WithPrefix(), clientv3.WithPrevKV(), clientv3.WithRev(from+1))
	result := Deletion{Objects: *objects}
	began := time.Now()
	response, err := client.Delete(ctx, rangePrefix, clientv3.WithPrefix())
	if err != nil {
		return nil, err
	}
	result.RangeDeleted, result.RangeSeconds = response.Deleted, time.Since(began).Seconds()
	began = time.Now()
	if err := deleteCollection(ctx, client, *workers, &result); err != nil {
		return nil, err
	}
	result.CollectionSeconds = time.Since(began).Seconds()
	left, err := client.KV.Get(ctx, "/registry/events/", clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		return nil, err
	}
	result.Left = left.Count
	told, err := countEvents(watched, left.Header.Revision, isProperDeletion)
	result.Unwatched = result.RangeDeleted + result.CollectionDeleted - told
	return result, err
}

// fill returns the revision of the last object.
func fill(ctx context.Context, client *kubernetes.Client, objects int) (int64, error) {
	revision := int64(0)
	value := fmt.Sprintf("%-512s", "an event")
	for first := 0; first < objects; first += objectsPerTxn {
		for _, prefix := range []string{rangePrefix, collectionPrefix} {
			var puts []clientv3.Op
			for i := range min(objectsPerTxn, objects-first) {
				puts = append(puts, clientv3.OpPut(fmt.Sprintf("%s%07d", prefix, first+i), value))
			}
			response, err := client.Txn(ctx).Then(puts...).Commit()
			if err != nil {
				return 0, err
			}
			revision = response.Header.Revision
		}
	}
	return revision, nil
}

func deleteCollection(ctx context.Context, client *kubernetes.Client, workers int, result *Deletion) error {
	var deleted, odd atomic.Int64
	from, revision := "", int64(0)
	for {
		options := kubernetes.ListOptions{Limit: objectsPerPage, Revision: revision, Continue: from}
		page, err := client.Kubernetes.List(ctx, collectionPrefix, options)
		if err != nil {
			return err
		}
		inParallel(workers, len(page.Kvs), func(i int) {
			key := string(page.Kvs[i].Key)
			response, err := client.Txn(ctx).
				If(clientv3.Compare(clientv3.ModRevision(key), "=", page.Kvs[i].ModRevision)).
				Then(clientv3.OpDelete(key)).Else(clientv3.OpGet(key)).Commit()
			if err != nil || !response.Succeeded {
				return
			}
			// Another kind of answer makes API servers fall over.
			if answer := response.Responses[0].GetResponseDeleteRange(); answer == nil || answer.Deleted != 1 {
				odd.Add(1)
			}
			deleted.Add(1)
		})
		if int64(len(page.Kvs)) >= page.Count {
			result.CollectionDeleted, result.NoDeleteRange = deleted.Load(), odd.Load()
			return nil
		}
		revision = page.Revision
		from = string(page.Kvs[len(page.Kvs)-1].Key) + "\x00"
	}
}

func isProperDeletion(event *clientv3.Event, _ int64) bool {
	return event.Type == clientv3.EventTypeDelete && event.PrevKv != nil
}
