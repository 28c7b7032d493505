package main

import (
	"fmt"
	"slices"
	"time"
)

// spare is how much longer than a lease a recovery may take.
const spare = time.Second

// recovery measures how long a payment that was under way on a node that died or was frozen waited for another one.
// Time in which no node ran at all, or the machine stood still, doesn't count.
//
// A fence that is missing is a claim of a node that took over and died before it could say so. When it did nobody
// knows: such takeovers are counted and not measured.
func (c *collated) recovery() Finding {
	f := Finding{Name: slowRecovery}
	ends := map[string][]time.Duration{} // when a node was down or frozen, in order
	for _, fault := range c.h.Faults {
		if fault.What == "down" || fault.What == "freeze" {
			ends[fault.Node] = append(ends[fault.Node], fault.At)
		}
	}
	idle := c.idle().and(c.stalls(""))
	var took []time.Duration
	missing := 0
	for _, claims := range c.claims {
		for i, next := range claims[1:] {
			from := next.To
			for _, end := range slices.Backward(ends[claims[i].Node]) {
				if end > claims[i].To {
					from = end
				}
			}
			if from >= next.To || claims[i].Node == next.Node || next.Fresh {
				continue
			}
			if next.Fence != claims[i].Fence+1 {
				missing++
				continue
			}
			took = append(took, next.To-from-idle.within(from, next.To))
		}
	}
	if len(took) == 0 {
		f.Text = "nothing had to be taken over"
		return f
	}
	p99, most := percentile(took, 99), c.h.Scenario.Lease+spare+c.h.Scenario.Slack
	f.Text = fmt.Sprintf("%s of %s (%d takeovers, p50 %s, max %s; %d more by a node that died before it told)", short(p99),
		most, len(took), short(percentile(took, 50)), short(percentile(took, 100)), missing)
	if c.h.Scenario.Name == "disk" {
		f.Text = "not judged: nobody can take over what can't be written down; " + f.Text
		return f
	}
	if p99 > most {
		f.Bad = 1
	}
	return f
}

func short(d time.Duration) string { return d.Round(time.Millisecond).String() }

// percentile returns the value that p percent are not above.
func percentile(values []time.Duration, p int) time.Duration {
	slices.Sort(values)
	return values[max((len(values)*p+99)/100-1, 0)]
}

// spans are stretches of time, in order.
type spans [][2]time.Duration

// idle returns the times at which no node ran.
func (c *collated) idle() spans {
	running := map[string]bool{}
	var idle spans
	since := time.Duration(0)
	for _, fault := range c.h.Faults {
		before := len(running)
		switch fault.What {
		case "up", "thaw":
			running[fault.Node] = true
		case "down", "freeze":
			delete(running, fault.Node)
		}
		switch {
		case before == 0 && len(running) > 0:
			idle = append(idle, [2]time.Duration{since, fault.At})
		case before > 0 && len(running) == 0:
			since = fault.At
		}
	}
	return idle
}

// within returns how much of the spans lies between from and to.
func (s spans) within(from, to time.Duration) (sum time.Duration) {
	for _, span := range s {
		if a, b := max(from, span[0]), min(to, span[1]); a < b {
			sum += b - a
		}
	}
	return sum
}

// backTime is how long it may take until something is written again once a store is back.
const backTime = 5 * time.Second

// resume measures how long it took until something was written after the store, or the way to it, was back. The
// damage "healed" says when that was, and for which node; none means that it was for all. If it was gone again before
// anything was written, there is nothing to measure. Time in which the machine stood still doesn't count.
func (c *collated) resume() Finding {
	f := Finding{Name: slowResume}
	still := c.stalls("").and(nil)
	var took []time.Duration
	again := 0
	for i, fault := range c.h.Faults {
		if fault.What != "healed" {
			continue
		}
		first := time.Duration(-1)
		for _, e := range c.h.Events {
			if e.What != "send" && e.Error == "" && e.From >= fault.At && (fault.Node == "" || fault.Node == e.Node) &&
				(first < 0 || e.To < first) {
				first = e.To
			}
		}
		switch next, ok := c.hitAgain(i); {
		case ok && (first < 0 || next < first):
			again++
		case first >= 0:
			took = append(took, first-fault.At-still.within(fault.At, first))
		}
	}
	if len(took) == 0 {
		f.Text = "it was never away"
		return f
	}
	p99, most := percentile(took, 99), backTime+c.h.Scenario.Slack
	f.Text = fmt.Sprintf("%s of %s (%d times, p50 %s, max %s; %d times it went away again before)", short(p99), most, len(took),
		short(percentile(took, 50)), short(percentile(took, 100)), again)
	if p99 > most {
		f.Bad = 1
	}
	return f
}

// hitAgain returns when what the fault of that number healed was next damaged.
func (c *collated) hitAgain(healed int) (time.Duration, bool) {
	node := c.h.Faults[healed].Node
	for _, next := range c.h.Faults[healed+1:] {
		if next.Node == node && next.What != "healed" {
			return next.At, true
		}
	}
	return 0, false
}
