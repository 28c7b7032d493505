package main

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/simulated"
	"github.com/tillroute/tillroute/internal/testserver"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/paysera"
	"github.com/tillroute/tillroute/smartconnect"
)

const (
	table1 = "TABLE1"
	table2 = "TABLE2"
	// terminalC is the café's.
	terminalC = "7070714002"
	// guest is what the guest's tokens are kept under.
	guest = "guest"
	// stranger is a user of the simulated wallet who scans what a forger has stuck to a table.
	stranger = 222
)

// diner is a café: a merchant of the wallet, its tables, and a guest with a phone.
type diner struct {
	at       testserver.PayseraDescription
	shop     *shop // with terminals of its own, which charge in the currency of the wallet
	client   *paysera.Client
	guest    *paysera.Client
	merchant *paysera.Merchant

	mu      sync.Mutex
	bills   []paysera.Bill
	refused []string
}

// The diner is the till. Its bills are kept in memory, and its writes are unconditional: examples/cafe has a better one.

func (d *diner) Spot(_ context.Context, spot paysera.Spot) (paysera.Wish, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if spot.Identifier != table1 && spot.Identifier != table2 {
		d.refused = append(d.refused, spot.Identifier)
		return paysera.Close, nil
	}
	if spot.Status != paysera.SpotWaiting {
		return paysera.Close, nil
	}
	if !slices.ContainsFunc(d.bills, func(b paysera.Bill) bool { return b.SpotID == spot.ID }) {
		d.bills = append(d.bills, paysera.Bill{
			Reference: "tour-" + spot.Identifier, SpotID: spot.ID, Description: "Coffee and cake", Amount: money("7.30"), Currency: d.at.Currency,
		})
	}
	return paysera.Leave, nil
}

func (d *diner) Bills(context.Context) ([]paysera.Bill, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(d.bills), func(b paysera.Bill) bool { return b.Status != "" }), nil
}

func (d *diner) Save(_ context.Context, bill paysera.Bill) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.bills {
		if d.bills[i].Reference == bill.Reference {
			d.bills[i] = bill
		}
	}
	return nil
}

func (d *diner) Reserved(context.Context, paysera.Bill, paysera.Transaction) (paysera.Decision, error) {
	return paysera.Confirm(), nil
}

// bill returns the bill of a table.
func (d *diner) bill(table string) paysera.Bill {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, b := range d.bills {
		if b.Reference == "tour-"+table {
			return b
		}
	}
	return paysera.Bill{}
}

func (d *diner) code(identifier string) paysera.SpotCode {
	return paysera.SpotCode{LocationID: d.at.Locations[0].ID, Identifier: identifier}
}

// open has the merchant work until stop is called. It begins at once with what there is to be done.
func (d *diner) open(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	group.Go(func() { _ = d.merchant.Run(ctx) })
	return func() {
		cancel()
		group.Wait()
	}
}

// openDiner builds what a café would run, but not its receiver of callbacks.
func (t *tour) openDiner(ctx context.Context) (*diner, error) {
	d := &diner{at: t.systems.Describe().Paysera}
	var err error
	if d.client, err = paysera.New(paysera.Config{
		ClientID: d.at.ClientID, ClientSecret: tillroute.Secret(d.at.ClientSecret), BaseURL: d.at.BaseURL, HTTP: t.watch.http(),
	}); err != nil {
		return nil, err
	}
	if d.merchant, err = paysera.NewMerchant(paysera.MerchantConfig{Client: d.client, Till: d, Interval: time.Second, Logger: t.watch.logger}); err != nil {
		return nil, err
	}
	d.shop = &shop{rail: rail{
		Database: filepath.Join(filepath.Dir(t.shop.rail.Database), "cafe.db"), URL: t.shop.rail.URL, Currency: d.at.Currency,
		watch: t.watch,
	}}
	d.shop.store, d.shop.router, d.shop.stop, err = d.shop.rail.open(ctx)
	return d, err
}

// wallet has guests of a café pay in the wallet, and at a terminal.
func (t *tour) wallet(ctx context.Context) {
	d, err := t.openDiner(ctx)
	if err == nil {
		defer func() { _ = d.shop.close() }()
		var stop func()
		if stop, err = t.callbacks(ctx, d); err == nil {
			defer stop()
		}
	}
	t.do(ctx, paysera.System, "a guest connects the wallet by OAuth", func(ctx context.Context, _ func(string)) (string, error) {
		if err != nil {
			return "", err
		}
		return t.connectGuest(ctx, d)
	})
	if d == nil || d.guest == nil {
		return
	}
	t.wrongClock(ctx, d)
	t.paidInTheWallet(ctx, d)
	t.forgedCode(ctx, d)
	t.paidElsewhere(ctx, d)
}

// callbacks serves the café's receiver of callbacks until stop is called.
func (t *tour) callbacks(ctx context.Context, d *diner) (stop func(), err error) {
	handler, err := paysera.NewCallbackHandler(paysera.CallbackConfig{
		Key:        func(ctx context.Context) (*rsa.PublicKey, error) { return d.client.PublicKey(ctx) },
		Deliveries: d.shop.store,
		Handle:     d.merchant.Callback,
		Logger:     t.watch.logger,
	})
	if err != nil {
		return nil, err
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	server := t.watch.server(handler)
	var group sync.WaitGroup
	group.Go(func() { _ = server.Serve(listener) })
	t.systems.Paysera.SetCallbackURI("http://" + listener.Addr().String() + "/paysera")
	return func() {
		t.systems.Paysera.SetCallbackURI("")
		_ = server.Close()
		group.Wait()
	}, nil
}

func (t *tour) connectGuest(ctx context.Context, d *diner) (string, error) {
	oauth := paysera.OAuth{
		ClientID: d.at.AppID, ClientSecret: tillroute.Secret(d.at.AppSecret), RedirectURL: "https://phone.example/callback",
		AuthorizeURL: d.at.AuthURL + "/oauth", BaseURL: d.at.BaseURL, HTTP: t.watch.http(),
	}
	state := paysera.NewState()
	page, err := oauth.AuthCodeURL(state)
	if err != nil {
		return "", err
	}
	back, err := simulated.Consent(ctx, page)
	if err != nil {
		return "", err
	}
	callback, err := oauth.ParseCallback(back, state)
	if err != nil {
		return "", err
	}
	grant, err := oauth.Exchange(ctx, callback, guest)
	if err != nil {
		return "", err
	}
	if grant, err = d.shop.store.PutGrant(ctx, grant, 0); err != nil {
		return "", err
	}
	// The token ends at once: the client gets another by itself.
	t.systems.Paysera.ExpireTokens()
	client, err := paysera.New(paysera.Config{OAuth: oauth, Tokens: d.shop.store, Account: guest, HTTP: t.watch.http()})
	if err != nil {
		return "", err
	}
	t.watch.see(oauth, callback, grant, client, d.client)
	spot, err := client.Spots.ByCode(ctx, d.code(table1).String())
	if err != nil {
		return "", err
	}
	renewed, err := d.shop.store.Grant(ctx, paysera.System, guest)
	if err != nil {
		return "", err
	}
	d.guest = client
	return fmt.Sprintf("the code %s is that of spot %d, %s", d.code(table1), spot.ID, spot.Place.Title), check(
		should(t.spot(spot.ID).Identifier == table1, "the code is that of the table"),
		should(renewed.Version > grant.Version, "the token that had ended was renewed"),
	)
}

func (t *tour) wrongClock(ctx context.Context, d *diner) {
	t.do(ctx, paysera.System, "a clock is an hour off, and requests are signed all the same", func(ctx context.Context, _ func(string)) (string, error) {
		t.systems.Paysera.SetClock(time.Hour)
		defer t.systems.Paysera.SetClock(0)
		begin := len(t.systems.Requests("paysera", "GET", "/rest/v1/spots"))
		page, err := d.client.Spots.List(ctx, "", paysera.ListOptions{})
		if err != nil {
			return "", err
		}
		tries := len(t.systems.Requests("paysera", "GET", "/rest/v1/spots")) - begin
		return fmt.Sprintf("%d spot listed, at the second try", len(page.Items)), check(
			should(tries == 2, "the first try was refused and the second was not: %d tries", tries),
			should(len(page.Items) == len(t.systems.Paysera.Spots()), "all spots are listed"))
	})
}

// seat checks the guest in at a table, opens the café, and returns the bill's transaction once it is on the guest's phone.
func (d *diner) seat(ctx context.Context, table string) (key string, spotID int64, stop func(), err error) {
	spot, err := d.guest.Spots.ByCode(ctx, d.code(table).String())
	if err == nil {
		spot, err = d.guest.Spots.CheckIn(ctx, spot.ID)
	}
	if err != nil {
		return "", 0, nil, err
	}
	stop = d.open(ctx)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if spot, err = d.guest.Spots.Get(ctx, spot.ID); err == nil && len(spot.Orders) > 0 && d.bill(table).Ordered {
			return spot.Orders[0].TransactionKey, spot.ID, stop, nil
		}
		if err == nil {
			select {
			case <-tick.C:
				continue
			case <-ctx.Done():
				err = ctx.Err()
			}
		}
		stop()
		return "", 0, nil, err
	}
}

func (t *tour) paidInTheWallet(ctx context.Context, d *diner) {
	t.do(ctx, paysera.System, "a guest pays in the wallet, and the answer to the confirmation is lost", func(ctx context.Context, note func(string)) (string, error) {
		t.systems.Fault(testserver.On("paysera", "PUT", "/rest/v1/transaction/*/confirm"), testserver.LoseReply())
		key, spotID, stop, err := d.seat(ctx, table1)
		if err != nil {
			return "", err
		}
		defer stop()
		note("the guest has the bill on the phone")
		if _, err := d.guest.Transactions.Reserve(ctx, key, paysera.Reservation{Wallet: paysera.Me}); err != nil {
			return "", err
		}
		if err := until(ctx, func() bool { return d.bill(table1).Status != "" }); err != nil {
			return "", err
		}
		bill, charges := d.bill(table1), t.systems.Paysera.Charges()
		claims := []claim{
			should(bill.Status == paysera.BillPaid, "the bill is paid: %s %s", bill.Status, bill.Problem),
			should(len(charges) == 1, "the wallet was charged once, not %d times", len(charges)),
			should(len(t.systems.UnusedFaults()) == 0, "the answer was really lost"),
			should(len(t.systems.Requests("paysera", "PUT", "/rest/v1/transaction/*/confirm")) == 1, "it was confirmed once"),
		}
		if len(charges) == 1 {
			claims = append(claims, should(charges[0].Amount.Equal(money("7.30")) && charges[0].SpotID == spotID, "7.30 were charged at the table"))
		}
		return fmt.Sprintf("%s %s were paid for bill %s", bill.Paid.StringFixed(2), bill.Currency, bill.Reference), check(claims...)
	})
}

func (t *tour) forgedCode(ctx context.Context, d *diner) {
	t.do(ctx, paysera.System, "the spot of a forged QR code is closed", func(ctx context.Context, _ func(string)) (string, error) {
		const forged = "TABLE1 " // who looks at the code sees no difference
		spotID, err := t.systems.Paysera.User(stranger).CheckIn(d.code(forged).String())
		if err != nil {
			return "", err
		}
		defer d.open(ctx)()
		if err := until(ctx, func() bool { return t.spot(spotID).Status == string(paysera.SpotClosed) }); err != nil {
			return "", err
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		return fmt.Sprintf("%q is not the café's", forged), check(
			should(slices.Equal(d.refused, []string{forged}), "the till was asked once: %q", d.refused),
			should(len(t.spot(spotID).Orders) == 0, "nobody was asked for money there"),
			should(len(t.spot(spotID).Users) == 0, "nobody is there any more"))
	})
}

func (t *tour) paidElsewhere(ctx context.Context, d *diner) {
	t.do(ctx, paysera.System, "a table is paired with a terminal, and paid there instead", func(ctx context.Context, note func(string)) (string, error) {
		t.systems.SmartConnect.Device(terminalC).SetAuto(testserver.AutoApprove, soon)
		register := d.code(table2).Register()
		code, err := t.systems.SmartConnect.Device(terminalC).ShowCode()
		if err != nil {
			return "", err
		}
		if _, err := d.shop.router.Pair(ctx, pairing.PairRequest{
			Register: register, RegisterName: table2, Provider: smartconnect.Provider, Code: code,
		}); err != nil {
			return "", err
		}
		key, _, stop, err := d.seat(ctx, table2)
		if err != nil {
			return "", err
		}
		defer stop()
		note("the guest would rather pay by card")
		bill, err := d.merchant.Withdraw(ctx, d.bill(table2))
		if err != nil {
			return "", err
		}
		if bill.Status != paysera.BillUnpaid {
			return "", errors.New("not so: the bill was not paid in the wallet")
		}
		wallets, terminals := len(t.systems.Paysera.Charges()), len(t.systems.SmartConnect.Charges())
		paid, err := d.shop.follow(ctx, pairing.Request{
			ID: "paysera/" + bill.Reference, Register: register, Amount: bill.Amount, Currency: bill.Currency, Reference: bill.Reference,
		}, note)
		if err != nil {
			return "", err
		}
		t.elsewhere = append(t.elsewhere, paid)
		_, late := d.guest.Transactions.Reserve(ctx, key, paysera.Reservation{Wallet: paysera.Me})
		charges := t.systems.SmartConnect.Charges()[terminals:]
		return fmt.Sprintf("%s at terminal %s: %s", register, paid.Terminal.Serial, paid.Outcome()), check(
			should(paid.Outcome() == tillroute.Approved, "the payment is approved, not %s: %s", paid.Outcome(), paid.Result.Reason),
			should(len(charges) == 1 && charges[0].Cents == 730, "the terminal charged 730 cents once: %v", charges),
			should(errors.Is(late, tillroute.ErrConflict), "the wallet can't pay any more: %v", late),
			should(len(t.systems.Paysera.Charges()) == wallets, "the wallet was not charged"))
	})
}

// spot returns a spot as the simulated wallet knows it.
func (t *tour) spot(id int64) testserver.PayseraSpot {
	for _, s := range t.systems.Paysera.Spots() {
		if s.ID == id {
			return s
		}
	}
	return testserver.PayseraSpot{}
}

// until waits until something is so.
func until(ctx context.Context, so func() bool) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
