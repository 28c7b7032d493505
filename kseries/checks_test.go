package kseries_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/kseries"
)

func burger() kseries.Check {
	at := time.Date(2023, 11, 7, 21, 24, 44, 0, time.UTC)
	return kseries.Check{
		AccountIdentifier: "A78094.48", UUID: "a3bb189e-8f29-4cce-b0e9-f29b123dfe3d", Name: "ORDER A1C2E",
		Total: valid("110"), Paid: valid("100"), ServiceCharge: d("10"),
		OpenedAt: time.Date(2021, 6, 21, 14, 20, 0, 0, time.UTC), ClosedAt: time.Date(2021, 6, 22, 10, 15, 0, 0, time.UTC),
		ClientCount: 4, StaffID: 7701234, StaffName: "Jane Smith", TableNumber: 2, POSID: 54321,
		Sales: []kseries.Sale{{
			ID: 1341648999023061, UUID: "2c83b049-a2c1-4bc5-8479-eb152e5a54be", Name: "Burger", SKU: "14", UnitAmount: d("10"),
			Quantity: d("1"), AmountWithTax: d("11.5"), AmountLessTax: d("10"), At: at.Add(741 * time.Millisecond),
			Modifiers: []kseries.SaleModifier{{Name: "Rare", Quantity: 1}},
			SubItems: []kseries.Sale{{
				ID: 1341648999023062, UUID: "2c83b049-a2c1-4bc5-8479-eb152e5a54be", Name: "Extra Cheese", SKU: "35", UnitAmount: d("1"),
				GrossUnitAmount: d("1"), Quantity: d("1"), AmountWithTax: d("1.15"), AmountLessTax: d("1"), At: at.Add(755 * time.Millisecond),
			}},
		}},
		Payments: []kseries.PaymentEntry{{
			Method: "APM", Description: "API Payment", Reference: "12345678901234", Amount: valid("12.65"),
			At: time.Date(2023, 11, 7, 22, 5, 16, 127e6, time.UTC),
		}},
	}
}

func TestChecks(t *testing.T) {
	query := url.Values{"businessLocationId": {"45454565682155"}}
	one := fixture(t, "check_single_200.json")
	t.Run("by account", func(t *testing.T) {
		s := newServer(t, answer(http.StatusOK, one))
		check, err := s.client(t).Checks.Get(t.Context(), location, "A78094.48")
		require.NoError(t, err)
		same(t, burger(), check)
		s.only(t, http.MethodGet, "/o/op/1/order/accounts/A78094.48", query, "")
	})
	t.Run("by table", func(t *testing.T) {
		s := newServer(t, answer(http.StatusOK, one))
		check, err := s.client(t).Checks.ByTable(t.Context(), location, 2)
		require.NoError(t, err)
		same(t, burger(), check)
		s.only(t, http.MethodGet, "/o/op/1/order/table/2/getCheck", query, "")
	})
	t.Run("all", func(t *testing.T) {
		s := newServer(t, answer(http.StatusOK, "["+one+","+one+"]"))
		checks, err := s.client(t).Checks.List(t.Context(), location)
		require.NoError(t, err)
		same(t, []kseries.Check{burger(), burger()}, checks)
		s.only(t, http.MethodGet, "/o/op/1/order/table/getCheck", query, "")
	})
	t.Run("another kind of answer", func(t *testing.T) {
		s := newServer(t, answer(http.StatusOK, `{"status":"ok"}`))
		client := s.client(t)
		_, err := client.Checks.Get(t.Context(), location, "A78094.48")
		require.ErrorIs(t, err, tillroute.ErrDecode)
		_, err = client.Checks.ByTable(t.Context(), location, 1)
		require.ErrorIs(t, err, tillroute.ErrDecode)
		_, err = client.Checks.List(t.Context(), location)
		require.ErrorIs(t, err, tillroute.ErrDecode)
	})
	t.Run("refused before it is sent", func(t *testing.T) {
		s := newServer(t, answer(http.StatusOK, one))
		client := s.client(t)
		for _, identifier := range []string{"", ".", ".."} {
			_, err := client.Checks.Get(t.Context(), location, identifier)
			require.ErrorIs(t, err, tillroute.ErrInvalid)
		}
		_, err := client.Checks.List(t.Context(), 0)
		require.ErrorIs(t, err, tillroute.ErrInvalid)
		require.Empty(t, s.got())
		_, err = client.Checks.Get(t.Context(), location, "A1/../2?x")
		require.NoError(t, err)
		require.Equal(t, "/base/o/op/1/order/accounts/A1%2F..%2F2%3Fx", s.got()[0].path)
	})
}

func TestDueIsOnlyKnownIfBothAmountsAre(t *testing.T) {
	for text, want := range map[string]string{
		`{"currentAmount":110.0,"paidAmount":100.0}`:                 "10",
		`{"currentAmount":"4.00","paidAmount":"0.00"}`:               "4",
		`{"currentAmount":9007199254740993.01,"paidAmount":0}`:       "9007199254740993.01",
		`{"currentAmount":5,"paidAmount":7}`:                         "-2",
		`{"currentAmount":0,"paidAmount":0}`:                         "0",
		`{"currentAmount":110.0}`:                                    "",
		`{"currentAmount":110.0,"paidAmount":null}`:                  "",
		`{"currentAmount":110.0,"paidAmount":"ten"}`:                 "",
		`{"paidAmount":0}`:                                           "",
		`{"currentAmount":{"amount":5},"paidAmount":[]}`:             "",
		`{"currentAmount":1e400,"paidAmount":0}`:                     "",
		`{"salesEntries":7,"currentAmount":"4.00","paidAmount":"1"}`: "3",
	} {
		var check kseries.Check
		require.NoError(t, json.Unmarshal([]byte(text), &check), text)
		due, ok := check.Due()
		require.Equal(t, want != "", ok, text)
		if ok {
			require.Equal(t, want, due.String(), text)
		}
	}
}

func TestPaymentOfACheck(t *testing.T) {
	var check kseries.Check
	require.NoError(t, json.Unmarshal([]byte(`{"paymentEntries":[
		{"externalReference":"gone","active":false,"amountPaid":1},
		{"externalReference":"twice","active":"false","amountPaid":2},
		{"externalReference":"twice","active":true,"amountPaid":"3.50"},
		{"externalReference":"twice","active":false,"amountPaid":4},
		{"externalReference":"silent","amountPaid":5},
		{"externalReference":6,"active":1},
		{"amountPaid":7}]}`), &check))
	for reference, want := range map[string]struct {
		amount   string
		inactive bool
	}{"gone": {"1", true}, "twice": {"3.5", false}, "silent": {"5", false}, "6": {"", false}} {
		entry, ok := check.Payment(reference)
		require.True(t, ok, reference)
		require.Equal(t, want.inactive, entry.Inactive, reference)
		require.Equal(t, want.amount != "", entry.Amount.Valid)
		if entry.Amount.Valid {
			require.Equal(t, want.amount, entry.Amount.Decimal.String())
		}
	}
	for _, reference := range []string{"", "Gone", "other"} {
		_, ok := check.Payment(reference)
		require.False(t, ok, reference)
	}
}

func TestTimesInAllSpellings(t *testing.T) {
	want := time.Date(2023, 11, 7, 22, 5, 16, 127e6, time.UTC)
	for _, text := range []string{
		"2023-11-07T22:05:16.127+0000", "2023-11-07T22:05:16.127Z", "2023-11-07T22:05:16.127+00:00", "2023-11-07T22:05:16.127",
		"2023-11-07T23:05:16.127+0100",
	} {
		var check kseries.Check
		require.NoError(t, json.Unmarshal([]byte(`{"openDate":"`+text+`"}`), &check))
		require.Equal(t, want, check.OpenedAt, text)
		require.NoError(t, json.Unmarshal([]byte(`{"openDate":"`+text[:19]+text[23:]+`"}`), &check))
		require.Equal(t, want.Truncate(time.Second), check.OpenedAt, "without milliseconds")
	}
}

func FuzzCheck(f *testing.F) {
	for _, text := range fixtures(f, "*check*.json") {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var check kseries.Check
		if json.Unmarshal(data, &check) != nil {
			require.Zero(t, check)
			return
		}
		if due, ok := check.Due(); ok {
			require.True(t, due.Add(check.Paid.Decimal).Equal(check.Total.Decimal))
		}
		check.Payment("12345678901234")
	})
}
