package paysera

import (
	"context"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
)

// Bill is what guests are to pay at a spot, and how far that has come. The till makes it and keeps it; the [Merchant] writes
// its progress into it, by Save of the [Till]. A bill in which something that is required is missing, or can't be, ends as
// [BillUnpaid].
type Bill struct {
	// Reference is the till's name for the bill: 1 to 200 characters, never used for another. Required. A bill isn't
	// changed: withdraw it and make another.
	Reference string
	// SpotID is where it is to be paid. Required.
	SpotID int64
	// Description is what the guests see. Required.
	Description string
	// Amount is in units of Currency, above zero, with no more decimals than the currency has. Required.
	Amount decimal.Decimal
	// Currency is the ISO 4217 code, in capital letters. Required.
	Currency string
	// Withdrawn says that the bill is no longer to be paid here. [Merchant.Withdraw] sets it. It may have been paid all the
	// same: see Status.
	Withdrawn bool

	// The fields below are the Merchant's.

	// TransactionKey is that of the bill's transaction, or empty. Guests see none before it was saved.
	TransactionKey string
	// Ordered says that the guests have the bill before them, and OrderID is its order's ID, if that is known.
	Ordered bool
	OrderID int64
	// Charge is what was decided to take of the reserved money, in units of Currency, or zero. It never changes once it was
	// saved.
	Charge decimal.Decimal
	// Status is how the bill ended, or empty, and Paid is what was paid, in units of Currency.
	Status BillStatus
	Paid   decimal.Decimal
	// Problem is why a bill ended that was not paid. It is written for people.
	Problem string
}

// maxReference is the longest name that a till may give a bill.
const maxReference = 200

// BillStatus says how a bill ended. It is empty until then.
type BillStatus string

// How bills end.
const (
	// BillPaid bills have a transaction that is confirmed.
	BillPaid BillStatus = "paid"
	// BillUnpaid bills have none that could still be paid.
	BillUnpaid BillStatus = "unpaid"
)

// Wish is what a till wants done about a spot.
type Wish int

const (
	// Leave leaves the spot as it is.
	Leave Wish = iota
	// Close closes the spot. Its guests have to check in again.
	Close
)

// Decision is what a till wants done about a reserved transaction. The zero value waits, until the reservation ends.
type Decision struct {
	kind   decisionKind
	amount decimal.Decimal
}

type decisionKind int

const (
	wait decisionKind = iota
	take
	takeLess
	giveBack
)

// Confirm decides to take the whole amount of the bill.
func Confirm() Decision { return Decision{kind: take} }

// ConfirmLess decides to take a lower amount, in units of the bill's currency, above zero and with as many decimals as the
// currency has. Any other amount is logged, and nothing is taken: to take nothing, [Revoke].
func ConfirmLess(amount decimal.Decimal) Decision { return Decision{kind: takeLess, amount: amount} }

// Revoke decides to give the money back.
func Revoke() Decision { return Decision{kind: giveBack} }

// chargeable reports whether an amount can be taken of a bill.
func chargeable(amount decimal.Decimal, b Bill) bool {
	_, err := tillroute.FormatAmount(amount, b.Currency)
	return err == nil && amount.IsPositive() && amount.LessThanOrEqual(b.Amount)
}

// Till is the program that a [Merchant] asks and tells: the café's till. Its methods are called one at a time, and must not call
// [Merchant.Withdraw]. While one of them takes its time, everything else waits. An error or a panic of any of them is logged,
// and what was to be done is left for the next round.
type Till interface {
	// Spot is asked about each spot that waits, every round, and about each open one that has no bill left that could be
	// paid: when its last one has ended, and from time to time. Answer [Close] for an identifier that you don't know, which
	// anybody can put into a QR code, and for a spot that nothing more is to be paid at. For guests at a table of yours, see
	// that somebody comes, and make a bill.
	Spot(ctx context.Context, spot Spot) (Wish, error)

	// Bills returns all bills that have no Status yet, with all that was saved.
	Bills(ctx context.Context) ([]Bill, error)

	// Save writes the bill down, so that it survives the process, before it returns. Fields that the till sets are as Bills
	// returned them, but Withdrawn, which Withdraw sets. Return an error instead, and change nothing, if what is kept has a
	// TransactionKey and bill has another (not none), if it has a Charge that isn't zero and bill has another, or if it has a
	// Status and bill has another. The bill has ended if Status is set.
	Save(ctx context.Context, bill Bill) error

	// Reserved decides about a bill whose money is set aside. transaction is as the server has it, and comes to exactly
	// the bill's Amount. It is asked each time that the transaction is looked at, until it decides; once what to take was
	// saved as Charge, it isn't asked again.
	Reserved(ctx context.Context, bill Bill, transaction Transaction) (Decision, error)
}
