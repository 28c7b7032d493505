package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pms"
	"github.com/tillroute/tillroute/pms/pmstest"
)

// A million webhooks: what a point of sale delivers to a hotel system, again, at once, out of order, and changed.
const (
	deliverers = 64
	// window is how far deliveries overtake each other.
	window = 2000
	// crowd is how many deliveries of one key come at once, and crowds how many other deliveries lie between.
	crowd, crowds = 100, 10_000
	apiKey        = "the API key of the hotel" //nolint:gosec // it opens nothing.
)

// delivery is one delivery: which bill, and whether with its first content or another.
type delivery struct{ bill, variant int }

// bills keeps what became of each bill.
type bills struct {
	template []byte
	name     []byte

	effects []atomic.Int32
	// winners are the variants that were let in, plus one.
	winners []atomic.Int32
	answers []atomic.Pointer[string]

	differ, letIn, refused, retried, otherBodies atomic.Int64
	pms.Unimplemented
}

// Charge is the hotel system, which knows nothing of what it has posted before: it is the judge.
func (b *bills) Charge(ctx context.Context, c pms.Charge) error {
	n, err := strconv.Atoi(c.Key)
	if err != nil {
		return err
	}
	if b.effects[n].Add(1) == 1 && n%50 == 0 {
		pause(ctx, 3*time.Millisecond) // So that others come meanwhile.
	}
	return nil
}

func newBills(ctx context.Context, n int) (*bills, error) {
	charge := pmstest.NewCharge(apiKey)
	body, err := io.ReadAll(charge.Request(ctx, "/pms").Body)
	if err != nil {
		return nil, err
	}
	return &bills{
		template: body, name: fmt.Append(nil, charge.Payload["fiscId"]),
		effects: make([]atomic.Int32, n), winners: make([]atomic.Int32, n), answers: make([]atomic.Pointer[string], n),
	}, nil
}

// request returns a delivery as it comes.
func (b *bills) request(ctx context.Context, d delivery) (*http.Request, error) {
	body := bytes.ReplaceAll(b.template, b.name, fmt.Appendf(nil, "A%d", d.bill))
	if d.variant > 0 {
		body = bytes.Replace(body, []byte("Table 5"), []byte("Table 6"), 1)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "/pms/charge", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Lightspeed-Idempotency-Key", strconv.Itoa(d.bill))
	return r, nil
}

// answer is what a delivery was answered.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }

// deliver delivers until it is answered for good, and looks at the answer.
func (b *bills) deliver(ctx context.Context, handler http.Handler, d delivery) error {
	for ctx.Err() == nil {
		r, err := b.request(ctx, d)
		if err != nil {
			return err
		}
		a := &answer{header: http.Header{}}
		handler.ServeHTTP(a, r)
		switch a.status {
		case http.StatusOK:
			if !b.winners[d.bill].CompareAndSwap(0, int32(d.variant+1)) && b.winners[d.bill].Load() != int32(d.variant+1) { //nolint:gosec // it is 1 or 2.
				b.letIn.Add(1)
			}
			text := a.body.String()
			if !b.answers[d.bill].CompareAndSwap(nil, &text) && *b.answers[d.bill].Load() != text {
				b.differ.Add(1)
			}
		case http.StatusConflict:
			b.otherBodies.Add(1)
			if b.winners[d.bill].Load() == int32(d.variant+1) { //nolint:gosec // it is 1 or 2.
				b.refused.Add(1)
			}
		default:
			b.retried.Add(1)
			pause(ctx, 20*time.Millisecond)
			continue
		}
		return nil
	}
	return ctx.Err()
}

// deliveries sends Count deliveries to two handlers on one store. In the middle, all is closed and opened again.
func deliveries(ctx context.Context, s Scenario, r *run, out io.Writer) (*History, error) {
	random := rand.New(rand.NewPCG(s.Seed, 0)) //nolint:gosec // it has to be repeatable.
	b, err := newBills(ctx, s.Count)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	all := compose(random, s.Count)
	done := 0
	for i := range 2 {
		part := delivering{all: all[:len(all)*(i+1)/2], from: done}
		if s.Most > 0 {
			part.until = began.Add(s.Most * time.Duration(i+1) / 2)
		}
		if done, err = b.part(ctx, r.dsn, part, s.Break); err != nil {
			return nil, err
		}
		_, _ = fmt.Fprintf(out, "  deliveries: %s: %d of %d\n", short(time.Since(began)), done, len(all))
	}
	return b.history(s, done, time.Since(began)), nil
}

// delivering is what is to be delivered: all from a number on, until it is late, or for ever if until is zero.
type delivering struct {
	all   []delivery
	from  int
	until time.Time
}

func (d delivering) late() bool { return !d.until.IsZero() && time.Now().After(d.until) }

// compose returns deliveries in the order in which they come: 10 % are duplicates, 1 % have another content under a
// used key, now and then many come at once, and all overtake each other.
func compose(random *rand.Rand, n int) []delivery {
	all := make([]delivery, 0, n)
	for bill := 0; len(all) < n; {
		dice := random.Float64()
		if bill > 0 && dice < 0.11 {
			d := delivery{bill: max(bill-1-random.IntN(window), 0)}
			if dice < 0.02 {
				d.bill = random.IntN(bill) // From long ago.
			}
			if dice > 0.10 {
				d.variant = 1
			}
			all = append(all, d)
			continue
		}
		all = append(all, delivery{bill: bill})
		if bill%crowds == crowds/2 && len(all)+crowd <= n {
			for range crowd - 1 {
				all = append(all, delivery{bill: bill})
			}
		}
		bill++
	}
	for i := 0; i < n; i += window {
		part := all[i:min(i+window, n)]
		if random.IntN(2) == 0 { // The other parts stay as they are, crowds together.
			random.Shuffle(len(part), func(i, j int) { part[i], part[j] = part[j], part[i] })
		}
	}
	return all
}

// part makes deliveries on a store that is opened for them, and returns how far it came.
func (b *bills) part(ctx context.Context, dsn string, d delivering, broken string) (done int, err error) {
	var handlers []http.Handler
	var stores []pairing.Store
	defer func() {
		for _, s := range stores {
			err = errors.Join(err, s.Close())
		}
	}()
	for i := range 2 {
		// Two handles on a file would do little but wait for each other.
		if i == 0 || !strings.HasPrefix(dsn, "sqlite:") {
			store, err := open(ctx, dsn, patient)
			if err != nil {
				return 0, err
			}
			stores = append(stores, store)
		}
		var known pairing.Deliveries = stores[len(stores)-1]
		if broken == breakForget {
			known = forgetful{known}
		}
		h, err := pms.NewHandler(pms.Config{Backend: b, Keys: []pms.Key{{APIKey: apiKey}}, Deliveries: known})
		if err != nil {
			return 0, err
		}
		handlers = append(handlers, h)
	}
	var next atomic.Int64
	next.Store(int64(d.from))
	var group sync.WaitGroup
	errs := make([]error, deliverers)
	for i := range deliverers {
		group.Go(func() {
			for {
				if errs[i] != nil || d.late() {
					return
				}
				n := int(next.Add(1)) - 1
				if n >= len(d.all) {
					return
				}
				errs[i] = b.deliver(ctx, handlers[n%2], d.all[n])
			}
		})
	}
	group.Wait()
	return min(int(next.Load()), len(d.all)), errors.Join(errs...)
}

// forgetful is a store that remembers no answer.
type forgetful struct{ pairing.Deliveries }

func (f forgetful) FinishDelivery(ctx context.Context, d pairing.Delivery, _ []byte) error {
	return f.FailDelivery(ctx, d)
}

// The names of what is judged of deliveries.
const (
	notOnce       = "bills without exactly one effect"
	differently   = "answers that differ for one key"
	bothLetIn     = "another body let in under a used key"
	wronglyDenied = "refused though it was the first body"
)

// history judges at once: there is too much to keep.
func (b *bills) history(s Scenario, count int, took time.Duration) *History {
	f := Finding{Name: notOnce}
	distinct := 0
	for n := range b.effects {
		effects, answered := b.effects[n].Load(), b.winners[n].Load() != 0
		if answered {
			distinct++
		}
		if answered && effects != 1 || effects > 1 {
			f.add("bill %d had %d", n, effects)
		}
	}
	return &History{
		Scenario: s,
		Notes: []string{
			fmt.Sprintf("deliveries on %s: %d of %d bills, in %s (%.0f a second), seed %d", s.Store, count, distinct, short(took),
				float64(count)/took.Seconds(), s.Seed),
			fmt.Sprintf("refused with another body: %d; told to come again: %d", b.otherBodies.Load(), b.retried.Load()),
		},
		Findings: []Finding{
			f,
			{Name: differently, Bad: int(b.differ.Load())},
			{Name: bothLetIn, Bad: int(b.letIn.Load())},
			{Name: wronglyDenied, Bad: int(b.refused.Load())},
		},
	}
}
