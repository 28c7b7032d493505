package tillroute_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/sqlitestore"
	"github.com/tillroute/tillroute/smartconnect"
	"github.com/tillroute/tillroute/smartconnect/smartconnecttest"
	"github.com/tillroute/tillroute/xseries"
)

// A register is paired with the terminal that shows a code, and takes a payment on it.
func Example() {
	baseURL, code, path, clean := simulatedTerminal()
	defer clean()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	// README: from here
	store := must(sqlitestore.Open(ctx, sqlitestore.Config{Path: path}))
	terminals := must(smartconnect.New(smartconnect.Config{
		BusinessName: "Toys Shop", VendorName: "Till2Go", Currency: "NZD",
		BaseURL: baseURL, // leave it out for the real one
	}))
	drivers := map[string]pairing.Driver{smartconnect.Provider: smartconnect.NewDriver(terminals)}
	router := must(pairing.New(pairing.Config{Store: store, Drivers: drivers}))
	go func() { _ = router.Run(ctx) }() // works on the payments until ctx ends

	till := pairing.Register{System: "mypos", Account: "toys", ID: "till-1"}
	must(router.Pair(ctx, pairing.PairRequest{Register: till, Provider: smartconnect.Provider, Code: code}))
	paid, err := router.Pay(ctx, pairing.Request{
		ID: "sale-1001", Register: till, Amount: decimal.RequireFromString("12.50"), Currency: "NZD",
	})
	fmt.Println(paid.Outcome(), paid.Result.Amount, err) // an error of tillroute.ErrOutcomeUnknown: nobody knows yet
	// README: to here

	// Output: approved 12.5 <nil>
}

// must is for short examples.
func must[T any](value T, err error) T {
	if err != nil {
		log.Panic(err)
	}
	return value
}

// simulatedTerminal starts a simulated SmartConnect with a terminal that shows a code and approves what it is asked.
func simulatedTerminal() (baseURL, code, path string, clean func()) {
	server := must(smartconnecttest.Start())
	terminal := server.Terminal()
	terminal.SetAnswer(smartconnecttest.Approves)
	folder := must(os.MkdirTemp("", "tillroute-example-"))
	return server.URL(), must(terminal.ShowCode()), filepath.Join(folder, "tillroute.db"), func() {
		if err := server.Close(); err != nil {
			log.Print(err)
		}
		_ = os.RemoveAll(folder)
	}
}

// A program asks an error what it can do about it. What may have taken effect is asked first, whatever the kind is.
func ExampleError() {
	err := fmt.Errorf("selling: %w", &tillroute.Error{
		System: "acquirer", Operation: "Pay", Kind: tillroute.KindTimeout, Message: "no answer within 30s",
	})
	switch {
	case errors.Is(err, tillroute.ErrOutcomeUnknown):
		fmt.Println("look it up, and never send it again")
	case errors.Is(err, tillroute.ErrBusy), errors.Is(err, tillroute.ErrRateLimited):
		fmt.Println("wait, and try again")
	}
	if e, ok := errors.AsType[*tillroute.Error](err); ok {
		fmt.Println(e.System, e.Kind, e.Outcome)
	}
	fmt.Println(err)
	// Output:
	// look it up, and never send it again
	// acquirer timeout unknown
	// selling: acquirer: Pay: timeout: no answer within 30s (it may have taken effect: look it up, do not repeat it)
}

func ExampleFormatAmount() {
	amount := decimal.RequireFromString("12.5")
	for _, currency := range []string{"NZD", "KWD", "JPY"} {
		text, err := tillroute.FormatAmount(amount, currency)
		fmt.Printf("%q %v\n", text, err)
	}
	// Output:
	// "12.50" <nil>
	// "12.500" <nil>
	// "" invalid: amount 12.5 has more decimals than JPY has (0): round it
}

func ExampleToMinor() {
	amount, err := tillroute.ParseAmount("12.50", "NZD")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(tillroute.ToMinor(amount, "NZD"))
	fmt.Println(tillroute.FromMinor(1250, "NZD"))
	// Output:
	// 1250 <nil>
	// 12.5 <nil>
}

func ExampleSecret() {
	token := tillroute.Secret("an access token")
	fmt.Printf("%v %q %+v\n", token, token, struct{ Token tillroute.Secret }{token})
	fmt.Println(len(token.Reveal()))
	// Output:
	// [redacted] [redacted] {Token:[redacted]}
	// 15
}

// roundTrip is a function as an [http.RoundTripper].
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Middleware counts the calls of a client by their names. The transport here stands in for a server.
func ExampleMiddleware() {
	count := func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			fmt.Println("calling", tillroute.Operation(r.Context()))
			return next.RoundTrip(r)
		})
	}
	client := must(xseries.New(xseries.Config{DomainPrefix: "acme", AccessToken: "a token", HTTP: tillroute.HTTPOptions{
		Middleware: []tillroute.Middleware{count},
		Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusNotFound}, nil
		}),
	}}))
	var answer tillroute.Response
	_, err := client.Registers.Get(context.Background(), "no-such-register", tillroute.WithResponse(&answer))
	fmt.Println(errors.Is(err, tillroute.ErrNotFound), answer.Status, answer.Attempts)
	// Output:
	// calling xseries.Registers.Get
	// true 404 1
}
