package main

import (
	"cmp"
	"math"
	"slices"

	"github.com/anishathalye/porcupine"

	"go.etcd.io/etcd/tests/v3/robustness/model"
	"go.etcd.io/etcd/tests/v3/robustness/report"
)

// settled says of writes without an answer what the store's log tells of them: that they did nothing
// (they are left out), or at which revision they were done. Etcd's validators find that out for
// writes with values of their own alone. A store that refuses for a while, or takes long to come
// back, would leave so many others that nobody could try all their orders.
//
// It takes no fault away. What did nothing may be left out of any history; and what was done at a
// revision was done, in every history that is linearizable, before anybody was told of it.
func settled(reports []report.ClientReport, requests []model.EtcdRequest) []report.ClientReport {
	s := newSettlement(reports, requests)
	kept := make([]report.ClientReport, 0, len(reports))
	for _, r := range reports {
		operations := make([]porcupine.Operation, 0, len(r.KeyValue))
		for _, operation := range r.KeyValue {
			if !isUnanswered(operation) {
				operations = append(operations, operation)
			} else if revision, done := s.revisionOf(operation); done {
				operations = append(operations, s.placed(operation, revision))
			}
		}
		r.KeyValue = operations
		kept = append(kept, r)
	}
	return kept
}

// settlement is what is known of the revisions of a history.
type settlement struct {
	// changes of the revisions that transactions made and no answer told of.
	changes map[int64][]model.PersistedEvent
	// claims are the unanswered transactions that may have made such a revision.
	claims map[int64]int
	// revoked are the leases that no answered request ended, with the revision if that made one.
	revoked map[int64]int64
	// revokers are the earliest calls of unanswered requests to end a lease.
	revokers  map[int64]int64
	compacted map[int64]bool
	// told are the revisions of all answers, and the earliest moment at which one at least as high
	// was told.
	told []moment
}

type moment struct{ revision, time int64 }

func newSettlement(reports []report.ClientReport, requests []model.EtcdRequest) *settlement {
	s := &settlement{
		changes:   map[int64][]model.PersistedEvent{},
		claims:    map[int64]int{},
		revoked:   map[int64]int64{},
		revokers:  map[int64]int64{},
		compacted: map[int64]bool{},
	}
	s.readLog(requests)
	each(reports, s.readAnswer)
	each(reports, s.readUnanswered)
	slices.SortFunc(s.told, func(a, b moment) int { return cmp.Compare(a.revision, b.revision) })
	for i := len(s.told) - 2; i >= 0; i-- {
		s.told[i].time = min(s.told[i].time, s.told[i+1].time)
	}
	return s
}

func (s *settlement) readLog(requests []model.EtcdRequest) {
	for _, event := range model.NewReplay(requests).Events {
		s.changes[event.Revision] = append(s.changes[event.Revision], event)
	}
	operations := make([]porcupine.Operation, 0, len(requests))
	for _, request := range requests {
		operations = append(operations, porcupine.Operation{Input: request})
	}
	store := model.DeterministicModel(model.ModelKeys(operations))
	state := store.Init()
	for _, request := range requests {
		before := state.(model.EtcdState).Revision
		_, state = store.Step(state, request, model.EtcdResponse{})
		revision := state.(model.EtcdState).Revision
		switch request.Type {
		case model.LeaseRevoke:
			s.revoked[request.LeaseRevoke.LeaseID] = 0
			if revision > before {
				s.revoked[request.LeaseRevoke.LeaseID] = revision
				delete(s.changes, revision)
			}
		case model.Compact:
			s.compacted[request.Compact.Revision] = true
		}
	}
}

func (s *settlement) readAnswer(operation porcupine.Operation) {
	output := operation.Output.(model.MaybeEtcdResponse)
	if output.Error != "" || output.Revision <= 0 {
		return
	}
	s.told = append(s.told, moment{output.Revision, operation.Return})
	switch request := operation.Input.(model.EtcdRequest); request.Type {
	case model.LeaseRevoke:
		delete(s.revoked, request.LeaseRevoke.LeaseID)
	case model.Txn:
		branch := request.Txn.OperationsOnSuccess
		if output.Txn.Failure {
			branch = request.Txn.OperationsOnFailure
		}
		// A transaction that found nothing to do is answered with another's revision.
		if changed(branch, output.Txn.Results) && makes(branch, s.changes[output.Revision]) {
			delete(s.changes, output.Revision)
		}
	}
}

func (s *settlement) readUnanswered(operation porcupine.Operation) {
	if !isUnanswered(operation) {
		return
	}
	switch request := operation.Input.(model.EtcdRequest); request.Type {
	case model.LeaseRevoke:
		lease := request.LeaseRevoke.LeaseID
		if earliest, known := s.revokers[lease]; !known || operation.Call < earliest {
			s.revokers[lease] = operation.Call
		}
	case model.Txn:
		for _, revision := range s.candidates(request.Txn) {
			s.claims[revision]++
		}
	}
}

// candidates are the revisions that a transaction without an answer may have made.
func (s *settlement) candidates(txn *model.TxnRequest) (found []int64) {
	for revision, changes := range s.changes {
		if makes(txn.OperationsOnSuccess, changes) || makes(txn.OperationsOnFailure, changes) {
			found = append(found, revision)
		}
	}
	return found
}

// revisionOf tells whether an unanswered write may have done anything, and its revision; 0 if that
// is not known.
func (s *settlement) revisionOf(operation porcupine.Operation) (revision int64, done bool) {
	switch request := operation.Input.(model.EtcdRequest); request.Type {
	case model.Txn:
		found := s.candidates(request.Txn)
		if len(found) == 1 && s.claims[found[0]] == 1 {
			return found[0], true
		}
		return 0, len(found) > 0
	case model.LeaseRevoke:
		// Of several the first stands for the one that was done.
		lease := request.LeaseRevoke.LeaseID
		revision, done = s.revoked[lease]
		return revision, done && operation.Call == s.revokers[lease]
	case model.Compact:
		return 0, s.compacted[request.Compact.Revision]
	case model.LeaseGrant:
		return 0, false // nobody was told its id, so nobody uses it
	default:
		return 0, true
	}
}

// placed is a write that was done at this revision: before anybody was told of it.
func (s *settlement) placed(operation porcupine.Operation, revision int64) porcupine.Operation {
	if revision == 0 {
		return operation
	}
	operation.Output = model.MaybeEtcdResponse{Persisted: true, PersistedRevision: revision}
	operation.Return = math.MaxInt64
	at, _ := slices.BinarySearchFunc(s.told, revision, func(m moment, revision int64) int {
		return cmp.Compare(m.revision, revision)
	})
	if at < len(s.told) {
		operation.Return = max(s.told[at].time, operation.Call+1)
	}
	return operation
}

// makes tells whether these operations, run, can have made exactly these changes: all their puts are
// among them, and whatever else there is they delete.
func makes(operations []model.EtcdOperation, changes []model.PersistedEvent) bool {
	puts, deletes := map[string]model.ValueOrHash{}, map[string]bool{}
	for _, operation := range operations {
		switch operation.Type {
		case model.PutOperation:
			puts[operation.Put.Key] = operation.Put.Value
		case model.DeleteOperation:
			deletes[operation.Delete.Key] = true
		}
	}
	for _, change := range changes {
		if change.Type == model.DeleteOperation {
			if !deletes[change.Key] {
				return false
			}
			continue
		}
		if value, put := puts[change.Key]; !put || value != change.Value {
			return false
		}
		delete(puts, change.Key)
	}
	return len(changes) > 0 && len(puts) == 0
}

// changed tells whether operations that were answered have written anything.
func changed(operations []model.EtcdOperation, results []model.EtcdOperationResult) bool {
	return slices.ContainsFunc(operations, func(operation model.EtcdOperation) bool {
		return operation.Type == model.PutOperation
	}) || slices.ContainsFunc(results, func(result model.EtcdOperationResult) bool {
		return result.Deleted > 0
	})
}

// isUnanswered tells of a write whose outcome its client does not know.
func isUnanswered(operation porcupine.Operation) bool {
	request := operation.Input.(model.EtcdRequest)
	return operation.Output.(model.MaybeEtcdResponse).Error != "" && !request.IsRead()
}

func each(reports []report.ClientReport, do func(porcupine.Operation)) {
	for _, r := range reports {
		for _, operation := range r.KeyValue {
			do(operation)
		}
	}
}
