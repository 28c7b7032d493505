package pairing

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
)

// Config configures a [Router].
type Config struct {
	// Store keeps everything. Required. The router does not close it: end Run's context, wait until Run has returned,
	// and close the store then.
	Store Store
	// Drivers move the money, by the Provider of the terminals that they serve. Required. Every node on one store
	// needs the same providers: a payment whose provider no running node serves waits.
	Drivers map[string]Driver
	// Owner names this node among those that share the store, for people. Defaults to a random name. In the store
	// each router is told from all others, of the same name too.
	Owner string
	// Lease is how long a payment belongs to this node without a sign of life from it: after a crash, another node,
	// or this one when it is started again, takes over when the lease has ended; if the store was away meanwhile, a lease
	// after it came back, so that nodes that live can write down what they know. Defaults to 15 s; at least 200 ms.
	Lease time.Duration
	// PollInterval is how often the store is asked for work that other nodes accepted or left behind, and for
	// outcomes that they learned. Defaults to 1 s; at least 1 ms.
	PollInterval time.Duration
	// BusyDelay is how long a payment waits before it is tried again at a terminal that said it is busy, unless
	// the terminal's side asked for longer, up to a minute. Defaults to 2 s; at least 1 ms.
	BusyDelay time.Duration
	// StartTimeout bounds what a driver's Start may take; what it has not said by then is unknown. Defaults to 1 min;
	// at least 1 s. It may be longer than Lease, which is renewed meanwhile.
	StartTimeout time.Duration
	// CodeTTL is how long a pairing code that we issue is valid. Defaults to 5 min; at least 1 s.
	CodeTTL time.Duration
	// CodeTries is how many wrong pairing codes of ours an account (System and Account of its registers) may type within
	// CodeWindow, counted from the first; expired and used ones are wrong, too. Defaults to 10 in 10 min; CodeWindow is at
	// least 1 s.
	CodeTries  int
	CodeWindow time.Duration
	// Logger gets what an operator needs to know. Messages are fixed texts; what they are about is under the keys payment,
	// register, terminal, transaction, outcome, reason, by (who resolved it), error, and always owner. It defaults to
	// silence.
	Logger *slog.Logger
	// Observer hears of the steps of payments, after they were written down, so that they can be counted. It is called by
	// several goroutines, which work on payments: it must return at once, wait for nothing, and not change
	// Payment.Data. If it panics, that is logged and the payment goes on. Defaults to nobody.
	Observer func(Event)
}

// Router accepts payments, keeps them in order for each terminal, and hands each to its terminal at most once. It
// is safe for concurrent use. Payments are worked on only while [Router.Run] runs, on this node or on another. [New]
// makes one; the zero value is not usable.
type Router struct {
	config  Config
	store   Store
	drivers map[string]Driver
	log     *slog.Logger
	hub     hub
	// owner is who has this router's claims. No other router ever has the same.
	owner  string
	begun  begun
	outage outage

	mu      sync.Mutex
	running bool
	// start begins to work on a terminal; it is nil unless Run runs.
	start func(Terminal)
}

// New checks the configuration and returns a router. It touches neither the store nor a terminal. Its error, of kind Invalid,
// names every field that is wrong.
func New(c Config) (*Router, error) {
	var problems []string
	if c.Store == nil {
		problems = append(problems, "Store is missing")
	}
	if len(c.Drivers) == 0 {
		problems = append(problems, "Drivers is empty: name a driver for each provider")
	}
	for provider, driver := range c.Drivers {
		if provider == "" || driver == nil || isNil(driver) {
			problems = append(problems, "Drivers has an entry without a provider or without a driver")
		}
	}
	for _, d := range []struct {
		name         string
		value        *time.Duration
		usual, least time.Duration
	}{
		{"Lease", &c.Lease, 15 * time.Second, 200 * time.Millisecond},
		{"PollInterval", &c.PollInterval, time.Second, time.Millisecond},
		{"BusyDelay", &c.BusyDelay, 2 * time.Second, time.Millisecond},
		{"StartTimeout", &c.StartTimeout, time.Minute, time.Second},
		{"CodeTTL", &c.CodeTTL, 5 * time.Minute, time.Second},
		{"CodeWindow", &c.CodeWindow, 10 * time.Minute, time.Second},
	} {
		if *d.value == 0 {
			*d.value = d.usual
		}
		if *d.value < d.least {
			problems = append(problems, d.name+" must be at least "+d.least.String())
		}
	}
	if c.CodeTries == 0 {
		c.CodeTries = 10
	}
	if c.CodeTries < 0 {
		problems = append(problems, "CodeTries must not be negative")
	}
	if len(problems) > 0 {
		slices.Sort(problems)
		return nil, tillroute.Invalid(system, "New", "%s", strings.Join(slices.Compact(problems), "; "))
	}
	owner := uuid.NewString()
	if c.Owner == "" {
		c.Owner = owner
	} else {
		owner = c.Owner + "/" + owner
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Router{
		config:  c,
		store:   c.Store,
		drivers: maps.Clone(c.Drivers),
		log:     c.Logger.With("owner", c.Owner),
		owner:   owner,
	}, nil
}

const system = "pairing"

// isNil reports whether a driver is a nil pointer, which is not the same as no driver.
func isNil(d Driver) bool {
	v := reflect.ValueOf(d)
	return v.Kind() == reflect.Pointer && v.IsNil()
}

// Submit accepts a payment for the terminal that its register is paired with, and returns it as it was written
// down. From then on it is not lost, and it is sent at most once. Submitting the same request again returns the
// first one's present state.
//
// ErrNotPaired is a register without a terminal; a Conflict is an ID that was used for another request; Invalid is
// a request that names no possible payment, or a terminal whose provider has no driver here: then the payment was withdrawn,
// and its ID is used up. If the error's outcome is Unknown, the payment may have been accepted: submit the same request
// again to learn.
func (r *Router) Submit(ctx context.Context, request Request) (Payment, error) {
	const operation = "Submit"
	if request.Kind == "" {
		request.Kind = Purchase
	}
	if err := check(request); err != nil {
		return Payment{}, tillroute.Invalid(system, operation, "payment %q: %s", clip(request.ID), err)
	}
	p, err := r.store.AcceptPayment(ctx, request)
	if err != nil {
		return Payment{}, err
	}
	if p.State != Queued {
		return p, nil
	}
	if r.drivers[p.Terminal.Provider] == nil {
		reason := "no driver serves the terminals of " + p.Terminal.Provider
		if _, err := r.store.WithdrawPayment(ctx, p.ID, reason); err != nil {
			return p, &tillroute.Error{
				System: system, Operation: operation, Kind: tillroute.KindUnavailable, Outcome: tillroute.Unknown, Err: err,
				Message: "payment " + quote(p.ID) + " was accepted, but " + reason + " here, and it could not be withdrawn",
			}
		}
		return Payment{}, tillroute.Invalid(system, operation, "payment %q: %s: add it to Config.Drivers", p.ID, reason)
	}
	r.log.LogAttrs(ctx, slog.LevelInfo, "payment accepted", attrs(p)...)
	r.hub.advanced(p.Terminal)
	r.kick(p.Terminal)
	return p, nil
}

// Pay submits a payment and waits for its outcome. It returns as [Router.Submit] does if the payment was not accepted, and as
// [Router.Wait] does if it was. An error that matches tillroute.ErrOutcomeUnknown may be of either: call Pay again with the same
// request, which never moves money twice.
func (r *Router) Pay(ctx context.Context, request Request) (Payment, error) {
	p, err := r.Submit(ctx, request)
	if err != nil {
		return p, err
	}
	return r.wait(ctx, p)
}

// Wait waits until the payment is done, and returns it: approved, declined, cancelled or failed, see
// [Payment.Outcome].
//
// If nobody can say how it ended, or if the wait ends early, because of ctx or of the store, the payment comes back
// as far as it is known together with an error that matches tillroute.ErrOutcomeUnknown. If the wait ended early the
// payment goes on all the same: Wait may be called again with the same ID. Unless the router of some node runs, a
// payment waits for ever. ErrNotFound if there is no such payment.
func (r *Router) Wait(ctx context.Context, id string) (Payment, error) {
	return r.wait(ctx, Payment{Request: Request{ID: id}})
}

func (r *Router) wait(ctx context.Context, last Payment) (Payment, error) {
	unknown := &tillroute.Error{System: system, Operation: "Wait", Outcome: tillroute.Unknown}
	last, err := r.end(ctx, last)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		unknown.Kind, unknown.Err = kindOf(ctx.Err()), ctx.Err()
	case errors.Is(err, tillroute.ErrNotFound):
		return last, err
	default:
		unknown.Kind, unknown.Err = tillroute.KindUnavailable, err
	}
	if err != nil {
		unknown.Message = "payment " + quote(last.ID) + " goes on while a router runs: wait for it again"
		if last.State == "" {
			unknown.Message = "payment " + quote(last.ID) + " was not looked up in time; if it was accepted it goes on while a router runs: wait for it again"
		}
		return last, unknown
	}
	if last.State == Parked {
		unknown.Message = "payment " + quote(last.ID) + " at terminal " + last.Terminal.String() +
			" waits for a person to find out how it ended: " + last.Result.Reason
		return last, unknown
	}
	return last, nil
}

// Payment returns the payment of that ID as it stands. ErrNotFound if there is none.
func (r *Router) Payment(ctx context.Context, id string) (Payment, error) {
	return r.store.Payment(ctx, id)
}

// Withdraw stops a payment. One that is still queued ends as Cancelled and is returned; provably it was never sent.
// One that was handed over is stopped only if its driver can ask its terminal: then the payment is returned as it
// stands, and Wait tells whether it was stopped in time; the error is the driver's. If the driver can't, the error is a
// Conflict: it can be cancelled at the terminal alone. So is the error for one that is over. ErrNotFound if there is no such
// payment. Withdrawing once more what was withdrawn returns it. The reason is for people; up to 200 bytes of it are kept.
func (r *Router) Withdraw(ctx context.Context, id, reason string) (Payment, error) {
	var p, now Payment
	var err, readErr error
	// A terminal that answers busy may put the payment back into its queue between the two.
	for range 3 {
		p, err = r.store.WithdrawPayment(ctx, id, cleanText(reason, maxText))
		if err == nil || !errors.Is(err, tillroute.ErrConflict) {
			break
		}
		if now, readErr = r.store.Payment(ctx, id); readErr != nil || now.State != Queued {
			break
		}
	}
	if err == nil {
		r.log.LogAttrs(ctx, slog.LevelInfo, "payment withdrawn", attrs(p)...)
		r.observe(ctx, Withdrawn, p, 0)
		r.hub.changed(p.Terminal)
		r.kick(p.Terminal)
		return p, nil
	}
	if !errors.Is(err, tillroute.ErrConflict) {
		return Payment{}, err
	}
	if readErr != nil {
		return Payment{}, readErr
	}
	p = now
	if !p.State.Open() {
		return p, Errorf(tillroute.KindConflict, nil, "payment %q is over (%s): it can't be withdrawn", id, describe(p))
	}
	canceller, ok := r.drivers[p.Terminal.Provider].(Canceller)
	if !ok || p.State != Sent {
		return p, Errorf(tillroute.KindConflict, nil,
			"payment %q was handed to terminal %s: it can be cancelled there alone", id, p.Terminal)
	}
	return p, canceller.Cancel(ctx, p)
}

// Resolve ends a payment whose outcome was unknown, as a person found it out. It can't be undone. Invalid if the resolution
// says nothing that can be, ErrNotFound if there is no such payment, Conflict if it is not waiting for a person. If the error's
// outcome is Unknown, look at the payment before resolving it again.
func (r *Router) Resolve(ctx context.Context, id string, resolution Resolution) (Payment, error) {
	switch {
	case resolution.Outcome == tillroute.Unknown || resolution.Outcome > tillroute.Failed:
		return Payment{}, tillroute.Invalid(system, "Resolve", "payment %q: say how it ended: approved, declined, cancelled or failed", id)
	case strings.TrimSpace(resolution.By) == "" || strings.TrimSpace(resolution.Reason) == "":
		return Payment{}, tillroute.Invalid(system, "Resolve", "payment %q: say who decided (By) and how they know (Reason)", id)
	}
	p, err := r.store.Payment(ctx, id)
	if err != nil {
		return Payment{}, err
	}
	if err := checkResolution(resolution, p.Currency); err != nil {
		return Payment{}, tillroute.Invalid(system, "Resolve", "payment %q: %s", id, err)
	}
	p, err = r.store.ResolvePayment(ctx, id, resolution)
	if err != nil {
		return Payment{}, err
	}
	r.log.LogAttrs(ctx, slog.LevelInfo, "payment resolved", append(attrs(p), slog.String("by", resolution.By))...)
	r.observe(ctx, Resolved, p, 0)
	r.hub.changed(p.Terminal)
	return p, nil
}

// Payments returns up to limit payments that match the filter, in the order of Seq. Those that follow the last one match the
// filter with its Seq as After. A limit that isn't positive gives none.
func (r *Router) Payments(ctx context.Context, f Filter, limit int) ([]Payment, error) {
	return r.store.ListPayments(ctx, f, limit)
}

const (
	maxText = 200
	maxData = 64 << 10
)

func check(request Request) error {
	if err := checkText("the ID", request.ID); err != nil {
		return err
	}
	if err := checkRegister(request.Register); err != nil {
		return err
	}
	if err := checkText("the kind", string(request.Kind)); err != nil {
		return err
	}
	if err := checkName("the reference", request.Reference); err != nil {
		return err
	}
	if len(request.Data) > maxData {
		return errors.New("its data is larger than 64 KiB")
	}
	if _, err := tillroute.ToMinor(request.Amount, request.Currency); err != nil {
		return message(err)
	}
	if !request.Amount.IsPositive() {
		return errors.New("the amount " + clip(request.Amount.String()) + " is not above zero: a refund is a kind of its own")
	}
	return nil
}

func checkRegister(r Register) error {
	for _, part := range []struct{ name, text string }{
		{"the register's system", r.System}, {"the register's account", r.Account}, {"the register's ID", r.ID},
	} {
		if err := checkText(part.name, part.text); err != nil {
			return err
		}
	}
	return nil
}

// checkText accepts printable text of at least one and at most maxText characters.
func checkText(what, text string) error {
	switch {
	case text == "":
		return errors.New(what + " is missing")
	case utf8.RuneCountInString(text) > maxText:
		return errors.New(what + " is longer than 200 characters")
	case !utf8.ValidString(text):
		return errors.New(what + " is not valid UTF-8")
	}
	if strings.ContainsFunc(text, func(c rune) bool { return !unicode.IsPrint(c) }) {
		return errors.New(what + " has characters that can't be printed")
	}
	return nil
}

// checkName accepts text for people of at most maxText characters, in any script: also with characters that join or
// part others and are not seen themselves.
func checkName(what, text string) error {
	switch {
	case utf8.RuneCountInString(text) > maxText:
		return errors.New(what + " is longer than 200 characters")
	case !utf8.ValidString(text):
		return errors.New(what + " is not valid UTF-8")
	case strings.ContainsFunc(text, unicode.IsControl):
		return errors.New(what + " has control characters")
	}
	return nil
}

func checkResolution(r Resolution, currency string) error {
	if r.Amount.IsZero() {
		return errors.Join(checkName("By", r.By), checkName("Reason", r.Reason), checkName("the transaction ID", r.TransactionID))
	}
	if r.Outcome != tillroute.Approved {
		return errors.New("it has an amount, and is not approved")
	}
	if _, err := tillroute.ToMinor(r.Amount, currency); err != nil {
		return message(err)
	}
	if r.Amount.IsNegative() {
		return errors.New("the amount " + clip(r.Amount.String()) + " is below zero")
	}
	r.Amount = decimal.Decimal{}
	return checkResolution(r, currency)
}

// maxReceipt is more than any receipt has.
const maxReceipt = 64 << 10

// clean makes what a driver tells fit to be stored anywhere: valid UTF-8 without NUL, and not endless.
func clean(r Result) Result {
	for _, text := range []*string{&r.TransactionID, &r.AuthCode, &r.Acquirer, &r.CardType, &r.CardNumber} {
		*text = cleanText(*text, maxText)
	}
	r.Receipt, r.Reason = cleanText(r.Receipt, maxReceipt), cleanText(r.Reason, 2000)
	return r
}

func cleanText(text string, most int) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "")
	}
	return text
}

func message(err error) error {
	if e, ok := errors.AsType[*tillroute.Error](err); ok && e.Message != "" {
		return errors.New(e.Message)
	}
	return err
}

func clip(text string) string {
	if len(text) > 64 {
		return strings.ToValidUTF8(text[:64], "") + "…"
	}
	return text
}

func quote(id string) string { return `"` + clip(id) + `"` }

func describe(p Payment) string {
	if p.State == Parked {
		return "outcome unknown"
	}
	return p.Result.Outcome.String()
}

func kindOf(ctxErr error) tillroute.Kind {
	if errors.Is(ctxErr, context.DeadlineExceeded) {
		return tillroute.KindTimeout
	}
	return tillroute.KindCanceled
}

func attrs(p Payment) []slog.Attr {
	a := []slog.Attr{
		slog.String("payment", p.ID),
		slog.String("register", p.Register.String()),
		slog.String("terminal", p.Terminal.String()),
	}
	id := p.Result.TransactionID
	if id == "" {
		id = p.Handle.TransactionID
	}
	if id != "" {
		a = append(a, slog.String("transaction", id))
	}
	if p.State == Done || p.State == Parked {
		a = append(a, slog.String("outcome", p.Result.Outcome.String()))
	}
	return a
}
