package main

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// small is a run of a few seconds.
func small(name string, n int) Scenario {
	return Scenario{Name: name, Store: "sqlite", Count: n, Nodes: 1, Registers: 24, Terminals: 6, Lease: 500 * time.Millisecond, Seed: 1}
}

// TestBreaks breaks the nodes in the ways that matter, and sees the judge notice.
func TestBreaks(t *testing.T) {
	for name, want := range map[string][]string{
		breakBlind:   {chargedTwice},
		breakGuard:   {lateSends},
		breakOrder:   {outOfOrder, lostPayments},
		breakOverlap: {overlapping, untrue},
		breakForget:  {notOnce, bothLetIn},
	} {
		t.Run(name, func(t *testing.T) {
			s := small("kill", 8)
			if name == breakGuard { // A kill would take its old claims along.
				s = small("quiet", 3)
			}
			if name == breakForget {
				s = small("deliveries", 2000)
			}
			s.Break = name
			var h *History
			var missed []string
			for range 3 { // On a machine that stands still too little may happen.
				var err error
				h, err = play(t.Context(), s, t.Output())
				require.NoError(t, err)
				v := judge(h)
				missed = slices.DeleteFunc(slices.Clone(want), func(finding string) bool { return v.Bad(finding) > 0 })
				if len(missed) == 0 {
					break
				}
				s.Seed++
			}
			assert.Empty(t, missed, "this was not noticed")
			var out bytes.Buffer
			require.ErrorIs(t, report(h, &out, t.TempDir()), errBad)
			assert.Contains(t, out.String(), "-replay", "how to judge it again")
		})
	}
}

// TestWhole plays what a laptop can: nothing is found.
func TestWhole(t *testing.T) {
	freeze := small("freeze", 2)
	freeze.Nodes = 2
	for _, s := range []Scenario{small("kill", 6), freeze, small("replies", 100), small("deliveries", 5000)} {
		t.Run(s.Name, func(t *testing.T) {
			h, err := play(t.Context(), s, t.Output())
			require.NoError(t, err)
			require.NoError(t, report(h, t.Output(), ""))
		})
	}
}
