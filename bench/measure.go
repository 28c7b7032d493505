package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// sample is what one side did in one slice of time.
type sample struct {
	// Rate is how many calls it made in a second.
	Rate float64 `json:"rate,omitempty"`
	// Allocs and Bytes are what each call allocated. Negative means that nobody counted.
	Allocs float64 `json:"allocs,omitempty"`
	Bytes  float64 `json:"bytes,omitempty"`
	// P50 and P99 are how long calls took, in seconds. 0 means that nobody looked.
	P50 float64 `json:"p50,omitempty"`
	P99 float64 `json:"p99,omitempty"`
	// Wrong counts what was done in the wrong order.
	Wrong int `json:"wrong,omitempty"`
}

// round leaves out the digits that mean nothing, so that what is kept of a sample is short.
func (s *sample) round() {
	for _, f := range []*float64{&s.Rate, &s.Allocs, &s.Bytes, &s.P50, &s.P99} {
		const digits = 6
		*f, _ = strconv.ParseFloat(strconv.FormatFloat(*f, 'g', digits, 64), 64) // what was formatted can be read
	}
}

// side is one of two that are compared.
type side struct {
	name string
	// slice works for about that long, and says how far it came.
	slice func(ctx context.Context, d time.Duration) (sample, error)
}

// comparison is what came of measuring two sides in turns.
type comparison struct {
	Ours   []sample `json:"ours"`
	Theirs []sample `json:"theirs"`
}

const (
	// fewest is how many rounds show a spread, and longestRow how long a row may take once it has those: on a busy machine, or with a
	// side that is slow, there are fewer rounds.
	fewest     = 5
	longestRow = 75 * time.Second
)

// compare measures both sides in turns, one slice each, in as many rounds. Who begins changes with each round, so that what else the
// machine does hits both. The first slice of each is thrown away.
func compare(ctx context.Context, rounds int, d time.Duration, ours, theirs side) (comparison, error) {
	var c comparison
	began := time.Now()
	for round := -1; round < rounds; round++ {
		if err := ctx.Err(); err != nil {
			return c, context.Cause(ctx)
		}
		if round >= fewest && time.Since(began) > longestRow {
			break
		}
		got := [2]sample{}
		for turn := range 2 {
			which := (turn + round&1) % 2
			s := [2]side{ours, theirs}[which]
			runtime.GC()
			var err error
			if got[which], err = s.slice(ctx, d); err == nil && got[which].Rate <= 0 {
				err = fmt.Errorf("nothing was done within %s", d)
			}
			if err != nil {
				return c, &failure{s.name, which == 1, err}
			}
		}
		if round >= 0 {
			got[0].round()
			got[1].round()
			c.Ours, c.Theirs = append(c.Ours, got[0]), append(c.Theirs, got[1])
		}
	}
	return c, nil
}

// failure is a side that could not do what it was to do.
type failure struct {
	side string
	// theirs says that it was not ours.
	theirs bool
	err    error
}

func (f *failure) Error() string { return f.side + ": " + f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// spread is the middle of some figures, and how far they lie apart.
type spread struct{ median, low, high, least, most float64 }

func spreadOf(figures []float64) spread {
	if len(figures) == 0 {
		return spread{math.NaN(), math.NaN(), math.NaN(), math.NaN(), math.NaN()}
	}
	sorted := slices.Sorted(slices.Values(figures))
	return spread{
		median: quantile(sorted, 0.5), low: quantile(sorted, 0.25), high: quantile(sorted, 0.75), //nolint:mnd // quartiles.
		least: sorted[0], most: sorted[len(sorted)-1],
	}
}

// quantile reads sorted figures, and between two of them.
func quantile[T float64 | time.Duration](sorted []T, q float64) T {
	at := q * float64(len(sorted)-1)
	below := int(at)
	if below+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[below] + T((at-float64(below))*float64(sorted[below+1]-sorted[below]))
}

// ratio returns figure of ours over that of theirs, round by round.
func (c comparison) ratio(figure func(sample) float64) spread {
	ratios := make([]float64, len(c.Ours))
	for i := range c.Ours {
		ratios[i] = figure(c.Ours[i]) / figure(c.Theirs[i])
	}
	return spreadOf(ratios)
}

func rate(s sample) float64   { return s.Rate }
func took(s sample) float64   { return 1 / s.Rate }
func p50(s sample) float64    { return s.P50 }
func p99(s sample) float64    { return s.P99 }
func allocs(s sample) float64 { return s.Allocs }
func size(s sample) float64   { return s.Bytes }

// median returns the middle of a figure.
func median(samples []sample, figure func(sample) float64) float64 {
	figures := make([]float64, len(samples))
	for i, s := range samples {
		figures[i] = figure(s)
	}
	return spreadOf(figures).median
}

// calls returns a side that calls do again and again, from so many callers at once. do gets the caller's number.
func calls(name string, callers int, do func(ctx context.Context, caller int) error) side {
	return side{name, func(ctx context.Context, d time.Duration) (sample, error) {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		var done atomic.Int64
		var over atomic.Bool
		var group sync.WaitGroup
		before := memory()
		began := time.Now()
		stop := time.AfterFunc(d, func() { over.Store(true) })
		defer stop.Stop()
		for caller := range callers {
			group.Go(func() {
				n := int64(0)
				// On a busy machine the time may be over before the first call.
				for (n == 0 || !over.Load()) && ctx.Err() == nil {
					if err := do(ctx, caller); err != nil {
						cancel(err)
						return
					}
					n++
				}
				done.Add(n)
			})
		}
		group.Wait()
		elapsed, after := time.Since(began), memory()
		if err := context.Cause(ctx); err != nil {
			return sample{}, err
		}
		n := float64(done.Load())
		return sample{
			Rate:   n / elapsed.Seconds(),
			Allocs: float64(after.Mallocs-before.Mallocs) / n,
			Bytes:  float64(after.TotalAlloc-before.TotalAlloc) / n,
		}, nil
	}}
}

func memory() runtime.MemStats {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m
}

// inBatches returns a side that calls do, from one caller, in batches so large that looking at the clock costs nothing.
func inBatches(name string, do func() error) side {
	batch := 0
	return side{name, func(_ context.Context, d time.Duration) (sample, error) {
		if batch == 0 {
			const worthwhile = 200 * time.Microsecond
			for n := 1; ; n *= 2 {
				began := time.Now()
				for range n {
					if err := do(); err != nil {
						return sample{}, err
					}
				}
				if time.Since(began) > worthwhile {
					batch = n
					break
				}
			}
		}
		before, began, n := memory(), time.Now(), 0
		for time.Since(began) < d {
			for range batch {
				if err := do(); err != nil {
					return sample{}, err
				}
			}
			n += batch
		}
		elapsed, after := time.Since(began), memory()
		return sample{
			Rate:   float64(n) / elapsed.Seconds(),
			Allocs: float64(after.Mallocs-before.Mallocs) / float64(n),
			Bytes:  float64(after.TotalAlloc-before.TotalAlloc) / float64(n),
		}, nil
	}}
}

// percentiles fills in how long calls took.
func (s *sample) percentiles(took []time.Duration) {
	slices.SortFunc(took, cmp.Compare[time.Duration])
	if len(took) > 0 {
		s.P50, s.P99 = quantile(took, 0.5).Seconds(), quantile(took, 0.99).Seconds() //nolint:mnd // the median, and all but one of a hundred.
	}
}
