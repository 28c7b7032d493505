package pairing

import (
	"bytes"
	"cmp"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
)

// Kind says what a payment does. Drivers may know more kinds than the two that are named here.
type Kind string

const (
	// Purchase takes money from the card holder.
	Purchase Kind = "purchase"
	// Refund gives money back. Its amount is positive.
	Refund Kind = "refund"
)

// Request asks for money to be moved on the terminal that its register is paired with.
type Request struct {
	// ID is the caller's idempotency key: 1 to 200 printable characters, unique in the store for ever. Submitting
	// the same ID again never moves money again. Make it of what is paid for, such as the sale's number and that of the
	// attempt, and not at random: a till that has died and was started again must come to the same one.
	ID string
	// Register is where the money is asked for.
	Register Register
	// Kind is what to do: up to 200 printable characters. Defaults to [Purchase].
	Kind Kind
	// Amount is in units of Currency, above zero for every kind, with no more decimals than the currency has.
	Amount decimal.Decimal
	// Currency is the ISO 4217 code, in capital letters.
	Currency string
	// Reference is what people at the till know the sale by. Optional, up to 200 characters.
	Reference string
	// Data is handed to the driver as it is: what it needs beyond the rest. Optional, up to 64 KiB. It is kept in the
	// clear: it must not hold secrets.
	Data []byte
}

// Same reports whether two requests ask for the same thing. 8 and 8.00 are the same amount. Kinds are compared as they are:
// "" isn't [Purchase].
func (r Request) Same(other Request) bool {
	return r.ID == other.ID &&
		r.Register == other.Register &&
		r.Kind == other.Kind &&
		r.Amount.Equal(other.Amount) &&
		r.Currency == other.Currency &&
		r.Reference == other.Reference &&
		bytes.Equal(r.Data, other.Data)
}

// State says how far a payment has come.
type State string

const (
	// Queued payments wait for their turn. Nothing was sent; they can be withdrawn.
	Queued State = "queued"
	// Sending payments are being handed to the terminal, or were when a process died. What is in this state may
	// have been sent and is never sent again.
	Sending State = "sending"
	// Sent payments were taken by the terminal's side, and their handle is known: they are followed to the end.
	Sent State = "sent"
	// Parked payments ended with an unknown outcome and wait for a person. They don't hold their terminal's queue.
	Parked State = "unknown"
	// Done payments have their final outcome.
	Done State = "done"
)

// Open reports whether the payment still has its place in its terminal's queue.
func (s State) Open() bool { return s == Queued || s == Sending || s == Sent }

// Payment is a request that was accepted, and what has become of it.
type Payment struct {
	Request

	// Seq orders payments by when they were accepted, from 1. There may be gaps.
	Seq int64
	// Terminal is where the payment goes: the one that the register was paired with when it was accepted.
	Terminal Terminal
	// Identity is the pairing's Identity at that time. It is a secret.
	Identity tillroute.Secret
	// State is how far it has come.
	State State
	// Note is the last thing that was said about it while it was open, for people, by the driver or by the router: "taking longer
	// than usual", "the terminal is busy".
	Note string
	// Handle is what the driver needs to find the payment again. It is zero until State is Sent.
	Handle Handle
	// Result is how it ended. Its Outcome is Unknown until State is Done.
	Result Result
	// ResolvedBy is the person who decided the outcome of a parked payment, or empty.
	ResolvedBy string
	// Mark is what the register's side keeps about the payment, such as whether it was told how the payment ended.
	// It is "" at first; [Router.Mark] sets it. The router does not read it. It must not hold secrets.
	Mark string

	// AcceptedAt, SentAt and EndedAt are in UTC, by the store's clock. SentAt is when the handle was written;
	// EndedAt is when the payment was done or parked, and for one that a person resolved, when that was. Zero means not yet.
	AcceptedAt, SentAt, EndedAt time.Time
}

// Outcome returns the payment's outcome: Unknown until it is done.
func (p Payment) Outcome() tillroute.Outcome { return p.Result.Outcome }

// Handle is how a driver finds a payment again that it handed to a terminal.
type Handle struct {
	// TransactionID is the name that the terminal's side gave the payment. It is no secret. Cut after 200 bytes.
	TransactionID string
	// Token is what the driver needs to follow the payment, such as a polling URL. It is a secret, and kept whole.
	Token tillroute.Secret
	// Serial is the terminal that took the payment, if its side says so and names another than the pairing does. The
	// register is then paired with that one, and what it has queued moves there. Cut after 200 bytes.
	Serial string
}

// Result is how a payment ended, as the terminal's side told it. The router keeps up to 200 bytes of a text, 64 KiB of
// Receipt and 2000 bytes of Reason.
type Result struct {
	// Outcome is the end. Unknown parks the payment for a person.
	Outcome tillroute.Outcome
	// Amount is what was charged or refunded in all, surcharge and tip included, in units of the payment's currency. It may
	// differ from what was asked for: what the card's side says is the truth. Where an approved result has none above zero, it
	// becomes what was asked for.
	Amount decimal.Decimal
	// Surcharge and Tip are the parts of Amount that were added at the terminal, or zero.
	Surcharge, Tip decimal.Decimal
	// TransactionID is the name that the terminal's side gave the payment.
	TransactionID string
	// AuthCode, Acquirer, CardType and CardNumber are as printed on the receipt; the number is masked.
	AuthCode, Acquirer, CardType, CardNumber string
	// Receipt is the terminal's receipt text, to be printed as it is.
	Receipt string
	// Reason says why the payment ended as it did, where it wasn't approved or a person decided. It is written for
	// people.
	Reason string
}

// Resolution is what a person found out about a parked payment.
type Resolution struct {
	// Outcome is Approved, Declined, Cancelled or Failed. Required.
	Outcome tillroute.Outcome
	// Amount is what was charged, if Outcome is Approved, and zero otherwise. Defaults to the amount asked for; not negative,
	// with no more decimals than the payment's currency has.
	Amount decimal.Decimal
	// TransactionID is the terminal's name for the payment, if it was found, up to 200 characters. Defaults to what is
	// already known.
	TransactionID string
	// By names the person, in up to 200 characters. Required.
	By string
	// Reason says how they know, in up to 200 characters. Required. It is kept beside the reason that the payment was parked
	// for, see [Resolution.Result].
	Reason string
}

// Result returns how the payment, which was parked, ended by what the person found out. It fills in the defaults, and
// keeps what is known of the payment. Its Reason tells both: "the handle has expired; resolved by Ann: seen in the
// terminal's journal". It is for stores.
func (r Resolution) Result(p Payment) Result {
	result := p.Result
	result.Outcome, result.Amount = r.Outcome, r.Amount
	if r.Outcome == tillroute.Approved && r.Amount.IsZero() {
		result.Amount = p.Amount
	}
	result.TransactionID = cmp.Or(r.TransactionID, result.TransactionID, p.Handle.TransactionID)
	if result.Reason != "" {
		result.Reason += "; "
	}
	result.Reason += "resolved by " + r.By + ": " + r.Reason
	return result
}
