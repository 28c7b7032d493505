package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/testserver"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/smartconnect"
	"github.com/tillroute/tillroute/xseries"
)

// scene is one payment at the till, as the simulated systems saw it.
type scene struct {
	payment pairing.Payment
	// charges are those that the terminals recorded during the scene.
	charges []testserver.Charge
	sale    testserver.Sale
	modal   testserver.ModalState
}

// atTheTill opens the payment window at a register, has the amount paid, and returns what everybody recorded.
func (t *tour) atTheTill(ctx context.Context, registerID, amount string, note func(string)) (scene, error) {
	before := len(t.systems.SmartConnect.Charges())
	modal, err := t.systems.XSeries.OpenModal(registerID, money(amount))
	if err != nil {
		return scene{}, err
	}
	query, err := xseries.ParseQuery(modal.Query(), xseries.Origins{})
	if err != nil {
		return scene{}, err
	}
	paid, err := t.shop.takePayment(ctx, modal, query.DomainPrefix(), 1, note)
	sale, _ := t.systems.XSeries.Sale(modal.SaleID())
	return scene{
		payment: paid,
		charges: t.systems.SmartConnect.Charges()[before:],
		sale:    sale,
		modal:   modal.State(),
	}, err
}

func (s scene) String() string {
	text := fmt.Sprintf("%s %s %s: %s", s.payment.Kind, s.payment.Amount.StringFixed(2), s.payment.Currency, s.payment.Outcome())
	if charged := s.payment.Result.Amount; !charged.IsZero() && !charged.Equal(s.payment.Amount) {
		text += ", charged " + charged.StringFixed(2)
	}
	if s.payment.Result.TransactionID != "" {
		text += ", transaction " + s.payment.Result.TransactionID
	}
	if s.payment.Result.Reason != "" {
		text += " (" + s.payment.Result.Reason + ")"
	}
	return text
}

// paidOnce claims that the terminal charged those cents once, and that the sale has that payment.
func (s scene) paidOnce(cents int64, kind string) []claim {
	claims := []claim{
		should(s.payment.Outcome() == tillroute.Approved, "the payment is approved: %s", s),
		should(len(s.charges) == 1, "the terminal charged once, not %d times", len(s.charges)),
		should(len(s.sale.Payments) == 1, "the sale has one payment, not %d", len(s.sale.Payments)),
		should(s.sale.Closed, "the sale is closed"),
		should(s.modal.Ended == "accepted", "the window was told ACCEPT, not %q", s.modal.Ended),
	}
	if len(s.charges) == 1 && len(s.sale.Payments) == 1 {
		claims = append(claims,
			should(s.charges[0].Cents == cents, "%d cents were charged, not %d", cents, s.charges[0].Cents),
			should(s.charges[0].Type == kind, "it was a %s, not a %s", kind, s.charges[0].Type),
			should(s.sale.Payments[0].TransactionID == s.charges[0].TransactionID, "the sale names the terminal's transaction"),
			should(s.sale.Payments[0].Receipt != "", "the sale has the receipt"),
		)
	}
	return claims
}

// notPaid claims that no money moved, and that the cashier is back at the pay screen.
func (s scene) notPaid(outcome tillroute.Outcome) []claim {
	return []claim{
		should(s.payment.Outcome() == outcome, "the payment is %s: %s", outcome, s),
		should(len(s.charges) == 0, "nothing was charged"),
		should(len(s.sale.Payments) == 0, "the sale has no payment"),
		should(s.modal.Ended == "declined", "the window was told DECLINE, not %q", s.modal.Ended),
	}
}

const (
	purchase = "Card.Purchase"
	refund   = "Card.Refund"
	// soon is how long the people at the simulated terminals take.
	soon = 100 * time.Millisecond
)

func (t *tour) pay(ctx context.Context) {
	a, b := t.systems.SmartConnect.Device(terminalA), t.systems.SmartConnect.Device(terminalB)
	b.SetAuto(testserver.AutoApprove, soon)

	one := func(name, amount string, prepare func(), claims func(scene) []claim) {
		t.do(ctx, xseries.System, name, func(ctx context.Context, note func(string)) (string, error) {
			prepare()
			seen, err := t.atTheTill(ctx, testserver.RegisterMain, amount, note)
			if err != nil {
				return "", err
			}
			return seen.String(), check(claims(seen)...)
		})
	}
	one("a payment is approved", "8.00",
		func() { a.SetAuto(testserver.AutoApprove, soon) },
		func(s scene) []claim { return s.paidOnce(800, purchase) })
	one("a payment is declined", "19.99",
		func() { a.SetAuto(testserver.AutoDecline, soon) },
		func(s scene) []claim { return s.notPaid(tillroute.Declined) })
	one("a payment is cancelled at the terminal", "4.35",
		func() { a.SetAuto(testserver.AutoCancel, soon) },
		func(s scene) []claim { return s.notPaid(tillroute.Cancelled) })
	one("a refund, which is a negative amount", "-8.00",
		func() { a.SetAuto(testserver.AutoApprove, soon) },
		func(s scene) []claim { return s.paidOnce(800, refund) })
	one("a terminal adds a surcharge and a tip", "5.00",
		func() { a.SetExtras(15, 100) },
		func(s scene) []claim {
			a.SetExtras(0, 0)
			return append(s.paidOnce(615, purchase),
				should(s.payment.Result.Amount.Equal(money("6.15")), "the amount is recorded as charged"))
		})
	one("a terminal is offline", "3.00",
		a.Unplug,
		func(s scene) []claim {
			a.Plug()
			return s.notPaid(tillroute.Failed)
		})
	one("the terminal charged and the answer was lost", "20.06",
		func() {
			// The card is charged before the payment can be asked about: each answer comes after the charge, whatever the
			// pace of the machine.
			a.SetAuto(testserver.AutoApprove, 0)
			for nth := 1; nth <= 2; nth++ {
				t.systems.Fault(testserver.On("smartconnect", "GET", "/pos/transaction/*").Nth(nth), testserver.LoseReply())
			}
		},
		func(s scene) []claim {
			a.SetAuto(testserver.AutoApprove, soon)
			return append(s.paidOnce(2006, purchase),
				should(len(t.systems.UnusedFaults()) == 0, "the answers were really lost"),
				should(t.lostAfter(s.charges), "an answer was lost after the card had been charged"))
		})

	t.twoAtOnce(ctx)
	t.threeInOrder(ctx)
	t.nobodyKnows(ctx)
}

// lostAfter reports whether an answer to a poll was lost after the charge.
func (t *tour) lostAfter(charges []testserver.Charge) bool {
	for _, poll := range t.systems.Requests("smartconnect", "GET", "/pos/transaction/*") {
		if len(charges) == 1 && poll.Fault != "" && poll.Time.After(charges[0].Time) {
			return true
		}
	}
	return false
}

func (t *tour) twoAtOnce(ctx context.Context) {
	t.do(ctx, "pairing", "two registers pay at once on two terminals", func(ctx context.Context, note func(string)) (string, error) {
		before := len(t.systems.SmartConnect.Charges())
		var group sync.WaitGroup
		seen, errs := make([]scene, 2), make([]error, 2)
		for i, registerID := range []string{testserver.RegisterMain, testserver.RegisterSecond} {
			group.Go(func() {
				seen[i], errs[i] = t.atTheTill(ctx, registerID, fmt.Sprintf("1%d.00", i), note)
			})
		}
		group.Wait()
		if err := errors.Join(errs...); err != nil {
			return "", err
		}
		charges := t.systems.SmartConnect.Charges()[before:]
		cents := map[string]int64{}
		for _, c := range charges {
			cents[c.Device] += c.Cents
		}
		return seen[0].String() + "; " + seen[1].String(), check(
			should(len(charges) == 2, "two cards were charged, not %d", len(charges)),
			should(cents[terminalA] == 1000 && cents[terminalB] == 1100, "each on its own terminal: %v", cents),
			should(seen[0].sale.Closed && seen[1].sale.Closed, "both sales are paid"),
		)
	})
}

func (t *tour) threeInOrder(ctx context.Context) {
	t.do(ctx, "pairing", "three registers queue at one terminal", func(ctx context.Context, note func(string)) (string, error) {
		registers := []string{testserver.RegisterMain, testserver.RegisterThird, testserver.RegisterSydney}
		for _, id := range registers[1:] {
			code, err := t.systems.SmartConnect.Device(terminalA).ShowCode()
			if err != nil {
				return "", err
			}
			if _, err := t.pairRegister(ctx, id, code); err != nil {
				return "", err
			}
		}
		before := len(t.systems.SmartConnect.Charges())
		overlaps := len(t.systems.SmartConnect.Overlaps())
		accepted, err := t.accepted(ctx)
		if err != nil {
			return "", err
		}
		var group sync.WaitGroup
		seen, errs := make([]scene, len(registers)), make([]error, len(registers))
		for i, id := range registers {
			group.Go(func() { seen[i], errs[i] = t.atTheTill(ctx, id, fmt.Sprintf("2%d.00", i), note) })
			if err := t.waitAccepted(ctx, accepted+i+1); err != nil {
				return "", err
			}
		}
		group.Wait()
		if err := errors.Join(errs...); err != nil {
			return "", err
		}
		var cents []int64
		for _, c := range t.systems.SmartConnect.Charges()[before:] {
			cents = append(cents, c.Cents)
		}
		return fmt.Sprintf("terminal %s charged %v cents, in this order", terminalA, cents), check(
			should(slices.Equal(cents, []int64{2000, 2100, 2200}), "they were served in order, each once: %v", cents),
			should(len(t.systems.SmartConnect.Overlaps()) == overlaps, "one at a time"),
		)
	})
}

// accepted returns how many payments were accepted so far.
func (t *tour) accepted(ctx context.Context) (int, error) {
	payments, err := t.shop.router.Payments(ctx, pairing.Filter{}, 1000)
	return len(payments), err
}

// waitAccepted waits until n payments were accepted, so that the order of several is certain.
func (t *tour) waitAccepted(ctx context.Context, n int) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		if have, err := t.accepted(ctx); err != nil || have >= n {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (t *tour) nobodyKnows(ctx context.Context) {
	t.do(ctx, "pairing", "a payment that nobody can vouch for waits for a person", func(ctx context.Context, note func(string)) (string, error) {
		t.systems.Fault(testserver.On("smartconnect", "POST", "/POS/Transaction"), testserver.LoseReply())
		seen, err := t.atTheTill(ctx, testserver.RegisterMain, "42.00", note)
		if !errors.Is(err, tillroute.ErrOutcomeUnknown) {
			return "", fmt.Errorf("not so: the outcome is unknown: %w", err)
		}
		if err := check(
			should(seen.payment.State == pairing.Parked, "the payment waits for a person"),
			should(seen.modal.Ended == "" && !seen.modal.Closable, "the window stays open, and can't be closed"),
		); err != nil {
			return "", err
		}
		// The operator looks at the terminal, finds the charge, and says so.
		charges, err := t.systems.SmartConnect.WaitCharges(ctx, t.chargesBefore(seen)+1)
		if err != nil {
			return "", err
		}
		last := charges[len(charges)-1]
		resolved, err := t.shop.router.Resolve(ctx, seen.payment.ID, pairing.Resolution{
			Outcome:       tillroute.Approved,
			TransactionID: last.TransactionID,
			By:            "the operator",
			Reason:        "the terminal's journal shows it",
		})
		if err != nil {
			return "", err
		}
		again, err := t.shop.router.Wait(ctx, seen.payment.ID)
		if err != nil {
			return "", err
		}
		mine := 0
		for _, c := range t.systems.SmartConnect.Charges() {
			if c.Cents == 4200 {
				mine++
			}
		}
		return fmt.Sprintf("%s; then resolved by %s: %s", seen.payment.Result.Reason, resolved.ResolvedBy, again.Outcome()), check(
			should(again.Outcome() == tillroute.Approved, "the payment is approved now"),
			should(mine == 1, "the card was charged once, not %d times", mine),
		)
	})
}

func (t *tour) chargesBefore(s scene) int {
	return len(t.systems.SmartConnect.Charges()) - len(s.charges)
}

// audit compares all books at the end.
func (t *tour) audit(ctx context.Context) {
	t.do(ctx, smartconnect.Provider, "the books agree at the end", func(ctx context.Context, _ func(string)) (string, error) {
		payments, err := t.shop.router.Payments(ctx, pairing.Filter{}, 1000)
		if err != nil {
			return "", err
		}
		var claims []claim
		ours := map[string]int64{}
		payments = append(payments, t.elsewhere...)
		for _, p := range payments {
			claims = append(claims, should(p.State == pairing.Done, "payment %s is done, not %s", p.ID, p.State))
			if p.Outcome() != tillroute.Approved {
				continue
			}
			cents, err := tillroute.ToMinor(p.Result.Amount, p.Currency)
			if err != nil {
				return "", err
			}
			ours[p.Result.TransactionID] = cents
		}
		charges := t.systems.SmartConnect.Charges()
		claims = append(claims, should(len(charges) == len(ours), "as many charges (%d) as approved payments (%d)", len(charges), len(ours)))
		for _, c := range charges {
			claims = append(claims, should(ours[c.TransactionID] == c.Cents, "transaction %s of %d cents is ours", c.TransactionID, c.Cents))
		}
		for _, complaint := range t.systems.Complaints() {
			claims = append(claims, should(false, "no complaint of the simulated systems: %s", complaint))
		}
		pairings, err := t.shop.router.Pairings(ctx, pairing.Register{}, 1000)
		if err != nil {
			return "", err
		}
		t.watch.see(payments, pairings)
		for _, o := range t.systems.SmartConnect.Overlaps() {
			claims = append(claims, should(false, "no two payments on one terminal: %s at %s", o.Device, o.Time))
		}
		return fmt.Sprintf("%d payments, %d charges on the terminals, none twice", len(payments), len(charges)), check(claims...)
	})
}
