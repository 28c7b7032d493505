package paysera_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/clienttest"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/memstore"
	"github.com/tillroute/tillroute/paysera"
)

// captured is a request as the transport gets it.
type captured struct{ method, uri, body, authorization string }

// capturing answers everything with a text, and keeps what was sent.
type capturing struct {
	mu     sync.Mutex
	status int
	text   string
	got    []captured
}

func (c *capturing) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = append(c.got, captured{r.Method, r.URL.RequestURI(), string(body), r.Header.Get("Authorization")})
	return &http.Response{StatusCode: c.status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(c.text)), Request: r}, nil
}

func client(t *testing.T, transport http.RoundTripper, changes ...func(*paysera.Config)) *paysera.Client {
	t.Helper()
	config := paysera.Config{
		ClientID: "wkVd93h2uS", ClientSecret: "IrdTc8uQodU7PRpLzzLTW6wqZAO6tAMU", HTTP: tillroute.HTTPOptions{Transport: transport, Retries: -1},
	}
	for _, change := range changes {
		change(&config)
	}
	c, err := paysera.New(config)
	require.NoError(t, err)
	return c
}

// TestVectorsThroughTheClient makes the calls of the published signatures whose bytes are ours to choose.
func TestVectorsThroughTheClient(t *testing.T) {
	found := 0
	for _, v := range vectors(t) {
		transport := &capturing{status: 200, text: `{"id":1,"status":"open","transaction_key":"k","spots":[]}`}
		signed := v.signer(t)
		c := client(t, transport, func(c *paysera.Config) {
			c.Now = func() time.Time { return time.Unix(1343811600, 0) }
			c.Nonce = func() string { return v.Nonce }
			c.Parameters = paysera.Parameters{ProjectID: v.Parameters["project_id"], LocationID: v.Parameters["location_id"]}
		})
		ctx := t.Context()
		for _, call := range []func() error{
			func() error { _, err := c.Spots.Get(ctx, 1); return err },
			func() error { _, err := c.Spots.CheckIn(ctx, 1); return err },
			func() error { _, err := c.Spots.CheckOut(ctx, 1); return err },
			func() error { _, err := c.Spots.Close(ctx, 1); return err },
			func() error { _, err := c.Orders.Get(ctx, 52); return err },
			func() error { _, err := c.Orders.Remove(ctx, 52); return err },
			func() error { _, err := c.Payments.Get(ctx, 10145); return err },
			func() error { _, err := c.Spots.List(ctx, paysera.SpotWaiting, paysera.ListOptions{}); return err },
			func() error {
				_, err := c.Orders.Create(ctx, 1, paysera.OrderRequest{TransactionKey: "Pu5CPePCkm3TJPlkcbcshzkIlxeLU3WR"})
				return err
			},
		} {
			require.NoError(t, call())
		}
		for _, got := range transport.got {
			if got.method == v.Method && got.uri == v.Path && got.body == v.Body {
				require.Equal(t, v.header(), got.authorization, v.Source)
				found++
			}
		}
		require.NotNil(t, signed)
	}
	require.GreaterOrEqual(t, found, 9)
}

func TestEachAttemptIsSignedAnew(t *testing.T) {
	transport := &capturing{status: 503}
	c := client(t, transport, func(c *paysera.Config) { c.HTTP.Retries = 2 })
	_, err := c.Spots.Get(t.Context(), 1)
	require.ErrorIs(t, err, tillroute.ErrUnavailable)
	require.Len(t, transport.got, 3)
	nonce := regexp.MustCompile(`nonce="[^"]+"`)
	seen := map[string]bool{}
	for _, got := range transport.got {
		seen[nonce.FindString(got.authorization)] = true
	}
	require.Len(t, seen, 3)
}

// TestNothingIsReplayedBelow breaks a kept connection under a read, which net/http would send again, with the nonce it had.
func TestNothingIsReplayedBelow(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		seen[r.Header.Get("Authorization")]++
		n := len(seen)
		mu.Unlock()
		if n%2 == 0 {
			panic(http.ErrAbortHandler)
		}
		answer(`{"id":1}`)(w, r)
	}))
	t.Cleanup(server.Close)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	c := client(t, server.Client().Transport, func(c *paysera.Config) { c.BaseURL, c.HTTP.Retries = server.URL, 3 })
	for range 4 {
		_, err := c.Spots.Get(t.Context(), 1)
		require.NoError(t, err)
		_, err = c.Spots.Close(t.Context(), 1)
		require.NoError(t, err)
	}
	for authorization, n := range seen {
		require.Equal(t, 1, n, authorization)
	}
}

func TestConfig(t *testing.T) {
	for want, config := range map[string]paysera.Config{
		"exactly one of":          {},
		"ClientSecret is missing": {ClientID: "x"},
		"ClientID is missing":     {ClientID: `x"`, ClientSecret: "x"},
		"Account is missing":      {Tokens: memstore.New(memstore.Config{})},
		"OAuth.ClientID":          {Tokens: memstore.New(memstore.Config{}), Account: "ann"},
		"BaseURL":                 {ClientID: "x", ClientSecret: "x", BaseURL: "wallet.paysera.com"},
		"Language":                {ClientID: "x", ClientSecret: "x", Language: "a b"},
		"body_hash":               {ClientID: "x", ClientSecret: "x", Parameters: paysera.Parameters{More: map[string]string{"body_hash": ""}}},
	} {
		_, err := paysera.New(config)
		require.ErrorIs(t, err, tillroute.ErrInvalid)
		require.ErrorContains(t, err, want)
	}
	var none paysera.Client
	_, err := none.Spots.Get(t.Context(), 1)
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	_, err = none.Info(t.Context())
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	_, err = none.With(paysera.Parameters{})
	require.ErrorIs(t, err, tillroute.ErrInvalid)
}

func decode[T any](t *testing.T, name string) T {
	t.Helper()
	var value T
	require.NoError(t, json.Unmarshal([]byte(fixture(t, name)), &value))
	return value
}

func TestPublishedAnswers(t *testing.T) {
	spot := decode[paysera.Spot](t, "spot_response_open.json")
	require.Equal(t, paysera.SpotOpen, spot.Status)
	require.Equal(t, "table1", spot.Identifier)
	require.Equal(t, "Cool caffe", spot.Place.Title)
	require.Len(t, spot.Orders, 2)
	require.Equal(t, paysera.Order{ID: 53, TransactionKey: "2jStyeyh7zGQa9Q0dD6TOsEM04JPrWMO", Status: paysera.OrderPending}, spot.Orders[1])
	_, ok := spot.Register()
	require.False(t, ok, "it has no location")

	transaction := decode[paysera.Transaction](t, "transaction_apiref_create_response_partial.json")
	require.Equal(t, "pDAlAZ3z", transaction.Key)
	require.Equal(t, time.Date(2012, 12, 12, 12, 12, 12, 0, time.UTC), transaction.CreatedAt)
	total, currency, ok := transaction.Total()
	require.True(t, ok)
	require.Equal(t, "19.99 EUR", total.String()+" "+currency)
	transaction = decode[paysera.Transaction](t, "transaction_reserve_with_code_response_partial.json")
	require.EqualValues(t, 14471, transaction.WalletID)
	require.Equal(t, "50", transaction.Payments[0].Price.String())
	_, _, ok = transaction.Total()
	require.False(t, ok, "it names no currency")

	location := decode[paysera.Location](t, "location_apiref_partial.json")
	require.Equal(t, "54.699205", location.Lat.String())
	require.Equal(t, paysera.Hours{Opening: "08:00", Closing: "17:00"}, location.Hours["monday"])
	require.EqualValues(t, 15, decode[paysera.CodeInfo](t, "code_info_spot_constructed.json").SpotID)
	require.Equal(t, "pDAlAZ3z", decode[paysera.CodeInfo](t, "code_info_transaction_constructed.json").TransactionKey)
}

func TestOddAnswers(t *testing.T) {
	for text, want := range map[string]paysera.Spot{
		`{"id":"1","status":"opened","place_info":[],"orders":null,"identifier":null,"new":{}}`: {ID: 1, Status: paysera.SpotOpen},
		`{"id":1,"status":"cleaning","orders":[]}`:                                              {ID: 1, Status: "cleaning"},
	} {
		var spot paysera.Spot
		require.NoError(t, json.Unmarshal([]byte(text), &spot))
		require.Equal(t, want, spot)
	}
	for text, want := range map[string]string{
		`{"price":1999,"currency":"EUR"}`: "19.99", `{"price":"1999"}`: "19.99", `{"price_decimal":"19.990"}`: "19.99",
		`{"price":5,"price_decimal":19.99}`: "19.99", `{"price":null,"price_decimal":null}`: "0", `{"price":"x"}`: "0",
		`{"price":9007199254740993}`: "90071992547409.93", `{"beneficiary":5,"wallet":null,"parameters":null,"freeze":[]}`: "0",
	} {
		var payment paysera.Payment
		require.NoError(t, json.Unmarshal([]byte(text), &payment))
		require.Equal(t, want, payment.Price.String(), text)
	}
	var payment paysera.Payment
	require.NoError(t, json.Unmarshal([]byte(`{"beneficiary":{"id":7,"email":"a@b"},"wallet":{"id":3}}`), &payment))
	require.Equal(t, paysera.Beneficiary{ID: 7, Email: "a@b"}, payment.Beneficiary)
	require.EqualValues(t, 3, payment.WalletID)
	var transaction paysera.Transaction
	require.NoError(t, json.Unmarshal([]byte(`{"transaction_key":"k","callback_uri":false,"payments":[5],"reserve":{"for":2592000}}`), &transaction))
	require.EqualValues(t, 5, transaction.Payments[0].ID)
	require.Equal(t, 30*24*time.Hour, transaction.ReservedFor)
	require.Empty(t, transaction.CallbackURL)
	var location paysera.Location
	require.NoError(t, json.Unmarshal([]byte(`{"id":1,"working_hours":[]}`), &location))
	require.Empty(t, location.Hours)
	for _, text := range []string{`{}`, `null`, `[]`, `"x"`, ``} {
		c := client(t, &capturing{status: 200, text: text})
		_, err := c.Spots.Get(t.Context(), 1)
		require.ErrorIs(t, err, tillroute.ErrDecode, text)
		_, err = c.Transactions.Confirm(t.Context(), "k", nil)
		require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown, "it may have been confirmed: %s", text)
	}
}

func TestRequestBodies(t *testing.T) {
	price := decimal.RequireFromString
	for want, request := range map[string]paysera.TransactionRequest{
		`{"payments":[{"currency":"EUR","description":"Tea","price_decimal":"1.50"}]}`: {
			Payments: []paysera.PaymentRequest{{Description: "Tea", Price: price("1.5"), Currency: "EUR"}},
		},
		`{"auto_confirm":true,"callback_uri":false,"payments":[7],"reserve":{"until":1000},"use_allowance":true,"user":{"email":"a@b"}}`: {
			Payments: []paysera.PaymentRequest{{ID: 7}}, ReserveUntil: time.Unix(1000, 0), AutoConfirm: true, NoCallback: true, UserEmail: "a@b",
			More: map[string]any{"use_allowance": true},
		},
		`{"payments":[{"beneficiary":{"id":3},"currency":"JPY","description":"x","freeze":{"for":60},"price_decimal":"100","purpose":"tips"}]}`: {
			Payments: []paysera.PaymentRequest{{
				Description: "x", Price: price("100"), Currency: "JPY", FreezeFor: time.Minute, Purpose: "tips", Beneficiary: paysera.Beneficiary{ID: 3},
			}},
		},
	} {
		transport := &capturing{status: 200, text: `{"transaction_key":"k"}`}
		_, err := client(t, transport).Transactions.Create(t.Context(), request)
		require.NoError(t, err)
		require.Equal(t, want, transport.got[0].body)
	}
	for _, bad := range []paysera.TransactionRequest{
		{},
		{Payments: []paysera.PaymentRequest{{Price: price("1"), Currency: "EUR"}}},
		{Payments: []paysera.PaymentRequest{{Description: "x", Currency: "EUR"}}},
		{Payments: []paysera.PaymentRequest{{Description: "x", Price: price("-1"), Currency: "EUR"}}},
		{Payments: []paysera.PaymentRequest{{Description: "x", Price: price("1.001"), Currency: "EUR"}}},
		{Payments: []paysera.PaymentRequest{{Description: "x", Price: price("1"), Currency: "eur"}}},
		{Payments: []paysera.PaymentRequest{{ID: 1}}, ReserveFor: time.Second, ReserveUntil: time.Unix(1, 0)},
		{Payments: []paysera.PaymentRequest{{ID: 1}}, ReserveFor: time.Millisecond},
		{Payments: []paysera.PaymentRequest{{ID: 1}}, CallbackURL: "x", NoCallback: true},
	} {
		transport := &capturing{status: 200}
		_, err := client(t, transport).Transactions.Create(t.Context(), bad)
		require.ErrorIs(t, err, tillroute.ErrInvalid)
		require.Empty(t, transport.got)
	}
	for want, reservation := range map[string]paysera.Reservation{
		``:                                    {},
		`{"pin":"1234"}`:                      {PIN: "1234", Wallet: "14471"},
		`{"pin_code":"1234","wallet_id":144}`: {PINCode: "1234", WalletID: 144},
		`{"payer":{"card":{"issuer":"i","number":"n"}}}`: {Payer: paysera.Payer{CardIssuer: "i", CardNumber: "n"}},
	} {
		transport := &capturing{status: 200, text: `{"transaction_key":"k"}`}
		_, err := client(t, transport).Transactions.Reserve(t.Context(), "k", reservation)
		require.NoError(t, err)
		require.Equal(t, want, transport.got[0].body)
		require.Equal(t, reservation.Wallet != "", strings.HasSuffix(transport.got[0].uri, "/14471"))
	}
}

func TestErrorsInEveryShape(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		kind   error
		code   string
		says   string
	}{
		{403, fixture(t, "error_forbidden.json"), tillroute.ErrForbidden, "forbidden", "no rights to read it"},
		{400, `{"error":"invalid_state","error_description":"x"}`, tillroute.ErrConflict, "invalid_state", "x"},
		{400, `{"error":"not_enough_funds"}`, tillroute.ErrInvalid, "", "not_enough_funds"},
		{400, `{"error":"rate_limit_exceeded","error_description":"x"}`, tillroute.ErrRateLimited, "rate_limit_exceeded", ""},
		{400, `{"error":"invalid_parameters","error_description":"bad","error_properties":{"price":["too low","odd"],"limit":"x"}}`, tillroute.ErrInvalid, "invalid_parameters", "limit: x; price: too low, odd"},
		{400, `{"error":"invalid_parameters","error_description":"bad","error_properties":[],"errors":[{"code":"c","message":"m","field":"f"}]}`, tillroute.ErrInvalid, "invalid_parameters", "f: m"},
		{405, `{"error":"not_found","error_description":"x"}`, tillroute.ErrNotFound, "not_found", ""},
		{502, "<html>", tillroute.ErrUnavailable, "", ""},
		{406, "nope", tillroute.ErrInvalid, "", ""},
		{302, "", nil, "", "redirect"},
	} {
		_, err := client(t, &capturing{status: c.status, text: c.body}).Spots.Get(t.Context(), 1)
		require.Error(t, err)
		if c.kind != nil {
			require.ErrorIs(t, err, c.kind, c.body)
		}
		require.ErrorContains(t, err, c.says)
		if c.code != "" {
			require.ErrorContains(t, err, "code "+c.code)
		}
	}
	_, err := client(t, &capturing{status: 400, text: `{"error":"e","error_uri":"u","error_data":{"a":1},"errors":[{"code":"c"}]}`}).Spots.Get(t.Context(), 1)
	d, ok := paysera.DetailsOf(err)
	require.True(t, ok)
	require.Equal(t, paysera.Details{URI: "u", Data: json.RawMessage(`{"a":1}`), Violations: []paysera.Violation{{Code: "c"}}}, d)
	_, ok = paysera.DetailsOf(context.Canceled)
	require.False(t, ok)
}

// TestNoSecretShows makes things go wrong, and looks for secrets in all that comes out.
func TestNoSecretShows(t *testing.T) {
	var seen clienttest.Seen
	tokens := memstore.New(memstore.Config{})
	grant := pairing.Grant{
		System: "paysera", Account: "ann", AccessToken: "access-token-1", RefreshToken: "refresh-token-1", Extra: "mac-key-secret-1",
	}
	_, err := tokens.PutGrant(t.Context(), grant, -1)
	require.NoError(t, err)
	for _, text := range []string{
		`{"error":"invalid_grant","error_description":"Token has expired: access-token-1 refresh-token-1 mac-key-secret-1"}`,
		`{"error":"x access-token-1","errors":[{"message":"access-token-1"}]}`, "<html>access-token-1", "",
	} {
		transport := &capturing{status: 400, text: text}
		options := tillroute.HTTPOptions{Transport: roundTripper(transport.RoundTrip), Retries: -1, Logger: seen.Logger()}
		app := paysera.OAuth{ClientID: "app", ClientSecret: "app-secret-0001", HTTP: options}
		c, err := paysera.New(paysera.Config{OAuth: app, Tokens: tokens, Account: "ann", HTTP: options})
		require.NoError(t, err)
		seen.Show(c, *c, c.Spots)
		_, err = c.Spots.Get(t.Context(), 1)
		seen.Show(err)
		require.Error(t, err)
		_, err = c.Transactions.Reserve(t.Context(), "k", paysera.Reservation{Wallet: "me", PIN: "pin-123456"})
		seen.Show(err, paysera.Reservation{PIN: "pin-123456"})
		_, err = app.Refresh(t.Context(), grant)
		seen.Show(err, app, grant)
		seen.Show(app.Revoke(t.Context(), grant))
		transport.text = strings.ReplaceAll(text, "access-token-1", "code-123456")
		transport.text = strings.NewReplacer("refresh-token-1", "", "mac-key-secret-1", "").Replace(transport.text)
		_, err = app.Exchange(t.Context(), paysera.Callback{Code: "code-123456"}, "ann")
		seen.Show(err, paysera.Callback{Code: "code-123456"})
	}
	signer, err := paysera.NewSigner(paysera.SignerConfig{ID: "id", Key: "client-secret-0001"})
	require.NoError(t, err)
	require.NoError(t, signer.Sign(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://x/", nil), nil))
	merchant, err := paysera.New(paysera.Config{ClientID: "id", ClientSecret: "client-secret-0001"})
	require.NoError(t, err)
	seen.Show(signer, *signer, merchant, *merchant, paysera.Config{ClientSecret: "client-secret-0001"})
	seen.Hides(t,
		"access-token-1", "refresh-token-1", "mac-key-secret-1", "app-secret-0001", "client-secret-0001", "pin-123456", "code-123456")
}

func TestAuthCodeURL(t *testing.T) {
	app := paysera.OAuth{ClientID: "id", ClientSecret: "secret", RedirectURL: "https://x.example/back", Scopes: []string{"balance", "email"}}
	target, err := app.AuthCodeURL("some-state")
	require.NoError(t, err)
	require.Equal(t, "https://www.paysera.com/frontend/oauth?client_id=id&redirect_uri=https%3A%2F%2Fx.example%2Fback&response_type=code&scope=balance+email&state=some-state", target)
	for _, bad := range []func(*paysera.OAuth){
		func(o *paysera.OAuth) { o.ClientID = "" }, func(o *paysera.OAuth) { o.RedirectURL = "/back" },
		func(o *paysera.OAuth) { o.Scopes = []string{"a b"} }, func(o *paysera.OAuth) { o.AuthorizeURL = "x" },
	} {
		broken := app
		bad(&broken)
		_, err := broken.AuthCodeURL("some-state")
		require.ErrorIs(t, err, tillroute.ErrInvalid)
	}
	_, err = app.AuthCodeURL("short")
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	for _, query := range []url.Values{
		{}, {"state": {"other-state"}, "code": {"c"}}, {"state": {""}, "error": {"access_denied"}}, {"error": {"access_denied"}}, {"code": {"c"}},
	} {
		_, err = app.ParseCallback(query, "some-state")
		require.ErrorIs(t, err, paysera.ErrState)
	}
	for _, name := range []string{"code", "error"} {
		_, err = app.ParseCallback(url.Values{"state": {"some-state"}, name: {"a", "b"}}, "some-state")
		require.ErrorIs(t, err, tillroute.ErrInvalid)
	}
	_, err = app.ParseCallback(url.Values{"state": {""}}, "")
	require.ErrorIs(t, err, paysera.ErrState, "nothing was begun")
}

func TestTokensOfAnotherKindAreRefused(t *testing.T) {
	good := fixture(t, "access_token_response.json")
	for _, text := range []string{
		strings.ReplaceAll(good, `"mac"`, `"bearer"`), strings.ReplaceAll(good, "hmac-sha-256", "hmac-sha-1"), strings.ReplaceAll(good, "mac_key", "x"),
		strings.ReplaceAll(good, `"test_token"`, `""`), `{}`,
	} {
		app := paysera.OAuth{ClientID: "id", ClientSecret: "secret", HTTP: tillroute.HTTPOptions{Transport: &capturing{status: 200, text: text}}}
		_, err := app.Refresh(t.Context(), pairing.Grant{RefreshToken: "r"})
		require.ErrorIs(t, err, tillroute.ErrDecode)
		require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown, "the refresh token may be used up")
	}
	app := paysera.OAuth{ClientID: "id", ClientSecret: "secret", HTTP: tillroute.HTTPOptions{Transport: &capturing{status: 200, text: good}}}
	grant, err := app.Refresh(t.Context(), pairing.Grant{Account: "ann", RefreshToken: "r", Scope: "s"})
	require.NoError(t, err)
	require.Equal(t, "test_token test_refresh_token test_key s", strings.Join([]string{
		grant.AccessToken.Reveal(), grant.RefreshToken.Reveal(), grant.Extra.Reveal(), grant.Scope,
	}, " "))
	require.WithinDuration(t, time.Now().Add(time.Hour), grant.Expiry, time.Minute)
}

func TestSpotCodes(t *testing.T) {
	for text, want := range map[string]paysera.SpotCode{
		"PAYSERA*3:TABLE1": {3, "TABLE1"}, "PAYSERA*9975:table1": {9975, "table1"}, "PAYSERA*3:A:B*%": {3, "A:B*%"}, "PAYSERA*3:T 7": {3, "T 7"},
		"https://paysera.com/app?qr=PAYSERA*3%3AB%C3%BC": {3, "Bü"},
	} {
		got, err := paysera.ParseSpotCode(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got)
	}
	for _, text := range []string{
		"", "PAYSERA*3", "PAYSERA*:x", "PAYSERA*03:x", "PAYSERA*-3:x", "PAYSERA*+3:x", "PAYSERA*0:x", "PAYSERA*3:", "PAYSERA%key", "paysera*3:x",
		"PAYSERA*3:a\nb", "PAYSERA*99999999999999999999:x", "https://paysera.com/app?qr=", "https://evil.example/app?qr=PAYSERA*3%3AA",
		"PAYSERA*3:" + strings.Repeat("x", 201), "PAYSERA*3:\xff",
	} {
		_, err := paysera.ParseSpotCode(text)
		require.ErrorIs(t, err, tillroute.ErrInvalid, text)
	}
	_, err := paysera.NewSpotCode(0, "x")
	require.ErrorIs(t, err, tillroute.ErrInvalid)
}

func FuzzParseSpotCode(f *testing.F) {
	f.Add("PAYSERA*3:TABLE1")
	f.Add("https://paysera.com/app?qr=PAYSERA*3%3ATABLE1")
	f.Fuzz(func(t *testing.T, text string) {
		code, err := paysera.ParseSpotCode(text)
		if err != nil {
			return
		}
		again, err := paysera.ParseSpotCode(code.String())
		require.NoError(t, err)
		require.Equal(t, code, again)
	})
}

func FuzzAnswers(f *testing.F) {
	for _, name := range []string{"spot_response_open.json", "transaction_apiref_create_response_partial.json", "location_apiref_partial.json", "code_info_spot_constructed.json"} {
		f.Add([]byte(fixture(f, name)))
	}
	f.Add([]byte(`{"payments":[{"price":1e40,"freeze":{"for":1e30},"beneficiary":[]}],"orders":[{"transaction":{}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, value := range []any{new(paysera.Spot), new(paysera.Order), new(paysera.Transaction), new(paysera.Payment), new(paysera.Location), new(paysera.CodeInfo)} {
			if json.Unmarshal(data, value) != nil {
				continue
			}
			if transaction, ok := value.(*paysera.Transaction); ok {
				if total, _, ok := transaction.Total(); ok {
					require.True(t, total.IsPositive())
				}
			}
		}
	})
}

// TestWhatMovesMoneyIsSentOnce has each call that makes something, or moves money, fail in a way that leaves open whether it was
// carried out.
func TestWhatMovesMoneyIsSentOnce(t *testing.T) {
	request := paysera.TransactionRequest{Payments: []paysera.PaymentRequest{{ID: 1}}}
	once := map[string]func(context.Context, *paysera.Client) error{
		"create": func(ctx context.Context, c *paysera.Client) error {
			_, err := c.Transactions.Create(ctx, request)
			return err
		},
		"confirm": func(ctx context.Context, c *paysera.Client) error {
			_, err := c.Transactions.Confirm(ctx, "k", nil)
			return err
		},
		"reserve": func(ctx context.Context, c *paysera.Client) error {
			_, err := c.Transactions.Reserve(ctx, "k", paysera.Reservation{})
			return err
		},
		"reserve with a wallet": func(ctx context.Context, c *paysera.Client) error {
			_, err := c.Transactions.Reserve(ctx, "k", paysera.Reservation{Wallet: paysera.Me})
			return err
		},
		"renew": func(ctx context.Context, c *paysera.Client) error {
			_, err := c.Transactions.Renew(ctx, "k")
			return err
		},
		"flash": func(ctx context.Context, c *paysera.Client) error { return c.Transactions.Flash(ctx, "k", "1") },
		"request": func(ctx context.Context, c *paysera.Client) error {
			_, err := c.Transactions.Request(ctx, "k", paysera.Addressee{UserID: 1})
			return err
		},
		"order": func(ctx context.Context, c *paysera.Client) error {
			_, err := c.Orders.Create(ctx, 1, paysera.OrderRequest{TransactionKey: "k"})
			return err
		},
		"edit with a transaction": func(ctx context.Context, c *paysera.Client) error {
			_, err := c.Orders.Edit(ctx, 1, paysera.OrderRequest{Transaction: &request})
			return err
		},
		"payment": func(ctx context.Context, c *paysera.Client) error {
			_, err := c.Payments.Create(ctx, paysera.PaymentRequest{Description: "x", Price: decimal.NewFromInt(1), Currency: "EUR"})
			return err
		},
		"freeze": func(ctx context.Context, c *paysera.Client) error {
			_, err := c.Payments.Freeze(ctx, 1, time.Hour)
			return err
		},
		"finalize": func(ctx context.Context, c *paysera.Client) error { _, err := c.Payments.Finalize(ctx, 1); return err },
	}
	for name, call := range once {
		transport := &capturing{status: 503}
		err := call(t.Context(), client(t, transport, func(c *paysera.Config) { c.HTTP.Retries = 3 }))
		require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown, name)
		require.Len(t, transport.got, 1, name)
	}
}

func TestRedirectsAreRefused(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		http.Redirect(w, r, "/rest/v1/spot/2", http.StatusFound)
	}))
	t.Cleanup(server.Close)
	c := client(t, server.Client().Transport, func(c *paysera.Config) { c.BaseURL = server.URL })
	_, err := c.Spots.Get(t.Context(), 1)
	require.ErrorContains(t, err, "redirect")
	require.EqualValues(t, 1, asked.Load(), "the signature was for another address")
}

func TestATokenIsRenewedOnceForACall(t *testing.T) {
	tokens := memstore.New(memstore.Config{})
	_, err := tokens.PutGrant(t.Context(), pairing.Grant{System: "paysera", Account: "ann", AccessToken: "a", RefreshToken: "r", Extra: "k"}, -1)
	require.NoError(t, err)
	renewals, calls := 0, 0
	says := "Token has expired"
	transport := roundTripper(func(r *http.Request) (*http.Response, error) {
		status, text := 400, fmt.Sprintf(`{"error":"invalid_grant","error_description":%q}`, says)
		if strings.HasSuffix(r.URL.Path, "/token") {
			renewals++
			status, text = 200, strings.ReplaceAll(fixture(t, "access_token_response.json"), "test_token", fmt.Sprint("token-", renewals))
		} else {
			calls++
		}
		return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(text)), Request: r}, nil
	})
	c, err := paysera.New(paysera.Config{
		OAuth: paysera.OAuth{ClientID: "id", ClientSecret: "secret"}, Tokens: tokens, Account: "ann", HTTP: tillroute.HTTPOptions{Transport: transport},
	})
	require.NoError(t, err)
	_, err = c.Spots.Get(t.Context(), 1)
	require.ErrorIs(t, err, tillroute.ErrUnauthorized)
	require.Equal(t, []int{1, 2}, []int{renewals, calls})
	grant, err := tokens.Grant(t.Context(), "paysera", "ann")
	require.NoError(t, err)
	require.Equal(t, "token-1", grant.AccessToken.Reveal(), "written down")

	says = "Something else"
	_, err = c.Spots.Get(t.Context(), 1)
	require.ErrorIs(t, err, tillroute.ErrUnauthorized)
	require.Equal(t, []int{1, 3}, []int{renewals, calls}, "only what has ended is renewed")
}

// inProcess is a transport that is its own server.
type inProcess http.HandlerFunc

func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	p(w, r)
	return w.Result(), nil
}

func TestAllStartsAnewAndStops(t *testing.T) {
	var asked []string
	c := client(t, inProcess(func(w http.ResponseWriter, r *http.Request) {
		offset := r.URL.Query().Get("offset")
		asked = append(asked, offset)
		switch offset {
		case "", "0":
			answer(`{"spots":[{"id":1}],"_metadata":{"total":2,"offset":0,"limit":1}}`)(w, r)
		default:
			answer(`{"spots":[{"id":2}],"_metadata":{"total":2,"offset":1,"limit":1}}`)(w, r)
		}
	}))
	everything := c.Spots.All(t.Context(), paysera.SpotWaiting, paysera.ListOptions{})
	require.Empty(t, asked, "nothing is asked before it is needed")
	for range 2 {
		var ids []int64
		for spot, err := range everything {
			require.NoError(t, err)
			ids = append(ids, spot.ID)
		}
		require.Equal(t, []int64{1, 2}, ids)
	}
	require.Equal(t, asked[:2], asked[2:])

	asked = nil
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for _, last = range c.Spots.All(ctx, paysera.SpotWaiting, paysera.ListOptions{}) {
		cancel()
	}
	require.ErrorIs(t, last, context.Canceled)
	require.Len(t, asked, 1, "whoever ignores the error is at the end, too")
}

// TestAllEndsWhenTheListDoesNot asks a server that knows of no pages.
func TestAllEndsWhenTheListDoesNot(t *testing.T) {
	c := client(t, inProcess(answer(`{"spots":[{"id":1},{"id":2}]}`)))
	var ids []int64
	var last error
	for spot, err := range c.Spots.All(t.Context(), paysera.SpotWaiting, paysera.ListOptions{}) {
		if last = err; err != nil {
			break
		}
		ids = append(ids, spot.ID)
		require.LessOrEqual(t, len(ids), 2)
	}
	require.ErrorIs(t, last, tillroute.ErrDecode)
	require.ErrorContains(t, last, "the page from item 2 is the one before it again")
	require.Equal(t, []int64{1, 2}, ids)
}

// TestAllGoesOnWhenTheListGrows has an item come in at the beginning of a list between two pages.
func TestAllGoesOnWhenTheListGrows(t *testing.T) {
	c := client(t, inProcess(answer(`{"spots":[{"id":2}],"_metadata":{"total":2}}`)))
	var ids []int64
	for spot, err := range c.Spots.All(t.Context(), paysera.SpotWaiting, paysera.ListOptions{}) {
		require.NoError(t, err)
		ids = append(ids, spot.ID)
	}
	require.Equal(t, []int64{2, 2}, ids, "an item may come twice")
}
