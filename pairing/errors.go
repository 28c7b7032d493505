package pairing

import (
	"errors"
	"fmt"

	"github.com/tillroute/tillroute"
)

// The causes that programs most often want to tell apart. Each comes wrapped in a [*tillroute.Error] with a text for
// people; ask with errors.Is. From a store, ErrNotPaired and ErrWrongCode are of kind NotFound, ErrTooManyTries is
// RateLimited, and the others are Conflicts; a driver's error keeps the kind of what its provider said.
var (
	// ErrNotPaired is a payment for a register that has no terminal.
	ErrNotPaired = errors.New("the register is not paired with a terminal: pair it first")
	// ErrWrongCode is a pairing code that no terminal shows.
	ErrWrongCode = errors.New("no terminal shows this pairing code: type it as the terminal shows it")
	// ErrCodeExpired is a pairing code that is too old or was replaced by a newer one.
	ErrCodeExpired = errors.New("the pairing code has expired: type the one that the terminal shows now")
	// ErrCodeUsed is a pairing code that has already paired a register.
	ErrCodeUsed = errors.New("the pairing code was already used: have the terminal show a new one")
	// ErrTooManyTries is a party that has guessed wrong too often. The error's RetryAfter says how long to wait.
	ErrTooManyTries = errors.New("too many wrong pairing codes: wait before trying again")
	// ErrFenced is a claim that is no longer the latest: another worker has taken over.
	ErrFenced = errors.New("another worker has taken over")
)

// Errorf returns an error of the pairing system for stores and drivers to return: nothing was changed, and cause,
// which may be nil, is what errors.Is finds.
func Errorf(kind tillroute.Kind, cause error, format string, args ...any) *tillroute.Error {
	return &tillroute.Error{
		System:  "pairing",
		Kind:    kind,
		Message: fmt.Sprintf(format, args...),
		Outcome: tillroute.Failed,
		Err:     cause,
	}
}
