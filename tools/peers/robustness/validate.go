package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/anishathalye/porcupine"
	"go.uber.org/zap"

	"go.etcd.io/etcd/tests/v3/robustness/model"
	"go.etcd.io/etcd/tests/v3/robustness/report"
	"go.etcd.io/etcd/tests/v3/robustness/validate"
)

// verdict is the one line that a validation prints: of each check what its validator says.
type verdict struct {
	Assumptions   string `json:"assumptions"`
	Linearization string `json:"linearization"`
	Watch         string `json:"watch"`
	Serializable  string `json:"serializable"`
	Log           string `json:"log"`
	Persisted     int    `json:"persisted_requests"`
}

func validateReport(
	log *zap.Logger, directory string, persisted *persisted, timeout time.Duration,
) error {
	reports, err := report.LoadClientReports(directory)
	if err != nil {
		return err
	}
	detail, err := report.LoadTrafficDetail(directory)
	if err != nil {
		return err
	}
	if len(persisted.requests) == 0 {
		// The validators would leave out what needs it, and say nothing.
		return errors.New("the log of the store is empty")
	}
	config := validate.Config{ExpectRevisionUnique: detail.ExpectUniqueRevision}
	ofLog := validate.ResultFromError(persisted.flaw)
	reports = settled(reports, persisted.requests)
	result := judge(log, config, reports, persisted.requests, timeout)
	err = printLine(verdict{
		Assumptions:   result.Assumptions.String(),
		Linearization: result.Linearization.String(),
		Watch:         result.Watch.String(),
		Serializable:  result.Serializable.String(),
		Log:           ofLog.String(),
		Persisted:     len(persisted.requests),
	})
	if err != nil {
		return err
	}
	switch result.Linearization.Status {
	case validate.Timeout, validate.DeadlineExceeded:
		return fmt.Errorf("nobody knows whether it is linearizable: not decided within %v", timeout)
	case validate.Failure:
		draw(directory, result.Linearization)
	}
	if violation := errors.Join(result.Error(), ofLog.Error()); violation != nil {
		fmt.Fprintln(os.Stderr, "robustness:", violation)
		return errViolation
	}
	return nil
}

// judge runs etcd's validators. They panic at what they do not expect of any store, such as an event
// of a revision that the log does not have.
func judge(
	log *zap.Logger,
	config validate.Config,
	reports []report.ClientReport,
	requests []model.EtcdRequest,
	timeout time.Duration,
) (result validate.RobustnessResult) {
	defer func() {
		if unexpected := recover(); unexpected != nil {
			result.Watch = validate.ResultFromError(fmt.Errorf("a validator gave up: %v", unexpected))
		}
	}()
	return validate.ValidateAndReturnVisualize(log, config, reports, requests, timeout)
}

// draw leaves a picture of a history that is not linearizable beside it.
func draw(directory string, result validate.LinearizationResult) {
	path := filepath.Join(directory, "history.html")
	if err := porcupine.VisualizePath(result.Model, result.Info, path); err != nil {
		fmt.Fprintln(os.Stderr, "robustness: no picture:", err)
	}
}
