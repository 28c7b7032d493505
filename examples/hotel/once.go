package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute/internal/testserver"
)

// onceTime bounds all that happens with -once.
const onceTime = 5 * time.Minute

// once lets guests eat, and compares the folios with what the restaurant has posted.
func (h *hotel) once(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, onceTime)
	defer cancel()
	for _, scene := range []struct {
		name string
		play func(context.Context) error
	}{
		{"a waiter finds a guest, and charges the room", h.oneRoom},
		{"the same charge comes twice at the same time", h.twice},
		{"two rooms and cash on one bill", h.shared},
		{"a bill is voided", h.voided},
		{"a tip is corrected", h.tip},
		{"rooms that can't be charged", h.refused},
		{"the hotel posts, and answers too late", h.late},
		{"the hotel is started again, and a charge comes again", h.restarted},
		{"a bill is voided that was never posted", h.neverPosted},
	} {
		h.say("\n-- %s", scene.name)
		if err := scene.play(ctx); err != nil {
			return fmt.Errorf("%s: %w", scene.name, err)
		}
	}
	return h.compare(ctx)
}

// to is a payment to a room.
func to(reservation, amount, tip string) testserver.PMSPayment {
	return testserver.PMSPayment{
		Method: testserver.RoomMethod, ReservationID: reservation, Amount: decimal.RequireFromString(amount), Tip: decimal.RequireFromString(tip),
	}
}

// beer closes a bill over one beer, of 5.00, and returns what became of its posting.
func (h *hotel) beer(ctx context.Context, reservation, tip string) (testserver.PMSPosting, error) {
	return h.bill(ctx, testserver.PMSOrder{Items: []testserver.PMSItem{{SKU: "B01", Quantity: 1}}, Payments: []testserver.PMSPayment{to(reservation, "5.00", tip)}})
}

func (h *hotel) bill(ctx context.Context, order testserver.PMSOrder) (testserver.PMSPosting, error) {
	bill, err := h.world.PMS.CloseBill(order)
	if err != nil {
		return testserver.PMSPosting{}, err
	}
	return h.settled(ctx, bill.Account)
}

// settled waits until all that was posted has ended, and returns one of it.
func (h *hotel) settled(ctx context.Context, account string) (testserver.PMSPosting, error) {
	list, err := h.world.PMS.WaitPostings(ctx, len(h.world.PMS.Postings()))
	if err != nil {
		return testserver.PMSPosting{}, err
	}
	for _, p := range list {
		if p.Account == account {
			if p.State == testserver.PMSPosted {
				h.say("restaurant: %s %s is posted (deliveries: %d)", p.Kind, account, len(p.Attempts))
			} else {
				h.say("restaurant: %s %s is not posted: %q", p.Kind, account, p.Message)
			}
			return p, nil
		}
	}
	return testserver.PMSPosting{}, fmt.Errorf("bill %s was not posted", account)
}

// expect checks a posting, and how many lines the folio has that belong to its bill.
func (h *hotel) expect(ctx context.Context, p testserver.PMSPosting, state testserver.PMSState, lines int) error {
	rooms, err := h.desk.books.rooms(ctx)
	if err != nil {
		return err
	}
	n := 0
	for _, r := range rooms {
		for _, line := range r.Postings {
			if line.Bill == p.Account {
				n++
				h.say("hotel: room %s: %s %s, tip %s", r.Room, line.Bill, line.Amount.StringFixed(2), line.Gratuity.StringFixed(2))
			}
		}
	}
	if p.State != state || n != lines {
		return fmt.Errorf("the posting of bill %s is %s (%q) and has %d lines in the folios, and should be %s and have %d", p.Account, p.State, p.Message, n, state, lines)
	}
	return nil
}

func (h *hotel) oneRoom(ctx context.Context) error {
	found, err := h.world.PMS.Search(ctx, "mül")
	if err != nil {
		return err
	}
	if len(found) != 1 {
		return fmt.Errorf("%d guests were found, and one should have been", len(found))
	}
	h.say("waiter: finds %s in %s", found[0].ClientName, found[0].RoomDescription)
	p, err := h.beer(ctx, found[0].ReservationID, "0.50")
	if err != nil {
		return err
	}
	return h.expect(ctx, p, testserver.PMSPosted, 1)
}

func (h *hotel) twice(ctx context.Context) error {
	h.world.PMS.DuplicatePostings(1, true)
	p, err := h.beer(ctx, "R-102", "0")
	if err == nil && len(p.Attempts) != 2 { //nolint:mnd // twice.
		err = fmt.Errorf("it came %d times", len(p.Attempts))
	}
	if err != nil {
		return err
	}
	return h.expect(ctx, p, testserver.PMSPosted, 1)
}

func (h *hotel) shared(ctx context.Context) error {
	p, err := h.bill(ctx, testserver.PMSOrder{
		Items: []testserver.PMSItem{{SKU: "M12", Quantity: 2}},
		Payments: []testserver.PMSPayment{
			to("R-103", "18.90", "1.00"), to("R-104", "10.00", "0"), {Method: testserver.CashMethod, Amount: decimal.RequireFromString("8.90")},
		},
	})
	if err != nil {
		return err
	}
	return h.expect(ctx, p, testserver.PMSPosted, 2) //nolint:mnd // one for each room.
}

func (h *hotel) voided(ctx context.Context) error {
	p, err := h.beer(ctx, "R-101", "1.00")
	if err != nil {
		return err
	}
	if err := h.expect(ctx, p, testserver.PMSPosted, 1); err != nil {
		return err
	}
	void, err := h.world.PMS.Void(p.Account)
	if err != nil {
		return err
	}
	if p, err = h.settled(ctx, void.Account); err != nil {
		return err
	}
	return h.expect(ctx, p, testserver.PMSPosted, 1)
}

func (h *hotel) tip(ctx context.Context) error {
	p, err := h.beer(ctx, "R-101", "1.00")
	if err != nil {
		return err
	}
	reversal, corrected, err := h.world.PMS.CorrectTip(p.Account, 0, decimal.New(2, 0))
	if err != nil {
		return err
	}
	for _, account := range []string{reversal.Account, corrected.Account} {
		if p, err = h.settled(ctx, account); err == nil {
			err = h.expect(ctx, p, testserver.PMSPosted, 1)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (h *hotel) refused(ctx context.Context) error {
	for _, change := range [][2]string{{"block", "unblock"}, {"check-out", "check-in"}} {
		if err := h.desk.books.change(ctx, "R-103", change[0]); err != nil {
			return err
		}
		p, err := h.beer(ctx, "R-103", "0")
		if err == nil {
			err = h.expect(ctx, p, testserver.PMSFailed, 0)
		}
		if err = errors.Join(err, h.desk.books.change(ctx, "R-103", change[1])); err != nil {
			return err
		}
	}
	return nil
}

// late posts in the gap between the posting and the record of it, in which a process may also die.
func (h *hotel) late(ctx context.Context) error {
	if err := h.desk.set(late); err != nil {
		return err
	}
	p, err := h.beer(ctx, "R-102", "0")
	if err = errors.Join(err, h.desk.set(quick)); err != nil {
		return err
	}
	if err := h.expect(ctx, p, testserver.PMSFailed, 1); err != nil {
		return err
	}
	h.say("waiter: tries again")
	return h.tryAgain(ctx, p, false)
}

// tryAgain sends a posting again that must be in the folios once afterwards.
func (h *hotel) tryAgain(ctx context.Context, p testserver.PMSPosting, newKey bool) error {
	if err := h.world.PMS.PostAgain(p.Account, newKey); err != nil {
		return err
	}
	p, err := h.settled(ctx, p.Account)
	if err != nil {
		return err
	}
	return h.expect(ctx, p, testserver.PMSPosted, 1)
}

func (h *hotel) restarted(ctx context.Context) error {
	h.world.PMS.LoseAnswers(1)
	p, err := h.beer(ctx, "R-102", "0")
	if err != nil {
		return err
	}
	if err := h.expect(ctx, p, testserver.PMSFailed, 1); err != nil {
		return err
	}
	if err := h.again(ctx); err != nil {
		return err
	}
	if err := h.tryAgain(ctx, p, false); err != nil {
		return err
	}
	return h.tryAgain(ctx, p, true)
}

func (h *hotel) neverPosted(ctx context.Context) error {
	if err := h.desk.set(slow); err != nil {
		return err
	}
	p, err := h.beer(ctx, "R-102", "0")
	if err = errors.Join(err, h.desk.set(quick)); err != nil {
		return err
	}
	if err := h.expect(ctx, p, testserver.PMSFailed, 0); err != nil {
		return err
	}
	void, err := h.world.PMS.Void(p.Account)
	if err != nil {
		return err
	}
	if p, err = h.settled(ctx, void.Account); err != nil {
		return err
	}
	return h.expect(ctx, p, testserver.PMSFailed, 0)
}

// compare adds up both sides.
func (h *hotel) compare(ctx context.Context) error {
	rooms, err := h.desk.books.rooms(ctx)
	if err != nil {
		return err
	}
	posted := map[string]bool{}
	for _, p := range h.world.PMS.Postings() {
		posted[p.Account] = p.State == testserver.PMSPosted
	}
	owed, charged := decimal.Zero, decimal.Zero
	for _, r := range rooms {
		owed = owed.Add(r.Balance)
	}
	for _, bill := range h.world.PMS.Bills() {
		for _, payment := range bill.Payments {
			if posted[bill.Account] && payment.Method == testserver.RoomMethod {
				charged = charged.Add(payment.Amount).Add(payment.Tip)
			}
		}
	}
	if !owed.Equal(charged) {
		return fmt.Errorf("the guests owe %s, and the restaurant has posted %s", owed.StringFixed(2), charged.StringFixed(2))
	}
	for _, complaint := range h.world.Complaints() {
		return fmt.Errorf("the simulated systems complain: %s", complaint)
	}
	h.say("\nthe guests owe %s, which is what the restaurant has posted: each bill once", owed.StringFixed(2))
	return nil
}
