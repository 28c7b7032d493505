package kseries

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

// How a person has settled a payment.
const (
	onCheck   = "on-the-check"
	givenBack = "given-back"
	// givenBackAfter is one that was given back by somebody who knew that the check had got it.
	givenBackAfter = "given-back-after-all"
)

// Settlement is what a person has done about a payment whose card was charged and whose check may not have it.
type Settlement struct {
	// OnCheck says that the check has the payment: they saw it there, or entered it by hand. Otherwise the money was given back.
	OnCheck bool
	// By names the person, and Reason says how they know. Both are required, and have up to 120 characters together.
	By, Reason string
}

const longestSettlement = 120

// Retry has a payment applied again, under a new reference, that the point of sale has refused ([StageRefused]), or now, under the
// same, one that was held up ([StageHeldUp]). by names the person who has put right what stood in the way, in up to 120 characters.
// Its error is a Conflict if the payment is in another stage: where it isn't known whether the check has it, trying again might
// apply it twice.
func (p *Payments) Retry(ctx context.Context, id, by string) (PaymentStatus, error) {
	const operation = "Payments.Retry"
	if by = printable(by); by == "" || len([]rune(by)) > longestSettlement {
		return PaymentStatus{}, tillroute.Invalid(System, operation, "payment %.40q: say who has it tried again, in up to %d characters", id, longestSettlement)
	}
	payment, m, err := p.person(ctx, operation, id)
	if err != nil {
		return PaymentStatus{}, err
	}
	again := mark{phase: waiting, try: m.try + 1, at: time.Now().Truncate(time.Second), text: "tried again by " + by}
	switch {
	case m.phase == refused:
	case m.phase == waiting && m.denied() != "":
		again.try = m.try // Nothing was taken under its reference.
	default:
		return p.status(pairing.Progress{Payment: payment}), conflict(operation, "payment %.40q was neither refused by the point of sale nor held up: only what was can be tried again", id)
	}
	return p.decide(ctx, payment, m, again)
}

// Resolve settles a payment as a person has: the check has it, or the money was given back. It writes that down and moves no money:
// give it back at the terminal, or by a payment of the kind [pairing.Refund]. One that is held up ([StageHeldUp]) is settled before
// that, since it may be applied at any moment. Its error is a Conflict if the payment was settled in another way, is on its check, was
// not approved, or is still being applied: then wait. Settling it once more in the same way is no error: if the store fails, say
// the same again.
//
// A payment whose outcome at the terminal is in doubt is resolved with [pairing.Router.Resolve].
func (p *Payments) Resolve(ctx context.Context, id string, s Settlement) (PaymentStatus, error) {
	const operation = "Payments.Resolve"
	by, reason := printable(s.By), printable(s.Reason)
	if by == "" || reason == "" || len([]rune(by+reason)) > longestSettlement {
		return PaymentStatus{}, tillroute.Invalid(System, operation,
			"payment %.40q: say who has settled it (By) and how (Reason), in up to %d characters together", id, longestSettlement)
	}
	payment, m, err := p.person(ctx, operation, id)
	if err != nil {
		return PaymentStatus{}, err
	}
	to := mark{phase: settled, try: max(m.try, 1), word: givenBack, text: by + ": " + reason}
	switch {
	case s.OnCheck:
		to.word = onCheck
	case m.word == givenBackAfter, m.phase == unclear && (m.word == whyTwice || m.word == whyAfterwards):
		to.word = givenBackAfter
	}
	switch m.phase {
	case refused, unclear, waiting:
		return p.decide(ctx, payment, m, to)
	case settled:
		if m == to {
			return p.status(pairing.Progress{Payment: payment}), nil
		}
		return p.status(pairing.Progress{Payment: payment}), conflict(operation, "payment %.40q was settled already, by %s", id, m.text)
	case applied:
		return p.status(pairing.Progress{Payment: payment}), conflict(operation, "payment %.40q is on its check: nothing is to be settled", id)
	case foreign:
		return p.status(pairing.Progress{Payment: payment}), conflict(operation, "payment %.40q has a mark of something else: settle it there", id)
	default:
		return p.status(pairing.Progress{Payment: payment}), conflict(operation, "payment %.40q is being applied: wait until it is known what becomes of it", id)
	}
}

// person reads a payment that a person decides about.
func (p *Payments) person(ctx context.Context, operation, id string) (pairing.Payment, mark, error) {
	payment, err := p.router.Payment(ctx, id)
	if err != nil {
		return payment, mark{}, err
	}
	if _, ours := p.applicationOf(payment); !ours {
		return payment, mark{}, conflict(operation, "payment %.40q is not one for a check", id)
	}
	if payment.Outcome() != tillroute.Approved {
		return payment, mark{}, conflict(operation, "payment %.40q was not approved at its terminal: its check has nothing to do with it", id)
	}
	return payment, parseMark(payment.Mark), nil
}

// decide writes down what a person has decided.
func (p *Payments) decide(ctx context.Context, payment pairing.Payment, from, to mark) (PaymentStatus, error) {
	payment, err := p.move(ctx, payment, from, to)
	return p.status(pairing.Progress{Payment: payment}), err
}

func conflict(operation, format string, args ...any) error {
	return &tillroute.Error{
		System: System, Operation: operation, Kind: tillroute.KindConflict, Outcome: tillroute.Failed,
		Message: strings.TrimSpace(fmt.Sprintf(format, args...)),
	}
}
