package tillroute

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// Kind says what a program can do about an error. Programs usually ask with errors.Is and the sentinel of the same
// name: errors.Is(err, ErrNotFound).
type Kind uint8

const (
	// KindOther is an error that fits no other kind.
	KindOther Kind = iota
	// KindInvalid is a request that cannot be carried out as it is: correct it.
	KindInvalid
	// KindUnauthorized is a credential that was not accepted: renew it, or connect again.
	KindUnauthorized
	// KindForbidden is a credential that doesn't allow this: ask for the scope or the right.
	KindForbidden
	// KindNotFound is something that doesn't exist.
	KindNotFound
	// KindConflict is a request that contradicts what is already there: read it again.
	KindConflict
	// KindBusy is something that is occupied right now, such as a terminal: wait and try again.
	KindBusy
	// KindRateLimited is one request too many: wait for RetryAfter.
	KindRateLimited
	// KindUnavailable is a server, network or database that could not do it: try again later.
	KindUnavailable
	// KindTimeout is an answer that did not come in time.
	KindTimeout
	// KindCanceled is a call that its caller gave up.
	KindCanceled
	// KindDecode is an answer that could not be understood.
	KindDecode
)

// The sentinels match an [*Error] of the kind of the same name, however deeply it is wrapped.
var (
	ErrInvalid      = errors.New("invalid")
	ErrUnauthorized = errors.New("unauthorized")
	ErrForbidden    = errors.New("forbidden")
	ErrNotFound     = errors.New("not found")
	ErrConflict     = errors.New("conflict")
	ErrBusy         = errors.New("busy")
	ErrRateLimited  = errors.New("rate limited")
	ErrUnavailable  = errors.New("unavailable")
	ErrTimeout      = errors.New("timeout")
	ErrCanceled     = errors.New("canceled")
	ErrDecode       = errors.New("not understood")
)

// ErrOutcomeUnknown matches every [*Error] whose Outcome is [Unknown], whatever its kind: the request may have
// taken effect, and nobody can say. Do not repeat it. Look up what it should have done, by the handle or the
// reference that the call documents; if that is impossible, a person has to look.
var ErrOutcomeUnknown = errors.New("outcome unknown")

func (k Kind) sentinel() error {
	switch k {
	case KindInvalid:
		return ErrInvalid
	case KindUnauthorized:
		return ErrUnauthorized
	case KindForbidden:
		return ErrForbidden
	case KindNotFound:
		return ErrNotFound
	case KindConflict:
		return ErrConflict
	case KindBusy:
		return ErrBusy
	case KindRateLimited:
		return ErrRateLimited
	case KindUnavailable:
		return ErrUnavailable
	case KindTimeout:
		return ErrTimeout
	case KindCanceled:
		return ErrCanceled
	case KindDecode:
		return ErrDecode
	default:
		return nil
	}
}

// String returns the text of the kind's sentinel, or "error" for [KindOther].
func (k Kind) String() string {
	if err := k.sentinel(); err != nil {
		return err.Error()
	}
	return "error"
}

// Error describes what went wrong. It is always returned as *Error, often wrapped; errors.AsType finds it.
//
// Whoever makes one sets Outcome: [Failed] where it is certain that nothing happened, [Unknown] where the request
// may have taken effect.
type Error struct {
	// System is where it went wrong: "xseries", "smartconnect", "pairing", …
	System string
	// Operation is what was tried, such as "Registers.List", or empty.
	Operation string
	// Kind is what a program can do about it.
	Kind Kind
	// Status is the HTTP status, or 0 if there was no answer.
	Status int
	// Code is the system's own code, verbatim, if it has one.
	Code string
	// Message says what happened, to what, and what to do. Where a remote system said it, it is verbatim: fit for
	// operators, not for shoppers.
	Message string
	// RetryAfter is how long the system asked to wait, or 0 if it didn't.
	RetryAfter time.Duration
	// Attempts is how many times the request was tried, the first time included, or 0 if it never got so far.
	Attempts int
	// Outcome is [Failed] if the request provably had no effect, and [Unknown] if it may have had.
	Outcome Outcome
	// Body is the beginning of the answer, up to 64 KiB. No text or JSON of the error shows it: it may hold secrets.
	Body Body `json:"-"`
	// Err is the cause, if there is one that a program may look for.
	Err error
}

// Body is the text of an answer. Every way to print it gives its length alone; string(body) gives the text.
type Body []byte

// Format writes how long the body is, whatever the verb.
func (b Body) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "[%d bytes]", len(b)) }

// Error returns one line without bodies, URLs and credentials.
func (e *Error) Error() string {
	if e == nil {
		return "<nil>"
	}
	var b strings.Builder
	for _, part := range []string{e.System, e.Operation} {
		if part != "" {
			b.WriteString(part)
			b.WriteString(": ")
		}
	}
	b.WriteString(e.Kind.String())
	if e.Status != 0 {
		b.WriteString(" (status ")
		b.WriteString(strconv.Itoa(e.Status))
		if e.Code != "" {
			b.WriteString(", code ")
			b.WriteString(oneLine(e.Code))
		}
		b.WriteByte(')')
	}
	if e.Message != "" {
		text := oneLine(e.Message)
		if e.Err != nil {
			text = strings.TrimSuffix(text, ".") // A remote system's sentence goes on.
		}
		b.WriteString(": ")
		b.WriteString(text)
	}
	if e.Err != nil {
		b.WriteString(": ")
		b.WriteString(oneLine(e.Err.Error()))
	}
	if e.Outcome == Unknown {
		b.WriteString(" (it may have taken effect: look it up, do not repeat it)")
	}
	return b.String()
}

// maxText keeps a remote system from filling a log line.
const maxText = 500

func oneLine(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }), " ")
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "") + "…"
	}
	return s
}

// Format prints what [Error.Error] returns, quoted for %q, whatever the verb, so that no verb shows a body.
func (e *Error) Format(f fmt.State, verb rune) {
	if verb == 'q' {
		_, _ = io.WriteString(f, strconv.Quote(e.Error()))
		return
	}
	_, _ = io.WriteString(f, e.Error())
}

// Unwrap returns Err.
func (e *Error) Unwrap() error {
	if e == nil {
		return nil
	}
	return e.Err
}

// Is reports whether target is the sentinel of the error's kind, or [ErrOutcomeUnknown] and the outcome is unknown.
func (e *Error) Is(target error) bool {
	if e == nil {
		return false
	}
	if target == ErrOutcomeUnknown {
		return e.Outcome == Unknown
	}
	kind := e.Kind.sentinel()
	return kind != nil && target == kind
}

// LogValue returns the parts of the error that are fit for a log.
func (e *Error) LogValue() slog.Value {
	if e == nil {
		return slog.StringValue("<nil>")
	}
	attrs := []slog.Attr{
		slog.String("kind", e.Kind.String()),
		slog.String("text", e.Error()),
		slog.String("outcome", e.Outcome.String()),
	}
	if e.System != "" {
		attrs = append(attrs, slog.String("system", e.System))
	}
	if e.Operation != "" {
		attrs = append(attrs, slog.String("operation", e.Operation))
	}
	if e.Status != 0 {
		attrs = append(attrs, slog.Int("status", e.Status))
	}
	if e.Attempts != 0 {
		attrs = append(attrs, slog.Int("attempts", e.Attempts))
	}
	return slog.GroupValue(attrs...)
}

// Invalid returns an error of [KindInvalid] for something that was refused before anything was sent: its outcome
// is [Failed].
func Invalid(system, operation, format string, args ...any) *Error {
	return &Error{
		System:    system,
		Operation: operation,
		Kind:      KindInvalid,
		Message:   fmt.Sprintf(format, args...),
		Outcome:   Failed,
	}
}
