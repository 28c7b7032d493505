package smartconnect_test

import (
	"testing"
	"unicode/utf8"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/smartconnect"
)

// FuzzForm sends any text in every place that takes some. It arrives as it was, or nothing is sent.
func FuzzForm(f *testing.F) {
	f.Add("Toys Shop", "Till2Go", "7444ae07-dc63-e49c-33e3-59a7c108cc80", "preauth-77", "Widget")
	f.Add("John Doe's Coffee & Cake+=%", "é\x00\n", "db/uuid", "a&TransactionType=Card.Refund", "\"}]}")
	f.Add("\xff", " ", "", "\u2028", "\xed\xa0\x80")
	f.Fuzz(func(t *testing.T, business, vendor, id, reference, product string) {
		capture := &formCapture{}
		client, err := smartconnect.New(smartconnect.Config{
			BusinessName: business, VendorName: vendor, Currency: "NZD", HTTP: tillroute.HTTPOptions{Transport: capture},
		})
		if err != nil {
			require.ErrorIs(t, err, tillroute.ErrInvalid)
			return
		}
		till := client.Register(tillroute.Secret(id)).WithSale(smartconnect.SaleData{
			TotalAmount: "1", TotalTax: "0", CustomerName: product,
		})
		_, err = till.Authorise(t.Context(), decimal.NewFromInt(5), reference)
		require.Error(t, err, "the transport always breaks off")
		if capture.form == nil {
			require.ErrorIs(t, err, tillroute.ErrInvalid)
			return
		}
		require.Len(t, capture.form, 8)
		for name, want := range map[string]string{
			"POSRegisterID": id, "POSBusinessName": business, "POSVendorName": vendor, "TransactionReference": reference,
			"TransactionMode": "ASYNC", "TransactionType": "Card.Authorise", "AmountAuth": "500",
		} {
			require.Equal(t, []string{want}, capture.form[name], name)
			require.True(t, utf8.ValidString(want), name)
		}
		require.True(t, utf8.ValidString(capture.form.Get("SaleData")))

		capture.form = nil
		err = client.Register(tillroute.Secret(id)).Pair(t.Context(), "1", "Till", smartconnect.Contact{Name: product, Address: reference})
		require.Error(t, err)
		if capture.form == nil {
			require.ErrorIs(t, err, tillroute.ErrInvalid)
			return
		}
		require.Equal(t, []string{id}, capture.form["POSRegisterID"])
		require.Equal(t, []string{business}, capture.form["POSBusinessName"])
		require.Equal(t, product, capture.form.Get("Contact Name"))
		require.Equal(t, reference, capture.form.Get("Address"))
	})
}
