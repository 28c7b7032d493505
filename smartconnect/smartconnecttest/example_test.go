package smartconnecttest_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/smartconnect"
	"github.com/tillroute/tillroute/smartconnect/smartconnecttest"
)

// sell is the program that is tested: a till that says what to tell the cashier.
func sell(ctx context.Context, client *smartconnect.Client, till smartconnect.Register, price decimal.Decimal) string {
	started, err := till.Purchase(ctx, price)
	switch {
	case errors.Is(err, tillroute.ErrOutcomeUnknown):
		return "look at the terminal before you try again"
	case err != nil:
		return "not started"
	}
	result, err := client.Await(ctx, started, nil)
	if err != nil {
		return "look at the terminal before you try again"
	}
	return result.Outcome.String() + " " + result.Amount.StringFixed(2)
}

// In a test, smartconnecttest.New(t) serves, and closes by itself.
func Example() {
	server, err := smartconnecttest.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { fmt.Println("the server complains of:", server.Close()) }()
	client, err := smartconnect.New(server.Config())
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	terminal := server.Terminal()
	till := client.Register("7444ae07-dc63-e49c-33e3-59a7c108cc80")
	code, err := terminal.ShowCode()
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := till.Pair(ctx, code, "Main", smartconnect.Contact{}); err != nil {
		fmt.Println(err)
		return
	}
	coffee := decimal.RequireFromString("4.50")

	// Somebody pays, and leaves a tip.
	terminal.SetExtras(decimal.Zero, decimal.RequireFromString("0.50"))
	terminal.SetAnswer(smartconnecttest.Approves)
	fmt.Println(sell(ctx, client, till, coffee))

	// Somebody doesn't.
	terminal.SetAnswer(smartconnecttest.Declines)
	fmt.Println(sell(ctx, client, till, coffee))

	// The answer to the start is lost: the card is charged all the same, and once.
	terminal.SetAnswer(smartconnecttest.Approves)
	server.LoseReply()
	fmt.Println(sell(ctx, client, till, coffee))

	for _, c := range server.Charges() {
		fmt.Println("charged:", c.Amount.StringFixed(2), c.Type)
	}
	// Output:
	// approved 5.00
	// declined 0.00
	// look at the terminal before you try again
	// charged: 5.00 Card.Purchase
	// charged: 5.00 Card.Purchase
	// the server complains of: <nil>
}
