package certificate

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// Service makes passes until its context ends. Keeper is asked before each, so that it may follow a configuration that
// changes.
type Service struct {
	Keeper func() (*Keeper, error)
	Log    *slog.Logger
	// Tick is short, and each time the wall clock decides, so that a clock which is set, or a host which slept, changes
	// nothing.
	Tick time.Duration

	said string // the last error, so that the same is not told at every tick
}

// NewService returns the Service of a keeper.
func NewService(keeper func() (*Keeper, error), log *slog.Logger) *Service {
	return &Service{Keeper: keeper, Log: log, Tick: time.Minute}
}

// Run works until ctx ends.
func (s *Service) Run(ctx context.Context) {
	for {
		s.Step(ctx)
		select {
		case <-ctx.Done():
			return
		case <-time.After(s.Tick):
		}
	}
}

// Step makes one pass.
func (s *Service) Step(ctx context.Context) {
	k, err := s.Keeper()
	if err == nil {
		err = k.Pass(ctx, false)
	}
	if err == nil || errors.Is(err, ErrBusy) || ctx.Err() != nil {
		s.said = ""
		return
	}
	if s.said != err.Error() {
		s.said = err.Error()
		s.Log.Error("certificate: pass failed", "error", err)
	}
}
