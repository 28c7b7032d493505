package kseries

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/wire"
	"github.com/tillroute/tillroute/pairing"
)

// PaymentsConfig configures [Payments].
type PaymentsConfig struct {
	// Client applies the payments and reads the checks. Required.
	Client *Client
	// Router moves the money. Required. Its Run must run, here or on another node.
	Router *pairing.Router
	// EndpointID is the webhook endpoint whose notifications reach [Payments.Notification]. Required.
	EndpointID string
	// Locations are the business locations that the Client's grant is good for: the payments of others are left to others.
	// Without any, all payments of the store are taken on.
	Locations []int64
	// Method is the code of the payment method of payments that name none. What the vendor takes if there is none at all isn't
	// documented.
	Method string
	// TTL is how long the vendor tries to deliver a payment to a point of sale. Defaults to 5 min; from 1 min to 24 days.
	TTL time.Duration
	// Margin is how long to wait after the TTL for the notification, before the check decides. Defaults to 1 min; at least 1 s.
	Margin time.Duration
	// Retries is how often a payment is sent again with a new reference, after the point of sale has not taken it for a reason
	// that passes: its time to live has ended, or [UpdateFailed]. Defaults to 2; negative is never.
	Retries int
	// RetryPause is the least pause before anything that failed is tried again. Defaults to 10 s; at least 1 s.
	RetryPause time.Duration
	// Interval is how often the store is asked for what has been approved. Defaults to 1 s; at least 10 ms.
	Interval time.Duration
	// CheckInterval is how often a check is read while a notification is waited for, so that one that is lost is not missed
	// for the whole TTL. Defaults to 30 s; at least 1 s.
	CheckInterval time.Duration
	// Logger gets what an operator needs to know, with the keys payment, register, check, reference and mark. Defaults to
	// silence.
	Logger *slog.Logger
}

const (
	defaultTTL           = 5 * time.Minute
	defaultMargin        = time.Minute
	defaultRetries       = 2
	defaultRetryPause    = 10 * time.Second
	defaultPaymentsPoll  = time.Second
	defaultCheckInterval = 30 * time.Second
)

// Payments takes payments for checks at terminals: pay at the table. A payment is routed to the terminal that its table or device
// is paired with; once it is approved there, it is applied to the check; and a notification, or the check, confirms that. It is
// safe for concurrent use. [NewPayments] makes one, and the zero value is not usable. Nothing is applied unless [Payments.Run] runs,
// on this node or another.
//
// # What survives
//
// All that must survive is in the store behind the Router: what a payment is for is in its Data, under the name "kseries", and how
// far its application has come is in its Mark. A node that dies at any moment leaves nothing that another can't go on with. A
// payment is applied under a reference that follows from the payment: sending it again after a crash is harmless, for the
// vendor takes a reference once.
//
// A new reference is used only once the point of sale has said that it has not taken the one before ([Failure]), or when
// provably nothing was sent.
//
// # What a check gets
//
// What the terminal charged is the truth. Of that the check gets at most the amount that it was to get, then the tip that was
// asked for, and then the tip that was added at the terminal. A surcharge is the terminal's own, and not the check's. Less than was
// asked for is applied as it is.
//
// The due amount is the caller's to read, just before they ask for a payment. If two guests pay the same due amount at the same time
// both cards are charged, and the point of sale refuses the second payment as too much: it is [StageRefused], its Reason says why,
// and a person gives it back and says so ([Payments.Resolve]). Nothing is held back to prevent this: a program that lets guests
// pay by themselves takes off what it has asked for already and is not over.
//
// # What people have to do
//
// A card that was charged for a check that didn't take the payment is never forgotten. [Payments.Open] lists what isn't settled,
// each with a sentence that says what to do.
//
// If the merchant takes the consent back, or it lacks a scope, what was approved since is held up ([StageHeldUp]), and applied by itself
// when there is consent again. What was on its way at that moment is unconfirmed ([StageUnconfirmed]) once nobody can read from the
// check what became of it, after some twice the TTL and Margin; then too the check decides as soon as it can be read again.
type Payments struct {
	config PaymentsConfig
	client *Client
	router *pairing.Router
	log    *slog.Logger
	// node tells this one from the others.
	node string
	wake chan struct{}

	mu      sync.Mutex
	running bool
	// open are the payments that are not settled, as far as this node has seen.
	open map[string]*following
	// waiting counts them by what they wait for.
	waiting [forNothing + 1]int
	// watchers are woken by changes of their payment that are made here.
	watchers map[string][]chan struct{}
}

// NewPayments checks the configuration and returns what takes payments. It starts nothing. Its error names every field that
// is wrong.
func NewPayments(c PaymentsConfig) (*Payments, error) {
	var wrong problems
	if c.Client == nil || c.Client.c == nil {
		wrong.add("Client is missing, or was not made by New")
	}
	if c.Router == nil {
		wrong.add("Router is missing")
	}
	wrong.endpoint(c.EndpointID)
	for _, location := range c.Locations {
		if location <= 0 {
			wrong.add("Locations has %d, which can't be a business location", location)
		}
	}
	if c.TTL == 0 {
		c.TTL = defaultTTL
	}
	wrong.ttl(c.TTL)
	for _, d := range []struct {
		name         string
		value        *time.Duration
		usual, least time.Duration
	}{
		{"Margin", &c.Margin, defaultMargin, time.Second},
		{"RetryPause", &c.RetryPause, defaultRetryPause, time.Second},
		{"Interval", &c.Interval, defaultPaymentsPoll, 10 * time.Millisecond},
		{"CheckInterval", &c.CheckInterval, defaultCheckInterval, time.Second},
	} {
		if *d.value == 0 {
			*d.value = d.usual
		}
		if *d.value < d.least {
			wrong.add("%s must be at least %s", d.name, d.least)
		}
	}
	if len(wrong) > 0 {
		return nil, tillroute.Invalid(System, "NewPayments", "%s", strings.Join(wrong, "; "))
	}
	switch {
	case c.Retries == 0:
		c.Retries = defaultRetries
	case c.Retries < 0:
		c.Retries = 0
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Locations = slices.Clone(c.Locations)
	return &Payments{
		config: c, client: c.Client, router: c.Router, log: c.Logger, node: rand.Text()[:8], wake: make(chan struct{}, 1),
		open: map[string]*following{}, watchers: map[string][]chan struct{}{},
	}, nil
}

// PaymentRequest asks for a check to be paid, or a part of it.
type PaymentRequest struct {
	// ID is yours, of 1 to 200 printable characters, and used for one payment only: asking again with the same one never
	// charges a card again. Required.
	ID string
	// Register is the table or device whose terminal takes the card: see [RegisterKey]. Its Account is the check's business
	// location. Required.
	Register pairing.Register
	// AccountIdentifier names the check, such as A1234.56: see [Check]. Required.
	AccountIdentifier string
	// Amount is what to pay of the check, without the tip: above zero, with no more decimals than Currency has. More than is due
	// is charged all the same, and then refused at the point of sale: see [Check.Due] and [Split].
	Amount decimal.Decimal
	// Tip comes on top of Amount, if it is known before the card is presented: the terminal is asked for both together.
	// Optional: a terminal may ask for one itself.
	Tip decimal.Decimal
	// Currency is the ISO 4217 code of the business's currency: see [FinanceService.Currency]. The check is paid in units of that,
	// whatever is said here. Required.
	Currency string
	// Reference is what people know the payment by, up to 200 characters. Defaults to AccountIdentifier.
	Reference string
	// Method is the code of the payment method to apply it with. Defaults to that of the configuration.
	Method string
	// StaffID, DeviceID and PrinterProfileID are as in [Payment]. Optional.
	StaffID, DeviceID, PrinterProfileID int64
	// Data is a JSON object with what is for the terminal's driver, such as smartconnect.PaymentData encodes. The name "kseries"
	// in it is taken. Optional.
	Data []byte
}

// application is what is kept in a payment's Data of how to apply it.
type application struct {
	Account string          `json:"account"`
	Amount  decimal.Decimal `json:"amount"`
	Tip     decimal.Decimal `json:"tip,omitzero"`
	Method  string          `json:"method,omitempty"`
	Staff   int64           `json:"staff,omitempty"`
	Device  int64           `json:"device,omitempty"`
	Printer int64           `json:"printer,omitempty"`

	location int64
}

// request checks what was asked for, and returns what to ask of the router.
func (p *Payments) request(r PaymentRequest) (pairing.Request, error) {
	const operation = "Payments.Submit"
	a := application{
		Account: r.AccountIdentifier, Amount: r.Amount, Tip: r.Tip, Method: r.Method, Staff: r.StaffID, Device: r.DeviceID, Printer: r.PrinterProfileID,
	}
	var wrong problems
	location, err := strconv.ParseInt(r.Register.Account, 10, 64)
	switch {
	case r.Register.System != System:
		wrong.add("Register is of the system %.40q, not of %q: make it with RegisterKey", r.Register.System, System)
	case err != nil || location <= 0:
		wrong.add("Register.Account %.40q is not the ID of a business location: make it with RegisterKey", r.Register.Account)
	case !p.serves(location):
		wrong.add("Register is at business location %d, which is none of Locations", location)
	}
	// What can't be applied must not be charged. The location was looked at above.
	a.location = max(location, 1)
	if _, err := a.payment(p.config, "-", r.Amount, r.Tip).body(); err != nil {
		e, _ := errors.AsType[*tillroute.Error](err)
		wrong.add("%s", e.Message)
	}
	for _, part := range []decimal.Decimal{r.Amount, r.Tip} {
		// Together they may come to an amount that the currency has.
		if _, err := tillroute.ToMinor(part, r.Currency); err != nil && len(wrong) == 0 {
			e, _ := errors.AsType[*tillroute.Error](err)
			wrong.add("%s", e.Message)
		}
	}
	if !r.Amount.IsPositive() && len(wrong) == 0 {
		wrong.add("Amount is %s: it must be above zero", r.Amount)
	}
	data := map[string]json.RawMessage{}
	if len(r.Data) > 0 {
		var err error
		if data, err = wire.Object(r.Data); err != nil {
			wrong.add("Data is not a JSON object")
		} else if data[System] != nil {
			wrong.add("Data has the name %q, which is taken", System)
		}
	}
	if len(wrong) > 0 {
		return pairing.Request{}, tillroute.Invalid(System, operation, "payment %.40q: %s", r.ID, strings.Join(wrong, "; "))
	}
	if data[System], err = json.Marshal(a); err != nil {
		return pairing.Request{}, tillroute.Invalid(System, operation, "payment %.40q can't be written as JSON: %s", r.ID, err)
	}
	encoded, err := json.Marshal(data)
	if err != nil {
		return pairing.Request{}, tillroute.Invalid(System, operation, "payment %.40q can't be written as JSON: %s", r.ID, err)
	}
	if r.Reference == "" {
		r.Reference = r.AccountIdentifier
	}
	return pairing.Request{
		ID: r.ID, Register: r.Register, Kind: pairing.Purchase, Amount: r.Amount.Add(r.Tip), Currency: r.Currency, Reference: r.Reference,
		Data: encoded,
	}, nil
}

// payment returns what is sent to the vendor.
func (a application) payment(c PaymentsConfig, reference string, amount, tip decimal.Decimal) Payment {
	method := a.Method
	if method == "" {
		method = c.Method
	}
	return Payment{
		BusinessLocationID: a.location, AccountIdentifier: a.Account, Reference: reference, EndpointID: c.EndpointID, Amount: amount, Tip: tip,
		TTL: c.TTL, Method: method, StaffID: a.Staff, DeviceID: a.Device, PrinterProfileID: a.Printer,
		// The reference is the payment's alone. If it was used, an attempt of ours had arrived, be it from another node.
		Again: true,
	}
}

// serves reports whether payments at a business location are this component's.
func (p *Payments) serves(location int64) bool {
	return len(p.config.Locations) == 0 || slices.Contains(p.config.Locations, location)
}

// applicationOf reads how to apply a payment. It returns false for one that is not this component's.
func (p *Payments) applicationOf(payment pairing.Payment) (application, bool) {
	var a application
	if payment.Register.System != System || payment.Kind != pairing.Purchase {
		return a, false
	}
	object, err := wire.Object(payment.Data)
	if err != nil || object[System] == nil || json.Unmarshal(object[System], &a) != nil || a.Account == "" {
		return a, false
	}
	a.location, err = strconv.ParseInt(payment.Register.Account, 10, 64)
	return a, err == nil && p.serves(a.location)
}

// due returns what the check gets of what was charged.
func (a application) due(r pairing.Result) (amount, tip decimal.Decimal) {
	charged := r.Amount.Sub(r.Surcharge).Sub(r.Tip)
	amount = decimal.Min(charged, a.Amount)
	tip = decimal.Min(charged.Sub(amount), a.Tip).Add(r.Tip)
	return amount, tip
}

// Submit asks for a payment, and returns it as it stands. From then on it is not lost: it goes to the terminal, and is applied to
// the check if it is approved there. Submitting the same again returns how the first one stands. [pairing.Router.Withdraw] takes back
// one that still waits for its terminal.
//
// Its errors are those of [pairing.Router.Submit]: pairing.ErrNotPaired is a table without a terminal. Kind Invalid is also what
// could not be applied to a check later. If the error's outcome is Unknown, submit the same again.
func (p *Payments) Submit(ctx context.Context, r PaymentRequest) (PaymentStatus, error) {
	request, err := p.request(r)
	if err != nil {
		return PaymentStatus{}, err
	}
	payment, err := p.router.Submit(ctx, request)
	if err != nil {
		return PaymentStatus{}, err
	}
	p.follow(payment)
	return p.status(pairing.Progress{Payment: payment}), nil
}

// Pay submits a payment and waits for its end: its errors are those of [Payments.Submit] and [Payments.Wait].
func (p *Payments) Pay(ctx context.Context, r PaymentRequest) (PaymentStatus, error) {
	s, err := p.Submit(ctx, r)
	if err != nil {
		return s, err
	}
	return p.Wait(ctx, r.ID)
}

// Wait waits until a payment is settled, or a person has to see to it, and returns it: see [Stage.Over]. Its Stage says how it ended:
// one that was declined, or that the point of sale has refused, is no error.
//
// If nobody can say how it ended, or if the wait ends early, the payment comes back as far as it is known together with an error
// that matches [tillroute.ErrOutcomeUnknown]. If the wait ended early the payment goes on all the same: Wait may be called again.
// An ID of no payment is an error of kind NotFound.
func (p *Payments) Wait(ctx context.Context, id string) (PaymentStatus, error) {
	var last PaymentStatus
	for s, err := range p.Watch(ctx, id) {
		if err != nil {
			if !errors.Is(err, tillroute.ErrNotFound) && !errors.Is(err, tillroute.ErrOutcomeUnknown) {
				err = unsettled(id, err)
			}
			return last, err
		}
		last = s
	}
	if last.Stage == StageInDoubt || last.Stage == StageUnconfirmed {
		return last, &tillroute.Error{System: System, Operation: "Payments.Wait", Message: last.Reason}
	}
	return last, nil
}

// unsettled is the error of a wait that ended early.
func unsettled(id string, cause error) error {
	e := &tillroute.Error{
		System: System, Operation: "Payments.Wait", Err: cause,
		Message: fmt.Sprintf("payment %.40q was no longer waited for, and goes on: wait for it again", id),
	}
	if inner, ok := errors.AsType[*tillroute.Error](cause); ok {
		e.Kind = inner.Kind
	} else if errors.Is(cause, context.DeadlineExceeded) {
		e.Kind = tillroute.KindTimeout
	} else if errors.Is(cause, context.Canceled) {
		e.Kind = tillroute.KindCanceled
	}
	return e
}

// Watch follows a payment: it yields how it stands now, again after every change, and last how it ended, or that a person has to see
// to it. Then the loop ends: see [Stage.Over]. Any number may watch one payment, on any node; a slow one misses what lies between,
// never the end. If ctx ends, an error that wraps its error is yielded, and the payment goes on. The first error ends the loop.
func (p *Payments) Watch(ctx context.Context, id string) iter.Seq2[PaymentStatus, error] {
	return func(yield func(PaymentStatus, error) bool) {
		var last PaymentStatus
		// The first leg.
		for progress, err := range p.router.Watch(ctx, id) {
			if err != nil {
				yield(PaymentStatus{}, err)
				return
			}
			p.notice(progress.Payment)
			last = p.status(progress)
			if !yield(last, nil) {
				return
			}
		}
		changed, leave := p.watch(id)
		defer leave()
		tick := time.NewTicker(p.config.Interval)
		defer tick.Stop()
		for !last.Stage.Over() {
			s, err := p.now(ctx, id)
			if err != nil {
				yield(PaymentStatus{}, err)
				return
			}
			if s.Stage != last.Stage || s.Reason != last.Reason || s.Reference != last.Reference {
				if last = s; !yield(s, nil) {
					return
				}
				continue
			}
			select {
			case <-changed:
			case <-tick.C:
			case <-ctx.Done():
				yield(PaymentStatus{}, unsettled(id, ctx.Err()))
				return
			}
		}
	}
}

// Status returns how a payment stands. An ID of no payment is an error of kind NotFound.
func (p *Payments) Status(ctx context.Context, id string) (PaymentStatus, error) {
	for progress, err := range p.router.Watch(ctx, id) {
		if err != nil {
			return PaymentStatus{}, err
		}
		p.notice(progress.Payment)
		return p.status(progress), nil
	}
	return PaymentStatus{}, ctx.Err()
}

func (p *Payments) now(ctx context.Context, id string) (PaymentStatus, error) {
	payment, err := p.router.Payment(ctx, id)
	if err != nil {
		return PaymentStatus{}, err
	}
	return p.status(pairing.Progress{Payment: payment}), nil
}

// page is how many payments are read at once.
const page = 200

// Open returns up to limit payments whose card was charged, or may have been, and which are not settled: what is being applied, and
// what waits for a person, see [Stage.NeedsPerson]. They come in the order of their Payment.Seq, and follow after: 0 is the
// beginning. It reads the store's payments from there on, so remember where the oldest one is.
func (p *Payments) Open(ctx context.Context, after int64, limit int) ([]PaymentStatus, error) {
	var open []PaymentStatus
	if limit <= 0 {
		return nil, nil
	}
	err := p.walk(ctx, after, func(payment pairing.Payment) bool {
		if _, ours := p.applicationOf(payment); ours {
			if s := p.status(pairing.Progress{Payment: payment}); s.Stage == StageApplying || s.Stage.NeedsPerson() {
				open = append(open, s)
			}
		}
		return len(open) < limit
	})
	return open, err
}

// walk reads the payments that follow after and were not refused, until see returns false.
func (p *Payments) walk(ctx context.Context, after int64, see func(pairing.Payment) bool) error {
	filter := pairing.Filter{After: after, Outcomes: []tillroute.Outcome{tillroute.Unknown, tillroute.Approved}}
	for {
		list, err := p.router.Payments(ctx, filter, page)
		if err != nil {
			return err
		}
		for _, payment := range list {
			if !see(payment) {
				return nil
			}
			filter.After = payment.Seq
		}
		if len(list) < page {
			return nil
		}
	}
}
