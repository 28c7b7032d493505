package pairing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tillroute/tillroute"
)

// Run works on the payments of the store until ctx ends, and returns ctx's error. It takes up what an earlier
// process left behind as soon as its lease has ended. One call runs at a time, another is Invalid; when it has returned, Run
// may be called again. Any number of nodes may run on one store. A store in trouble doesn't end it: what fails is logged and
// tried again. At the beginning and once an hour it forgets the [Deliveries] of the store that are older than 30 days.
//
// When ctx ends, nothing new is sent. A payment that is being handed to a terminal at that moment is handed over to
// the end and its handle written down, so Run may take as long as a driver's Start, and a Lease more if the store is in
// trouble; payments that are being followed are left as they are, for the next Run.
func (r *Router) Run(ctx context.Context) error {
	var workers sync.WaitGroup
	defer workers.Wait()
	active := &activeSet{slots: map[Terminal]*slot{}}
	start := func(t Terminal) {
		if r.drivers[t.Provider] == nil || !active.enter(t) {
			return
		}
		workers.Go(func() { r.work(ctx, active, t) })
	}
	r.mu.Lock()
	if r.running {
		r.mu.Unlock()
		return tillroute.Invalid(system, "Run", "this router runs already: call Run once")
	}
	r.running, r.start = true, start
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.running, r.start = false, nil
		r.mu.Unlock()
	}()
	if notifier, ok := r.store.(Notifier); ok {
		workers.Go(func() { r.listen(ctx, notifier, start) })
	}
	r.housekeep(ctx)
	tick := time.NewTicker(r.config.PollInterval)
	defer tick.Stop()
	purge := time.NewTicker(time.Hour)
	defer purge.Stop()
	for {
		r.poll(ctx, start)
		select {
		case <-tick.C:
		case <-purge.C:
			r.housekeep(ctx)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// maxReady is how many terminals one poll takes up; the next poll takes the rest.
const maxReady = 1000

func (r *Router) poll(ctx context.Context, start func(Terminal)) {
	providers := make([]string, 0, len(r.drivers))
	for provider := range r.drivers {
		providers = append(providers, provider)
	}
	slices.Sort(providers)
	began := time.Now()
	terminals, err := r.store.ReadyTerminals(ctx, providers, maxReady)
	switch {
	case err == nil:
		if time.Since(began) > r.config.Lease {
			r.outage.noticed()
		}
		r.outage.answer()
	case ctx.Err() == nil:
		r.outage.failed(r.config.Lease)
	}
	if err != nil {
		r.complain(ctx, "the store can't be asked for work", err)
		return
	}
	for _, t := range terminals {
		start(t)
	}
}

// listen hears of other nodes' changes, and begins again when the store's connection is lost.
func (r *Router) listen(ctx context.Context, notifier Notifier, start func(Terminal)) {
	for ctx.Err() == nil {
		err := notifier.Notify(ctx, func(t Terminal, work bool) {
			r.hub.changed(t)
			if work && t != (Terminal{}) {
				start(t)
			}
		})
		r.complain(ctx, "the store no longer tells what other nodes do; polling goes on", err)
		pause(ctx, r.config.PollInterval)
	}
}

// deliveryAge is how long webhook keys are kept: as long as the most patient sender repeats.
const deliveryAge = 30 * 24 * time.Hour

func (r *Router) housekeep(ctx context.Context) {
	if _, err := r.store.PurgeDeliveries(ctx, deliveryAge); err != nil {
		r.complain(ctx, "old deliveries can't be forgotten", err)
	}
}

// kick has this node look at a terminal's queue now.
func (r *Router) kick(t Terminal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	// Under the lock, so that no worker starts after Run has begun to wait for them.
	if r.start != nil {
		r.start(t)
	}
}

// activeSet holds the terminals that this node works on, each with one worker.
type activeSet struct {
	mu    sync.Mutex
	slots map[Terminal]*slot
}

type slot struct{ again bool }

// enter reports whether the caller is to start a worker. If there is one already, it will look once more.
func (a *activeSet) enter(t Terminal) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s := a.slots[t]; s != nil {
		s.again = true
		return false
	}
	a.slots[t] = &slot{}
	return true
}

// leave reports whether the worker may go; if something came in meanwhile it must look once more.
func (a *activeSet) leave(t Terminal) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s := a.slots[t]; s.again {
		s.again = false
		return false
	}
	delete(a.slots, t)
	return true
}

// work serves the queue of one terminal until it is empty or its head belongs to another node.
func (r *Router) work(ctx context.Context, active *activeSet, t Terminal) {
	for {
		if err := r.drain(ctx, t); err != nil {
			r.complain(ctx, "the queue of a terminal can't be served", err, slog.String("terminal", t.String()))
			// The store is in trouble: come back with the next poll rather than at once.
			pause(ctx, r.config.PollInterval)
		}
		if active.leave(t) || ctx.Err() != nil {
			return
		}
	}
}

func (r *Router) drain(ctx context.Context, t Terminal) error {
	// What other nodes have accepted while a payment was being finished is not always seen in that write, nor could
	// they claim it then: look once more.
	_, shared := r.store.(Notifier)
	for again := true; again && ctx.Err() == nil; {
		if spared, err := r.spare(ctx, t); spared || err != nil {
			return err
		}
		began := time.Now()
		claim, ok, err := r.claim(ctx, t)
		again = false
		for ok && err == nil {
			var end ending
			r.hub.advanced(t)
			end, err = r.serve(ctx, claim, began)
			if err != nil || end.left {
				return err
			}
			if end.requeued && end.delay > 0 {
				// Nobody sleeps on the queue meanwhile: should its head be withdrawn, the next one goes ahead.
				time.AfterFunc(end.delay, func() { r.kick(t) })
				return nil
			}
			if again = end.requeued || shared; end.requeued {
				break
			}
			began = time.Now()
			claim, ok, err = r.finish(ctx, claim, end.result, end.took)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// claim leases the head of a queue. A stop does not interrupt it, and a lost answer is asked for again until there is one:
// a claim that was written and that nobody holds would look like a payment that was lost while it was sent.
func (r *Router) claim(ctx context.Context, t Terminal) (Claim, bool, error) {
	asking, cancel := r.outlasting(ctx)
	defer cancel()
	lost := false
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, r.config.PollInterval) {
		claim, ok, err := r.store.ClaimPayment(asking, t, r.owner, r.config.Lease)
		if errors.Is(err, tillroute.ErrUnavailable) {
			r.outage.failed(r.config.Lease)
		}
		lost = lost || errors.Is(err, tillroute.ErrOutcomeUnknown)
		if !lost || settled(err) || asking.Err() != nil {
			return claim, ok, err
		}
		r.complain(ctx, "whether a payment was claimed is not known, and asked again", err, slog.String("terminal", t.String()))
		pause(asking, wait)
	}
}

// begun remembers the payments whose Start this router has called, until nobody can take them for unsent: the store
// gives an owner its own claim again, and can't know what was done with it.
type begun struct {
	mu       sync.Mutex
	payments map[string]start
}

// start is what this router knows of a payment whose Start it has called.
type start struct {
	// handle is what Start has returned, unless it can't be kept.
	handle *Handle
	// why there is no handle, for people.
	why string
}

func (b *begun) put(id string, s start) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.payments == nil {
		b.payments = map[string]start{}
	}
	b.payments[id] = s
}

func (b *begun) forget(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.payments, id)
}

func (b *begun) get(id string) (s start, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s, ok = b.payments[id]
	return s, ok
}

// ending says what became of a claim.
type ending struct {
	// result is how the payment ended, unless it was left or requeued.
	result Result
	// took is how long the terminal had it, if it had it.
	took time.Duration
	// left payments are under way, and followed by somebody else or later.
	left bool
	// requeued payments were provably not sent.
	requeued bool
	delay    time.Duration
}

// serve takes a claimed payment as far as it goes.
func (r *Router) serve(ctx context.Context, claim Claim, began time.Time) (ending, error) {
	lease := r.keepLease(ctx, claim)
	defer lease.stop()
	p := claim.Payment
	if !claim.Fresh {
		r.log.LogAttrs(ctx, slog.LevelInfo, "payment taken up again", attrs(p)...)
		r.observe(ctx, TakenUp, p, 0)
	}
	if p.State == Sent {
		return r.follow(ctx, lease, p, p.SentAt)
	}
	handle, end, err := r.send(ctx, claim, began)
	if end != nil || err != nil {
		return *end, err
	}
	handle.TransactionID, handle.Serial = cleanText(handle.TransactionID, maxText), cleanText(handle.Serial, maxText)
	if written, err := r.saveHandle(ctx, claim, handle); err != nil || !written {
		return ending{left: true}, err
	}
	p.State, p.Handle = Sent, handle
	sent := time.Now()
	r.observe(ctx, HandedOver, p, sent.Sub(p.AcceptedAt))
	return r.follow(ctx, lease, p, sent)
}

// send hands a payment to its terminal, or finds one that may have been handed over, and returns its handle; or how
// it ended instead. It holds the only call of a driver's Start.
func (r *Router) send(ctx context.Context, claim Claim, began time.Time) (Handle, *ending, error) {
	p := claim.Payment
	driver := r.drivers[p.Terminal.Provider]
	why := "the node that had it fell silent: it stopped, or could not reach the database"
	if known, ok := r.begun.get(p.ID); ok {
		if known.handle != nil {
			return *known.handle, nil, nil
		}
		claim.Fresh, why = false, known.why
	}
	if claim.Fresh {
		// A claim that took too long to arrive may run out during the send, and then somebody else would take this
		// payment for a lost one. Up to here it was provably not sent.
		if time.Since(began) > r.config.Lease/2 || ctx.Err() != nil {
			end, err := r.requeue(ctx, claim, 0, "")
			return Handle{}, &end, err
		}
		r.log.LogAttrs(ctx, slog.LevelInfo, "payment is being sent", attrs(p)...)
		why = "whether the terminal took it is not known"
		r.begun.put(p.ID, start{why: why})
		handle, err := r.handOver(ctx, driver, p)
		if err == nil {
			r.begun.put(p.ID, start{handle: &handle})
			return handle, nil, nil
		}
		if known := refusal(err); known != nil {
			r.begun.forget(p.ID)
			if known.Kind == tillroute.KindBusy {
				delay := max(r.config.BusyDelay, min(known.RetryAfter, maxBusyDelay))
				end, err := r.requeue(ctx, claim, delay, "the terminal is busy")
				return Handle{}, &end, err
			}
			return Handle{}, &ending{result: Result{Outcome: tillroute.Failed, Reason: err.Error()}}, nil
		}
		r.complain(ctx, "whether a payment was sent is not known", err, attrs(p)...)
		why += ": " + reason(err)
	}
	// It may have been sent, so it never is again: it is looked up.
	handle, err := r.find(ctx, driver, p)
	if err == nil {
		return handle, nil, nil
	}
	end := r.notFound(ctx, claim, err, why)
	return Handle{}, &end, nil
}

// refusal returns the error that says that provably nothing was started, or nil if err leaves that open. An error that
// joins several says more than one thing, and is not trusted.
func refusal(err error) *tillroute.Error {
	for cause := err; cause != nil; cause = errors.Unwrap(cause) {
		known, ok := cause.(*tillroute.Error) //nolint:errorlint // errors.As would look into joined errors.
		switch {
		case !ok:
			continue
		case known == nil || known.Outcome != tillroute.Failed || errors.Is(err, tillroute.ErrOutcomeUnknown):
			return nil
		default:
			return known
		}
	}
	return nil
}

// maxBusyDelay is how long a terminal's side may ask us to wait: people stand in front of it.
const maxBusyDelay = time.Minute

// handOver starts the payment. A stop of the router doesn't interrupt it.
func (r *Router) handOver(ctx context.Context, driver Driver, p Payment) (Handle, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.config.StartTimeout)
	defer cancel()
	return guard(func() (Handle, error) { return driver.Start(ctx, p) })
}

// reason is the first line of an error: what follows is for the log.
func reason(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// follow awaits the outcome of a payment whose handle is known, and which its terminal has had since then.
func (r *Router) follow(ctx context.Context, lease *leaseKeeper, p Payment, since time.Time) (ending, error) {
	driver := r.drivers[p.Terminal.Provider]
	result, err := guard(func() (Result, error) { return driver.Await(lease.ctx, p, lease.report) })
	if lease.ctx.Err() != nil && (err != nil || result.Outcome == tillroute.Unknown) {
		// The router stops, or another node has taken over: the handle is written down, it goes on from there.
		if ctx.Err() != nil {
			lease.stop() // Or a renewal that is under way would undo the release.
			return ending{left: true}, r.release(ctx, lease.claim)
		}
		return ending{left: true}, nil
	}
	switch {
	case err != nil:
		result = Result{Outcome: tillroute.Unknown, Reason: "following it failed: " + reason(err)}
		r.complain(ctx, "a payment can't be followed", err, attrs(p)...)
	case result.Outcome > tillroute.Failed:
		result.Outcome, result.Reason = tillroute.Unknown, "the driver tells of an outcome that there isn't; "+result.Reason
	}
	if result.TransactionID == "" {
		result.TransactionID = p.Handle.TransactionID
	}
	return ending{result: result, took: time.Since(since)}, nil
}

// findTime is how long a provider that can't be reached is asked again for a payment.
const findTime = time.Minute

// find asks the driver whether a payment that may have been sent was started.
func (r *Router) find(ctx context.Context, driver Driver, p Payment) (Handle, error) {
	finder, ok := driver.(Finder)
	if !ok {
		return Handle{}, errCannotFind
	}
	for end := time.Now().Add(findTime); ; pause(ctx, r.config.PollInterval) {
		handle, err := guard(func() (Handle, error) { return finder.Find(ctx, p) })
		if err == nil || !passing(err) || ctx.Err() != nil || time.Now().After(end) {
			return handle, err
		}
	}
}

// passing reports whether an error may pass by itself.
func passing(err error) bool {
	for _, kind := range []error{tillroute.ErrUnavailable, tillroute.ErrTimeout, tillroute.ErrRateLimited, tillroute.ErrBusy} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

var errCannotFind = errors.New("the terminal's provider can't be asked")

// notFound decides about a payment that may have been sent and whose handle can't be had.
func (r *Router) notFound(ctx context.Context, claim Claim, err error, why string) ending {
	p := claim.Payment
	if ctx.Err() != nil && !errors.Is(err, errCannotFind) {
		// The look-up was cut short: the lease runs out and the next worker looks again.
		return ending{left: true}
	}
	known := refusal(err)
	// Of a payment that somebody else was sending it proves nothing: they may have stalled, and send it yet.
	if known != nil && claim.Fresh && known.Kind == tillroute.KindNotFound {
		return ending{result: Result{Outcome: tillroute.Failed, Reason: why + "; the terminal's provider has not seen it"}}
	}
	if !errors.Is(err, errCannotFind) {
		why += "; " + reason(err)
	}
	return ending{result: Result{
		Outcome: tillroute.Unknown,
		Reason:  why + "; look on terminal " + p.Terminal.Serial + " for a " + string(p.Kind) + " of " + money(p),
	}}
}

// money returns what a payment asks for, as people write it.
func money(p Payment) string {
	text, err := tillroute.FormatAmount(p.Amount, p.Currency)
	if err != nil {
		text = p.Amount.String()
	}
	return text + " " + p.Currency
}

// saveHandle writes the handle down before anything else happens. It reports false if another node owns the payment.
func (r *Router) saveHandle(ctx context.Context, claim Claim, h Handle) (bool, error) {
	p := claim.Payment
	p.Handle = h
	err := r.insist(ctx, p, func(ctx context.Context) error { return r.store.SavePaymentHandle(ctx, claim, h) })
	if err != nil {
		r.log.LogAttrs(ctx, slog.LevelError, "the handle of a payment that was sent can't be written down",
			append(attrs(p), slog.Any("error", err))...)
		if settled(err) && !errors.Is(err, ErrFenced) {
			r.begun.put(p.ID, start{why: taken(h) + ", and its handle could not be written down: " + reason(err)})
		}
		return false, r.ignoreFenced(ctx, p, err)
	}
	r.begun.forget(p.ID) // what is Sent is never fresh
	to := Terminal{Provider: p.Terminal.Provider, Serial: h.Serial}
	if h.Serial != "" && to != p.Terminal {
		if err := r.store.MoveRegister(context.WithoutCancel(ctx), p.Register, p.Terminal, to); err != nil {
			// Only the order among registers that share the device suffers; the next payment tells again.
			r.complain(ctx, "a register can't be moved to the terminal that it turned out to have", err, attrs(p)...)
		}
		r.hub.changed(to)
		r.kick(to)
		r.hub.changed(p.Terminal) // those who wait for a payment that has moved
		return true, nil
	}
	r.hub.advanced(p.Terminal)
	return true, nil
}

// taken says which transaction a payment has become.
func taken(h Handle) string {
	if h.TransactionID == "" {
		return "the terminal took it"
	}
	return "the terminal took it as " + h.TransactionID
}

func (r *Router) requeue(ctx context.Context, claim Claim, delay time.Duration, note string) (ending, error) {
	err := r.insist(ctx, claim.Payment, func(ctx context.Context) error { return r.store.RequeuePayment(ctx, claim, delay, note) })
	r.hub.advanced(claim.Payment.Terminal)
	if errors.Is(err, ErrFenced) {
		return ending{left: true}, r.ignoreFenced(ctx, claim.Payment, err)
	}
	if err == nil {
		r.observe(ctx, Requeued, claim.Payment, 0)
	}
	return ending{requeued: true, delay: delay}, err
}

func (r *Router) release(ctx context.Context, claim Claim) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.config.Lease)
	defer cancel()
	return r.ignoreFenced(ctx, claim.Payment, r.store.ReleaseClaim(ctx, claim))
}

// finish writes the outcome and claims the next payment in the same write.
func (r *Router) finish(ctx context.Context, claim Claim, result Result, took time.Duration) (next Claim, ok bool, err error) {
	result = clean(result)
	if result.Outcome == tillroute.Approved && !result.Amount.IsPositive() {
		result.Amount = claim.Payment.Amount
	}
	lease := r.config.Lease
	if ctx.Err() != nil {
		lease = 0
	}
	lost := false
	err = r.insist(ctx, claim.Payment, func(ctx context.Context) error {
		next, ok, err = r.store.FinishPayment(ctx, claim, result, lease)
		lost = lost || errors.Is(err, tillroute.ErrOutcomeUnknown)
		return err
	})
	p := claim.Payment
	p.State, p.Result = Done, result
	if errors.Is(err, ErrFenced) && lost && lease > 0 {
		// It was written, or somebody else has taken over. In the former case the next payment may be ours already.
		r.hub.changed(p.Terminal)
		return r.claim(ctx, p.Terminal)
	}
	if err != nil {
		r.log.LogAttrs(ctx, slog.LevelError, "the outcome of a payment can't be written down", append(attrs(p), slog.Any("error", err))...)
		return Claim{}, false, r.ignoreFenced(ctx, p, err)
	}
	r.begun.forget(p.ID)
	level := slog.LevelInfo
	if result.Outcome == tillroute.Unknown {
		level = slog.LevelError
		p.State = Parked
	}
	r.log.LogAttrs(ctx, level, "payment ended", append(attrs(p), slog.String("reason", result.Reason))...)
	r.observe(ctx, Ended, p, took)
	r.hub.changed(p.Terminal)
	return next, ok, nil
}

// insist repeats a write that must not be lost while the store is in trouble: until it succeeds, until another
// node has taken over, or, once the router stops, for one lease more. A write whose outcome is unknown may be
// repeated, for all of them say the same again; one that was fenced off meanwhile was not ours any more.
func (r *Router) insist(ctx context.Context, p Payment, write func(context.Context) error) error {
	detached, cancel := r.outlasting(ctx)
	defer cancel()
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, r.config.PollInterval) {
		err := write(detached)
		if settled(err) || detached.Err() != nil {
			return err
		}
		r.complain(ctx, "a write to the store failed and is repeated", err, attrs(p)...)
		pause(detached, wait)
	}
}

// outlasting returns a context that ends a lease after ctx.
func (r *Router) outlasting(ctx context.Context) (context.Context, context.CancelFunc) {
	detached, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(r.config.Lease, cancel)
		context.AfterFunc(detached, func() { timer.Stop() })
	})
	return detached, func() {
		stop()
		cancel()
	}
}

// settled reports whether a write was made, or would be refused again if it were repeated.
func settled(err error) bool {
	return err == nil || errors.Is(err, ErrFenced) || errors.Is(err, tillroute.ErrNotFound) ||
		errors.Is(err, tillroute.ErrInvalid) || errors.Is(err, tillroute.ErrConflict)
}

// ignoreFenced leaves a payment that another node has taken over to that node.
func (r *Router) ignoreFenced(ctx context.Context, p Payment, err error) error {
	if errors.Is(err, ErrFenced) {
		r.observe(ctx, Fenced, p, 0)
		return nil
	}
	return err
}

// guard turns a panic in a driver into an error. Its outcome is unknown: nobody knows how far the driver came.
func guard[T any](call func() (T, error)) (result T, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("the driver panicked: %v\n%s", cause, debug.Stack())
		}
	}()
	return call()
}

func (r *Router) complain(ctx context.Context, what string, err error, about ...slog.Attr) {
	if err != nil && ctx.Err() == nil {
		r.log.LogAttrs(ctx, slog.LevelWarn, what, append(about, slog.Any("error", err))...)
	}
}

// pause waits, or returns early when ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
