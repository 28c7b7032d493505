package kseries

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute/internal/wire"
)

var (
	errNoObject = errors.New("not a JSON object")
	errNoID     = errors.New("an item has no ID")
)

// object decodes a JSON object. A member of another form than expected stays at its zero value: one odd member must not hide
// the rest.
func object(data []byte, into any) error {
	if data = bytes.TrimSpace(data); len(data) == 0 || data[0] != '{' {
		return errNoObject
	}
	err := json.Unmarshal(data, into)
	if _, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return nil
	}
	return err
}

// amount is a number, also in quotes, that knows whether it was there.
type amount decimal.NullDecimal

// UnmarshalJSON implements [json.Unmarshaler]. It returns no error.
func (a *amount) UnmarshalJSON(data []byte) error {
	d, ok := wire.ParseDecimal(wire.Scalar(data))
	*a = amount{d, ok}
	return nil
}

// count is a whole number, also in quotes, that knows whether it was there.
type count struct{ value *int64 }

// UnmarshalJSON implements [json.Unmarshaler]. It returns no error.
func (c *count) UnmarshalJSON(data []byte) error {
	c.value = nil
	if d, ok := wire.ParseDecimal(wire.Scalar(data)); ok && d.IsInteger() && d.BigInt().IsInt64() {
		c.value = new(d.IntPart())
	}
	return nil
}

// yes is a boolean that knows whether it was there.
type yes struct{ said, is bool }

// UnmarshalJSON implements [json.Unmarshaler]. It returns no error.
func (y *yes) UnmarshalJSON(data []byte) error {
	is, err := strconv.ParseBool(strings.TrimSpace(wire.Scalar(data)))
	*y = yes{err == nil, is}
	return nil
}

func id(n int64) string { return strconv.FormatInt(n, 10) }

// at returns the query that names a business location.
func at(businessLocationID int64) url.Values {
	return url.Values{"businessLocationId": {id(businessLocationID)}}
}

// problems collects what is wrong with a request.
type problems []string

func (p *problems) add(format string, args ...any) { *p = append(*p, fmt.Sprintf(format, args...)) }

func (p *problems) location(businessLocationID int64) {
	if businessLocationID <= 0 {
		p.add("BusinessLocationID is missing")
	}
}

func (p *problems) endpoint(endpointID string) {
	if endpointID == "" {
		p.add("EndpointID is missing: the ID of a webhook endpoint that was created before")
	}
}

// reference checks what has to come back in a notification exactly as it was sent.
func (p *problems) reference(text string, longest int) {
	switch {
	case text == "":
		p.add("Reference is missing")
	case utf8.RuneCountInString(text) > longest:
		p.add("Reference has %d characters, and may have %d", utf8.RuneCountInString(text), longest)
	case !utf8.ValidString(text) || strings.TrimSpace(text) != text || strings.ContainsFunc(text, unicode.IsControl):
		p.add("Reference has characters that would not come back as they were sent: spaces around it, or control characters")
	}
}

const (
	shortestTTL = time.Minute
	longestTTL  = (1<<31 - 1) * time.Millisecond
)

func (p *problems) ttl(ttl time.Duration) {
	if ttl != 0 && (ttl < shortestTTL || ttl > longestTTL || ttl%time.Millisecond != 0) {
		p.add("TTL is %s, and must be between 1m and %s, in whole milliseconds", ttl, longestTTL)
	}
}

// maxDigits is how many digits a number may have. Up to 15 it comes out as it was sent even of a server that reads numbers as
// floating point.
const maxDigits = 15

// number returns an amount as it goes over the wire: exactly. name is the field that it is for.
func (p *problems) number(name string, d decimal.Decimal) json.Number {
	if !short(d) {
		p.add("%s has more digits than the %d that are sure to arrive", name, maxDigits)
		return ""
	}
	if d.IsNegative() {
		p.add("%s is %s: it must not be below zero", name, d)
		return ""
	}
	return json.Number(d.String())
}

// short reports whether a number has maxDigits digits at most. It looks before it writes out: 1e400 is a long text.
func short(d decimal.Decimal) bool {
	if e := d.Exponent(); e < -2*maxDigits || e > 2*maxDigits || d.NumDigits() > 2*maxDigits {
		return false
	}
	text := strings.Replace(d.Abs().String(), ".", "", 1)
	return len(strings.TrimLeft(text, "0")) <= maxDigits
}

// timeLayout is how the vendor's examples write times.
const timeLayout = "2006-01-02T15:04:05.000-07:00"

// moment returns a time as it goes over the wire, or "" for none.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(timeLayout)
}
