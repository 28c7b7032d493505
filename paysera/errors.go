package paysera

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/rest"
	"github.com/tillroute/tillroute/internal/wire"
)

// The vendor's codes, as [tillroute.Error].Code has them, that programs may want to tell apart. There are more.
//
// API reference: https://developers.paysera.com/api/wallet/reserve-transaction
const (
	// ErrorCodeInvalidState is a transaction, a spot or an order in another state than is needed. Its kind is Conflict.
	ErrorCodeInvalidState = "invalid_state"
	// ErrorCodeNotEnoughFunds and those below say why a payer's money could not be set aside. ErrorCodeNoRights is of kind
	// Forbidden; the kinds of the rest follow from the status, which isn't documented.
	ErrorCodeNotEnoughFunds   = "not_enough_funds"
	ErrorCodeLimitsExceeded   = "limits_exceeded"
	ErrorCodeNoRights         = "no_rights"
	ErrorCodePayerInactive    = "payer_account_inactive"
	ErrorCodeClientRestricted = "client_restricted"

	errorCodeInvalidTimestamp = "invalid_timestamp"
	errorCodeInvalidGrant     = "invalid_grant"
	errorCodeNotFound         = "not_found"
)

// explain refines the kind of an error by its code: which status goes with it isn't documented for all of them.
func explain(e *tillroute.Error) {
	switch e.Code {
	case errorCodeInvalidGrant:
		e.Kind = tillroute.KindUnauthorized
	case "unauthorized":
		e.Kind = tillroute.KindUnauthorized
		rest.Advise(e, "check the ID and its secret, and that no proxy changes the host, the path or the Authorization header")
	case errorCodeInvalidTimestamp:
		e.Kind = tillroute.KindUnauthorized
		rest.Advise(e, "the clock of this machine is wrong, set it")
	case "forbidden":
		e.Kind = tillroute.KindForbidden
		rest.Advise(e, "check Parameters, and what the client may do")
	case ErrorCodeNoRights:
		e.Kind = tillroute.KindForbidden
	case errorCodeNotFound:
		e.Kind = tillroute.KindNotFound
	case ErrorCodeInvalidState:
		e.Kind = tillroute.KindConflict
	case "rate_limit_exceeded":
		e.Kind = tillroute.KindRateLimited
	}
	if d, ok := DetailsOf(e); ok {
		if text := d.text(); text != "" {
			e.Message += " (" + text + ")"
		}
	}
}

// Details are what the vendor says about an error beside its code and description.
type Details struct {
	// URI is where to read about it.
	URI string
	// Properties are what was wrong with each field of the request.
	Properties map[string][]string
	// Violations are what was wrong, one by one.
	Violations []Violation
	// Data is whatever else there was, as it came.
	Data json.RawMessage
}

// Violation is one thing that was wrong with a request. Field is the member of the request that it was, Code and Message are the
// vendor's; each may be empty.
type Violation struct{ Code, Message, Field string }

// DetailsOf returns the details of an error of this package, however deeply it is wrapped, and false if it has none.
func DetailsOf(err error) (Details, bool) {
	e, ok := errors.AsType[*tillroute.Error](err)
	if !ok || e.System != System {
		return Details{}, false
	}
	var w struct {
		URI        wire.Text       `json:"error_uri"`
		Properties json.RawMessage `json:"error_properties"`
		Data       json.RawMessage `json:"error_data"`
		Errors     json.RawMessage `json:"errors"`
	}
	if json.Unmarshal(e.Body, &w) != nil {
		return Details{}, false
	}
	d := Details{URI: string(w.URI)}
	if len(w.Data) > 0 && string(w.Data) != "null" {
		d.Data = w.Data
	}
	var properties map[string]json.RawMessage
	_ = json.Unmarshal(w.Properties, &properties) // An empty map comes as a list.
	for name, value := range properties {
		if d.Properties == nil {
			d.Properties = map[string][]string{}
		}
		var list []wire.Text
		if json.Unmarshal(value, &list) != nil {
			list = []wire.Text{wire.Text(wire.Scalar(value))}
		}
		for _, text := range list {
			d.Properties[name] = append(d.Properties[name], string(text))
		}
	}
	var violations []struct {
		Code    wire.Text `json:"code"`
		Message wire.Text `json:"message"`
		Field   wire.Text `json:"field"`
	}
	_ = json.Unmarshal(w.Errors, &violations)
	for _, v := range violations {
		d.Violations = append(d.Violations, Violation{string(v.Code), string(v.Message), string(v.Field)})
	}
	return d, d.URI != "" || d.Properties != nil || d.Violations != nil || d.Data != nil
}

// text tells which fields were wrong, for people.
func (d Details) text() string {
	var parts []string
	for _, name := range sortedKeys(d.Properties) {
		parts = append(parts, name+": "+strings.Join(d.Properties[name], ", "))
	}
	for _, v := range d.Violations {
		text := v.Message
		if text == "" {
			text = v.Code
		}
		if v.Field != "" {
			text = v.Field + ": " + text
		}
		if text != "" {
			parts = append(parts, text)
		}
	}
	return strings.Join(parts, "; ")
}
