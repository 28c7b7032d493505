package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/shopspring/decimal"
	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

// nodeConfig is what a node is started with, as JSON on its standard input. The input stays open: when it ends, so
// does the node.
type nodeConfig struct {
	Name, DSN, Park string
	Lease           time.Duration
	Break           string
}

// node is a process with a router.
type node struct {
	config nodeConfig
	store  *chaosStore
	router *pairing.Router
	points *points

	mu  sync.Mutex
	out *json.Encoder
}

// said is a line that a node writes to its standard output: where it listens, an event, or that it stood still.
type said struct {
	Ready string `json:",omitempty"`
	// Time is what the node takes for the time when it is ready.
	Time  time.Time `json:",omitzero"`
	Event *Event    `json:",omitempty"`
	Stall *Stall    `json:",omitempty"`
}

// The messages between the submitters and a node.
type (
	submitRequest struct{ ID, Register, Amount string }
	submitReply   struct {
		Seq             int64
		Terminal, State string
		Outcome         string
		Error           string
		// Failed says that the error came without any effect.
		Failed bool
		Final  bool
	}
)

// Nobody learns anything by waiting longer.
const (
	openTime = 30 * time.Second
	waitTime = 3 * time.Second
)

// runNode is the whole life of a node.
func runNode(in io.Reader, out io.Writer) error {
	n := &node{points: &points{}, out: json.NewEncoder(out)}
	decoder := json.NewDecoder(in)
	if err := decoder.Decode(&n.config); err != nil { //nolint:musttag // both ends are this program.
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, in)
		os.Exit(3) // The judge is gone.
	}()
	ctx := context.Background()
	inner, err := patientlyOpen(ctx, n.config.DSN, 0)
	if err != nil {
		return err
	}
	n.store = newChaosStore(inner, n)
	d := newDriver(n, n.config.Park)
	// As an operator would have it, a node that is started again has the name of the one that died.
	owner, _, _ := strings.Cut(n.config.Name, ".")
	n.router, err = pairing.New(pairing.Config{
		Store:        n.store.router(),
		Drivers:      map[string]pairing.Driver{asked: finder{d}, mute: d},
		Owner:        owner,
		Lease:        n.config.Lease,
		PollInterval: 100 * time.Millisecond,
		BusyDelay:    50 * time.Millisecond,
		StartTimeout: 2 * time.Second,
		Logger:       slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /submit", n.submit)
	mux.HandleFunc("GET /wait/{id}", n.wait)
	mux.HandleFunc("POST /withdraw/{id}", n.withdraw)
	mux.HandleFunc("POST /orders", n.order)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go pulse(ctx, beat, func() {}, func(from, to time.Duration) {
		n.say(said{Stall: &Stall{Node: n.config.Name, From: from, To: to}})
	})
	go func() { _ = n.router.Run(ctx) }()
	n.say(said{Ready: "http://" + listener.Addr().String(), Time: time.Now()})
	return server.Serve(listener)
}

// patientlyOpen opens a store that may be away for a moment.
func patientlyOpen(ctx context.Context, dsn string, timeout time.Duration) (pairing.Store, error) {
	for end := time.Now().Add(openTime); ; pause(ctx, 50*time.Millisecond) {
		s, err := open(ctx, dsn, timeout)
		if err == nil || !errors.Is(err, tillroute.ErrUnavailable) || time.Now().After(end) {
			return s, err
		}
	}
}

// tell tells the judge what was done. The line is out of this process when it returns.
func (n *node) tell(e Event) {
	e.Node = n.config.Name
	n.say(said{Event: &e})
}

func (n *node) say(s said) {
	n.mu.Lock()
	err := n.out.Encode(s) //nolint:musttag // both ends are this program.
	n.mu.Unlock()
	if err != nil {
		os.Exit(3) // The judge is gone.
	}
}

func (n *node) submit(w http.ResponseWriter, r *http.Request) {
	var in submitRequest
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil { //nolint:musttag // both ends are this program.
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	amount, err := decimal.NewFromString(in.Amount)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	p, err := n.router.Submit(r.Context(), pairing.Request{ID: in.ID, Register: register(in.Register), Amount: amount, Currency: "EUR"})
	answerPayment(w, p, err)
}

func (n *node) wait(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), waitTime)
	defer cancel()
	p, err := n.router.Wait(ctx, r.PathValue("id"))
	if p.State == pairing.Parked {
		err = nil
	}
	answerPayment(w, p, err)
}

func (n *node) withdraw(w http.ResponseWriter, r *http.Request) {
	p, err := n.router.Withdraw(r.Context(), r.PathValue("id"), "the guest has left")
	answerPayment(w, p, err)
}

// answerPayment answers 200 if there was no error, 409 for errors that will stay, and 503 for those that may pass.
func answerPayment(w http.ResponseWriter, p pairing.Payment, err error) {
	out := submitReply{
		Seq: p.Seq, Terminal: p.Terminal.Serial, State: string(p.State), Outcome: p.Outcome().String(),
		Final: !p.State.Open() && p.State != "",
	}
	if err != nil {
		out.Error = err.Error()
		known, ok := errors.AsType[*tillroute.Error](err)
		out.Failed = ok && known.Outcome == tillroute.Failed && !errors.Is(err, tillroute.ErrOutcomeUnknown)
		status := http.StatusServiceUnavailable
		if errors.Is(err, tillroute.ErrConflict) || errors.Is(err, tillroute.ErrInvalid) || errors.Is(err, tillroute.ErrNotFound) {
			status = http.StatusConflict
		}
		w.WriteHeader(status)
	}
	reply(w, out)
}

func (n *node) order(w http.ResponseWriter, r *http.Request) {
	var o order
	if err := json.NewDecoder(r.Body).Decode(&o); err != nil { //nolint:musttag // both ends are this program.
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	n.points.arm(o)
}

func register(id string) pairing.Register {
	return pairing.Register{System: "chaos", Account: "hall", ID: id}
}
