package kseriestest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"time"

	"github.com/tillroute/tillroute/kseries"
	"github.com/tillroute/tillroute/kseries/kseriestest"
	"github.com/tillroute/tillroute/pairing/memstore"
)

// settle is the program that is tested: it has a check say that its guests have paid all of it, by the reference.
func settle(ctx context.Context, client *kseries.Client, location int64, account, reference string) error {
	check, err := client.Checks.Get(ctx, location, account)
	if err != nil {
		return err
	}
	due, ok := check.Due()
	if !ok {
		return errors.New("the check doesn't say what is due")
	}
	submitted, err := client.Payments.Apply(ctx, kseries.Payment{
		BusinessLocationID: location, AccountIdentifier: account, Reference: reference, EndpointID: "app", Amount: due,
		Method: "OOPAYMENT", TTL: time.Minute,
	})
	fmt.Println("taken", submitted.Taken)
	return err
}

// In a test, kseriestest.New(t) serves, and closes by itself.
func Example() {
	restaurant, err := kseriestest.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { fmt.Println("the restaurant complains of:", restaurant.Close()) }()
	ctx := context.Background()
	client, err := kseries.New(restaurant.Config())
	if err != nil {
		fmt.Println(err)
		return
	}

	// The program's receiver of notifications.
	told := make(chan kseries.Notification, 10)
	handler, err := kseries.NewNotificationHandler(kseries.NotificationConfig{
		Credentials: []kseries.Credential{{Username: "lightspeed", Password: "a password"}},
		Deliveries:  memstore.New(memstore.Config{}),
		Handle: func(_ context.Context, n kseries.Notification) error {
			told <- n
			return nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	receiver := httptest.NewServer(handler)
	defer receiver.Close()
	endpoint := kseries.Endpoint{ID: "app", URL: receiver.URL, Username: "lightspeed", Password: "a password"}
	if _, err := client.Webhooks.Create(ctx, endpoint); err != nil {
		fmt.Println(err)
		return
	}

	// Somebody ate a soup. The answer to the payment is lost, and asked for again under the same reference; the notification comes
	// twice, and is handled once.
	soup := restaurant.Products()[0].SKU
	check, err := restaurant.OpenCheck(2, soup)
	if err != nil {
		fmt.Println(err)
		return
	}
	restaurant.LoseReply("POST", "/o/op/1/pay")
	restaurant.DuplicateNotifications(1)
	if err := settle(ctx, client, restaurant.BusinessLocationID(), check.AccountIdentifier, "visit-1"); err != nil {
		fmt.Println(err)
		return
	}
	if _, err := restaurant.WaitNotifications(ctx, 2); err != nil {
		fmt.Println(err)
		return
	}
	n := <-told
	fmt.Println("told of", n.Reference+":", n.Status, "and of", len(told), "more")
	check, _ = restaurant.Check(check.AccountIdentifier)
	fmt.Println("closed:", check.Closed)
	for _, a := range restaurant.Applied() {
		fmt.Println("applied:", a.Reference, a.Amount.StringFixed(2))
	}
	// Output:
	// taken earlier
	// told of visit-1: SUCCESS and of 0 more
	// closed: true
	// applied: visit-1 6.50
	// the restaurant complains of: <nil>
}
