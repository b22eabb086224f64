package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// clockTicks is USER_HZ, in which Linux tells processor time to all programs.
const clockTicks = 100

// Measurement is one line of output. Latencies are in milliseconds; those that a load does not
// have are left out.
type Measurement struct {
	Load         string  `json:"load"`
	Operations   int     `json:"operations"`
	Seconds      float64 `json:"seconds"`
	Rate         float64 `json:"rate"`
	ServerCPUUs  float64 `json:"server_cpu_us"`
	P50          float64 `json:"p50_ms"`
	P99          float64 `json:"p99_ms"`
	Max          float64 `json:"max_ms"`
	WatchLag     float64 `json:"watch_lag_ms,omitempty"` // until the watcher had the last event
	EventsGotten int64   `json:"events,omitempty"`
	Failures     int     `json:"failures"` // beside the operations, and without a latency
}

func (m Measurement) print() error { return json.NewEncoder(os.Stdout).Encode(m) }

// newMeasurement sorts the latencies.
func newMeasurement(load string, took time.Duration, latencies []time.Duration) Measurement {
	slices.Sort(latencies)
	at := func(share float64) float64 {
		if len(latencies) == 0 {
			return 0
		}
		return milliseconds(latencies[int(share*float64(len(latencies)-1))])
	}
	return Measurement{
		Load: load, Operations: len(latencies), Seconds: took.Seconds(),
		Rate: float64(len(latencies)) / took.Seconds(),
		P50:  at(0.5), P99: at(0.99), Max: at(1),
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// serverCPU tells the processor time that a process has used, all its threads together.
func serverCPU(pid int) (time.Duration, error) {
	if pid == 0 {
		return 0, nil
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name, in parentheses, may hold anything; user and system time are fields 14 and 15.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var ticks int64
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / clockTicks, nil
}

// measureCPU adds what the server used in all of a load, what comes after its operations too.
func measureCPU(pid int, load func() (Measurement, error)) (Measurement, error) {
	before, err := serverCPU(pid)
	if err != nil {
		return Measurement{}, err
	}
	m, failed := load()
	after, err := serverCPU(pid)
	m.ServerCPUUs = float64((after - before).Microseconds()) / float64(max(m.Operations, 1))
	return m, errors.Join(failed, err)
}

// closedLoop runs operations 0 to total-1, a fixed number of them at once, and stops at the first
// error.
func closedLoop(load string, clients, total int, operation func(ctx context.Context, worker, n int) error) (Measurement, error) {
	ctx, stop := context.WithCancelCause(context.Background())
	defer stop(nil)
	var next atomic.Int64
	latencies := make([][]time.Duration, clients)
	var group sync.WaitGroup
	begun := time.Now()
	for worker := range clients {
		group.Go(func() {
			for {
				n := int(next.Add(1)) - 1
				if n >= total || ctx.Err() != nil {
					return
				}
				sent := time.Now()
				if err := operation(ctx, worker, n); err != nil {
					stop(fmt.Errorf("%s %d: %w", load, n, err))
					return
				}
				latencies[worker] = append(latencies[worker], time.Since(sent))
			}
		})
	}
	group.Wait()
	took := time.Since(begun)
	return newMeasurement(load, took, slices.Concat(latencies...)), context.Cause(ctx)
}
