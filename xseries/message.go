package xseries

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/wire"
)

// Step names a message of the Payments API, by which a payment page in an iframe and the sell screen around it talk: JSON
// texts, sent with postMessage to the exact origin. It has nothing to do with the payments of the REST API. The vendor may
// know more steps than are named here: they come as [Other].
//
// API reference: https://x-series-api.lightspeedhq.com/docs/payments_api_reference
type Step string

// The known steps.
const (
	StepSetup   Step = "SETUP"
	StepData    Step = "DATA"
	StepAccept  Step = "ACCEPT"
	StepDecline Step = "DECLINE"
	StepPrint   Step = "PRINT"
	StepExit    Step = "EXIT"
)

// Message is a message of the Payments API: [Setup], [DataRequest], [Data], [Accept], [Decline], [Print], [Exit] or
// [Other].
type Message interface {
	// Step returns the message's step.
	Step() Step
	// fields returns the fields beside the step, in the order in which they are sent, and those that came with the
	// message and aren't known.
	fields() ([]field, map[string]json.RawMessage)
}

type field struct {
	name  string
	value any
}

// Setup shows or hides the close button of the modal. The sell screen gets it first of all, with EnableClose false, so that
// nobody leaves while a card may be charged.
type Setup struct {
	// EnableClose shows the button: for pages that don't end by themselves, and on which nothing is under way.
	EnableClose bool
	// Extra are fields that this package doesn't know.
	Extra map[string]json.RawMessage
}

// DataRequest asks the sell screen for what is to be paid. It answers with [Data].
type DataRequest struct {
	// Extra are fields that this package doesn't know.
	Extra map[string]json.RawMessage
}

// Accept says that the payment was approved. The sell screen takes the whole of what was asked for as paid and closes the
// modal; there is no way to tell it of another amount, and it doesn't acknowledge.
type Accept struct {
	// TransactionID is the processor's name for the payment, by which it can be found again over REST. Send it always.
	TransactionID string
	// ReceiptHTML is added to the receipt, as HTML: [ReceiptHTML] makes it from text.
	ReceiptHTML string
	// Extra are fields that this package doesn't know.
	Extra map[string]json.RawMessage
}

// Decline says that no money moved. The cashier is back at the Pay screen, and may try again: send it only when that is
// certain.
type Decline struct {
	// Print asks for a receipt of the refusal.
	Print bool
	// ReceiptHTML is added to that receipt, as HTML: [ReceiptHTML] makes it from text.
	ReceiptHTML string
	// Extra are fields that this package doesn't know.
	Extra map[string]json.RawMessage
}

// Print prints at once, in the middle of a payment: a slip to sign.
type Print struct {
	// ReceiptHTML is what to print, as HTML: [ReceiptHTML] makes it from text.
	ReceiptHTML string
	// Extra are fields that this package doesn't know.
	Extra map[string]json.RawMessage
}

// Exit closes the modal and ends the exchange of messages, without an outcome. The vendor advises against it.
type Exit struct {
	// Extra are fields that this package doesn't know.
	Extra map[string]json.RawMessage
}

// Other is a step that this package doesn't know.
type Other struct {
	// Name is the step's.
	Name Step
	// Extra are its fields beside the step.
	Extra map[string]json.RawMessage
}

// Step returns [StepSetup].
func (Setup) Step() Step { return StepSetup }

// Step returns [StepData].
func (DataRequest) Step() Step { return StepData }

// Step returns [StepAccept].
func (Accept) Step() Step { return StepAccept }

// Step returns [StepDecline].
func (Decline) Step() Step { return StepDecline }

// Step returns [StepPrint].
func (Print) Step() Step { return StepPrint }

// Step returns [StepExit].
func (Exit) Step() Step { return StepExit }

// Step returns the step's name.
func (m Other) Step() Step { return m.Name }

const receiptField = "receipt_html_extra"

// receipt returns the field for a receipt, if there is one.
func receipt(html string) []field {
	if html == "" {
		return nil
	}
	return []field{{receiptField, html}}
}

func (m Setup) fields() ([]field, map[string]json.RawMessage) {
	return []field{{"setup", struct {
		EnableClose bool `json:"enable_close"`
	}{m.EnableClose}}}, m.Extra
}

func (m DataRequest) fields() ([]field, map[string]json.RawMessage) { return nil, m.Extra }

func (m Accept) fields() ([]field, map[string]json.RawMessage) {
	var fields []field
	if m.TransactionID != "" {
		fields = append(fields, field{"transaction_id", m.TransactionID})
	}
	return append(fields, receipt(m.ReceiptHTML)...), m.Extra
}

func (m Decline) fields() ([]field, map[string]json.RawMessage) {
	return append([]field{{"print", m.Print}}, receipt(m.ReceiptHTML)...), m.Extra
}

func (m Print) fields() ([]field, map[string]json.RawMessage) {
	return []field{{receiptField, m.ReceiptHTML}}, m.Extra
}

func (m Exit) fields() ([]field, map[string]json.RawMessage)  { return nil, m.Extra }
func (m Other) fields() ([]field, map[string]json.RawMessage) { return nil, m.Extra }

// EncodeMessage returns the text to post. It is what JSON.stringify gives: no spaces, the step first, < and > as they are.
// It is no HTML, and must not be put into a page as it is. Fields of Extra come last, by name; those with the name of a known
// field are left out. One that isn't JSON is an error of kind Invalid, and so is no message.
func EncodeMessage(m Message) (string, error) {
	if m == nil {
		return "", tillroute.Invalid(System, "EncodeMessage", "there is no message: pass one, such as Accept")
	}
	known, extra := m.fields()
	known = append([]field{{"step", m.Step()}}, known...)
	names := make([]string, len(known))
	for i, f := range known {
		names[i] = f.name
	}
	for _, name := range slices.Sorted(maps.Keys(extra)) {
		if !slices.Contains(names, name) {
			known = append(known, field{name, extra[name]})
		}
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	separator := byte('{')
	for _, f := range known {
		b.WriteByte(separator)
		separator = ','
		for i, part := range []any{f.name, f.value} {
			if i == 1 {
				b.WriteByte(':')
			}
			if err := encoder.Encode(part); err != nil {
				return "", tillroute.Invalid(System, "EncodeMessage", "the field %.40q is not JSON", f.name)
			}
			// Encode ends with a line feed.
			b.Truncate(b.Len() - 1)
		}
	}
	b.WriteByte('}')
	return b.String(), nil
}

// maxMessage bounds the text of a message.
const maxMessage = 1 << 20

// ParseMessage reads a message as it was posted, up to 1 MiB. A DATA message with a sale, a payment or success is a [Data],
// another a [DataRequest]. Steps that aren't known are [Other], and fields that aren't known are kept. What isn't a JSON
// object with a step is an error of kind Invalid.
func ParseMessage(text []byte) (Message, error) {
	const operation = "ParseMessage"
	if len(text) > maxMessage {
		return nil, tillroute.Invalid(System, operation, "the message has %d bytes, more than %d", len(text), maxMessage)
	}
	extra, err := wire.Object(text)
	if err != nil {
		return nil, tillroute.Invalid(System, operation, "the message can't be understood: %s", err)
	}
	var step string
	if json.Unmarshal(extra["step"], &step) != nil || step == "" {
		return nil, tillroute.Invalid(System, operation, "the message has no step")
	}
	take := func(name string) json.RawMessage {
		value := extra[name]
		delete(extra, name)
		return value
	}
	take("step")
	switch Step(step) {
	case StepSetup:
		var setup struct {
			EnableClose wire.Bool `json:"enable_close"`
		}
		_ = json.Unmarshal(take("setup"), &setup)
		return Setup{bool(setup.EnableClose), extra}, nil
	case StepData:
		for _, name := range []string{"success", "register_sale", "payment"} {
			if _, ok := extra[name]; ok {
				return parseData(text, extra), nil
			}
		}
		return DataRequest{extra}, nil
	case StepAccept:
		return Accept{wire.Scalar(take("transaction_id")), wire.Scalar(take(receiptField)), extra}, nil
	case StepDecline:
		var paper wire.Bool
		_ = json.Unmarshal(take("print"), &paper)
		return Decline{bool(paper), wire.Scalar(take(receiptField)), extra}, nil
	case StepPrint:
		return Print{wire.Scalar(take(receiptField)), extra}, nil
	case StepExit:
		return Exit{extra}, nil
	default:
		return Other{Step(step), extra}, nil
	}
}
