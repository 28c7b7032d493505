package paysera

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/tillroute/tillroute"
)

// round is a Merchant at work. It is used by one goroutine.
type round struct {
	*Merchant

	// waiting and open are the spots that were seen last, and opened is when the open ones were.
	waiting, open map[int64]Spot
	opened        time.Time
}

// run looks at everything once.
func (r *round) run(ctx context.Context) error {
	var err error
	if r.waiting, err = r.spots(ctx, SpotWaiting); err != nil {
		return err
	}
	if err := r.step.take(ctx); err != nil {
		return err
	}
	due := r.due
	r.due = false
	r.step.release()
	look := due || r.opened.IsZero() || time.Since(r.opened) >= r.config.OpenInterval
	if look {
		if r.open, err = r.spots(ctx, SpotOpen); err != nil {
			return err
		}
		r.opened = time.Now()
	}
	for _, spot := range r.waiting {
		// Before the bills are read: the till may make one.
		if err := r.ask(ctx, spot); err != nil {
			return err
		}
	}
	busy := map[int64]bool{}
	if err := r.advanceAll(ctx, look, func(b Bill, _ bool) bool {
		busy[b.SpotID] = true
		return true
	}); err != nil {
		return err
	}
	if look {
		for _, spot := range r.open {
			if busy[spot.ID] {
				continue
			}
			if err := r.ask(ctx, spot); err != nil {
				return err
			}
		}
	}
	return nil
}

// hinted looks at the transactions that callbacks were about.
func (r *round) hinted(ctx context.Context) error {
	return r.advanceAll(ctx, false, func(_ Bill, hinted bool) bool { return hinted })
}

// advanceAll takes the bills that are chosen as far as they get.
func (r *round) advanceAll(ctx context.Context, looked bool, chosen func(b Bill, hinted bool) bool) error {
	hints := r.takeHints()
	// What is left of them when this ends is for the next round.
	defer func() { r.putBack(hints) }()
	if err := r.step.take(ctx); err != nil {
		return err
	}
	bills, err := r.till.Bills(ctx)
	r.bills = nil
	for _, b := range bills {
		if chosen(b, b.TransactionKey != "" && hints[b.TransactionKey]) {
			r.bills = append(r.bills, b)
		}
	}
	r.step.release()
	for more := true; more && err == nil; {
		more, err = r.advanceNext(ctx, looked, hints)
	}
	if err == nil {
		hints = nil
	}
	return err
}

// advanceNext takes the next bill as far as it gets, if there is one.
func (r *round) advanceNext(ctx context.Context, looked bool, hints map[string]bool) (bool, error) {
	if err := r.step.take(ctx); err != nil {
		return false, err
	}
	defer r.step.release()
	if len(r.bills) == 0 {
		return false, nil
	}
	b := r.bills[0]
	r.bills = r.bills[1:]
	return true, r.advance(ctx, b, looked, hints[b.TransactionKey])
}

// spots lists the spots that have the status.
func (r *round) spots(ctx context.Context, status SpotStatus) (map[int64]Spot, error) {
	spots, seen := map[int64]Spot{}, map[int64]bool{}
	for offset := 0; ; {
		if err := r.budget.take(ctx); err != nil {
			return nil, err
		}
		page, err := r.client.Spots.List(ctx, status, ListOptions{Limit: MaxLimit, Offset: offset})
		if err != nil {
			return nil, err
		}
		before := len(seen)
		for _, spot := range page.Items {
			seen[spot.ID] = true
			// Whatever the filter is taken for by the server.
			if spot.Status == status {
				spots[spot.ID] = spot
			}
		}
		offset += len(page.Items)
		// A page with nothing new is the last one, whatever the server says: it may not know of offsets.
		if len(seen) == before || page.Total < 0 && len(page.Items) < MaxLimit || page.Total >= 0 && int64(offset) >= page.Total {
			return spots, nil
		}
	}
}

// ask asks the till about a spot, and closes it if it is to be closed.
func (r *round) ask(ctx context.Context, spot Spot) error {
	if err := r.step.take(ctx); err != nil {
		return err
	}
	defer r.step.release()
	log := r.log.With("spot", spot.ID)
	wish, err := r.till.Spot(ctx, spot)
	if err != nil {
		log.LogAttrs(ctx, slog.LevelWarn, "the till doesn't say what to do about a spot", slog.Any("error", err))
		return ctx.Err()
	}
	if wish != Close {
		return nil
	}
	for _, order := range spot.Orders {
		if order.Status == OrderReserved {
			log.LogAttrs(ctx, slog.LevelWarn, "a spot has an order that is reserved and no bill of the till's: it stays open",
				slog.Int64("order", order.ID))
			return nil
		}
	}
	if err := r.budget.take(ctx); err != nil {
		return err
	}
	if _, err := r.client.Spots.Close(ctx, spot.ID); err != nil {
		return r.later(ctx, log, "a spot could not be closed", err)
	}
	delete(r.open, spot.ID)
	log.LogAttrs(ctx, slog.LevelInfo, "spot closed", slog.String("identifier", spot.Identifier))
	return nil
}

// later logs what failed, if anything did, and is tried again. It returns an error only if the round has to end: the server takes nothing more.
func (r *round) later(ctx context.Context, log *slog.Logger, what string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err == nil {
		return nil
	}
	if errors.Is(err, tillroute.ErrRateLimited) || errors.Is(err, tillroute.ErrUnauthorized) {
		return err
	}
	log.LogAttrs(ctx, slog.LevelWarn, what, slog.Any("error", err))
	return nil
}

func (r *round) logOf(b Bill) *slog.Logger {
	return r.log.With("spot", b.SpotID, "bill", b.Reference, "transaction", b.TransactionKey)
}

// advance takes a bill as far as it gets. looked says that the spots were all seen in this round, now that the transaction is to
// be looked at whenever that was done last.
func (r *round) advance(ctx context.Context, b Bill, looked, now bool) error {
	b.Withdrawn = b.Withdrawn || r.withdrawn[b.Reference]
	switch {
	case b.Status != "":
		return nil
	case b.TransactionKey == "" && b.Withdrawn:
		return r.drop(ctx, b, "")
	case b.TransactionKey == "":
		return r.begin(ctx, b)
	case !b.Ordered && !b.Withdrawn:
		return r.resume(ctx, b)
	}
	if !now && !b.Withdrawn && time.Since(r.looked[b.Reference]) < r.config.FollowInterval {
		return nil
	}
	return r.follow(ctx, b, looked)
}

// begin makes the bill's transaction, and puts it before the guests once it is saved.
func (r *round) begin(ctx context.Context, b Bill) error {
	if n := utf8.RuneCountInString(b.Reference); n == 0 || n > maxReference {
		// Nobody could tell it from another, and withdrawing the one would withdraw the other.
		return r.drop(ctx, b, fmt.Sprintf("the bill's Reference has %d characters, and must have 1 to %d", n, maxReference))
	}
	if err := r.budget.take(ctx); err != nil {
		return err
	}
	t, err := r.client.Transactions.Create(ctx, TransactionRequest{Payments: []PaymentRequest{{
		Description: b.Description, Price: b.Amount, Currency: b.Currency,
		// For people who look at the vendor's side.
		Parameters: map[string]any{"reference": b.Reference},
	}}})
	switch {
	case errors.Is(err, tillroute.ErrInvalid) && !errors.Is(err, tillroute.ErrOutcomeUnknown):
		return r.drop(ctx, b, "the bill was refused: "+text(err))
	case err != nil:
		// If one was made all the same, nobody knows its key.
		return r.later(ctx, r.logOf(b), "a transaction could not be made", err)
	}
	b.TransactionKey = t.Key
	if err := r.till.Save(ctx, b); err != nil {
		r.logOf(b).LogAttrs(ctx, slog.LevelWarn, "a bill's transaction could not be saved, and is given up", slog.Any("error", err))
		if err := r.budget.take(ctx); err != nil {
			return err
		}
		_ = r.client.Transactions.Revoke(ctx, t.Key) // Nobody can pay it anyway.
		return ctx.Err()
	}
	return r.order(ctx, b)
}

// order puts a bill before the guests. Its transaction must be in no order.
func (r *round) order(ctx context.Context, b Bill) error {
	if err := r.budget.take(ctx); err != nil {
		return err
	}
	order, err := r.client.Orders.Create(ctx, b.SpotID, OrderRequest{TransactionKey: b.TransactionKey})
	switch {
	case err == nil:
		return r.ordered(ctx, b, order.ID)
	case errors.Is(err, tillroute.ErrOutcomeUnknown):
	case errors.Is(err, tillroute.ErrInvalid), errors.Is(err, tillroute.ErrNotFound), errors.Is(err, tillroute.ErrConflict):
		return r.drop(ctx, b, "the bill could not be put before the guests: "+text(err))
	}
	return r.later(ctx, r.logOf(b), "a bill could not be put before the guests, or it isn't known whether it was", err)
}

func (r *round) ordered(ctx context.Context, b Bill, orderID int64) error {
	b.Ordered, b.OrderID = true, orderID
	return r.later(ctx, r.logOf(b), "a bill could not be saved", r.till.Save(ctx, b))
}

// resume finds out whether a bill, whose transaction was saved, is before the guests.
func (r *round) resume(ctx context.Context, b Bill) error {
	spot, err := r.spot(ctx, b.SpotID)
	if errors.Is(err, tillroute.ErrNotFound) {
		return r.drop(ctx, b, "the spot is gone")
	}
	if err != nil {
		return r.later(ctx, r.logOf(b), "a spot could not be looked at", err)
	}
	for _, order := range spot.Orders {
		if order.TransactionKey == b.TransactionKey {
			return r.ordered(ctx, b, order.ID)
		}
	}
	t, err := r.transaction(ctx, b)
	if err != nil {
		return r.later(ctx, r.logOf(b), "a transaction could not be looked at", err)
	}
	switch {
	case t.Status == StatusRevoked || t.Status == StatusDeleted:
		// It was given up for another, and the process died, or the till said that it wasn't saved when it was.
		b.TransactionKey = ""
		return r.later(ctx, r.logOf(b), "a bill could not be saved", r.till.Save(ctx, b))
	case t.Status != StatusNew:
		// Somebody has seen it: it was in an order.
		return r.ordered(ctx, b, 0)
	case spot.Status == SpotClosed:
		return r.drop(ctx, b, "the guests had left")
	case spot.Status == SpotWaiting, len(spot.Orders) > 0:
		return r.order(ctx, b)
	}
	// The server doesn't show the orders, so that nobody can say. This one is given up for another.
	if err := r.revoke(ctx, b); err != nil {
		return r.later(ctx, r.logOf(b), "a transaction could not be revoked", err)
	}
	if t, err = r.transaction(ctx, b); err != nil || !t.Status.Dead() {
		// Somebody was quicker, or it is looked at again.
		return r.later(ctx, r.logOf(b), "a transaction could not be looked at", err)
	}
	b.TransactionKey = ""
	return r.later(ctx, r.logOf(b), "a bill could not be saved", r.till.Save(ctx, b))
}

// follow looks at a bill's transaction and does what is to be done.
func (r *round) follow(ctx context.Context, b Bill, looked bool) error {
	t, err := r.transaction(ctx, b)
	if err != nil {
		delete(r.looked, b.Reference)
		if b.Withdrawn && errors.Is(err, tillroute.ErrNotFound) {
			return r.drop(ctx, b, "")
		}
		return r.later(ctx, r.logOf(b), "a transaction could not be looked at", err)
	}
	r.looked[b.Reference] = time.Now()
	switch {
	case t.Status == StatusConfirmed || t.Status.Dead():
		_, err := r.settle(ctx, b, t)
		return r.later(ctx, r.logOf(b), "a bill could not be saved", err)
	case b.Withdrawn:
		return r.drop(ctx, b, "")
	case t.Status == StatusReserved:
		return r.reserved(ctx, b, t)
	}
	gone, err := r.gone(ctx, b, looked)
	if err != nil || !gone {
		return err
	}
	return r.drop(ctx, b, "the guests have left")
}

// gone reports whether the guests that a bill was put before have left its spot.
func (r *round) gone(ctx context.Context, b Bill, looked bool) (bool, error) {
	_, again := r.waiting[b.SpotID]
	_, open := r.open[b.SpotID]
	if !again && (open || !looked) {
		return false, nil
	}
	// The lists may be older than the order.
	spot, err := r.spot(ctx, b.SpotID)
	if err != nil {
		return false, r.later(ctx, r.logOf(b), "a spot could not be looked at", err)
	}
	for _, order := range spot.Orders {
		if order.TransactionKey == b.TransactionKey {
			return false, nil
		}
	}
	// A spot with an order is open: if it waits, that is for other guests.
	return spot.Status == SpotClosed || spot.Status == SpotWaiting, nil
}

// reserved has the till decide, and does as it decides.
func (r *round) reserved(ctx context.Context, b Bill, t Transaction) error {
	log := r.logOf(b)
	total, currency, ok := t.Total()
	if !ok || len(t.Payments) != 1 || currency != b.Currency || !total.Equal(b.Amount) {
		log.LogAttrs(ctx, slog.LevelError, "a transaction doesn't come to its bill's amount, and is given back",
			slog.String("amount", b.Amount.String()), slog.String("reserved", total.String()))
		return r.drop(ctx, b, "the transaction doesn't come to the amount of the bill")
	}
	if b.Charge.IsZero() {
		decision, err := r.till.Reserved(ctx, b, t)
		if err != nil {
			delete(r.looked, b.Reference)
			log.LogAttrs(ctx, slog.LevelWarn, "the till doesn't say whether to take the money", slog.Any("error", err))
			return ctx.Err()
		}
		switch decision.kind {
		case take:
			b.Charge = b.Amount
		case takeLess:
			b.Charge = decision.amount
		case giveBack:
			return r.drop(ctx, b, "the till gave the money back")
		default:
			return nil
		}
		if !chargeable(b.Charge, b) {
			log.LogAttrs(ctx, slog.LevelError, "the till decided to take an amount that can't be", slog.String("amount", b.Charge.String()))
			return nil
		}
		// What may have been taken must be known before it is.
		if err := r.till.Save(ctx, b); err != nil {
			delete(r.looked, b.Reference)
			log.LogAttrs(ctx, slog.LevelWarn, "what to take could not be saved, nothing was taken", slog.Any("error", err))
			return ctx.Err()
		}
	}
	return r.confirm(ctx, b, t)
}

// confirm takes the money that was decided on.
func (r *round) confirm(ctx context.Context, b Bill, t Transaction) error {
	log := r.logOf(b)
	if before, ok := r.charged[b.TransactionKey]; ok && !before.Equal(b.Charge) {
		log.LogAttrs(ctx, slog.LevelError, "the till has forgotten what was taken: nothing else is",
			slog.String("taken", before.String()), slog.String("amount", b.Charge.String()))
		return nil
	}
	if !chargeable(b.Charge, b) {
		log.LogAttrs(ctx, slog.LevelError, "the till has kept another amount to take than it was given: nothing is taken",
			slog.String("amount", b.Charge.String()))
		return nil
	}
	var prices map[int64]Price
	if !b.Charge.Equal(b.Amount) {
		prices = map[int64]Price{t.Payments[0].ID: {b.Charge, b.Currency}}
	}
	if err := r.budget.take(ctx); err != nil {
		return err
	}
	r.charged[b.TransactionKey] = b.Charge
	// Nobody calls back about what we do ourselves: unless this ends the bill, the next round looks.
	delete(r.looked, b.Reference)
	confirmed, err := r.client.Transactions.Confirm(ctx, b.TransactionKey, prices)
	if err != nil {
		// Whatever became of it, the transaction will tell.
		return r.later(ctx, log, "a transaction was not confirmed, or it isn't known whether it was", err)
	}
	if confirmed.Key != b.TransactionKey || confirmed.Status != StatusConfirmed {
		return nil
	}
	_, err = r.settle(ctx, b, confirmed)
	return r.later(ctx, log, "a bill could not be saved", err)
}

// settle ends a bill as its transaction has.
func (r *round) settle(ctx context.Context, b Bill, t Transaction) (Bill, error) {
	if t.Status != StatusConfirmed {
		b.Status = BillUnpaid
		if b.Problem == "" {
			b.Problem = "the transaction is " + string(t.Status)
		}
		return r.end(ctx, b)
	}
	b.Status, b.Problem = BillPaid, ""
	total, currency, ok := t.Total()
	switch {
	case ok && currency == b.Currency:
		b.Paid = total
	case b.Charge.IsZero():
		b.Paid = b.Amount
	default:
		b.Paid = b.Charge
	}
	if !b.Charge.IsZero() && !b.Paid.Equal(b.Charge) {
		r.logOf(b).LogAttrs(ctx, slog.LevelError, "another amount was paid than was decided on",
			slog.String("paid", b.Paid.String()), slog.String("decided", b.Charge.String()))
	}
	return r.end(ctx, b)
}

// withdraw makes sure that a bill can no longer be paid, and ends it: as paid, if it was. What comes back with an error may be
// either.
func (r *round) withdraw(ctx context.Context, b Bill) (Bill, error) {
	if b.TransactionKey == "" {
		b.Status = BillUnpaid
		return r.end(ctx, b)
	}
	refusal := r.revoke(ctx, b)
	t, err := r.transaction(ctx, b)
	switch {
	case forgotten(err) && forgotten(refusal) && b.Charge.IsZero():
		b.Status = BillUnpaid
		return r.end(ctx, b)
	case err != nil:
		return b, err
	case t.Status != StatusConfirmed && !t.Status.Dead():
		return b, &tillroute.Error{
			System: System, Operation: "Merchant.Withdraw", Kind: tillroute.KindConflict, Err: refusal,
			Message: fmt.Sprintf("the transaction of bill %.40q is %s and was not revoked", b.Reference, t.Status),
		}
	}
	if t.Status.Dead() && b.Withdrawn && b.OrderID != 0 {
		// It can't be paid any more. That it is also out of sight is a courtesy.
		if err := r.budget.take(ctx); err != nil {
			return b, err
		}
		if _, err := r.client.Orders.Remove(ctx, b.OrderID); err != nil {
			r.logOf(b).LogAttrs(ctx, slog.LevelInfo, "an order was not removed", slog.Any("error", err))
		}
	}
	return r.settle(ctx, b, t)
}

// forgotten reports whether the server itself said that there is no such transaction: it deletes what nobody has seen for a month.
// What stands between us and the server may answer 404 for anything.
func forgotten(err error) bool {
	e, ok := errors.AsType[*tillroute.Error](err)
	return ok && e.Code == errorCodeNotFound
}

// drop is withdraw for the round, which tries again.
func (r *round) drop(ctx context.Context, b Bill, problem string) error {
	if problem != "" {
		b.Problem = problem
	}
	delete(r.looked, b.Reference)
	_, err := r.withdraw(ctx, b)
	return r.later(ctx, r.logOf(b), "a bill could not be withdrawn", err)
}

// end writes down how a bill has ended.
func (r *round) end(ctx context.Context, b Bill) (Bill, error) {
	if err := r.till.Save(ctx, b); err != nil {
		return b, err
	}
	r.due = true
	// The round may have read it before.
	r.bills = slices.DeleteFunc(r.bills, func(old Bill) bool { return old.Reference == b.Reference })
	delete(r.withdrawn, b.Reference)
	delete(r.charged, b.TransactionKey)
	delete(r.looked, b.Reference)
	r.logOf(b).LogAttrs(ctx, slog.LevelInfo, "bill ended", slog.String("status", string(b.Status)),
		slog.String("paid", b.Paid.String()), slog.String("problem", b.Problem))
	return b, nil
}

// current returns the bill as the till has it. One that the till doesn't have is as good as its transaction: that tells.
func (r *round) current(ctx context.Context, b Bill) (Bill, error) {
	bills, err := r.till.Bills(ctx)
	if err != nil {
		return b, err
	}
	for _, kept := range bills {
		if kept.Reference == b.Reference {
			return kept, nil
		}
	}
	if b.TransactionKey == "" {
		return b, &tillroute.Error{
			System: System, Operation: "Merchant.Withdraw", Kind: tillroute.KindConflict, Outcome: tillroute.Failed,
			Message: fmt.Sprintf("the till has no open bill %.40q: look at how it ended", b.Reference),
		}
	}
	return b, nil
}

func (r *round) revoke(ctx context.Context, b Bill) error {
	if err := r.budget.take(ctx); err != nil {
		return err
	}
	return r.client.Transactions.Revoke(ctx, b.TransactionKey)
}

// transaction returns the bill's transaction as it is now.
func (r *round) transaction(ctx context.Context, b Bill) (Transaction, error) {
	if err := r.budget.take(ctx); err != nil {
		return Transaction{}, err
	}
	t, err := r.client.Transactions.Get(ctx, b.TransactionKey)
	if err == nil && t.Key != b.TransactionKey {
		return Transaction{}, notUnderstood(transactionsGet.declare(), "another transaction came than was asked for")
	}
	return t, err
}

func (r *round) spot(ctx context.Context, id int64) (Spot, error) {
	if err := r.budget.take(ctx); err != nil {
		return Spot{}, err
	}
	return r.client.Spots.Get(ctx, id)
}

// text is what an error says, for people who know what was tried.
func text(err error) string {
	if e, ok := errors.AsType[*tillroute.Error](err); ok && e.Message != "" {
		return e.Message
	}
	return err.Error()
}
