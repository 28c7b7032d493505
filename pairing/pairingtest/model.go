package pairingtest

import (
	"slices"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

// model says what a store should answer. It is a list of payments in the order of acceptance and a few maps, and
// knows no time: a lease is running or has ended.
type model struct {
	pairings   map[pairing.Register]*modelPairing
	payments   []*modelPayment
	codes      map[string]*modelCode
	showing    map[pairing.Terminal]string
	wrong      map[string]int
	deliveries map[string]*modelDelivery
	grants     map[string]*modelGrant
	granted    map[string]int64 // the last version, which outlives the grant
}

type modelPairing struct {
	pairing.Pairing

	paired bool
}

type modelPayment struct {
	pairing.Payment

	fence     int
	owner     string // who can ask again for its claim
	fresh     bool   // its owner found it queued
	leased    bool   // nobody else can have it
	turn      bool   // it was claimed, and has not ended
	held      bool   // it holds its queue back
	withdrawn bool
}

type modelCode struct {
	terminal pairing.Terminal
	used     bool
	ended    bool
}

type modelDelivery struct {
	hash, answer string
	attempt      int
	leased       bool
	finished     bool
}

type modelGrant struct {
	pairing.Grant

	owner string // who may refresh
}

func newModel() *model {
	return &model{
		pairings:   map[pairing.Register]*modelPairing{},
		codes:      map[string]*modelCode{},
		showing:    map[pairing.Terminal]string{},
		wrong:      map[string]int{},
		deliveries: map[string]*modelDelivery{},
		grants:     map[string]*modelGrant{},
		granted:    map[string]int64{},
	}
}

// queue returns the open payments of a terminal: first what has the turn, then the others by acceptance.
func (m *model) queue(t pairing.Terminal) []*modelPayment {
	var first, rest []*modelPayment
	for _, p := range m.payments {
		switch {
		case p.Terminal != t || !p.State.Open():
		case p.turn:
			first = append(first, p)
		default:
			rest = append(rest, p)
		}
	}
	return append(first, rest...)
}

func (m *model) find(id string) *modelPayment {
	for _, p := range m.payments {
		if p.ID == id {
			return p
		}
	}
	return nil
}

// ready returns the payment of the terminal that can be claimed, or nil.
func (m *model) ready(t pairing.Terminal) *modelPayment {
	queue := m.queue(t)
	if len(queue) == 0 || queue[0].leased || queue[0].held {
		return nil
	}
	return queue[0]
}

func (m *model) ahead(p *modelPayment) int { return max(slices.Index(m.queue(p.Terminal), p), 0) }

func (m *model) put(p pairing.Pairing) pairing.Pairing {
	old := m.pairings[p.Register]
	if old == nil {
		old = &modelPairing{}
		m.pairings[p.Register] = old
	}
	p.Version = old.Version + 1
	old.Pairing, old.paired = p, true
	return p
}

func (m *model) paired(r pairing.Register) *modelPairing {
	if p := m.pairings[r]; p != nil && p.paired {
		return p
	}
	return nil
}

func (m *model) move(r pairing.Register, from, to pairing.Terminal) {
	p := m.paired(r)
	if p == nil || p.Terminal != from || from == to {
		return
	}
	p.Terminal = to
	p.Version++
	for _, q := range m.payments {
		if q.State == pairing.Queued && q.Terminal == from && q.Register == r {
			q.Terminal, q.turn, q.held = to, false, false
		}
	}
}

func (m *model) accept(r pairing.Request) (pairing.Payment, error) {
	if p := m.find(r.ID); p != nil {
		if !p.Same(r) {
			return pairing.Payment{}, tillroute.ErrConflict
		}
		return p.Payment, nil
	}
	at := m.paired(r.Register)
	if at == nil {
		return pairing.Payment{}, pairing.ErrNotPaired
	}
	p := &modelPayment{Payment: pairing.Payment{Request: r, Terminal: at.Terminal, Identity: at.Identity, State: pairing.Queued}}
	m.payments = append(m.payments, p)
	return p.Payment, nil
}

func (m *model) claim(t pairing.Terminal, owner string, lasts bool) (pairing.Claim, bool) {
	p := m.ready(t)
	if queue := m.queue(t); len(queue) > 0 && queue[0].State != pairing.Queued && queue[0].owner == owner {
		p = queue[0]
		p.leased = lasts
		return pairing.Claim{Payment: p.Payment, Owner: owner, Fence: int64(p.fence), Fresh: p.fresh && p.State == pairing.Sending}, true
	}
	if p == nil {
		return pairing.Claim{}, false
	}
	if p.fresh = p.State == pairing.Queued; p.fresh {
		p.State = pairing.Sending
	}
	p.fence++
	p.owner, p.turn, p.leased, p.held = owner, true, lasts, false
	return pairing.Claim{Payment: p.Payment, Owner: owner, Fence: int64(p.fence), Fresh: p.fresh}, true
}

// holds returns the payment of a claim if it is the latest and has not ended. c.Fence is the model's own.
func (m *model) holds(c pairing.Claim) *modelPayment {
	p := m.find(c.Payment.ID)
	if p == nil || int64(p.fence) != c.Fence || p.State != pairing.Sending && p.State != pairing.Sent {
		return nil
	}
	return p
}

func (m *model) end(p *modelPayment, r pairing.Result) pairing.Payment {
	p.State, p.Result = pairing.Done, r
	if r.Outcome == tillroute.Unknown {
		p.State = pairing.Parked
	}
	p.turn, p.leased, p.held = false, false, false
	return p.Payment
}

func (m *model) withdraw(id, reason string) (pairing.Payment, error) {
	p := m.find(id)
	switch {
	case p == nil:
		return pairing.Payment{}, tillroute.ErrNotFound
	case p.withdrawn:
		return p.Payment, nil
	case p.State != pairing.Queued:
		return pairing.Payment{}, tillroute.ErrConflict
	}
	p.withdrawn = true
	return m.end(p, pairing.Result{Outcome: tillroute.Cancelled, Reason: reason}), nil
}

func (m *model) resolve(id string, r pairing.Resolution) (pairing.Payment, error) {
	p := m.find(id)
	switch {
	case p == nil:
		return pairing.Payment{}, tillroute.ErrNotFound
	case p.State != pairing.Parked:
		return pairing.Payment{}, tillroute.ErrConflict
	}
	p.State = pairing.Done
	p.Result.Outcome, p.Result.Amount, p.ResolvedBy = r.Outcome, r.Amount, r.By
	if p.Result.Reason != "" {
		p.Result.Reason += "; "
	}
	p.Result.Reason += "resolved by " + r.By + ": " + r.Reason
	if r.Outcome == tillroute.Approved && r.Amount.IsZero() {
		p.Result.Amount = p.Amount
	}
	for _, known := range []string{r.TransactionID, p.Result.TransactionID, p.Handle.TransactionID} {
		if known != "" {
			p.Result.TransactionID = known
			break
		}
	}
	return p.Payment, nil
}

func (m *model) mark(id, from, to string) (pairing.Payment, error) {
	p := m.find(id)
	switch {
	case p == nil:
		return pairing.Payment{}, tillroute.ErrNotFound
	case p.Mark != from && p.Mark != to:
		return pairing.Payment{}, tillroute.ErrConflict
	}
	p.Mark = to
	return p.Payment, nil
}

func (m *model) issue(text string, t pairing.Terminal) error {
	if m.codes[text] != nil {
		return tillroute.ErrConflict
	}
	if old := m.codes[m.showing[t]]; old != nil {
		old.ended = true
	}
	m.codes[text] = &modelCode{terminal: t}
	m.showing[t] = text
	return nil
}

func (m *model) redeem(text string, p pairing.Pairing, tries pairing.Tries) (pairing.Pairing, error) {
	if m.wrong[tries.Key] >= tries.Max {
		return pairing.Pairing{}, pairing.ErrTooManyTries
	}
	c := m.codes[text]
	var err error
	switch {
	case c == nil:
		err = pairing.ErrWrongCode
	case c.used:
		err = pairing.ErrCodeUsed
	case c.ended:
		err = pairing.ErrCodeExpired
	}
	if err != nil {
		m.wrong[tries.Key]++
		return pairing.Pairing{}, err
	}
	c.used = true
	p.Terminal, p.TerminalName = c.terminal, ""
	return m.put(p), nil
}

func (m *model) begin(key, hash string, lasts bool) (answer string, answered bool, err error) {
	d := m.deliveries[key]
	if d == nil {
		d = &modelDelivery{hash: hash}
		m.deliveries[key] = d
	}
	if d.hash == "" { // it failed
		d.hash = hash
	}
	switch {
	case d.hash != hash:
		return "", false, tillroute.ErrConflict
	case d.finished:
		return d.answer, true, nil
	case d.leased:
		return "", false, tillroute.ErrBusy
	}
	d.attempt++
	d.leased = lasts
	return "", false, nil
}
