package pairing

import (
	"context"

	"github.com/tillroute/tillroute"
)

// Mark replaces the payment's Mark, which is "" at first, by to if it is from, and returns the payment. A mark is up
// to 200 printable characters. It is for the register's side, to keep beside a payment what it has done about it; it
// is allowed whatever the payment's state is, and the router does not read it.
//
// A mark that is to already stays, and that is no error: if the error's outcome is Unknown, make the same call again
// to learn. Two callers of one call therefore both succeed; one that must know that it was the first puts something
// of its own into to. ErrNotFound if there is no such payment; a Conflict, which tells the mark, if it is neither
// from nor to; Invalid if from or to can't be a mark.
func (r *Router) Mark(ctx context.Context, id, from, to string) (Payment, error) {
	for _, mark := range []struct{ name, text string }{{"from", from}, {"to", to}} {
		if mark.text == "" {
			continue
		}
		if err := checkText(mark.name, mark.text); err != nil {
			return Payment{}, tillroute.Invalid(system, "Mark", "payment %q: %s", clip(id), err)
		}
	}
	p, err := r.store.MarkPayment(ctx, id, from, to)
	if err != nil {
		return Payment{}, err
	}
	r.hub.advanced(p.Terminal)
	return p, nil
}
