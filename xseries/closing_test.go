package xseries_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/xseries"
)

func amount(text string) decimal.Decimal { return decimal.RequireFromString(text) }

func TestOpenRegister(t *testing.T) {
	s := newServer(t, answer(http.StatusOK, fixture(t, "rest20_register_open.json")))
	client := s.client(t)
	register, err := client.Registers.Open(t.Context(), "r1", time.Date(2026, 1, 2, 16, 4, 5, 0, time.FixedZone("NZ", 13*3600)))
	require.NoError(t, err)
	require.True(t, register.IsOpen)
	require.Equal(t, time.Date(2015, 3, 16, 22, 21, 50, 0, time.UTC), register.OpenTime)
	_, err = client.Registers.Open(t.Context(), "r1", time.Time{})
	require.NoError(t, err)
	got := s.got()
	require.Equal(t, http.MethodPut, got[0].method)
	require.Equal(t, "/base/api/2026-07/registers/r1/actions/open", got[0].path)
	require.JSONEq(t, `{"register_open_time":"2026-01-02T03:04:05Z"}`, got[0].body)
	require.Equal(t, "application/json", got[0].header.Get("Content-Type"))
	require.JSONEq(t, `{}`, got[1].body, "the server's clock")
}

func TestCloseRegister(t *testing.T) {
	s := newServer(t, answer(http.StatusOK, fixture(t, "rest20_register_close.json")))
	client := s.client(t)
	register, err := client.Registers.Close(t.Context(), "r1", []xseries.PaymentTotal{
		{PaymentTypeID: "cash", Name: "Cash", Total: amount("255.00")},
		{PaymentTypeID: "card", Total: amount("9007199254740993.01")},
		{PaymentTypeID: "gift", Total: amount("-0.1")},
		{PaymentTypeID: "yen", Total: amount("1e2")},
	})
	require.NoError(t, err)
	require.False(t, register.IsOpen)
	require.Equal(t, time.Date(2015, 3, 16, 22, 21, 50, 0, time.UTC), register.CloseTime)
	_, err = client.Registers.Close(t.Context(), "r1", nil)
	require.NoError(t, err)
	got := s.got()
	require.Equal(t, http.MethodPut, got[0].method)
	require.Equal(t, "/base/api/2026-07/registers/r1/actions/close", got[0].path)
	require.JSONEq(t, `{"payments":[{"payment_type_id":"cash","total":"255.00"},{"payment_type_id":"card","total":"9007199254740993.01"},`+
		`{"payment_type_id":"gift","total":"-0.1"},{"payment_type_id":"yen","total":"100"}]}`, got[0].body)
	require.JSONEq(t, `{"payments":[]}`, got[1].body)

	for name, totals := range map[string][]xseries.PaymentTotal{
		"no payment type": {{Total: amount("1")}},
		"twice":           {{PaymentTypeID: "a", Total: amount("1")}, {PaymentTypeID: "a", Total: amount("2")}},
		"too large":       {{PaymentTypeID: "a", Total: decimal.New(1, 1<<30)}},
		"too small":       {{PaymentTypeID: "a", Total: decimal.New(1, -1<<30)}},
	} {
		_, err := client.Registers.Close(t.Context(), "r1", totals)
		require.ErrorIs(t, err, tillroute.ErrInvalid, name)
	}
	require.Len(t, s.got(), 2)
}

func TestOpeningAndClosingAreNotRepeated(t *testing.T) {
	for name, reply := range map[string]http.HandlerFunc{
		"lost": lost, "502": answer(http.StatusBadGateway, "<html>"), "no data": answer(http.StatusOK, `{}`), "html": answer(http.StatusOK, "<html>"),
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, reply)
			client := s.client(t, func(c *xseries.Config) { c.HTTP.Retries = 3 })
			_, err := client.Registers.Open(t.Context(), "r1", time.Time{})
			require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
			require.ErrorContains(t, err, "Registers.Open")
			_, err = client.Registers.Close(t.Context(), "r1", nil)
			require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
			require.Len(t, s.got(), 2, "each once")
		})
	}
	s := newServer(t, answer(http.StatusForbidden, fixture(t, "error_403.json")))
	_, err := s.client(t).Registers.Close(t.Context(), "r1", nil)
	require.ErrorIs(t, err, tillroute.ErrForbidden)
	require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown)
	require.ErrorContains(t, err, "permission denied: the access token needs the scope register:close and the scope payment_types:read")
}

func TestPaymentsSummary(t *testing.T) {
	s := newServer(t,
		answer(http.StatusOK, `{"data":{"register_open_time":"2015-03-16T22:21:50+00:00","register_closure_sequence_number":5,
			"register_closure_id":"c1","payments":[{"payment_type_name":"Cash","total":"255.00","payment_type_id":"p1"},
			{"payment_type_name":"Credit Card","total":-1038.77,"payment_type_id":"p2"}]}}`),
		answer(http.StatusOK, `{"data":{"payments":[{"total":"much"}]}}`), answer(http.StatusOK, `{"data":{"payments":[{}]}}`),
		answer(http.StatusOK, `{"data":{}}`), answer(http.StatusOK, `{"data":null}`))
	client := s.client(t)
	summary, err := client.Registers.PaymentsSummary(t.Context(), "r1")
	require.NoError(t, err)
	require.Equal(t, "/base/api/2026-07/registers/r1/payments_summary", s.got()[0].path)
	require.Equal(t, xseries.PaymentsSummary{
		OpenTime: time.Date(2015, 3, 16, 22, 21, 50, 0, time.UTC), ClosureID: "c1", ClosureSequence: 5,
		Payments: []xseries.PaymentTotal{
			{PaymentTypeID: "p1", Name: "Cash", Total: amount("255.00")}, {PaymentTypeID: "p2", Name: "Credit Card", Total: amount("-1038.77")},
		},
	}, summary)
	for range 4 {
		_, err = client.Registers.PaymentsSummary(t.Context(), "r1")
		require.ErrorIs(t, err, tillroute.ErrDecode, "nothing was taken is something else")
		require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown)
	}
}
