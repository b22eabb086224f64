package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"go.uber.org/zap"

	"go.etcd.io/etcd/tests/v3/robustness/model"
	"go.etcd.io/etcd/tests/v3/robustness/report"
)

// persisted is what the store's own log says was done, in order, as etcd's validators want it.
type persisted struct {
	requests []model.EtcdRequest
	// flaw is what is wrong with the log's own numbers.
	flaw error
}

func readPersisted(log *zap.Logger, operations, etcdData string) (*persisted, error) {
	if (operations == "") == (etcdData == "") {
		return nil, errors.New("give one of -operations and -etcd-data")
	}
	if etcdData != "" {
		requests, err := report.PersistedRequests(log, []string{etcdData})
		return &persisted{requests: requests}, err
	}
	file, err := os.Open(operations)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readOperations(file)
}

// entry is a line of `decube store dump-log -o json`: the effects of one command.
type entry struct {
	Sequence uint64   `json:"sequence"`
	Revision int64    `json:"revision"`
	Kind     string   `json:"kind"`
	Changes  []change `json:"changes"`
	Lease    string   `json:"lease"`
	Compact  int64    `json:"compact_revision"`
}

// change is one record of a write.
type change struct {
	Type  string `json:"type"`
	Key   string `json:"key"`
	Value string `json:"value"`
	Lease string `json:"lease"`
}

func readOperations(from io.Reader) (*persisted, error) {
	read := &persisted{}
	decoder := json.NewDecoder(bufio.NewReader(from))
	for last := (entry{Revision: 1}); ; {
		var e entry
		if err := decoder.Decode(&e); errors.Is(err, io.EOF) {
			return read, nil
		} else if err != nil {
			return nil, fmt.Errorf("behind entry %d: %w", last.Sequence, err)
		}
		if read.flaw == nil {
			read.flaw = e.check(last)
		}
		request, err := e.request()
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", e.Sequence, err)
		}
		if request != nil {
			read.requests = append(read.requests, *request)
		}
		last = e
	}
}

// check holds the log itself to its numbers: it is whole from its first entry on, and its revisions
// neither repeat nor leave gaps.
func (e *entry) check(last entry) error {
	if e.Sequence != last.Sequence+1 {
		return fmt.Errorf("entry %d follows entry %d: it is not whole", e.Sequence, last.Sequence)
	}
	next := last.Revision + 1
	switch {
	case e.Kind == "write" && e.Revision == next:
	case e.Kind == "lease_end" && e.Revision == next:
	case e.Kind != "write" && e.Revision == last.Revision:
	default:
		return fmt.Errorf(
			"entry %d, a %s, has revision %d after %d", e.Sequence, e.Kind, e.Revision, last.Revision,
		)
	}
	return nil
}

// request returns the request with these effects; none for what the model does not know.
func (e *entry) request() (*model.EtcdRequest, error) {
	lease, err := leaseID(e.Lease)
	if err != nil {
		return nil, err
	}
	switch e.Kind {
	case "write":
		operations, err := operationsOf(e.Changes)
		txn := &model.TxnRequest{OperationsOnSuccess: operations}
		return &model.EtcdRequest{Type: model.Txn, Txn: txn}, err
	case "lease_grant":
		return &model.EtcdRequest{
			Type: model.LeaseGrant, LeaseGrant: &model.LeaseGrantRequest{LeaseID: lease},
		}, nil
	case "lease_end":
		return &model.EtcdRequest{
			Type: model.LeaseRevoke, LeaseRevoke: &model.LeaseRevokeRequest{LeaseID: lease},
		}, nil
	case "compact":
		return &model.EtcdRequest{
			Type: model.Compact, Compact: &model.CompactRequest{Revision: e.Compact},
		}, nil
	case "lease_keep_alive", "alarm":
		return nil, nil
	default:
		return nil, fmt.Errorf("unknown kind %q", e.Kind)
	}
}

func operationsOf(changes []change) ([]model.EtcdOperation, error) {
	operations := make([]model.EtcdOperation, 0, len(changes))
	for _, c := range changes {
		lease, err := leaseID(c.Lease)
		if err != nil {
			return nil, err
		}
		operation := model.EtcdOperation{Type: model.DeleteOperation, Delete: model.DeleteOptions{Key: c.Key}}
		if c.Type == "put" {
			put := model.PutOptions{Key: c.Key, Value: model.ToValueOrHash(c.Value), LeaseID: lease}
			operation = model.EtcdOperation{Type: model.PutOperation, Put: put}
		}
		operations = append(operations, operation)
	}
	return operations, nil
}

// leaseID reads what the dump shows; nothing is no lease.
func leaseID(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	id, err := strconv.ParseUint(text, 16, 64)
	return int64(id), err
}
