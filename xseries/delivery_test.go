package xseries_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/delivery/deliverytest"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/memstore"
	"github.com/tillroute/tillroute/xseries"
)

// receiving is a handler of webhooks and what it handled.
type receiving struct {
	http.Handler

	mu      sync.Mutex
	handled []xseries.Delivery
	// fail is what handling returns.
	fail error
}

func (v *receiving) got() []xseries.Delivery {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]xseries.Delivery(nil), v.handled...)
}

func receive(t *testing.T, deliveries pairing.Deliveries, changes ...func(*xseries.WebhookConfig)) *receiving {
	t.Helper()
	v := &receiving{}
	config := xseries.WebhookConfig{
		Secrets: []tillroute.Secret{vectorSecret}, Deliveries: deliveries,
		Handle: func(_ context.Context, d xseries.Delivery) error {
			v.mu.Lock()
			defer v.mu.Unlock()
			if v.fail != nil {
				return v.fail
			}
			v.handled = append(v.handled, d)
			return nil
		},
	}
	for _, change := range changes {
		change(&config)
	}
	var err error
	v.Handler, err = xseries.NewWebhookHandler(config)
	require.NoError(t, err)
	return v
}

func form(payload string, more ...string) string {
	values := url.Values{"payload": {payload}}
	for i := 0; i < len(more); i += 2 {
		values.Set(more[i], more[i+1])
	}
	return values.Encode()
}

// post delivers a body that is signed.
func post(handler http.Handler, body string) *httptest.ResponseRecorder {
	return send(handler, http.MethodPost, strings.NewReader(body), signed(hex.EncodeToString(sum(vectorSecret, body))))
}

func send(handler http.Handler, method string, body io.Reader, header http.Header) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(context.Background(), method, "/hooks", body)
	r.Header = header.Clone()
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

func TestWebhookIsHandledOnce(t *testing.T) {
	v := receive(t, memstore.New(memstore.Config{}))
	body := form(`{"id":"s1","version":6220894162,"status":"CLOSED"}`, "type", "sale.update", "domain_prefix", "acme", "environment", "prod", "extra", "1")
	for range 3 {
		w := post(v, body)
		require.Equal(t, http.StatusNoContent, w.Code)
		require.Empty(t, w.Body.String())
	}
	require.Equal(t, []xseries.Delivery{{
		Type: xseries.SaleUpdate, DomainPrefix: "acme", Environment: "prod", Payload: []byte(`{"id":"s1","version":6220894162,"status":"CLOSED"}`),
		ID: "s1", Version: "6220894162",
		Form: url.Values{
			"payload": {`{"id":"s1","version":6220894162,"status":"CLOSED"}`}, "type": {"sale.update"}, "domain_prefix": {"acme"},
			"environment": {"prod"}, "extra": {"1"},
		},
	}}, v.got())
}

func TestWebhooksAreToldApart(t *testing.T) {
	long := strings.Repeat("x", 300)
	for name, test := range map[string]struct {
		bodies []string
		want   int
	}{
		"the same, signed anew with another field": {[]string{form(`{"id":"1","version":1}`), form(`{"id":"1","version":1}`, "environment", "x")}, 1},
		"versions":                     {[]string{form(`{"id":"1","version":1}`), form(`{"id":"1","version":2}`)}, 2},
		"ids":                          {[]string{form(`{"id":"1","version":1}`), form(`{"id":"2","version":1}`)}, 2},
		"types":                        {[]string{form(`{"id":"1","version":1}`, "type", "a"), form(`{"id":"1","version":1}`, "type", "b")}, 2},
		"stores":                       {[]string{form(`{"id":"1","version":1}`, "domain_prefix", "a"), form(`{"id":"1","version":1}`, "domain_prefix", "b")}, 2},
		"the same version with news":   {[]string{form(`{"id":"1","version":1,"n":1}`), form(`{"id":"1","version":1,"n":2}`), form(`{"id":"1","version":1,"n":2}`)}, 2},
		"no version":                   {[]string{form(`{"id":"1","n":1}`), form(`{"id":"1","n":2}`), form(`{"id":"1","n":1}`)}, 2},
		"no id":                        {[]string{form(`{"version":1,"n":1}`), form(`{"version":1,"n":2}`)}, 2},
		"no version, types":            {[]string{form(`{"id":"1"}`, "type", "a"), form(`{"id":"1"}`, "type", "b")}, 2},
		"a list":                       {[]string{form(`[1]`), form(`[2]`), form(`[2]`)}, 2},
		"a version twice":              {[]string{form(`{"id":"1","version":1,"version":2}`), form(`{"id":"1","version":1,"version":3}`)}, 2},
		"a very long id":               {[]string{form(`{"id":"` + long + `1","version":1}`), form(`{"id":"` + long + `2","version":1}`)}, 2},
		"large versions, not as float": {[]string{form(`{"id":"1","version":9007199254740993}`), form(`{"id":"1","version":9007199254740992}`)}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			v := receive(t, memstore.New(memstore.Config{}))
			for _, body := range test.bodies {
				require.Equal(t, http.StatusNoContent, post(v, body).Code)
			}
			require.Len(t, v.got(), test.want)
		})
	}
}

func TestWebhookKeysAreForOperators(t *testing.T) {
	store := deliverytest.NewStore()
	v := receive(t, store)
	for _, body := range []string{
		form(`{"id":"s1","version":42}`, "type", "sale.update", "domain_prefix", "acme"), form(`{"id":"s1","version":42}`), form(`{"id":"s1"}`),
		form(`{"version":42}`), form(`{"id":"` + strings.Repeat("x", 1000) + `","version":42}`), form(`[]`, "type", strings.Repeat("x", 1000)),
	} {
		require.Equal(t, http.StatusNoContent, post(v, body).Code)
	}
	require.Len(t, store.Keys, 6)
	require.Regexp(t, "^xseries sale.update/acme/s1@42#[0-9a-f]{16}$", store.Keys[0])
	require.Regexp(t, "^xseries //s1@42#[0-9a-f]{16}$", store.Keys[1])
	for _, key := range store.Keys[2:] {
		require.Regexp(t, "^xseries sha256:[0-9a-f]{64}#[0-9a-f]{16}$", key)
	}
}

func TestWebhookThatIsNotTheVendors(t *testing.T) {
	v := receive(t, memstore.New(memstore.Config{}))
	body := form(`{"id":"1","version":1}`)
	for name, header := range map[string]http.Header{
		"unsigned": {}, "another secret": signed(hex.EncodeToString(sum("another", body))), "another body": signed(vectorHex),
	} {
		w := send(v, http.MethodPost, strings.NewReader(body), header)
		require.Equal(t, http.StatusUnauthorized, w.Code, name)
	}
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut} {
		w := send(v, method, http.NoBody, signed(emptyHex))
		require.Equal(t, http.StatusMethodNotAllowed, w.Code)
		require.Equal(t, http.MethodPost, w.Header().Get("Allow"))
	}
	require.Empty(t, v.got())
}

func TestDeliveries(t *testing.T) {
	body := form(`{"id":"customer-0001","version":1}`)
	deliverytest.Run(t, deliverytest.System{
		Word: "webhook", Posted: "customer-0001", Handled: http.StatusNoContent, RetryAfter: "10", Timeout: 4 * time.Second,
		New: func(c deliverytest.Config) (http.Handler, error) {
			return xseries.NewWebhookHandler(xseries.WebhookConfig{
				Secrets: []tillroute.Secret{vectorSecret}, Deliveries: c.Deliveries, Source: c.Source, Timeout: c.Timeout, Logger: c.Logger,
				Handle: func(ctx context.Context, _ xseries.Delivery) error { return c.Handle(ctx) },
			})
		},
		Request: func(ctx context.Context) *http.Request {
			r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/hooks", strings.NewReader(body))
			r.Header = signed(hex.EncodeToString(sum(vectorSecret, body)))
			return r
		},
	})
}

func TestWebhookWhoseHandlerSaysSomethingOfSignatures(t *testing.T) {
	v := receive(t, memstore.New(memstore.Config{}))
	v.fail = xseries.ErrSignature
	require.Equal(t, http.StatusServiceUnavailable, post(v, form(`{"id":"1","version":1}`)).Code)
}

func TestWebhookThatCannotBeReadIsDeliveredAgain(t *testing.T) {
	v := receive(t, memstore.New(memstore.Config{}), func(c *xseries.WebhookConfig) { c.MaxBody = 100 })
	for name, body := range map[string]string{
		"empty": "", "no payload": "other=1", "no JSON": form("<p>"), "two": "payload=1&payload=2", "no form": "%zz", "too large": form(`"` + strings.Repeat("x", 100) + `"`),
	} {
		require.Equal(t, http.StatusServiceUnavailable, post(v, body).Code, name)
	}
	w := send(v, http.MethodPost, io.MultiReader(strings.NewReader("payload="), brokenReader{}), signed(vectorHex))
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Empty(t, v.got())
	require.Equal(t, http.StatusNoContent, post(v, form(`"as large as it may be"`)).Code)
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestWebhookHandlerNamesEveryProblem(t *testing.T) {
	_, err := xseries.NewWebhookHandler(xseries.WebhookConfig{Timeout: -1, Scheme: xseries.SignatureScheme{Part: 7}})
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	for _, field := range []string{"Secrets", "Scheme", "Deliveries", "Handle", "Timeout"} {
		require.ErrorContains(t, err, field)
	}
	_, err = xseries.NewWebhookHandler(xseries.WebhookConfig{
		Secrets: []tillroute.Secret{"a", ""}, Deliveries: memstore.New(memstore.Config{}), Handle: func(context.Context, xseries.Delivery) error { return nil },
	})
	require.ErrorContains(t, err, "empty")
}

func TestWebhookLogShowsNothingThatWasPosted(t *testing.T) {
	var log bytes.Buffer
	v := receive(t, memstore.New(memstore.Config{}), func(c *xseries.WebhookConfig) {
		c.Logger = slog.New(slog.NewTextHandler(&log, nil))
		c.MaxBody = 200
	})
	secretly := "customer-0001"
	send(v, http.MethodPost, strings.NewReader(form(secretly)), signed("deadbeef"))
	post(v, form(secretly))
	post(v, "%zz"+secretly)
	post(v, form(`"`+strings.Repeat(secretly, 30)+`"`))
	v.fail = errors.New("not now")
	post(v, form(`{"id":"`+secretly+`"}`))
	require.Equal(t, 5, strings.Count(log.String(), "webhook not handled"))
	require.Contains(t, log.String(), "not now")
	for _, text := range []string{secretly, vectorSecret.Reveal(), "deadbeef"} {
		require.NotContains(t, log.String(), text)
	}
}
