package main

import (
	"context"
	"errors"
	"syscall"
	"time"
)

// restarts ends PostgreSQL as pg_ctl stop -m immediate does, while payments run, and starts it again.
func restarts(ctx context.Context, r *run) error {
	if r.postgres == nil {
		return errors.New("this needs PostgreSQL: -store postgres")
	}
	for done := 0; done < r.Count && ctx.Err() == nil; done++ {
		pause(ctx, 300*time.Millisecond+time.Duration(r.random.Int64N(int64(2*r.Lease))))
		r.recorder.fault("postgres killed", "", "")
		if err := r.postgres.Stop(syscall.SIGQUIT); err != nil {
			return err
		}
		pause(ctx, time.Duration(r.random.Int64N(int64(r.Lease))))
		if err := r.postgres.Start(); err != nil { //nolint:contextcheck // it has a time of its own.
			return err
		}
		r.recorder.fault("healed", "", "")
	}
	return ctx.Err()
}
