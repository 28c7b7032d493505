package xseriestest_test

import (
	"context"
	"fmt"
	"net/http/httptest"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing/memstore"
	"github.com/tillroute/tillroute/xseries"
	"github.com/tillroute/tillroute/xseries/xseriestest"
)

// page is the program that is tested: the page of a payment gateway, which charges whatever the sell screen asks for. post gives the
// sell screen a message.
func page(post func(string) ([]byte, error), transactionID string) error {
	answer, err := post(`{"step":"DATA"}`)
	if err != nil {
		return err
	}
	message, err := xseries.ParseMessage(answer)
	if err != nil {
		return err
	}
	data, _ := message.(xseries.Data)
	charge, err := data.Charge()
	if err != nil {
		return err
	}
	fmt.Println("charging", charge.Amount.StringFixed(2))
	accept, err := xseries.EncodeMessage(xseries.Accept{TransactionID: transactionID})
	if err != nil {
		return err
	}
	_, err = post(accept)
	return err
}

// In a test, xseriestest.New(t) serves, and closes by itself.
func Example() {
	store, err := xseriestest.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { fmt.Println("the store complains of:", store.Close()) }()
	ctx := context.Background()

	// The program connects the store.
	tokens := memstore.New(memstore.Config{})
	app := store.OAuth("https://pay.example.com/connected", "sales:read", "webhooks")
	if err := store.Connect(ctx, app, tokens); err != nil {
		fmt.Println(err)
		return
	}
	config := store.Config()
	config.AccessToken, config.OAuth, config.Tokens = "", app, tokens
	client, err := xseries.New(config)
	if err != nil {
		fmt.Println(err)
		return
	}

	// It wants to be told of sales.
	found := make(chan string, 10)
	handler, err := xseries.NewWebhookHandler(xseries.WebhookConfig{
		Secrets: []tillroute.Secret{app.ClientSecret}, Deliveries: tokens,
		Handle: func(ctx context.Context, d xseries.Delivery) error {
			sale, err := client.Sales.Get(ctx, d.ID)
			if err != nil {
				return err
			}
			payment, ok := sale.PaymentByTransaction("tx-1")
			found <- fmt.Sprint(ok, " ", payment.Amount.StringFixed(2))
			return nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	receiver := httptest.NewServer(handler)
	defer receiver.Close()
	hook := xseries.WebhookRequest{Type: xseries.SaleUpdate, URL: receiver.URL + "/sales", Active: true}
	if _, err := client.Webhooks.Create(ctx, hook); err != nil {
		fmt.Println(err)
		return
	}

	// A cashier presses Pay. The webhook comes twice, and is handled once.
	store.DuplicateDeliveries(1)
	screen, err := store.Pay(store.Registers()[0].ID, decimal.RequireFromString("8.00"))
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := page(screen.Post, "tx-1"); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("the payment is", screen.Ended())
	if _, err := store.WaitDeliveries(ctx, 2); err != nil {
		fmt.Println(err)
	}
	fmt.Println("the sale has our payment:", <-found)
	fmt.Println("handled again:", len(found))
	// Output:
	// charging 8.00
	// the payment is accepted
	// the sale has our payment: true 8.00
	// handled again: 0
	// the store complains of: <nil>
}
