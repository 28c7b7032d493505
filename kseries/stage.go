package kseries

import (
	"fmt"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

// Stage says how far a payment for a check has come.
type Stage string

// The stages.
const (
	// StageQueued waits until its terminal is free.
	StageQueued Stage = "queued"
	// StageAtTerminal waits for the card.
	StageAtTerminal Stage = "at the terminal"
	// StageNotPaid was declined or cancelled, or failed: no money moved, and the check is as it was.
	StageNotPaid Stage = "not paid"
	// StageInDoubt has an unknown outcome at the terminal: a person finds it out, see [pairing.Router.Resolve]. If they say that it
	// was approved, it is applied.
	StageInDoubt Stage = "in doubt"
	// StageApplying was approved, and is on its way to the check.
	StageApplying Stage = "being applied"
	// StageHeldUp was approved, and can't be applied because K-Series doesn't let this program in: the merchant has taken the consent
	// back, say. The check doesn't have it. A person brings the consent back, and then it is applied by itself within two minutes, or
	// sooner with [Payments.Retry]; or they settle it, see [Payments.Resolve]: before the money is given back, since it may be applied at
	// any moment.
	StageHeldUp Stage = "held up"
	// StagePaid was approved, and the check has it.
	StagePaid Stage = "paid"
	// StageRefused was approved, and the check doesn't have it: a person sees to it, see [Payments.Retry] and [Payments.Resolve].
	StageRefused Stage = "refused by the point of sale"
	// StageUnconfirmed was approved, and nobody knows whether the check has it: a person looks, see [Payments.Resolve].
	StageUnconfirmed Stage = "unconfirmed"
	// StageGivenBack was approved, and a person has given the money back.
	StageGivenBack Stage = "given back"
)

// Over reports whether nothing more happens unless a person does something, or a notification comes very late.
func (s Stage) Over() bool {
	switch s {
	case StageNotPaid, StagePaid, StageGivenBack:
		return true
	default:
		return s.NeedsPerson()
	}
}

// NeedsPerson reports whether a person has to see to the payment.
func (s Stage) NeedsPerson() bool {
	return s == StageInDoubt || s == StageHeldUp || s == StageRefused || s == StageUnconfirmed
}

// PaymentStatus is how a payment for a check stands.
type PaymentStatus struct {
	// Payment is the one at the terminal.
	Payment pairing.Payment
	// Stage is how far it has come.
	Stage Stage
	// Ahead is how many payments stand before it in its terminal's queue.
	Ahead int
	// AccountIdentifier names the check.
	AccountIdentifier string
	// Reference is the one under which it was last applied, or is about to be: notifications and the check's entries have it. It
	// is empty unless it was approved.
	Reference string
	// Amount and Tip are what the check gets, in Payment.Currency: what it is to get, until the card was charged.
	Amount, Tip decimal.Decimal
	// Reason says in whole sentences why the payment is where it is, and what is to be done. It may be empty while all is well.
	Reason string
}

// status says how a payment stands.
func (p *Payments) status(progress pairing.Progress) PaymentStatus {
	payment := progress.Payment
	a, ours := p.applicationOf(payment)
	s := PaymentStatus{Payment: payment, Ahead: progress.Ahead, AccountIdentifier: a.Account, Amount: a.Amount, Tip: a.Tip}
	switch {
	case payment.State == pairing.Parked:
		s.Stage = StageInDoubt
		s.Reason = fmt.Sprintf("Nobody knows whether payment %s was approved at terminal %s: %s. Look at the terminal, and say how it ended.",
			clip(payment.ID, longestName), payment.Terminal, payment.Result.Reason)
		return s
	case payment.State == pairing.Queued:
		s.Stage = StageQueued
		s.Reason = payment.Note
		return s
	case payment.State != pairing.Done:
		s.Stage = StageAtTerminal
		s.Reason = payment.Note
		return s
	case payment.Outcome() != tillroute.Approved:
		s.Stage = StageNotPaid
		s.Reason = payment.Result.Reason
		return s
	}
	m := parseMark(payment.Mark)
	s.Amount, s.Tip = a.due(payment.Result)
	if ours {
		s.Reference = reference(payment, a, max(m.try, 1))
	}
	switch m.phase {
	case applied:
		s.Stage = StagePaid
	case refused:
		s.Stage = StageRefused
	case unclear, foreign:
		s.Stage = StageUnconfirmed
	case settled:
		if s.Stage = StageGivenBack; m.word == onCheck {
			s.Stage = StagePaid
		}
	default:
		if s.Stage = StageApplying; m.denied() != "" {
			s.Stage = StageHeldUp
		}
	}
	if !ours {
		s.Stage = StageUnconfirmed
		s.Reason = fmt.Sprintf("Payment %s was approved, and is none that is applied here: it names no check, or one of another business location. See what took it.",
			clip(payment.ID, longestName))
		return s
	}
	s.Reason = s.because(m)
	if s.Stage == StagePaid && s.Reason == "" && s.Amount.LessThan(a.Amount) {
		s.Reason = fmt.Sprintf("Only %s of the %s %s that were asked for were charged, without tips: the rest is still due.",
			s.money(s.Amount), s.money(a.Amount), payment.Currency)
	}
	return s
}

// longestName is how much of a name stands in a sentence.
const longestName = 40

// Why a try was refused or is unclear, where the vendor has no word for it.
const (
	// whyTimeout is a time to live that ended before a point of sale took the payment.
	whyTimeout = "TASK_TIMEOUT"
	// whyRejected is a request that the vendor's server refused.
	whyRejected = "REJECTED"
	// whyUnauthorized is a consent that is gone, or credentials that are refused; whyForbidden one that doesn't allow this.
	whyUnauthorized = "UNAUTHORIZED"
	whyForbidden    = "FORBIDDEN"
	// whySilent is a check without an entry, and no notification; whyGone a check that can't be found, whyInactive an entry that
	// no longer counts, and whyUnreadable a check that we may not read.
	whySilent     = "SILENT"
	whyGone       = "GONE"
	whyInactive   = "INACTIVE"
	whyUnreadable = "UNREADABLE"
	// whyTwice is a success of an earlier try while a later one was under way, and whyAfterwards one of a payment that was given
	// back.
	whyTwice      = "TWICE"
	whyAfterwards = "AFTERWARDS"
)

// money writes an amount as people read it.
func (s PaymentStatus) money(amount decimal.Decimal) string {
	text, err := tillroute.FormatAmount(amount, s.Payment.Currency)
	if err != nil {
		return amount.String()
	}
	return text
}

// because says why a payment is where it is, and what is to be done.
func (s PaymentStatus) because(m mark) string {
	charged := fmt.Sprintf("%s %s were charged at terminal %s for check %s (reference %s)",
		s.money(s.Payment.Result.Amount), s.Payment.Currency, s.Payment.Terminal, s.AccountIdentifier, s.Reference)
	said := ""
	if m.text != "" {
		said = " (" + m.text + ")"
	}
	const byHand = " Enter the payment at the point of sale by hand, or give the money back at the terminal, and say which."
	switch m.phase {
	case waiting, sending, resending, submitted:
		const byItself = "; then it is applied by itself. Or enter the payment at the point of sale by hand, or give the money back at the terminal, but say which before, or it may be applied meanwhile."
		switch m.denied() {
		case whyUnauthorized:
			return charged + ", and the check doesn't have it, because K-Series doesn't let this program in" + said +
				". Have the merchant connect it again, or correct its credentials" + byItself
		case whyForbidden:
			return charged + ", and the check doesn't have it, because K-Series doesn't allow this program to apply payments" + said +
				". Have the merchant connect it again with the scopes and rights that it needs" + byItself
		}
		if m.text == "" {
			return ""
		}
		return charged + ", and the check doesn't have it yet" + said + ". It is tried again by itself."
	case settled:
		if m.word == onCheck {
			return "A person has seen to it that the check has the payment" + said + "."
		}
		return "A person has given the money back" + said + "."
	case refused:
		switch AccountError(m.word) {
		case Overpaid:
			return charged + ", and that is more than was due, so that the check didn't take it" + said + ". Give the money back at the terminal, or enter what was due by hand, and say which."
		case AccountAlreadyClosed, AccountNotFound:
			return charged + ", and the check is closed or gone" + said + ". Give the money back at the terminal, or reopen the check and enter the payment by hand, and say which."
		case PaymentMethodNotFound:
			return charged + ", and the point of sale doesn't know the payment method" + said + ". Set the method up there and try again, or enter the payment by hand and say so."
		case StaffNotFound, MissingStaff:
			return charged + ", and the point of sale doesn't know who is responsible" + said + ". Set the member of staff up there and try again, or enter the payment by hand and say so."
		case whyTimeout:
			return charged + ", and no point of sale has taken it in time" + said + ". See that one is online with the app in front and try again, or enter the payment by hand and say so."
		case whyRejected:
			return charged + ", and K-Series has not accepted it for the check" + said + ". Correct what it names and try again, or enter the payment by hand and say so."
		default:
			return charged + ", and the point of sale has refused it: " + m.word + said + "." + byHand
		}
	case unclear:
		switch m.word {
		case whyGone:
			return charged + ", no word came of whether the check got it, and the check can't be found: it may be closed, with this payment or without. Look the check up at the point of sale, and say whether it has the payment."
		case whyInactive:
			return charged + ", and the check has it as a payment that no longer counts. Look at the check at the point of sale." + byHand
		case whyTwice:
			return charged + ", and the point of sale has applied it after it had said that it would not, while it was being applied again. Look whether the check has it twice, take one back there, and say that the check has it."
		case whyAfterwards:
			return charged + ", and the check got it after a person had said that the money was given back" + said + ". Look at the check and at the terminal, put right which of the two is wrong, and say how it is."
		case whyUnreadable:
			return charged + ", no word came of whether the check got it, and the check can't be read" + said + ". Look at the check at the point of sale, and say whether it has the payment."
		default:
			return charged + ", no word came of whether the check got it, and the check doesn't show it. Look at the check once more at the point of sale." + byHand
		}
	case foreign:
		return charged + fmt.Sprintf(", and its mark %q is not one of this package: see what has written it.", m.text)
	default:
		return ""
	}
}
