package wire

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// Walk goes through the members of a JSON object or the elements of a list, which must be valid JSON:
//
//	for m := wire.Members(data); m.Next(); {
//		switch {
//		case m.Is("id"):
//			id = m.Text()
//
// It is what encoding/json does, without looking at everything again for each level. What reads a member that is there twice
// sees both, in their order, as encoding/json has the last one win. JSON that isn't valid ends it somewhere.
type Walk struct {
	// Value is that of the member or the element, as it stands there.
	Value []byte

	data    []byte
	i       int
	members bool
	// name is the member's, unless it isn't plain: then odd is.
	name []byte
	odd  string
}

// Members returns a walk through an object's members. Anything else has none.
func Members(object []byte) Walk { return walk(object, '{') }

// Elements returns a walk through a list's elements. Anything else has none.
func Elements(list []byte) Walk { return walk(list, '[') }

func walk(data []byte, open byte) Walk {
	i := skipSpace(data, 0)
	if i >= len(data) || data[i] != open {
		return Walk{}
	}
	return Walk{data: data, i: i + 1, members: open == '{'}
}

// Next goes on to the next one, and reports whether there is one.
func (w *Walk) Next() bool {
	i := skipSpace(w.data, w.i)
	if i < len(w.data) && w.data[i] == ',' {
		i = skipSpace(w.data, i+1)
	}
	if w.members && i < len(w.data) && w.data[i] == '"' {
		end := valueEnd(w.data, i)
		var isPlain bool
		if w.name, isPlain = plain(w.data[i:end]); !isPlain {
			w.odd = Scalar(w.data[i:end])
		}
		i = skipSpace(w.data, skipSpace(w.data, end)+len(":"))
	}
	if i >= len(w.data) || w.data[i] == '}' || w.data[i] == ']' {
		return false
	}
	w.i = valueEnd(w.data, i)
	w.Value = w.data[i:w.i:w.i]
	return true
}

// Is reports whether the member has that name, in whatever case, as encoding/json compares names.
func (w *Walk) Is(name string) bool {
	if w.name == nil {
		return strings.EqualFold(w.odd, name)
	}
	return len(w.name) == len(name) && (string(w.name) == name || strings.EqualFold(string(w.name), name))
}

// Null reports whether the value is null.
func (w *Walk) Null() bool { return string(w.Value) == "null" }

// Text returns the value as a [Text].
func (w *Walk) Text() string { return Scalar(w.Value) }

// Int returns the value as an [Int].
func (w *Walk) Int() (i int64) {
	_ = (*Int)(&i).UnmarshalJSON(w.Value) // Like those that follow, it returns no error.
	return i
}

// Bool returns the value as a [Bool].
func (w *Walk) Bool() (b bool) {
	_ = (*Bool)(&b).UnmarshalJSON(w.Value)
	return b
}

// Time returns the value as a [Time].
func (w *Walk) Time() (t time.Time) {
	_ = (*Time)(&t).UnmarshalJSON(w.Value)
	return t
}

// Decimal returns the value as a [Decimal].
func (w *Walk) Decimal() (d decimal.Decimal) {
	_ = (*Decimal)(&d).UnmarshalJSON(w.Value)
	return d
}

// Raw returns a copy of the value.
func (w *Walk) Raw() json.RawMessage { return bytes.Clone(w.Value) }

// Unmarshal is [json.Unmarshal] for JSON that is known to be valid: what reads itself isn't searched for its end first.
func Unmarshal(data []byte, out any) error {
	if u, ok := out.(json.Unmarshaler); ok {
		return u.UnmarshalJSON(data)
	}
	return json.Unmarshal(data, out)
}

// CheckObject returns the error of encoding/json for JSON that is no object, where a T is read, or nil. Null is none, and no error.
// The field is where it stands, or empty.
func CheckObject[T any](data []byte, field string) error { return check[T](data, '{', field) }

// CheckList is [CheckObject] for a list.
func CheckList[T any](data []byte, field string) error { return check[T](data, '[', field) }

func check[T any](data []byte, open byte, field string) error {
	i := skipSpace(data, 0)
	if i < len(data) && (data[i] == open || data[i] == 'n') {
		return nil
	}
	kind := "number"
	switch {
	case i >= len(data):
		kind = "nothing"
	case data[i] == '{':
		kind = "object"
	case data[i] == '[':
		kind = "array"
	case data[i] == '"':
		kind = "string"
	case data[i] == 't' || data[i] == 'f':
		kind = "bool"
	}
	return &json.UnmarshalTypeError{Value: kind, Type: reflect.TypeFor[T](), Offset: int64(len(data)), Field: field}
}
