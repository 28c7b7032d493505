package xseries_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/xseries"
)

func parseData(t *testing.T, text string) xseries.Data {
	t.Helper()
	message, err := xseries.ParseMessage([]byte(text))
	require.NoError(t, err)
	data, ok := message.(xseries.Data)
	require.True(t, ok, "%T", message)
	return data
}

func TestDataOfThePairingFlow(t *testing.T) {
	data := parseData(t, fixture(t, "payments_data_response_pairing_abridged.json"))
	charge, err := data.Charge()
	require.NoError(t, err)
	require.Equal(t, "0800278f-358c-11e6-fcf3-9005a15d99d9", charge.RegisterID)
	require.Equal(t, pairing.Purchase, charge.Kind)
	require.Equal(t, "8.00", charge.Amount.StringFixed(2))
}

func TestDataOfTheReference(t *testing.T) {
	data := parseData(t, fixture(t, "payments_data_response_docs_partial.json"))
	require.True(t, data.Success)
	sale := data.Sale
	require.Equal(t, "5194354d-9080-8dda-11e6-9660dfac7dce", sale.ID)
	require.Equal(t, sale.ID, sale.ClientSaleID)
	require.Equal(t, "web_register", sale.ClientID)
	require.Equal(t, "0800278f-358c-11e6-fcf3-9005a1e4b2b9", sale.CustomerID)
	require.Equal(t, "3.16957", sale.Totals.Tax.String())
	require.Equal(t, "21.13043", sale.Totals.Price.String())
	require.Equal(t, "10.00", sale.Totals.Paid.StringFixed(2))
	require.Equal(t, "24.30000", sale.Totals.ToPay.StringFixed(5))
	require.True(t, sale.Totals.ToPay.Equal(sale.Totals.Price.Add(sale.Totals.Tax)), "the whole sale, whatever was paid")
	require.Len(t, sale.LineItems, 1)
	item := sale.LineItems[0]
	require.Equal(t, "T-shirt", item.Name)
	require.Equal(t, "10001", item.SKU)
	require.Equal(t, "1", item.Quantity.String())
	require.Equal(t, "23.47826", item.UnitPrice.String())
	require.Equal(t, "3.52174", item.UnitTax.String())
	require.Equal(t, "0.15", item.TaxRate.String())
	require.Equal(t, "3", item.Discount.String())
	require.True(t, strings.HasPrefix(item.ImageURL, "https://"))

	_, err := data.Charge()
	require.ErrorIs(t, err, tillroute.ErrInvalid, "the excerpt has no payment, and no total stands in for it")
}

func TestChargeIsThePaymentsAmount(t *testing.T) {
	tests := map[string]struct {
		kind   pairing.Kind
		amount string
	}{
		`"8.00"`:                {pairing.Purchase, "8"},
		`8.00`:                  {pairing.Purchase, "8"},
		`"-8.00"`:               {pairing.Refund, "8"},
		`-0.01`:                 {pairing.Refund, "0.01"},
		`"19.99"`:               {pairing.Purchase, "19.99"},
		`"24.30000"`:            {pairing.Purchase, "24.3"},
		`1e2`:                   {pairing.Purchase, "100"},
		`"9007199254740993.01"`: {pairing.Purchase, "9007199254740993.01"},
		`9007199254740993.01`:   {pairing.Purchase, "9007199254740993.01"},
	}
	for text, want := range tests {
		data := parseData(t, `{"success":true,"step":"DATA","register_sale":{"totals":{"total_to_pay":"99"}},"payment":{"register_id":"r1","amount":`+text+`}}`)
		charge, err := data.Charge()
		require.NoError(t, err, text)
		require.Equal(t, want.kind, charge.Kind, text)
		require.Equal(t, want.amount, charge.Amount.String(), text)
	}
}

func TestChargeRefuses(t *testing.T) {
	message := func(payment string) string {
		return `{"success":true,"step":"DATA","register_sale":{"id":"s1","totals":{"total_to_pay":"8.00"}},"payment":` + payment + `}`
	}
	tests := map[string]string{
		"no payment":           `{"success":true,"step":"DATA","register_sale":{"id":"s1"}}`,
		"no success":           `{"success":false,"step":"DATA","payment":{"register_id":"r1","amount":"8.00"}}`,
		"success missing":      `{"step":"DATA","payment":{"register_id":"r1","amount":"8.00"}}`,
		"null":                 message(`null`),
		"an array":             message(`[]`),
		"no register":          message(`{"amount":"8.00"}`),
		"empty register":       message(`{"register_id":"","amount":"8.00"}`),
		"register is an array": message(`{"register_id":["r1"],"amount":"8.00"}`),
		"no amount":            message(`{"register_id":"r1"}`),
		"null amount":          message(`{"register_id":"r1","amount":null}`),
		"amount twice":         message(`{"register_id":"r1","amount":"8.00","amount":"80.00"}`),
	}
	for _, amount := range []string{
		`""`, `"0"`, `"0.00"`, `"-0.00"`, `0`, `-0`, `"NaN"`, `"Infinity"`, `"1e400"`, `1e400`, `1e-400`, `"8,00"`, `"$8.00"`, `" 8.00"`,
		`"8.00 "`, `"8.0.0"`, `"--8"`, `"+8"`, `".5"`, `"5."`, `"0x10"`, `"1_000"`, `true`, `{}`, `["8.00"]`,
		`"` + strings.Repeat("9", 100) + `"`, `"٨"`,
	} {
		tests["amount "+amount] = message(`{"register_id":"r1","amount":` + amount + `}`)
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			charge, err := parseData(t, text).Charge()
			require.ErrorIs(t, err, tillroute.ErrInvalid)
			require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown)
			require.Zero(t, charge)
		})
	}
}

func TestDataKeepsTheWholeMessage(t *testing.T) {
	text := fixture(t, "payments_data_response_docs_partial.json")
	data := parseData(t, text)
	require.JSONEq(t, text, string(data.Raw))
	again, err := xseries.EncodeMessage(data)
	require.NoError(t, err)
	require.JSONEq(t, text, again)

	made, err := xseries.EncodeMessage(xseries.Data{Success: true, Payment: xseries.DataPayment{RegisterID: "r1", Amount: "8.00"}})
	require.NoError(t, err)
	require.Equal(t, `{"step":"DATA","success":true,"payment":{"register_id":"r1","amount":"8.00"}}`, made) //nolint:testifylint // the bytes matter.
}

func TestDataToleratesOddSales(t *testing.T) {
	for _, sale := range []string{
		`null`, `[]`, `"x"`, `{"id":7,"totals":[],"line_items":{}}`, `{"line_items":[null,{"quantity":{}},7]}`, `{"totals":{"total_tax":"NaN"}}`,
	} {
		data := parseData(t, `{"success":true,"step":"DATA","register_sale":`+sale+`,"payment":{"register_id":"r1","amount":"8.00"}}`)
		_, err := data.Charge()
		require.NoError(t, err, sale)
		require.True(t, json.Valid(data.Raw))
	}
}
