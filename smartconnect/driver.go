package smartconnect

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/google/uuid"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

// probeTime bounds the question which terminal a pairing led to.
const probeTime = 5 * time.Second

// Driver moves money on SmartConnect terminals for a router, under the name [Provider]. It implements [pairing.Driver] and
// [pairing.Pairer], and is safe for concurrent use. [NewDriver] makes one; the methods of the zero value return an error.
type Driver struct{ client *Client }

var (
	_ pairing.Driver = (*Driver)(nil)
	_ pairing.Pairer = (*Driver)(nil)
)

// NewDriver returns a driver that uses client.
func NewDriver(client *Client) *Driver { return &Driver{client} }

// Pair pairs a register with the terminal that shows r.Code. A register that SmartConnect doesn't know yet gets a random
// identity; one that it knows keeps it, so that the terminal it leaves is released.
//
// SmartConnect doesn't say which terminal that was. Pair therefore asks the terminal for its status right away, because the
// answer names the device; that moves no money, and takes a few seconds at most. If there is no such answer (the terminal
// may be busy) the serial stands for this register alone until its first payment tells ([pairing.Handle.Serial]), and the
// terminal is named "SmartConnect terminal" for people. Only with the device's own name is it known that several registers
// share a terminal.
//
// Its errors are those of [Register.Pair]. After a lost reply Pair finds out by itself whether a new identity is paired, if the
// terminal answers.
func (d *Driver) Pair(ctx context.Context, r pairing.PairRequest) (pairing.Link, error) {
	identity := r.Identity
	if identity == "" {
		id, err := uuid.NewRandom()
		if err != nil {
			return pairing.Link{}, &tillroute.Error{
				System: Provider, Operation: "Pair", Kind: tillroute.KindUnavailable, Outcome: tillroute.Failed,
				Message: "this system gives no random numbers", Err: err,
			}
		}
		identity = tillroute.Secret(id.String())
	}
	name := r.RegisterName
	if name == "" {
		name = r.Register.ID
	}
	register := d.client.Register(identity)
	err := register.Pair(ctx, r.Code, name, Contact{})
	// A lost reply may have paired the register and used the code up. If SmartConnect knows a terminal under a name that
	// didn't exist before, it has.
	lost := errors.Is(err, tillroute.ErrOutcomeUnknown) && r.Identity == ""
	if err != nil && !lost {
		return pairing.Link{}, err
	}
	device, probeErr := probe(ctx, register)
	if err != nil && probeErr != nil && !errors.Is(probeErr, tillroute.ErrBusy) {
		return pairing.Link{}, err
	}
	link := pairing.Link{Terminal: pairing.Terminal{Provider: Provider, Serial: device}, Identity: identity}
	if device == "" {
		link.Terminal.Serial, link.TerminalName = standIn(r.Register), "SmartConnect terminal"
	}
	return link, nil
}

// probe asks the register's terminal for its status and returns the device's name, if the answer has one.
func probe(ctx context.Context, register Register) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	t, err := register.start(ctx, "Status", TerminalGetStatus, nil, nil)
	return t.DeviceID, err
}

// maxSerial is the longest serial that a router takes.
const maxSerial = 200

// standIn returns a serial that no other register has.
func standIn(r pairing.Register) string {
	name := url.PathEscape(r.System) + "/" + url.PathEscape(r.Account) + "/" + url.PathEscape(r.ID)
	if serial := "register:" + name; len(serial) <= maxSerial {
		return serial
	}
	return fmt.Sprintf("register:%x", sha256.Sum256([]byte(name)))
}

// Start hands a payment to the register's terminal. It knows the kinds [pairing.Purchase] and [pairing.Refund], and those
// that this package names; [PaymentData] is what some of them need. The payment's currency must be Config.Currency.
//
// Its errors are those of [Register.Purchase]. Too many requests are an error of kind Busy here, too, so that the payment keeps
// its place and is tried again.
func (d *Driver) Start(ctx context.Context, p pairing.Payment) (pairing.Handle, error) {
	const operation = "Start"
	if err := d.client.ready(operation); err != nil {
		return pairing.Handle{}, err
	}
	if p.Identity == "" {
		return pairing.Handle{}, notPaired(operation)
	}
	if currency := d.client.c.config.Currency; p.Currency != currency {
		return pairing.Handle{}, tillroute.Invalid(Provider, operation, "the terminals charge in %s, the payment is in %s", currency, p.Currency)
	}
	t, err := d.client.Register(p.Identity).startPayment(ctx, p)
	if err != nil {
		return pairing.Handle{}, notNow(ctx, err)
	}
	return pairing.Handle{TransactionID: t.ID, Token: t.PollingURL, Serial: t.DeviceID}, nil
}

// notPaired is a payment whose pairing was not made by this driver.
func notPaired(operation string) error {
	return &tillroute.Error{
		System: Provider, Operation: operation, Kind: tillroute.KindInvalid, Outcome: tillroute.Failed,
		Message: "the pairing has no identity at SmartConnect", Err: pairing.ErrNotPaired,
	}
}

// notNow turns errors that provably started nothing, and say nothing against the payment, into Busy: it keeps its place
// and is tried again.
func notNow(ctx context.Context, err error) error {
	var e *tillroute.Error
	if !errors.As(err, &e) || e.Outcome != tillroute.Failed {
		return err
	}
	if e.Kind == tillroute.KindRateLimited || ctx.Err() != nil {
		busy := *e
		busy.Kind = tillroute.KindBusy
		return &busy
	}
	return err
}

// Await follows a payment to its end, or until Config.PollTimeout has passed or its polling URL is dead: then the outcome is
// Unknown, and the payment keeps its handle. It reports when the terminal takes longer than usual and when SmartConnect can't
// be reached.
func (d *Driver) Await(ctx context.Context, p pairing.Payment, report func(note string)) (pairing.Result, error) {
	if err := d.client.ready("Await"); err != nil {
		return pairing.Result{}, err
	}
	t := Transaction{
		ID:         p.Handle.TransactionID,
		Type:       typeOf(p.Kind),
		Amount:     p.Amount,
		PollingURL: p.Handle.Token,
		DeviceID:   p.Handle.Serial,
	}
	noted := false
	note := func(progress Progress) {
		// That it waits is known of every payment: it is not worth a write.
		if noted || progress != Waiting {
			noted = true
			report(string(progress))
		}
	}
	var r Result
	if err := d.client.c.checkPollingURL(t.PollingURL); err != nil {
		// Polling is the only way, and it won't get better.
		r = d.client.c.unknown(t, err.Error())
	} else if r, err = d.client.Await(ctx, t, note); err != nil {
		return pairing.Result{}, err
	}
	return pairing.Result{
		Outcome:       r.Outcome,
		Amount:        r.Amount,
		Surcharge:     r.Surcharge,
		Tip:           r.Tip,
		TransactionID: r.TransactionID,
		AuthCode:      r.AuthID,
		Acquirer:      r.AcquirerRef,
		CardType:      r.CardType,
		CardNumber:    r.CardPAN,
		Receipt:       r.Receipt,
		Reason:        r.Reason,
	}, nil
}

// Evidence asks the terminal of a payment for the last transaction that it remembers, for the person who has to resolve
// the payment; see [Register.LastTransaction] on what it is worth. It changes nothing about the payment. The terminal
// answers between other transactions. If the register was paired with another one meanwhile, that one answers:
// compare [Answer.DeviceID].
func (d *Driver) Evidence(ctx context.Context, p pairing.Payment) (Evidence, error) {
	const operation = "Evidence"
	if err := d.client.ready(operation); err != nil {
		return Evidence{}, err
	}
	if p.Identity == "" {
		return Evidence{}, notPaired(operation)
	}
	return d.client.Register(p.Identity).LastTransaction(ctx, nil)
}
