package testserver

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPayCash(t *testing.T) {
	r := newRig(t, Options{})
	sale, err := r.XSeries.NewSale(RegisterMain, amount("18.00"))
	require.NoError(t, err)
	path := "/xseries/sales/" + sale.ID + "/cash"
	for body, want := range map[string]string{
		`{"amount":"18.01"}`: "has 18 left to pay, not 18.01",
		`{"amount":"-1"}`:    "has 18 left to pay, not -1",
		`{"amount":"0"}`:     "other than zero",
		`{}`:                 "other than zero",
	} {
		a := r.sim("POST", path, body)
		require.Equal(t, http.StatusBadRequest, a.status, body)
		require.Contains(t, a.body, want)
	}
	require.Contains(t, r.sim("POST", "/xseries/sales/nope/cash", `{"amount":"1"}`).body, "no sale")

	got := simOK[Sale](r, "POST", path, `{"amount":"10.50"}`)
	require.Equal(t, "10.5", got.Paid.String())
	require.True(t, got.Payments[0].Cash)
	require.False(t, got.Closed)
	m, err := r.XSeries.OpenModalFor(sale.ID, amount("7.50"))
	require.NoError(t, err)
	require.Equal(t, "10.50", ask(t, m).RegisterSale.Totals.Paid)
	_, err = m.Post(`{"step":"ACCEPT"}`)
	require.NoError(t, err)
	require.Contains(t, r.sim("POST", path, `{"amount":"1"}`).body, "has 0 left to pay")

	for _, version := range []string{"2.0", "2026-07"} {
		a := r.rest(http.MethodGet, "/api/"+version+"/sales/"+sale.ID, "")
		require.Contains(t, a.body, paymentTypeCash, version)
		require.Contains(t, a.body, paymentTypeCard, version)
	}
	summary := r.rest(http.MethodGet, "/api/2026-07/registers/"+RegisterMain+"/payments_summary", "").body
	require.Contains(t, summary, `{"payment_type_name":"Cash","total":"10.50"`)
	require.Contains(t, summary, `{"payment_type_name":"Credit Card","total":"7.50"`)
}

func TestCashGivenBack(t *testing.T) {
	sys := Start(t, Options{})
	sale, err := sys.XSeries.NewSale(RegisterMain, amount("-5"))
	require.NoError(t, err)
	sale, err = sys.XSeries.PayCash(sale.ID, amount("-5"))
	require.NoError(t, err)
	require.True(t, sale.Closed)
}

func TestModalOnAnotherOrigin(t *testing.T) {
	r := newRig(t, Options{XSeries: XSeriesOptions{GatewayURL: "https://gateway.test/pay"}})
	open := func(origin string) answer {
		return r.sim("POST", "/xseries/modals", `{"register_id":"`+RegisterMain+`","amount":"1","origin":"`+origin+`"}`)
	}
	require.Equal(t, "https://simstore.retail.lightspeed.app", parse[openedModal](t, open("").body).Parameters["origin"])
	opened := parse[openedModal](t, open("http://127.0.0.1:8080").body)
	require.Equal(t, "http://127.0.0.1:8080", opened.Parameters["origin"])
	require.Contains(t, opened.URL, "origin=http%3A%2F%2F127.0.0.1%3A8080")
	for _, origin := range []string{"null", "https://", "store.test", "file:///x", "https://store.test/", "https://u@store.test", "HTTP://store.test"} {
		a := open(origin)
		require.Equal(t, http.StatusBadRequest, a.status, origin)
		require.Contains(t, a.body, "the origin is")
	}
}

func TestSimListsTheSalesOfARegister(t *testing.T) {
	r := newRig(t, Options{})
	for _, id := range []string{RegisterMain, RegisterSecond, RegisterMain} {
		_, err := r.XSeries.NewSale(id, amount("1"))
		require.NoError(t, err)
	}
	require.Len(t, simOK[[]Sale](r, "GET", "/xseries/sales", ""), 3)
	require.Len(t, simOK[[]Sale](r, "GET", "/xseries/sales?register_id="+RegisterMain, ""), 2)
	require.Empty(t, simOK[[]Sale](r, "GET", "/xseries/sales?register_id=nope", ""))
}

func TestSimTellsTheGateway(t *testing.T) {
	r := newRig(t, Options{})
	require.Empty(t, simOK[map[string]string](r, "GET", "/xseries/gateway", "")["url"])
	r.simDone("POST", "/xseries/gateway", `{"url":"https://gateway.test/pay"}`)
	require.Equal(t, "https://gateway.test/pay", simOK[map[string]string](r, "GET", "/xseries/gateway", "")["url"])
}
