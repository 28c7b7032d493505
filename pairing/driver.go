package pairing

import (
	"context"

	"github.com/tillroute/tillroute"
)

// Driver moves money on the terminals of one provider. Implementations are safe for concurrent use.
type Driver interface {
	// Start hands a payment to its terminal. The router calls it at most once for a payment that may have been
	// sent, and never repeats it.
	//
	// An error whose outcome is Failed ([tillroute.Error]) says that provably nothing was started: of kind Busy,
	// the payment waits at the head of its queue and is tried again later; of any other kind, the payment has
	// Failed. Every other error means that the payment may have been started, and its outcome is Unknown: also a panic,
	// an error that wraps one whose outcome is Unknown, and one that joins several.
	//
	// The context is not that of the caller who submitted the payment, and it doesn't end when the router is told to
	// stop: what was begun is carried through. It ends after Config.StartTimeout.
	Start(ctx context.Context, p Payment) (Handle, error)

	// Await follows a payment that was started, by its Handle, until its outcome is known or can no longer be
	// learned; then its result has the outcome Unknown and a Reason that tells a person what to do. It reports what
	// people should know meanwhile. It never starts anything. An error means Unknown too, except when ctx has ended:
	// then the payment stays as it is and is awaited again later, here or in another process.
	Await(ctx context.Context, p Payment, report func(note string)) (Result, error)
}

// Pairer is implemented by drivers whose provider pairs on its own side.
type Pairer interface {
	// Pair links the register to the terminal that shows code, with the provider. A failed attempt changes
	// nothing. If a reply was lost, the error's outcome is Unknown, and pairing again is safe. A code that no
	// terminal shows should match [ErrWrongCode], of whatever kind the error is.
	Pair(ctx context.Context, r PairRequest) (Link, error)
}

// PairRequest asks to pair a register with the terminal that shows a code.
type PairRequest struct {
	// Register is the one to pair. Required.
	Register Register
	// Provider is the terminal's provider. Empty means that the code is one of ours ([Router.IssueCode]).
	Provider string
	// Code is what the terminal shows, as it was typed. Required.
	Code string
	// RegisterName is shown on the terminal and in lists. Optional, up to 200 characters.
	RegisterName string
	// Identity is the name under which the provider already knows the register, or empty. The router sets it, whatever
	// the caller has put there.
	Identity tillroute.Secret
}

// Link is what a provider's pairing gave.
type Link struct {
	// Terminal is what the register is now paired with. Its Provider is that of the request. A provider that doesn't
	// tell which device it was gives a serial that stands for this register alone.
	Terminal Terminal
	// TerminalName is for people. Optional; cut after 200 bytes.
	TerminalName string
	// Identity is the name under which the provider now knows the register, or empty.
	Identity tillroute.Secret
}

// Finder is implemented by drivers that can look up, by the payment's own ID, whether a terminal has taken it.
type Finder interface {
	// Find returns the handle of a payment that may have been started. An error of kind NotFound, with outcome
	// Failed, says that provably it was not, and that what may still be on its way won't be taken either: a payment that
	// this router was sending has then Failed. One that another router left behind is parked all the same, since that
	// router may only have been slow. An error that may pass (Unavailable, Timeout, RateLimited, Busy) is tried again
	// for a minute. After any other the payment is parked.
	Find(ctx context.Context, p Payment) (Handle, error)
}

// Canceller is implemented by drivers that can ask a terminal to stop.
type Canceller interface {
	// Cancel asks for the payment to be stopped. Whether it was is learned from Await alone. The context is that of
	// [Router.Withdraw], which returns the error.
	Cancel(ctx context.Context, p Payment) error
}
