package xseries_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing/memstore"
	"github.com/tillroute/tillroute/xseries"
	"github.com/tillroute/tillroute/xseries/xseriestest"
)

// vendor stands in for X-Series, with two registers on two pages.
func vendor() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Query().Get("after") {
		case "":
			_, _ = io.WriteString(w, `{"data":[{"id":"r1","name":"Main Register","version":10}],"version":{"min":10,"max":10}}`)
		case "10":
			_, _ = io.WriteString(w, `{"data":[{"id":"r2","name":"Garden","version":11}],"version":{"min":11,"max":11}}`)
		default:
			_, _ = io.WriteString(w, `{"data":[],"version":{"min":null,"max":null}}`)
		}
	}))
}

func ExampleNew() {
	client, err := xseries.New(xseries.Config{DomainPrefix: "acme", AccessToken: "a personal token"})
	fmt.Println(client != nil, err)

	_, err = xseries.New(xseries.Config{DomainPrefix: "acme.retail.lightspeed.app"})
	fmt.Println(err)
	// Output:
	// true <nil>
	// xseries: New: invalid: DomainPrefix "acme.retail.lightspeed.app" is not the first part of a store's address, such as acme: small letters, digits and hyphens; AccessToken, or OAuth and Tokens, are missing
}

func ExampleRegistersService_All() {
	server := vendor()
	defer server.Close()
	client, err := xseries.New(xseries.Config{
		DomainPrefix: "acme", AccessToken: "a personal token", BaseURL: server.URL,
		HTTP: tillroute.HTTPOptions{Transport: server.Client().Transport},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for register, err := range client.Registers.All(context.Background(), xseries.ListOptions{}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(register.ID, register.Name)
	}
	// Output:
	// r1 Main Register
	// r2 Garden
}

func ExampleRegistersService_Changes() {
	server := vendor()
	defer server.Close()
	client, err := xseries.New(xseries.Config{
		DomainPrefix: "acme", AccessToken: "a personal token", BaseURL: server.URL,
		HTTP: tillroute.HTTPOptions{Transport: server.Client().Transport},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	stored := int64(10) // what was kept last time
	for page, err := range client.Registers.Changes(context.Background(), stored) {
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, register := range page.Items {
			fmt.Println(register.Name, "is new, changed or deleted")
		}
		stored = page.Next // keep it where it survives, now that the page is dealt with
	}
	fmt.Println("next time from", stored)
	// Output:
	// Garden is new, changed or deleted
	// next time from 11
}

func ExampleSale_PaymentByTransaction() {
	// As SalesService.Get returns it.
	var sale xseries.Sale
	err := json.Unmarshal([]byte(`{"id":"s1","payments":[{"id":"p1","amount":8.00,"source":{"id":"f363c7de"}}]}`), &sale)
	payment, ok := sale.PaymentByTransaction("f363c7de")
	fmt.Println(ok, payment.Amount.StringFixed(2), err)

	_, ok = sale.PaymentByTransaction("another")
	fmt.Println(ok)
	// Output:
	// true 8.00 <nil>
	// false
}

func ExampleNewWebhookHandler() {
	handler, err := xseries.NewWebhookHandler(xseries.WebhookConfig{
		Secrets:    []tillroute.Secret{"the application's client secret"},
		Deliveries: memstore.New(memstore.Config{}), // one that survives, in a real program
		Handle: func(_ context.Context, d xseries.Delivery) error {
			fmt.Println("sale", d.ID, "changed: get it, and look for our payments")
			return nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	// What the store posts.
	body := url.Values{"payload": {`{"id":"s1","version":42}`}}.Encode()
	mac := hmac.New(sha256.New, []byte("the application's client secret"))
	mac.Write([]byte(body))
	for _, signature := range []string{hex.EncodeToString(mac.Sum(nil)), hex.EncodeToString(mac.Sum(nil)), "00"} {
		request := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/hooks/sales", strings.NewReader(body))
		request.Header.Set("X-Signature", "signature="+signature+",algorithm=HMAC-SHA256")
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, request)
		fmt.Println(answer.Code)
	}
	// Output:
	// sale s1 changed: get it, and look for our payments
	// 204
	// 204
	// 401
}

func ExampleOAuth_ParseCallback() {
	app := xseries.OAuth{
		ClientID: "id", ClientSecret: "secret", RedirectURL: "https://pay.example.com/callback",
		Scopes: []string{"registers:read", "outlets:read"},
	}
	const state = "kept-in-the-browser-session"
	target, err := app.AuthCodeURL(state)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(target)

	// The merchant comes back to the redirect URL.
	callback, err := app.ParseCallback(url.Values{"state": {state}, "code": {"…"}, "domain_prefix": {"acme"}}, state)
	fmt.Println(callback.DomainPrefix, err)

	_, err = app.ParseCallback(url.Values{"state": {state}, "error": {"access_denied"}}, state)
	fmt.Println(errors.Is(err, xseries.ErrRefused))
	// Output:
	// https://secure.retail.lightspeed.app/connect?client_id=id&redirect_uri=https%3A%2F%2Fpay.example.com%2Fcallback&response_type=code&scope=registers%3Aread+outlets%3Aread&state=kept-in-the-browser-session
	// acme <nil>
	// true
}

// A merchant connects their store. From then on a client needs the application and the tokens alone.
func ExampleOAuth_Exchange() {
	store, err := xseriestest.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = store.Close() }()
	ctx := context.Background()
	app := store.OAuth("https://pay.example.com/callback", "registers:read", "outlets:read")
	state := xseries.NewState() // kept in the browser's session
	target, err := app.AuthCodeURL(state)
	if err != nil {
		fmt.Println(err)
		return
	}
	query, err := store.Consent(ctx, target) // The merchant's browser goes there, and comes back to the callback with this.
	if err != nil {
		fmt.Println(err)
		return
	}
	callback, err := app.ParseCallback(query, state)
	if err != nil {
		fmt.Println(err)
		return
	}
	grant, err := app.Exchange(ctx, callback)
	if err != nil {
		fmt.Println(err)
		return
	}
	tokens := memstore.New(memstore.Config{}) // one that survives, in a real program
	if _, err := tokens.PutGrant(ctx, grant, -1); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("connected:", grant.Account, "missing scopes:", app.MissingScopes(grant))

	client, err := xseries.New(xseries.Config{DomainPrefix: grant.Account, OAuth: app, Tokens: tokens})
	if err != nil {
		fmt.Println(err)
		return
	}
	registers, err := client.Registers.List(ctx, xseries.ListOptions{})
	fmt.Println("its registers can be read:", len(registers.Items) > 0, err)
	// Output:
	// connected: simstore missing scopes: []
	// its registers can be read: true <nil>
}

func ExampleData_Charge() {
	message, err := xseries.ParseMessage([]byte(`{"success":true,"step":"DATA","register_sale":{},
		"payment":{"register_id":"0800278f-358c-11e6-fcf3-9005a15d99d9","amount":"-8.00"}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	data, ok := message.(xseries.Data)
	if !ok {
		fmt.Println("not an answer to DATA")
		return
	}
	charge, err := data.Charge()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(charge.Kind, charge.Amount.StringFixed(2), "at", charge.RegisterID)
	// Output:
	// refund 8.00 at 0800278f-358c-11e6-fcf3-9005a15d99d9
}

func ExampleEncodeMessage() {
	text, err := xseries.EncodeMessage(xseries.Accept{
		TransactionID: "f363c7de",
		ReceiptHTML:   xseries.ReceiptHTML("TOTAL  NZ$ 8.00\nACCEPTED"),
	})
	fmt.Printf("%q %v\n", text, err)
	// Output:
	// "{\"step\":\"ACCEPT\",\"transaction_id\":\"f363c7de\",\"receipt_html_extra\":\"<pre>TOTAL  NZ$ 8.00\\nACCEPTED</pre>\"}" <nil>
}

// The answer is lost. What was asked for may have been done: it is looked up, and not asked for again.
func ExampleWebhooksService_Create_unknownOutcome() {
	store, err := xseriestest.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = store.Close() }()
	client, err := xseries.New(store.Config())
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	hook := xseries.WebhookRequest{Type: xseries.SaleUpdate, URL: "https://pay.example.com/hooks/sales", Active: true}
	store.LoseReply(http.MethodPost, "/api/*/webhooks")
	_, err = client.Webhooks.Create(ctx, hook)
	if errors.Is(err, tillroute.ErrOutcomeUnknown) {
		hooks, err := client.Webhooks.List(ctx)
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, h := range hooks {
			fmt.Println("it is there:", h.Type == hook.Type && h.URL == hook.URL)
		}
	}
	// Output: it is there: true
}
