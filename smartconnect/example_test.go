package smartconnect_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/memstore"
	"github.com/tillroute/tillroute/smartconnect"
)

// vendor stands in for SmartConnect: it approves everything, with a tip.
func vendor() *httptest.Server {
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.Method {
		case http.MethodPut:
			_, _ = io.WriteString(w, `{"result":"success"}`)
		case http.MethodPost:
			_, _ = io.WriteString(w, `{"transactionId":"f363c7de","deviceId":"7070714000","transactionStatus":"PENDING",
				"data":{"PollingUrl":"`+server.URL+`/pos/transaction/f363c7de?merchantAccessToken=secret"}}`)
		default:
			_, _ = io.WriteString(w, `{"transactionId":"f363c7de","transactionStatus":"COMPLETED",
				"data":{"TransactionResult":"OK-ACCEPTED","Result":"OK","AmountTotal":"1350","AmountTip":"100"}}`)
		}
	}))
	return server
}

func ExampleNew() {
	client, err := smartconnect.New(smartconnect.Config{
		BusinessName: "Toys Shop",
		VendorName:   "Till2Go",
		Currency:     "NZD",
		BaseURL:      smartconnect.DevelopmentURL,
	})
	fmt.Println(client != nil, err)

	_, err = smartconnect.New(smartconnect.Config{BusinessName: "Toys Shop", PollInterval: time.Second})
	fmt.Println(err)
	// Output:
	// true <nil>
	// smartconnect: New: invalid: VendorName is missing; Currency is missing: AUD or NZD, as the terminals are set up; PollInterval is 1s: SmartConnect refuses polls that come faster than every 2s
}

func ExampleRegister_Purchase() {
	server := vendor()
	defer server.Close()
	client, err := smartconnect.New(smartconnect.Config{
		BusinessName: "Toys Shop", VendorName: "Till2Go", Currency: "NZD",
		BaseURL: server.URL + "/POS", PollInterval: time.Millisecond,
		HTTP: tillroute.HTTPOptions{Transport: server.Client().Transport},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	till := client.Register("7444ae07-dc63-e49c-33e3-59a7c108cc80")
	if err := till.Pair(ctx, "63247216", "Main Register", smartconnect.Contact{Phone: "09 1234567"}); err != nil {
		fmt.Println(err)
		return
	}
	started, err := till.Purchase(ctx, decimal.RequireFromString("12.50"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%+v\n", started) // Write it down now. Its polling URL is a secret.

	result, err := client.Await(ctx, started, func(p smartconnect.Progress) { fmt.Println(p) })
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(result.Outcome, result.Amount.StringFixed(2), "with a tip of", result.Tip.StringFixed(2))
	// Output:
	// {ID:f363c7de Type:Card.Purchase Amount:12.5 PollingURL:[redacted] DeviceID:7070714000}
	// approved 13.50 with a tip of 1.00
}

func ExampleRegister_Purchase_unknownOutcome() {
	// A server that takes the payment and loses the answer.
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer server.Close()
	client, err := smartconnect.New(smartconnect.Config{
		BusinessName: "Toys Shop", VendorName: "Till2Go", Currency: "NZD", BaseURL: server.URL,
		HTTP: tillroute.HTTPOptions{Transport: server.Client().Transport},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = client.Register("7444ae07-dc63-e49c-33e3-59a7c108cc80").Purchase(context.Background(), decimal.NewFromInt(5))
	switch {
	case errors.Is(err, tillroute.ErrOutcomeUnknown):
		fmt.Println("look at the terminal, and do not send it again")
	case errors.Is(err, tillroute.ErrBusy):
		fmt.Println("try again when the terminal is free")
	case errors.Is(err, pairing.ErrNotPaired):
		fmt.Println("pair the register first")
	}
	// Output:
	// look at the terminal, and do not send it again
}

// The process that began the payment is gone. Another one goes on with what was written down.
func ExampleClient_Await() {
	server := vendor()
	defer server.Close()
	client, err := smartconnect.New(smartconnect.Config{
		BusinessName: "Toys Shop", VendorName: "Till2Go", Currency: "NZD",
		BaseURL: server.URL + "/POS", PollInterval: time.Millisecond,
		HTTP: tillroute.HTTPOptions{Transport: server.Client().Transport},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	started := smartconnect.Transaction{
		ID: "f363c7de", Type: smartconnect.CardPurchase, Amount: decimal.RequireFromString("12.50"),
		// It was kept as PollingURL.Reveal(), where secrets may be.
		PollingURL: tillroute.Secret(server.URL + "/pos/transaction/f363c7de?merchantAccessToken=secret"),
	}
	result, err := client.Await(context.Background(), started, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	if result.Outcome == tillroute.Unknown {
		fmt.Println("somebody has to look:", result.Reason)
		return
	}
	fmt.Println(result.Outcome, result.Amount.StringFixed(2))
	// Output:
	// approved 13.50
}

// Under a router, payments survive the process and wait for their terminal in order.
func ExampleNewDriver() {
	server := vendor()
	defer server.Close()
	client, err := smartconnect.New(smartconnect.Config{
		BusinessName: "Toys Shop", VendorName: "Till2Go", Currency: "NZD",
		BaseURL: server.URL + "/POS", PollInterval: time.Millisecond,
		HTTP: tillroute.HTTPOptions{Transport: server.Client().Transport},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	router, err := pairing.New(pairing.Config{
		Store:   memstore.New(memstore.Config{}), // sqlitestore or pgstore in a program of yours
		Drivers: map[string]pairing.Driver{smartconnect.Provider: smartconnect.NewDriver(client)},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = router.Run(ctx) })
	defer running.Wait()
	defer stop()

	till := pairing.Register{System: "mypos", Account: "toys", ID: "till-1"}
	paired, err := router.Pair(ctx, pairing.PairRequest{Register: till, Provider: smartconnect.Provider, Code: "63247216"})
	if err != nil {
		fmt.Println(err)
		return
	}
	paid, err := router.Pay(ctx, pairing.Request{
		ID: "sale-1001", Register: till, Amount: decimal.RequireFromString("12.50"), Currency: "NZD",
	})
	fmt.Println(paired.Terminal, paid.Outcome(), paid.Result.Amount.StringFixed(2), err)
	// Output:
	// smartconnect/7070714000 approved 13.50 <nil>
}

// A lane with two terminals has a virtual register for each.
func ExampleClient_Lane() {
	server := vendor()
	defer server.Close()
	client, err := smartconnect.New(smartconnect.Config{
		BusinessName: "Toys Shop", VendorName: "Till2Go", Currency: "NZD", BaseURL: server.URL + "/POS",
		HTTP: tillroute.HTTPOptions{Transport: server.Client().Transport},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	lane, err := client.Lane(
		smartconnect.Virtual{Name: "counter", ID: "7444ae07-dc63-e49c-33e3-59a7c108cc80"},
		smartconnect.Virtual{Name: "drive-through", ID: "0d9f0b5a-0f4e-4d0c-8f3a-2f4f0a6f7f11"},
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(lane.Names()) // For the cashier to choose from.
	till, err := lane.Select("drive-through")
	if err != nil {
		fmt.Println(err)
		return
	}
	started, err := till.Purchase(context.Background(), decimal.NewFromInt(5))
	fmt.Println(started.DeviceID, err)
	// Output:
	// [counter drive-through]
	// 7070714000 <nil>
}

// What is being sold goes with the transaction.
func ExampleRegister_WithSale() {
	server := vendor()
	defer server.Close()
	client, err := smartconnect.New(smartconnect.Config{
		BusinessName: "Toys Shop", VendorName: "Till2Go", Currency: "NZD", BaseURL: server.URL + "/POS",
		HTTP: tillroute.HTTPOptions{Transport: server.Client().Transport},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	till := client.Register("7444ae07-dc63-e49c-33e3-59a7c108cc80")
	sale := smartconnect.SaleData{
		SaleID: "sale-1001", TotalAmount: "12.50", TotalTax: "1.63",
		LineItems: []smartconnect.LineItem{{ProductName: "Teddy bear", Quantity: "1", UnitPrice: "12.50", UnitTax: "1.63", TotalPrice: "12.50", TotalTax: "1.63"}},
	}
	started, err := till.WithSale(sale).Purchase(context.Background(), decimal.RequireFromString("12.50"))
	fmt.Println(started.Type, err)

	sale.LineItems[0].UnitTax = ""
	_, err = till.WithSale(sale).Purchase(context.Background(), decimal.RequireFromString("12.50"))
	fmt.Println(err)
	// Output:
	// Card.Purchase <nil>
	// smartconnect: Purchase: invalid: SaleData lacks LineItems[0].UnitTax
}

// A payment of the router that needs more than an amount has it in its data.
func ExamplePaymentData() {
	data, err := smartconnect.PaymentData{Cash: decimal.NewFromInt(20)}.Encode()
	if err != nil {
		fmt.Println(err)
		return
	}
	request := pairing.Request{
		ID:       "sale-1002",
		Register: pairing.Register{System: "mypos", Account: "toys", ID: "till-1"},
		Kind:     smartconnect.KindPurchasePlusCash,
		Amount:   decimal.NewFromInt(60), // 40 for toys, 20 in cash
		Currency: "NZD",
		Data:     data,
	}
	fmt.Println(request.Kind, string(request.Data))
	// Output:
	// purchase-plus-cash {"smartconnect":{"cash":"20"}}
}
