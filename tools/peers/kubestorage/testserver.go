// Package testserver stands in for the package of that name in k8s.io/apiserver, which starts an
// etcd for each test: here each test gets a `decube up` of its own. The tests themselves are those
// that Kubernetes publishes, unchanged. See tests/conformance/kubernetes/test_storage_library.py.
package testserver

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest"
	storagetesting "k8s.io/apiserver/pkg/storage/testing"
)

// commandVariable names the program to start, as `decube`.
const commandVariable = "KUBESTORAGE_DECUBE"

const (
	readyWithin = 60 * time.Second
	endedWithin = 30 * time.Second
)

// NewTestConfig makes what a test may change before it starts its server.
func NewTestConfig(t testing.TB) *embed.Config {
	config := embed.NewConfig()
	config.Dir = t.TempDir()
	return config
}

// RunEtcd starts a node on an empty directory, ends it with the test, and returns a client of it.
func RunEtcd(t testing.TB, config *embed.Config) *kubernetes.Client {
	t.Helper()
	if config == nil {
		config = NewTestConfig(t)
	}
	address := start(t, config)
	client, err := kubernetes.New(clientv3.Config{
		Endpoints:   []string{"http://" + address},
		DialTimeout: 10 * time.Second,
		Logger:      zaptest.NewLogger(t, zaptest.Level(zapcore.ErrorLevel)),
	})
	if err != nil {
		t.Fatal(err)
	}
	awaitReady(t, client, address)
	recorder := storagetesting.NewKubernetesRecorder(client.Kubernetes)
	client.KV = storagetesting.NewKVRecorder(client.KV, recorder)
	client.Kubernetes = recorder
	return client
}

func start(t testing.TB, config *embed.Config) string {
	program := os.Getenv(commandVariable)
	if program == "" {
		t.Fatalf("%s does not name the program to test", commandVariable)
	}
	addresses := freeAddresses(t, 3)
	command := exec.Command(program, "up")
	command.Env = append(os.Environ(),
		"DECUBE_NODE_DATA_DIR="+filepath.Join(config.Dir, "data"),
		"DECUBE_NODE_LISTEN_ADDRESS="+addresses[0],
		"DECUBE_API_REST_ADDRESS="+addresses[1],
		"DECUBE_API_GRPC_ADDRESS="+addresses[2],
	)
	if interval := config.WatchProgressNotifyInterval; interval > 0 {
		command.Env = append(command.Env, fmt.Sprintf("DECUBE_ETCD_WATCH_PROGRESS_NOTIFY_INTERVAL=%s", interval))
	}
	log, err := os.Create(filepath.Join(config.Dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		select {
		case err = <-ended:
		case <-time.After(endedWithin):
			_ = command.Process.Kill()
			err = fmt.Errorf("it did not end within %s of SIGTERM", endedWithin)
		}
		if said, _ := os.ReadFile(log.Name()); err != nil || t.Failed() {
			t.Logf("the node ended with %v and had said: %s", err, said)
		}
	})
	return addresses[0]
}

func awaitReady(t testing.TB, client *kubernetes.Client, address string) {
	deadline := time.Now().Add(readyWithin)
	for {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		_, err := client.Status(ctx, address)
		cancel()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the node was not ready: %v", err)
		}
	}
}

func freeAddresses(t testing.TB, count int) []string {
	var addresses []string
	for range count {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		// Open until all are chosen, so that none is chosen twice.
		defer listener.Close()
		addresses = append(addresses, listener.Addr().String())
	}
	return addresses
}
