package pairing_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"sync"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/memstore"
)

// acquirer stands in for the system behind your terminals: it takes a payment under a name of yours, and can be asked for it.
type acquirer struct {
	mu    sync.Mutex
	taken map[string]decimal.Decimal
	// loses says that answers get lost on their way.
	loses bool
}

var (
	errLost = errors.New("the connection broke")
	errNone = errors.New("no such payment")
)

func (a *acquirer) pay(name string, amount decimal.Decimal) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.taken == nil {
		a.taken = map[string]decimal.Decimal{}
	}
	a.taken[name] = amount
	if a.loses {
		return errLost
	}
	return nil
}

func (a *acquirer) lookUp(name string) (decimal.Decimal, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	amount, ok := a.taken[name]
	if a.loses || !ok {
		return decimal.Decimal{}, errNone
	}
	return amount, nil
}

// driver moves money on the terminals of that acquirer.
type driver struct{ acquirer *acquirer }

// Start hands the payment over. Here the payment's own ID is the handle.
func (d driver) Start(_ context.Context, p pairing.Payment) (pairing.Handle, error) {
	if p.Kind != pairing.Purchase {
		// Provably nothing was started: the payment has failed.
		return pairing.Handle{}, tillroute.Invalid("acquirer", "Start", "a terminal of this acquirer can't do a %s", p.Kind)
	}
	if err := d.acquirer.pay(p.ID, p.Amount); err != nil {
		// It may have arrived. An error that doesn't say Failed leaves the outcome unknown.
		return pairing.Handle{}, fmt.Errorf("the answer was lost: %w", err)
	}
	return pairing.Handle{TransactionID: p.ID}, nil
}

// Await follows it to the end. It starts nothing.
func (d driver) Await(_ context.Context, p pairing.Payment, report func(note string)) (pairing.Result, error) {
	report("the card is being read")
	amount, err := d.acquirer.lookUp(p.Handle.TransactionID)
	if err != nil {
		return pairing.Result{}, err
	}
	return pairing.Result{Outcome: tillroute.Approved, Amount: amount}, nil
}

// A driver is what a company that makes terminals, or speaks for them, has to write: how a payment is handed over, and how its
// outcome is learned.
func ExampleDriver() {
	router, err := pairing.New(pairing.Config{
		Store:   memstore.New(memstore.Config{}), // sqlitestore or pgstore in a program of yours
		Drivers: map[string]pairing.Driver{"acquirer": driver{&acquirer{}}},
	})
	if err != nil {
		log.Print(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { _ = router.Run(ctx) }()

	// The terminal shows a code, and a person types it in beside the register.
	code, err := router.IssueCode(ctx, pairing.Terminal{Provider: "acquirer", Serial: "0042"}, "at the door")
	if err != nil {
		log.Print(err)
		return
	}
	till := pairing.Register{System: "mypos", Account: "toys", ID: "till-1"}
	paired, err := router.Pair(ctx, pairing.PairRequest{Register: till, Code: code.String(), RegisterName: "Main till"})
	if err != nil {
		log.Print(err)
		return
	}
	fmt.Println(paired.Register, "is paired with", paired.Terminal)

	paid, err := router.Pay(ctx, pairing.Request{ID: "sale-1001", Register: till, Amount: decimal.RequireFromString("12.50"), Currency: "EUR"})
	fmt.Println(paid.Outcome(), paid.Result.Amount, err)
	// Output:
	// mypos/toys/till-1 is paired with acquirer/0042
	// approved 12.5 <nil>
}

// paired is a running router with a register and a terminal.
func paired(a *acquirer) (router *pairing.Router, till pairing.Register, stop func()) {
	router, err := pairing.New(pairing.Config{
		Store: memstore.New(memstore.Config{}), Drivers: map[string]pairing.Driver{"acquirer": driver{a}},
	})
	if err != nil {
		log.Panic(err)
	}
	till = pairing.Register{System: "mypos", Account: "toys", ID: "till-1"}
	ctx, cancel := context.WithCancel(context.Background())
	link := pairing.Pairing{Register: till, Terminal: pairing.Terminal{Provider: "acquirer", Serial: "0042"}}
	if _, err := router.PairTerminal(ctx, link); err != nil {
		log.Panic(err)
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		_ = router.Run(ctx)
	}()
	return router, till, func() { cancel(); <-stopped }
}

// The answer to a payment was lost, and nobody can say whether the card was charged. It is never sent again; a person looks, and
// says what they found.
func ExampleRouter_Resolve() {
	router, till, stop := paired(&acquirer{loses: true})
	defer stop()
	ctx := context.Background()

	payment, err := router.Pay(ctx, pairing.Request{ID: "sale-1002", Register: till, Amount: decimal.NewFromInt(8), Currency: "EUR"})
	fmt.Println(payment.Outcome(), payment.State, errors.Is(err, tillroute.ErrOutcomeUnknown))

	// What the operator at night lists …
	parked, err := router.Payments(ctx, pairing.Filter{States: []pairing.State{pairing.Parked}}, 100)
	if err != nil {
		log.Print(err)
		return
	}
	for _, p := range parked {
		fmt.Println(p.ID, p.Amount, p.Currency, "at", p.Terminal)
	}
	// … and decides.
	payment, err = router.Resolve(ctx, "sale-1002", pairing.Resolution{
		Outcome: tillroute.Approved, By: "Ann", Reason: "seen in the terminal's journal",
	})
	fmt.Println(payment.Outcome(), payment.State, err)
	// Output:
	// unknown unknown true
	// sale-1002 8 EUR at acquirer/0042
	// approved done <nil>
}

// A page shows how far a payment is.
func ExampleRouter_Watch() {
	router, till, stop := paired(&acquirer{})
	defer stop()
	ctx := context.Background()
	if _, err := router.Submit(ctx, pairing.Request{ID: "sale-1003", Register: till, Amount: decimal.NewFromInt(3), Currency: "EUR"}); err != nil {
		log.Print(err)
		return
	}
	var last pairing.Progress
	for progress, err := range router.Watch(ctx, "sale-1003") {
		if err != nil {
			log.Print(err)
			return
		}
		last = progress // here: show progress.Ahead, progress.Payment.State and progress.Payment.Note
	}
	fmt.Println(last.Payment.State, last.Payment.Outcome())
	// Output:
	// done approved
}

// The same request again is the same payment; another under its ID is refused.
func ExampleRouter_Submit() {
	router, till, stop := paired(&acquirer{})
	defer stop()
	ctx := context.Background()
	request := pairing.Request{ID: "sale-1004", Register: till, Amount: decimal.NewFromInt(3), Currency: "EUR"}
	first, err := router.Pay(ctx, request)
	fmt.Println(first.Outcome(), err)

	again, err := router.Submit(ctx, request)
	fmt.Println(again.Seq == first.Seq, again.Outcome(), err)

	request.Amount = decimal.NewFromInt(4)
	_, err = router.Submit(ctx, request)
	fmt.Println(errors.Is(err, tillroute.ErrConflict))
	// Output:
	// approved <nil>
	// true approved <nil>
	// true
}

// A report walks through all payments, a page at a time, and remembers how far it came.
func ExampleRouter_Payments() {
	router, till, stop := paired(&acquirer{})
	defer stop()
	ctx := context.Background()
	for _, id := range []string{"sale-1005", "sale-1006", "sale-1007"} {
		request := pairing.Request{ID: id, Register: till, Amount: decimal.NewFromInt(3), Currency: "EUR"}
		if _, err := router.Pay(ctx, request); err != nil {
			log.Print(err)
			return
		}
	}
	filter := pairing.Filter{Outcomes: []tillroute.Outcome{tillroute.Approved}}
	for {
		page, err := router.Payments(ctx, filter, 2)
		if err != nil {
			log.Print(err)
			return
		}
		for _, p := range page {
			fmt.Println(p.ID, p.Result.Amount, p.Currency)
			filter.After = p.Seq
		}
		if len(page) == 0 {
			return
		}
	}
	// Output:
	// sale-1005 3 EUR
	// sale-1006 3 EUR
	// sale-1007 3 EUR
}
