package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// ratios returns a comparison whose ratios of rates are these.
func ratios(figures ...float64) comparison {
	var c comparison
	for _, f := range figures {
		c.Ours, c.Theirs = append(c.Ours, sample{Rate: f * 100, P50: 1 / f}), append(c.Theirs, sample{Rate: 100, P50: 1})
	}
	return c
}

func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		measure measure
		row     row
		want    string
		reached bool
	}{
		{perSecond(), row{Comparison: ratios(1, 0.96, 0.9), Goal: 0.95}, "reached: 0.960", true},
		{perSecond(), row{Comparison: ratios(0.9, 0.76, 0.7), Goal: 0.95, Why: "of this"}, "**missed by 20.0 %**: 0.760; of this", false},
		{timeEach(), row{Comparison: ratios(1), Goal: 1.5}, "reached: 1.00", true},
		{timeEach(), row{Comparison: ratios(0.5), Goal: 1.6}, "**missed by 25.0 %**: 2.00", false},
		{middle(), row{Comparison: ratios(1000), Limit: 0.002}, "reached: 1.00 ms", true},
		{middle(), row{Comparison: ratios(250), Limit: 0.002}, "**missed by 100.0 %**: 4.00 ms", false},
		{middle(), row{Comparison: ratios(1)}, "", true},
	} {
		got, reached := (&table{Measure: c.measure}).verdict(c.row)
		assert.Equal(t, c.want, got)
		assert.Equal(t, c.reached, reached, c.want)
	}
}

func TestFigures(t *testing.T) {
	for want, got := range map[string]string{
		"1 230 000": significant(1_234_499),
		"12 300":    significant(12_345),
		"1230":      significant(1234),
		"123":       significant(123.4),
		"1.23":      significant(1.2345),
		"0.0123":    significant(0.012345),
		"0":         significant(0),
		"1.50 ms":   showTime(0.0015),
		"2.00 s":    showTime(2),
		"712 ns":    showTime(712e-9),
		"–":         showCount(-1),
		"4190":      showCount(4190),
		"1.5 MB":    showBytes(1_500_000),
		"12.5 %":    percent(0.125),
	} {
		assert.Equal(t, want, got)
	}
}

// answered returns an answer with one row.
func answered(name string, ratio float64) *answer {
	a := &answer{
		Name: name, Title: "What of " + name + "?", Text: "It is measured.", Began: time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC), Took: time.Minute,
		Commit: "1234567", LoadBefore: "0.10", LoadAfter: "1.20", Machine: []fact{{"Go", "1"}, {"kernel", "6"}},
	}
	a.table(perSecond()).Rows = []row{{What: "a call", Ours: "ours", Theirs: "the floor", Comparison: ratios(ratio), Goal: 0.95}}
	return a
}

func written(t *testing.T, r *report, names ...string) string {
	t.Helper()
	var b strings.Builder
	require.NoError(t, r.write(&b, names))
	return b.String()
}

func TestGoalsComeFirst(t *testing.T) {
	a := answered("calls", 0.9)
	a.note("It is %d.", 1)
	r := &report{Answers: []*answer{a}}
	got := written(t, r, "calls")
	require.Contains(t, got, "| Go | 1 |\n| kernel | 6 |\n\n## The goals\n")
	require.Contains(t, got, "| What of calls? | a call | ours | the floor | a second ≥ 0.950 | **missed by 5.3 %**: 0.900 |\n")
	require.Contains(t, got, "| a call | ours | the floor | 90.0/s | 100/s | **0.900** | 0.900–0.900 | 0.900–0.900 | 1 |\n\n- It is 1.\n")
	require.Contains(t, got, "Measured 2026-11-21 09:00:00 UTC, of 1234567, in 1m0s; load before 0.10, and after 1.20.\n")
	require.NotContains(t, got, "Not all")
	a.Short = true
	got = written(t, r, "calls")
	require.NotContains(t, got, "goals")
	require.Contains(t, got, "the figures mean nothing")
}

func TestWhatIsMissingIsSaid(t *testing.T) {
	broken := answered("b", 1)
	broken.Broken = "interrupted"
	r := &report{Answers: []*answer{answered("d", 1), broken}}
	got := written(t, r, "a", "b", "c", "d")
	require.Contains(t, got, "**Not all is here**: a was not measured; b was broken off (interrupted); c was not measured. `go run . -only a,b,c` measures it")
	require.Less(t, strings.Index(got, "What of b?"), strings.Index(got, "What of d?"), "the order is that of the questions")
	require.Contains(t, written(t, &report{}, "a"), "a was not measured")
}

func TestAnEarlierRunOnAnotherMachineSaysSo(t *testing.T) {
	later := answered("b", 1)
	later.Began = later.Began.Add(time.Hour)
	later.Machine = []fact{{"Go", "2"}, {"kernel", "6"}}
	earlier := answered("a", 1)
	earlier.Machine = append(earlier.Machine, fact{"PostgreSQL", "15"})
	got := written(t, &report{Answers: []*answer{earlier, later}}, "a", "b")
	require.Contains(t, got, "| PostgreSQL | 15 |\n", "which the later one didn't need")
	require.Contains(t, got, "| Go | 2 |\n")
	require.Contains(t, got, "load before 0.10, and after 1.20. Not as above, Go was 1.\n")
	require.Equal(t, 1, strings.Count(got, "Not as above"))
}

func TestReasonsAreAdded(t *testing.T) {
	r := row{What: "a call", Ours: "ours", Theirs: "the floor"}
	r.because("of %s", "this")
	r.because("and that")
	require.Equal(t, "of this; and that", r.Why)
	rows := &table{Rows: []row{{What: "a call", Ours: "ours", Theirs: "another"}, r}}
	require.Same(t, &rows.Rows[1], rows.find("a call", "ours", "the floor"))
	require.Nil(t, rows.find("a call", "ours", "nobody"))
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{"-only", "nothing"}, {"-only", "queue,"}, {"more"}, {"-rounds", "-1"}, {"-unknown"}, {"-o", "results.json"}} {
		var b strings.Builder
		require.ErrorIs(t, run(t.Context(), args, &b), errUsage)
		require.NotEmpty(t, b.String())
	}
	chosen, err := choose("growth, queue")
	require.NoError(t, err)
	require.Equal(t, []string{"queue", "growth"}, names(chosen))
}

// TestTheWholeFits adds up what the questions say of themselves.
func TestTheWholeFits(t *testing.T) {
	all := time.Duration(0)
	for _, q := range questions() {
		assert.Positive(t, q.takes, q.name)
		assert.NotEmpty(t, q.plan, q.name)
		all += q.takes
	}
	require.LessOrEqual(t, all, 55*time.Minute)
}

// TestShort runs what needs neither a database nor a compiler.
func TestShort(t *testing.T) {
	out := filepath.Join(t.TempDir(), "RESULTS.md")
	for _, only := range []string{"signing,decoding", "requests"} {
		require.NoError(t, run(t.Context(), []string{"-short", "-only", only, "-o", out}, t.Output()))
	}
	text, err := os.ReadFile(out)
	require.NoError(t, err)
	for _, title := range []string{"What does a MAC cost?", "What does reading a payload cost?", "What does a call cost?", "the figures mean nothing"} {
		require.Contains(t, string(text), title, "what was not asked again is kept")
	}
	require.NotContains(t, string(text), "NaN")
	require.Contains(t, string(text), "lookup was not measured")
}
