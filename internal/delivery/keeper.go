// Package delivery gives what vendors post to webhooks its one life: it is claimed, handled, and what became of it is written
// down.
//
// Who can post, what a delivery means and what the vendor is answered is the receivers'. That no delivery takes effect twice, and
// none that took effect is forgotten, as far as that can be had, is here.
package delivery

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

const (
	// firstWait and longestWait are between two looks at a delivery that another node is handling.
	firstWait   = 20 * time.Millisecond
	longestWait = 250 * time.Millisecond
	// insistence bounds the pauses between the attempts to write down that a delivery was handled: some 1.3 s in all.
	insistence = time.Second
	// nameLength is how many bytes of a content's hash are in a name.
	nameLength = 8
)

// ErrLate is a delivery that was claimed too late to be handled.
var ErrLate = errors.New("the store of deliveries was too slow")

// Config configures a [Keeper]. All of it is required.
type Config struct {
	Deliveries pairing.Deliveries
	// Source names the receiver among those that share Deliveries.
	Source string
	// Lease is for how long a claim keeps other nodes away: longer than it takes to handle a delivery and to write it down.
	Lease time.Duration
	// FinishTime bounds writing down what became of a delivery.
	FinishTime time.Duration
}

// Keeper handles each delivery once. It is safe for concurrent use. It must not be copied.
type Keeper struct {
	config  Config
	running running
}

// New returns a keeper.
func New(c Config) *Keeper { return &Keeper{config: c} }

// Delivery is what was delivered.
type Delivery struct {
	// Keys name the delivery in the store. They are claimed in this order; if one was answered, that is the answer to all of
	// them. A delivery without a key is handled each time.
	Keys []string
	// Hash is that of the content.
	Hash [sha256.Size]byte
	// News says that a key that comes with another hash is another delivery: each is handled once, and they may be handled at the
	// same time. Otherwise it is a conflict.
	News bool
	// Answer is written down when the delivery was handled.
	Answer []byte
	// Handle does what is to be done. It is given the context of the call.
	Handle func(context.Context) error
}

// Result is what became of a delivery.
type Result struct {
	// Answer is what was written down, now or before.
	Answer []byte
	// Before is the key under which the delivery was handled before, or empty.
	Before string
	// Unwritten is why what became of it could not be written down, for each key. It may come with an error, and without.
	// One that matches [pairing.ErrFenced] says that somebody else has begun the delivery anew meanwhile.
	Unwritten []error
}

// ClaimError is a delivery that could not be claimed: nothing was done. It says what the store says.
type ClaimError struct {
	// Key is the one of the delivery's that could not be claimed.
	Key string
	Err error
}

// Error says why.
func (e *ClaimError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *ClaimError) Unwrap() error { return e.Err }

// Detach returns a context to handle a delivery with. It ends after timeout, and not when the sender hangs up: who hangs up has
// not taken back what was said.
func Detach(request context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(request), timeout)
}

// Once has a delivery handled, or finds that it was before. ctx bounds claiming and handling; what became of the delivery is
// written down even if ctx has ended.
//
// An error is a [*ClaimError], which is of kind Busy if the delivery is being handled and of kind Conflict if it came before with
// another content, is [ErrLate], or is Handle's: a panic of Handle is a [*PanicError]. Then it can be delivered again.
func (k *Keeper) Once(ctx context.Context, d Delivery) (Result, error) {
	result, _, err := k.try(ctx, &d)
	return result, err
}

// Wait is like [Keeper.Once], and waits for a delivery that is being handled until it isn't any more, ctx ends, or gone is closed
// because nobody waits for the answer.
func (k *Keeper) Wait(ctx context.Context, gone <-chan struct{}, d Delivery) (Result, error) {
	var unwritten []error
	for wait := firstWait; ; wait = min(2*wait, longestWait) {
		result, busy, err := k.try(ctx, &d)
		unwritten = append(unwritten, result.Unwritten...)
		result.Unwritten = unwritten
		if claim, ok := err.(*ClaimError); !ok || !errors.Is(claim.Err, tillroute.ErrBusy) { //nolint:errorlint // a handler may wrap one.
			return result, err
		}
		// Without busy another node has it. Otherwise this node will tell.
		var again <-chan time.Time
		if busy == nil {
			again = time.After(wait)
		}
		select {
		case <-busy:
		case <-again:
		case <-ctx.Done():
		case <-gone:
		}
		if ctx.Err() != nil || closed(gone) {
			return result, err
		}
	}
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// try handles the delivery unless somebody else is doing so. If that is this process, busy is closed when it isn't any more.
func (k *Keeper) try(ctx context.Context, d *Delivery) (result Result, busy <-chan struct{}, err error) {
	names := d.names()
	done, taken, busy := k.running.begin(names)
	if done == nil {
		err := pairing.Errorf(tillroute.KindBusy, nil, "delivery %q from %s is being handled", taken, k.config.Source)
		return Result{}, busy, &ClaimError{Key: taken, Err: err}
	}
	defer done()
	result, err = k.claimed(ctx, d, names)
	return result, nil, err
}

// names are what the delivery is called here and in the store. They have the content in them if that makes it another one, from the
// first: a key that belongs to whoever comes first would be free for the second, too, once the first has failed.
func (d *Delivery) names() []string {
	if !d.News {
		return d.Keys
	}
	names := make([]string, len(d.Keys))
	for i, key := range d.Keys {
		// The beginning is enough: the store compares all of it.
		names[i] = key + "#" + hex.EncodeToString(d.Hash[:nameLength])
	}
	return names
}

// claimed handles a delivery that this process isn't handling otherwise.
func (k *Keeper) claimed(ctx context.Context, d *Delivery, names []string) (Result, error) {
	claims := make([]pairing.Delivery, 0, len(d.Keys))
	for i, key := range d.Keys {
		claim, err := k.config.Deliveries.BeginDelivery(ctx, k.config.Source, names[i], d.Hash[:], k.config.Lease)
		switch {
		case err != nil:
			return Result{Unwritten: k.forget(ctx, claims)}, &ClaimError{Key: key, Err: err}
		case claim.Answered:
			return Result{Answer: claim.Answer, Before: key, Unwritten: k.finish(ctx, claims, claim.Answer)}, nil
		}
		claims = append(claims, claim)
	}
	// Who is late may have been overtaken, and must not handle what another node is handling.
	if late(ctx) {
		return Result{Unwritten: k.forget(ctx, claims)}, ErrLate
	}
	if err := d.handle(ctx); err != nil {
		return Result{Unwritten: k.forget(ctx, claims)}, err
	}
	return Result{Answer: d.Answer, Unwritten: k.finish(ctx, claims, d.Answer)}, nil
}

func (d *Delivery) handle(ctx context.Context) (err error) {
	defer recovered("the handler", &err)
	return d.Handle(ctx)
}

// late reports whether the time for a delivery is over. A process that was frozen may not have noticed yet that ctx has ended.
func late(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && !time.Now().Before(deadline)
}

// finish writes down that the delivery was handled. It was, even if that fails.
func (k *Keeper) finish(ctx context.Context, claims []pairing.Delivery, answer []byte) []error {
	if len(claims) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), k.config.FinishTime)
	defer cancel()
	// At once, because a store may make all durable together.
	errs := make([]error, len(claims))
	var others sync.WaitGroup
	for i := range claims[1:] {
		others.Go(func() { errs[i+1] = k.finishOne(ctx, &claims[i+1], answer) })
	}
	errs[0] = k.finishOne(ctx, &claims[0], answer)
	others.Wait()
	return failures(errs)
}

// finishOne insists: what was handled and isn't written down is handled again.
func (k *Keeper) finishOne(ctx context.Context, claim *pairing.Delivery, answer []byte) error {
	for wait := firstWait; ; wait *= 2 {
		err := k.tryFinish(ctx, claim, answer)
		fenced := errors.Is(err, pairing.ErrFenced)
		if fenced && wait > firstWait && k.written(ctx, claim) {
			return nil
		}
		if err == nil || fenced || wait > insistence {
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
}

// tryFinish makes an error of a panic, which would end the process on a goroutine of ours.
func (k *Keeper) tryFinish(ctx context.Context, claim *pairing.Delivery, answer []byte) (err error) {
	defer recovered("the store of deliveries", &err)
	return k.config.Deliveries.FinishDelivery(ctx, *claim, answer)
}

// written reports whether it was an earlier attempt to finish this very claim that has ended it, and whose answer was lost. It
// looks by claiming for no time at all.
func (k *Keeper) written(ctx context.Context, claim *pairing.Delivery) bool {
	seen, err := k.config.Deliveries.BeginDelivery(ctx, k.config.Source, claim.Key, claim.Hash, 0)
	return err == nil && seen.Answered && seen.Fence == claim.Fence
}

// forget gives the claims back, so that the delivery can come again. If that fails they end by themselves.
func (k *Keeper) forget(ctx context.Context, claims []pairing.Delivery) []error {
	if len(claims) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), k.config.FinishTime)
	defer cancel()
	errs := make([]error, len(claims))
	for i, claim := range claims {
		errs[i] = k.config.Deliveries.FailDelivery(ctx, claim)
	}
	return failures(errs)
}

// failures returns the errors that are some.
func failures(errs []error) []error {
	var some []error
	for _, err := range errs {
		if err != nil {
			some = append(some, err)
		}
	}
	return some
}

// Guard calls something, and makes a [*PanicError] of a panic.
func Guard(what string, call func() error) (err error) {
	defer recovered(what, &err)
	return call()
}

// recovered is deferred.
func recovered(what string, err *error) {
	if cause := recover(); cause != nil {
		*err = &PanicError{fmt.Sprintf("%s panicked: %v\n%s", what, cause, debug.Stack())}
	}
}

// PanicError is a panic. It wraps nothing: who panics with an error has not returned it.
type PanicError struct{ text string }

// Error says what panicked, and where.
func (e *PanicError) Error() string { return e.text }

// Digest names a text in a key that would be too long with it, or that it would make unreadable.
func Digest(text []byte) string {
	hash := sha256.Sum256(text)
	return "sha256:" + hex.EncodeToString(hash[:])
}
