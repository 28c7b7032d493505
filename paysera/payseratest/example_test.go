package payseratest_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute/paysera"
	"github.com/tillroute/tillroute/paysera/payseratest"
)

// serve is the program that is tested: it puts a coffee before whoever waits, and returns the transaction's key.
func serve(ctx context.Context, client *paysera.Client, currency string) (string, error) {
	for spot, err := range client.Spots.All(ctx, paysera.SpotWaiting, paysera.ListOptions{}) {
		if err != nil {
			return "", err
		}
		coffee := paysera.PaymentRequest{Description: "Coffee", Price: decimal.RequireFromString("2.50"), Currency: currency}
		transaction, err := client.Transactions.Create(ctx, paysera.TransactionRequest{Payments: []paysera.PaymentRequest{coffee}})
		if err != nil {
			return "", err
		}
		_, err = client.Orders.Create(ctx, spot.ID, paysera.OrderRequest{TransactionKey: transaction.Key})
		return transaction.Key, err
	}
	return "", errors.New("nobody waits")
}

// In a test, payseratest.New(t) serves, and closes by itself.
func Example() {
	server, err := payseratest.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { fmt.Println("the server complains of:", server.Close()) }()
	client, err := paysera.New(server.Config())
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	guest := server.Guests()[0]
	if err := guest.CheckIn(server.Table("TABLE1")); err != nil {
		fmt.Println(err)
		return
	}
	key, err := serve(ctx, client, server.Currency())
	if err != nil {
		fmt.Println(err)
		return
	}
	shown, err := guest.WaitOrder(ctx)
	fmt.Println("the guest is shown our order:", shown == key, err)
	if err := guest.Pay(shown); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("charges before we confirm:", len(server.Charges()))

	// The answer to the confirmation is lost. It took the money all the same, and once.
	server.LoseReply("PUT", "/rest/v1/transaction/*/confirm")
	if _, err := client.Transactions.Confirm(ctx, key, nil); err != nil {
		transaction, err := client.Transactions.Get(ctx, key)
		fmt.Println("looked up:", transaction.Status, err)
	}
	for _, c := range server.Charges() {
		fmt.Println("charged:", c.Amount.StringFixed(2), c.Currency)
	}
	// Output:
	// the guest is shown our order: true <nil>
	// charges before we confirm: 0
	// looked up: confirmed <nil>
	// charged: 2.50 EUR
	// the server complains of: <nil>
}
