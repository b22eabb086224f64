package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

const listedPrefix = "listed/"

// List is what `list` prints.
type List struct {
	Bytes   int     `json:"bytes"`
	Seconds float64 `json:"seconds"`
}

// listCommand writes objects unless it is told not to, and reads them all in one answer.
func listCommand(ctx context.Context, arguments []string) (any, error) {
	flags, store := newFlags("list")
	objects := flags.Int("objects", 2048, "objects to write before; 0 for none")
	valueBytes := flags.Int("value-bytes", 512<<10, "bytes of each")
	_ = flags.Parse(arguments)
	closeAll, pool, err := connect(*store, 1)
	if err != nil {
		return nil, err
	}
	defer closeAll()
	value := strings.Repeat("v", *valueBytes)
	for i := range *objects {
		if _, err := pool[0].Put(ctx, fmt.Sprintf("%s%06d", listedPrefix, i), value); err != nil {
			return nil, err
		}
	}
	if *objects > 0 {
		return List{Bytes: *objects * *valueBytes}, nil
	}
	request, err := proto.Marshal(&pb.RangeRequest{
		Key: []byte(listedPrefix), RangeEnd: []byte(clientv3.GetPrefixRangeEnd(listedPrefix)),
	})
	if err != nil {
		return nil, err
	}
	var answer []byte
	began := time.Now()
	err = pool[0].ActiveConnection().Invoke(ctx, "/etcdserverpb.KV/Range", &request, &answer,
		grpc.ForceCodec(rawCodec{}), grpc.MaxCallRecvMsgSize(2<<30-1))
	return List{len(answer), time.Since(began).Seconds()}, err
}

// rawCodec passes messages through unparsed.
type rawCodec struct{}

func (rawCodec) Marshal(v any) ([]byte, error)      { return *v.(*[]byte), nil }
func (rawCodec) Unmarshal(data []byte, v any) error { *v.(*[]byte) = data; return nil }
func (rawCodec) Name() string                       { return "proto" }

// metadataContext makes etcd's client open a stream of its own for this number.
func metadataContext(ctx context.Context, number int) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "stream", fmt.Sprint(number))
}
