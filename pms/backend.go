package pms

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"unicode"
)

// Backend is the hotel system. Embed [Unimplemented] in it: methods may be added. Its methods must be safe for concurrent use.
//
// One that doesn't know what it has posted posts a charge twice if the process dies between the posting and its record and the charge
// comes again, or if an error was returned after posting. No receiver can prevent that.
//
// If a process dies while it posts, or between the posting and its record, the charge and its bill are refused as still being posted
// (503) until their claim ends: a minute and twice Config.Timeout after it was begun, so 80 s by default. Who tries after that has the
// backend called again. The same goes for a charge that has failed, if the store could not forget it then. If the store fails after
// the posting, the point of sale is told that it was posted, and the log that it was not written down.
//
// A backend that is still at work when a process on another node takes over, after the same time, has two callers at once; within one
// process there never are.
type Backend interface {
	// Charge posts a bill: what [Charge.Postings] returns goes to rooms, and everything else is information. nil means that it
	// was posted, durably: that is answered to the point of sale, and remembered. An error means that it wasn't, or that nobody
	// knows; it is not remembered, so that the point of sale can try again.
	//
	// Charge may be called again for a bill that it has posted already, if the process died before the answer was written down,
	// or if Charge returned an error, panicked or was too slow after posting. It must recognize c.Key and c.Account(), and
	// return nil for what it has posted: write both down with the posting, in the same transaction, each of them unique.
	//
	// ctx ends after Config.Timeout, and not when the point of sale hangs up. A [*Refusal] is told to the waiter in its own words.
	Charge(ctx context.Context, c Charge) error

	// Search finds the reservations that can be charged: those of guests who have checked in and not left. It may be called for
	// each key that a waiter presses, and must change nothing. ctx ends after Config.Timeout, and when the point of sale hangs
	// up. A [*Refusal] is told to the waiter in its own words.
	Search(ctx context.Context, s Search) ([]Reservation, error)

	unimplemented()
}

// Unimplemented is to be embedded in every [Backend]. It refuses what the Backend doesn't implement.
type Unimplemented struct{}

// Charge refuses to post.
func (Unimplemented) Charge(context.Context, Charge) error {
	return &Refusal{Message: "This hotel takes no room charges", Status: http.StatusNotImplemented}
}

// Search refuses to search.
func (Unimplemented) Search(context.Context, Search) ([]Reservation, error) {
	return nil, &Refusal{Message: "This hotel can't be searched", Status: http.StatusNotImplemented}
}

func (Unimplemented) unimplemented() {}

// MaxMessage is how many characters of a message the point of sale shows and prints.
const MaxMessage = 50

// Refusal is an error of a [Backend] that the waiter is told: the room is not occupied, the guest has no credit. It means that
// nothing was posted. It may be wrapped.
type Refusal struct { //nolint:errname // it is what the hotel says.
	// Message is shown and printed at the point of sale, up to [MaxMessage] characters of it, in one line.
	Message string
	// Status is a 4XX or 5XX status. Defaults to 422; any other becomes 500. Charges alone are answered with it.
	Status int
	// Err is the cause, for the log alone. Optional.
	Err error
}

// Refuse returns a refusal with that message, which is formatted as by [fmt.Sprintf].
func Refuse(format string, args ...any) *Refusal {
	return &Refusal{Message: fmt.Sprintf(format, args...)}
}

// Error returns the message and the cause.
func (r *Refusal) Error() string {
	switch {
	case r == nil:
		return "<nil>"
	case r.Err != nil:
		return r.Message + ": " + r.Err.Error()
	default:
		return r.Message
	}
}

// Unwrap returns Err.
func (r *Refusal) Unwrap() error {
	if r == nil {
		return nil
	}
	return r.Err
}

func (r *Refusal) status() int {
	switch {
	case r.Status == 0:
		return http.StatusUnprocessableEntity
	case r.Status < 400 || r.Status > 599:
		return http.StatusInternalServerError
	default:
		return r.Status
	}
}

// message returns what fits the point of sale: one line of MaxMessage characters.
func (r *Refusal) message() string {
	text := strings.Join(strings.FieldsFunc(strings.ToValidUTF8(r.Message, "\uFFFD"), func(c rune) bool {
		return unicode.IsSpace(c) || unicode.IsControl(c)
	}), " ")
	if text == "" {
		return failedMessage
	}
	if runes := []rune(text); len(runes) > MaxMessage {
		return string(runes[:MaxMessage])
	}
	return text
}
