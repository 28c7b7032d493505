package testserver

import (
	"net/url"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
)

func amount(text string) decimal.Decimal { return decimal.RequireFromString(text) }

// ask posts DATA and returns the answer.
func ask(t *testing.T, m *Modal) dataReply {
	t.Helper()
	text, err := m.Post(fixture(t, "xseries_payments_msg_data.json"))
	require.NoError(t, err)
	return parse[dataReply](t, text)
}

func TestModalSpeaksTheDocumentedSteps(t *testing.T) {
	sys := Start(t, Options{XSeries: XSeriesOptions{GatewayURL: "https://gateway.test/pay?v=2"}})
	m, err := sys.XSeries.OpenModal(RegisterThird, amount("24.3"))
	require.NoError(t, err)
	require.Equal(t, url.Values{
		"amount": {"24.30"}, "origin": {"https://simstore.retail.lightspeed.app"}, "register_id": {RegisterThird},
	}, m.Query())
	require.Equal(t, "https://gateway.test/pay?amount=24.30&origin=https%3A%2F%2Fsimstore.retail.lightspeed.app&register_id="+RegisterThird+"&v=2", m.URL())

	for _, file := range []string{"setup_close", "setup_no_close", "print"} {
		reply, err := m.Post(fixture(t, "xseries_payments_msg_"+file+".json"))
		require.NoError(t, err, file)
		require.Empty(t, reply, file)
	}
	require.False(t, m.State().Closable)
	require.ErrorContains(t, m.Close(), "shows no close button")

	text, err := m.Post(fixture(t, "xseries_payments_msg_data.json"))
	require.NoError(t, err)
	got := parse[map[string]any](t, text)
	want := parse[map[string]any](t, fixture(t, "xseries_payments_data_response_docs_partial.json"))
	require.Equal(t, want["step"], got["step"])
	require.Equal(t, true, got["success"])
	sale, example := got["register_sale"].(map[string]any), want["register_sale"].(map[string]any)
	for key := range example {
		if key != "customer_id" { // this sale has no customer
			require.Contains(t, sale, key)
		}
	}
	require.Equal(t, "web_register", sale["client_id"])
	require.Equal(t, sale["id"], sale["client_sale_id"])
	require.Equal(t, map[string]any{"total_tax": "3.16957", "total_price": "21.13043", "total_paid": "0.00", "total_to_pay": "24.30000"}, sale["totals"])
	line, exampleLine := sale["line_items"].([]any)[0].(map[string]any), example["line_items"].([]any)[0].(map[string]any)
	for key := range exampleLine {
		require.IsType(t, "", line[key], key)
	}
	require.Equal(t, map[string]any{"register_id": RegisterThird, "amount": "24.30"}, got["payment"])

	_, err = m.Post(fixture(t, "xseries_payments_msg_accept.json"))
	require.NoError(t, err)
	require.Equal(t, "accepted", m.State().Ended)
	sales := sys.XSeries.Sales()
	require.Len(t, sales, 1)
	require.True(t, sales[0].Closed)
	require.Equal(t, "582170934", sales[0].Payments[0].TransactionID)
	require.Equal(t, "<div>ACCEPTED</div>", sales[0].Payments[0].Receipt)
	require.Equal(t, "24.3", sales[0].Paid.String())
}

func TestDeclineAndExitEndTheModalWithoutAPayment(t *testing.T) {
	sys := Start(t, Options{})
	for file, ended := range map[string]string{"decline": "declined", "exit": "exited"} {
		m, err := sys.XSeries.OpenModal(RegisterMain, amount("1"))
		require.NoError(t, err)
		_, err = m.Post(fixture(t, "xseries_payments_msg_"+file+".json"))
		require.NoError(t, err)
		require.Equal(t, ended, m.State().Ended)
		sale, ok := sys.XSeries.Sale(m.SaleID())
		require.True(t, ok)
		require.Empty(t, sale.Payments)
		_, err = sys.XSeries.OpenModalFor(m.SaleID(), amount("1"))
		require.NoError(t, err, "the cashier may try again")
	}
}

func TestSplitPayment(t *testing.T) {
	sys := Start(t, Options{})
	sale, err := sys.XSeries.NewSale(RegisterMain, amount("18.00"))
	require.NoError(t, err)
	first, err := sys.XSeries.OpenModalFor(sale.ID, amount("10"))
	require.NoError(t, err)
	require.Equal(t, "10.00", ask(t, first).Payment.Amount)
	_, err = first.Post(`{"step":"ACCEPT","transaction_id":1}`)
	require.NoError(t, err)

	_, err = sys.XSeries.OpenModalFor(sale.ID, amount("8.01"))
	require.ErrorContains(t, err, "has 8 left to pay, not 8.01")
	second, err := sys.XSeries.OpenModalFor(sale.ID, amount("8"))
	require.NoError(t, err)
	reply := ask(t, second)
	require.Equal(t, parse[dataReply](t, fixture(t, "xseries_payments_data_response_pairing_abridged.json")).Payment.Amount, reply.Payment.Amount)
	require.Equal(t, "10.00", reply.RegisterSale.Totals.Paid)
	require.Equal(t, "18.00000", reply.RegisterSale.Totals.ToPay, "the whole sale, not what is left")
	got, _ := sys.XSeries.Sale(sale.ID)
	require.False(t, got.Closed)
	_, err = second.Post(`{"step":"ACCEPT","transaction_id":"2"}`)
	require.NoError(t, err)
	got, _ = sys.XSeries.Sale(sale.ID)
	require.True(t, got.Closed)
	require.Equal(t, []string{"1", "2"}, []string{got.Payments[0].TransactionID, got.Payments[1].TransactionID})
}

func TestRefundIsNegative(t *testing.T) {
	sys := Start(t, Options{})
	m, err := sys.XSeries.OpenModal(RegisterMain, amount("-11.50"))
	require.NoError(t, err)
	require.Equal(t, "-11.50", m.Query().Get("amount"))
	reply := ask(t, m)
	require.Equal(t, "-11.50", reply.Payment.Amount)
	require.Equal(t, "-1", reply.RegisterSale.LineItems[0].Quantity)
	require.Equal(t, "10.00000", reply.RegisterSale.LineItems[0].UnitPrice)
	require.Equal(t, "-1.50000", reply.RegisterSale.Totals.Tax)
	_, err = m.Post(`{"step":"ACCEPT"}`)
	require.NoError(t, err)
	sale, _ := sys.XSeries.Sale(m.SaleID())
	require.True(t, sale.Closed)
}

func TestTwoModalsCannotPayTwiceUnnoticed(t *testing.T) {
	sys := Start(t, Options{})
	sys.ExpectViolation("a payment was recorded twice")
	first, err := sys.XSeries.OpenModal(RegisterMain, amount("5"))
	require.NoError(t, err)
	second, err := sys.XSeries.OpenModalFor(first.SaleID(), amount("5"))
	require.NoError(t, err)
	_, err = first.Post(`{"step":"ACCEPT"}`)
	require.NoError(t, err)
	_, err = second.Post(`{"step":"ACCEPT"}`)
	require.Error(t, err)
	sale, _ := sys.XSeries.Sale(first.SaleID())
	require.Len(t, sale.Payments, 2, "what was told is what is in the books")
}

func TestModalRefusesWhatIsNotDocumented(t *testing.T) {
	for message, want := range map[string]string{
		`nonsense`:                                    "not a JSON object",
		`"DATA"`:                                      "not a JSON object",
		`{"success":true}`:                            "has no step",
		`{"step":1}`:                                  "has no step",
		`{"step":"accept"}`:                           `unknown step "accept"`,
		`{"step":"CLOSE"}`:                            `unknown step "CLOSE"`,
		`{"step":"DATA","sale":1}`:                    `step DATA has no field "sale"`,
		`{"step":"ACCEPT","amount":"1.00"}`:           `step ACCEPT has no field "amount"`,
		`{"step":"ACCEPT","transaction_id":{}}`:       "transaction_id must be a string or a number",
		`{"step":"ACCEPT","transaction_id":null}`:     "transaction_id must be a string or a number",
		`{"step":"ACCEPT","receipt_html_extra":7}`:    "receipt_html_extra must be a string",
		`{"step":"SETUP"}`:                            "setup must be an object",
		`{"step":"SETUP","setup":{"header":"x"}}`:     "enable_close must be true or false",
		`{"step":"SETUP","setup":{"enable_close":1}}`: "enable_close must be true or false",
		`{"step":"DECLINE","print":"yes"}`:            "print must be true or false",
		`{"step":"PRINT"}`:                            "needs receipt_html_extra",
	} {
		t.Run(message, func(t *testing.T) {
			sys := Start(t, Options{})
			sys.ExpectViolation(want)
			m, err := sys.XSeries.OpenModal(RegisterMain, amount("1"))
			require.NoError(t, err)
			_, err = m.Post(message)
			require.ErrorContains(t, err, want)
			require.Equal(t, []string{message}, m.State().Messages)
			require.Empty(t, m.State().Ended)
		})
	}
}

func TestMessageAfterTheEnd(t *testing.T) {
	sys := Start(t, Options{})
	sys.ExpectViolation("step ACCEPT after the modal was accepted")
	m, err := sys.XSeries.OpenModal(RegisterMain, amount("1"))
	require.NoError(t, err)
	_, err = m.Post(`{"step":"ACCEPT"}`)
	require.NoError(t, err)
	_, err = m.Post(`{"step":"ACCEPT"}`)
	require.Error(t, err)
	sale, _ := sys.XSeries.Sale(m.SaleID())
	require.Len(t, sale.Payments, 1)
}

func TestCashierClosesTheModal(t *testing.T) {
	sys := Start(t, Options{})
	m, err := sys.XSeries.OpenModal(RegisterMain, amount("1"))
	require.NoError(t, err)
	require.Empty(t, m.URL(), "no gateway is entered")
	require.NoError(t, m.Close())
	require.ErrorContains(t, m.Close(), "already closed")
	m, err = sys.XSeries.OpenModalFor(m.SaleID(), amount("1"))
	require.NoError(t, err)
	_, err = m.Post(`{"step":"SETUP","setup":{"enable_close":false}}`)
	require.NoError(t, err)
	m.Abandon()
	require.Equal(t, "closed", m.State().Ended)
}

func TestOldClientsFieldsAreTolerated(t *testing.T) {
	sys := Start(t, Options{})
	m, err := sys.XSeries.OpenModal(RegisterMain, amount("1"))
	require.NoError(t, err)
	_, err = m.Post(`{"step":"ACCEPT","success":true,"name":"payment","transaction_id":77}`)
	require.NoError(t, err)
}

func TestSellScreenRefusesBadSales(t *testing.T) {
	sys := Start(t, Options{})
	for want, do := range map[string]func() error{
		"no register":           func() error { _, err := sys.XSeries.OpenModal("nope", amount("1")); return err },
		"no register \"06bf537": func() error { _, err := sys.XSeries.NewSale(registerRemoved, amount("1")); return err },
		"other than zero":       func() error { _, err := sys.XSeries.OpenModal(RegisterMain, amount("0")); return err },
		"at most two decimals":  func() error { _, err := sys.XSeries.OpenModal(RegisterMain, amount("0.001")); return err },
		"no sale":               func() error { _, err := sys.XSeries.OpenModalFor("nope", amount("1")); return err },
	} {
		require.ErrorContains(t, do(), want)
	}
	require.Nil(t, sys.XSeries.Modal("nope"))
}
