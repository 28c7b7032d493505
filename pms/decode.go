package pms

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/wire"
)

// ParseCharge reads the body of a charge. The handler does so itself: this is for what was kept of one.
//
// It reads what the vendor calls backward compatible: fields and values that are new, in any order, and fields that are missing
// or null. What the vendor calls incompatible is an error of kind Decode that names the field: a list that became an object, a
// number that became a text. IDs may be either. A field that is there twice is an error, too: nobody can say which one is meant.
// A time that can't be read is zero.
func ParseCharge(body []byte) (Charge, error) {
	var c Charge
	if err := c.parse(body); err != nil {
		return Charge{}, err
	}
	return c, nil
}

// UnmarshalJSON reads a charge as the vendor sends it. See [ParseCharge].
func (c *Charge) UnmarshalJSON(data []byte) error {
	parsed, err := ParseCharge(data)
	if err == nil {
		*c = parsed
	}
	return err
}

// parse reads body. Also when it returns an error, APIKey and BusinessExternalReference are set if they could be read.
func (c *Charge) parse(body []byte) error {
	var w chargeWire
	err := json.Unmarshal(body, &w)
	mistyped, isMistyped := errors.AsType[*json.UnmarshalTypeError](err)
	if err != nil && !isMistyped {
		return notUnderstood("the body is not a JSON object")
	}
	if isMistyped && mistyped.Field == "" {
		return notUnderstood("the body is a JSON %s, not an object", mistyped.Value)
	}
	raw, scanErr := redact(body)
	c.APIKey, c.BusinessExternalReference = tillroute.Secret(w.APIKey), w.BusinessExternalReference
	switch {
	case isMistyped:
		return notUnderstood("%s is of another type than documented (%s)", mistyped.Field, mistyped.Value)
	case scanErr != nil:
		return scanErr
	}
	var p problems
	w.charge(c, &p)
	c.Raw = raw
	if p.first != "" {
		return notUnderstood("%s", p.first)
	}
	return nil
}

func notUnderstood(format string, args ...any) *tillroute.Error {
	return &tillroute.Error{
		System: System, Operation: "ParseCharge", Kind: tillroute.KindDecode, Outcome: tillroute.Failed,
		Message: fmt.Sprintf(format, args...),
	}
}

// The wire structs are what is decoded into. Their names are the vendor's; TestWireHasEveryField sees to it that none of them is
// left out of a Charge.
type (
	chargeWire struct {
		Name                      string            `json:"name"`
		OpenDate                  moment            `json:"openDate"`
		CloseDate                 moment            `json:"closeDate"`
		Covers                    number            `json:"covers"`
		OwnerID                   id                `json:"ownerId"`
		OwnerName                 string            `json:"ownerName"`
		DeviceID                  id                `json:"deviceId"`
		BusinessExternalReference string            `json:"businessExternalReference"`
		APIKey                    string            `json:"apiKey"`
		ReceiptID                 id                `json:"receiptId"`
		FiscID                    id                `json:"fiscId"`
		UUID                      id                `json:"uuid"`
		InitialAccountID          id                `json:"initialAccountId"`
		Identifier                id                `json:"identifier"`
		Receipt                   json.RawMessage   `json:"receipt"`
		ID                        id                `json:"id"`
		RevenueCenterID           id                `json:"revenueCenterId"`
		RevenueCenterName         string            `json:"revenueCenterName"`
		Transactions              []transactionWire `json:"transactions"`
		Payments                  []paymentWire     `json:"payments"`
		ServiceCharge             serviceChargeWire `json:"serviceCharge"`
	}
	transactionWire struct {
		UnitAmount                number        `json:"unitAmount"`
		Quantity                  number        `json:"quantity"`
		Amount                    number        `json:"amount"`
		Description               string        `json:"description"`
		StaffID                   id            `json:"staffId"`
		StaffName                 string        `json:"staffName"`
		GroupID                   id            `json:"groupId"`
		GroupName                 string        `json:"groupName"`
		TaxID                     id            `json:"taxId"`
		TaxName                   string        `json:"taxName"`
		TaxRate                   number        `json:"taxRate"`
		TaxIncluded               *bool         `json:"taxIncluded"`
		SKU                       string        `json:"sku"`
		Type                      string        `json:"type"`
		ServiceChargeContribution number        `json:"serviceChargeContribution"`
		TaxLines                  []taxLineWire `json:"taxLines"`
	}
	taxLineWire struct {
		TaxID       id     `json:"taxId"`
		TaxName     string `json:"taxName"`
		TaxAmount   number `json:"taxAmount"`
		TaxRate     number `json:"taxRate"`
		TaxIncluded *bool  `json:"taxIncluded"`
	}
	paymentWire struct {
		PaymentDate   moment `json:"paymentDate"`
		StaffID       id     `json:"staffId"`
		StaffName     string `json:"staffName"`
		Gratuity      number `json:"gratuity"`
		Amount        number `json:"amount"`
		MethodName    string `json:"methodName"`
		MethodCode    string `json:"methodCode"`
		ReservationID id     `json:"reservationId"`
	}
	serviceChargeWire struct {
		Amount number `json:"amount"`
		Type   string `json:"type"`
	}
)

func (w *chargeWire) charge(c *Charge, p *problems) {
	*c = Charge{
		Name:                      w.Name,
		OpenDate:                  time.Time(w.OpenDate),
		CloseDate:                 time.Time(w.CloseDate),
		Covers:                    p.number(w.Covers, "covers"),
		OwnerID:                   p.id(w.OwnerID, "ownerId"),
		OwnerName:                 w.OwnerName,
		DeviceID:                  p.id(w.DeviceID, "deviceId"),
		BusinessExternalReference: w.BusinessExternalReference,
		APIKey:                    tillroute.Secret(w.APIKey),
		ReceiptID:                 p.id(w.ReceiptID, "receiptId"),
		FiscID:                    p.id(w.FiscID, "fiscId"),
		UUID:                      p.id(w.UUID, "uuid"),
		InitialAccountID:          p.id(w.InitialAccountID, "initialAccountId"),
		Identifier:                p.id(w.Identifier, "identifier"),
		Receipt:                   w.Receipt,
		ID:                        p.id(w.ID, "id"),
		RevenueCenterID:           p.id(w.RevenueCenterID, "revenueCenterId"),
		RevenueCenterName:         w.RevenueCenterName,
		ServiceCharge: ServiceCharge{
			Amount: p.number(w.ServiceCharge.Amount, "serviceCharge", "amount"), Type: ServiceChargeType(w.ServiceCharge.Type),
		},
	}
	if len(w.Transactions) > 0 {
		c.Transactions = make([]Transaction, len(w.Transactions))
	}
	for i := range w.Transactions {
		p.at = i
		w.Transactions[i].transaction(&c.Transactions[i], p)
	}
	if len(w.Payments) > 0 {
		c.Payments = make([]Payment, len(w.Payments))
	}
	for i := range w.Payments {
		p.at = i
		w.Payments[i].payment(&c.Payments[i], p)
	}
}

func (w *transactionWire) transaction(t *Transaction, p *problems) {
	const list = "transactions"
	*t = Transaction{
		UnitAmount:                p.number(w.UnitAmount, list, "unitAmount"),
		Quantity:                  p.number(w.Quantity, list, "quantity"),
		Amount:                    p.number(w.Amount, list, "amount"),
		Description:               w.Description,
		StaffID:                   p.id(w.StaffID, list, "staffId"),
		StaffName:                 w.StaffName,
		GroupID:                   p.id(w.GroupID, list, "groupId"),
		GroupName:                 w.GroupName,
		TaxID:                     p.id(w.TaxID, list, "taxId"),
		TaxName:                   w.TaxName,
		TaxRate:                   p.number(w.TaxRate, list, "taxRate"),
		TaxIncluded:               w.TaxIncluded,
		SKU:                       w.SKU,
		Type:                      LineType(w.Type),
		ServiceChargeContribution: p.number(w.ServiceChargeContribution, list, "serviceChargeContribution"),
	}
	for _, line := range w.TaxLines {
		t.TaxLines = append(t.TaxLines, TaxLine{
			TaxID:       p.id(line.TaxID, list, "taxLines", "taxId"),
			TaxName:     line.TaxName,
			TaxAmount:   p.number(line.TaxAmount, list, "taxLines", "taxAmount"),
			TaxRate:     p.number(line.TaxRate, list, "taxLines", "taxRate"),
			TaxIncluded: line.TaxIncluded,
		})
	}
}

func (w *paymentWire) payment(t *Payment, p *problems) {
	const list = "payments"
	*t = Payment{
		PaymentDate:   time.Time(w.PaymentDate),
		StaffID:       p.id(w.StaffID, list, "staffId"),
		StaffName:     w.StaffName,
		Gratuity:      p.number(w.Gratuity, list, "gratuity"),
		Amount:        p.number(w.Amount, list, "amount"),
		MethodName:    w.MethodName,
		MethodCode:    w.MethodCode,
		ReservationID: p.id(w.ReservationID, list, "reservationId"),
	}
}

// problems keeps the first value that can't be read. Types that returned it as an error would keep encoding/json from reading
// what follows, which may be the API key.
type problems struct {
	first string
	at    int
}

func (p *problems) number(n number, path ...string) decimal.NullDecimal {
	p.note(n.problem, path)
	return decimal.NullDecimal{Decimal: n.value, Valid: n.valid}
}

func (p *problems) id(i id, path ...string) string {
	p.note(i.problem, path)
	return i.text
}

func (p *problems) note(problem string, path []string) {
	if problem == "" || p.first != "" {
		return
	}
	name := strings.Join(path, ".")
	if path[0] == "transactions" || path[0] == "payments" {
		name = path[0] + "[" + strconv.Itoa(p.at) + "]." + strings.Join(path[1:], ".")
	}
	p.first = name + " " + problem
}

// number is a JSON number that an amount may have. Text in its place is a problem, even if it looks like a number.
type number struct {
	value   decimal.Decimal
	valid   bool
	problem string
}

// UnmarshalJSON implements [json.Unmarshaler]. It returns no error.
func (n *number) UnmarshalJSON(data []byte) error {
	*n = number{}
	switch data[0] {
	case 'n':
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		if n.value, n.valid = short(data); n.valid {
			return nil
		}
		if n.value, n.valid = wire.ParseDecimal(string(data)); !n.valid {
			n.problem = "is a number that is too long"
		}
	default:
		n.problem = "is " + typeOf(data) + ", where a number is documented"
	}
	return nil
}

// short is wire.ParseDecimal for the numbers that bills have, without making a text of them. Anything else is false.
func short(data []byte) (decimal.Decimal, bool) {
	const digits = 18 // an int64 has room for them
	var value int64
	whole, negative := bytes.CutPrefix(data, []byte("-"))
	point := len(whole)
	for i, b := range whole {
		switch {
		case '0' <= b && b <= '9':
			value = value*10 + int64(b-'0')
		case b == '.' && point == len(whole):
			point = i
		default:
			return decimal.Decimal{}, false
		}
		if i > digits-1 {
			return decimal.Decimal{}, false
		}
	}
	if negative {
		value = -value
	}
	decimals := max(len(whole)-point-1, 0)
	return decimal.New(value, int32(-decimals)), true //nolint:gosec // there are few digits.
}

// id is a JSON number or string, as a text.
type id struct{ text, problem string }

// UnmarshalJSON implements [json.Unmarshaler]. It returns no error.
func (i *id) UnmarshalJSON(data []byte) error {
	*i = id{}
	switch data[0] {
	case '{', '[', 't', 'f':
		i.problem = "is " + typeOf(data) + ", where an ID is documented"
	default:
		i.text = scalar(data)
	}
	return nil
}

// scalar is wire.Scalar, quicker for a string that holds nothing to be decoded.
func scalar(data []byte) string {
	if data[0] == '"' && len(data) < 100 {
		inner := data[1 : len(data)-1]
		if !slices.ContainsFunc(inner, func(b byte) bool { return b == '\\' || b >= 0x80 }) {
			return string(inner)
		}
	}
	return wire.Scalar(data)
}

// moment is a time, in UTC. The vendor's guide has one as "unsigned integer" without a unit: as that can only be seconds or
// milliseconds since 1970, the size tells which.
type moment time.Time

// UnmarshalJSON implements [json.Unmarshaler]. It returns no error.
func (m *moment) UnmarshalJSON(data []byte) error {
	var t time.Time
	if data[0] == '"' && t.UnmarshalText(data[1:len(data)-1]) == nil {
		*m = moment(t.UTC())
		return nil
	}
	text := scalar(data)
	const milliseconds = 100_000_000_000 // in seconds that is the year 5138
	n, err := strconv.ParseUint(text, 10, 48)
	switch {
	case err != nil || n == 0:
		return (*wire.Time)(m).UnmarshalJSON(data)
	case n >= milliseconds:
		*m = moment(time.UnixMilli(int64(n)).UTC())
	default:
		*m = moment(time.Unix(int64(n), 0).UTC())
	}
	return nil
}

func typeOf(data []byte) string {
	switch data[0] {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "a text"
	default:
		return "a boolean"
	}
}

// redact returns a copy of a valid JSON object without the value of its apiKey. It refuses one that has a field twice, in
// whatever case: encoding/json would mix the two.
func redact(object []byte) (json.RawMessage, error) {
	const redacted = `"[redacted]"`
	raw := make([]byte, 0, len(object)+len(redacted))
	var seen uint32
	kept := 0
	for name, value := range members(object) {
		n := fieldNumber(name)
		if n == 0 {
			continue
		}
		if seen&(1<<n) != 0 {
			return nil, notUnderstood("%s is there twice", name)
		}
		seen |= 1 << n
		if n == apiKeyNumber {
			raw = append(raw, object[kept:value.from]...)
			raw = append(raw, redacted...)
			kept = value.to
		}
	}
	return append(raw, object[kept:]...), nil
}

const apiKeyNumber = 9

// fieldNumber returns a number from 1 to 31 for a field that is known at the top of a charge, given as a JSON string, and 0 for
// others. Names are compared as encoding/json does it: in whatever case.
func fieldNumber(quoted []byte) uint {
	name := quoted[1 : len(quoted)-1]
	if slices.ContainsFunc(name, func(b byte) bool { return b == '\\' || b >= 0x80 }) {
		// There are letters outside of ASCII whose capital or small one is within.
		name = []byte(strings.ToLower(strings.ToUpper(wire.Scalar(quoted))))
	}
	var small [len("businessexternalreference")]byte
	if len(name) > len(small) {
		return 0
	}
	for i, b := range name {
		if 'A' <= b && b <= 'Z' {
			b += 'a' - 'A'
		}
		small[i] = b
	}
	switch string(small[:len(name)]) {
	case "name":
		return 1
	case "opendate":
		return 2
	case "closedate":
		return 3
	case "covers":
		return 4
	case "ownerid":
		return 5
	case "ownername":
		return 6
	case "deviceid":
		return 7
	case "businessexternalreference":
		return 8
	case "apikey":
		return apiKeyNumber
	case "receiptid":
		return 10
	case "fiscid":
		return 11
	case "uuid":
		return 12
	case "initialaccountid":
		return 13
	case "identifier":
		return 14
	case "receipt":
		return 15
	case "id":
		return 16
	case "revenuecenterid":
		return 17
	case "revenuecentername":
		return 18
	case "transactions":
		return 19
	case "payments":
		return 20
	case "servicecharge":
		return 21
	default:
		return 0
	}
}

type span struct{ from, to int }

// members goes through the members of a valid JSON object: their quoted names, and where their values are.
func members(object []byte) func(yield func([]byte, span) bool) {
	return func(yield func([]byte, span) bool) {
		i := skip(object, 0, " \t\r\n{")
		for i < len(object) && object[i] == '"' {
			end := valueEnd(object, i)
			name := object[i:end]
			from := skip(object, end, " \t\r\n:")
			to := valueEnd(object, from)
			if !yield(name, span{from, to}) {
				return
			}
			i = skip(object, to, " \t\r\n,")
		}
	}
}

func skip(data []byte, i int, what string) int {
	for i < len(data) && strings.IndexByte(what, data[i]) >= 0 {
		i++
	}
	return i
}

// valueEnd returns where the value ends that begins at i.
func valueEnd(data []byte, i int) int {
	depth := 0
	for ; i < len(data); i++ {
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
				return i
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
	return i
}

// Unknown returns the fields that are in Raw and in no field of a Charge, by their paths: payments[0].cardType, for one. The
// vendor adds fields without notice.
func (c Charge) Unknown() map[string]json.RawMessage {
	unknown := map[string]json.RawMessage{}
	if json.Valid(c.Raw) {
		collect(unknown, "", c.Raw, reflect.TypeFor[chargeWire]())
	}
	return unknown
}

// collect adds what is in value and not in t.
func collect(unknown map[string]json.RawMessage, path string, value json.RawMessage, t reflect.Type) {
	switch {
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct:
		var list []json.RawMessage
		_ = json.Unmarshal(value, &list)
		for i, item := range list {
			collect(unknown, path+"["+strconv.Itoa(i)+"]", item, t.Elem())
		}
		return
	case t.Kind() != reflect.Struct || reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()):
		return
	}
	known := map[string]reflect.Type{}
	for field := range t.Fields() {
		known[strings.ToLower(field.Tag.Get("json"))] = field.Type
	}
	var object map[string]json.RawMessage
	_ = json.Unmarshal(value, &object)
	for _, name := range slices.Sorted(maps.Keys(object)) {
		at := strings.TrimPrefix(path+"."+name, ".")
		if inner, ok := known[strings.ToLower(strings.ToUpper(name))]; ok {
			collect(unknown, at, object[name], inner)
		} else {
			unknown[at] = object[name]
		}
	}
}
