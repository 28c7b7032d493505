package kseries_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/kseries"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/memstore"
)

const account = "A78094.48"

// pos is K-Series and a point of sale as a transport, with one check.
type pos struct {
	mu sync.Mutex
	// total is what the check comes to, and gone that it can't be found any more.
	total decimal.Decimal
	gone  bool
	// taken are the bodies by reference, and references their order; entries are what the check has.
	taken      map[string]map[string]any
	references []string
	entries    []map[string]any
	// fails are why the next tasks fail: "" doesn't, "timeout" waits for the end of the time to live.
	fails []string
	// deaf is a point of sale that does nothing, and says nothing.
	deaf bool
	// delay is how long a notification takes; notify gets them, unless it is nil.
	delay time.Duration
	// latency is how long a request takes to get here.
	latency time.Duration
	notify  func(kseries.Notification)
	// before and after are asked at each request, before and after it is carried out.
	before, after func(call string) error
	status        func(call string) int
	reads         int
}

func newPOS() *pos {
	alive := func(string) error { return nil }
	return &pos{
		total: d("100"), taken: map[string]map[string]any{}, delay: time.Second, before: alive, after: alive,
		status: func(string) int { return http.StatusOK },
	}
}

func (p *pos) RoundTrip(r *http.Request) (*http.Response, error) {
	body := map[string]any{}
	if r.Body != nil {
		_ = json.NewDecoder(r.Body).Decode(&body)
	}
	call := "check"
	if r.Method == http.MethodPost {
		call = "pay"
	}
	time.Sleep(p.latency)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if err := p.before(call); err != nil {
		return nil, err
	}
	status, answer := p.status(call), any(map[string]any{"status": "ok"})
	switch {
	case status != http.StatusOK:
		answer = map[string]any{"message": "no"}
	case call == "pay":
		if status = p.pay(body); status != http.StatusOK {
			answer = map[string]any{"status": 400, "message": "reference has already been used"}
		}
	case p.gone:
		p.reads++
		status, answer = http.StatusNotFound, map[string]any{"message": "account not found for BL 1"}
	default:
		p.reads++
		answer = map[string]any{"ikaccountId": account, "currentAmount": p.total, "paidAmount": p.paid(), "paymentEntries": p.entries}
	}
	if err := p.after(call); err != nil {
		return nil, err
	}
	text, err := json.Marshal(answer)
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(string(text))), Request: r, ContentLength: int64(len(text)),
	}, err
}

func (p *pos) paid() decimal.Decimal {
	sum := decimal.Zero
	for _, e := range p.entries {
		if e["active"] != false {
			sum = sum.Add(d(fmt.Sprint(e["amountPaid"])))
		}
	}
	return sum
}

func (p *pos) pay(body map[string]any) int {
	reference := fmt.Sprint(body["thirdPartyPaymentReference"])
	if p.taken[reference] != nil {
		return http.StatusBadRequest
	}
	p.taken[reference] = body
	p.references = append(p.references, reference)
	if p.deaf {
		return http.StatusOK
	}
	why := ""
	if len(p.fails) > 0 {
		why, p.fails = p.fails[0], p.fails[1:]
	}
	amount := d(fmt.Sprint(body["paymentAmount"]))
	if why == "" && p.paid().Add(amount).GreaterThan(p.total) {
		why = "OVERPAID"
	}
	n, delay := kseries.Notification{Type: kseries.AboutPayment, Reference: reference, Status: kseries.Success, AccountIdentifier: account}, p.delay
	switch why {
	case "":
		p.entries = append(p.entries, map[string]any{"externalReference": reference, "amountPaid": amount, "active": true})
	case "timeout":
		n.Status, n.TimeoutKey, n.Reason = kseries.Failure, kseries.TaskTimeout, "Not processed before validity ended"
		ttl, _ := time.ParseDuration(fmt.Sprint(body["taskTtlInMs"], "ms"))
		delay += ttl
	default:
		n.Status, n.AccountError, n.Reason = kseries.Failure, kseries.AccountError(why), "the till said so"
	}
	go func() {
		time.Sleep(delay)
		p.mu.Lock()
		notify := p.notify
		p.mu.Unlock()
		if notify != nil {
			notify(n)
		}
	}()
	return http.StatusOK
}

// card is a terminal that approves what it is given, unless result says otherwise.
type card struct {
	result  func(pairing.Payment) pairing.Result
	mu      sync.Mutex
	charged []string
}

func (c *card) Start(_ context.Context, p pairing.Payment) (pairing.Handle, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.charged = append(c.charged, p.ID)
	return pairing.Handle{TransactionID: "txn-" + p.ID}, nil
}

func (c *card) Await(_ context.Context, p pairing.Payment, _ func(string)) (pairing.Result, error) {
	if c.result != nil {
		return c.result(p), nil
	}
	return pairing.Result{Outcome: tillroute.Approved, Amount: p.Amount}, nil
}

// markedStore asks before and after each mark is written.
type markedStore struct {
	pairing.Store

	mu            sync.Mutex
	before, after func(string) error
	// broken has all reads of payments fail.
	broken bool
	// late is a payment that no list has yet.
	late string
	// listed is how many payments were in lists, and read how many were read by themselves.
	listed, read int
}

func (s *markedStore) Payment(ctx context.Context, id string) (pairing.Payment, error) {
	s.mu.Lock()
	s.read++
	s.mu.Unlock()
	return s.Store.Payment(ctx, id)
}

func (s *markedStore) MarkPayment(ctx context.Context, id, from, to string) (pairing.Payment, error) {
	s.mu.Lock()
	before, after := s.before, s.after
	s.mu.Unlock()
	if before != nil {
		if err := before("mark " + to); err != nil {
			return pairing.Payment{}, err
		}
	}
	p, err := s.Store.MarkPayment(ctx, id, from, to)
	if err == nil && after != nil {
		err = after("mark " + to)
	}
	return p, err
}

func (s *markedStore) ListPayments(ctx context.Context, f pairing.Filter, limit int) ([]pairing.Payment, error) {
	s.mu.Lock()
	broken, late := s.broken, s.late
	s.mu.Unlock()
	if broken {
		return nil, errors.New("the disk is gone")
	}
	list, err := s.Store.ListPayments(ctx, f, limit)
	s.mu.Lock()
	s.listed += len(list)
	s.mu.Unlock()
	return slices.DeleteFunc(list, func(p pairing.Payment) bool { return p.ID == late }), err
}

// floor is a restaurant: a point of sale, a terminal at table 12, and a store.
type floor struct {
	t      *testing.T
	pos    *pos
	card   *card
	store  *markedStore
	router *pairing.Router
}

func newFloor(t *testing.T) *floor {
	t.Helper()
	f := &floor{t: t, pos: newPOS(), card: &card{}, store: &markedStore{Store: memstore.New(memstore.Config{})}}
	var err error
	f.router, err = pairing.New(pairing.Config{Store: f.store, Drivers: map[string]pairing.Driver{"card": f.card}})
	require.NoError(t, err)
	_, err = f.router.PairTerminal(t.Context(), pairing.Pairing{
		Register: kseries.RegisterKey(location, "table-12"), Terminal: pairing.Terminal{Provider: "card", Serial: "1"},
	})
	require.NoError(t, err)
	return f
}

// node returns one of the restaurant's nodes.
func (f *floor) node(changes ...func(*kseries.PaymentsConfig)) *kseries.Payments {
	f.t.Helper()
	client, err := kseries.New(kseries.Config{AccessToken: accessToken, HTTP: tillroute.HTTPOptions{Transport: f.pos, Retries: -1}})
	require.NoError(f.t, err)
	config := kseries.PaymentsConfig{Client: client, Router: f.router, EndpointID: "endpoint"}
	for _, change := range changes {
		change(&config)
	}
	p, err := kseries.NewPayments(config)
	require.NoError(f.t, err)
	return p
}

// listen has a node get the notifications.
func (f *floor) listen(p *kseries.Payments) {
	f.pos.mu.Lock()
	defer f.pos.mu.Unlock()
	f.pos.notify = func(n kseries.Notification) { assert.NoError(f.t, p.Notification(f.t.Context(), n)) }
}

// run has nodes and the router run for a time.
func (f *floor) run(long time.Duration, nodes ...*kseries.Payments) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), long)
	defer cancel()
	var group sync.WaitGroup
	group.Go(func() { assert.ErrorIs(f.t, f.router.Run(ctx), context.DeadlineExceeded) })
	for _, node := range nodes {
		group.Go(func() { assert.ErrorIs(f.t, node.Run(ctx), context.DeadlineExceeded) })
	}
	group.Wait()
}

func ask(changes ...func(*kseries.PaymentRequest)) kseries.PaymentRequest {
	r := kseries.PaymentRequest{
		ID: "pay-1", Register: kseries.RegisterKey(location, "table-12"), AccountIdentifier: account, Amount: d("20.00"), Currency: "EUR",
	}
	for _, change := range changes {
		change(&r)
	}
	return r
}

func (f *floor) submit(p *kseries.Payments, changes ...func(*kseries.PaymentRequest)) {
	f.t.Helper()
	_, err := p.Submit(f.t.Context(), ask(changes...))
	require.NoError(f.t, err)
}

func (f *floor) status(p *kseries.Payments) kseries.PaymentStatus {
	f.t.Helper()
	s, err := p.Status(f.t.Context(), "pay-1")
	require.NoError(f.t, err)
	return s
}

// active returns how many entries of the check count.
func (f *floor) active() int {
	n := 0
	for _, e := range f.pos.entries {
		if e["active"] != false {
			n++
		}
	}
	return n
}

func TestAPaymentIsPaidOnceTheNotificationSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFloor(t)
		p := f.node(func(c *kseries.PaymentsConfig) { c.Method = "OOPAYMENT" })
		f.listen(p)
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() { _ = f.router.Run(ctx) })
		group.Go(func() { _ = p.Run(ctx) })
		var stages []kseries.Stage
		f.submit(p, func(r *kseries.PaymentRequest) {
			r.Tip = d("2")
			r.StaffID = 42
			r.DeviceID = 7
			r.PrinterProfileID = 3
		})
		for s, err := range p.Watch(ctx, "pay-1") {
			require.NoError(t, err)
			if !slices.Contains(stages, s.Stage) {
				stages = append(stages, s.Stage)
			}
		}
		paid, err := p.Pay(ctx, ask(func(r *kseries.PaymentRequest) {
			r.Tip = d("2.00")
			r.StaffID, r.DeviceID, r.PrinterProfileID = 42, 7, 3
		}))
		require.NoError(t, err)
		cancel()
		group.Wait()
		require.Equal(t, kseries.StageApplying, stages[len(stages)-2])
		require.Equal(t, kseries.StagePaid, stages[len(stages)-1])
		require.Equal(t, kseries.StagePaid, paid.Stage)
		require.Equal(t, "20 2 22", fmt.Sprint(paid.Amount, paid.Tip, paid.Payment.Result.Amount))
		require.Len(t, f.pos.references, 1)
		require.Equal(t, paid.Reference, f.pos.references[0])
		require.LessOrEqual(t, len(paid.Reference), 50)
		require.Equal(t, map[string]any{
			"iKaccountIdentifier": account, "thirdPartyPaymentReference": paid.Reference, "endpointId": "endpoint", "businessLocationId": float64(location),
			"taskTtlInMs": 300000.0, "staffId": 42.0, "deviceId": 7.0, "targetPrinterProfileId": 3.0, "paymentMethod": "OOPAYMENT",
			"paymentAmount": 20.0, "tipAmount": 2.0,
		}, f.pos.taken[paid.Reference])
		require.Len(t, f.card.charged, 1)
		require.Zero(t, f.pos.reads)
		open, err := p.Open(t.Context(), 0, 10)
		require.NoError(t, err)
		require.Empty(t, open)
	})
}

func TestWhatTheCheckGets(t *testing.T) {
	for name, c := range map[string]struct {
		asked, tip string
		result     pairing.Result
		want       string
	}{
		"as asked":                   {"20", "0", pairing.Result{Amount: d("20")}, "20 0"},
		"a tip that was asked for":   {"20", "2", pairing.Result{Amount: d("22")}, "20 2"},
		"a tip at the terminal":      {"20", "0", pairing.Result{Amount: d("23"), Tip: d("3")}, "20 3"},
		"both":                       {"20", "2", pairing.Result{Amount: d("25"), Tip: d("3")}, "20 5"},
		"a surcharge":                {"20", "2", pairing.Result{Amount: d("22.50"), Surcharge: d("0.50")}, "20 2"},
		"more, and nobody says why":  {"20", "0", pairing.Result{Amount: d("21")}, "20 0"},
		"a part":                     {"20", "2", pairing.Result{Amount: d("15")}, "15 0"},
		"a part of the tip":          {"20", "2", pairing.Result{Amount: d("21")}, "20 1"},
		"a part, a tip, a surcharge": {"20", "2", pairing.Result{Amount: d("15"), Tip: d("1"), Surcharge: d("0.4")}, "13.6 1"},
		"an amount that isn't told":  {"20", "0", pairing.Result{}, "20 0"},
		"only a surcharge":           {"20", "0", pairing.Result{Amount: d("1"), Surcharge: d("1")}, ""},
		"less than nothing":          {"20", "0", pairing.Result{Amount: d("1"), Surcharge: d("2")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFloor(t)
				c.result.Outcome = tillroute.Approved
				f.card.result = func(pairing.Payment) pairing.Result { return c.result }
				p := f.node()
				f.listen(p)
				f.submit(p, func(r *kseries.PaymentRequest) { r.Amount, r.Tip = d(c.asked), d(c.tip) })
				f.run(time.Minute, p)
				s := f.status(p)
				if c.want == "" {
					require.Equal(t, kseries.StageRefused, s.Stage)
					require.Contains(t, s.Reason, "Amount is")
					require.Empty(t, f.pos.references)
					return
				}
				require.Equal(t, kseries.StagePaid, s.Stage, s.Reason)
				require.Equal(t, c.want, fmt.Sprint(s.Amount, s.Tip))
				body := f.pos.taken[s.Reference]
				tip := body["tipAmount"]
				if tip == nil {
					tip = 0
				}
				require.Equal(t, c.want, fmt.Sprint(body["paymentAmount"], tip))
			})
		})
	}
}

func TestOnlyWhatWasApprovedIsApplied(t *testing.T) {
	for _, outcome := range []tillroute.Outcome{tillroute.Declined, tillroute.Cancelled, tillroute.Failed, tillroute.Unknown} {
		t.Run(outcome.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFloor(t)
				f.card.result = func(pairing.Payment) pairing.Result {
					return pairing.Result{Outcome: outcome, Reason: "the terminal said so"}
				}
				p := f.node()
				f.listen(p)
				f.submit(p)
				// The same payment at the same moment, which another terminal approves, has the same reference.
				twin := newFloor(t)
				other := twin.node()
				twin.submit(other)
				twin.approve()
				reference := twin.status(other).Reference
				f.run(time.Minute, p)
				require.Empty(t, f.pos.references)
				s, err := p.Wait(t.Context(), "pay-1")
				require.Contains(t, s.Reason, "the terminal said so")
				require.NoError(t, p.Notification(t.Context(), kseries.Notification{Reference: reference, Status: kseries.Success}))
				require.Empty(t, f.status(p).Payment.Mark, "no check can have it")
				if outcome != tillroute.Unknown {
					require.NoError(t, err)
					require.Equal(t, kseries.StageNotPaid, s.Stage)
					return
				}
				require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
				require.Equal(t, kseries.StageInDoubt, s.Stage)
				open, err := p.Open(t.Context(), 0, 10)
				require.NoError(t, err)
				require.Len(t, open, 1)
				// A person has looked at the terminal.
				_, err = f.router.Resolve(t.Context(), "pay-1", pairing.Resolution{Outcome: tillroute.Approved, By: "Ann", Reason: "seen in its journal"})
				require.NoError(t, err)
				f.run(time.Minute, p)
				require.Equal(t, kseries.StagePaid, f.status(p).Stage)
				require.Equal(t, []string{reference}, f.pos.references)
			})
		})
	}
}

var errDies = errors.New("the process dies here")

// TestInvariantACrashAtAnyMomentAppliesOnce kills a node before and after each request and each write, one after the other, and goes
// on with another node.
func TestInvariantACrashAtAnyMomentAppliesOnce(t *testing.T) {
	for _, fails := range [][]string{nil, {"UPDATE_FAILED"}, {"timeout"}} {
		for _, lost := range []bool{false, true} {
			for moment := range 18 {
				t.Run(fmt.Sprintf("fails %v, lost %v, moment %d", fails, lost, moment), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { crashAt(t, fails, lost, moment) })
				})
			}
		}
	}
}

// dies has a node run, which gets the notifications, and die at a moment: before or after a request or a write.
func (f *floor) dies(node *kseries.Payments, moment int) {
	f.t.Helper()
	dying, die := context.WithCancel(f.t.Context())
	var moments atomic.Int64
	step := func(string) error {
		if dying.Err() != nil {
			return errDies
		}
		if moments.Add(1) > int64(moment) {
			die()
			return errDies
		}
		return nil
	}
	f.at(step)
	f.pos.mu.Lock()
	f.pos.notify = func(n kseries.Notification) { _ = node.Notification(dying, n) }
	f.pos.mu.Unlock()
	limited, cancel := context.WithTimeout(dying, 20*time.Minute)
	defer cancel()
	require.Error(f.t, node.Run(limited))
	die()
	f.at(func(string) error { return nil })
}

// at has step called before and after each request and each write. A notification may be on its way.
func (f *floor) at(step func(string) error) {
	f.pos.mu.Lock()
	f.pos.before, f.pos.after = step, step
	f.pos.mu.Unlock()
	f.store.mu.Lock()
	f.store.before, f.store.after = step, step
	f.store.mu.Unlock()
}

func crashAt(t *testing.T, fails []string, lost bool, moment int) {
	t.Helper()
	f := newFloor(t)
	f.pos.fails = fails
	first, second := f.node(), f.node()
	f.listen(first)
	f.submit(first)
	f.run(time.Second) // The terminal approves.
	f.dies(first, moment)
	if lost {
		f.pos.mu.Lock()
		f.pos.notify = nil
		f.pos.mu.Unlock()
	} else {
		f.listen(second)
	}
	f.run(30*time.Minute, second)
	s := f.status(second)
	require.LessOrEqual(t, f.active(), 1, "the check has it twice")
	require.Len(t, f.card.charged, 1)
	if f.active() == 1 {
		require.Equal(t, kseries.StagePaid, s.Stage, s.Reason)
	} else {
		// What failed, and whose notification nobody got, is for a person.
		require.Contains(t, []kseries.Stage{kseries.StageUnconfirmed}, s.Stage)
		require.NotEmpty(t, fails)
	}
	if fails == nil {
		require.Len(t, f.pos.references, 1, "one reference, however often it was sent")
		require.Equal(t, 1, f.active())
	}
}

// TestInvariantTwoGuestsWhoPayTheSameAtOnce has two guests at two terminals pay all that is due of one check at the same moment, kills the
// node before and after each request and each write, one after the other, and goes on with another node. Both cards are charged; the
// check takes one of the payments, and the other is a person's, who says that the money was given back.
func TestInvariantTwoGuestsWhoPayTheSameAtOnce(t *testing.T) {
	for _, lost := range []bool{false, true} {
		for moment := range 24 {
			t.Run(fmt.Sprintf("lost %v, moment %d", lost, moment), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { twoGuestsAt(t, lost, moment) })
			})
		}
	}
}

func twoGuestsAt(t *testing.T, lost bool, moment int) {
	t.Helper()
	f := newFloor(t)
	_, err := f.router.PairTerminal(t.Context(), pairing.Pairing{
		Register: kseries.RegisterKey(location, "device-2"), Terminal: pairing.Terminal{Provider: "card", Serial: "2"},
	})
	require.NoError(t, err)
	first, second := f.node(), f.node()
	f.submit(first, func(r *kseries.PaymentRequest) { r.Amount = d("100") })
	f.submit(first, func(r *kseries.PaymentRequest) {
		r.ID, r.Register.ID, r.Amount = "pay-2", "device-2", d("100")
	})
	f.run(time.Second) // The terminals approve.
	f.dies(first, moment)
	f.pos.mu.Lock()
	f.pos.notify = nil
	f.pos.mu.Unlock()
	if !lost {
		f.listen(second)
	}
	f.run(30*time.Minute, second)
	require.ElementsMatch(t, []string{"pay-1", "pay-2"}, f.card.charged)
	require.Equal(t, 1, f.active(), "the check has one of them")
	open, err := second.Open(t.Context(), 0, 10)
	require.NoError(t, err)
	require.Len(t, open, 1, "the other one is listed")
	other := open[0]
	require.True(t, other.Stage.NeedsPerson(), other.Payment.Mark)
	for _, part := range []string{"100.00 EUR were charged at terminal card/", account, other.Reference, "ive the money back"} {
		require.Contains(t, other.Reason, part)
	}
	if other.Stage == kseries.StageRefused {
		require.Contains(t, other.Reason, "more than was due")
	}
	told, err := second.Wait(t.Context(), other.Payment.ID)
	require.Equal(t, other.Stage == kseries.StageUnconfirmed, errors.Is(err, tillroute.ErrOutcomeUnknown), "the guest is told")
	require.Equal(t, other.Reason, told.Reason)

	// The person's word is written down, or isn't: then they are told so, and say it again.
	back := kseries.Settlement{By: "Ann", Reason: "given back at the terminal"}
	f.store.before = func(string) error { return errDies }
	_, err = second.Resolve(t.Context(), other.Payment.ID, back)
	require.ErrorIs(t, err, errDies)
	f.store.before, f.store.after = nil, func(string) error { return errDies }
	_, err = second.Resolve(t.Context(), other.Payment.ID, back)
	require.ErrorIs(t, err, errDies)
	f.store.after = nil
	third := f.node()
	s, err := third.Resolve(t.Context(), other.Payment.ID, back)
	require.NoError(t, err)
	require.Equal(t, kseries.StageGivenBack, s.Stage)
	f.run(2*time.Minute, third)
	require.Equal(t, 1, f.active())
	require.Len(t, f.card.charged, 2)
	for _, id := range []string{"pay-1", "pay-2"} {
		s, err := third.Status(t.Context(), id)
		require.NoError(t, err)
		want := kseries.StagePaid
		if id == other.Payment.ID {
			want = kseries.StageGivenBack
		}
		require.Equal(t, want, s.Stage, id)
	}
}

func TestInvariantSeveralNodesApplyOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFloor(t)
		nodes := []*kseries.Payments{f.node(), f.node(), f.node()}
		f.pos.notify = func(n kseries.Notification) {
			for _, node := range nodes {
				assert.NoError(t, node.Notification(t.Context(), n))
			}
		}
		f.pos.latency = 10 * time.Second
		sent := 0
		f.pos.before = func(call string) error {
			if call == "pay" {
				sent++
			}
			return nil
		}
		for i := range 20 {
			f.submit(nodes[0], func(r *kseries.PaymentRequest) { r.ID, r.Amount = fmt.Sprint("pay-", i), d("5") })
		}
		f.run(5*time.Minute, nodes...)
		require.Equal(t, 20, f.active())
		require.Len(t, f.pos.references, 20)
		require.Equal(t, 20, sent, "a claim keeps the others from sending it as well")
	})
}

func TestANodeThatFreezesDoesNoHarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFloor(t)
		frozen, other := f.node(), f.node()
		f.listen(other)
		f.submit(frozen)
		first := true
		f.store.after = func(mark string) error {
			f.store.mu.Lock()
			freeze := first && strings.HasPrefix(mark, "mark sending")
			first = first && !freeze
			f.store.mu.Unlock()
			if freeze {
				time.Sleep(2 * time.Minute)
			}
			return nil
		}
		f.run(4*time.Minute, frozen, other)
		require.False(t, first)
		require.Equal(t, kseries.StagePaid, f.status(other).Stage)
		require.Len(t, f.pos.references, 1)
	})
}

func TestWhatPassesIsTriedAgainWithANewReference(t *testing.T) {
	for _, c := range []struct {
		fails []string
		stage kseries.Stage
		sent  int
		says  string
	}{
		{[]string{"UPDATE_FAILED"}, kseries.StagePaid, 2, ""},
		{[]string{"timeout", "UPDATE_FAILED"}, kseries.StagePaid, 3, ""},
		{[]string{"UPDATE_FAILED", "timeout", "UPDATE_FAILED"}, kseries.StageRefused, 3, "UPDATE_FAILED"},
		{[]string{"timeout", "timeout", "timeout"}, kseries.StageRefused, 3, "online"},
		{[]string{"OVERPAID"}, kseries.StageRefused, 1, "more than was due"},
		{[]string{"ACCOUNT_ALREADY_CLOSED"}, kseries.StageRefused, 1, "closed"},
		{[]string{"ACCOUNT_NOT_FOUND"}, kseries.StageRefused, 1, "closed or gone"},
		{[]string{"PAYMENT_METHOD_NOT_FOUND"}, kseries.StageRefused, 1, "payment method"},
		{[]string{"STAFF_NOT_FOUND"}, kseries.StageRefused, 1, "who is responsible"},
		{[]string{"MISSING_STAFF"}, kseries.StageRefused, 1, "who is responsible"},
		{[]string{"NATIVE_PAYMENT_NOT_SUPPORTED"}, kseries.StageRefused, 1, "NATIVE_PAYMENT_NOT_SUPPORTED (the till said so)"},
		{[]string{"SOMETHING NEW\n"}, kseries.StageRefused, 1, "OTHER (the till said so)"},
	} {
		t.Run(fmt.Sprint(c.fails), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFloor(t)
				f.pos.fails = c.fails
				p := f.node()
				f.listen(p)
				f.submit(p)
				f.run(30*time.Minute, p)
				s := f.status(p)
				require.Equal(t, c.stage, s.Stage, s.Reason)
				require.Len(t, f.pos.references, c.sent)
				require.Contains(t, s.Reason, c.says)
				if c.stage == kseries.StagePaid {
					require.Equal(t, 1, f.active())
					return
				}
				for _, part := range []string{"20.00 EUR", "card/1", account, s.Reference, "say"} {
					require.Contains(t, s.Reason, part)
				}
				open, err := p.Open(t.Context(), 0, 10)
				require.NoError(t, err)
				require.Len(t, open, 1)
			})
		})
	}
}

func TestWithoutANotificationTheCheckDecides(t *testing.T) {
	for name, c := range map[string]struct {
		change func(f *floor)
		stage  kseries.Stage
		says   string
	}{
		"the check has it":         {func(*floor) {}, kseries.StagePaid, ""},
		"the check has it not":     {func(f *floor) { f.pos.deaf = true }, kseries.StageUnconfirmed, "doesn't show it"},
		"the check is gone":        {func(f *floor) { f.pos.gone = true }, kseries.StageUnconfirmed, "can't be found"},
		"it no longer counts":      {func(f *floor) { f.pos.after = f.inactive }, kseries.StageUnconfirmed, "no longer counts"},
		"we may not read it":       {func(f *floor) { f.pos.status = only("check", http.StatusForbidden) }, kseries.StageUnconfirmed, "can't be read"},
		"the consent is gone":      {func(f *floor) { f.pos.status = only("check", http.StatusUnauthorized) }, kseries.StageUnconfirmed, "can't be read"},
		"the server has a bad day": {func(f *floor) { f.pos.status = only("check", http.StatusBadGateway) }, kseries.StageApplying, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFloor(t)
				p := f.node()
				c.change(f)
				f.submit(p)
				f.run(6*time.Minute-5*time.Second, p)
				if c.stage != kseries.StagePaid {
					require.Equal(t, kseries.StageApplying, f.status(p).Stage, "too early to say")
				}
				f.run(time.Minute, p)
				s := f.status(p)
				require.Equal(t, c.stage, s.Stage, s.Reason)
				require.Contains(t, s.Reason, c.says)
				require.Len(t, f.pos.references, 1)
				if c.stage != kseries.StageUnconfirmed {
					return
				}
				_, err := p.Wait(t.Context(), "pay-1")
				require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
				// A notification that comes late settles it all the same, in either direction. That what was taken off the check had
				// been applied is no news.
				late := kseries.Notification{Reference: s.Reference, Status: kseries.Success}
				if name == "the check has it not" {
					late.Status, late.TimeoutKey = kseries.Failure, kseries.TaskTimeout
				}
				require.NoError(t, p.Notification(t.Context(), late))
				want := kseries.StagePaid
				if late.Status == kseries.Failure {
					want = kseries.StageRefused
				} else if name == "it no longer counts" {
					want = kseries.StageUnconfirmed
				}
				require.Equal(t, want, f.status(p).Stage)
				f.run(time.Minute, p)
				require.Len(t, f.pos.references, 1, "what waited for a person is not tried again by itself")
			})
		})
	}
}

func (f *floor) inactive(string) error {
	for _, e := range f.pos.entries {
		e["active"] = false
	}
	return nil
}

func only(call string, status int) func(string) int {
	return func(c string) int {
		if c == call {
			return status
		}
		return http.StatusOK
	}
}

func TestALostNotificationIsNotWaitedForToTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFloor(t)
		p := f.node()
		f.submit(p)
		f.run(40*time.Second, p)
		require.Equal(t, kseries.StagePaid, f.status(p).Stage)
		require.Equal(t, 1, f.pos.reads)
	})
}

func TestATryThatIsNotTaken(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		stage  kseries.Stage
	}{
		"what it names must be corrected": {http.StatusBadRequest, kseries.StageRefused},
		"there is no such location":       {http.StatusNotFound, kseries.StageRefused},
		"the consent is gone":             {http.StatusUnauthorized, kseries.StageHeldUp},
		"a scope is missing":              {http.StatusForbidden, kseries.StageHeldUp},
		"too many requests":               {http.StatusTooManyRequests, kseries.StageApplying},
		"the server has a bad day":        {http.StatusBadGateway, kseries.StageApplying},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFloor(t)
				p := f.node()
				f.listen(p)
				f.submit(p)
				f.pos.status = only("pay", c.status)
				f.run(2*time.Minute, p)
				s := f.status(p)
				require.Equal(t, c.stage, s.Stage, s.Reason)
				require.Contains(t, s.Reason, "20.00 EUR were charged")
				require.Contains(t, s.Reason, "(no", "what the vendor said")
				open, err := p.Open(t.Context(), 0, 10)
				require.NoError(t, err)
				require.Len(t, open, 1)
				f.pos.status = only("pay", http.StatusOK)
				if c.stage == kseries.StageRefused {
					_, err := p.Retry(t.Context(), "pay-1", "Ann")
					require.NoError(t, err)
				}
				f.run(2*time.Minute, p)
				require.Equal(t, kseries.StagePaid, f.status(p).Stage)
				require.Len(t, f.pos.references, 1)
			})
		})
	}
}

// TestARefusalAfterADoubtProvesNothing is about a try whose first request got no answer, and whose second was refused for another
// reason.
func TestARefusalAfterADoubtProvesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFloor(t)
		p := f.node()
		f.submit(p)
		// It arrives, and is applied.
		f.pos.after = func(string) error {
			f.pos.status = func(string) int { return http.StatusBadRequest }
			f.pos.after = func(string) error { return nil }
			return io.ErrUnexpectedEOF
		}
		f.run(4*time.Minute, p)
		require.Equal(t, kseries.StageApplying, f.status(p).Stage)
		f.pos.status = only("pay", http.StatusBadRequest)
		f.run(20*time.Minute, p)
		require.Equal(t, kseries.StagePaid, f.status(p).Stage)
		require.Len(t, f.pos.references, 1)
	})
}

// TestNotificationsInAnyOrder has payments at each moment told each thing, twice.
func TestNotificationsInAnyOrder(t *testing.T) {
	const soon, late = 4_000_000_000, 4_000_000_300
	marks := map[string]string{
		"nothing was done": "", "sending": fmt.Sprintf("sending 2 %d %d node", soon, late), "resending": fmt.Sprintf("resending 2 %d %d node no answer", soon, late),
		"waiting": fmt.Sprintf("waiting 2 %d - - because", soon), "submitted": fmt.Sprintf("submitted 2 %d %d -", soon, late),
		"applied": "applied 2 - - check", "refused": "refused 2 - - OVERPAID too much", "silent": "unclear 2 - - SILENT",
		"twice": "unclear 2 - - TWICE", "on the check": "settled 2 - - on-the-check Ann: seen", "given back": "settled 2 - - given-back Ann: cash",
		"given back after all": "settled 2 - - given-back-after-all Ann: cash", "somebody else's": "told page-7 20",
	}
	type news struct {
		try    int
		status kseries.NotificationStatus
		why    kseries.AccountError
	}
	success2, success1 := news{2, kseries.Success, ""}, news{1, kseries.Success, ""}
	failure2, failure1, passing2 := news{2, kseries.Failure, "OVERPAID"}, news{1, kseries.Failure, "OVERPAID"}, news{2, kseries.Failure, "UPDATE_FAILED"}
	want := map[string]map[news]string{
		"nothing was done":     {success1: "applied 1", success2: "applied 2"},
		"sending":              {success1: "unclear 2 - - TWICE", success2: "applied 2", failure2: "refused 2 - - OVERPAID", passing2: "waiting 3"},
		"resending":            {success1: "unclear 2 - - TWICE", success2: "applied 2", failure2: "refused 2 - - OVERPAID", passing2: "waiting 3"},
		"waiting":              {success1: "applied 1", success2: "applied 2", failure2: "refused 2 - - OVERPAID", passing2: "waiting 3"},
		"submitted":            {success1: "unclear 2 - - TWICE", success2: "applied 2", failure2: "refused 2 - - OVERPAID", passing2: "waiting 3"},
		"refused":              {success1: "applied 1", success2: "applied 2"},
		"silent":               {success1: "unclear 2 - - TWICE", success2: "applied 2", failure2: "refused 2 - - OVERPAID", passing2: "refused 2 - - UPDATE_FAILED"},
		"given back":           {success1: "unclear 2 - - AFTERWARDS Ann", success2: "unclear 2 - - AFTERWARDS Ann"},
		"applied":              {success1: "unclear 2 - - TWICE"},
		"twice":                {},
		"on the check":         {},
		"given back after all": {},
		"somebody else's":      {},
	}
	for name, mark := range marks {
		for _, told := range []news{success1, success2, failure1, failure2, passing2} {
			t.Run(fmt.Sprintf("%s: %+v", name, told), func(t *testing.T) {
				f := newFloor(t)
				p := f.node()
				f.submit(p)
				ctx, cancel := context.WithCancel(t.Context())
				var group sync.WaitGroup
				group.Go(func() { _ = f.router.Run(ctx) })
				_, err := f.router.Wait(t.Context(), "pay-1")
				cancel()
				group.Wait()
				require.NoError(t, err)
				f.marked(fmt.Sprintf("refused %d - - OVERPAID", told.try))
				reference := f.status(p).Reference
				f.marked(mark)
				n := kseries.Notification{Type: kseries.AboutPayment, Reference: reference, Status: told.status, AccountError: told.why}
				after := ""
				for range 2 {
					require.NoError(t, p.Notification(t.Context(), n))
					payment, err := f.router.Payment(t.Context(), "pay-1")
					require.NoError(t, err)
					if after != "" {
						require.Equal(t, after, payment.Mark, "the second time changes nothing")
					}
					after = payment.Mark
				}
				change := want[name][told]
				if change == "" {
					require.Equal(t, mark, after)
					return
				}
				require.Truef(t, strings.HasPrefix(after, change), "%q instead of %q", after, change)
			})
		}
	}
}

// TestWhoGaveItBackAfterAllIsNotAskedAgain is about a payment that was given back, and applied all the same.
func TestWhoGaveItBackAfterAllIsNotAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFloor(t)
		p := f.node()
		f.pos.deaf = true
		f.submit(p)
		f.run(10*time.Minute, p)
		back := kseries.Settlement{By: "Ann", Reason: "given back in cash"}
		s, err := p.Resolve(t.Context(), "pay-1", back)
		require.NoError(t, err)
		success := kseries.Notification{Reference: s.Reference, Status: kseries.Success}
		require.NoError(t, p.Notification(t.Context(), success))
		s = f.status(p)
		require.Equal(t, kseries.StageUnconfirmed, s.Stage)
		require.Contains(t, s.Reason, "given back (Ann: given back in cash)")
		s, err = p.Resolve(t.Context(), "pay-1", back)
		require.NoError(t, err)
		require.Equal(t, kseries.StageGivenBack, s.Stage)
		require.NoError(t, p.Notification(t.Context(), success))
		require.Equal(t, kseries.StageGivenBack, f.status(p).Stage)
	})
}

// TestAnAnswerThatIsLostIsNotWaitedFor is about a request whose repetition is refused as used: that proves that it had arrived.
func TestAnAnswerThatIsLostIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFloor(t)
		p := f.node()
		f.submit(p)
		f.pos.after = func(string) error {
			f.pos.after = func(string) error { return nil }
			return io.ErrUnexpectedEOF
		}
		f.run(50*time.Second, p)
		require.Equal(t, kseries.StagePaid, f.status(p).Stage)
	})
}

func TestReferencesAreNeverTheSame(t *testing.T) {
	seen := map[string]string{}
	for _, changed := range []string{"nothing", "ID", "check", "location"} {
		synctest.Test(t, func(t *testing.T) {
			f := newFloor(t)
			_, err := f.router.PairTerminal(t.Context(), pairing.Pairing{
				Register: kseries.RegisterKey(7, "table-12"), Terminal: pairing.Terminal{Provider: "card", Serial: "1"},
			})
			require.NoError(t, err)
			p := f.node()
			f.pos.fails = []string{"UPDATE_FAILED"}
			f.listen(p)
			f.submit(p, func(r *kseries.PaymentRequest) {
				switch changed {
				case "ID":
					r.ID = "pay-2"
				case "check":
					r.AccountIdentifier = "A1.1"
				case "location":
					r.Register.Account = "7"
				}
			})
			f.run(time.Minute, p)
			require.Len(t, f.pos.references, 2)
			for _, reference := range f.pos.references {
				require.Empty(t, seen[reference[5:]], changed)
				seen[reference[5:]] = changed
			}
		})
	}
}

// TestAPaymentThatAppearsLateIsSeen is about stores in which the payments of several terminals don't appear in their order.
func TestAPaymentThatAppearsLateIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFloor(t)
		p, elsewhere := f.node(), f.node()
		f.listen(p)
		f.store.late = "pay-1"
		f.submit(elsewhere)
		f.submit(elsewhere, func(r *kseries.PaymentRequest) { r.ID = "pay-2" })
		var group sync.WaitGroup
		group.Go(func() { f.run(10*time.Minute, p) })
		time.Sleep(30 * time.Second)
		f.submit(elsewhere, func(r *kseries.PaymentRequest) { r.ID = "pay-3" })
		time.Sleep(30 * time.Second)
		f.pos.mu.Lock()
		sent := len(f.pos.references)
		f.pos.mu.Unlock()
		require.Equal(t, 2, sent)
		f.store.mu.Lock()
		f.store.late = ""
		f.store.mu.Unlock()
		group.Wait()
		require.Equal(t, kseries.StagePaid, f.status(p).Stage)
	})
}

func TestAPersonMayTakeTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFloor(t)
		f.card.result = func(p pairing.Payment) pairing.Result {
			if p.ID == "pay-1" {
				return pairing.Result{}
			}
			return pairing.Result{Outcome: tillroute.Approved, Amount: p.Amount}
		}
		p := f.node()
		f.listen(p)
		var group sync.WaitGroup
		group.Go(func() { f.run(time.Hour, p) })
		f.submit(p)
		for i := range 4 {
			time.Sleep(10 * time.Minute)
			f.submit(p, func(r *kseries.PaymentRequest) { r.ID = fmt.Sprint("other-", i); r.Amount = d("1") })
		}
		_, err := f.router.Resolve(t.Context(), "pay-1", pairing.Resolution{Outcome: tillroute.Approved, By: "Ann", Reason: "seen in its journal"})
		require.NoError(t, err)
		group.Wait()
		require.Equal(t, kseries.StagePaid, f.status(p).Stage)
	})
}

func TestNotificationsOfOthersAreLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFloor(t)
		p := f.node(func(c *kseries.PaymentsConfig) { c.RetryPause = time.Hour })
		f.pos.deaf = true
		f.submit(p)
		f.run(time.Minute, p)
		s := f.status(p)
		require.Equal(t, kseries.StageApplying, s.Stage)
		for _, n := range []kseries.Notification{
			{Type: kseries.AboutOrder, Reference: s.Reference, Status: kseries.Success},
			{Reference: s.Reference, Status: kseries.CheckUpdated},
			{Status: kseries.Success},
			{Reference: "12345678901234", Status: kseries.Success},
			{Reference: "tr-1-1-00000000000000000000", Status: kseries.Success},
			{Reference: "tr-9223372036854775807-1-00000000000000000000", Status: kseries.Success},
			{Reference: "tr-0-1-00000000000000000000", Status: kseries.Success},
			{Reference: "tr-2-1" + s.Reference[6:], Status: kseries.Success},
			{Reference: s.Reference + "0", Status: kseries.Success},
		} {
			require.NoError(t, p.Notification(t.Context(), n))
			require.Equal(t, kseries.StageApplying, f.status(p).Stage, "%+v", n)
		}
		elsewhere := f.node(func(c *kseries.PaymentsConfig) { c.Locations = []int64{1} })
		require.NoError(t, elsewhere.Notification(t.Context(), kseries.Notification{Reference: s.Reference, Status: kseries.Success}))
		require.Equal(t, kseries.StageApplying, f.status(p).Stage)
		f.store.broken = true
		require.Error(t, p.Notification(t.Context(), kseries.Notification{Reference: s.Reference, Status: kseries.Success}))
		f.store.broken = false
		f.store.before = func(string) error { return errDies }
		require.ErrorIs(t, p.Notification(t.Context(), kseries.Notification{Reference: s.Reference, Status: kseries.Success}), errDies)
		f.store.before = nil
		require.NoError(t, p.Notification(t.Context(), kseries.Notification{Reference: s.Reference, Status: kseries.Success}))
		require.Equal(t, kseries.StagePaid, f.status(p).Stage)
	})
}

func TestTheNotificationThatOvertakesTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFloor(t)
		p := f.node()
		f.pos.deaf = true
		f.pos.after = func(call string) error {
			if call == "pay" {
				assert.NoError(t, p.Notification(t.Context(), kseries.Notification{Reference: f.pos.references[0], Status: kseries.Success}))
			}
			return nil
		}
		f.submit(p)
		f.run(time.Hour, p)
		require.Equal(t, kseries.StagePaid, f.status(p).Stage)
		require.Len(t, f.pos.references, 1)
	})
}

func TestPeopleSettleWhatWasRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFloor(t)
		p := f.node()
		f.listen(p)
		f.pos.fails = []string{"PAYMENT_METHOD_NOT_FOUND", "PAYMENT_METHOD_NOT_FOUND"}
		f.submit(p)
		_, err := p.Retry(t.Context(), "pay-1", "Ann")
		require.ErrorIs(t, err, tillroute.ErrConflict, "it is not approved yet")
		_, err = p.Resolve(t.Context(), "pay-1", kseries.Settlement{By: "Ann", Reason: "cash"})
		require.ErrorIs(t, err, tillroute.ErrConflict, "it is not approved yet")
		f.run(time.Minute, p)
		require.Equal(t, kseries.StageRefused, f.status(p).Stage)
		for _, bad := range []string{"", " \n", strings.Repeat("x", 121)} {
			_, err = p.Retry(t.Context(), "pay-1", bad)
			require.ErrorIs(t, err, tillroute.ErrInvalid)
			_, err = p.Resolve(t.Context(), "pay-1", kseries.Settlement{By: bad, Reason: "cash"})
			require.ErrorIs(t, err, tillroute.ErrInvalid)
			_, err = p.Resolve(t.Context(), "pay-1", kseries.Settlement{By: "Ann", Reason: bad})
			require.ErrorIs(t, err, tillroute.ErrInvalid)
		}
		s, err := p.Retry(t.Context(), "pay-1", "Ann")
		require.NoError(t, err)
		require.Equal(t, kseries.StageApplying, s.Stage)
		_, err = p.Retry(t.Context(), "pay-1", "Ann")
		require.ErrorIs(t, err, tillroute.ErrConflict, "it is under way")
		f.run(time.Minute, p)
		require.Equal(t, kseries.StageRefused, f.status(p).Stage)
		require.Len(t, f.pos.references, 2)
		given := kseries.Settlement{By: "Ann", Reason: "given back in cash"}
		s, err = p.Resolve(t.Context(), "pay-1", given)
		require.NoError(t, err)
		require.Equal(t, kseries.StageGivenBack, s.Stage)
		require.Contains(t, s.Reason, "Ann: given back in cash")
		_, err = p.Resolve(t.Context(), "pay-1", given)
		require.NoError(t, err, "the same once more")
		_, err = p.Resolve(t.Context(), "pay-1", kseries.Settlement{OnCheck: true, By: "Bob", Reason: "seen"})
		require.ErrorIs(t, err, tillroute.ErrConflict)
		_, err = p.Retry(t.Context(), "pay-1", "Ann")
		require.ErrorIs(t, err, tillroute.ErrConflict)
		f.run(time.Hour, p)
		require.Len(t, f.pos.references, 2)
		open, err := p.Open(t.Context(), 0, 10)
		require.NoError(t, err)
		require.Empty(t, open)
	})
}

func TestWhatIsUnclearIsNotTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFloor(t)
		p := f.node()
		f.pos.deaf = true
		f.submit(p)
		f.run(time.Minute, p)
		_, err := p.Resolve(t.Context(), "pay-1", kseries.Settlement{OnCheck: true, By: "Ann", Reason: "entered by hand"})
		require.ErrorIs(t, err, tillroute.ErrConflict, "it may still be applied by itself")
		f.run(10*time.Minute, p)
		require.Equal(t, kseries.StageUnconfirmed, f.status(p).Stage)
		_, err = p.Retry(t.Context(), "pay-1", "Ann")
		require.ErrorIs(t, err, tillroute.ErrConflict)
		s, err := p.Resolve(t.Context(), "pay-1", kseries.Settlement{OnCheck: true, By: "Ann", Reason: "entered by hand"})
		require.NoError(t, err)
		require.Equal(t, kseries.StagePaid, s.Stage)
	})
}

func TestAnEarlierTryIsLookedForBeforeTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFloor(t)
		p := f.node()
		f.listen(p)
		// It is applied, and the point of sale says that it isn't.
		f.pos.fails = []string{"UPDATE_FAILED"}
		f.pos.after = func(call string) error {
			if call == "pay" {
				f.pos.entries = []map[string]any{{"externalReference": f.pos.references[0], "amountPaid": 20, "active": true}}
			}
			return nil
		}
		f.submit(p)
		f.run(time.Hour, p)
		require.Equal(t, kseries.StagePaid, f.status(p).Stage)
		require.Len(t, f.pos.references, 1)
	})
}

func TestPaymentsOfOthersAreLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFloor(t)
		register := kseries.RegisterKey(location, "table-12")
		for i, request := range []pairing.Request{
			{Register: register},
			{Register: register, Data: []byte(`not JSON`)},
			{Register: register, Data: []byte(`{"kseries":7}`)},
			{Register: register, Data: []byte(`{"kseries":{"account":""}}`)},
			{Register: register, Kind: pairing.Refund, Data: []byte(`{"kseries":{"account":"A1","amount":"1"}}`)},
		} {
			request.ID, request.Amount, request.Currency = fmt.Sprint(i), d("1"), "EUR"
			_, err := f.router.Submit(t.Context(), request)
			require.NoError(t, err)
		}
		elsewhere := f.node(func(c *kseries.PaymentsConfig) { c.Locations = []int64{1} })
		p := f.node()
		f.submit(p)
		f.run(time.Minute, elsewhere)
		require.Empty(t, f.pos.references)
		_, err := elsewhere.Submit(t.Context(), ask())
		require.ErrorContains(t, err, "none of Locations")
		f.run(time.Minute, p)
		require.Len(t, f.pos.references, 1)
	})
}

func TestWhatCannotBeAppliedIsNotCharged(t *testing.T) {
	f := newFloor(t)
	p := f.node()
	for says, change := range map[string]func(*kseries.PaymentRequest){
		"Register is of the system":    func(r *kseries.PaymentRequest) { r.Register.System = "xseries" },
		`Register.Account "my-bistro"`: func(r *kseries.PaymentRequest) { r.Register.Account = "my-bistro" },
		`Register.Account "-7"`:        func(r *kseries.PaymentRequest) { r.Register.Account = "-7" },
		"AccountIdentifier":            func(r *kseries.PaymentRequest) { r.AccountIdentifier = "" },
		"must be above zero":           func(r *kseries.PaymentRequest) { r.Amount, r.Tip = decimal.Zero, d("1") },
		"must not be below zero":       func(r *kseries.PaymentRequest) { r.Tip = d("-1") },
		"digits":                       func(r *kseries.PaymentRequest) { r.Amount = d("123456789012345.67") },
		"Data is not a JSON object":    func(r *kseries.PaymentRequest) { r.Data = []byte(`[]`) },
		"which is taken":               func(r *kseries.PaymentRequest) { r.Data = []byte(`{"kseries":1}`) },
		"decimals":                     func(r *kseries.PaymentRequest) { r.Amount = d("1.005") },
		"the ID":                       func(r *kseries.PaymentRequest) { r.ID = "" },
	} {
		_, err := p.Submit(t.Context(), ask(change))
		require.ErrorIs(t, err, tillroute.ErrInvalid, says)
		require.ErrorContains(t, err, says)
		require.NotContains(t, err.Error(), "BusinessLocationID", "a PaymentRequest has none")
	}
	_, err := p.Submit(t.Context(), ask(func(r *kseries.PaymentRequest) { r.Register.ID = "table-13" }))
	require.ErrorIs(t, err, pairing.ErrNotPaired)
	s, err := p.Submit(t.Context(), ask(func(r *kseries.PaymentRequest) { r.Data = []byte(`{"smartconnect":{"reference":"7"}}`) }))
	require.NoError(t, err)
	require.JSONEq(t, `{"smartconnect":{"reference":"7"},"kseries":{"account":"A78094.48","amount":"20"}}`, string(s.Payment.Data))
	_, err = p.Submit(t.Context(), ask())
	require.ErrorIs(t, err, tillroute.ErrConflict, "the ID was used for something else")
}

func TestNewPaymentsChecksEverything(t *testing.T) {
	_, err := kseries.NewPayments(kseries.PaymentsConfig{
		TTL: time.Second, Margin: -1, RetryPause: 1, Interval: 1, CheckInterval: 1, Locations: []int64{0}, Client: &kseries.Client{},
	})
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	for _, name := range []string{"Client", "Router", "EndpointID", "TTL", "Margin", "RetryPause", "Interval", "CheckInterval", "Locations"} {
		require.ErrorContains(t, err, name)
	}
	require.ErrorIs(t, (&kseries.Payments{}).Run(t.Context()), tillroute.ErrInvalid)
}

func TestWhoStopsWaitingGetsNoRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFloor(t)
		p := f.node()
		f.pos.deaf = true
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var group sync.WaitGroup
		group.Go(func() { f.run(10*time.Minute, p) })
		began := time.Now()
		s, err := p.Pay(ctx, ask())
		require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, tillroute.ErrTimeout)
		require.Equal(t, time.Minute, time.Since(began))
		require.Equal(t, kseries.StageApplying, s.Stage)
		_, err = p.Wait(t.Context(), "nobody's")
		require.ErrorIs(t, err, tillroute.ErrNotFound)
		group.Wait()
	})
}

func TestRunOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFloor(t)
		p := f.node()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- p.Run(ctx) }()
		synctest.Wait()
		require.ErrorIs(t, p.Run(ctx), tillroute.ErrInvalid)
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
	})
}

func TestAStoreThatFailsIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFloor(t)
		p := f.node()
		f.listen(p)
		f.submit(p)
		f.run(time.Second)
		f.store.broken = true
		f.run(time.Minute, p)
		require.Empty(t, f.pos.references)
		f.store.broken = false
		writes := 0
		f.store.before = func(string) error {
			if writes++; writes < 4 {
				return errDies
			}
			return nil
		}
		f.run(5*time.Minute, p)
		require.Equal(t, kseries.StagePaid, f.status(p).Stage)
		require.Len(t, f.pos.references, 1)
	})
}

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		due, currency string
		payers        int
		want          string
	}{
		{"100", "EUR", 3, "[33.34 33.33 33.33]"},
		{"0.05", "EUR", 3, "[0.02 0.02 0.01]"},
		{"100", "JPY", 3, "[34 33 33]"},
		{"100", "CHF", 3, "[33.35 33.35 33.3]"},
		{"10.02", "CHF", 2, "[5.02 5]"},
		{"20", "EUR", 1, "[20]"},
		{"1", "BHD", 3, "[0.334 0.333 0.333]"},
	} {
		shares, err := kseries.Split(d(c.due), c.payers, c.currency)
		require.NoError(t, err)
		require.Equal(t, c.want, fmt.Sprint(shares))
		require.True(t, decimal.Sum(decimal.Zero, shares...).Equal(d(c.due)))
	}
	for _, c := range []struct {
		due, currency string
		payers        int
	}{{"1", "EUR", 0}, {"1", "EUR", -1}, {"1", "EUR", 1001}, {"0.02", "EUR", 3}, {"0.10", "CHF", 3}, {"0", "EUR", 1}, {"-1", "EUR", 1}, {"1.005", "EUR", 1}, {"1", "XXX", 1}} {
		_, err := kseries.Split(d(c.due), c.payers, c.currency)
		require.ErrorIs(t, err, tillroute.ErrInvalid, "%+v", c)
	}
}

func TestWhatTheVendorSaysFitsIntoAMark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, reason := range []string{"", strings.Repeat("long ", 200), strings.Repeat("é", 300), "a\x00b\nc\td\xff\u2028\u200b", "  ", "🍕🍕", "- -"} {
			f := newFloor(t)
			p := f.node()
			f.pos.deaf = true
			f.submit(p)
			f.run(time.Minute, p)
			n := kseries.Notification{Reference: f.status(p).Reference, Status: kseries.Failure, Reason: reason, TimeoutMessage: "too late"}
			require.NoError(t, p.Notification(t.Context(), n), "%q", reason)
			require.Equal(t, kseries.StageRefused, f.status(p).Stage, "%q", reason)
		}
	})
}

func TestCurrencyOfALocation(t *testing.T) {
	s := newServer(t, answer(http.StatusOK, fixture(t, "financial_businesses_200.json")))
	currency, err := s.client(t).Finance.Currency(t.Context(), 1234567890)
	require.NoError(t, err)
	require.Equal(t, "GBP", currency)
	_, err = s.client(t).Finance.Currency(t.Context(), 1)
	require.ErrorIs(t, err, tillroute.ErrNotFound)
	require.ErrorContains(t, err, "business location 1")

	// The second page is read too.
	var full []string
	for i := range 1000 {
		full = append(full, fmt.Sprintf(`{"businessId":%d,"currencyCode":"EUR"}`, i+1))
	}
	s = newServer(t, answer(http.StatusOK, `{"_embedded":{"businessList":[`+strings.Join(full, ",")+`]}}`),
		answer(http.StatusOK, fixture(t, "financial_businesses_200.json")))
	currency, err = s.client(t).Finance.Currency(t.Context(), 1234567890)
	require.NoError(t, err)
	require.Equal(t, "GBP", currency)
	require.Equal(t, "page=1&size=1000", s.got()[1].query)
}
