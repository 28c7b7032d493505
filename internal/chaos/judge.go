package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"
	"github.com/tillroute/tillroute/pairing"
)

// Verdict is what the judge found.
type Verdict struct {
	// Counts say what there was, in the order in which they are printed.
	Counts []string
	// Findings are what was judged.
	Findings []Finding
}

// Finding is one thing that is judged.
type Finding struct {
	Name string
	// Bad is how many there were, which should have been none.
	Bad int
	// Text is what was found in place of a number.
	Text string
	// Examples are a few of them.
	Examples []string
}

// OK reports whether all is well.
func (v Verdict) OK() bool {
	return !slices.ContainsFunc(v.Findings, func(f Finding) bool { return f.Bad > 0 })
}

// Bad returns how many bad things of that name there were.
func (v Verdict) Bad(name string) int {
	for _, f := range v.Findings {
		if f.Name == name {
			return f.Bad
		}
	}
	return 0
}

func (v Verdict) print(w io.Writer) {
	for _, c := range v.Counts {
		_, _ = fmt.Fprintln(w, "  "+c)
	}
	for _, f := range v.Findings {
		verdict := "ok"
		if f.Bad > 0 {
			verdict = "BAD"
		}
		text := f.Text
		if text == "" {
			text = fmt.Sprint(f.Bad)
		}
		_, _ = fmt.Fprintf(w, "  %-3s  %-42s %s\n", verdict, f.Name, text)
		for _, e := range f.Examples {
			_, _ = fmt.Fprintln(w, "         "+e)
		}
	}
}

// The names of what is judged.
const (
	chargedTwice  = "charged twice"
	lostPayments  = "accepted and lost"
	denied        = "denied and accepted all the same"
	unfinished    = "without a final state or a named Unknown"
	untrue        = "recorded otherwise than charged"
	toldOtherwise = "told otherwise than recorded"
	unsteady      = "acknowledged twice differently, or refused"
	outOfOrder    = "order violations, directly"
	notLinear     = "order violations, by porcupine"
	overlapping   = "overlapping at a terminal"
	staleWrites   = "stale writes after a lost lease"
	lateSends     = "sent past half of the lease"
	slowRecovery  = "recovery, p99"
	slowResume    = "first write after the store came back, p99"
	misadventures = "the run itself"
)

const maxExamples = 5

func (f *Finding) add(format string, args ...any) {
	f.Bad++
	if len(f.Examples) < maxExamples {
		f.Examples = append(f.Examples, fmt.Sprintf(format, args...))
	}
}

// judge judges a history.
func judge(h *History) Verdict {
	if len(h.Findings) > 0 {
		return Verdict{Counts: h.Notes, Findings: h.Findings}
	}
	c := collate(h)
	v := Verdict{Counts: c.counts()}
	for _, check := range []func() Finding{
		c.chargedTwice, c.lost, c.denied, c.unfinished, c.untrue, c.told, c.unsteady, c.order, c.linear, c.overlapping, c.stale, c.late,
		c.recovery, c.resume, c.misadventures,
	} {
		v.Findings = append(v.Findings, check())
	}
	return v
}

// collated is a history by payment.
type collated struct {
	h       *History
	rows    map[string]Row
	charges map[string][]Charge
	claims  map[string][]Event
}

func collate(h *History) *collated {
	c := &collated{h: h, rows: map[string]Row{}, charges: map[string][]Charge{}, claims: map[string][]Event{}}
	for _, r := range h.Rows {
		c.rows[r.ID] = r
	}
	for _, charge := range h.Charges {
		c.charges[charge.Payment] = append(c.charges[charge.Payment], charge)
	}
	for _, e := range h.Events {
		if e.What == "claim" {
			c.claims[e.Payment] = append(c.claims[e.Payment], e)
		}
	}
	for _, list := range c.claims {
		slices.SortFunc(list, func(a, b Event) int { return cmp.Compare(a.Fence, b.Fence) })
	}
	return c
}

func (c *collated) counts() []string {
	outcomes, faults, reasons, failures := map[string]int{}, map[string]int{}, map[string]int{}, map[string]int{}
	chargedUnknown, acknowledged := 0, 0
	for _, s := range c.h.Submissions {
		if s.Returned > 0 {
			acknowledged++
		}
	}
	for _, r := range c.h.Rows {
		outcomes[string(r.State)+"/"+r.Outcome]++
		if r.State != pairing.Parked {
			continue
		}
		reasons[genericReason(r.Reason)]++
		if len(c.charges[r.ID]) > 0 {
			chargedUnknown++
		}
	}
	for _, e := range c.h.Events {
		if e.Error != "" {
			failures[e.What+" "+genericError(e.Error)]++
		}
	}
	kills := 0
	for _, f := range c.h.Faults {
		switch f.What {
		case "up", "thaw":
		case "down":
			kills++
			faults["killed "+f.Point]++
		default:
			faults[strings.TrimSpace(f.What+" "+f.Point)]++
		}
	}
	s := c.h.Scenario
	return []string{
		fmt.Sprintf("%s on %s: %d nodes, %d registers, %d terminals, lease %s, seed %d, %.0f s of damage",
			s.Name, s.Store, s.Nodes, s.Registers, s.Terminals, s.Lease, s.Seed, (c.h.Ended - c.h.Began).Seconds()),
		fmt.Sprintf("payments: %d acknowledged, %d stored: %s; %d charges", acknowledged, len(c.h.Rows), tally(outcomes), len(c.h.Charges)),
		fmt.Sprintf("unknown: %s; %d of them were charged", tally(reasons), chargedUnknown),
		fmt.Sprintf("damage: %d processes ended; %s", kills, tally(faults)),
		"writes that failed: " + tally(failures),
	}
}

// genericReason leaves out what is different for each payment.
func genericReason(reason string) string {
	reason, _, _ = strings.Cut(reason, ";")
	return strings.Trim(strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, reason), " ")
}

// genericError leaves out what the causes of an error say.
func genericError(text string) string {
	parts := strings.Split(strings.TrimPrefix(text, "pairing: "), ": ")
	if len(parts) > 2 {
		parts = parts[:2]
	}
	return strings.Join(parts, ": ")
}

func tally(counts map[string]int) string {
	if len(counts) == 0 {
		return "none"
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, counts[name]))
	}
	return strings.Join(parts, ", ")
}

func (c *collated) chargedTwice() Finding {
	f := Finding{Name: chargedTwice}
	for id, charges := range c.charges {
		if len(charges) > 1 {
			f.add("%s: %s by %s fence %d, and %s by %s fence %d", id,
				charges[0].ID, charges[0].Node, charges[0].Fence, charges[1].ID, charges[1].Node, charges[1].Fence)
		}
	}
	for _, o := range c.h.Collisions {
		if o.Payment == o.Other {
			f.add("%s was handed to %s again by %s, which was busy with it", o.Payment, o.Terminal, o.Node)
		}
	}
	return f
}

func (c *collated) lost() Finding {
	f := Finding{Name: lostPayments}
	for _, s := range c.h.Submissions {
		row, stored := c.rows[s.ID]
		switch {
		case s.Returned > 0 && !stored:
			f.add("%s was acknowledged and is not in the store", s.ID)
		case stored && (row.Terminal != s.Terminal || !sameAmount(row.Requested, s.Amount)):
			f.add("%s was asked of %s at %s, and is in the store with %s at %s", s.ID, s.Amount, s.Terminal, row.Requested, row.Terminal)
		}
	}
	return f
}

// denied looks for payments of which a node said that they certainly were not accepted.
func (c *collated) denied() Finding {
	f := Finding{Name: denied}
	all := 0
	for _, s := range c.h.Submissions {
		if !s.Denied {
			continue
		}
		all++
		if _, stored := c.rows[s.ID]; stored {
			f.add("%s was denied and is in the store", s.ID)
		}
	}
	f.Text = fmt.Sprintf("%d of %d", f.Bad, all)
	return f
}

func (c *collated) unfinished() Finding {
	f := Finding{Name: unfinished}
	for _, r := range c.h.Rows {
		switch {
		case r.State.Open():
			f.add("%s is still %s", r.ID, r.State)
		case r.State == pairing.Parked && r.Reason == "":
			f.add("%s is unknown, and nobody says why", r.ID)
		}
	}
	return f
}

// untrue compares the store with the park. Of what is unknown it says nothing.
func (c *collated) untrue() Finding {
	f := Finding{Name: untrue}
	for _, r := range c.h.Rows {
		if r.State != pairing.Done {
			continue
		}
		charges := c.charges[r.ID]
		switch {
		case r.Outcome == "approved" && (len(charges) == 0 || charges[0].Outcome.String() != "approved"):
			f.add("%s is approved, and wasn't charged", r.ID)
		case r.Outcome == "approved" && !sameAmount(r.Amount, charges[0].Amount):
			f.add("%s is approved with %s, and %s was charged", r.ID, r.Amount, charges[0].Amount)
		case r.Outcome != "approved" && slices.ContainsFunc(charges, func(c Charge) bool { return c.Outcome.String() == "approved" }):
			f.add("%s is %s, and was charged", r.ID, r.Outcome)
		case r.Outcome == "failed" && len(charges) > 0:
			f.add("%s has failed, and was handed to the terminal", r.ID)
		}
	}
	for _, s := range c.h.Submissions {
		if s.Withdrawn && len(c.charges[s.ID]) > 0 {
			f.add("%s was withdrawn, and handed to the terminal", s.ID)
		}
	}
	for id := range c.charges {
		if _, ok := c.rows[id]; !ok {
			f.add("%s was handed to a terminal and is not in the store", id)
		}
	}
	return f
}

func sameAmount(a, b string) bool {
	x, errX := decimal.NewFromString(a)
	y, errY := decimal.NewFromString(b)
	return errX == nil && errY == nil && x.Equal(y)
}

func (c *collated) told() Finding {
	f := Finding{Name: toldOtherwise}
	for _, s := range c.h.Submissions {
		if row := c.rows[s.ID]; s.Told != "" && s.Told != row.Outcome {
			f.add("%s: its register was told %s, and the store has %s", s.ID, s.Told, row.Outcome)
		}
	}
	return f
}

func (c *collated) unsteady() Finding {
	f := Finding{Name: unsteady}
	for _, s := range c.h.Submissions {
		seqs := slices.Compact(slices.Sorted(slices.Values(s.Seqs)))
		switch row, ok := c.rows[s.ID]; {
		case len(seqs) > 1 || len(seqs) == 1 && ok && seqs[0] != row.Seq:
			f.add("%s was acknowledged as %v, and is %d", s.ID, seqs, row.Seq)
		case len(s.Refused) > 0:
			f.add("%s was refused: %s", s.ID, s.Refused[0])
		}
	}
	return f
}

// served is a payment that a terminal took, in the order of its queue.
type served struct {
	id                     string
	called, returned, took time.Duration
}

// queues returns what each terminal took, in that order. What is unknown is not in it: it gave its place up.
func (c *collated) queues() map[string][]served {
	queues := map[string][]served{}
	for _, s := range c.h.Submissions {
		charges := c.charges[s.ID]
		if len(charges) == 0 || c.rows[s.ID].State != pairing.Done || s.Called == 0 {
			continue
		}
		one := served{id: s.ID, called: s.Called, returned: s.Returned, took: charges[0].Began}
		if one.returned == 0 || one.returned > one.took {
			one.returned = one.took // It was accepted by then.
		}
		queues[s.Terminal] = append(queues[s.Terminal], one)
	}
	for _, q := range queues {
		slices.SortFunc(q, func(a, b served) int { return cmp.Compare(a.took, b.took) })
	}
	return queues
}

// order looks for payments of which one was accepted before the other was submitted, and the other came first.
func (c *collated) order() Finding {
	f := Finding{Name: outOfOrder}
	for _, terminal := range slices.Sorted(maps.Keys(c.queues())) {
		var latest served
		for _, one := range c.queues()[terminal] {
			if one.returned < latest.called {
				f.add("%s at %s was accepted %s before %s was submitted, which came first",
					one.id, terminal, latest.called-one.returned, latest.id)
			}
			if one.called > latest.called {
				latest = one
			}
		}
	}
	return f
}

// overlapping looks for payments that came to a terminal that was at work on another. That is to be expected if the
// other one is unknown, or the one that came: then one of them was nobody's any more.
func (c *collated) overlapping() Finding {
	f := Finding{Name: overlapping}
	for _, o := range c.h.Collisions {
		if c.rows[o.Payment].State == pairing.Parked || c.rows[o.Other].State == pairing.Parked || o.Payment == o.Other {
			continue
		}
		f.add("%s came to %s while %s was charged", o.Payment, o.Terminal, o.Other)
	}
	return f
}

// stale looks for writes that succeeded though a later claim of the same payment had been given before they began.
func (c *collated) stale() Finding {
	f := Finding{Name: staleWrites}
	for _, e := range c.h.Events {
		if e.What == "claim" || e.What == "send" || e.Error != "" {
			continue
		}
		for _, claim := range c.claims[e.Payment] {
			if claim.Fence > e.Fence && claim.To < e.From {
				f.add("%s: %s of %s with fence %d after %s had fence %d", e.Payment, e.What, e.Node, e.Fence, claim.Node, claim.Fence)
				break
			}
		}
	}
	return f
}

// between is how long a busy machine may hold a node up between its look at the clock and its send.
const between = 100 * time.Millisecond

// late looks for payments that were sent though half of their lease had gone when the node looked at its clock, which it does when it
// has the claim. That it stood still afterwards, nobody can help.
func (c *collated) late() Finding {
	f := Finding{Name: lateSends}
	half, between := c.h.Scenario.Lease/2, between+c.h.Scenario.Slack
	overtaken, heldUp := 0, 0
	for _, e := range c.h.Events {
		if e.What != "send" {
			continue
		}
		still := c.stalls(e.Node).within(c.claimed(e), e.From)
		switch {
		case e.Since <= half:
		case e.Since-still <= half+between:
			heldUp++
		default:
			f.add("%s by %s, %s after its claim", e.Payment, e.Node, e.Since)
		}
	}
	for _, charges := range c.charges {
		for _, charge := range charges {
			for _, claim := range c.claims[charge.Payment] {
				if claim.Fence > charge.Fence && claim.To < charge.Began {
					overtaken++
					break
				}
			}
		}
	}
	f.Text = fmt.Sprintf("%d (%d were held up for less than %s, or stood still; %d charges began after another node had taken over)",
		f.Bad, heldUp, between, overtaken)
	return f
}

// claimed returns when the node that did something had the claim under which it did so.
func (c *collated) claimed(e Event) time.Duration {
	had := e.From
	for _, claim := range c.claims[e.Payment] {
		if claim.Node == e.Node && claim.Fence == e.Fence && claim.To < had {
			had = claim.To
		}
	}
	return had
}

// misadventures are what the run itself did wrong: nothing is proved by it then.
func (c *collated) misadventures() Finding {
	f := Finding{Name: misadventures}
	for _, p := range c.h.Problems {
		f.add("%s", p)
	}
	if len(c.h.Charges) == 0 {
		f.add("nothing was charged")
	}
	if c.h.Scenario.Name == "disk" && !slices.ContainsFunc(c.h.Events, diskError) {
		f.add("no failure of the disk reached a caller")
	}
	return f
}
