package main

import (
	"context"
	"time"

	"golang.org/x/sys/unix"
)

// now returns the time of the machine's monotonic clock, which all processes share and nobody sets.
func now() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic(err) // There is no Linux without it.
	}
	return time.Duration(t.Nano())
}

// pause waits, or returns early when ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
