package tillroute

import (
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// Secret is a text that must not be seen: a token, a key, a polling URL. Every way to print it, log it or turn it
// into JSON gives "[redacted]"; [Secret.Reveal] gives the text itself.
//
// fmt cannot ask a value in an unexported struct field how it wants to be printed, so a type that holds a Secret
// in such a field keeps it behind a pointer or prints itself.
type Secret string

// Reveal returns the secret text, for the one place that sends or stores it.
func (s Secret) Reveal() string { return string(s) }

// String returns "[redacted]", or "" for an empty secret, so that a missing one can be told from a present one.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// Format writes what [Secret.String] returns, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalText returns what [Secret.String] returns, so that JSON shows no secret either.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue returns what [Secret.String] returns.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
