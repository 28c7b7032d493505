package paysera

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
)

// MerchantConfig configures a [Merchant].
type MerchantConfig struct {
	// Client is a merchant's. Required.
	Client *Client
	// Till is the program. Required.
	Till Till
	// Interval is the least time between two looks at the waiting spots. Defaults to 5 s; 1 s at least. Less than 4 s
	// uses up what the server takes in an hour.
	Interval time.Duration
	// OpenInterval is the least time between two looks at all open spots, by which it is noticed that guests have left.
	// Defaults to 1 min; 1 s at least.
	OpenInterval time.Duration
	// FollowInterval is the least time between two looks at a transaction. Defaults to Interval; 1 s at least. With
	// callbacks, see [Merchant.Callback], a minute will do.
	FollowInterval time.Duration
	// RequestsPerHour is how many requests to make in an hour, with up to 30 at once. Defaults to 900, of the 1000
	// that the server takes from an account; 1 at least. Share them if the account has other clients.
	RequestsPerHour int
	// Logger gets what an operator needs to know, with the keys spot, bill and transaction: at error level what a person
	// should look at, at warn level what is tried again. Defaults to silence.
	Logger *slog.Logger
}

const (
	defaultInterval     = 5 * time.Second
	minInterval         = time.Second
	defaultOpenInterval = time.Minute
	defaultRequests     = 900
	// burst keeps a minute's requests below the 60 that the server takes.
	burst = 30
	// longestPause bounds the wait after rounds that failed.
	longestPause = time.Minute
)

// Merchant does what a merchant's side has to do at its spots: it notices guests and tells the [Till], puts the till's bills
// before them, follows their transactions, confirms or revokes as the till decides when money is reserved, and closes spots
// that the till doesn't know or is done with. It is safe for concurrent use. [NewMerchant] makes one; it does nothing before
// [Merchant.Run].
//
// # What survives
//
// The Merchant keeps nothing that must survive. The till keeps its bills with what was saved in them, and the server keeps
// spots, orders and transactions. Whenever the process dies, the next Run goes on:
//
//   - A transaction that was made and not saved is in no order: nobody can pay it, and the server deletes it in time.
//   - A bill whose transaction was saved, and which may or may not be before the guests, is looked for among the spot's orders.
//     Where the server doesn't show these, and the transaction is untouched, it is revoked and replaced.
//   - What to confirm is saved (Charge) before it is sent. If the answer is lost, the transaction is looked at: confirmed, it is
//     paid; reserved still, it is confirmed again, with the same amount and no other.
//   - A bill has ended only once the server has said so of its transaction, and that was saved.
//
// Run one Merchant for a location at a time. Of two, none charges a guest twice for a bill, as long as Save refuses what it
// has to, but they waste requests and bills.
type Merchant struct {
	config MerchantConfig
	client *Client
	till   Till
	log    *slog.Logger
	wake   chan struct{}

	mu      sync.Mutex
	running bool
	hints   map[string]bool

	// step is held for each step with a bill, and whenever the till is called. It guards what follows.
	step lock
	// bills are those that the round has read and not come to yet.
	bills []Bill
	// withdrawn are the bills that are no longer to be paid here, whatever an older copy says.
	withdrawn map[string]bool
	// charged is what was confirmed of a transaction, should the till have forgotten.
	charged map[string]decimal.Decimal
	// looked is when a bill's transaction was looked at.
	looked map[string]time.Time
	// due says that the open spots are to be looked at, however recently they were: a bill has ended.
	due    bool
	budget bucket
}

// NewMerchant checks the configuration and returns a merchant. It starts nothing. Its error names every field that is wrong.
func NewMerchant(c MerchantConfig) (*Merchant, error) {
	var problems []string
	if c.Client == nil || c.Client.c == nil {
		problems = append(problems, "Client is missing, or was not made by New")
	}
	if c.Till == nil {
		problems = append(problems, "Till is missing")
	}
	if c.Interval == 0 {
		c.Interval = defaultInterval
	}
	for _, d := range []struct {
		name  string
		value *time.Duration
		usual time.Duration
	}{
		{"Interval", &c.Interval, c.Interval},
		{"OpenInterval", &c.OpenInterval, defaultOpenInterval},
		{"FollowInterval", &c.FollowInterval, c.Interval},
	} {
		if *d.value == 0 {
			*d.value = d.usual
		}
		if *d.value < minInterval {
			problems = append(problems, d.name+" must be at least "+minInterval.String())
		}
	}
	if c.RequestsPerHour == 0 {
		c.RequestsPerHour = defaultRequests
	}
	if c.RequestsPerHour < 0 {
		problems = append(problems, "RequestsPerHour must not be negative")
	}
	if len(problems) > 0 {
		return nil, tillroute.Invalid(System, "NewMerchant", "%s", strings.Join(problems, "; "))
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Merchant{
		config: c, client: c.Client, till: guarded{c.Till}, log: c.Logger, wake: make(chan struct{}, 1), hints: map[string]bool{},
		step:      make(lock, 1),
		withdrawn: map[string]bool{}, charged: map[string]decimal.Decimal{}, looked: map[string]time.Time{},
		budget: bucket{every: time.Hour / time.Duration(c.RequestsPerHour)},
	}, nil
}

// Run works until ctx ends, and returns ctx's error. It takes up what an earlier one left behind. One call runs at a time, and
// another is an error of kind Invalid. What goes wrong is logged, and tried again in the next round, after a pause that grows to a
// minute, or as long as the server asks for, up to an hour.
func (m *Merchant) Run(ctx context.Context) error {
	if m.client == nil {
		return tillroute.Invalid(System, "Merchant.Run", "this merchant was not made by NewMerchant")
	}
	m.mu.Lock()
	if m.running {
		m.mu.Unlock()
		return tillroute.Invalid(System, "Merchant.Run", "this merchant runs already: call Run once")
	}
	m.running = true
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.running = false
	}()
	r := &round{Merchant: m}
	pause := time.Duration(0)
	for {
		next := m.config.Interval + rand.N(m.config.Interval/5+1) //nolint:gosec // jitter needs no secrecy.
		err := r.run(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			m.log.LogAttrs(ctx, slog.LevelWarn, "a round failed", slog.Any("error", err))
			pause = min(max(2*pause, next), longestPause)
			away := retryAfter(err)
			if err := m.sleep(ctx, nil, away); err != nil {
				return err
			}
			next = max(0, pause-away)
		} else {
			pause = 0
		}
		if err := m.sleep(ctx, r, next); err != nil {
			return err
		}
	}
}

// retryAfter returns how long to stay away because there were too many requests: a minute, if the server didn't say, and an hour
// at most, after which it has forgotten them.
func retryAfter(err error) time.Duration {
	e, ok := errors.AsType[*tillroute.Error](err)
	if !ok || e.Kind != tillroute.KindRateLimited {
		return 0
	}
	return min(max(e.RetryAfter, longestPause), time.Hour)
}

// sleep waits for the next round, and has r, unless it is nil, follow what it is called back about meanwhile.
func (m *Merchant) sleep(ctx context.Context, r *round, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	wake := m.wake
	if r == nil {
		wake = nil
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			return nil
		case <-wake:
			if err := r.hinted(ctx); err != nil && ctx.Err() == nil {
				m.log.LogAttrs(ctx, slog.LevelWarn, "a callback was not followed, the next round will", slog.Any("error", err))
			}
		}
	}
}

// takeHints returns the keys of the transactions that callbacks were about, and putBack those that were not followed after all.
func (m *Merchant) takeHints() map[string]bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	hints := m.hints
	m.hints = map[string]bool{}
	return hints
}

func (m *Merchant) putBack(hints map[string]bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.Copy(m.hints, hints)
}

// Callback has Run look at the event's transaction at once. It is for the Handle of a [CallbackConfig], returns at once, and
// returns no error: the event is only a hint, and what is lost of it is seen by polling.
func (m *Merchant) Callback(_ context.Context, e Event) error {
	if e.Transaction == nil {
		return nil
	}
	m.mu.Lock()
	// What isn't followed by anybody must not pile up.
	if m.running {
		m.hints[e.Transaction.Key] = true
	}
	m.mu.Unlock()
	select {
	case m.wake <- struct{}{}:
	default:
	}
	return nil
}

// Withdraw ends a bill, so that it can be paid in another way: at the terminal that the spot is paired with, or in cash. It
// returns the bill with its Status, which was saved. Only if that is [BillUnpaid] and the error is nil is the money to be taken
// elsewhere; [BillPaid] says that the guests were quicker. With an error, the Status is empty: it isn't known yet, so withdraw the
// bill again. Kind Conflict says that the transaction can't be revoked now, or that the till has no such bill that is open.
//
// It doesn't need Run to run, and goes together with it. It waits while Run is busy with a bill, and for its share of the requests.
func (m *Merchant) Withdraw(ctx context.Context, b Bill) (Bill, error) {
	b.Status = ""
	if m.client == nil {
		return b, tillroute.Invalid(System, "Merchant.Withdraw", "this merchant was not made by NewMerchant")
	}
	if err := m.step.take(ctx); err != nil {
		return b, notWithdrawn(b, err)
	}
	defer m.step.release()
	r := &round{Merchant: m}
	// The copy may be older than what was saved.
	b, err := r.current(ctx, b)
	if err != nil {
		return b, notWithdrawn(b, err)
	}
	m.withdrawn[b.Reference] = true
	b.Withdrawn = true
	if b, err = r.withdraw(ctx, b); err != nil {
		b.Status = ""
		return b, notWithdrawn(b, err)
	}
	return b, nil
}

// notWithdrawn returns the error of a bill of which nobody knows whether it can still be paid.
func notWithdrawn(b Bill, cause error) error {
	if _, ok := errors.AsType[*tillroute.Error](cause); ok {
		return cause
	}
	e := &tillroute.Error{
		System: System, Operation: "Merchant.Withdraw", Err: cause,
		Message: fmt.Sprintf("it isn't known whether bill %.40q can still be paid: withdraw it again", b.Reference),
	}
	switch {
	case errors.Is(cause, context.DeadlineExceeded):
		e.Kind = tillroute.KindTimeout
	case errors.Is(cause, context.Canceled):
		e.Kind = tillroute.KindCanceled
	}
	return e
}

// lock is a mutex that can be waited for as long as a context.
type lock chan struct{}

func (l lock) take(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case l <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l lock) release() { <-l }

// guarded is a till whose panics are errors: one bill that it can't stand must not keep all the others from being paid.
type guarded struct{ till Till }

func (g guarded) Spot(ctx context.Context, spot Spot) (wish Wish, err error) {
	defer caught(&err)
	return g.till.Spot(ctx, spot)
}

func (g guarded) Bills(ctx context.Context) (bills []Bill, err error) {
	defer caught(&err)
	return g.till.Bills(ctx)
}

func (g guarded) Save(ctx context.Context, bill Bill) (err error) {
	defer caught(&err)
	return g.till.Save(ctx, bill)
}

func (g guarded) Reserved(ctx context.Context, bill Bill, transaction Transaction) (decision Decision, err error) {
	defer caught(&err)
	return g.till.Reserved(ctx, bill, transaction)
}

// caught turns a panic into an error. It is to be deferred.
func caught(err *error) {
	if cause := recover(); cause != nil {
		*err = fmt.Errorf("the till panicked: %v\n%s", cause, debug.Stack())
	}
}

// bucket spreads requests over the hour.
type bucket struct {
	every time.Duration
	mu    sync.Mutex
	// full is when the bucket will be full again, if nothing is taken any more.
	full time.Time
}

// take waits until a request may be made.
func (b *bucket) take(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b.mu.Lock()
	now := time.Now()
	if b.full.Before(now) {
		b.full = now
	}
	b.full = b.full.Add(b.every)
	wait := b.full.Sub(now) - burst*b.every
	b.mu.Unlock()
	if wait <= 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		// It was not used. Whoever came later waits a little longer than they had to.
		b.mu.Lock()
		b.full = b.full.Add(-b.every)
		b.mu.Unlock()
		return ctx.Err()
	}
}
