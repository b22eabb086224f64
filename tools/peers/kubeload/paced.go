package main

import (
	"context"
	"io"
	"math"
	"os"
	"sync"
	"time"
)

// paced puts at a fixed rate until its input ends. A latency begins when the put was due, so that
// a server which stands still is charged with all the puts that it kept waiting.
func paced(s *settings) error {
	pool, err := connect(s.endpoint, s.connections)
	if err != nil {
		return err
	}
	defer closeAll(pool)
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	put := spreadPuts(s, pool)
	m, err := measureCPU(s.serverPID, func() (Measurement, error) {
		return openLoop(s.rate, math.MaxInt, ended, func(n int) error { return put(context.Background(), n, n) })
	})
	// A store that is in the midst of something large may refuse some: they are told, not fatal.
	if err != nil && m.Operations == 0 {
		return err
	}
	return m.print()
}

// openLoop begins operations at the rate, whether or not the earlier ones were answered, until there
// were `total` or it is ended. Those that fail are counted apart: a quick refusal is no good latency.
func openLoop(rate, total int, ended <-chan struct{}, operation func(n int) error) (Measurement, error) {
	interval := time.Second / time.Duration(rate)
	var (
		group     sync.WaitGroup
		lock      sync.Mutex
		latencies []time.Duration
		failures  int
		failed    error
	)
	begun := time.Now()
begin:
	for n := range total {
		due := begun.Add(time.Duration(n) * interval)
		select {
		case <-ended:
			break begin
		case <-time.After(time.Until(due)):
		}
		group.Go(func() {
			err := operation(n)
			took := time.Since(due)
			lock.Lock()
			defer lock.Unlock()
			if err != nil {
				failures++
				failed = err
				return
			}
			latencies = append(latencies, took)
		})
	}
	group.Wait()
	m := newMeasurement("paced", time.Since(begun), latencies)
	m.Failures = failures
	return m, failed
}
