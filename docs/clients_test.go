package docs_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/testserver"
	"github.com/tillroute/tillroute/kseries"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/memstore"
	"github.com/tillroute/tillroute/paysera"
	"github.com/tillroute/tillroute/pms"
	"github.com/tillroute/tillroute/pms/pmstest"
	"github.com/tillroute/tillroute/smartconnect"
	"github.com/tillroute/tillroute/xseries"
	"github.com/tillroute/tillroute/xseries/gateway"
)

// listing has a client of the simulated X-Series, changed by change, list the registers.
func listing(change func(sys *testserver.Systems, c *xseries.Config)) func(t *testing.T) string {
	return func(t *testing.T) string {
		t.Helper()
		sys := simulated(t, testserver.Options{})
		d := sys.Describe().XSeries
		config := xseries.Config{
			DomainPrefix: d.DomainPrefix, AccessToken: tillroute.Secret(d.PersonalToken), BaseURL: d.BaseURL, HTTP: options(t),
		}
		change(sys, &config)
		client, err := xseries.New(config)
		if err == nil {
			_, err = client.Registers.List(t.Context(), xseries.ListOptions{})
		}
		return sees(t, err)
	}
}

func clientMistakes() []mistake {
	return []mistake{
		{"the base URL is a host alone", listing(func(_ *testserver.Systems, c *xseries.Config) { c.BaseURL = "acme.example.com" })},
		{"the base URL has a password", listing(func(_ *testserver.Systems, c *xseries.Config) { c.BaseURL = "https://me:password@acme.example.com" })},
		{"nothing listens at the base URL", func(t *testing.T) string {
			if runtime.GOOS == "windows" {
				return "" // It says so in other words.
			}
			return listing(func(_ *testserver.Systems, c *xseries.Config) { c.BaseURL = "http://127.0.0.1:1" })(t)
		}},
		{"the base URL is https, and the server isn't", listing(func(_ *testserver.Systems, c *xseries.Config) {
			c.BaseURL = strings.Replace(c.BaseURL, "http://", "https://", 1)
		})},
		{"nobody vouches for the server's certificate", listing(func(_ *testserver.Systems, c *xseries.Config) {
			server := secured()
			c.BaseURL = server.URL
			c.HTTP.Transport = once{c.HTTP.Transport, server}
		})},
		{"the base URL is http, and the server speaks https", listing(func(_ *testserver.Systems, c *xseries.Config) {
			server := secured()
			c.BaseURL = strings.Replace(server.URL, "https://", "http://", 1)
			c.HTTP.Transport = once{c.HTTP.Transport, server}
		})},
		{"the base URL is that of another server", listing(func(sys *testserver.Systems, c *xseries.Config) { c.BaseURL = sys.PublicURL() })},
		{"a proxy asks for a log-in with a page", listing(func(sys *testserver.Systems, _ *xseries.Config) {
			sys.Fault(testserver.On("xseries", "GET", "/api"), testserver.HTMLBody(http.StatusOK))
		})},
		{"a proxy answers with a page of its own", listing(func(sys *testserver.Systems, _ *xseries.Config) {
			sys.Fault(testserver.On("xseries", "GET", "/api"), testserver.HTMLBody(http.StatusBadGateway))
		})},
		{"a proxy leads elsewhere", listing(func(sys *testserver.Systems, _ *xseries.Config) {
			sys.Fault(testserver.On("xseries", "GET", "/api"), testserver.RedirectTo("https://login.example.com/"))
		})},
		{"a proxy strips the Authorization header", listing(func(_ *testserver.Systems, c *xseries.Config) {
			c.HTTP.Transport = stripping{c.HTTP.Transport}
		})},
		{"the server hangs, and the context has no deadline", listing(func(sys *testserver.Systems, c *xseries.Config) {
			c.HTTP.Timeout = 50 * time.Millisecond
			sys.Fault(testserver.On("xseries", "GET", "/api"), testserver.Delay(time.Hour))
		})},
		{"the context had ended before the call", func(t *testing.T) string {
			client, err := xseries.New(xseries.Config{DomainPrefix: "acme", AccessToken: "token", HTTP: options(t)})
			require.NoError(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_, err = client.Registers.List(ctx, xseries.ListOptions{})
			return sees(t, err)
		}},
		{"a timeout is negative", listing(func(_ *testserver.Systems, c *xseries.Config) { c.HTTP.Timeout = -1 })},
		{"a middleware is nil", listing(func(_ *testserver.Systems, c *xseries.Config) { c.HTTP.Middleware = []tillroute.Middleware{nil} })},
		{"a client was not made by New", func(t *testing.T) string {
			_, err := (&xseries.Client{}).Registers.List(t.Context(), xseries.ListOptions{})
			return sees(t, err)
		}},
	}
}

// once closes a server after the first request.
type once struct {
	next   http.RoundTripper
	server *httptest.Server
}

func (o once) RoundTrip(r *http.Request) (*http.Response, error) {
	defer o.server.Close()
	return o.next.RoundTrip(r)
}

// secured is a server that speaks https, with a certificate of its own making.
func secured() *httptest.Server {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	return server
}

// stripping is a proxy that strips the Authorization header.
type stripping struct{ next http.RoundTripper }

func (s stripping) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Del("Authorization")
	return s.next.RoundTrip(r)
}

// merchant is an application that a store's merchant connects.
type merchant struct {
	t     *testing.T
	sys   *testserver.Systems
	app   xseries.OAuth
	store *memstore.Store
}

func newMerchant(t *testing.T) *merchant {
	t.Helper()
	sys := simulated(t, testserver.Options{})
	d := sys.Describe().XSeries
	return &merchant{t, sys, xseries.OAuth{
		ClientID: d.ClientID, ClientSecret: tillroute.Secret(d.ClientSecret), RedirectURL: "https://pay.example.com/callback",
		Scopes: []string{"registers:read"}, AuthorizeURL: d.AuthorizeURL, BaseURL: d.BaseURL, HTTP: options(t),
	}, memstore.New(memstore.Config{})}
}

// consents has the merchant's browser go to the page, and returns what it comes back with.
func consents(t *testing.T, page string) url.Values {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, page, nil)
	require.NoError(t, err)
	answer, err := options(t).Transport.RoundTrip(r)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	back, err := answer.Location()
	require.NoError(t, err)
	return back.Query()
}

const state = "the state of this session"

func (m *merchant) callback() xseries.Callback {
	m.t.Helper()
	page, err := m.app.AuthCodeURL(state)
	require.NoError(m.t, err)
	callback, err := m.app.ParseCallback(consents(m.t, page), state)
	require.NoError(m.t, err)
	return callback
}

// listing connects the store and lists its outlets.
func (m *merchant) listing(spoil func(*pairing.Grant)) string {
	m.t.Helper()
	grant, err := m.app.Exchange(m.t.Context(), m.callback())
	require.NoError(m.t, err)
	spoil(&grant)
	_, err = m.store.PutGrant(m.t.Context(), grant, -1)
	require.NoError(m.t, err)
	client, err := xseries.New(xseries.Config{DomainPrefix: grant.Account, OAuth: m.app, Tokens: m.store, HTTP: options(m.t)})
	require.NoError(m.t, err)
	_, err = client.Outlets.List(m.t.Context(), xseries.ListOptions{})
	return sees(m.t, err)
}

func xseriesMistakes() []mistake {
	back := func(change func(url.Values)) func(t *testing.T) string {
		return func(t *testing.T) string {
			t.Helper()
			m := newMerchant(t)
			page, err := m.app.AuthCodeURL(state)
			require.NoError(t, err)
			query := consents(t, page)
			change(query)
			_, err = m.app.ParseCallback(query, state)
			return sees(t, err)
		}
	}
	return append([]mistake{
		{"`xseries.Config` is empty", func(t *testing.T) string {
			_, err := xseries.New(xseries.Config{})
			return sees(t, err)
		}},
		{"`DomainPrefix` is the whole host", listing(func(_ *testserver.Systems, c *xseries.Config) { c.DomainPrefix = "acme.retail.lightspeed.app" })},
		{"the access token is wrong", listing(func(_ *testserver.Systems, c *xseries.Config) { c.AccessToken = "not the token" })},
		{"`OAuth` has an empty client secret", func(t *testing.T) string {
			_, err := xseries.New(xseries.Config{DomainPrefix: "acme", OAuth: xseries.OAuth{ClientID: "id"}, Tokens: memstore.New(memstore.Config{})})
			return sees(t, err)
		}},
		{"a scope is missing", func(t *testing.T) string { return newMerchant(t).listing(func(*pairing.Grant) {}) }},
		{"the store was never connected", func(t *testing.T) string {
			m := newMerchant(t)
			client, err := xseries.New(xseries.Config{DomainPrefix: "acme", OAuth: m.app, Tokens: m.store, HTTP: options(t)})
			require.NoError(t, err)
			_, err = client.Registers.List(t.Context(), xseries.ListOptions{})
			return sees(t, err)
		}},
		{"the token has expired, and no refresh token was kept", func(t *testing.T) string {
			m := newMerchant(t)
			return m.listing(func(g *pairing.Grant) {
				g.RefreshToken = ""
				m.sys.XSeries.ExpireTokens()
			})
		}},
		{"the merchant has taken the consent back", func(t *testing.T) string {
			m := newMerchant(t)
			return m.listing(func(*pairing.Grant) { m.sys.XSeries.RevokeTokens() })
		}},
		{"the state is short", func(t *testing.T) string {
			_, err := newMerchant(t).app.AuthCodeURL("x")
			return sees(t, err)
		}},
		{"the callback has another state", back(func(q url.Values) { q.Set("state", "that of somebody else") })},
		{"the session was lost on the way", func(t *testing.T) string {
			_, err := newMerchant(t).app.ParseCallback(url.Values{"state": {state}, "code": {"code"}}, "")
			return sees(t, err)
		}},
		{"the merchant says no", func(t *testing.T) string {
			m := newMerchant(t)
			m.sys.XSeries.RefuseNextAuthorization()
			page, err := m.app.AuthCodeURL(state)
			require.NoError(t, err)
			_, err = m.app.ParseCallback(consents(t, page), state)
			return sees(t, err)
		}},
		{"the callback names a host for a store", back(func(q url.Values) { q.Set("domain_prefix", "evil.example.com/") })},
		{"a code is exchanged twice", func(t *testing.T) string {
			m := newMerchant(t)
			callback := m.callback()
			_, err := m.app.Exchange(t.Context(), callback)
			require.NoError(t, err)
			_, err = m.app.Exchange(t.Context(), callback)
			return sees(t, err)
		}},
		{"the client secret is wrong", func(t *testing.T) string {
			m := newMerchant(t)
			callback := m.callback()
			m.app.ClientSecret = "not the secret"
			_, err := m.app.Exchange(t.Context(), callback)
			return sees(t, err)
		}},
		{"`gateway.Config` is empty", func(t *testing.T) string {
			_, err := gateway.New(gateway.Config{})
			return sees(t, err)
		}},
		{"the gateway's key is short, and its URL not https", func(t *testing.T) string {
			s, m := newShop(t), newMerchant(t)
			_, err := gateway.New(gateway.Config{Router: s.router, Tokens: s.store, OAuth: m.app, URL: "http://pay.example.com", Key: "secret"})
			return sees(t, err)
		}},
	}, webhookMistakes()...)
}

// webhookMistakes are those of receivers. The vendor sees the answer, and the developer the log.
func webhookMistakes() []mistake {
	const ours = tillroute.Secret("the client secret of our application")
	deliver := func(change func(*http.Request, *xseries.WebhookConfig)) func(t *testing.T) string {
		return func(t *testing.T) string {
			t.Helper()
			var log bytes.Buffer
			config := xseries.WebhookConfig{
				Secrets: []tillroute.Secret{ours}, Deliveries: memstore.New(memstore.Config{}), Logger: logger(&log),
				Handle: func(context.Context, xseries.Delivery) error { return nil },
			}
			body := url.Values{"payload": {`{"id":"s1","version":42}`}, "type": {"sale.update"}}.Encode()
			mac := hmac.New(sha256.New, []byte(ours.Reveal()))
			mac.Write([]byte(body))
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/hooks", strings.NewReader(body))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("X-Signature", "signature="+hex.EncodeToString(mac.Sum(nil))+",algorithm=HMAC-SHA256")
			change(r, &config)
			handler, err := xseries.NewWebhookHandler(config)
			if err != nil {
				return sees(t, err)
			}
			return answered(t, handler, &log, r)
		}
	}
	return []mistake{
		{"a webhook receiver has an empty secret", deliver(func(_ *http.Request, c *xseries.WebhookConfig) { c.Secrets = []tillroute.Secret{""} })},
		{"it has the secret of another application", deliver(func(_ *http.Request, c *xseries.WebhookConfig) { c.Secrets = []tillroute.Secret{"another"} })},
		{"a proxy strips the signature's header", deliver(func(r *http.Request, _ *xseries.WebhookConfig) { r.Header.Del("X-Signature") })},
		{"middleware has read the body before the receiver", deliver(func(r *http.Request, _ *xseries.WebhookConfig) {
			_, _ = io.ReadAll(r.Body)
		})},
		{"middleware has read the form before the receiver", deliver(func(r *http.Request, _ *xseries.WebhookConfig) { _ = r.ParseForm() })},
		{"the signature is base64, and the scheme says hexadecimal", deliver(func(r *http.Request, _ *xseries.WebhookConfig) {
			r.Header.Set("X-Signature", "signature=q83vEjRWeJA=,algorithm=HMAC-SHA256")
		})},
		{"the store of deliveries is closed", deliver(func(_ *http.Request, c *xseries.WebhookConfig) {
			store := memstore.New(memstore.Config{})
			_ = store.Close()
			c.Deliveries = store
		})},
	}
}

func smartconnectMistakes() []mistake {
	created := func(change func(*smartconnect.Config)) func(t *testing.T) string {
		return func(t *testing.T) string {
			t.Helper()
			config := smartconnect.Config{BusinessName: "Toys Shop", VendorName: "Till2Go", Currency: "NZD"}
			change(&config)
			_, err := smartconnect.New(config)
			return sees(t, err)
		}
	}
	buy := func(change func(s *shop, c *smartconnect.Config) tillroute.Secret) func(t *testing.T) string {
		return func(t *testing.T) string {
			t.Helper()
			s := newShop(t).pair(t)
			paired, err := s.router.Pairing(t.Context(), till())
			require.NoError(t, err)
			config := smartconnect.Config{
				BusinessName: "Toys Shop", VendorName: "Till2Go", Currency: "NZD", BaseURL: s.sys.Describe().SmartConnect.BaseURL, HTTP: options(t),
			}
			id := change(s, &config)
			if id == "" {
				id = paired.Identity
			}
			client, err := smartconnect.New(config)
			require.NoError(t, err)
			_, err = client.Register(id).Purchase(t.Context(), decimal.NewFromInt(5))
			return sees(t, err)
		}
	}
	return []mistake{
		{"`smartconnect.Config` is empty", created(func(c *smartconnect.Config) { *c = smartconnect.Config{} })},
		{"polls are to come every second", created(func(c *smartconnect.Config) { c.PollInterval = time.Second })},
		{"the currency has no cents", created(func(c *smartconnect.Config) { c.Currency = "JPY" })},
		{"the register's ID is not the one it was paired under", buy(func(*shop, *smartconnect.Config) tillroute.Secret { return "till-1" })},
		{"the business was renamed since the pairing", buy(func(_ *shop, c *smartconnect.Config) tillroute.Secret {
			c.BusinessName = "Toys & Games"
			return ""
		})},
		{"the base URL lacks /POS", buy(func(_ *shop, c *smartconnect.Config) tillroute.Secret {
			c.BaseURL = strings.TrimSuffix(c.BaseURL, "/POS")
			return ""
		})},
		{"somebody else's payment is on the terminal", buy(func(s *shop, _ *smartconnect.Config) tillroute.Secret {
			s.device().SetBusy(testserver.BusyRefuse)
			paired, _ := s.router.Pairing(context.Background(), till())
			_, _ = s.client.Register(paired.Identity).Purchase(context.Background(), decimal.NewFromInt(1))
			return ""
		})},
		{"the reply is lost", buy(func(s *shop, _ *smartconnect.Config) tillroute.Secret {
			s.sys.Fault(testserver.On("smartconnect", "POST", "/POS/Transaction"), testserver.LoseReply())
			return ""
		})},
		{"the register has no ID", func(t *testing.T) string {
			_, err := newShop(t).client.Register("").Purchase(t.Context(), decimal.NewFromInt(5))
			return sees(t, err)
		}},
		{"the driver was made without a client", func(t *testing.T) string {
			_, err := smartconnect.NewDriver(nil).Pair(t.Context(), pairing.PairRequest{Register: till(), Code: "12345"})
			return sees(t, err)
		}},
	}
}

func payseraMistakes() []mistake {
	spots := func(change func(sys *testserver.Systems, c *paysera.Config)) func(t *testing.T) string {
		return func(t *testing.T) string {
			t.Helper()
			sys := simulated(t, testserver.Options{})
			d := sys.Describe().Paysera
			config := paysera.Config{ClientID: d.ClientID, ClientSecret: tillroute.Secret(d.ClientSecret), BaseURL: d.BaseURL, HTTP: options(t)}
			change(sys, &config)
			client, err := paysera.New(config)
			if err == nil {
				_, err = client.Spots.List(t.Context(), paysera.SpotWaiting, paysera.ListOptions{})
			}
			return sees(t, err)
		}
	}
	call := func(change func(form url.Values, c *paysera.CallbackConfig)) func(t *testing.T) string {
		return func(t *testing.T) string {
			t.Helper()
			key, err := rsa.GenerateKey(rand.Reader, 2048)
			require.NoError(t, err)
			var log bytes.Buffer
			config := paysera.CallbackConfig{
				Key:        func(context.Context) (*rsa.PublicKey, error) { return &key.PublicKey, nil },
				Deliveries: memstore.New(memstore.Config{}), Logger: logger(&log),
				Handle: func(context.Context, paysera.Event) error { return nil },
			}
			form := url.Values{"event": {`{"type":"reserved"}`}, "sign": {"c2lnbmVkIGJ5IGFub3RoZXIga2V5"}}
			change(form, &config)
			handler, err := paysera.NewCallbackHandler(config)
			require.NoError(t, err)
			return answered(t, handler, &log, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(form.Encode())))
		}
	}
	return []mistake{
		{"`paysera.Config` is empty", func(t *testing.T) string {
			_, err := paysera.New(paysera.Config{})
			return sees(t, err)
		}},
		{"the client secret is left out", spots(func(_ *testserver.Systems, c *paysera.Config) { c.ClientSecret = "" })},
		{"the client secret is wrong", spots(func(_ *testserver.Systems, c *paysera.Config) { c.ClientSecret = "not the secret" })},
		{"the client ID is wrong", spots(func(_ *testserver.Systems, c *paysera.Config) { c.ClientID = "nosuch" })},
		{"the clock is wrong, and the server can't be asked for the time", spots(func(sys *testserver.Systems, c *paysera.Config) {
			c.Now = func() time.Time { return time.Now().Add(-time.Hour) }
			sys.Fault(testserver.On("paysera", "GET", "/rest/v1/server"), testserver.Status(http.StatusServiceUnavailable, "").Always())
		})},
		{"a proxy strips the Authorization header", spots(func(_ *testserver.Systems, c *paysera.Config) {
			c.HTTP.Transport = stripping{c.HTTP.Transport}
		})},
		{"a proxy changes the host", spots(func(_ *testserver.Systems, c *paysera.Config) {
			c.HTTP.Transport = renaming{c.HTTP.Transport}
		})},
		{"the location is another merchant's", spots(func(_ *testserver.Systems, c *paysera.Config) { c.Parameters.ProjectID = 4711 })},
		{"an OAuth code is exchanged twice", func(t *testing.T) string {
			sys := simulated(t, testserver.Options{})
			d := sys.Describe().Paysera
			app := paysera.OAuth{
				ClientID: d.AppID, ClientSecret: tillroute.Secret(d.AppSecret), RedirectURL: "https://app.example.com/callback",
				Scopes: []string{"balance"}, AuthorizeURL: d.AuthURL + "/oauth", BaseURL: d.BaseURL, HTTP: options(t),
			}
			page, err := app.AuthCodeURL(state)
			require.NoError(t, err)
			callback, err := app.ParseCallback(consents(t, page), state)
			require.NoError(t, err)
			_, err = app.Exchange(t.Context(), callback, "ann")
			require.NoError(t, err)
			_, err = app.Exchange(t.Context(), callback, "ann")
			return sees(t, err)
		}},
		{"a user was never connected", func(t *testing.T) string {
			client, err := paysera.New(paysera.Config{
				OAuth:  paysera.OAuth{ClientID: "app", ClientSecret: "secret"},
				Tokens: memstore.New(memstore.Config{}), Account: "ann", HTTP: options(t),
			})
			require.NoError(t, err)
			_, err = client.Spots.Get(t.Context(), 1)
			return sees(t, err)
		}},
		{"a code of a spot is read from another QR code", func(t *testing.T) string {
			_, err := paysera.ParseSpotCode("https://shop.example.com/menu")
			return sees(t, err)
		}},
		{"a callback is not signed by the vendor", call(func(url.Values, *paysera.CallbackConfig) {})},
		{"middleware has emptied the callback's form", call(func(form url.Values, _ *paysera.CallbackConfig) { form.Del("sign") })},
		{"the vendor's key can't be fetched", func(t *testing.T) string {
			sys := simulated(t, testserver.Options{})
			client, err := paysera.New(paysera.Config{ClientID: "id", ClientSecret: "secret", BaseURL: sys.PublicURL(), HTTP: options(t)})
			require.NoError(t, err)
			return call(func(_ url.Values, c *paysera.CallbackConfig) {
				c.Key = func(ctx context.Context) (*rsa.PublicKey, error) { return client.PublicKey(ctx) }
			})(t)
		}},
	}
}

// renaming is a proxy that asks for another host.
type renaming struct{ next http.RoundTripper }

func (s renaming) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Host = "wallet.internal"
	return s.next.RoundTrip(r)
}

func kseriesMistakes() []mistake {
	check := func(change func(sys *testserver.Systems, c *kseries.Config)) func(t *testing.T) string {
		return func(t *testing.T) string {
			t.Helper()
			sys := simulated(t, testserver.Options{})
			config := kseries.Config{
				AccessToken: tillroute.Secret(sys.KSeries.Token()), BaseURL: sys.Describe().KSeries.BaseURL, HTTP: options(t),
			}
			change(sys, &config)
			client, err := kseries.New(config)
			if err == nil {
				_, err = client.Checks.Get(t.Context(), sys.Describe().KSeries.Locations[0].ID, "A9999.1")
			}
			return sees(t, err)
		}
	}
	notify := func(change func(*http.Request)) func(t *testing.T) string {
		return func(t *testing.T) string {
			t.Helper()
			var log bytes.Buffer
			handler, err := kseries.NewNotificationHandler(kseries.NotificationConfig{
				Credentials: []kseries.Credential{{Username: "till", Password: "that of our endpoint"}},
				Deliveries:  memstore.New(memstore.Config{}), Logger: logger(&log),
				Handle: func(context.Context, kseries.Notification) error { return nil },
			})
			require.NoError(t, err)
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(`{"status":"SUCCESS","type":"PAYMENT"}`))
			r.SetBasicAuth("till", "that of our endpoint")
			change(r)
			return answered(t, handler, &log, r)
		}
	}
	charge := func(key tillroute.Secret, path string, change func(*http.Request)) func(t *testing.T) string {
		return func(t *testing.T) string {
			t.Helper()
			var log bytes.Buffer
			handler, err := pms.NewHandler(pms.Config{
				Backend: inn{}, Keys: []pms.Key{{APIKey: "the API key"}}, Deliveries: memstore.New(memstore.Config{}), Logger: logger(&log),
			})
			require.NoError(t, err)
			r := pmstest.NewCharge(key).Set("fiscId", "A12345.67").Request(t.Context(), "/pms")
			r.Header.Set("X-Lightspeed-Idempotency-Key", "LS1_1")
			r.URL.Path = path
			change(r)
			return answered(t, handler, &log, r)
		}
	}
	asIs := func(*http.Request) {}
	return []mistake{
		{"`kseries.Config` is empty", func(t *testing.T) string {
			_, err := kseries.New(kseries.Config{})
			return sees(t, err)
		}},
		{"the access token is wrong", check(func(_ *testserver.Systems, c *kseries.Config) { c.AccessToken = "not the token" })},
		{"a scope is missing", check(func(sys *testserver.Systems, c *kseries.Config) {
			c.AccessToken = tillroute.Secret(sys.KSeries.Token("financial-api"))
		})},
		{"the check is closed, or never was", check(func(*testserver.Systems, *kseries.Config) {})},
		{"a notification has the password of another endpoint", notify(func(r *http.Request) { r.SetBasicAuth("till", "another") })},
		{"a proxy strips the Authorization header of notifications", notify(func(r *http.Request) { r.Header.Del("Authorization") })},
		{"middleware has read the notification's body", notify(func(r *http.Request) { _, _ = io.ReadAll(r.Body) })},
		{"`pms.Config` is empty", func(t *testing.T) string {
			_, err := pms.NewHandler(pms.Config{})
			return sees(t, err)
		}},
		{"a charge comes with another API key", charge("another", "/pms/charge", asIs)},
		{"the endpoint is mounted elsewhere than registered", charge("the API key", "/pms/charges", asIs)},
		{"a proxy strips the idempotency key", charge("the API key", "/pms/charge", func(r *http.Request) { r.Header.Del("X-Lightspeed-Idempotency-Key") })},
		{"middleware has read the charge's body", charge("the API key", "/pms/charge", func(r *http.Request) { _, _ = io.ReadAll(r.Body) })},
		{"the hotel system has no `Charge`", charge("the API key", "/pms/charge", asIs)},
	}
}

// inn is a hotel system that nobody has finished.
type inn struct{ pms.Unimplemented }
