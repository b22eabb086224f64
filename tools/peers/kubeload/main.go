// Command kubeload drives a store as Kubernetes does, and prints what it measured as lines of JSON.
//
// Objects are keys of 70 bytes under one prefix with values of 512 bytes, written and read by the
// client package of etcd that a kube-apiserver uses. One run is one load:
//
//	kubeload transactions   creates, gets, updates, lists and deletes, with one watcher of everything
//	kubeload fill           many objects, as fast as they go in
//	kubeload update         updates of objects that are there
//	kubeload paced          puts at a fixed rate until its input ends, for the latency beside other work
//	kubeload list           reads of all objects in one answer
//	kubeload watch-latency  puts at a fixed rate, and how long until their watchers have them
//	kubeload keepalive      renewals of leases, each lease on a stream of its own
//	kubeload idle           connections, streams or watchers that do nothing, until its input ends
//
// With -server-pid each line tells the processor time of that process for each operation.
package main

import (
	"flag"
	"fmt"
	"os"
)

var loads = map[string]func(*settings) error{
	"transactions":  transactions,
	"fill":          fill,
	"update":        update,
	"paced":         paced,
	"list":          list,
	"watch-latency": watchLatency,
	"keepalive":     keepAlive,
	"idle":          idle,
}

// settings are the flags of all loads; each reads those it needs.
type settings struct {
	endpoint    string
	serverPID   int
	connections int
	clients     int
	objects     int
	first       int
	operations  int
	lists       int
	listLimit   int64
	rate        int
	seconds     float64
	streams     int
	watchers    int
	kind        string
}

func parse(arguments []string) (*settings, error) {
	s := &settings{}
	flags := flag.NewFlagSet("kubeload", flag.ContinueOnError)
	flags.StringVar(&s.endpoint, "endpoint", "127.0.0.1:2379", "host:port of the server")
	flags.IntVar(&s.serverPID, "server-pid", 0, "process whose processor time is told; 0: of none")
	flags.IntVar(&s.connections, "connections", 50, "connections")
	flags.IntVar(&s.clients, "clients", 300, "operations under way at once")
	flags.IntVar(&s.objects, "objects", 50_000, "objects that there are, or are to be")
	flags.IntVar(&s.first, "first", 0, "fill: objects that there already are")
	flags.IntVar(&s.operations, "operations", 50_000, "operations, where they are not one an object")
	flags.IntVar(&s.lists, "lists", 1_000, "transactions: lists")
	flags.Int64Var(&s.listLimit, "list-limit", 500, "transactions: objects in a list")
	flags.IntVar(&s.rate, "rate", 1_000, "puts a second, where the rate is fixed")
	flags.Float64Var(&s.seconds, "seconds", 10, "watch-latency: how long to put")
	flags.IntVar(&s.streams, "streams", 10, "watch-latency, idle watchers: streams")
	flags.IntVar(&s.watchers, "watchers", 1_000, "watch-latency: watchers, each of its own key")
	flags.StringVar(&s.kind, "kind", "connections", "idle: connections, streams or watchers")
	if err := flags.Parse(arguments); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return s, nil
}

func run(arguments []string) error {
	if len(arguments) == 0 || loads[arguments[0]] == nil {
		return fmt.Errorf("name a load: transactions, fill, update, paced, list, watch-latency, keepalive or idle")
	}
	s, err := parse(arguments[1:])
	if err != nil {
		return err
	}
	return loads[arguments[0]](s)
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "kubeload:", err)
		os.Exit(1)
	}
}
