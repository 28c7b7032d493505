package main

import (
	"bytes"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

// peaceful returns a history with nothing wrong: three payments at one terminal, one after the other, of which the
// second was taken over from a node that died.
func peaceful() *History {
	const second = time.Second
	h := &History{Scenario: Scenario{Name: "peaceful", Store: "none", Lease: second}, Ended: 100 * second}
	for i := range 3 {
		id, at := "p"+strconv.Itoa(i+1), time.Duration(10*i+10)*second
		h.Submissions = append(h.Submissions, &Submission{
			ID: id, Terminal: "t", Amount: "5.00", Called: at, Returned: at + second, Seqs: []int64{int64(i + 1)}, Told: "approved",
		})
		h.Charges = append(h.Charges, Charge{
			ID: "c" + strconv.Itoa(i+1), Payment: id, Terminal: "t", Node: "n1", Fence: 1,
			Began: at + 2*second, Ends: at + 3*second, Outcome: tillroute.Approved, Amount: "5",
		})
		h.Rows = append(h.Rows, Row{
			ID: id, Terminal: "t", Seq: int64(i + 1), State: pairing.Done, Outcome: "approved", Amount: "5", Requested: "5",
		})
		h.Events = append(h.Events,
			Event{What: "claim", Node: "n1", Payment: id, Fence: 1, From: at + second, To: at + second, Fresh: true},
			Event{What: "send", Node: "n1", Payment: id, Fence: 1, From: at + 2*second, To: at + 2*second, Since: second / 10})
	}
	h.Faults = []Fault{
		{What: "up", Node: "n0", At: second},
		{What: "up", Node: "n1", At: 2 * second},
		{What: "down", Node: "n1", At: 23 * second},
	}
	h.Events = append(h.Events,
		Event{What: "claim", Node: "n0", Payment: "p2", Fence: 2, From: 24 * second, To: 24 * second},
		Event{What: "finish", Node: "n0", Payment: "p2", Fence: 2, From: 25 * second, To: 25 * second})
	return h
}

func TestPeacefulHistory(t *testing.T) {
	t.Parallel()
	v := judge(peaceful())
	assert.True(t, v.OK(), "%+v", v)
	var out bytes.Buffer
	v.print(&out)
	assert.Contains(t, out.String(), "1s of 2s (1 takeovers", "the recovery that was measured")
}

func TestJudge(t *testing.T) {
	t.Parallel()
	const second = time.Second
	for name, test := range map[string]struct {
		spoil func(*History)
		want  string
		// also are what else is found then.
		also []string
	}{
		"a second charge": {
			func(h *History) { h.Charges = append(h.Charges, h.Charges[1]) },
			chargedTwice, nil,
		},
		"handed to a terminal that was busy with it": {
			func(h *History) { h.Collisions = []Collision{{Payment: "p1", Other: "p1", Terminal: "t"}} },
			chargedTwice, nil,
		},
		"not in the store": {
			func(h *History) { h.Rows = h.Rows[1:] },
			lostPayments,
			[]string{untrue, toldOtherwise},
		},
		"another amount in the store": {
			func(h *History) { h.Rows[0].Requested = "6" },
			lostPayments, nil,
		},
		"at another terminal": {
			func(h *History) { h.Rows[0].Terminal = "u" },
			lostPayments, nil,
		},
		"denied and there": {
			func(h *History) { h.Submissions[0].Denied = true },
			denied, nil,
		},
		"a disk that never failed": {
			func(h *History) { h.Scenario.Name = "disk" },
			misadventures, nil,
		},
		"still open": {
			func(h *History) { h.Rows[2].State = pairing.Sent },
			unfinished, nil,
		},
		"unknown without a reason": {
			func(h *History) { h.Rows[2].State = pairing.Parked },
			unfinished, nil,
		},
		"approved and not charged": {
			func(h *History) { h.Charges = h.Charges[:2] },
			untrue, nil,
		},
		"approved and declined": {
			func(h *History) { h.Charges[0].Outcome = tillroute.Declined },
			untrue, nil,
		},
		"another amount charged": {
			func(h *History) { h.Charges[0].Amount = "5.01" },
			untrue, nil,
		},
		"declined and charged": {
			func(h *History) { h.Rows[0].Outcome, h.Submissions[0].Told = "declined", "" },
			untrue, nil,
		},
		"failed and declined at the terminal": {
			func(h *History) {
				h.Charges[0].Outcome, h.Rows[0].Outcome, h.Submissions[0].Told = tillroute.Declined, "failed", ""
			},
			untrue, nil,
		},
		"withdrawn and handed over": {
			func(h *History) { h.Submissions[0].Withdrawn = true },
			untrue, nil,
		},
		"told otherwise": {
			func(h *History) { h.Submissions[0].Told = "declined" },
			toldOtherwise, nil,
		},
		"acknowledged as two": {
			func(h *History) { h.Submissions[0].Seqs = []int64{1, 7} },
			unsteady, nil,
		},
		"acknowledged as another": {
			func(h *History) { h.Submissions[0].Seqs = []int64{7} },
			unsteady, nil,
		},
		"a duplicate refused": {
			func(h *History) { h.Submissions[0].Refused = []string{"no"} },
			unsteady, nil,
		},
		"the later one first": {
			func(h *History) { h.Charges[0].Began = 60 * second },
			outOfOrder,
			[]string{notLinear},
		},
		"together at a terminal": {
			func(h *History) { h.Collisions = []Collision{{Payment: "p2", Other: "p1", Terminal: "t"}} },
			overlapping, nil,
		},
		"a write with an old fence": {
			func(h *History) {
				h.Events = append(h.Events, Event{What: "renew", Node: "n1", Payment: "p2", Fence: 1, From: 26 * second, To: 27 * second})
			},
			staleWrites, nil,
		},
		"sent late": {
			func(h *History) { h.Events[1].Since = second/2 + between + 1 },
			lateSends, nil,
		},
		"sent late by a node that stood still before it had its claim": {
			func(h *History) {
				h.Events[1].Since = 3 * second / 2
				h.Stalls = []Stall{
					{Node: "n1", From: 9 * second, To: 11 * second},
					{Node: "n1", From: 23 * second / 2, To: 12 * second},
					{From: 9 * second, To: 13 * second},
				}
			},
			lateSends, nil,
		},
		"taken over late though the machine stood still before": {
			func(h *History) {
				h.Events[6].To = 26 * second
				h.Stalls = []Stall{
					{From: 20 * second, To: 23*second + 9*second/10},
					{From: 23 * second, To: 23*second + 9*second/10}, // its disk, too
					{Node: "n0", From: 23 * second, To: 26 * second},
				}
			},
			slowRecovery, nil,
		},
		"taken over late": {
			func(h *History) { h.Events[6].To = 26 * second },
			slowRecovery, nil,
		},
		"taken over later than the slack allows": {
			func(h *History) { h.Scenario.Slack, h.Events[6].To = second, 27*second },
			slowRecovery, nil,
		},
		"nothing written for long": {
			func(h *History) { h.Faults = append(h.Faults, Fault{What: "healed", At: 12 * second}) },
			slowResume, nil,
		},
		"a node that ended by itself": {
			func(h *History) { h.Problems = []string{"it ended"} },
			misadventures, nil,
		},
		"nothing done": {
			func(h *History) { *h = History{} },
			misadventures, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := peaceful()
			test.spoil(h)
			v := judge(h)
			var found []string
			for _, f := range v.Findings {
				if f.Bad > 0 {
					found = append(found, f.Name)
				}
			}
			assert.ElementsMatch(t, append(test.also, test.want), found)
			assert.False(t, v.OK())
		})
	}
}

// TestJudgeAllows has what looks bad and isn't.
func TestJudgeAllows(t *testing.T) {
	t.Parallel()
	const second = time.Second
	for name, change := range map[string]func(*History){
		"the later one first if they were submitted together": func(h *History) {
			h.Submissions[1].Called, h.Charges[1].Began, h.Charges[0].Began = 10*second, 12*second, 13*second
		},
		"an unknown one that came late": func(h *History) {
			h.Rows[0].State, h.Rows[0].Outcome, h.Rows[0].Reason = pairing.Parked, "unknown", "its node died"
			h.Charges[0].Began, h.Submissions[0].Told = 60*second, "unknown"
			h.Collisions = []Collision{{Payment: "p2", Other: "p1", Terminal: "t"}}
		},
		"a write with an old fence that was refused": func(h *History) {
			h.Events = append(h.Events, Event{What: "renew", Payment: "p2", Fence: 1, From: 26 * second, To: 27 * second, Error: "fenced"})
		},
		"a late takeover while no node ran": func(h *History) {
			h.Events[6].To = 90 * second
			h.Faults = append(h.Faults, Fault{What: "down", Node: "n0", At: 23 * second}, Fault{What: "up", Node: "n2", At: 89 * second})
		},
		"a store that went away again before anything was written": func(h *History) {
			h.Faults = append(h.Faults, Fault{What: "healed", At: 12 * second}, Fault{What: "postgres killed", At: 13 * second})
		},
		"slow in everything, within the slack": func(h *History) {
			h.Scenario.Slack = 10 * second
			h.Events[1].Since, h.Events[6].To = second/2+between+10*second, 30*second
			h.Faults = append(h.Faults, Fault{What: "healed", At: 12 * second})
		},
		"sent late by a node that stood still": func(h *History) {
			h.Events[1].Since = second
			h.Stalls = []Stall{{Node: "n1", From: 11*second + second/10, To: 12 * second}}
		},
		"a late takeover on a machine that stood still": func(h *History) {
			h.Events[6].To = 26 * second
			h.Stalls = []Stall{{From: 23 * second, To: 24 * second}, {From: 23*second + second/2, To: 24*second + second/2}}
		},
		"nothing written while the machine stood still": func(h *History) {
			h.Faults = append(h.Faults, Fault{What: "healed", At: 12 * second})
			h.Stalls = []Stall{{From: 13 * second, To: 23 * second}}
		},
		"never acknowledged, and not there": func(h *History) {
			h.Submissions = append(h.Submissions, &Submission{ID: "p9", Terminal: "t", Amount: "1", Called: second})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := peaceful()
			change(h)
			v := judge(h)
			assert.True(t, v.OK(), "%+v", v.Findings)
		})
	}
}

func TestHistoryIsKept(t *testing.T) {
	t.Parallel()
	h := peaceful()
	h.Charges = append(h.Charges, h.Charges[1])
	path, err := h.keep(t.TempDir())
	require.NoError(t, err)
	again, err := loadHistory(path)
	require.NoError(t, err)
	assert.Equal(t, judge(h), judge(again))
	assert.Equal(t, 1, judge(again).Bad(chargedTwice))
}
