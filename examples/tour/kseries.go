package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/simulated"
	"github.com/tillroute/tillroute/internal/testserver"
	"github.com/tillroute/tillroute/kseries"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/smartconnect"
)

const (
	// table is where the restaurant's guests sit, and tableName how people know it.
	table     = 3
	tableName = "Table 3"
	// endpoint is the ID of the app's endpoint for notifications.
	endpoint = "tour"
)

// bistro is a restaurant whose guests pay at the table: its app, and the terminal that the waiter brings.
type bistro struct {
	at       testserver.KSeriesDescription
	location int64
	shop     *shop // with a router of its own
	client   *kseries.Client
	payments *kseries.Payments
	stop     func()
}

// openBistro opens the restaurant's router.
func (t *tour) openBistro(ctx context.Context) (*bistro, error) {
	b := &bistro{at: t.systems.Describe().KSeries, location: testserver.KSeriesLocation, stop: func() {}}
	b.shop = &shop{rail: rail{
		Database: filepath.Join(filepath.Dir(t.shop.rail.Database), "bistro.db"), URL: t.shop.rail.URL, Currency: b.at.Currency,
	}}
	var err error
	b.shop.store, b.shop.router, b.shop.stop, err = b.shop.rail.open(ctx)
	return b, err
}

func (b *bistro) close() {
	b.stop()
	_ = b.shop.close()
}

// atTheTable has guests of a restaurant pay by card, and their checks know of it.
func (t *tour) atTheTable(ctx context.Context) {
	b, err := t.openBistro(ctx)
	if err == nil {
		defer b.close()
	}
	t.do(ctx, kseries.System, "a merchant connects the restaurant by OAuth, and the token is renewed", func(ctx context.Context, _ func(string)) (string, error) {
		if err != nil {
			return "", err
		}
		return t.connectBistro(ctx, b)
	})
	if b == nil || b.client == nil {
		return
	}
	t.do(ctx, kseries.System, "a table is paired with a terminal, and the app receives notifications", func(ctx context.Context, _ func(string)) (string, error) {
		return t.serveBistro(ctx, b)
	})
	if b.payments == nil {
		return
	}
	t.partOfTheCheck(ctx, b)
	t.restOfTheCheck(ctx, b)
	t.offline(ctx, b)
	t.paidTooMuch(ctx, b)
}

func (t *tour) connectBistro(ctx context.Context, b *bistro) (string, error) {
	oauth := kseries.OAuth{
		ClientID: b.at.ClientID, ClientSecret: tillroute.Secret(b.at.ClientSecret), RedirectURL: "https://app.example/callback",
		Scopes: []string{"orders-api", "financial-api", "offline_access"}, AuthorizeURL: b.at.AuthorizeURL, TokenURL: b.at.TokenURL,
		HTTP: t.watch.http(),
	}
	state := kseries.NewState()
	page, err := oauth.AuthCodeURL(state)
	if err != nil {
		return "", err
	}
	back, err := simulated.Consent(ctx, page)
	if err != nil {
		return "", err
	}
	code, err := oauth.ParseCallback(back, state)
	if err != nil {
		return "", err
	}
	grant, err := oauth.Exchange(ctx, "bistro", code)
	if err != nil {
		return "", err
	}
	if grant, err = b.shop.store.PutGrant(ctx, grant, 0); err != nil {
		return "", err
	}
	// The token ends at once: the client gets another by itself.
	t.systems.KSeries.ExpireTokens()
	client, err := kseries.New(kseries.Config{OAuth: oauth, Tokens: b.shop.store, Account: "bistro", BaseURL: b.at.BaseURL, HTTP: t.watch.http()})
	if err != nil {
		return "", err
	}
	t.watch.see(oauth, code, grant, client)
	businesses, err := client.Businesses.List(ctx)
	if err != nil {
		return "", err
	}
	renewed, err := b.shop.store.Grant(ctx, kseries.System, "bistro")
	if err != nil {
		return "", err
	}
	b.client = client
	return fmt.Sprintf("%s has %d locations", businesses[0].Name, len(businesses[0].Locations)), check(
		should(businesses[0].Locations[0].ID == b.location, "the restaurant is among them"),
		should(renewed.Version > grant.Version, "the token that had ended was renewed"),
	)
}

// serveBistro pairs the table, and runs what takes payments until b.stop is called.
func (t *tour) serveBistro(ctx context.Context, b *bistro) (string, error) {
	terminal := t.systems.SmartConnect.Device(terminalC)
	terminal.SetAuto(testserver.AutoApprove, soon)
	code, err := terminal.ShowCode()
	if err != nil {
		return "", err
	}
	if _, err := b.shop.router.Pair(ctx, pairing.PairRequest{
		Register: b.register(), RegisterName: tableName, Provider: smartconnect.Provider, Code: code,
	}); err != nil {
		return "", err
	}
	payments, err := kseries.NewPayments(kseries.PaymentsConfig{
		Client: b.client, Router: b.shop.router, EndpointID: endpoint, Method: "OOPAYMENT", Interval: 20 * time.Millisecond,
		Logger: t.watch.logger,
	})
	if err != nil {
		return "", err
	}
	password := tillroute.Secret(rand.Text()) // with which the vendor proves itself
	handler, err := kseries.NewNotificationHandler(kseries.NotificationConfig{
		Credentials: []kseries.Credential{{Username: "tour", Password: password}},
		Deliveries:  b.shop.store, Handle: payments.Notification, Logger: t.watch.logger,
	})
	if err != nil {
		return "", err
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := t.watch.server(handler)
	running, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	group.Go(func() { _ = server.Serve(listener) })
	group.Go(func() { _ = payments.Run(running) })
	b.stop = func() {
		_ = server.Close()
		cancel()
		group.Wait()
	}
	if _, err := b.client.Webhooks.Create(ctx, kseries.Endpoint{
		ID: endpoint, URL: "http://" + listener.Addr().String() + "/", Username: "tour", Password: password,
	}); err != nil {
		return "", err
	}
	b.payments = payments
	made := t.systems.Requests("kseries", "PUT", "/o/wh/1/webhook")
	return fmt.Sprintf("%s pays at terminal %s", b.register(), terminalC), check(should(len(made) == 1, "one endpoint was made"))
}

func (b *bistro) register() pairing.Register { return kseries.RegisterKey(b.location, tableName) }

// due reads the check of the table, and what is to be paid of it.
func (b *bistro) due(ctx context.Context) (kseries.PaymentRequest, error) {
	open, err := b.client.Checks.ByTable(ctx, b.location, table)
	if err != nil {
		return kseries.PaymentRequest{}, err
	}
	amount, ok := open.Due()
	if !ok {
		return kseries.PaymentRequest{}, errors.New("not so: the check says what is due")
	}
	return kseries.PaymentRequest{
		Register: b.register(), AccountIdentifier: open.AccountIdentifier, Amount: amount, Currency: b.at.Currency,
	}, nil
}

// payAtTable takes a payment, says how it comes forward, and returns how it ended.
func (t *tour) payAtTable(ctx context.Context, b *bistro, r kseries.PaymentRequest, note func(string)) (kseries.PaymentStatus, error) {
	if _, err := b.payments.Submit(ctx, r); err != nil {
		return kseries.PaymentStatus{}, err
	}
	for status, err := range b.payments.Watch(ctx, r.ID) {
		if err != nil {
			break
		}
		note(string(status.Stage))
	}
	paid, err := b.payments.Wait(ctx, r.ID)
	if err == nil {
		t.elsewhere = append(t.elsewhere, paid.Payment)
	}
	return paid, err
}

func (t *tour) partOfTheCheck(ctx context.Context, b *bistro) {
	t.do(ctx, kseries.System, "a guest pays a part of the check at the table, which stays open", func(ctx context.Context, note func(string)) (string, error) {
		if _, err := t.systems.KSeries.OpenCheck(table, "20001", "20002", "30001"); err != nil {
			return "", err
		}
		request, err := b.due(ctx)
		if err != nil {
			return "", err
		}
		request.ID, request.Amount = "bistro/part", money("10.00")
		paid, err := t.payAtTable(ctx, b, request, note)
		if err != nil {
			return "", err
		}
		applied := t.systems.KSeries.Applied()
		left, err := b.due(ctx)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("10.00 of check %s, %s are left", request.AccountIdentifier, left.Amount.StringFixed(2)), check(
			should(paid.Stage == kseries.StagePaid, "the check has it, not %q: %s", paid.Stage, paid.Reason),
			should(len(applied) == 1 && applied[0].Reference == paid.Reference && applied[0].Amount.Equal(request.Amount), "10.00 were applied once: %v", applied),
			should(left.Amount.Equal(money("16.90")), "16.90 are left, not %s", left.Amount))
	})
}

func (t *tour) restOfTheCheck(ctx context.Context, b *bistro) {
	t.do(ctx, kseries.System, "the rest is paid; a reply is lost, the notification comes twice, and the check closes", func(ctx context.Context, note func(string)) (string, error) {
		t.systems.Fault(testserver.On("kseries", "POST", "/o/op/1/pay"), testserver.LoseReply())
		t.systems.KSeries.DuplicateNotifications(1)
		request, err := b.due(ctx)
		if err != nil {
			return "", err
		}
		request.ID = "bistro/rest"
		before := len(t.systems.KSeries.Applied())
		paid, err := t.payAtTable(ctx, b, request, note)
		if err != nil {
			return "", err
		}
		applied := t.systems.KSeries.Applied()[before:]
		closed, _ := t.systems.KSeries.Check(request.AccountIdentifier)
		_, none := b.due(ctx)
		return fmt.Sprintf("%s paid, check %s is closed", request.Amount.StringFixed(2), request.AccountIdentifier), check(
			should(paid.Stage == kseries.StagePaid, "the check has it, not %q: %s", paid.Stage, paid.Reason),
			should(len(applied) == 1, "it was applied once, not %d times", len(applied)),
			should(len(t.systems.UnusedFaults()) == 0, "the reply was really lost"),
			should(closed.Closed && errors.Is(none, tillroute.ErrNotFound), "the check is closed"))
	})
}

func (t *tour) offline(ctx context.Context, b *bistro) {
	t.do(ctx, kseries.System, "the point of sale is offline, and gets the payment when it is back", func(ctx context.Context, note func(string)) (string, error) {
		if _, err := t.systems.KSeries.OpenCheck(table, "20003"); err != nil {
			return "", err
		}
		request, err := b.due(ctx)
		if err != nil {
			return "", err
		}
		request.ID = "bistro/offline"
		t.systems.KSeries.SetPOS(testserver.POSOffline)
		defer t.systems.KSeries.SetPOS(testserver.POSOnline)
		before := len(t.systems.KSeries.Applied())
		if _, err := b.payments.Submit(ctx, request); err != nil {
			return "", err
		}
		if err := until(ctx, func() bool { return t.waiting() == 1 }); err != nil {
			return "", err
		}
		meanwhile, err := b.payments.Status(ctx, request.ID)
		if err != nil {
			return "", err
		}
		note("the card was charged, and the point of sale doesn't know")
		t.systems.KSeries.SetPOS(testserver.POSOnline)
		paid, err := t.payAtTable(ctx, b, request, note)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("%s, then %s", meanwhile.Stage, paid.Stage), check(
			should(meanwhile.Stage == kseries.StageApplying, "it was waited for, not %q", meanwhile.Stage),
			should(paid.Stage == kseries.StagePaid, "the check has it, not %q: %s", paid.Stage, paid.Reason),
			should(len(t.systems.KSeries.Applied()) == before+1, "it was applied once"))
	})
}

// waiting counts what waits for the point of sale.
func (t *tour) waiting() int {
	n := 0
	for _, task := range t.systems.KSeries.Tasks() {
		if task.State == testserver.TaskWaiting {
			n++
		}
	}
	return n
}

func (t *tour) paidTooMuch(ctx context.Context, b *bistro) {
	t.do(ctx, kseries.System, "the waiter takes cash while the guest pays by card: the card payment is kept for a person", func(ctx context.Context, note func(string)) (string, error) {
		opened, err := t.systems.KSeries.OpenCheck(table, "20003", "30003")
		if err != nil {
			return "", err
		}
		request, err := b.due(ctx)
		if err != nil {
			return "", err
		}
		request.ID = "bistro/too-much"
		if _, err := t.systems.KSeries.PayAtPOS(opened.Account, "CASH", money("5.00")); err != nil {
			return "", err
		}
		refused, err := t.payAtTable(ctx, b, request, note)
		if err != nil {
			return "", err
		}
		open, err := b.payments.Open(ctx, 0, 10)
		if err != nil {
			return "", err
		}
		note(refused.Reason)
		given, err := b.payments.Resolve(ctx, request.ID, kseries.Settlement{By: "Jane", Reason: "refunded at the terminal"})
		if err != nil {
			return "", err
		}
		after, _ := t.systems.KSeries.Check(opened.Account)
		return fmt.Sprintf("%s, then %s", refused.Stage, given.Stage), check(
			should(refused.Stage == kseries.StageRefused, "it was refused, not %q: %s", refused.Stage, refused.Reason),
			should(len(open) == 1 && open[0].Payment.ID == request.ID, "it is the one that needs a person: %d do", len(open)),
			should(given.Stage == kseries.StageGivenBack, "a person has given it back, not %q", given.Stage),
			should(after.Paid.Equal(money("5.00")), "the check has the cash alone"))
	})
}
