package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// What API servers let pass between two requests for progress, and until they give up.
const (
	progressEvery  = 100 * time.Millisecond
	progressWithin = 3 * time.Second
)

// A watch as API servers open it, which holds what they rely on: whole revisions, in order, with
// what was there before.
type watch struct {
	*session
	name     string
	context  context.Context
	cancel   context.CancelFunc
	channel  clientv3.WatchChan
	revision int64
}

// watch begins at a revision; a key that ends with a slash is a prefix.
func (s *session) watch(name, key string, from int64, options ...clientv3.OpOption) *watch {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(s.ctx))
	options = append(options, clientv3.WithRev(from), clientv3.WithPrevKV(), clientv3.WithCreatedNotify())
	if strings.HasSuffix(key, "/") {
		options = append(options, clientv3.WithPrefix())
	}
	w := &watch{session: s, name: name, context: ctx, cancel: cancel, revision: from - 1}
	w.channel = s.Watch(ctx, key, options...)
	created := <-w.channel
	s.log.add("watch "+name, fmt.Sprintf("created: %v", created.Created))
	return w
}

// next checks a response, and returns it.
func (w *watch) next() clientv3.WatchResponse {
	response, _ := w.nextWithin(nil)
	return response
}

func (w *watch) nextWithin(patience <-chan time.Time) (clientv3.WatchResponse, bool) {
	var response clientv3.WatchResponse
	select {
	case response = <-w.channel:
	case <-patience:
		return response, false
	case <-w.ctx.Done():
		w.check(false, "the watch %s hears of nothing behind revision %d", w.name, w.revision)
	}
	// Whatever is told belongs behind everything that was told before, a notice of progress too.
	before := w.revision
	for _, event := range response.Events {
		w.check(event.Kv.ModRevision > before, "%s: revision %d behind %d", w.name, event.Kv.ModRevision, before)
		w.check(event.Kv.ModRevision >= w.revision, "%s: revisions out of order", w.name)
		w.check(event.IsCreate() == (event.PrevKv == nil), "%s: an event without what was before", w.name)
		w.revision = event.Kv.ModRevision
	}
	if response.IsProgressNotify() {
		w.check(response.Header.Revision >= before, "%s: progress goes back", w.name)
		w.revision = response.Header.Revision
	}
	return response, true
}

// until records all events up to a revision. How they are spread over responses is not compared.
func (w *watch) until(revision int64) {
	for w.revision < revision {
		response := w.next()
		w.check(response.Err() == nil, "the watch %s ends: %v", w.name, response.Err())
		w.record(response)
	}
}

func (w *watch) record(response clientv3.WatchResponse) {
	for _, event := range response.Events {
		w.log.add("watch "+w.name, w.log.text(event))
	}
}

// end records why a watch is over.
func (w *watch) end() {
	response := w.next()
	answered := fmt.Sprintf("%v, compact revision %d, header %d, %q",
		response.Err(), response.CompactRevision, response.Header.GetRevision(), response.CancelReason)
	w.log.add("the end of watch "+w.name, answered)
	_, open := <-w.channel
	w.check(!open, "the watch %s is canceled and open", w.name)
}

// awaitProgress asks for progress as often as API servers do, until the watch has heard of a revision.
func (w *watch) awaitProgress(revision int64) {
	asked := time.Now()
	for w.revision < revision {
		waited := time.Since(asked)
		w.check(waited < progressWithin, "%s hears of no progress to revision %d", w.name, revision)
		w.checkNo(w.RequestProgress(w.context))
		patience := time.After(progressEvery)
		for heard := true; heard && w.revision < revision; {
			var response clientv3.WatchResponse
			response, heard = w.nextWithin(patience)
			w.check(response.Err() == nil, "the watch %s ends: %v", w.name, response.Err())
		}
	}
	w.longestWait = max(w.longestWait, time.Since(asked))
}
