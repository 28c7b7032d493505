package pairing

import (
	"context"
	"time"

	"github.com/tillroute/tillroute"
)

// Store is where everything that must survive is kept. It is composed of parts, so that a consumer can ask for the
// one that it uses. memstore, sqlitestore and pgstore implement it, and pairingtest holds the suite that every
// implementation passes.
//
// Rules for all methods: they are safe for concurrent use, by any number of processes on one store if it has more
// than one; what they return is a copy; a write that returned nil survives a crash; a write that returned an error
// of outcome Failed left no trace; leases and expiry run on the store's own clock, never on the caller's; times are
// in UTC and kept to the millisecond at least. A context that has ended gives an error that matches it, within
// milliseconds. A lease or a time to live that isn't positive has ended at once, a limit that isn't positive gives
// nothing. After Close every method returns an error of kind Unavailable; a second Close does nothing.
//
// Errors are [*tillroute.Error] values, possibly wrapped: NotFound for what isn't there, Conflict for what
// contradicts it, Unavailable for a database that can't be reached, is locked or is full.
type Store interface {
	Pairings
	Codes
	Payments
	Deliveries
	Tokens

	// Close gives up what the store holds. It waits for writes that are under way.
	Close() error
}

// Pairings keeps which terminal each register is paired with.
type Pairings interface {
	// Pairing returns the register's pairing. NotFound if it has none.
	Pairing(ctx context.Context, r Register) (Pairing, error)

	// PutPairing pairs p.Register with p.Terminal. If ifVersion is 0 the register must not be paired yet,
	// otherwise its pairing must have that version; if not, nothing changes and the error is a Conflict. If
	// ifVersion is negative it replaces whatever is there. It returns the pairing as stored: with Version one above
	// the one it replaces (also after an unpairing: a version is never used twice for a register) and PairedAt set.
	PutPairing(ctx context.Context, p Pairing, ifVersion int64) (Pairing, error)

	// DeletePairing unpairs the register if its pairing has that version; NotFound if it has none, Conflict if it
	// has another. Payments that were accepted go on.
	DeletePairing(ctx context.Context, r Register, ifVersion int64) error

	// ListPairings returns up to limit pairings whose registers follow after, ordered by system, account and id
	// (by bytes). The zero Register begins at the beginning.
	ListPairings(ctx context.Context, after Register, limit int) ([]Pairing, error)

	// MoveRegister is for providers that tell late which device stands behind a pairing. If the register is paired
	// with from it is paired with to instead (raising the version), and its payments that are queued at from move
	// to to's queue, where they stand in the order in which all were accepted, behind what is in flight there.
	// Payments that were already handed over stay. If the register is not paired with from, nothing changes, and that is no error.
	MoveRegister(ctx context.Context, r Register, from, to Terminal) error
}

// Codes keeps the pairing codes that terminals show.
type Codes interface {
	// PutCode stores a code that is valid for ttl from now, and ends the terminal's earlier codes. Conflict if the
	// text is that of another code that is valid still or was issued in the last day; older ones may be forgotten.
	PutCode(ctx context.Context, c Code, ttl time.Duration) (Code, error)

	// RedeemCode uses a code up and pairs the register with its terminal, in one durable write: of several that
	// redeem one code at once, one succeeds. p gives the register, its name and identity; the terminal is the
	// code's. A register that is paired already is paired anew.
	//
	// A text that isn't a code is ErrWrongCode, one that has expired or was replaced ErrCodeExpired, one that was
	// used ErrCodeUsed. Each such failure counts, durably, against tries.Key; after tries.Max of them within
	// tries.Window the answer is ErrTooManyTries, with RetryAfter, also for a right code, until the window has passed.
	// A failure changes nothing else; a success does not reset the count.
	RedeemCode(ctx context.Context, text string, p Pairing, tries Tries) (Pairing, error)
}

// Tries limits how often one party may guess.
type Tries struct {
	// Key is who is guessing.
	Key string
	// Max wrong tries are allowed within Window, which begins with the first.
	Max    int
	Window time.Duration
}

// Payments is the durable queue: for each terminal the payments in the order in which they were accepted.
type Payments interface {
	// AcceptPayment looks up the register's pairing and appends the request to its terminal's queue, in one
	// durable write. ErrNotPaired if the register has no pairing. If the ID was accepted before, it returns that
	// payment as it is now if the requests are the Same, whatever the pairing is by now, and a Conflict if not.
	//
	// Of two calls for one terminal, one of which returned before the other began, the first is first in the queue.
	AcceptPayment(ctx context.Context, r Request) (Payment, error)

	// Payment returns the payment of that ID, or NotFound.
	Payment(ctx context.Context, id string) (Payment, error)

	// CountAhead returns how many open payments stand before the open payment of that ID in its terminal's queue;
	// 0 for one that is at the head or not open. NotFound if there is none.
	CountAhead(ctx context.Context, id string) (int, error)

	// ListPayments returns up to limit payments that match the filter, in the order of Seq.
	ListPayments(ctx context.Context, f Filter, limit int) ([]Payment, error)

	// ReadyTerminals returns up to limit terminals of the providers whose head can be claimed now, those first whose
	// head has waited longest.
	ReadyTerminals(ctx context.Context, providers []string, limit int) ([]Terminal, error)

	// ClaimPayment leases the head of the terminal's queue to owner, if it can be had: it is Queued and not held
	// back, or it is Sending or Sent and its lease has ended. A Queued one becomes Sending in the same write: from
	// then on it counts as possibly sent. It returns false if the queue is empty or its head can't be had; what
	// stands behind the head is never claimed.
	//
	// If the head's latest claim is owner's own and was not released, owner gets that claim again: leased anew, of the
	// same Fence, and Fresh as it was unless the payment has become Sent. So a call whose answer was lost can be
	// repeated. Whether it has begun to send what it is given, owner must know itself.
	ClaimPayment(ctx context.Context, t Terminal, owner string, lease time.Duration) (Claim, bool, error)

	// The methods that take a Claim change the payment only while the claim is the payment's latest and was neither
	// finished nor requeued, whether or not its lease has ended; otherwise nothing changes and the error is ErrFenced.

	// RenewClaim extends the lease to lease from now, and replaces the payment's Note.
	RenewClaim(ctx context.Context, c Claim, lease time.Duration, note string) error

	// SavePaymentHandle writes down the handle of a payment that was Sending, which becomes Sent. It ends what
	// Note says. The same handle may be saved again; another one is a Conflict.
	SavePaymentHandle(ctx context.Context, c Claim, h Handle) error

	// RequeuePayment makes a Sending payment Queued again, at the head, and holds its queue back for delay. Only
	// for what was provably not sent. Note replaces the payment's Note. Conflict if the payment is not Sending.
	RequeuePayment(ctx context.Context, c Claim, delay time.Duration, note string) error

	// ReleaseClaim ends the lease at once, so that another owner, or this one with another claim, can take over a
	// payment that is under way.
	ReleaseClaim(ctx context.Context, c Claim) error

	// FinishPayment writes the result: the payment is Parked if its outcome is Unknown, otherwise Done. If lease is
	// positive it also claims the next payment of the terminal for the same owner, as ClaimPayment would, in the
	// same write, and returns it.
	FinishPayment(ctx context.Context, c Claim, r Result, lease time.Duration) (next Claim, ok bool, err error)

	// WithdrawPayment ends a Queued payment as Cancelled, with that reason, and returns it. It returns one that was
	// withdrawn already as it is. NotFound if there is none, Conflict if it is no longer Queued.
	WithdrawPayment(ctx context.Context, id, reason string) (Payment, error)

	// ResolvePayment ends a Parked payment as a person decided, with what Resolution.Result returns, and returns it.
	// NotFound if there is none, Conflict if it isn't Parked, Invalid if the outcome is Unknown.
	ResolvePayment(ctx context.Context, id string, r Resolution) (Payment, error)

	// MarkPayment replaces the payment's Mark if it is from, and returns the payment. A payment whose mark is to
	// already is returned as it is, whatever from is, so that a call whose answer was lost can be repeated. NotFound
	// if there is none, Conflict, which tells the mark, if it is another. It needs no claim, is allowed in every
	// state, and changes nothing else: neither a claim nor the queue. Nothing but this changes a mark.
	MarkPayment(ctx context.Context, id, from, to string) (Payment, error)
}

// Filter says which payments to list. Zero fields and empty lists match everything; a payment has to match all fields, and one
// element of each list. A Terminal or Register matches as a whole.
type Filter struct {
	// After leaves out the payments up to that Seq.
	After int64
	// States are what Payment.State may be.
	States []State
	// Outcomes are those of Payment.Outcome: Unknown also matches what is not done yet.
	Outcomes []tillroute.Outcome
	Terminal Terminal
	Register Register
	// Marks are what Payment.Mark may be; "" is that of payments without a mark.
	Marks []string
}

// Claim is a payment that a worker has leased.
type Claim struct {
	Payment Payment
	// Owner is who leased it: one worker, which claims at a terminal one call at a time.
	Owner string
	// Fence tells this claim from all others of the same payment; a later claim has a higher one.
	Fence int64
	// Fresh says that the payment was Queued when Owner claimed it: provably nobody else has sent it.
	Fresh bool
}

// Deliveries remembers what webhooks were answered, so that each takes effect once.
type Deliveries interface {
	// BeginDelivery claims the delivery of that key from that source for lease, and returns it with Answered
	// false: the caller handles it and then calls FinishDelivery or FailDelivery. If it was finished before with
	// the same hash, it returns it with Answered true and Answer as stored. If it is being handled and its lease
	// has not ended, the error is of kind Busy. If the key was begun or finished with another hash, the error is
	// a Conflict; a failed delivery is forgotten and matches every hash.
	BeginDelivery(ctx context.Context, source, key string, hash []byte, lease time.Duration) (Delivery, error)

	// FinishDelivery records the answer. ErrFenced if the delivery was begun anew since.
	FinishDelivery(ctx context.Context, d Delivery, answer []byte) error

	// FailDelivery forgets the delivery, so that the next one is handled anew. ErrFenced if it was begun anew since.
	FailDelivery(ctx context.Context, d Delivery) error

	// PurgeDeliveries forgets the deliveries that were finished, or abandoned, more than age ago, and returns how
	// many. Senders repeat deliveries for days: keep them for 30 at least. If it fails, some may have been forgotten
	// already. [Router.Run] calls it.
	PurgeDeliveries(ctx context.Context, age time.Duration) (int, error)
}

// Delivery is one webhook.
type Delivery struct {
	// Source names the receiver, and Key the delivery within it.
	Source, Key string
	// Hash is that of the content, as the receiver makes it.
	Hash []byte
	// Fence tells this attempt to handle it from all others.
	Fence int64
	// Answered says that it was handled before, and Answer what was answered.
	Answered bool
	Answer   []byte
}

// Tokens keeps OAuth grants whose refresh tokens can be used once.
type Tokens interface {
	// Grant returns the account's grant, or NotFound.
	Grant(ctx context.Context, system, account string) (Grant, error)

	// PutGrant stores g if the stored grant has version ifVersion, or if ifVersion is 0 and there is none; a
	// Conflict if not. If ifVersion is negative it replaces whatever is there. It ends the refresh lease, and
	// returns the grant as stored, with Version one above the one it replaces.
	PutGrant(ctx context.Context, g Grant, ifVersion int64) (Grant, error)

	// DeleteGrant forgets the grant. NotFound if there is none. A version is never used twice for an account: who
	// still holds an old one can't overwrite a new grant.
	DeleteGrant(ctx context.Context, system, account string) error

	// ClaimRefresh gives owner the right to use the refresh token, for lease, and returns the grant. Busy if another
	// owner has it and its lease has not ended, NotFound if there is no grant. The owner stores the new tokens
	// with PutGrant before it uses them.
	ClaimRefresh(ctx context.Context, system, account, owner string, lease time.Duration) (Grant, error)
}

// Grant is what the consent of a merchant, or of a user, gave us.
type Grant struct {
	// System is whose tokens they are, such as "xseries", and Account is the name that our side gives to who consented.
	System, Account string
	// AccessToken is what calls are made with, and RefreshToken what it is renewed with, or empty.
	AccessToken, RefreshToken tillroute.Secret
	// TokenType and Scope are as the system said, or else as was asked for. Scopes are separated by spaces.
	TokenType, Scope string
	// Expiry is when the access token ends, in UTC. Zero means that nobody said.
	Expiry time.Time
	// Extra is what else the system's client keeps with the tokens, such as a signing key.
	Extra tillroute.Secret
	// Version counts the changes of the grant, from 1. The store sets it.
	Version int64
}

// Notifier is implemented by stores that several nodes share and that can tell one node what another did. The
// router asks the store regularly all the same; a Notifier makes it quicker.
type Notifier interface {
	// Notify calls changed for every terminal whose queue another node may have changed, soon after it did, until
	// ctx ends or the connection is lost. It returns why it ended. Calls come one at a time; the zero Terminal
	// means that any of them may have changed. Work says that the head of the queue may be there to be claimed, by
	// whoever comes first; what a node that calls Notify has accepted itself, it sees to itself.
	Notify(ctx context.Context, changed func(t Terminal, work bool)) error
}
