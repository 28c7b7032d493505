package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/testserver"
	"github.com/tillroute/tillroute/pms"
)

const (
	// hotelKey is what the restaurant proves itself with. A real one is long and random.
	hotelKey = "a key of the tour"
	// hotelTimeout is how long the hotel may think about a charge: its disk may be slow.
	hotelTimeout = time.Minute

	room1 = "001"
	room2 = "002"
)

// inn is a hotel system. Its folios are kept in memory: examples/hotel has a better one.
type inn struct {
	pms.Unimplemented

	mu    sync.Mutex
	owes  map[string]decimal.Decimal // by reservation
	known map[string]bool            // keys and bills that were posted
	calls int
	// late makes the answer to the next charge come too late, though it was posted.
	late bool
}

// Charge posts a bill once, whatever happens.
func (i *inn) Charge(_ context.Context, c pms.Charge) error {
	late, err := i.post(c)
	if err != nil || !late {
		return err
	}
	return context.DeadlineExceeded // so that nobody has to wait for it
}

func (i *inn) post(c pms.Charge) (late bool, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.calls++
	if i.known["key "+c.Key] || i.known["bill "+c.Account()] {
		return false, nil
	}
	postings, err := c.Postings()
	if err != nil {
		return false, err
	}
	for _, p := range postings {
		if _, ok := i.owes[p.ReservationID]; !ok {
			return false, pms.Refuse("Nobody has checked in as %s, please ask the guest for the key card", p.ReservationID)
		}
	}
	for _, p := range postings {
		i.owes[p.ReservationID] = i.owes[p.ReservationID].Add(p.Debit)
	}
	i.known["key "+c.Key], i.known["bill "+c.Account()] = true, true
	late, i.late = i.late, false
	return late, nil
}

// Search finds the only guest with a name.
func (i *inn) Search(_ context.Context, s pms.Search) ([]pms.Reservation, error) {
	if s.Term != "mik" {
		return nil, nil
	}
	return []pms.Reservation{{RoomID: "1002", RoomDescription: "Room 1002", ClientName: "Mike Test", ReservationID: room1}}, nil
}

// folio returns what a reservation owes, and how often the hotel was asked to post.
func (i *inn) folio(reservation string) (owes decimal.Decimal, calls int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.owes[reservation], i.calls
}

func (i *inn) beLate() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.late = true
}

// hotel has a restaurant charge its bills to the rooms of a hotel.
func (t *tour) hotel(ctx context.Context) {
	i := &inn{owes: map[string]decimal.Decimal{room1: {}, room2: {}}, known: map[string]bool{}}
	endpoint, stop, err := t.openHotel(ctx, i)
	if err == nil {
		defer stop()
	}
	t.do(ctx, pms.System, "a hotel registers for room charges", func(ctx context.Context, _ func(string)) (string, error) {
		if err != nil {
			return "", err
		}
		return t.registerHotel(ctx, endpoint)
	})
	if err != nil {
		return
	}
	t.chargedOnce(ctx, i)
	t.takenBack(ctx, i)
	t.sharedBill(ctx, i)
	t.refusedRoom(ctx)
	t.lateHotel(ctx, i)
}

// openHotel serves the hotel's endpoint until stop is called.
func (t *tour) openHotel(ctx context.Context, i *inn) (endpoint string, stop func(), err error) {
	handler, err := pms.NewHandler(pms.Config{
		Backend: i, Keys: []pms.Key{{APIKey: hotelKey}}, Deliveries: t.shop.store, Timeout: hotelTimeout, Logger: t.watch.logger,
	})
	if err != nil {
		return "", nil, err
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := t.watch.server(handler)
	var group sync.WaitGroup
	group.Go(func() { _ = server.Serve(listener) })
	return "http://" + listener.Addr().String() + "/pms", func() {
		_ = server.Close()
		group.Wait()
	}, nil
}

func (t *tour) registerHotel(ctx context.Context, endpoint string) (string, error) {
	at := t.systems.Describe().PMS
	client, err := pms.NewClient(pms.ClientConfig{
		Token: func(context.Context) (tillroute.Secret, error) { return tillroute.Secret(at.AccessToken), nil }, BaseURL: at.BaseURL,
		HTTP: t.watch.http(),
	})
	if err != nil {
		return "", err
	}
	centers, err := client.RevenueCenters.List(ctx, at.BusinessLocationID)
	if err != nil {
		return "", err
	}
	provider, err := client.Providers.Create(ctx, at.BusinessLocationID, pms.ProviderRequest{
		Name: "Tour Inn", Endpoint: endpoint, APIKey: hotelKey,
		Features: []pms.Feature{pms.SearchByName, pms.PartialPayments, pms.MultiPayments, pms.EnrichedPayload},
	})
	if err != nil {
		return "", err
	}
	known, ok := t.systems.PMS.Provider()
	return fmt.Sprintf("provider %d for %d revenue centers", provider.ID, len(centers)), check(
		should(ok && known.ID == provider.ID && known.Endpoint == endpoint, "the restaurant knows the hotel"),
		should(len(centers) > 0, "there are revenue centers"))
}

// roomBill is a bill of 11.00 that is paid as said.
func roomBill(payments ...testserver.PMSPayment) testserver.PMSOrder {
	return testserver.PMSOrder{Items: []testserver.PMSItem{{SKU: "F07", Quantity: 1}, {SKU: "B01", Quantity: 1}}, Payments: payments}
}

func toRoom(reservation, amount, tip string) testserver.PMSPayment {
	return testserver.PMSPayment{Method: testserver.RoomMethod, ReservationID: reservation, Amount: money(amount), Tip: money(tip)}
}

// charge closes a bill, and returns what became of its posting.
func (t *tour) charge(ctx context.Context, order testserver.PMSOrder) (testserver.PMSPosting, error) {
	bill, err := t.systems.PMS.CloseBill(order)
	if err != nil {
		return testserver.PMSPosting{}, err
	}
	return t.posting(ctx, bill.Account)
}

// posting waits until nothing is being posted, and returns a line of the restaurant's report.
func (t *tour) posting(ctx context.Context, account string) (testserver.PMSPosting, error) {
	report, err := t.systems.PMS.WaitPostings(ctx, len(t.systems.PMS.Postings()))
	if err != nil {
		return testserver.PMSPosting{}, err
	}
	for _, p := range report {
		if p.Account == account {
			return p, nil
		}
	}
	return testserver.PMSPosting{}, errors.New("the bill " + account + " was not posted")
}

func (t *tour) chargedOnce(ctx context.Context, i *inn) {
	t.do(ctx, pms.System, "a bill is charged to a room, and delivered twice at the same time", func(ctx context.Context, note func(string)) (string, error) {
		found, err := t.systems.PMS.Search(ctx, "mik")
		if err != nil {
			return "", err
		}
		if len(found) != 1 {
			return "", fmt.Errorf("not so: one guest is found, not %d", len(found))
		}
		note(found[0].ClientName + " is in " + found[0].RoomDescription)
		t.systems.PMS.DuplicatePostings(1, true)
		p, err := t.charge(ctx, roomBill(toRoom(found[0].ReservationID, "11.00", "1.00")))
		if err != nil {
			return "", err
		}
		owes, calls := i.folio(room1)
		return fmt.Sprintf("bill %s: %s owes %s", p.Account, found[0].ClientName, owes.StringFixed(2)), check(
			should(p.State == testserver.PMSPosted, "the bill is posted: %s", p.Message),
			should(len(p.Attempts) == 2, "it was delivered twice, not %d times", len(p.Attempts)),
			should(calls == 1, "the hotel was asked to post once, not %d times", calls),
			should(owes.Equal(money("12.00")), "the guest owes 12.00, tip included"))
	})
}

func (t *tour) takenBack(ctx context.Context, i *inn) {
	t.do(ctx, pms.System, "a tip is corrected, and the bill voided", func(ctx context.Context, note func(string)) (string, error) {
		before, _ := i.folio(room1)
		p, err := t.charge(ctx, roomBill(toRoom(room1, "11.00", "1.00")))
		if err != nil {
			return "", err
		}
		_, corrected, err := t.systems.PMS.CorrectTip(p.Account, 0, money("2.50"))
		if err != nil {
			return "", err
		}
		second, err := t.posting(ctx, corrected.Account)
		if err != nil {
			return "", err
		}
		between, _ := i.folio(room1)
		note("the guest owes " + between.Sub(before).StringFixed(2) + " for it")
		void, err := t.systems.PMS.Void(corrected.Account)
		if err != nil {
			return "", err
		}
		third, err := t.posting(ctx, void.Account)
		if err != nil {
			return "", err
		}
		after, _ := i.folio(room1)
		return fmt.Sprintf("%s, then %s, then %s", p.Account, second.Account, third.Account), check(
			should(second.State == testserver.PMSPosted && third.State == testserver.PMSPosted, "all of it is posted"),
			should(between.Sub(before).Equal(money("13.50")), "the corrected bill comes to 13.50, not %s", between.Sub(before)),
			should(after.Equal(before), "nothing is owed for a voided bill: %s", after.Sub(before)))
	})
}

func (t *tour) sharedBill(ctx context.Context, i *inn) {
	t.do(ctx, pms.System, "a bill is shared by two rooms and cash", func(ctx context.Context, _ func(string)) (string, error) {
		before, _ := i.folio(room1)
		p, err := t.charge(ctx, roomBill(
			toRoom(room1, "4.00", "0"), toRoom(room2, "5.00", "0.50"), testserver.PMSPayment{Method: testserver.CashMethod, Amount: money("2.00")}))
		if err != nil {
			return "", err
		}
		one, _ := i.folio(room1)
		two, _ := i.folio(room2)
		return fmt.Sprintf("%s to one room, %s to the other", one.Sub(before).StringFixed(2), two.StringFixed(2)), check(
			should(p.State == testserver.PMSPosted, "the bill is posted: %s", p.Message),
			should(one.Sub(before).Equal(money("4.00")) && two.Equal(money("5.50")), "each room owes its part"))
	})
}

func (t *tour) refusedRoom(ctx context.Context) {
	t.do(ctx, pms.System, "a guest who has left can't be charged, and the waiter reads why", func(ctx context.Context, _ func(string)) (string, error) {
		p, err := t.charge(ctx, roomBill(toRoom("007", "11.00", "0")))
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("%q", p.Message), check(
			should(p.State == testserver.PMSFailed, "the bill is not posted"),
			should(utf8.RuneCountInString(p.Message) == pms.MaxMessage, "the message is cut to what the point of sale shows"))
	})
}

func (t *tour) lateHotel(ctx context.Context, i *inn) {
	t.do(ctx, pms.System, "the hotel answers too late, and the waiter tries again", func(ctx context.Context, note func(string)) (string, error) {
		before, _ := i.folio(room2)
		i.beLate()
		p, err := t.charge(ctx, roomBill(toRoom(room2, "11.00", "0")))
		if err != nil {
			return "", err
		}
		note(fmt.Sprintf("the waiter reads %q", p.Message))
		failed := p.State == testserver.PMSFailed
		// Not documented is whether that has the same idempotency key: it need not.
		if err := t.systems.PMS.PostAgain(p.Account, true); err != nil {
			return "", err
		}
		if p, err = t.posting(ctx, p.Account); err != nil {
			return "", err
		}
		after, _ := i.folio(room2)
		return fmt.Sprintf("bill %s after %d deliveries: %s", p.Account, len(p.Attempts), p.State), check(
			should(failed, "the first try counts as failed"),
			should(p.State == testserver.PMSPosted, "the second counts: %s", p.Message),
			should(after.Sub(before).Equal(money("11.00")), "the guest owes it once: %s", after.Sub(before)))
	})
}
