package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"go.etcd.io/etcd/tests/v3/robustness/client"
	"go.etcd.io/etcd/tests/v3/robustness/identity"
	"go.etcd.io/etcd/tests/v3/robustness/model"
	"go.etcd.io/etcd/tests/v3/robustness/report"
	"go.etcd.io/etcd/tests/v3/robustness/traffic"
)

// mix is what the clients do, and how fast: eight clients for keys, eight for watches, one compacts.
type mix struct {
	traffic traffic.Traffic
	rates   traffic.KeyValue
	compact traffic.Compaction
}

// The pairs are those of etcd's own scenarios, and two for its regressions around deletes.
var mixes = map[string]mix{
	"etcd":              {traffic.EtcdPutDeleteLease, traffic.KeyValueMedium, traffic.CompactionDefault},
	"etcd-put":          {traffic.EtcdPut, traffic.KeyValueHigh, traffic.CompactionDefault},
	"etcd-delete":       {traffic.EtcdDelete, traffic.KeyValueMedium, traffic.CompactionFrequent},
	"kubernetes":        {traffic.Kubernetes, traffic.KeyValueHigh, traffic.CompactionDefault},
	"kubernetes-create": {traffic.KubernetesCreateDelete, traffic.KeyValueMedium, traffic.CompactionFrequent},
}

func mixNames() string {
	return strings.Join(slices.Sorted(maps.Keys(mixes)), ", ")
}

// trafficRun drives one history and writes it down.
type trafficRun struct {
	log       *zap.Logger
	endpoints []string
	report    string
	// patience bounds each wait for the store, settle the wait for the last events.
	patience, settle time.Duration
}

// summary is the one line that a run prints.
type summary struct {
	Mix        string  `json:"mix"`
	Operations int     `json:"operations"`
	Unknown    int     `json:"unknown"` // operations whose outcome no client knows
	PerSecond  float64 `json:"operations_per_second"`
	Watches    int     `json:"watches"`
	Events     int     `json:"events"`
	Progress   int     `json:"progress_notifications"`
	Revision   int64   `json:"revision"`
	Followed   bool    `json:"followed"` // one watch saw it all, to the last revision
}

func (t *trafficRun) run(ctx context.Context, name string, until io.Reader) error {
	chosen, ok := mixes[name]
	if !ok {
		return fmt.Errorf("no mix %q; there are %s", name, mixNames())
	}
	ids, base := identity.NewIDProvider(), time.Now()
	writers, watcher := client.NewSet(ids, base), client.NewSet(ids, base)
	defer writers.Close()
	defer watcher.Close()
	if err := t.requireFresh(ctx, writers); err != nil {
		return err
	}
	begun := time.Since(base)
	ended := make(chan struct{})
	lastRevision := make(chan int64, 1)
	var group errgroup.Group
	group.Go(func() error {
		defer close(lastRevision)
		if err := t.drive(ctx, chosen, writers, until, ended); err != nil {
			return err
		}
		lastRevision <- report.OperationsMaxRevision(writers.Reports())
		return nil
	})
	var followed bool
	group.Go(func() (err error) {
		followed, err = t.follow(ctx, watcher, lastRevision)
		return err
	})
	if err := t.wait(&group, ended); err != nil {
		return err
	}
	reports := slices.Concat(writers.Reports(), watcher.Reports())
	if err := t.save(reports, chosen); err != nil {
		return err
	}
	told := summarize(name, reports, begun, time.Since(base))
	told.Followed = followed
	return printLine(told)
}

// wait returns what the group does, but not long after `ended`: some of etcd's loops have no bound.
func (t *trafficRun) wait(group *errgroup.Group, ended <-chan struct{}) error {
	done := make(chan error, 1)
	go func() { done <- group.Wait() }()
	select {
	case err := <-done:
		return err
	case <-ended:
	}
	select {
	case err := <-done:
		return err
	case <-time.After(t.patience):
		return fmt.Errorf("a client still waits %v after the end of the traffic", t.patience)
	}
}

// requireFresh waits for the store and refuses one that is not at revision 1, where the model begins.
func (t *trafficRun) requireFresh(ctx context.Context, set *client.ClientSet) error {
	ctx, cancel := context.WithTimeout(ctx, t.patience)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- traffic.CheckEmptyDatabaseAtStart(ctx, zap.NewNop(), t.endpoints, set) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("the store does not answer at %v", t.endpoints)
	}
}

// drive runs the clients until `until` ends, and then writes once more, which has to succeed: it
// bounds when what got no answer can have happened.
func (t *trafficRun) drive(
	ctx context.Context, m mix, set *client.ClientSet, until io.Reader, ended chan<- struct{},
) error {
	finish := make(chan struct{})
	var clients sync.WaitGroup
	if err := t.start(ctx, &clients, m, set, finish); err != nil {
		return err
	}
	fmt.Println("running")
	_, err := io.Copy(io.Discard, until)
	close(ended)
	close(finish)
	clients.Wait()
	if err != nil {
		return err
	}
	last, err := set.NewClient(t.endpoints)
	if err != nil {
		return err
	}
	defer last.Close()
	ctx, cancel := context.WithTimeout(ctx, t.patience)
	defer cancel()
	if _, err := last.Put(ctx, "tombstone", "true"); err != nil {
		return fmt.Errorf("the last write failed: %w", err)
	}
	return nil
}

func (t *trafficRun) start(
	ctx context.Context, clients *sync.WaitGroup, m mix, set *client.ClientSet, finish chan struct{},
) error {
	limiter := rate.NewLimiter(rate.Limit(m.rates.MaximalQPS), m.rates.BurstableQPS)
	keys, objects := traffic.NewKeyStore(10, "key"), traffic.NewKubernetesStorage()
	ofKeys := traffic.RunTrafficLoopParam{
		QPSLimiter:     limiter,
		IDs:            set.IdentityProvider(),
		LeaseIDStorage: identity.NewLeaseIDStorage(),
		KeyStore:       keys,
		Storage:        objects,
		Finish:         finish,
		NonUniqueRequestConcurrencyLimiter: traffic.NewConcurrencyLimiter(
			m.rates.MaxNonUniqueRequestConcurrency,
		),
	}
	ofWatches := traffic.RunWatchLoopParam{
		Config:     traffic.WatchDefault,
		QPSLimiter: limiter,
		KeyStore:   keys,
		Storage:    objects,
		Finish:     finish,
		Logger:     t.log,
	}
	ofCompactions := traffic.RunCompactLoopParam{Period: m.compact.Period, Finish: finish}
	e, watches := t.endpoints, &traffic.WatchDefault
	return errors.Join(
		traffic.SimulateKeyValueTraffic(ctx, clients, &m.rates, e, set, m.traffic, ofKeys),
		traffic.SimulateWatchTraffic(ctx, clients, watches, e, set, m.traffic, ofWatches),
		traffic.SimulateCompactionTraffic(ctx, clients, &m.compact, e, set, m.traffic, ofCompactions),
	)
}

func (t *trafficRun) save(reports []report.ClientReport, m mix) error {
	detail := &report.TrafficDetail{ExpectUniqueRevision: m.traffic.ExpectUniqueRevision()}
	written, err := report.NewTestReport(zap.NewNop(), t.report, nil, detail)
	if err != nil {
		return err
	}
	written.SetClientReports(reports)
	return written.SaveEtcdData()
}

func summarize(name string, reports []report.ClientReport, from, to time.Duration) summary {
	calls := traffic.CalculateStats(reports, from, to)
	watches := traffic.CalculateWatchStats(reports, from, to)
	s := summary{
		Mix:        name,
		Operations: calls.Successes + calls.Failures,
		PerSecond:  calls.QPS(),
		Watches:    watches.Requests,
		Events:     watches.Events,
		Progress:   watches.ProgressNotifies,
		Revision:   report.OperationsMaxRevision(reports),
	}
	for _, r := range reports {
		for _, operation := range r.KeyValue {
			request := operation.Input.(model.EtcdRequest)
			if operation.Output.(model.MaybeEtcdResponse).Error != "" && !request.IsRead() {
				s.Unknown++
			}
		}
	}
	return s
}
