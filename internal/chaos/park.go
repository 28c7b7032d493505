package main

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/shopspring/decimal"
	"github.com/tillroute/tillroute"
)

// park is the simulated terminals and the cloud before them. It counts every charge, and nothing that calls it can
// take one back: it is not idempotent, and a charge goes on when its caller has died.
type park struct {
	recorder *recorder

	mu        sync.Mutex
	random    *rand.Rand
	terminals map[string]*terminal
	charges   map[string]*Charge
	payments  map[string]*Charge
	// barred payments were looked for and not found: the cloud takes them no more.
	barred map[string]bool
	// lose, delay and repeat are how often a reply is lost, late, or that of a moment ago.
	lose, delay, repeat float64
}

type terminal struct {
	last *Charge
	// busy and unplugged end by themselves.
	busy, unplugged time.Duration
}

func newPark(seed uint64, r *recorder) *park {
	return &park{
		recorder:  r,
		random:    rand.New(rand.NewPCG(seed, 1)), //nolint:gosec // it has to be repeatable.
		terminals: map[string]*terminal{},
		charges:   map[string]*Charge{},
		payments:  map[string]*Charge{},
		barred:    map[string]bool{},
	}
}

// The messages between a driver and the park.
type (
	startRequest struct {
		Payment, Terminal, Amount, Node string
		Fence                           int64
	}
	chargeReply struct {
		ID, Outcome, Amount string
		Over                bool
	}
)

func (p *park) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /charges", p.start)
	mux.HandleFunc("GET /charges/{id}", p.status)
	mux.HandleFunc("POST /find/{payment}", p.find)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		lost, late := p.random.Float64() < p.lose, p.random.Float64() < p.delay
		p.mu.Unlock()
		if late {
			// On either side of the work, so that requests overtake each other as well as replies.
			pause(r.Context(), 150*time.Millisecond)
			defer pause(r.Context(), 150*time.Millisecond)
		}
		if lost {
			mux.ServeHTTP(&lostReply{header: http.Header{}}, r)
			panic(http.ErrAbortHandler)
		}
		mux.ServeHTTP(w, r)
	})
}

// lostReply takes a reply that nobody will get.
type lostReply struct{ header http.Header }

func (l *lostReply) Header() http.Header         { return l.header }
func (l *lostReply) Write(b []byte) (int, error) { return len(b), nil }
func (l *lostReply) WriteHeader(int)             {}

func (p *park) terminal(serial string) *terminal {
	t := p.terminals[serial]
	if t == nil {
		t = &terminal{}
		p.terminals[serial] = t
	}
	return t
}

// start has a terminal ask for money.
func (p *park) start(w http.ResponseWriter, r *http.Request) {
	var in startRequest
	amount := decimal.Decimal{}
	err := json.NewDecoder(r.Body).Decode(&in) //nolint:musttag // both ends are this program.
	if err == nil {
		amount, err = decimal.NewFromString(in.Amount)
	}
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	t, at := p.terminal(in.Terminal), now()
	switch dice := p.random.Float64(); {
	case p.barred[in.Payment]:
		w.WriteHeader(http.StatusGone)
		return
	case t.last != nil && t.last.Ends > at:
		c := Collision{Payment: in.Payment, Other: t.last.Payment, Terminal: in.Terminal, Node: in.Node, At: at}
		p.recorder.with(func(h *History) { h.Collisions = append(h.Collisions, c) })
		w.WriteHeader(http.StatusConflict)
		return
	case t.unplugged > at:
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	case t.busy > at:
		w.WriteHeader(http.StatusConflict)
		return
	case dice < 0.01: // Somebody types in a sale by hand.
		t.busy = at + p.between(50, 200)
		w.WriteHeader(http.StatusConflict)
		return
	case dice < 0.015:
		t.unplugged = at + p.between(100, 500)
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	c := &Charge{
		ID:      "c" + strconv.Itoa(len(p.charges)+1),
		Payment: in.Payment, Terminal: in.Terminal, Node: in.Node, Fence: in.Fence,
		Began: at, Ends: at + p.between(10, 60), Outcome: tillroute.Approved,
	}
	switch dice := p.random.Float64(); {
	case dice < 0.10:
		c.Outcome, amount = tillroute.Declined, decimal.Decimal{}
	case dice < 0.13:
		c.Outcome, amount = tillroute.Cancelled, decimal.Decimal{}
	case dice < 0.16: // A surcharge.
		amount = amount.Add(decimal.New(25, -2))
	case dice < 0.19: // A guest who looks for a card.
		c.Ends = at + p.between(300, 900)
	case dice < 0.20: // The plug is pulled in the middle; the terminal finishes on its battery.
		t.unplugged = at + p.between(100, 500)
	}
	c.Amount = amount.String()
	t.last = c
	p.charges[c.ID] = c
	if p.payments[c.Payment] == nil {
		p.payments[c.Payment] = c
	}
	p.recorder.with(func(h *History) { h.Charges = append(h.Charges, *c) })
	reply(w, chargeReply{ID: c.ID})
}

func (p *park) between(least, most int) time.Duration {
	return time.Duration(least+p.random.IntN(most-least)) * time.Millisecond
}

// status says how far a charge has come.
func (p *park) status(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.charges[r.PathValue("id")]
	at := now()
	switch {
	case c == nil:
		w.WriteHeader(http.StatusNotFound)
	case p.terminal(c.Terminal).unplugged > at:
		w.WriteHeader(http.StatusServiceUnavailable)
	case c.Ends > at || c.Ends > at-time.Second && p.random.Float64() < p.repeat:
		reply(w, chargeReply{ID: c.ID})
	default:
		reply(w, chargeReply{ID: c.ID, Over: true, Outcome: c.Outcome.String(), Amount: c.Amount})
	}
}

// find looks a charge up by its payment. What is not there won't be taken any more.
func (p *park) find(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	payment := r.PathValue("payment")
	if c := p.payments[payment]; c != nil {
		reply(w, chargeReply{ID: c.ID})
		return
	}
	p.barred[payment] = true
	w.WriteHeader(http.StatusNotFound)
}

// set changes how often replies suffer.
func (p *park) set(lose, delay, repeat float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lose, p.delay, p.repeat = lose, delay, repeat
}

// unplug unplugs a terminal for a while.
func (p *park) unplug(serial string, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.terminal(serial).unplugged = now() + d
}

func reply(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(body); err != nil {
		return // The caller has gone.
	}
}
