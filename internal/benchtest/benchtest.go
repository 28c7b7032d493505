// Package benchtest compares two ways of doing the same thing within one benchmark run, on a machine that does other work, too.
package benchtest

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Compare runs both in turns, a slice of time each, for as many rounds as the benchmark asks for. It reports the median ratio of
// their rates, and the median rate of ours.
func Compare(b *testing.B, callers int, ours, theirs func() error) {
	b.Helper()
	rate(b, callers, ours)
	rate(b, callers, theirs)
	var ratios, rates []float64
	for b.Loop() {
		our := rate(b, callers, ours)
		their := rate(b, callers, theirs)
		rates, ratios = append(rates, our), append(ratios, our/their)
	}
	slices.Sort(ratios)
	slices.Sort(rates)
	b.ReportMetric(ratios[len(ratios)/2], "ratio")
	b.ReportMetric(rates[len(rates)/2], "ours/s")
	b.ReportMetric(0, "ns/op")
}

func rate(b *testing.B, callers int, call func() error) float64 {
	b.Helper()
	const slice = 150 * time.Millisecond
	ctx, cancel := context.WithTimeout(b.Context(), slice)
	defer cancel()
	var done atomic.Int64
	var group sync.WaitGroup
	start := time.Now()
	for range callers {
		group.Go(func() {
			for ctx.Err() == nil {
				if err := call(); err != nil {
					b.Error(err)
					return
				}
				done.Add(1)
			}
		})
	}
	group.Wait()
	return float64(done.Load()) / time.Since(start).Seconds()
}
