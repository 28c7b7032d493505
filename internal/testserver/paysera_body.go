package testserver

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"
)

// walletBody reads a JSON object, member by member. It keeps the first thing that is wrong. A member that is null counts
// as missing. That members which are not documented are refused is what the vendor's published code does.
type walletBody struct {
	members map[string]json.RawMessage
	outer   *walletBody // the one that it is a part of, and whose failure its own is
	err     error
}

// readObject reads an object that may have the members named.
func readObject(raw []byte, names ...string) *walletBody {
	return (&walletBody{}).read(raw, names...)
}

// part reads an object within.
func (b *walletBody) part(raw []byte, names ...string) *walletBody {
	return (&walletBody{outer: b}).read(raw, names...)
}

func (b *walletBody) read(raw []byte, names ...string) *walletBody {
	if err := json.Unmarshal(raw, &b.members); err != nil || b.members == nil {
		b.fail("", "Content is expected to be array") // so in the vendor's published code: PHP's arrays are objects
		return b
	}
	var unknown []string
	for name := range b.members {
		if !slices.Contains(names, name) {
			unknown = append(unknown, name)
		}
	}
	if unknown != nil {
		slices.Sort(unknown)
		b.fail("", "Some keys in item are not available: "+strings.Join(unknown, ", "))
	}
	return b
}

// object reads the JSON object of a request. Without a body it has no members.
func (c *walletCall) object(names ...string) *walletBody {
	if len(c.body) == 0 {
		return &walletBody{}
	}
	return readObject(c.body, names...)
}

func (b *walletBody) fail(field, description string) {
	for ; b != nil; b = b.outer {
		if b.err == nil {
			b.err = invalid(field, description)
		}
	}
}

// raw is a member as it came, nil when it is missing.
func (b *walletBody) raw(name string) json.RawMessage {
	raw := bytes.TrimSpace(b.members[name])
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	var out bytes.Buffer
	if json.Compact(&out, raw) != nil {
		return nil
	}
	return out.Bytes()
}

func (b *walletBody) has(name string) bool { return b.raw(name) != nil }

// keep returns some members as they came, those that are there.
func (b *walletBody) keep(names ...string) map[string]json.RawMessage {
	var kept map[string]json.RawMessage
	for _, name := range names {
		if raw := b.raw(name); raw != nil {
			if kept == nil {
				kept = map[string]json.RawMessage{}
			}
			kept[name] = raw
		}
	}
	return kept
}

// only demands that at most one of some members is there.
func (b *walletBody) only(names ...string) {
	found := 0
	for _, name := range names {
		if b.has(name) {
			found++
		}
	}
	if found > 1 {
		b.fail(names[0], "Only one of "+strings.Join(names, ", ")+" can be provided")
	}
}

// require demands a member.
func (b *walletBody) require(name string) {
	if !b.has(name) {
		b.fail(name, "Key "+name+" is required")
	}
}

func (b *walletBody) text(name string) string {
	var v string
	if raw := b.raw(name); raw != nil && json.Unmarshal(raw, &v) != nil {
		b.fail(name, name+" must be a string")
	}
	return v
}

func (b *walletBody) flag(name string) bool {
	var v bool
	if raw := b.raw(name); raw != nil && json.Unmarshal(raw, &v) != nil {
		b.fail(name, name+" must be a boolean")
	}
	return v
}

// integer reads a number without a fraction, not in quotes.
func (b *walletBody) integer(name string) int64 {
	raw := b.raw(name)
	if raw == nil {
		return 0
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		b.fail(name, name+" must be an integer")
	}
	return n
}

// choice reads a string that must be one of some.
func (b *walletBody) choice(name string, values ...string) string {
	v := b.text(name)
	if v != "" && !slices.Contains(values, v) {
		b.fail(name, name+" must be one of "+strings.Join(values, ", "))
	}
	return v
}

// list reads an array.
func (b *walletBody) list(name string) []json.RawMessage {
	var v []json.RawMessage
	if raw := b.raw(name); raw != nil && json.Unmarshal(raw, &v) != nil {
		b.fail(name, name+" must be an array")
	}
	return v
}

// objectAt reads an object within. When it is missing it has no members.
func (b *walletBody) objectAt(name string, names ...string) *walletBody {
	raw := b.raw(name)
	if raw == nil {
		return &walletBody{outer: b}
	}
	return b.part(raw, names...)
}

// price reads price in hundredths of the currency's unit, or price_decimal as a string of at most two decimals. Both are
// for answers, and for the vendor's own example of a confirmation.
func (b *walletBody) price(prefix string, both bool) (amount decimal.Decimal, found bool) {
	cents, text := prefix, prefix+"_decimal"
	if !both {
		b.only(cents, text)
	}
	if b.has(text) {
		v := b.text(text)
		d, err := decimal.NewFromString(v)
		if b.err == nil && (err != nil || strings.ContainsAny(v, "eE+") || d.IsNegative() || !d.Equal(d.Truncate(2))) {
			b.fail(text, text+" must be a decimal number with at most two decimals")
		}
		if b.has(cents) && !d.Equal(decimal.New(b.integer(cents), -2)) {
			b.fail(text, cents+" and "+text+" differ")
		}
		return d, true
	}
	if !b.has(cents) {
		return decimal.Decimal{}, false
	}
	amount = decimal.New(b.integer(cents), -2)
	if amount.IsNegative() {
		b.fail(cents, cents+" must not be negative")
	}
	return amount, true
}

// prices writes an amount as both members.
func prices(into map[string]any, name string, amount decimal.Decimal) {
	into[name] = amount.Shift(2).IntPart()
	into[name+"_decimal"] = amount.StringFixed(2)
}
