// Package pmstest builds what Lightspeed sends to a hotel system, as it is documented and as it should not be, for tests of a
// [pms.Backend] and of the program around it.
//
//	bill := pmstest.NewCharge("the API key")
//	w := httptest.NewRecorder()
//	handler.ServeHTTP(w, bill.Request(ctx, "/pms"))        // posts it
//	handler.ServeHTTP(w, bill.Request(ctx, "/pms"))        // a duplicate
//	handler.ServeHTTP(w, bill.Void().Request(ctx, "/pms")) // takes it back
//
// What the vendor doesn't document, such as whether a void names the reservation, is a choice made here: a backend must not rely
// on it.
package pmstest

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/tillroute/tillroute"
)

// Charge is a charge that can be sent. Change it with Set and Remove, and send it with Request as often as you like.
type Charge struct {
	// Key is the idempotency key. Empty sends none.
	Key string
	// Payload is the body, in the types that encoding/json decodes into with UseNumber: map[string]any, []any, string, bool,
	// json.Number and nil.
	Payload map[string]any
}

// NewCharge returns a bill of 11.00 that was charged to the reservation 001, with a tip of 1.00, from the business "hotel" (see
// [pms.Key]). Each one has a key and a name of its own.
func NewCharge(apiKey tillroute.Secret) *Charge {
	number := random()[:8]
	line := func(price, sku, what string) map[string]any {
		return map[string]any{
			"unitAmount": json.Number(price), "quantity": json.Number("1"), "amount": json.Number(price), "description": what,
			"staffId": json.Number("6"), "staffName": "John Doe", "groupId": json.Number("25769803810"), "groupName": "Food",
			"sku": sku, "type": "Sale",
			"taxLines": []any{map[string]any{
				"taxId": "12345", "taxName": "VAT 10%", "taxAmount": json.Number("0.50"), "taxRate": json.Number("1.1"), "taxIncluded": true,
			}},
		}
	}
	c := &Charge{Key: newKey(), Payload: map[string]any{
		"name": "Table 5", "openDate": "2022-09-01T12:25:36.161Z", "closeDate": "2022-09-01T12:27:33.266Z", "covers": json.Number("2"),
		"ownerId": json.Number("6"), "ownerName": "John Doe", "deviceId": json.Number("12345"), "businessExternalReference": "hotel",
		"apiKey": apiKey.Reveal(), "receiptId": "R12345." + number, "receipt": nil, "id": nil,
		"revenueCenterId": json.Number("94489280528"), "revenueCenterName": "Bar",
		"transactions": []any{line("6.00", "F07", "French Fries"), line("5.00", "B01", "Beer")},
		"payments": []any{map[string]any{
			"paymentDate": "2022-09-01T12:27:33.243Z", "staffId": json.Number("6"), "staffName": "John Doe",
			"gratuity": json.Number("1.00"), "amount": json.Number("11.00"), "methodName": "Room", "methodCode": "IKPMS", "reservationId": "001",
		}},
	}}
	c.rename("A12345."+number, true)
	return c
}

// rename gives the bill a name.
func (c *Charge) rename(account string, first bool) {
	c.Payload["fiscId"], c.Payload["identifier"] = account, account
	var id [16]byte
	_, _ = rand.Read(id[:])
	c.Payload["uuid"] = base64.URLEncoding.EncodeToString(id[:])
	if first {
		c.Payload["initialAccountId"] = account
	}
}

func newKey() string { return "LS1_" + random() }

func random() string { return strings.ToLower(rand.Text()) }

// Clone returns a copy that shares nothing, with the same key.
func (c *Charge) Clone() *Charge {
	payload, _ := clone(c.Payload).(map[string]any)
	return &Charge{Key: c.Key, Payload: payload}
}

func clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(v))
		for name, value := range v {
			m[name] = clone(value)
		}
		return m
	case []any:
		l := make([]any, len(v))
		for i, value := range v {
			l[i] = clone(value)
		}
		return l
	default:
		return v
	}
}

// Again returns the same bill under a key of its own.
func (c *Charge) Again() *Charge {
	again := c.Clone()
	again.Key = newKey()
	return again
}

// Void returns the bill that takes this one back: a bill of its own, with quantities, amounts and payments negated, that says
// which one it began with.
func (c *Charge) Void() *Charge {
	void := c.Again()
	void.rename(fmt.Sprint(c.Payload["fiscId"])+"-"+random()[:8], false)
	negate(void.Payload, "covers")
	for _, list := range []string{"transactions", "payments"} {
		items, _ := void.Payload[list].([]any)
		for _, item := range items {
			if object, ok := item.(map[string]any); ok {
				negate(object, "quantity")
				negate(object, "amount")
				negate(object, "gratuity")
			}
		}
	}
	return void
}

func negate(object map[string]any, name string) {
	n, ok := object[name].(json.Number)
	if !ok || strings.Trim(n.String(), "-0.") == "" {
		return
	}
	if text, negative := strings.CutPrefix(n.String(), "-"); negative {
		object[name] = json.Number(text)
	} else {
		object[name] = json.Number("-" + text)
	}
}

// TipCorrection returns the two bills by which the tip of the first payment becomes another: one that takes this bill back, and
// the bill again with the new tip.
func (c *Charge) TipCorrection(gratuity string) (reversal, corrected *Charge) {
	corrected = c.Again()
	corrected.rename(fmt.Sprint(c.Payload["fiscId"])+"-"+random()[:8], false)
	return c.Void(), corrected.Set("payments.0.gratuity", json.Number(gratuity))
}

// Set sets a value by its path, such as "payments.0.amount" or "serviceCharge", and returns the charge. It panics if what leads
// there isn't there.
func (c *Charge) Set(path string, value any) *Charge {
	c.at(path, func(object map[string]any, name string) { object[name] = value })
	return c
}

// Remove removes a field by its path, and returns the charge. It panics if what leads there isn't there.
func (c *Charge) Remove(path string) *Charge {
	c.at(path, func(object map[string]any, name string) { delete(object, name) })
	return c
}

func (c *Charge) at(path string, change func(map[string]any, string)) {
	names := strings.Split(path, ".")
	var v any = c.Payload
	for _, name := range names[:len(names)-1] {
		switch inner := v.(type) {
		case map[string]any:
			v = inner[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(inner) {
				panic("pmstest: there is no " + path + " in the charge")
			}
			v = inner[i]
		}
	}
	object, ok := v.(map[string]any)
	if !ok {
		panic("pmstest: there is no " + path + " in the charge")
	}
	change(object, names[len(names)-1])
}

// Body returns the body of the request. It panics if the payload has something that isn't JSON.
func (c *Charge) Body() []byte {
	body, err := json.Marshal(c.Payload)
	if err != nil {
		panic("pmstest: the charge can't be written as JSON: " + err.Error())
	}
	return body
}

// Request returns a request that posts the charge to the endpoint: a URL such as https://hotel.example/pms, or a path for a
// handler that is called directly. It panics if the endpoint is no URL.
func (c *Charge) Request(ctx context.Context, endpoint string) *http.Request {
	return chargeRequest(ctx, endpoint, c.Key, string(c.Body()))
}

func chargeRequest(ctx context.Context, endpoint, key, body string) *http.Request {
	r := newRequest(ctx, http.MethodPost, endpoint+"/charge", body)
	r.Header.Set("Accept", "application/json")
	r.Header.Set("Content-Type", "application/json")
	if key != "" {
		r.Header.Set("X-Lightspeed-Idempotency-Key", key)
	}
	return r
}

func newRequest(ctx context.Context, method, target, body string) *http.Request {
	r, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(body))
	if err != nil {
		panic("pmstest: the endpoint is no URL")
	}
	return r
}

// Search returns a request that searches for the term, from the business "hotel".
func Search(ctx context.Context, endpoint string, apiKey tillroute.Secret, term string) *http.Request {
	query := url.Values{"term": {term}, "businessExternalReference": {"hotel"}, "apiKey": {apiKey.Reveal()}}
	r := newRequest(ctx, http.MethodGet, endpoint+"/search?"+query.Encode(), "")
	r.Header.Set("Accept", "application/json")
	return r
}

// Case is a delivery that is not like the usual ones.
type Case struct {
	// Name says what is strange about it.
	Name string
	// Request is what is sent. It can be sent once.
	Request *http.Request
	// Posts says that it is a charge all the same, and should be answered 200. Everything else must not be.
	Posts bool
}

// Strange returns deliveries that are strange: some that a handler has to take, as the vendor may send them any day, and some that
// it has to refuse.
func Strange(ctx context.Context, endpoint string, apiKey tillroute.Secret) []Case {
	good := func() *Charge { return NewCharge(apiKey) }
	send := func(name string, posts bool, c *Charge) Case { return Case{name, c.Request(ctx, endpoint), posts} }
	raw := func(name, body string) Case { return Case{name, chargeRequest(ctx, endpoint, newKey(), body), false} }
	header := func(name string, posts bool, key, value string) Case {
		r := good().Request(ctx, endpoint)
		r.Header.Set(key, value)
		return Case{name, r, posts}
	}
	all := good()
	for name := range all.Payload {
		if name != "apiKey" {
			all.Payload[name] = nil
		}
	}
	other := func(name, method, path string) Case {
		r := good().Request(ctx, endpoint)
		r.Method, r.URL.Path = method, strings.TrimSuffix(r.URL.Path, "/charge")+path
		return Case{name, r, false}
	}
	body := string(good().Body())
	return []Case{
		send("a field that is new", true, good().Set("payments.0.cardType", "VISA").Set("roomService", map[string]any{"floor": json.Number("3")})),
		send("values that are new", true, good().Set("transactions.0.type", "Deposit").Set("serviceCharge", map[string]any{"type": "OTHER"})),
		send("everything null", true, all),
		send("nothing but the key", true, &Charge{Key: newKey(), Payload: map[string]any{"apiKey": apiKey.Reveal()}}),
		send("IDs of the other type", true, good().Set("deviceId", "12345").Set("fiscId", json.Number(strings.Repeat("9", 18))).
			Set("transactions.0.taxLines", []any{map[string]any{"taxId": json.Number("7")}})),
		send("times in other forms", true, good().Set("openDate", "2022-09-01T12:25:36").Set("closeDate", "soon").
			Set("payments.0.paymentDate", json.Number("1662035253243"))),
		send("a bill that was not paid to a room", true, good().Set("payments.0.methodCode", "CASH").Set("payments.0.reservationId", nil)),
		send("sums that don't add up", true, good().Set("payments.0.amount", json.Number("66.0"))),
		header("another Accept", true, "Accept", "application/json, application/*+json"),
		header("no Content-Type", true, "Content-Type", ""),
		send("another API key", false, good().Set("apiKey", apiKey.Reveal()+"x")),
		send("no API key", false, good().Remove("apiKey")),
		send("an API key that is null", false, good().Set("apiKey", nil)),
		send("an API key that is a list", false, good().Set("apiKey", []any{apiKey.Reveal()})),
		send("no idempotency key", false, &Charge{Payload: good().Payload}),
		send("an amount that is a text", false, good().Set("payments.0.amount", "11.00")),
		send("an amount beyond reason", false, good().Set("payments.0.amount", json.Number("1e400000000"))),
		send("a list that became an object", false, good().Set("payments", map[string]any{"0": nil})),
		send("a text that became a number", false, good().Set("transactions.0.description", json.Number("5"))),
		raw("half of a charge", body[:len(body)/2]),
		raw("a charge with something behind it", body+"{}"),
		raw("payments twice", strings.Replace(body, "{", `{"payments":[],`, 1)),
		raw("nothing", ""),
		raw("a page", "<html>"),
		raw("a list", "["+body+"]"),
		raw("null", "null"),
		raw("nested without end", strings.Repeat("[", 100_000)),
		raw("more than a bill can have", strings.Repeat(" ", 8<<20)+body),
		header("compressed", false, "Content-Encoding", "gzip"),
		other("another method", http.MethodPut, "/charge"),
		other("a charge to the search", http.MethodPost, "/search"),
		other("another path", http.MethodPost, "/charges"),
		other("a path that goes on", http.MethodPost, "/charge/1"),
	}
}
