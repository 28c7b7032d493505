package kseries_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/kseries"
	"github.com/tillroute/tillroute/kseries/kseriestest"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/memstore"
)

// vendor stands in for K-Series, with a check at table 2 that comes to 110 and takes the reference ref-1 once.
func vendor() *httptest.Server {
	used := false
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.Method == http.MethodGet:
			_, _ = io.WriteString(w, `{"ikaccountId":"A78094.48","tableNumber":2,"currentAmount":110.0,"paidAmount":100.0}`)
		case used:
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"status":400,"error":"Bad Request","message":"reference has already been used ref-1"}`)
		default:
			used = true
			_, _ = io.WriteString(w, `{"status":"ok"}`)
		}
	}))
}

func connectTo(server *httptest.Server) *kseries.Client {
	client, err := kseries.New(kseries.Config{
		AccessToken: "an access token", BaseURL: server.URL, HTTP: tillroute.HTTPOptions{Transport: server.Client().Transport},
	})
	if err != nil {
		panic(err)
	}
	return client
}

func ExampleNew() {
	client, err := kseries.New(kseries.Config{
		OAuth:  kseries.OAuth{Environment: kseries.Trial, ClientID: "devp-v2-example", ClientSecret: "a secret"},
		Tokens: memstore.New(memstore.Config{}), Account: "my-bistro",
	})
	fmt.Println(client != nil, err)

	_, err = kseries.New(kseries.Config{Environment: "demo"})
	fmt.Println(err)
	// Output:
	// true <nil>
	// kseries: New: invalid: Environment "demo" is neither "production" nor "trial"; AccessToken, or OAuth, Tokens and Account, are missing
}

func ExamplePaymentsService_Apply() {
	server := vendor()
	defer server.Close()
	client := connectTo(server)
	ctx := context.Background()

	check, err := client.Checks.ByTable(ctx, 45454565682155, 2)
	if err != nil {
		fmt.Println(err)
		return
	}
	due, known := check.Due()
	fmt.Println(check.AccountIdentifier, due, known)

	payment := kseries.Payment{
		BusinessLocationID: 45454565682155, AccountIdentifier: check.AccountIdentifier, Reference: "ref-1", EndpointID: "MY-ENDPOINT",
		Amount: due, Tip: decimal.RequireFromString("1.50"), TTL: 5 * time.Minute,
	}
	submitted, err := client.Payments.Apply(ctx, payment)
	fmt.Println("taken", submitted.Taken, err)

	_, err = client.Payments.Apply(ctx, payment)
	fmt.Println(errors.Is(err, kseries.ErrReferenceUsed))

	// After a crash, say, when nobody knows whether it was sent.
	payment.Again = true
	submitted, err = client.Payments.Apply(ctx, payment)
	fmt.Println("taken", submitted.Taken, err)
	// Output:
	// A78094.48 10 true
	// taken now <nil>
	// true
	// taken earlier <nil>
}

// No attempt got an answer. The same payment is sent again, and never under another reference.
func ExamplePaymentsService_Apply_unknownOutcome() {
	restaurant, err := kseriestest.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = restaurant.Close() }()
	config := restaurant.Config()
	config.HTTP.Retries = -1 // so that one lost answer will do for this example
	client, err := kseries.New(config)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	if _, err := client.Webhooks.Create(ctx, kseries.Endpoint{ID: "app", URL: "https://pay.example.com/kseries"}); err != nil {
		fmt.Println(err)
		return
	}
	check, err := restaurant.OpenCheck(2, restaurant.Products()[0].SKU)
	if err != nil {
		fmt.Println(err)
		return
	}
	payment := kseries.Payment{
		BusinessLocationID: restaurant.BusinessLocationID(), AccountIdentifier: check.AccountIdentifier, Reference: "visit-1001",
		EndpointID: "app", Amount: check.Total, Method: "OOPAYMENT", TTL: 5 * time.Minute,
	}
	restaurant.LoseReply(http.MethodPost, "/o/op/1/pay")
	submitted, err := client.Payments.Apply(ctx, payment)
	if errors.Is(err, tillroute.ErrOutcomeUnknown) {
		payment.Again = true // Kept with the payment, so that whoever takes it up after a crash knows.
		submitted, err = client.Payments.Apply(ctx, payment)
	}
	fmt.Println("taken", submitted.Taken, err)
	// Output: taken earlier <nil>
}

// A merchant connects. From then on a client needs the application, the tokens and the name of the grant.
func ExampleOAuth_Exchange() {
	restaurant, err := kseriestest.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = restaurant.Close() }()
	ctx := context.Background()
	app := restaurant.OAuth("https://pay.example.com/connected", "orders-api", "offline_access")
	state := kseries.NewState() // kept in the browser's session
	target, err := app.AuthCodeURL(state)
	if err != nil {
		fmt.Println(err)
		return
	}
	query, err := restaurant.Consent(ctx, target) // The merchant's browser goes there, and comes back with this.
	if err != nil {
		fmt.Println(err)
		return
	}
	code, err := app.ParseCallback(query, state)
	if err != nil {
		fmt.Println(err)
		return
	}
	grant, err := app.Exchange(ctx, "my-bistro", code)
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

	client, err := kseries.New(kseries.Config{OAuth: app, Tokens: tokens, Account: "my-bistro", BaseURL: restaurant.URL()})
	if err != nil {
		fmt.Println(err)
		return
	}
	businesses, err := client.Businesses.List(ctx)
	fmt.Println("businesses:", len(businesses), err)
	// Output:
	// connected: my-bistro missing scopes: []
	// businesses: 1 <nil>
}

func ExampleNewNotificationHandler() {
	handler, err := kseries.NewNotificationHandler(kseries.NotificationConfig{
		Credentials: []kseries.Credential{{Username: "lightspeed", Password: "a password"}},
		Deliveries:  memstore.New(memstore.Config{}),
		Handle: func(_ context.Context, n kseries.Notification) error {
			switch {
			case n.Type == kseries.AboutPayment && n.Status == kseries.Success:
				fmt.Println(n.Reference, "was applied to", n.AccountIdentifier)
			case n.Status == kseries.Failure:
				fmt.Println(n.Reference, "was not applied:", n.AccountError, n.Reason)
			}
			return nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	deliver := func(body string) {
		r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/kseries", strings.NewReader(body))
		r.SetBasicAuth("lightspeed", "a password")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Println(w.Code)
	}
	const applied = `{"thirdPartyReference":"ref-1","status":"SUCCESS","ikentooAccountIdentifier":"A78094.48","type":"PAYMENT"}`
	deliver(applied)
	deliver(applied)
	deliver(`{"thirdPartyReference":"ref-2","status":"FAILURE","errors":{"account":{"type":"OVERPAID"}},"reason":"too much","type":"PAYMENT"}`)
	// Output:
	// ref-1 was applied to A78094.48
	// 200
	// 200
	// ref-2 was not applied: OVERPAID too much
	// 200
}

func ExampleOAuth_AuthCodeURL() {
	app := kseries.OAuth{
		Environment: kseries.Trial, ClientID: "devp-v2-example", ClientSecret: "a secret",
		RedirectURL: "https://pay.example.com/connected", Scopes: []string{"orders-api", "offline_access"},
	}
	url, err := app.AuthCodeURL("from-NewState") // keep it in the browser's session
	fmt.Println(url, err)
	// Output:
	// https://auth.lsk-demo.app/realms/k-series/protocol/openid-connect/auth?client_id=devp-v2-example&redirect_uri=https%3A%2F%2Fpay.example.com%2Fconnected&response_type=code&scope=orders-api+offline_access&state=from-NewState <nil>
}

func ExamplePayments() {
	// The restaurant's terminal and point of sale stand in for real ones: the point of sale is silent, and its check tells.
	store := memstore.New(memstore.Config{})
	router, err := pairing.New(pairing.Config{Store: store, Drivers: map[string]pairing.Driver{"card": &card{}}})
	if err != nil {
		panic(err)
	}
	client, err := kseries.New(kseries.Config{AccessToken: "an access token", HTTP: tillroute.HTTPOptions{Transport: newPOS()}})
	if err != nil {
		panic(err)
	}
	payments, err := kseries.NewPayments(kseries.PaymentsConfig{
		Client: client, Router: router, EndpointID: "my-endpoint", Method: "OOPAYMENT", CheckInterval: time.Second, Interval: 10 * time.Millisecond,
	})
	if err != nil {
		panic(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { _ = router.Run(ctx) })
	group.Go(func() { _ = payments.Run(ctx) })

	table := kseries.RegisterKey(45454565682155, "table-12")
	terminal := pairing.Terminal{Provider: "card", Serial: "1"}
	if _, err := router.PairTerminal(ctx, pairing.Pairing{Register: table, Terminal: terminal}); err != nil {
		panic(err)
	}
	paid, err := payments.Pay(ctx, kseries.PaymentRequest{
		ID: "visit-1001", Register: table, AccountIdentifier: "A78094.48",
		Amount: decimal.RequireFromString("20.00"), Tip: decimal.RequireFromString("2.00"), Currency: "EUR",
	})
	fmt.Println(paid.Stage, paid.Amount, paid.Tip, paid.Reason, err)
	stop()
	group.Wait()
	// Output: paid 20 2  <nil>
}

func ExampleStaffService_All() {
	restaurant, err := kseriestest.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = restaurant.Close() }()
	client, err := kseries.New(restaurant.Config("staff-api"))
	if err != nil {
		fmt.Println(err)
		return
	}
	people := 0
	for _, err := range client.Staff.All(context.Background(), restaurant.BusinessLocationID(), kseries.StaffOptions{}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		people++
	}
	fmt.Println(people > 0)
	// Output: true
}
