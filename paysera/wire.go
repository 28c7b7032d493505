package paysera

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute/internal/wire"
)

// What the server writes, as forgivingly as package wire: null is missing, an empty object may be a list, and what can't be
// read is zero.

var errNoID = errors.New("an item has no id")

// unixTime is a time in whole seconds.
type unixTime wire.Int

func (t *unixTime) UnmarshalJSON(data []byte) error { return (*wire.Int)(t).UnmarshalJSON(data) }

func (t unixTime) time() time.Time {
	// Years beyond four digits can't be written any more.
	if t <= 0 || t > 1<<37 {
		return time.Time{}
	}
	return time.Unix(int64(t), 0).UTC()
}

// list is a JSON array. What isn't one is empty, and so are elements that can't be read.
type list[T any] []T

func (l *list[T]) UnmarshalJSON(data []byte) error {
	*l = readList[T](data)
	return nil
}

func readList[T any](data []byte) (list []T) {
	for e := wire.Elements(data); e.Next(); {
		var none T
		list = append(list, none)
		if last := &list[len(list)-1]; wire.Unmarshal(e.Value, last) != nil {
			*last = none
		}
	}
	return list
}

// object is a JSON object. What isn't one is zero.
type object[T any] struct{ value *T }

func (o *object[T]) UnmarshalJSON(data []byte) error {
	o.value = nil
	var fields map[string]json.RawMessage
	if json.Unmarshal(data, &fields) != nil || fields == nil {
		return nil //nolint:nilerr // what isn't an object is none.
	}
	value := new(T)
	if err := json.Unmarshal(data, value); err != nil {
		return err
	}
	o.value = value
	return nil
}

// raw is any JSON but null.
func raw(data json.RawMessage) json.RawMessage {
	if string(data) == "null" {
		return nil
	}
	return data
}

// centDigits is how many decimals the vendor's integer prices have, whatever the currency.
const centDigits = 2

// amount is a price, which comes in hundredths, or as a decimal, or in both ways.
func amount(cents, text json.RawMessage) decimal.Decimal {
	if d, ok := wire.ParseDecimal(wire.Scalar(text)); ok {
		return d
	}
	if d, ok := wire.ParseDecimal(wire.Scalar(cents)); ok {
		return d.Shift(-centDigits)
	}
	return decimal.Decimal{}
}
