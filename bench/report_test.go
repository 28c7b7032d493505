package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// ratios returns a comparison whose ratios of rates are these.
func ratios(figures ...float64) comparison {
	var c comparison
	for _, f := range figures {
		c.ours, c.theirs = append(c.ours, sample{Rate: f * 100, P50: 1 / f}), append(c.theirs, sample{Rate: 100, P50: 1})
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
		{perSecond(), row{comparison: ratios(1, 0.96, 0.9), goal: 0.95}, "reached: 0.960", true},
		{perSecond(), row{comparison: ratios(0.9, 0.76, 0.7), goal: 0.95, why: "of this"}, "**missed by 20.0 %**: 0.760; of this", false},
		{timeEach(), row{comparison: ratios(1), goal: 1.5}, "reached: 1.00", true},
		{timeEach(), row{comparison: ratios(0.5), goal: 1.6}, "**missed by 25.0 %**: 2.00", false},
		{middle(), row{comparison: ratios(1000), limit: 0.002}, "reached: 1.00 ms", true},
		{middle(), row{comparison: ratios(250), limit: 0.002}, "**missed by 100.0 %**: 4.00 ms", false},
		{middle(), row{comparison: ratios(1)}, "", true},
	} {
		got, reached := (&table{measure: c.measure}).verdict(c.row)
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

func TestGoalsComeFirst(t *testing.T) {
	a := &answer{title: "What?"}
	a.table(perSecond()).rows = []row{{what: "a call", ours: "ours", theirs: "the floor", comparison: ratios(0.9), goal: 0.95}}
	a.note("It is %d.", 1)
	var b strings.Builder
	r := report{machine: []fact{{"Go", "1"}}, questions: []*answer{a}}
	require.NoError(t, r.write(&b))
	require.Contains(t, b.String(), "| Go | 1 |\n\n## The goals\n")
	require.Contains(t, b.String(), "| What? | a call | the floor | a second ≥ 0.950 | **missed by 5.3 %**: 0.900 |\n")
	require.Contains(t, b.String(), "| a call | ours | the floor | 90.0/s | 100/s | **0.900** | 0.900–0.900 | 0.900–0.900 | 1 |\n\n- It is 1.\n")
	b.Reset()
	r.short = true
	require.NoError(t, r.write(&b))
	require.NotContains(t, b.String(), "goals")
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{"-only", "("}, {"more"}, {"-rounds", "-1"}, {"-unknown"}} {
		var b strings.Builder
		require.ErrorIs(t, run(t.Context(), args, &b), errUsage)
		require.NotEmpty(t, b.String())
	}
}

// TestShort runs what needs neither a database nor a compiler.
func TestShort(t *testing.T) {
	out := filepath.Join(t.TempDir(), "RESULTS.md")
	require.NoError(t, run(t.Context(), []string{"-short", "-only", "signing|decoding|requests", "-o", out}, t.Output()))
	text, err := os.ReadFile(out)
	require.NoError(t, err)
	for _, title := range []string{"What does a MAC cost?", "What does reading a payload cost?", "What does a call cost?", "the figures mean nothing"} {
		require.Contains(t, string(text), title)
	}
	require.NotContains(t, string(text), "NaN")
}
