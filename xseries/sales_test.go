package xseries_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/xseries"
)

// sale20 and saleDated are the same sale in both forms. They are made from the vendor's schemas.
const sale20 = `{"id":"s1","outlet_id":"o1","register_id":"r1","user_id":"u1","customer_id":"c1","invoice_number":"MR-1050-NZ","receipt_number":"MR-1050-NZ",
	"source":"USER","source_id":"order-7","status":"CLOSED","note":"","short_code":"wy6cic","return_for":null,"total_price":12.91304,"total_tax":1.93696,
	"created_at":"2026-01-02T03:04:05+00:00","updated_at":"2026-01-02T03:04:06+00:00","sale_date":"2026-01-02T03:04:04+00:00","version":6220894162,
	"line_items":[{"id":"l1","quantity":1}],
	"payments":[
		{"id":"p1","register_id":"r1","outlet_id":"o1","retailer_payment_type_id":"t1","payment_type_id":"3","name":"Credit Card","amount":4.85,
		 "payment_date":"2026-01-02T03:04:03+00:00","source_id":"tx-1","deleted_at":null,"surcharge":{"rule":"card","amount":0.1},
		 "external_attributes":[{"source":"gateway","transaction_id":"tx-1-ext","card_last_four_digits":"4242"}]},
		{"id":"p2","register_id":"r1","outlet_id":"o1","retailer_payment_type_id":"t2","name":"Cash","amount":"10.00",
		 "payment_date":"2026-01-02T03:04:03+00:00","source_id":null,"external_attributes":[]}],
	"adjustments":[{"name":"Tip","type":"TIP","value":"1.50"},{"name":"Fee","adjustment_type":"NON_CASH_FEE","value":0.2}]}`

const saleDated = `{"id":"s1","customer_id":"c1","invoice_number":"MR-1050-NZ","receipt_number":"MR-1050-NZ","state":"closed","note":"","short_code":"wy6cic",
	"source":{"id":"order-7","type":"USER","outlet_id":"o1","register_id":"r1","author":{"id":"u1"}},
	"totals":{"price":12.91304,"tax":1.93696,"price_incl_tax":14.85,"loyalty":0,"surcharge":0},"return":{"is_return":false,"return_sale_ids":[]},
	"created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:06Z","date":"2026-01-02T03:04:04Z","_metadata":{"version":6220894162},
	"line_items":[{"id":"l1","quantity":1}],
	"payments":[
		{"id":"p1","amount":4.85,"date":"2026-01-02T03:04:03Z","type":{"config_id":"t1","id":"3","name":"Credit Card"},
		 "source":{"id":"tx-1","outlet_id":"o1","register_id":"r1"},"surcharge":{"rule":"card","amount":0.1},
		 "external_attributes":[{"source":"gateway","transaction_id":"tx-1-ext","card_last_four_digits":"4242"}],
		 "external_applications":[],"_metadata":{"register_open_sequence_id":"q"}},
		{"id":"p2","amount":10,"date":"2026-01-02T03:04:03Z","type":{"config_id":"t2","id":"1","name":"Cash"},
		 "source":{"id":null,"outlet_id":"o1","register_id":"r1"},"external_attributes":[]}],
	"adjustments":[{"name":"Tip","adjustment_type":"TIP","total":1.50},{"name":"Fee","adjustment_type":"NON_CASH_FEE","total":0.2}]}`

func readSale(t *testing.T, text string) xseries.Sale {
	t.Helper()
	var sale xseries.Sale
	require.NoError(t, json.Unmarshal([]byte(text), &sale))
	return sale
}

func TestBothFormsOfASaleAreOne(t *testing.T) {
	s := newServer(t, answer(http.StatusOK, `{"data":`+sale20+`}`), answer(http.StatusOK, `{"data":`+saleDated+`}`))
	old, err := s.client(t, func(c *xseries.Config) { c.APIVersion = "2.0" }).Sales.Get(t.Context(), "s1")
	require.NoError(t, err)
	dated, err := s.client(t).Sales.Get(t.Context(), "s1")
	require.NoError(t, err)
	require.Equal(t, "/base/api/2.0/sales/s1", s.got()[0].path)
	require.Equal(t, "/base/api/2026-07/sales/s1", s.got()[1].path)
	require.Equal(t, xseries.StatusClosed, old.Status)
	require.Equal(t, xseries.SaleClosed, dated.State)
	require.JSONEq(t, sale20, string(old.Raw))
	require.JSONEq(t, saleDated, string(dated.Raw))
	for i, sale := range []xseries.Sale{old, dated} {
		for got, want := range map[string]string{
			sale.TotalPrice.String(): "12.91304", sale.TotalTax.String(): "1.93696", sale.Total.StringFixed(2): "14.85",
			sale.Payments[0].Amount.String(): "4.85", sale.Payments[1].Amount.StringFixed(2): "10.00", sale.Payments[0].Surcharge.String(): "0.1",
			sale.Adjustments[0].Total.String(): "1.5", sale.Adjustments[1].Total.String(): "0.2",
		} {
			require.Equal(t, want, got, i)
		}
	}
	// What is left is the same to the letter.
	for _, sale := range []*xseries.Sale{&old, &dated} {
		sale.State, sale.Status, sale.Raw = "", "", nil
		sale.TotalPrice, sale.TotalTax, sale.Total = amount("0"), amount("0"), amount("0")
		for i := range sale.Payments {
			sale.Payments[i].Amount, sale.Payments[i].Surcharge = amount("0"), amount("0")
		}
		for i := range sale.Adjustments {
			sale.Adjustments[i].Total = amount("0")
		}
	}
	require.Equal(t, old, dated)
	zero, at := amount("0"), time.Date(2026, 1, 2, 3, 4, 3, 0, time.UTC)
	require.Equal(t, xseries.Sale{
		ID: "s1", OutletID: "o1", RegisterID: "r1", UserID: "u1", CustomerID: "c1", Source: "USER", SourceID: "order-7",
		InvoiceNumber: "MR-1050-NZ", ReceiptNumber: "MR-1050-NZ", ShortCode: "wy6cic", TotalPrice: zero, TotalTax: zero, Total: zero,
		Payments: []xseries.SalePayment{
			{
				ID: "p1", OutletID: "o1", RegisterID: "r1", PaymentTypeID: "t1", Name: "Credit Card", Amount: zero, TransactionID: "tx-1",
				Attributes: []xseries.PaymentAttribute{{Source: "gateway", TransactionID: "tx-1-ext", CardLastFourDigits: "4242"}},
				Surcharge:  zero, SurchargeRule: "card", Date: at,
			},
			{ID: "p2", OutletID: "o1", RegisterID: "r1", PaymentTypeID: "t2", Name: "Cash", Amount: zero, Surcharge: zero, Date: at},
		},
		Adjustments: []xseries.SaleAdjustment{
			{Type: xseries.AdjustmentTip, Name: "Tip", Total: zero}, {Type: xseries.AdjustmentNonCashFee, Name: "Fee", Total: zero},
		},
		Date: at.Add(time.Second), CreatedAt: at.Add(2 * time.Second), UpdatedAt: at.Add(3 * time.Second), Version: 6220894162,
	}, old)
}

func TestPaymentByTransaction(t *testing.T) {
	sale := readSale(t, `{"id":"s","payments":[
		{"id":"deleted","amount":1,"source_id":"tx-1","deleted_at":"2026-01-02T03:04:05Z"},
		{"id":"none","amount":2,"source":{"id":null},"external_attributes":null},
		{"id":"dated","amount":-3,"source":{"id":"tx-1"}},
		{"id":"old","amount":4,"source_id":"tx-2"},
		{"id":"attributes","amount":5,"source":{"id":""},"external_attributes":[{"transaction_id":null},{"transaction_id":3}]},
		{"id":"both","amount":6,"source_id":"theirs","external_attributes":[{"transaction_id":"tx-4"}]},
		"odd"]}`)
	for id, want := range map[string]string{"tx-1": "dated", "tx-2": "old", "3": "attributes", "tx-4": "both", "theirs": "both"} {
		payment, ok := sale.PaymentByTransaction(id)
		require.True(t, ok, id)
		require.Equal(t, want, payment.ID)
	}
	payment, _ := sale.PaymentByTransaction("3")
	require.Equal(t, "3", payment.TransactionID)
	payment, _ = sale.PaymentByTransaction("tx-1")
	require.Equal(t, "-3", payment.Amount.String())
	for _, id := range []string{"", "tx-9", "TX-1", "none"} {
		_, ok := sale.PaymentByTransaction(id)
		require.False(t, ok, id)
	}
}

func TestSaleIsReadTolerantly(t *testing.T) {
	sale := readSale(t, `{"id":7,"state":"on hold","status":"NEW","source":7,"totals":"none","payments":{},"adjustments":7,"_metadata":[],"total_price":"3.00","date":"soon"}`)
	require.Equal(t, "7", sale.ID)
	require.Equal(t, xseries.SaleState("on hold"), sale.State)
	require.Equal(t, xseries.SaleStatus("NEW"), sale.Status)
	require.Equal(t, "3", sale.Total.String())
	require.Empty(t, sale.Payments)
	require.True(t, sale.Date.IsZero())
	for text, original := range map[string]string{
		`{"id":"s","return_for":"s0"}`: "s0", `{"id":"s","return":{"is_return":true,"original_sale_id":"s0"}}`: "s0", `{"id":"s","return":{"is_return":true}}`: "",
	} {
		sale := readSale(t, text)
		require.True(t, sale.IsReturn)
		require.Equal(t, original, sale.ReturnFor)
	}
	require.Error(t, json.Unmarshal([]byte(`{"status":"CLOSED"}`), &sale), "no id")
}

func TestSalesAreListed(t *testing.T) {
	s := newServer(t, answer(http.StatusOK, `{"data":[`+sale20+`],"version":{"max":6220894162,"min":1}}`), answer(http.StatusOK, emptyPage))
	client := s.client(t)
	n := 0
	for sale, err := range client.Sales.All(t.Context(), xseries.ListOptions{After: 5, PageSize: 2}) {
		require.NoError(t, err)
		require.Equal(t, "s1", sale.ID)
		n++
	}
	require.Equal(t, 1, n)
	require.Equal(t, "after=5&page_size=2", s.got()[0].query.Encode())
	require.Equal(t, "after=6220894162&page_size=2", s.got()[1].query.Encode())
	_, err := client.Sales.List(t.Context(), xseries.ListOptions{Deleted: true})
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	require.Len(t, s.got(), 2)
}
