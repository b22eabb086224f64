package main

import (
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
	Persisted     int    `json:"persisted_requests"`
}

func validateReport(
	log *zap.Logger, directory string, persisted []model.EtcdRequest, timeout time.Duration,
) error {
	reports, err := report.LoadClientReports(directory)
	if err != nil {
		return err
	}
	detail, err := report.LoadTrafficDetail(directory)
	if err != nil {
		return err
	}
	if len(persisted) == 0 {
		// The validators would leave out what needs it, and say nothing.
		return fmt.Errorf("the log of the store is empty")
	}
	config := validate.Config{ExpectRevisionUnique: detail.ExpectUniqueRevision}
	result := validate.ValidateAndReturnVisualize(log, config, reports, persisted, timeout)
	err = printLine(verdict{
		Assumptions:   result.Assumptions.String(),
		Linearization: result.Linearization.String(),
		Watch:         result.Watch.String(),
		Serializable:  result.Serializable.String(),
		Persisted:     len(persisted),
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
	if violation := result.Error(); violation != nil {
		fmt.Fprintln(os.Stderr, "robustness:", violation)
		return errViolation
	}
	return nil
}

// draw leaves a picture of a history that is not linearizable beside it.
func draw(directory string, result validate.LinearizationResult) {
	path := filepath.Join(directory, "history.html")
	if err := porcupine.VisualizePath(result.Model, result.Info, path); err != nil {
		fmt.Fprintln(os.Stderr, "robustness: no picture:", err)
	}
}
