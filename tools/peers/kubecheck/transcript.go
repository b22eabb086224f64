package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Fields that two stores with the same history may tell differently.
var ownToEachStore = map[protoreflect.Name]bool{
	"cluster_id": true, "member_id": true, "raft_term": true, "leader": true, "raftTerm": true,
	"raftIndex": true, "raftAppliedIndex": true, "dbSize": true, "dbSizeInUse": true, "dbSizeQuota": true,
	// An etcd tells it some seconds after its first start.
	"storageVersion": true,
}

// Fields that hold the identity of a lease, which the store chose.
var leaseIdentities = map[protoreflect.Name]bool{"ID": true, "lease": true}

// An entry is one thing that was asked of a store, and what came of it.
type entry struct {
	Scenario string `json:"scenario"`
	Asked    string `json:"asked"`
	Answered string `json:"answered"`
}

// A transcript is what one store was asked, in order, and what it answered: both as they were on
// the wire, but for what is each store's own.
type transcript struct {
	mutex    sync.Mutex
	scenario string
	entries  []entry
	methods  map[string]int
	leases   map[int64]int64
}

func newTranscript() *transcript {
	return &transcript{methods: map[string]int{}, leases: map[int64]int64{}}
}

func (t *transcript) begin(scenario string) { t.scenario = scenario }

func (t *transcript) add(asked, answered string) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.entries = append(t.entries, entry{t.scenario, asked, answered})
}

func (t *transcript) count(method string) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.methods[method]++
}

// dialOptions let the transcript see every call of a client.
func (t *transcript) dialOptions() []grpc.DialOption {
	unary := func(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn,
		invoke grpc.UnaryInvoker, options ...grpc.CallOption,
	) error {
		t.count(method)
		asked := method + " " + t.text(request.(proto.Message))
		err := invoke(ctx, method, request, reply, conn, options...)
		if err != nil {
			t.add(asked, failure(err))
		} else {
			t.add(asked, t.text(reply.(proto.Message)))
		}
		return err
	}
	stream := func(ctx context.Context, description *grpc.StreamDesc, conn *grpc.ClientConn, method string,
		open grpc.Streamer, options ...grpc.CallOption,
	) (grpc.ClientStream, error) {
		t.count(method)
		return open(ctx, description, conn, method, options...)
	}
	return []grpc.DialOption{grpc.WithChainUnaryInterceptor(unary), grpc.WithChainStreamInterceptor(stream)}
}

func failure(err error) string {
	if known := (rpctypes.EtcdError{}); errors.As(err, &known) {
		return fmt.Sprintf("%s: %s", known.Code(), known.Error())
	}
	told := status.Convert(err)
	return fmt.Sprintf("%s: %s", told.Code(), told.Message())
}

// text writes a message without what is each store's own.
func (t *transcript) text(message proto.Message) string {
	message = proto.Clone(message)
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.normalise(message.ProtoReflect())
	return prototext.MarshalOptions{}.Format(message)
}

func (t *transcript) normalise(message protoreflect.Message) {
	message.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case ownToEachStore[field.Name()]:
			message.Clear(field)
		case leaseIdentities[field.Name()] && field.Kind() == protoreflect.Int64Kind:
			message.Set(field, protoreflect.ValueOfInt64(t.leaseNumber(value.Int())))
		case field.Kind() != protoreflect.MessageKind || field.IsMap():
		case field.IsList():
			for i := range value.List().Len() {
				t.normalise(value.List().Get(i).Message())
			}
		default:
			t.normalise(value.Message())
		}
		return true
	})
}

// leaseNumber tells which lease it was in the order in which they were first seen. Small numbers
// were chosen by the script.
func (t *transcript) leaseNumber(id int64) int64 {
	const chosenByScript = 1000
	if id < chosenByScript {
		return id
	}
	if t.leases[id] == 0 {
		t.leases[id] = chosenByScript + int64(len(t.leases))
	}
	return t.leases[id]
}
