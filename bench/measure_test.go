package main

import (
	"context"
	"errors"
	"math"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestMain is also the program's children: a test that runs the whole starts them.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "-child" {
		main()
		return
	}
	os.Exit(m.Run())
}

// counted is a side that says what it was told to, slice by slice.
func counted(name string, calls *[]string, rates ...float64) side {
	next := 0
	return side{name, func(context.Context, time.Duration) (sample, error) {
		*calls = append(*calls, name)
		s := sample{Rate: rates[next%len(rates)]}
		next++
		return s, nil
	}}
}

func TestSidesTakeTurns(t *testing.T) {
	var order []string
	c, err := compare(t.Context(), 3, 0, counted("a", &order, 1000, 2, 4, 6), counted("b", &order, 1, 1, 2, 1))
	require.NoError(t, err)
	// The first round is for warming up, and who begins changes.
	require.Equal(t, "ba ab ba ab", pairs(order))
	require.Len(t, c.Ours, 3)
	got := c.ratio(rate)
	require.InDelta(t, 2, got.median, 1e-9)
	require.InDelta(t, 2, got.least, 1e-9)
	require.InDelta(t, 6, got.most, 1e-9)
	require.InDelta(t, 0.5, c.ratio(took).median, 1e-9)
}

func pairs(order []string) string {
	var b strings.Builder
	for i, name := range order {
		if i > 0 && i%2 == 0 {
			b.WriteByte(' ')
		}
		b.WriteString(name)
	}
	return b.String()
}

func TestASideThatFailsEndsTheComparison(t *testing.T) {
	var order []string
	broken := errors.New("broken")
	_, err := compare(t.Context(), 1, 0, counted("a", &order, 1), side{"b", func(context.Context, time.Duration) (sample, error) { return sample{}, broken }})
	require.ErrorIs(t, err, broken)
	_, err = compare(t.Context(), 1, 0, counted("a", &order, 1), counted("b", &order, 0))
	require.EqualError(t, err, "b: nothing was done within 0s")
	failed, ok := errors.AsType[*failure](err)
	require.True(t, ok && failed.theirs)
	_, err = compare(t.Context(), 1, 0, counted("a", &order, 0), counted("b", &order, 1))
	failed, ok = errors.AsType[*failure](err)
	require.True(t, ok && !failed.theirs)
}

func TestComparingEndsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var order []string
	_, err := compare(ctx, 1, 0, counted("a", &order, 1), counted("b", &order, 1))
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, order)
}

func TestASlowRowHasFewerRounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := side{"slow", func(context.Context, time.Duration) (sample, error) {
			time.Sleep(longestRow / 4)
			return sample{Rate: 1}, nil
		}}
		c, err := compare(t.Context(), 25, 0, slow, slow)
		require.NoError(t, err)
		require.Len(t, c.Ours, fewest)
		c, err = compare(t.Context(), 3, 0, slow, slow)
		require.NoError(t, err)
		require.Len(t, c.Ours, 3)
	})
}

func TestSamplesAreRounded(t *testing.T) {
	s := sample{Rate: 1234567.8, Allocs: -1, P50: 0.001234567, Wrong: 7}
	s.round()
	require.Equal(t, sample{Rate: 1234570, Allocs: -1, P50: 0.00123457, Wrong: 7}, s)
}

func TestCallsStopAtTheFirstError(t *testing.T) {
	broken := errors.New("broken")
	_, err := calls("a", 4, func(_ context.Context, caller int) error {
		if caller == 2 {
			return broken
		}
		return nil
	}).slice(t.Context(), time.Minute)
	require.ErrorIs(t, err, broken)
}

func TestQuantiles(t *testing.T) {
	s := spreadOf([]float64{5, 1, 4, 2, 3})
	require.Equal(t, spread{median: 3, low: 2, high: 4, least: 1, most: 5}, s)
	require.InDelta(t, 2.5, spreadOf([]float64{1, 2, 3, 4}).median, 1e-9)
	require.InDelta(t, 7, spreadOf([]float64{7}).high, 1e-9)
	require.True(t, math.IsNaN(spreadOf(nil).median))
	var late sample
	late.percentiles([]time.Duration{3 * time.Second, time.Second, 2 * time.Second})
	require.InDelta(t, 2, late.P50, 1e-9)
	require.InDelta(t, 2.98, late.P99, 1e-9)
}

func TestOutOfOrder(t *testing.T) {
	// Payments 0 and 64 are of one terminal, and 1 is of another.
	for _, c := range []struct {
		what string
		paid map[int]*payment
		want int
	}{
		{"in order", map[int]*payment{0: {called: 1, accepted: 2, started: 5, ended: 6}, 64: {called: 3, accepted: 4, started: 7, ended: 8}}, 0},
		{"the later one first", map[int]*payment{0: {called: 1, accepted: 2, started: 7, ended: 8}, 64: {called: 3, accepted: 4, started: 5, ended: 6}}, 1},
		{"submitted at once", map[int]*payment{0: {called: 1, accepted: 4, started: 7, ended: 8}, 64: {called: 3, accepted: 5, started: 5, ended: 6}}, 0},
		{"other terminals", map[int]*payment{0: {called: 1, accepted: 2, started: 7, ended: 8}, 1: {called: 3, accepted: 4, started: 5, ended: 6}}, 0},
	} {
		assert.Equal(t, c.want, (&ledger{terminals: terminals, paid: c.paid}).wrong(), c.what)
	}
}

func TestALedgerKnowsWhenAllIsDone(t *testing.T) {
	l := &ledger{terminals: terminals}
	first := l.begin(2)
	l.finished(first, 1, 2)
	l.finished(first, 1, 2) // twice
	l.finished(first+2, 1, 2)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorContains(t, l.wait(ctx), "1 of 2 payments are still open")
	l.finished(first+1, 1, 2)
	require.NoError(t, l.wait(t.Context()))
	require.Equal(t, first+2, l.begin(1), "numbers are never used again")
}
