package smartconnect_test

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/smartconnect"
)

// calls has the method for each of the vendor's types. The methods that wait for an answer return no transaction.
func calls(ctx context.Context, till smartconnect.Register) map[smartconnect.Type]func() (smartconnect.Transaction, error) {
	dollars := decimal.NewFromInt
	asked := func(ask func(context.Context, func(smartconnect.Progress), ...tillroute.CallOption) (smartconnect.Report, error)) func() (smartconnect.Transaction, error) {
		return func() (smartconnect.Transaction, error) {
			_, err := ask(ctx, nil)
			return smartconnect.Transaction{}, err
		}
	}
	return map[smartconnect.Type]func() (smartconnect.Transaction, error){
		"Card.Purchase":         func() (smartconnect.Transaction, error) { return till.Purchase(ctx, dollars(5)) },
		"Card.Refund":           func() (smartconnect.Transaction, error) { return till.Refund(ctx, dollars(5)) },
		"Card.PurchasePlusCash": func() (smartconnect.Transaction, error) { return till.PurchasePlusCash(ctx, dollars(60), dollars(20)) },
		"Card.CashAdvance":      func() (smartconnect.Transaction, error) { return till.CashAdvance(ctx, dollars(20)) },
		"Card.Authorise":        func() (smartconnect.Transaction, error) { return till.Authorise(ctx, dollars(100), "preauth-77") },
		"Card.Finalise":         func() (smartconnect.Transaction, error) { return till.Finalise(ctx, dollars(95), "preauth-77") },
		"QR.Merchant.Purchase":  func() (smartconnect.Transaction, error) { return till.QRMerchantPurchase(ctx, dollars(5)) },
		"QR.Consumer.Purchase":  func() (smartconnect.Transaction, error) { return till.QRConsumerPurchase(ctx, dollars(5)) },
		"QR.Refund":             func() (smartconnect.Transaction, error) { return till.QRRefund(ctx, dollars(5)) },

		"Acquirer.Logon":              asked(till.Logon),
		"Acquirer.Settlement.Inquiry": asked(till.SettlementInquiry),
		"Acquirer.Settlement.Cutover": asked(till.SettlementCutover),
		"Journal.ReprintReceipt":      asked(till.ReprintReceipt),
		"Terminal.GetStatus":          asked(till.Status),
		"Terminal.ReadCard":           asked(till.ReadCard),
		"Journal.GetTransResult": func() (smartconnect.Transaction, error) {
			_, err := till.LastTransaction(ctx, nil)
			return smartconnect.Transaction{}, err
		},
	}
}

// vendorTypes returns the fixture with the vendor's types.
func vendorTypes(t *testing.T) (types []struct {
	Type      smartconnect.Type `json:"type"`
	Financial bool              `json:"financial"`
	Params    map[string]string `json:"params"`
},
) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(fixture(t, "transaction_types.json")), &types))
	require.Len(t, types, 16)
	return types
}

func TestStartSendsWhatTheVendorDocuments(t *testing.T) {
	bodies := map[string]wireRequest{}
	for _, want := range wireRequests(t) {
		form, err := url.ParseQuery(want.Body)
		require.NoError(t, err)
		bodies[form.Get("TransactionType")] = want
	}
	for _, one := range vendorTypes(t) {
		t.Run(string(one.Type), func(t *testing.T) {
			s := newServer(t, started(t), answer(http.StatusOK, fixture(t, "terminal_getstatus_completed_200.json")))
			client := s.client(t)
			call := calls(t.Context(), client.Register(registerID))[one.Type]
			require.NotNil(t, call, "the type has no method")
			transaction, err := call()
			require.NoError(t, err)
			got := s.got()[0]
			if want, ok := bodies[string(one.Type)]; ok {
				requireSame(t, want, got)
			}
			fields := []string{"POSRegisterID", "POSBusinessName", "POSVendorName", "TransactionMode", "TransactionType"}
			for name := range one.Params {
				if name != "Date" { // One client sends it, in a form that nobody documents.
					fields = append(fields, name)
				}
			}
			require.ElementsMatch(t, fields, slices.Collect(maps.Keys(got.form)), "exactly the type's fields")
			require.Equal(t, string(one.Type), got.form.Get("TransactionType"))
			require.Equal(t, "ASYNC", got.form.Get("TransactionMode"))
			if !one.Financial {
				require.Len(t, s.got(), 2, "it was polled")
				return
			}
			require.Len(t, s.got(), 1)
			require.Equal(t, one.Type, transaction.Type)
			require.Equal(t, "f363c7de-102c-4d80-a902-ed37413ca599", transaction.ID)
			require.Equal(t, "7070714000", transaction.DeviceID)
			require.Contains(t, transaction.PollingURL.Reveal(), pollToken)
			asked := got.form.Get("AmountTotal") + got.form.Get("AmountAuth") + got.form.Get("AmountFinal")
			require.Equal(t, asked, transaction.Amount.Shift(2).String())
		})
	}
}

func TestStartTakesTypesThatAreNotKnownYet(t *testing.T) {
	s := newServer(t, started(t))
	fields := url.Values{"AmountTotal": {"500"}}
	transaction, err := s.client(t).Register(registerID).Start(t.Context(), "Card.Tomorrow", fields)
	require.NoError(t, err)
	require.Equal(t, smartconnect.Type("Card.Tomorrow"), transaction.Type)
	require.Equal(t, "Card.Tomorrow", s.got()[0].form.Get("TransactionType"))
	require.Equal(t, "500", s.got()[0].form.Get("AmountTotal"))
	require.Equal(t, url.Values{"AmountTotal": {"500"}}, fields, "the caller's fields are not changed")
}

func TestCashIsPartOfTheTotal(t *testing.T) {
	s := newServer(t, started(t))
	till := s.client(t).Register(registerID)
	for _, test := range [][2]string{{"20", "20.01"}, {"20", "60"}, {"20", "0"}, {"20", "-5"}, {"0", "0"}, {"20", "0.001"}, {"1e2", "1e9999"}, {"1e9999", "1"}} {
		_, err := till.PurchasePlusCash(t.Context(), decimal.RequireFromString(test[0]), decimal.RequireFromString(test[1]))
		require.ErrorIs(t, err, tillroute.ErrInvalid, test)
		require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown, test)
	}
	require.Empty(t, s.got())
	started, err := till.PurchasePlusCash(t.Context(), decimal.NewFromInt(20), decimal.NewFromInt(20))
	require.NoError(t, err)
	require.Equal(t, "20.00", started.Amount.StringFixed(2))
	require.Equal(t, "2000", s.got()[0].form.Get("AmountTotal"))
	require.Equal(t, "2000", s.got()[0].form.Get("AmountCash"))
}

func TestAnAuthorisationNeedsAReference(t *testing.T) {
	s := newServer(t, started(t))
	till := s.client(t).Register(registerID)
	for _, reference := range []string{"", " \t", "\xff"} {
		_, err := till.Authorise(t.Context(), decimal.NewFromInt(5), reference)
		require.ErrorIs(t, err, tillroute.ErrInvalid)
		_, err = till.Finalise(t.Context(), decimal.NewFromInt(5), reference)
		require.ErrorIs(t, err, tillroute.ErrInvalid)
	}
	require.Empty(t, s.got())
	_, err := till.Finalise(t.Context(), decimal.NewFromInt(5), " Zimmer 7 & Ä ")
	require.NoError(t, err)
	require.Equal(t, " Zimmer 7 & Ä ", s.got()[0].form.Get("TransactionReference"), "byte by byte")
}

func TestStartKeepsIdentityAndMode(t *testing.T) {
	s := newServer(t, started(t))
	_, err := s.client(t).Register(registerID).Start(t.Context(), "Card.Purchase", url.Values{
		"POSRegisterID": {"another"}, "POSVendorName": {"another"}, "TransactionMode": {"SYNC"}, "TransactionType": {"Card.Refund"},
	})
	require.NoError(t, err)
	require.Equal(t, url.Values{
		"POSRegisterID": {registerID.Reveal()}, "POSBusinessName": {"Toys Shop"}, "POSVendorName": {"Till2Go"},
		"TransactionMode": {"ASYNC"}, "TransactionType": {"Card.Purchase"},
	}, s.got()[0].form)
}

func TestAmountsAreExactCents(t *testing.T) {
	tests := map[string]string{
		"0.01": "1", "0.10": "10", "1.15": "115", "4.35": "435", "19.99": "1999", "8": "800", "8.000": "800", "1e2": "10000",
		"90071992547409.93": "9007199254740993",
	}
	for amount, cents := range tests {
		s := newServer(t, started(t))
		started, err := s.client(t).Register(registerID).Purchase(t.Context(), decimal.RequireFromString(amount))
		require.NoError(t, err, amount)
		require.Equal(t, cents, s.got()[0].form.Get("AmountTotal"))
		require.True(t, decimal.RequireFromString(amount).Equal(started.Amount))
	}
	s := newServer(t, started(t))
	client := s.client(t)
	for _, amount := range []string{"0", "-0.00", "-5", "0.001", "8.005", "1e400", "1e-400", "92233720368547758.08"} {
		_, err := client.Register(registerID).Purchase(t.Context(), decimal.RequireFromString(amount))
		require.ErrorIs(t, err, tillroute.ErrInvalid, amount)
		require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown, amount)
		_, err = client.Register(registerID).Refund(t.Context(), decimal.RequireFromString(amount))
		require.ErrorIs(t, err, tillroute.ErrInvalid, amount)
	}
	_, err := client.Register("").Purchase(t.Context(), decimal.NewFromInt(1))
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	_, err = client.Register(registerID).Start(t.Context(), "", nil)
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	require.Empty(t, s.got())
}

func TestStartErrors(t *testing.T) {
	withURL := func(u string) http.HandlerFunc {
		return answer(http.StatusOK, `{"transactionId":"T1","transactionStatus":"PENDING","data":{"PollingUrl":"`+u+`"}}`)
	}
	tests := map[string]struct {
		answer  http.HandlerFunc
		is      error
		unknown bool
	}{
		"not paired": {answer(http.StatusBadRequest, fixture(t, "transaction_error_400_not_paired.json")), pairing.ErrNotPaired, false},
		"busy":       {answer(http.StatusTooManyRequests, fixture(t, "transaction_error_429_device_busy.json")), tillroute.ErrBusy, false},
		"busy with a hint": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "5")
			answer(http.StatusTooManyRequests, `{"error":"device is busy"}`)(w, r)
		}, tillroute.ErrBusy, false},
		"rate limited":       {answer(http.StatusTooManyRequests, `{"error":"slow down"}`), tillroute.ErrRateLimited, false},
		"bad request":        {answer(http.StatusBadRequest, `{"error":"unknown TransactionType"}`), tillroute.ErrInvalid, false},
		"forbidden":          {answer(http.StatusForbidden, ""), tillroute.ErrForbidden, false},
		"wrong path":         {answer(http.StatusNotFound, ""), tillroute.ErrNotFound, false},
		"timeout of a proxy": {answer(http.StatusRequestTimeout, ""), tillroute.ErrTimeout, true},
		"server error":       {answer(http.StatusInternalServerError, "<html>"), tillroute.ErrUnavailable, true},
		"bad gateway":        {answer(http.StatusBadGateway, `{"error":"device is busy"}`), tillroute.ErrUnavailable, true},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		}, tillroute.ErrOutcomeUnknown, true},
		"lost":                        {lost, tillroute.ErrUnavailable, true},
		"empty":                       {answer(http.StatusOK, ""), tillroute.ErrDecode, true},
		"truncated":                   {answer(http.StatusOK, `{"transactionId":"T1","da`), tillroute.ErrDecode, true},
		"html":                        {answer(http.StatusOK, "<html>"), tillroute.ErrDecode, true},
		"an array":                    {answer(http.StatusOK, "[]"), tillroute.ErrDecode, true},
		"no data":                     {answer(http.StatusOK, `{"transactionId":"T1"}`), tillroute.ErrDecode, true},
		"data is a string":            {answer(http.StatusOK, `{"transactionId":"T1","data":"x"}`), tillroute.ErrDecode, true},
		"no polling URL":              {answer(http.StatusOK, `{"transactionId":"T1","data":{}}`), tillroute.ErrDecode, true},
		"polling URL is a number":     {answer(http.StatusOK, `{"transactionId":"T1","data":{"PollingUrl":7}}`), tillroute.ErrDecode, true},
		"relative polling URL":        {withURL("/pos/transaction/T1"), tillroute.ErrDecode, true},
		"no host":                     {withURL("http:///pos/transaction/T1"), tillroute.ErrDecode, true},
		"foreign polling URL":         {withURL("http://198.51.100.7/pos/transaction/T1"), tillroute.ErrDecode, true},
		"polling URL on another port": {withURL("http://127.0.0.1:1/pos/transaction/T1"), tillroute.ErrDecode, true},
		"polling URL with a password": {func(w http.ResponseWriter, r *http.Request) {
			withURL("http://user:pass@"+r.Host+"/pos/transaction/T1")(w, r)
		}, tillroute.ErrDecode, true},
		"vendor's URL for another server": {withURL("https://api.smart-connect.cloud/pos/transaction/T1"), tillroute.ErrDecode, true},
		"unreadable polling URL":          {withURL("http://[::1/pos"), tillroute.ErrDecode, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, test.answer)
			_, err := s.client(t).Register(registerID).Purchase(t.Context(), decimal.NewFromInt(5))
			require.ErrorIs(t, err, test.is)
			if test.unknown {
				require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
			} else {
				require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown)
			}
			require.Len(t, s.got(), 1, "a payment must be sent once")
		})
	}
}

func TestStartNamesTheTransactionThatItLost(t *testing.T) {
	s := newServer(t, answer(http.StatusOK, `{"transactionId":"T1","data":{"PollingUrl":"https://evil.example/?merchantAccessToken=`+pollToken+`"}}`))
	_, err := s.client(t).Register(registerID).Purchase(t.Context(), decimal.NewFromInt(5))
	require.ErrorContains(t, err, `"T1"`)
	require.NotContains(t, err.Error(), "evil.example")
	require.NotContains(t, err.Error(), pollToken)
}

func TestStartIsRepeatedWhenItNeverLeft(t *testing.T) {
	client, err := smartconnect.New(smartconnect.Config{
		BusinessName: "Toys Shop", VendorName: "Till2Go", Currency: "NZD", BaseURL: "http://127.0.0.1:1/POS",
		HTTP: tillroute.HTTPOptions{Retries: -1},
	})
	require.NoError(t, err)
	_, err = client.Register(registerID).Purchase(t.Context(), decimal.NewFromInt(5))
	require.ErrorIs(t, err, tillroute.ErrUnavailable)
	require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown, "nobody was there to take it")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = client.Register(registerID).Purchase(ctx, decimal.NewFromInt(5))
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown)
}

func TestPollingURLMayLeadToASibling(t *testing.T) {
	// The vendor's hosts can't be reached from a test; a transport stands in for them.
	tests := map[string]struct {
		pollingURL string
		ok         bool
	}{
		"same host":             {"https://api-dev.smart-connect.cloud/pos/transaction/T1?merchantAccessToken=x", true},
		"same host, other case": {"https://API-DEV.smart-connect.cloud/pos/transaction/T1", true},
		"sibling":               {"https://poll.smart-connect.cloud/pos/transaction/T1", true},
		"same host without TLS": {"http://api-dev.smart-connect.cloud/pos/transaction/T1", false},
		"sibling without TLS":   {"http://poll.smart-connect.cloud/pos/transaction/T1", false},
		"sibling on a port":     {"https://poll.smart-connect.cloud:8443/pos/transaction/T1", false},
		"looks like one":        {"https://evilsmart-connect.cloud/pos/transaction/T1", false},
		"prefix of another":     {"https://api.smart-connect.cloud.evil.example/pos/transaction/T1", false},
		"credentials":           {"https://api.smart-connect.cloud@evil.example/", false},
		"credentials for it":    {"https://user:pw@api-dev.smart-connect.cloud/pos/transaction/T1", false},
		"a backslash":           {`https://evil.example\\.smart-connect.cloud/pos/transaction/T1`, false},
		"a fragment":            {"https://evil.example#.smart-connect.cloud/", false},
		"a query":               {"https://evil.example?.smart-connect.cloud/", false},
		"an escaped host":       {"https://evil.example%2f.smart-connect.cloud/", false},
		"a wide dot":            {"https://evil.example/．smart-connect.cloud/", false},
		"no scheme":             {"//evil.example/pos/transaction/T1", false},
		"a file":                {"file://api-dev.smart-connect.cloud/etc/passwd", false},
		"an address":            {"https://169.254.169.254/latest/meta-data/", false},
		"the same on a port":    {"https://api-dev.smart-connect.cloud:8443/pos/transaction/T1", false},
		"a dot at the end":      {"https://evil.example./pos/transaction/T1", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			client, err := smartconnect.New(smartconnect.Config{
				BusinessName: "Toys Shop", VendorName: "Till2Go", Currency: "NZD", BaseURL: smartconnect.DevelopmentURL,
				HTTP: tillroute.HTTPOptions{Transport: stub(`{"transactionId":"T1","data":{"PollingUrl":"` + test.pollingURL + `"}}`)},
			})
			require.NoError(t, err)
			transaction, err := client.Register(registerID).Purchase(t.Context(), decimal.NewFromInt(5))
			if !test.ok {
				require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.pollingURL, transaction.PollingURL.Reveal())
		})
	}
}

// stub is a transport that always answers 200 with its text.
type stub string

func (s stub) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_ = r.Body.Close()
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
		Body: readCloser{strings.NewReader(string(s))}, Request: r,
	}, nil
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }
