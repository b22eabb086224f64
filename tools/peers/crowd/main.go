// Command crowd is many clients of one store at once, and prints how it served them as JSON:
//
//	crowd clients -store 127.0.0.1:2379 -clients 20000 -connections 50 -puts 3
//	crowd watchers -store 127.0.0.1:2379 -watchers 10000 -stalled 100
//	crowd list -store 127.0.0.1:2379 -objects 2048 -value-bytes 524288
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// A command reads its flags and returns what is printed.
var commands = map[string]func(ctx context.Context, arguments []string) (any, error){
	"clients":  clientsCommand,
	"watchers": watchersCommand,
	"list":     listCommand,
}

func main() {
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: crowd clients|watchers|list [flags]; -h tells the flags of each")
		os.Exit(2)
	}
	result, err := commands[os.Args[1]](context.Background(), os.Args[2:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "crowd:", err)
		os.Exit(1)
	}
	_ = json.NewEncoder(os.Stdout).Encode(result)
}

func newFlags(command string) (*flag.FlagSet, *string) {
	flags := flag.NewFlagSet("crowd "+command, flag.ExitOnError)
	return flags, flags.String("store", "127.0.0.1:2379", "host:port of the store")
}

// connect opens so many connections; closing the first return value closes them.
func connect(address string, connections int) (closeAll func(), clients []*clientv3.Client, err error) {
	closeAll = func() {
		for _, client := range clients {
			_ = client.Close()
		}
	}
	for range connections {
		client, err := clientv3.New(clientv3.Config{
			Endpoints: []string{"http://" + address}, DialTimeout: 20 * time.Second, Logger: zap.NewNop(),
		})
		if err != nil {
			closeAll()
			return nil, nil, err
		}
		clients = append(clients, client)
	}
	return closeAll, clients, nil
}

// Latencies of some calls, in milliseconds.
type Latencies struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50_ms"`
	P99   float64 `json:"p99_ms"`
	Max   float64 `json:"max_ms"`
}

func summarised(latencies []time.Duration) Latencies {
	if len(latencies) == 0 {
		return Latencies{}
	}
	slices.Sort(latencies)
	at := func(percent int) float64 {
		return float64(latencies[(len(latencies)-1)*percent/100].Microseconds()) / 1000
	}
	return Latencies{len(latencies), at(50), at(99), at(100)}
}
