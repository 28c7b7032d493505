// Package wire reads what vendors' JSON really holds: numbers in strings and strings in numbers, nulls, booleans as
// 0 and 1, times with and without a zone.
//
// A value that can't be read is left at its zero value and is never an error, so that one odd field doesn't hide
// the rest of an answer. Callers check the fields that they can't do without.
package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// Text is a string, or a number or boolean as it stands in the JSON text.
type Text string

// UnmarshalJSON implements [json.Unmarshaler]. It returns no error.
func (t *Text) UnmarshalJSON(data []byte) error {
	*t = Text(Scalar(data))
	return nil
}

// Int is a whole number that fits 64 bits, also in quotes or written like 3.0.
type Int int64

// UnmarshalJSON implements [json.Unmarshaler]. It returns no error.
func (i *Int) UnmarshalJSON(data []byte) error {
	*i = 0
	// What most of them are needs no text of its own.
	if len(data) > 0 && (data[0] == '-' || '0' <= data[0] && data[0] <= '9') {
		if n, err := strconv.ParseInt(string(data), 10, 64); err == nil {
			*i = Int(n)
			return nil
		}
	}
	text := strings.TrimSpace(Scalar(data))
	if text == "" {
		return nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		*i = Int(n)
	} else if d, ok := ParseDecimal(text); ok && d.IsInteger() && d.BigInt().IsInt64() {
		*i = Int(d.IntPart())
	}
	return nil
}

// Bool is a boolean, also in quotes or written as 0 and 1.
type Bool bool

// UnmarshalJSON implements [json.Unmarshaler]. It returns no error.
func (b *Bool) UnmarshalJSON(data []byte) error {
	*b = string(data) == "true"
	if *b || string(data) == "false" {
		return nil
	}
	if parsed, err := strconv.ParseBool(strings.TrimSpace(Scalar(data))); err == nil {
		*b = Bool(parsed)
	}
	return nil
}

// Time is a date and time. One without a zone is in UTC.
type Time time.Time

// UnmarshalJSON implements [json.Unmarshaler]. It returns no error.
func (t *Time) UnmarshalJSON(data []byte) error {
	*t = Time{}
	if inner, ok := plain(data); ok {
		// What most of them are needs no text of its own.
		var parsed time.Time
		if parsed.UnmarshalText(inner) == nil {
			*t = Time(parsed.UTC())
			return nil
		}
	}
	text := strings.TrimSpace(Scalar(data))
	for _, layout := range []string{
		time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", "2006-01-02T15:04:05.999999999",
		"2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999", time.DateOnly,
	} {
		if parsed, err := time.Parse(layout, text); err == nil {
			*t = Time(parsed.UTC())
			break
		}
	}
	return nil
}

// Decimal is a number, also in quotes.
type Decimal decimal.Decimal

// UnmarshalJSON implements [json.Unmarshaler]. It returns no error.
func (d *Decimal) UnmarshalJSON(data []byte) error {
	parsed, _ := ParseDecimal(Scalar(data))
	*d = Decimal(parsed)
	return nil
}

// Scalar returns a JSON string's content, a number or boolean as it is written, and "" for everything else.
func Scalar(data []byte) string {
	data = bytes.TrimSpace(data)
	if len(data) == 0 {
		return ""
	}
	switch data[0] {
	case '"':
		if inner, ok := plain(data); ok {
			return string(inner)
		}
		var s string
		if json.Unmarshal(data, &s) != nil {
			return ""
		}
		return s
	case '{', '[', 'n':
		return ""
	default:
		return string(data)
	}
}

// plain returns what stands between the quotes of a JSON string, if that is its content as it is.
func plain(quoted []byte) ([]byte, bool) {
	last := len(quoted) - 1
	if last < 1 || quoted[0] != '"' || quoted[last] != '"' {
		return nil, false
	}
	for _, c := range quoted[1:last] {
		if c < ' ' || c >= 0x80 || c == '"' || c == '\\' {
			return nil, false
		}
	}
	return quoted[1:last], true
}

// maxDigits and maxExponent bound a number before any arithmetic is done with it.
const (
	maxDigits   = 40
	maxExponent = 40
)

// ParseDecimal reads a number as JSON writes it: 8, -8.00, 1e2. It refuses everything else, and numbers that no
// amount has: 1e400, or hundreds of digits.
func ParseDecimal(text string) (decimal.Decimal, bool) {
	if d, ok := parseShort(text); ok {
		return d, true
	}
	mantissa, exponent, scientific := text, "", false
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		mantissa, exponent, scientific = text[:i], text[i+1:], true
	}
	whole, fraction, point := strings.Cut(strings.TrimPrefix(mantissa, "-"), ".")
	if len(text) > maxDigits || !digits(whole) || (point && !digits(fraction)) {
		return decimal.Decimal{}, false
	}
	if scientific {
		n, err := strconv.Atoi(exponent)
		if err != nil || n > maxExponent || n < -maxExponent {
			return decimal.Decimal{}, false
		}
	}
	d, err := decimal.NewFromString(text)
	if err != nil {
		return decimal.Decimal{}, false
	}
	return d, true
}

// parseShort reads what most amounts are: a number without an exponent that fits 64 bits.
func parseShort(text string) (decimal.Decimal, bool) {
	const most = 18 // digits that always fit
	unsigned := strings.TrimPrefix(text, "-")
	var coefficient int64
	count, point := 0, -1
	for i := range len(unsigned) {
		switch c := unsigned[i]; {
		case '0' <= c && c <= '9' && count < most:
			coefficient = 10*coefficient + int64(c-'0')
			count++
		case c == '.' && point < 0 && i > 0:
			point = i
		default:
			return decimal.Decimal{}, false
		}
	}
	if point == len(unsigned)-1 { // also if there is nothing at all
		return decimal.Decimal{}, false
	}
	if len(unsigned) < len(text) {
		coefficient = -coefficient
	}
	decimals := 0
	if point > 0 {
		decimals = len(unsigned) - point - 1
	}
	return decimal.New(coefficient, int32(-decimals)), true
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// Object reads a JSON object with its names spelled exactly as they are. An object that has a name twice is refused:
// nobody can say which of the values is meant.
func Object(data []byte) (map[string]json.RawMessage, error) {
	if !json.Valid(data) {
		return nil, invalid(data)
	}
	// The values are parts of one copy, so that what becomes of data is nothing to them.
	return ObjectWithin(bytes.Clone(bytes.TrimSpace(data)))
}

// ObjectWithin is [Object] for a value that is part of JSON which is known to be valid. What it returns are parts of it, too.
func ObjectWithin(data []byte) (map[string]json.RawMessage, error) {
	if len(data) == 0 || data[0] != '{' {
		return nil, errNoObject
	}
	// So are the names, of a copy that is a text.
	text := string(data)
	object := map[string]json.RawMessage{}
	for i := skipSpace(data, 1); data[i] != '}'; {
		end := valueEnd(data, i)
		name := text[i+1 : end-1]
		if _, ok := plain(data[i:end]); !ok {
			name = Scalar(data[i:end])
		}
		if _, twice := object[name]; twice {
			return nil, fmt.Errorf("the name %.40q is there twice", name)
		}
		i = skipSpace(data, skipSpace(data, end)+len(":"))
		end = valueEnd(data, i)
		object[name] = data[i:end:end]
		if i = skipSpace(data, end); data[i] == ',' {
			i = skipSpace(data, i+1)
		}
	}
	return object, nil
}

var errNoObject = errors.New("not a JSON object")

// invalid says what is wrong with JSON that isn't valid.
func invalid(data []byte) error {
	if trimmed := bytes.TrimSpace(data); len(trimmed) == 0 || trimmed[0] != '{' {
		return errNoObject
	}
	var first json.RawMessage
	if json.NewDecoder(bytes.NewReader(data)).Decode(&first) != nil {
		return errors.New("not complete JSON")
	}
	return errors.New("something follows the JSON object")
}

// skipSpace returns where the next thing begins.
func skipSpace(data []byte, i int) int {
	for i < len(data) && (data[i] == ' ' || data[i] == '\t' || data[i] == '\r' || data[i] == '\n') {
		i++
	}
	return i
}

// valueEnd returns where the value ends that begins at i within an object or a list of valid JSON.
func valueEnd(data []byte, i int) int {
	for depth := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			for i++; i < len(data) && data[i] != '"'; i++ {
				if data[i] == '\\' {
					i++
				}
			}
			if depth == 0 {
				return min(i+1, len(data))
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth < 0 {
				return i // that of the object itself, after a number or the like
			}
			if depth == 0 {
				return i + 1
			}
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return i
			}
		}
	}
	return len(data)
}
