package gateway

import (
	"context"
	"errors"
	"strconv"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/xseries"
)

// Reconcile compares a sale, as the store has it now, with the payments that were taken for it on the Pay page. It writes down
// which of the approved ones the sale has, and returns those that it doesn't have: the sell screen may still have to send them, or
// an ACCEPT was lost. One that is missing for long is for a person to look at. Payments that somebody has said are settled are left
// alone. An error comes with those that were found before it; call it again.
//
// Call it with what [xseries.SalesService.Changes] yields, or when a webhook says that a sale was changed. The transaction ID is
// where the vendor puts it very likely, but not documented: see [xseries.SalePayment].
func (h *Handler) Reconcile(ctx context.Context, domainPrefix string, sale xseries.Sale) ([]pairing.Payment, error) {
	if sale.ID == "" {
		return nil, tillroute.Invalid(xseries.System, "gateway.Reconcile", "the sale has no ID")
	}
	ids := chain(domainPrefix, "", sale.ID)
	var missing []pairing.Payment
	for n := 1; ; n++ {
		p, err := h.config.Router.Payment(ctx, ids+strconv.Itoa(n))
		if errors.Is(err, tillroute.ErrNotFound) {
			return missing, nil
		}
		if err != nil {
			return missing, err
		}
		if p.Outcome() != tillroute.Approved || settled(p.Mark) {
			continue
		}
		if !recorded(sale, p) {
			missing = append(missing, p)
			continue
		}
		// A page may be writing at the same time. Then the next time is soon enough.
		if _, err := h.config.Router.Mark(ctx, p.ID, p.Mark, recordedByStore); err != nil && !errors.Is(err, tillroute.ErrConflict) {
			return missing, err
		}
	}
}

// recorded reports whether the sale has the payment, for what it pays of the sale.
func recorded(sale xseries.Sale, p pairing.Payment) bool {
	there, ok := sale.PaymentByTransaction(acceptedAs(p))
	amount := p.Amount
	if p.Kind == pairing.Refund {
		amount = amount.Neg()
	}
	// What was approved for a part is recorded as that part.
	part := base(p)
	if p.Kind == pairing.Refund {
		part = part.Neg()
	}
	return ok && (there.Amount.Equal(amount) || there.Amount.Equal(part))
}
