// Package refusal holds the answers with which the stores refuse: one text for each, whatever keeps the data.
//
// All are [*tillroute.Error] values. Their outcome is Failed, but where [Ended] and [Lost] say otherwise.
package refusal

import (
	"context"
	"errors"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

// Closed is a store after its Close.
func Closed() error {
	return pairing.Errorf(tillroute.KindUnavailable, nil, "the store is closed: close it when nothing uses it any more")
}

// Ended is a call whose context has ended with err. Its outcome is Unknown if it may be written down all the same.
func Ended(err error, o tillroute.Outcome) error {
	kind, text := tillroute.KindCanceled, "the call was given up before anything was done"
	if errors.Is(err, context.DeadlineExceeded) {
		kind = tillroute.KindTimeout
	}
	if o == tillroute.Unknown {
		text = "the call was given up while it was being written down"
	}
	e := pairing.Errorf(kind, err, "%s", text)
	e.Outcome = o
	return e
}

// Lost is a write whose end the database did not tell, because of err.
func Lost(err error) error {
	e := pairing.Errorf(tillroute.KindUnavailable, err, "the database did not say whether this is written down for good")
	e.Outcome = tillroute.Unknown
	return e
}

// NotPaired is a register without a terminal.
func NotPaired(r pairing.Register) error {
	return pairing.Errorf(tillroute.KindNotFound, pairing.ErrNotPaired, "register %s", r)
}

// Version is a change to the pairing of a register for the version ifVersion, where it has the version that is given:
// 0 if it isn't paired. It returns nil if the change may be made.
func Version(r pairing.Register, version, ifVersion int64) error {
	switch {
	case ifVersion < 0 || ifVersion == version:
		return nil
	case ifVersion == 0:
		return pairing.Errorf(tillroute.KindConflict, nil, "register %s is already paired, at version %d", r, version)
	case version == 0:
		return pairing.Errorf(tillroute.KindConflict, nil, "register %s is not paired, expected version %d", r, ifVersion)
	default:
		return OtherVersion(r, version, ifVersion)
	}
}

// OtherVersion is a pairing that doesn't have the version that was expected.
func OtherVersion(r pairing.Register, version, expected int64) error {
	return pairing.Errorf(tillroute.KindConflict, nil,
		"the pairing of register %s is at version %d, expected %d", r, version, expected)
}

// NoPayment is an ID that no payment has.
func NoPayment(id string) error {
	return pairing.Errorf(tillroute.KindNotFound, nil, "there is no payment %q", id)
}

// OtherRequest is an ID that was used for another request.
func OtherRequest(id string) error {
	return pairing.Errorf(tillroute.KindConflict, nil, "payment %q was already accepted and asks for something else: a new payment needs an ID of its own", id)
}

// NotQueued is a payment that can't be withdrawn.
func NotQueued(p pairing.Payment) error {
	return pairing.Errorf(tillroute.KindConflict, nil,
		"payment %q is %s: only a queued payment can be withdrawn", p.ID, p.State)
}

// NotParked is a payment that can't be resolved.
func NotParked(p pairing.Payment) error {
	return pairing.Errorf(tillroute.KindConflict, nil,
		"payment %q is %s: only one with an unknown outcome can be resolved", p.ID, p.State)
}

// NoOutcome is a payment that is to be resolved as unknown.
func NoOutcome(id string) error {
	return pairing.Errorf(tillroute.KindInvalid, nil, "payment %q cannot be resolved as unknown: say how it ended", id)
}

// OtherMark is a payment whose mark isn't from.
func OtherMark(p pairing.Payment, from string) error {
	return pairing.Errorf(tillroute.KindConflict, nil,
		"payment %q is marked %q and not %q: look at what has become of it", p.ID, p.Mark, from)
}

// Fenced is a claim that is no longer the latest.
func Fenced(c pairing.Claim) error {
	return pairing.Errorf(tillroute.KindConflict, pairing.ErrFenced, "payment %q", c.Payment.ID)
}

// OtherHandle is a payment that has a handle.
func OtherHandle(p pairing.Payment) error {
	return pairing.Errorf(tillroute.KindConflict, nil, "payment %q already has another handle", p.ID)
}

// NotSending is a payment that can't be queued again.
func NotSending(p pairing.Payment) error {
	return pairing.Errorf(tillroute.KindConflict, nil,
		"payment %q is %s: what was sent cannot be queued again", p.ID, p.State)
}

// CodeTaken is a text that another code has or had.
func CodeTaken() error {
	return pairing.Errorf(tillroute.KindConflict, nil,
		"this pairing code was already issued in the last day: make another one")
}

// WrongCode is a text that is no code.
func WrongCode(r pairing.Register) error {
	return pairing.Errorf(tillroute.KindNotFound, pairing.ErrWrongCode, "register %s", r)
}

// CodeUsed is a code that has paired a register.
func CodeUsed(r pairing.Register) error {
	return pairing.Errorf(tillroute.KindConflict, pairing.ErrCodeUsed, "register %s", r)
}

// CodeExpired is a code that is too old or was replaced.
func CodeExpired(r pairing.Register) error {
	return pairing.Errorf(tillroute.KindConflict, pairing.ErrCodeExpired, "register %s", r)
}

// TooManyTries is a party that has guessed wrong too often, and may try again after wait.
func TooManyTries(r pairing.Register, wait time.Duration) error {
	e := pairing.Errorf(tillroute.KindRateLimited, pairing.ErrTooManyTries, "register %s", r)
	e.RetryAfter = wait
	return e
}

// OtherContent is a delivery whose key came with another hash.
func OtherContent(source, key string) error {
	return pairing.Errorf(tillroute.KindConflict, nil, "delivery %q from %s came before with other content", key, source)
}

// BeingHandled is a delivery that somebody else has.
func BeingHandled(source, key string) error {
	return pairing.Errorf(tillroute.KindBusy, nil, "delivery %q from %s is being handled", key, source)
}

// BegunAnew is a delivery that is no longer the latest attempt.
func BegunAnew(d pairing.Delivery) error {
	return pairing.Errorf(tillroute.KindConflict, pairing.ErrFenced, "delivery %q from %s", d.Key, d.Source)
}

// NoGrant is an account without a grant.
func NoGrant(system, account string) error {
	return pairing.Errorf(tillroute.KindNotFound, nil,
		"there is no grant of account %q of %s: connect it first", account, system)
}

// GrantVersion is a change to the grant of an account for the version ifVersion, where it has the version that is
// given: 0 if there is none. It returns nil if the change may be made.
func GrantVersion(g pairing.Grant, version, ifVersion int64) error {
	if ifVersion < 0 || ifVersion == version {
		return nil
	}
	return pairing.Errorf(tillroute.KindConflict, nil,
		"the grant of account %q of %s is at version %d, expected %d", g.Account, g.System, version, ifVersion)
}

// BeingRefreshed is a grant whose refresh token somebody else uses.
func BeingRefreshed(system, account string) error {
	return pairing.Errorf(tillroute.KindBusy, nil, "the grant of account %q of %s is being refreshed", account, system)
}
