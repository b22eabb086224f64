// Command grpcload drives one unary gRPC method in a closed loop and prints what it measured as JSON.
//
// The request is given as bytes, so that it needs no stubs of the service it drives:
//
//	grpcload -address 127.0.0.1:9090 -method /proto.DeCubeService/GetPod -request-hex 0a03776562 -seconds 5
package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// rawCodec passes messages through unparsed.
type rawCodec struct{}

func (rawCodec) Marshal(v any) ([]byte, error)      { return *v.(*[]byte), nil }
func (rawCodec) Unmarshal(data []byte, v any) error { *v.(*[]byte) = data; return nil }
func (rawCodec) Name() string                       { return "proto" }

// Result is the one line that is printed.
type Result struct {
	Requests  int64   `json:"requests"`
	Errors    int64   `json:"errors"`
	Error     string  `json:"error,omitempty"` // one of them
	Seconds   float64 `json:"seconds"`
	PerSecond float64 `json:"requests_per_second"`
}

func main() {
	address := flag.String("address", "127.0.0.1:9090", "host:port of the server")
	method := flag.String("method", "", "full method name, /package.Service/Method")
	requestHex := flag.String("request-hex", "", "the request message's bytes")
	connections := flag.Int("connections", 8, "connections")
	clients := flag.Int("clients", 32, "requests under way at once")
	seconds := flag.Float64("seconds", 5, "how long to run")
	flag.Parse()
	result, err := run(*address, *method, *requestHex, *connections, *clients, *seconds)
	if err != nil {
		fmt.Fprintln(os.Stderr, "grpcload:", err)
		os.Exit(1)
	}
	_ = json.NewEncoder(os.Stdout).Encode(result)
}

func run(address, method, requestHex string, connections, clients int, seconds float64) (Result, error) {
	request, err := hex.DecodeString(requestHex)
	if err != nil {
		return Result{}, fmt.Errorf("-request-hex: %w", err)
	}
	pool := make([]*grpc.ClientConn, connections)
	for i := range pool {
		pool[i], err = grpc.NewClient(address,
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.ForceCodec(rawCodec{})))
		if err != nil {
			return Result{}, err
		}
		defer pool[i].Close()
	}
	var done, failed atomic.Int64
	var said atomic.Value
	start := time.Now()
	// The calls carry no deadline: its last moments would be counted as failures.
	end := start.Add(time.Duration(seconds * float64(time.Second)))
	var group sync.WaitGroup
	for i := range clients {
		group.Go(func() {
			var answer []byte
			for time.Now().Before(end) {
				err := pool[i%connections].Invoke(context.Background(), method, &request, &answer)
				if err == nil {
					done.Add(1)
				} else {
					failed.Add(1)
					said.Store(err.Error())
				}
			}
		})
	}
	group.Wait()
	took := time.Since(start).Seconds()
	text, _ := said.Load().(string)
	return Result{done.Load(), failed.Load(), text, took, float64(done.Load()) / took}, nil
}
