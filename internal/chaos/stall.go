package main

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Stall is a time in which a machine, or one node, did nothing, which proves nothing of what it should have done.
type Stall struct {
	// Node is who stood still. Empty is the machine, or its disk.
	Node     string
	From, To time.Duration
}

const (
	// beat is how often it is seen whether the machine goes on, and flush how often its disk.
	beat  = 10 * time.Millisecond
	flush = 100 * time.Millisecond
	// calm is how late that may be.
	calm = 50 * time.Millisecond
)

// pulse does something each time and tells when that took too long, or came too late.
func pulse(ctx context.Context, each time.Duration, do func(), stall func(from, to time.Duration)) {
	for last := now(); ctx.Err() == nil; {
		pause(ctx, each)
		do()
		at := now()
		if at-last > each+calm {
			stall(last, at)
		}
		last = at
	}
}

// watch keeps an eye on the machine until stop is called.
func (r *run) watch(ctx context.Context) (stop func(), err error) {
	f, err := os.Create(filepath.Join(r.dir, "pulse"))
	if err != nil {
		return nil, err
	}
	stall := func(from, to time.Duration) {
		r.recorder.with(func(h *History) { h.Stalls = append(h.Stalls, Stall{From: from, To: to}) })
	}
	write := func() {
		if _, err := f.WriteAt([]byte{0}, 0); errors.Join(err, f.Sync()) != nil {
			r.recorder.problem("the disk takes nothing")
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	var eyes sync.WaitGroup
	eyes.Go(func() { pulse(ctx, beat, func() {}, stall) })
	eyes.Go(func() { pulse(ctx, flush, write, stall) })
	return func() {
		cancel()
		eyes.Wait()
		_ = f.Close()
	}, nil
}

// stalls returns when a node stood still, or the machine if it has no name.
func (c *collated) stalls(node string) (all spans) {
	for _, s := range c.h.Stalls {
		if s.Node == node {
			all = append(all, [2]time.Duration{s.From, s.To})
		}
	}
	return all
}

// and returns what is in s, in t, or in both.
func (s spans) and(t spans) (all spans) {
	sorted := slices.Concat(s, t)
	slices.SortFunc(sorted, func(a, b [2]time.Duration) int { return cmp.Compare(a[0], b[0]) })
	for _, span := range sorted {
		if n := len(all); n > 0 && span[0] <= all[n-1][1] {
			all[n-1][1] = max(all[n-1][1], span[1])
		} else {
			all = append(all, span)
		}
	}
	return all
}
