package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/pgstore"
	"github.com/tillroute/tillroute/pairing/sqlitestore"
)

// patient is a timeout for what is not tried out.
const patient = time.Minute

// open opens the store that a name stands for: "sqlite:PATH" or "postgres://…". A timeout of zero is the store's own.
func open(ctx context.Context, dsn string, timeout time.Duration) (pairing.Store, error) {
	if path, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
		return sqlitestore.Open(ctx, sqlitestore.Config{Path: path, BusyTimeout: timeout})
	}
	return pgstore.Open(ctx, pgstore.Config{DSN: tillroute.Secret(dsn), Timeout: timeout})
}

// The ways to break a node. The judge has to notice each.
const (
	// breakBlind sends again what may have been sent.
	breakBlind = "blind"
	// breakGuard sends however old a claim is.
	breakGuard = "guard"
	// breakOrder acknowledges payments before they are written down.
	breakOrder = "order"
	// breakOverlap takes a charge for done before it is.
	breakOverlap = "overlap"
	// breakForget forgets the answers to deliveries.
	breakForget = "forget"
)

// chaosStore is a store with points at which it can be made to fail. It tells what it was used for.
type chaosStore struct {
	pairing.Store
	node *node

	mu sync.Mutex
	// claims are the latest that this node has of each payment.
	claims map[string]held
	// pocket holds what breakGuard keeps back.
	pocket map[pairing.Terminal]pairing.Claim
}

type held struct {
	at    time.Duration
	fence int64
}

// notifyingStore is a chaosStore that can tell what other nodes do.
type notifyingStore struct {
	*chaosStore
	pairing.Notifier
}

func newChaosStore(inner pairing.Store, n *node) *chaosStore {
	return &chaosStore{Store: inner, node: n, claims: map[string]held{}, pocket: map[pairing.Terminal]pairing.Claim{}}
}

// router returns the store as a router is to see it.
func (s *chaosStore) router() pairing.Store {
	if notifier, ok := s.Store.(pairing.Notifier); ok {
		return notifyingStore{s, notifier}
	}
	return s
}

// claimOf returns when the node asked for its latest claim of a payment, and the claim's fence.
func (s *chaosStore) claimOf(payment string) (time.Duration, int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.claims[payment]
	return h.at, h.fence
}

func (s *chaosStore) AcceptPayment(ctx context.Context, r pairing.Request) (pairing.Payment, error) {
	if s.node.config.Break == breakOrder {
		p, err := s.Pairing(ctx, r.Register)
		ctx := context.WithoutCancel(ctx)
		go func() {
			pause(ctx, rand.N(300*time.Millisecond)) //nolint:gosec // nothing depends on it being secret.
			_, _ = s.Store.AcceptPayment(ctx, r)
		}()
		return pairing.Payment{Request: r, Terminal: p.Terminal, State: pairing.Queued}, err
	}
	return through(ctx, s.node.points, "accept", func() (pairing.Payment, error) {
		from := now()
		p, err := s.Store.AcceptPayment(ctx, r)
		if err != nil {
			s.node.tell(Event{What: "accept", Payment: r.ID, From: from, To: now(), Error: err.Error()})
		}
		return p, err
	})
}

// claimed is what a claim returns.
type claimed struct {
	claim pairing.Claim
	ok    bool
}

func (s *chaosStore) ClaimPayment(ctx context.Context, t pairing.Terminal, owner string, lease time.Duration) (pairing.Claim, bool, error) {
	if got, ok := s.fromPocket(t, lease); ok {
		return got, true, nil
	}
	from := now()
	got, err := through(ctx, s.node.points, "claim", func() (claimed, error) {
		claim, ok, err := s.Store.ClaimPayment(ctx, t, owner, lease)
		s.tellClaim(claim, ok && err == nil, from)
		return claimed{claim, ok}, err
	})
	if got.ok && s.node.config.Break == breakBlind && !got.claim.Fresh {
		got.claim.Fresh, got.claim.Payment.State = true, pairing.Sending
	}
	if got.ok && s.node.config.Break == breakGuard && got.claim.Fresh && rand.IntN(3) == 0 { //nolint:gosec // nothing depends on it being secret.
		s.mu.Lock()
		defer s.mu.Unlock()
		s.pocket[t] = got.claim
		return pairing.Claim{}, false, nil
	}
	return got.claim, got.ok, err
}

// fromPocket returns a claim of which most of the lease has gone.
func (s *chaosStore) fromPocket(t pairing.Terminal, lease time.Duration) (pairing.Claim, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	got, ok := s.pocket[t]
	if !ok || now()-s.claims[got.Payment.ID].at < lease*6/10 {
		return pairing.Claim{}, false
	}
	delete(s.pocket, t)
	return got, true
}

func (s *chaosStore) tellClaim(c pairing.Claim, ok bool, from time.Duration) {
	if !ok {
		return
	}
	s.mu.Lock()
	s.claims[c.Payment.ID] = held{at: from, fence: c.Fence}
	s.mu.Unlock()
	s.node.tell(Event{
		What: "claim", Payment: c.Payment.ID, Fence: c.Fence, From: from, To: now(),
		State: string(c.Payment.State), Fresh: c.Fresh,
	})
}

// write does a write under a claim and tells how it went.
func (s *chaosStore) write(ctx context.Context, e Event, c pairing.Claim, do func() error) error {
	_, err := through(ctx, s.node.points, e.What, func() (struct{}, error) {
		e.Payment, e.Fence, e.From = c.Payment.ID, c.Fence, now()
		err := do()
		e.To = now()
		switch {
		case errors.Is(err, pairing.ErrFenced):
			e.Error = "fenced"
		case err != nil:
			e.Error = err.Error()
		}
		s.node.tell(e)
		return struct{}{}, err
	})
	return err
}

func (s *chaosStore) RenewClaim(ctx context.Context, c pairing.Claim, lease time.Duration, note string) error {
	return s.write(ctx, Event{What: "renew"}, c, func() error { return s.Store.RenewClaim(ctx, c, lease, note) })
}

func (s *chaosStore) SavePaymentHandle(ctx context.Context, c pairing.Claim, h pairing.Handle) error {
	return s.write(ctx, Event{What: "save", Charge: h.TransactionID}, c, func() error { return s.Store.SavePaymentHandle(ctx, c, h) })
}

func (s *chaosStore) RequeuePayment(ctx context.Context, c pairing.Claim, delay time.Duration, note string) error {
	return s.write(ctx, Event{What: "requeue"}, c, func() error { return s.Store.RequeuePayment(ctx, c, delay, note) })
}

func (s *chaosStore) ReleaseClaim(ctx context.Context, c pairing.Claim) error {
	return s.write(ctx, Event{What: "release"}, c, func() error { return s.Store.ReleaseClaim(ctx, c) })
}

func (s *chaosStore) FinishPayment(
	ctx context.Context, c pairing.Claim, r pairing.Result, lease time.Duration,
) (next pairing.Claim, ok bool, err error) {
	e := Event{What: "finish", Outcome: r.Outcome.String(), Charge: r.TransactionID}
	err = s.write(ctx, e, c, func() error {
		from := now()
		next, ok, err = s.Store.FinishPayment(ctx, c, r, lease)
		s.tellClaim(next, ok && err == nil, from)
		return err
	})
	if err != nil {
		return pairing.Claim{}, false, err
	}
	return next, ok, nil
}
