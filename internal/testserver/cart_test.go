package testserver

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// lunch is a cart of two things, one of which is weighed.
func lunch() Cart {
	return Cart{
		Lines: []Line{
			{Name: "Coffee", SKU: "20001", Quantity: amount("2"), UnitPrice: amount("5.75")},
			{Name: "Cheese", SKU: "20002", Quantity: amount("0.333"), UnitPrice: amount("46.00")},
		},
		CustomerID: "0800278f-358c-11e6-fcf3-9005a1e4b2b9",
		Discount:   json.RawMessage(`{"type":"PERCENT","value":"10.00000"}`),
	}
}

func TestACartIsInTheAnswerToDataAndInTheSale(t *testing.T) {
	r := newRig(t, Options{})
	sale, err := r.XSeries.NewSaleOf(RegisterMain, lunch())
	require.NoError(t, err)
	require.Equal(t, "26.82", sale.Total.String(), "2 × 5.75 and 15.318, each line rounded to cents")
	require.Equal(t, lunch().Lines, sale.Lines)
	require.Equal(t, lunch().CustomerID, sale.CustomerID)

	m, err := r.XSeries.OpenModalFor(sale.ID, sale.Total)
	require.NoError(t, err)
	text, err := m.Post(`{"step":"DATA"}`)
	require.NoError(t, err)
	got := parse[map[string]any](t, text)["register_sale"].(map[string]any)
	want := parse[map[string]any](t, fixture(t, "xseries_payments_data_response_docs_partial.json"))["register_sale"].(map[string]any)
	for key := range want {
		require.Contains(t, got, key)
	}
	require.Equal(t, want["customer_id"], got["customer_id"])
	require.Equal(t, map[string]any{"type": "PERCENT", "value": "10.00000"}, got["discount"])
	require.Equal(t, map[string]any{"total_tax": "3.49826", "total_price": "23.32174", "total_paid": "0.00", "total_to_pay": "26.82000"}, got["totals"])
	lines := got["line_items"].([]any)
	require.Len(t, lines, 2)
	cheese := lines[1].(map[string]any)
	require.Equal(t, []any{"Cheese", "20002", "0.333", "40.00000", "6.00000"},
		[]any{cheese["name"], cheese["sku"], cheese["quantity"], cheese["unit_price"], cheese["unit_tax"]})
	require.NotEqual(t, lines[0].(map[string]any)["product_id"], cheese["product_id"])

	_, err = m.Post(`{"step":"ACCEPT","transaction_id":"1"}`)
	require.NoError(t, err)
	old := parse[struct{ Data map[string]any }](t, r.rest(http.MethodGet, "/api/2.0/sales/"+sale.ID, "").body).Data
	dated := parse[struct{ Data map[string]any }](t, r.rest(http.MethodGet, "/api/2026-07/sales/"+sale.ID, "").body).Data
	for _, data := range []map[string]any{old, dated} {
		require.Len(t, data["line_items"], 2)
		require.Equal(t, sale.CustomerID, data["customer_id"])
	}
	require.InDelta(t, 23.32174, old["total_price"], 0)
	require.InDelta(t, 3.49826, old["total_tax"], 0)
	require.InDelta(t, 26.82, dated["totals"].(map[string]any)["price_incl_tax"], 0)
	require.InDelta(t, 0.333, old["line_items"].([]any)[1].(map[string]any)["quantity"], 0)
	require.InDelta(t, 0.333, dated["line_items"].([]any)[1].(map[string]any)["quantity"], 0)
}

func TestARefundOfACartIsNegative(t *testing.T) {
	sys := Start(t, Options{})
	sale, err := sys.XSeries.NewSaleOf(RegisterMain, Cart{Lines: []Line{
		{Name: "Coffee", SKU: "20001", Quantity: amount("-2"), UnitPrice: amount("5.75")},
	}})
	require.NoError(t, err)
	require.Equal(t, "-11.5", sale.Total.String())
	m, err := sys.XSeries.OpenModalFor(sale.ID, sale.Total)
	require.NoError(t, err)
	require.Equal(t, "-11.50", m.Query().Get("amount"))
	reply := ask(t, m)
	require.Equal(t, "-2", reply.RegisterSale.LineItems[0].Quantity)
	require.Equal(t, "5.00000", reply.RegisterSale.LineItems[0].UnitPrice)
	require.Equal(t, "-10.00000", reply.RegisterSale.Totals.Price)
	require.Empty(t, reply.RegisterSale.CustomerID)
	require.Nil(t, reply.RegisterSale.Discount)
}

func TestACartThatCannotBeSoldIsRefused(t *testing.T) {
	sys := Start(t, Options{})
	line := lunch().Lines[0]
	for text, cart := range map[string]Cart{
		"is empty":                  {},
		"has no name":               {Lines: []Line{{SKU: "1", Quantity: line.Quantity, UnitPrice: line.UnitPrice}}},
		"has the quantity 0":        {Lines: []Line{{Name: "x", UnitPrice: line.UnitPrice}}},
		"must not be negative":      {Lines: []Line{{Name: "x", Quantity: line.Quantity, UnitPrice: amount("-1")}}},
		"must be other than zero":   {Lines: []Line{line, {Name: "x", Quantity: amount("-2"), UnitPrice: line.UnitPrice}}},
		"must be a JSON object":     {Lines: []Line{line}, Discount: json.RawMessage(`"ten"`)},
		"must be a JSON object, no": {Lines: []Line{line}, Discount: json.RawMessage(`{`)},
	} {
		_, err := sys.XSeries.NewSaleOf(RegisterMain, cart)
		require.ErrorContains(t, err, text)
	}
	require.Empty(t, sys.XSeries.Sales())
}

func TestSimSellsACart(t *testing.T) {
	r := newRig(t, Options{})
	body := `{"register_id":"` + RegisterMain + `","customer_id":"c1","discount":{"a":1},"lines":[` +
		`{"name":"Coffee","sku":"20001","quantity":"2","unit_price":"5.75"},{"name":"Bun","quantity":1,"unit_price":3}]}`
	sale := simOK[Sale](r, "POST", "/xseries/sales", body)
	require.Equal(t, "14.5", sale.Total.String())
	require.Equal(t, "c1", sale.CustomerID)
	for text, body := range map[string]string{
		"give total":          `{"register_id":"` + RegisterMain + `"}`,
		"not both":            `{"register_id":"` + RegisterMain + `","total":"1","lines":[]}`,
		"go with lines":       `{"register_id":"` + RegisterMain + `","total":"1","customer_id":"c"}`,
		"the cart is empty":   `{"register_id":"` + RegisterMain + `","lines":[]}`,
		`unknown field \"x\"`: `{"x":1}`,
	} {
		a := r.sim("POST", "/xseries/sales", body)
		require.Equal(t, http.StatusBadRequest, a.status)
		require.Contains(t, a.body, text)
	}
}
