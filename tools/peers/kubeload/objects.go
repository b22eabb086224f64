package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
	"go.uber.org/zap"
)

const (
	prefix     = "/registry/pods/"
	keyBytes   = 70
	valueBytes = 512
	dialTime   = 20 * time.Second
	// Answers of a list of everything are longer than the client's own bound.
	answerBytesMax = 1 << 31
)

// objectKey tells the key of an object. Like a pod's it has a namespace, of which there are 1,000.
func objectKey(n int) string {
	head := fmt.Sprintf("%snamespace-%03d/pod-", prefix, n%1000)
	return fmt.Sprintf("%s%0*d", head, keyBytes-len(head), n)
}

// values hands out values that differ and do not compress, without making each.
type values []byte

func newValues() values {
	bytes := make(values, 1<<20)
	source := rand.NewChaCha8([32]byte{})
	_, _ = source.Read(bytes)
	return bytes
}

func (v values) value(n int) []byte {
	begin := n * 61 % (len(v) - valueBytes)
	return v[begin : begin+valueBytes]
}

// connect opens that many connections and waits until each has carried a call.
func connect(endpoint string, connections int) ([]*kubernetes.Client, error) {
	clients := make([]*kubernetes.Client, connections)
	for n := range clients {
		client, err := kubernetes.New(clientv3.Config{
			Endpoints: []string{endpoint}, DialTimeout: dialTime, MaxCallRecvMsgSize: answerBytesMax,
			Logger: zap.NewNop(),
		})
		if err != nil {
			return nil, err
		}
		if _, err := client.Get(context.Background(), "ready", kubernetes.GetOptions{}); err != nil {
			return nil, err
		}
		clients[n] = client
	}
	return clients, nil
}

func closeAll(clients []*kubernetes.Client) {
	for _, client := range clients {
		_ = client.Close()
	}
}
