// Command kubecheck drives stores of the etcd v3 API the way Kubernetes API servers do, with etcd's
// own Go client, and prints what it found as JSON:
//
//	kubecheck compare -store 127.0.0.1:2379 -reference 127.0.0.1:12379
//	kubecheck leases -store 127.0.0.1:2379 -objects 10000 -rate 1000 -seconds 10
//	kubecheck deletion -store 127.0.0.1:2379 -objects 100000
//
// `compare` sends the same requests to both stores, which must be empty, and tells each answer that
// differs. `leases` and `deletion` put one store under a load that users of other stores have
// reported to go wrong, and check every object afterwards.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
	"go.uber.org/zap"
	"google.golang.org/grpc"
)

// A command reads its flags and returns what is printed.
var commands = map[string]func(ctx context.Context, arguments []string) (any, error){
	"compare":  compareCommand,
	"leases":   leasesCommand,
	"deletion": deletionCommand,
}

func main() {
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: kubecheck compare|leases|deletion [flags]; -h tells the flags of each")
		os.Exit(2)
	}
	result, err := commands[os.Args[1]](context.Background(), os.Args[2:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "kubecheck:", err)
		os.Exit(1)
	}
	output := json.NewEncoder(os.Stdout)
	output.SetIndent("", "  ")
	_ = output.Encode(result)
}

func newFlags(command string) (*flag.FlagSet, *string) {
	flags := flag.NewFlagSet("kubecheck "+command, flag.ExitOnError)
	return flags, flags.String("store", "127.0.0.1:2379", "host:port of the store")
}

// connect makes a client with the settings of an API server.
func connect(address string, options ...grpc.DialOption) (*kubernetes.Client, error) {
	return kubernetes.New(clientv3.Config{
		Endpoints:            []string{"http://" + address},
		DialTimeout:          20 * time.Second,
		DialKeepAliveTime:    30 * time.Second,
		DialKeepAliveTimeout: 10 * time.Second,
		DialOptions:          options,
		Logger:               zap.NewNop(),
	})
}
