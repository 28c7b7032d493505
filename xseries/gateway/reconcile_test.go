package gateway

import (
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/xseries"
)

// soldWith is a sale as the store has it, with payments of these transaction IDs and amounts.
func soldWith(payments map[string]string) xseries.Sale {
	sale := xseries.Sale{ID: "sale"}
	for id, of := range payments {
		sale.Payments = append(sale.Payments, xseries.SalePayment{ID: "payment of " + id, TransactionID: id, Amount: amount(of)})
	}
	return sale
}

func TestReconcile(t *testing.T) {
	b := newBench(t)
	p := b.purchase()
	missing, err := b.Reconcile(t.Context(), benchStore, soldWith(nil))
	require.NoError(t, err)
	require.Empty(t, missing, "nothing is approved yet")

	b.approve(p, "10")
	for name, sale := range map[string]xseries.Sale{
		"nothing there":  soldWith(nil),
		"another":        soldWith(map[string]string{"t-other": "10"}),
		"another amount": soldWith(map[string]string{"t-" + p.payment: "9"}),
		"a refund of it": soldWith(map[string]string{"t-" + p.payment: "-10"}),
		"a deleted one":  {ID: "sale", Payments: []xseries.SalePayment{{TransactionID: "t-" + p.payment, Amount: amount("10"), DeletedAt: time.Now()}}},
		"without a name": soldWith(map[string]string{"": "10"}),
	} {
		missing, err = b.Reconcile(t.Context(), benchStore, sale)
		require.NoError(t, err, name)
		require.Len(t, missing, 1, name)
		require.Equal(t, p.payment, missing[0].ID)
	}

	missing, err = b.Reconcile(t.Context(), benchStore, soldWith(map[string]string{"t-" + p.payment: "10.00"}))
	require.NoError(t, err)
	require.Empty(t, missing)
	got, err := b.router.Payment(t.Context(), p.payment)
	require.NoError(t, err)
	require.Equal(t, recordedByStore, got.Mark)

	// The store has it: the next one of the same amount is begun without a question, though no page said so.
	next := b.open("sale", pairing.Purchase, amount("10"), decimal.Zero)
	require.Contains(t, b.start(next, action{}).Title, "the till's terminal")
	require.NotEqual(t, p.payment, next.payment)
	b.end(next.payment, pairing.Result{Outcome: tillroute.Declined})
	missing, err = b.Reconcile(t.Context(), benchStore, soldWith(nil))
	require.NoError(t, err)
	require.Empty(t, missing, "what is settled, and what wasn't approved, is left alone")
}

func TestReconcileARefundAndAPart(t *testing.T) {
	b := newBench(t)
	refund := b.open("sale", pairing.Refund, amount("10"), decimal.Zero)
	b.start(refund, action{})
	b.approve(refund, "10")
	missing, err := b.Reconcile(t.Context(), benchStore, soldWith(map[string]string{"t-" + refund.payment: "10"}))
	require.NoError(t, err)
	require.Len(t, missing, 1)
	missing, err = b.Reconcile(t.Context(), benchStore, soldWith(map[string]string{"t-" + refund.payment: "-10"}))
	require.NoError(t, err)
	require.Empty(t, missing)

	part := b.open("sale", pairing.Purchase, amount("10"), decimal.Zero)
	b.start(part, action{})
	b.approve(part, "8")
	missing, err = b.Reconcile(t.Context(), benchStore, soldWith(map[string]string{"t-" + part.payment: "8"}))
	require.NoError(t, err)
	require.Empty(t, missing)
}

func TestReconcileNeedsASale(t *testing.T) {
	_, err := newBench(t).Reconcile(t.Context(), benchStore, xseries.Sale{})
	require.ErrorIs(t, err, tillroute.ErrInvalid)
}
