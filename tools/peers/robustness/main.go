// Command robustness holds a store with etcd's API to what etcd's own robustness tests demand.
//
// The traffic, the recording clients, the model and the validators are etcd's packages
// (go.etcd.io/etcd/tests/v3/robustness). What they need beside that, a cluster of etcd processes and
// its write-ahead log, is replaced: the store is an endpoint that somebody else starts, stops and
// disturbs, and its log may be one that `decube store dump-log` wrote.
//
//	robustness traffic -endpoint 127.0.0.1:2379 -mix etcd -report DIR < pipe
//	robustness validate -report DIR -operations FILE
//	robustness validate -report DIR -etcd-data DIR
//
// The traffic runs until its standard input ends. Both print one line of JSON at their end. The exit
// code is 0, or 1 when the history breaks a guarantee, or 2 when nothing can be said.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"go.uber.org/zap"
)

// errViolation marks a history that no correct store could have given.
var errViolation = errors.New("the history breaks a guarantee")

func main() {
	err := run(os.Args[1:])
	switch {
	case errors.Is(err, errViolation):
		os.Exit(1)
	case err != nil:
		fmt.Fprintln(os.Stderr, "robustness:", err)
		os.Exit(2)
	}
}

func run(arguments []string) error {
	if len(arguments) == 0 {
		return errors.New("which of traffic and validate?")
	}
	flags := flag.NewFlagSet(arguments[0], flag.ExitOnError)
	report := flags.String("report", "", "directory of the recorded history")
	verbose := flags.Bool("verbose", false, "tell what is done, and how long it takes")
	switch arguments[0] {
	case "traffic":
		endpoint := flags.String("endpoint", "127.0.0.1:2379", "host:port of the store")
		mix := flags.String("mix", "etcd", "what the clients do: "+mixNames())
		patience := flags.Duration("patience", 30*time.Second, "bound of each wait for the store")
		settle := flags.Duration("settle", 10*time.Second, "bound of the wait for the last events")
		_ = flags.Parse(arguments[1:])
		log, err := newLog(*verbose)
		if err != nil {
			return err
		}
		t := trafficRun{
			log:       log,
			endpoints: []string{*endpoint},
			report:    *report,
			patience:  *patience,
			settle:    *settle,
		}
		return t.run(context.Background(), *mix, os.Stdin)
	case "validate":
		operations := flags.String("operations", "", "file that `decube store dump-log -o json` wrote")
		etcdData := flags.String("etcd-data", "", "data directory of an etcd that has ended")
		timeout := flags.Duration("timeout", 5*time.Minute, "bound of the linearizability check")
		_ = flags.Parse(arguments[1:])
		log, err := newLog(*verbose)
		if err != nil {
			return err
		}
		persisted, err := readPersisted(log, *operations, *etcdData)
		if err != nil {
			return err
		}
		return validateReport(log, *report, persisted, *timeout)
	default:
		return fmt.Errorf("unknown command %q", arguments[0])
	}
}

func newLog(verbose bool) (*zap.Logger, error) {
	config := zap.NewDevelopmentConfig()
	config.DisableStacktrace = true
	if !verbose {
		config.Level = zap.NewAtomicLevelAt(zap.ErrorLevel)
	}
	return config.Build()
}

func printLine(value any) error {
	return json.NewEncoder(os.Stdout).Encode(value)
}
