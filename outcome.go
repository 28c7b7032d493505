package tillroute

// Outcome says how an attempt to move money ended. The zero value is [Unknown].
type Outcome uint8

const (
	// Unknown means that money may or may not have moved and nobody can say yet. It is never an invitation to
	// try again: look the payment up, or have a person look at the terminal.
	Unknown Outcome = iota
	// Approved means that the money moved.
	Approved
	// Declined means that the card's side refused; no money moved.
	Declined
	// Cancelled means that a person stopped it, at the terminal or before it was sent; no money moved.
	Cancelled
	// Failed means that it provably did not happen for a technical reason; no money moved.
	Failed
)

// String returns "unknown", "approved", "declined", "cancelled" or "failed".
func (o Outcome) String() string {
	switch o {
	case Approved:
		return "approved"
	case Declined:
		return "declined"
	case Cancelled:
		return "cancelled"
	case Failed:
		return "failed"
	default:
		return "unknown"
	}
}

// MarshalText returns what [Outcome.String] returns.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads what [Outcome.String] returns. Any other text becomes [Unknown], never an error: an outcome
// that this version doesn't know is not known.
func (o *Outcome) UnmarshalText(text []byte) error {
	*o = ParseOutcome(string(text))
	return nil
}

// ParseOutcome returns the outcome that text names, and [Unknown] for every other text.
func ParseOutcome(text string) Outcome {
	for o := Approved; o <= Failed; o++ {
		if text == o.String() {
			return o
		}
	}
	return Unknown
}
