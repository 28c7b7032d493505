package paysera_test

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing/memstore"
	"github.com/tillroute/tillroute/paysera"
	"github.com/tillroute/tillroute/paysera/payseratest"
)

func ExampleNew() {
	client, err := paysera.New(paysera.Config{ClientID: "wkVd93h2uS", ClientSecret: "the client's secret"})
	fmt.Println(client != nil, err)

	_, err = paysera.New(paysera.Config{ClientID: "wkVd93h2uS"})
	fmt.Println(err)
	// Output:
	// true <nil>
	// paysera: New: invalid: ClientSecret is missing
}

func ExampleSpotsService_All() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"spots":[{"id":15,"status":"waiting","identifier":"TABLE1",
			"place_info":{"title":"Cool caffe","location_id":3}}],"_metadata":{"total":1,"offset":0,"limit":20}}`)
	}))
	defer server.Close()
	client, err := paysera.New(paysera.Config{
		ClientID: "wkVd93h2uS", ClientSecret: "the client's secret", BaseURL: server.URL,
		HTTP: tillroute.HTTPOptions{Transport: server.Client().Transport},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for spot, err := range client.Spots.All(context.Background(), paysera.SpotWaiting, paysera.ListOptions{}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		register, ok := spot.Register()
		fmt.Println(spot.ID, spot.Identifier, register, ok)
	}
	// Output:
	// 15 TABLE1 paysera/3/TABLE1 true
}

func ExampleSigner_Sign() {
	signer, err := paysera.NewSigner(paysera.SignerConfig{
		ID: "wkVd93h2uS", Key: "IrdTc8uQodU7PRpLzzLTW6wqZAO6tAMU",
		// Leave these out: they make the example come out the same each time.
		Now:   func() time.Time { return time.Unix(1343811600, 0) },
		Nonce: func() string { return "nQnNaSNyubfPErjRO55yaaEYo9YZfKHN" },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPut, "https://wallet.paysera.com/rest/v1/spot/1/check-in", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	err = signer.Sign(r, nil)
	fmt.Println(strings.ReplaceAll(r.Header.Get("Authorization"), ", ", ",\n"), err)
	// Output:
	// MAC id="wkVd93h2uS",
	// ts="1343811600",
	// nonce="nQnNaSNyubfPErjRO55yaaEYo9YZfKHN",
	// mac="3C/sxDllC+4px0UdbtEtTavCqB6Er8lZbIkKtWlQ92U=" <nil>
}

func ExampleNewSpotCode() {
	code, err := paysera.NewSpotCode(3, "TABLE1")
	fmt.Println(code, err)

	code, err = paysera.ParseSpotCode("https://paysera.com/app?qr=PAYSERA*3%3ATABLE1")
	fmt.Println(code.LocationID, code.Identifier, err)
	// Output:
	// PAYSERA*3:TABLE1 <nil>
	// 3 TABLE1 <nil>
}

// café is a till that knows one table, and whose guests all have a coffee. A real one keeps its bills in a database.
type café struct {
	bills map[string]paysera.Bill
	ended chan paysera.Bill
}

func (c *café) Spot(_ context.Context, spot paysera.Spot) (paysera.Wish, error) {
	if spot.Identifier != "TABLE1" || spot.Status == paysera.SpotOpen {
		return paysera.Close, nil // a code that somebody made up, or all is paid
	}
	if _, ok := c.bills["visit-1"]; !ok {
		c.bills["visit-1"] = paysera.Bill{
			Reference: "visit-1", SpotID: spot.ID, Description: "Coffee", Amount: decimal.RequireFromString("2.50"), Currency: "EUR",
		}
	}
	return paysera.Leave, nil
}

func (c *café) Bills(context.Context) ([]paysera.Bill, error) {
	var open []paysera.Bill
	for _, bill := range c.bills {
		if bill.Status == "" {
			open = append(open, bill)
		}
	}
	return open, nil
}

func (c *café) Save(_ context.Context, bill paysera.Bill) error {
	c.bills[bill.Reference] = bill // a database's write is conditional, see Till
	if bill.Status != "" {
		c.ended <- bill
	}
	return nil
}

func (c *café) Reserved(context.Context, paysera.Bill, paysera.Transaction) (paysera.Decision, error) {
	return paysera.Confirm(), nil
}

// A guest checks in at a table, finds a bill there, and pays it.
func ExampleNewMerchant() {
	server, client, guest, _ := connect()
	defer func() { _ = server.Close() }()
	till := &café{bills: map[string]paysera.Bill{}, ended: make(chan paysera.Bill, 1)}
	merchant, err := paysera.NewMerchant(paysera.MerchantConfig{Client: client, Till: till, Interval: time.Second})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := guest.CheckIn(server.Table("TABLE1")); err != nil {
		fmt.Println(err)
		return
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		_ = merchant.Run(ctx)
	}()
	defer func() { cancel(); <-stopped }()

	key, err := guest.WaitOrder(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := guest.Pay(key); err != nil {
		fmt.Println(err)
		return
	}
	bill := <-till.ended
	fmt.Println(bill.Reference, "is", bill.Status+":", bill.Paid, bill.Currency)
	// Output: visit-1 is paid: 2.5 EUR
}

// A guest lets an application act for them. Their browser goes to the vendor's page, and comes back with a code.
func ExampleOAuth() {
	ctx := context.Background()
	server, _, guest, _ := connect()
	defer func() { _ = server.Close() }()
	tokens := memstore.New(memstore.Config{}) // one that survives, in a real program
	app := server.OAuth("https://shop.example.com/paysera")

	state := paysera.NewState() // keep it in the browser's session
	target, err := app.AuthCodeURL(state)
	if err != nil {
		fmt.Println(err)
		return
	}
	query, err := server.Consent(ctx, guest, target) // here, the guest says yes
	if err != nil {
		fmt.Println(err)
		return
	}
	callback, err := app.ParseCallback(query, state)
	if err != nil {
		fmt.Println(err)
		return
	}
	grant, err := app.Exchange(ctx, callback, "ann")
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := tokens.PutGrant(ctx, grant, -1); err != nil {
		fmt.Println(err)
		return
	}
	client, err := paysera.New(paysera.Config{OAuth: app, Tokens: tokens, Account: "ann"})
	if err != nil {
		fmt.Println(err)
		return
	}
	info, err := client.Info(ctx)
	fmt.Println(info.Type, err)
	// Output: app_client <nil>
}

// connect returns a server to try things on, a client of it, and the key of a transaction that a guest has paid: its money is set
// aside for the merchant.
func connect() (server *payseratest.Server, client *paysera.Client, guest *payseratest.Guest, key string) {
	server, err := payseratest.Start()
	if err != nil {
		panic(err)
	}
	client, err = paysera.New(server.Config())
	if err != nil {
		panic(err)
	}
	transaction, err := client.Transactions.Create(context.Background(), paysera.TransactionRequest{Payments: []paysera.PaymentRequest{
		{Description: "Coffee", Price: decimal.RequireFromString("2.50"), Currency: server.Currency()},
	}})
	if err != nil {
		panic(err)
	}
	return server, client, server.Guests()[0], transaction.Key
}

// A payment is taken when it is confirmed. If the answer to that is lost, the transaction tells whether it was.
func ExampleTransactionsService_Confirm() {
	ctx := context.Background()
	server, client, guest, key := connect()
	defer func() { _ = server.Close() }()
	if err := guest.Pay(key); err != nil {
		fmt.Println(err)
		return
	}
	server.LoseReply(http.MethodPut, "/rest/v1/transaction/*/confirm")
	_, err := client.Transactions.Confirm(ctx, key, nil)
	if errors.Is(err, tillroute.ErrOutcomeUnknown) {
		transaction, err := client.Transactions.Get(ctx, key)
		fmt.Println(transaction.Status, err)
	}
	// Output: confirmed <nil>
}

func ExampleNewCallbackHandler() {
	server, client, guest, key := connect()
	defer func() { _ = server.Close() }()
	events := make(chan paysera.Event, 1)
	handler, err := paysera.NewCallbackHandler(paysera.CallbackConfig{
		Key:        func(ctx context.Context) (*rsa.PublicKey, error) { return client.PublicKey(ctx) },
		Deliveries: memstore.New(memstore.Config{}), // one that survives, in a real program
		Handle:     func(_ context.Context, e paysera.Event) error { events <- e; return nil },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	receiver := httptest.NewServer(handler)
	defer receiver.Close()
	server.SetCallbackURL(receiver.URL)
	if err := guest.Pay(key); err != nil {
		fmt.Println(err)
		return
	}
	event := <-events
	fmt.Println(event.Object, event.Type, event.Transaction.Key == key)
	// Output: transaction reserved true
}
