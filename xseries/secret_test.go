package xseries_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/clienttest"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/xseries"
)

// TestNoSecretShows makes everything go wrong that can, and looks for secrets in all that comes out.
func TestNoSecretShows(t *testing.T) {
	var seen clienttest.Seen
	// A server that repeats all it was told.
	echo := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			told := r.Header.Get("Authorization") + " " + r.URL.RawQuery
			body, err := json.Marshal(map[string]string{"error": "invalid_grant", "error_description": told})
			if err != nil {
				t.Error(err)
			}
			answer(status, string(body))(w, r)
		}
	}
	for name, reply := range map[string]http.HandlerFunc{
		"fine": answer(http.StatusOK, `{"access_token":"access-0001","refresh_token":"refresh-0002","data":[]}`),
		"lost": lost, "html": answer(http.StatusOK, "<html>"), "bad": echo(http.StatusBadRequest), "unauthorized": echo(http.StatusUnauthorized),
		"broken": echo(http.StatusBadGateway), "no token": answer(http.StatusOK, `{"refresh_token":"refresh-0002","access_token":`),
		"elsewhere": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://evil.example/", http.StatusFound)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, reply)
			var config xseries.Config
			personal := s.client(t, func(c *xseries.Config) {
				c.HTTP.Logger = seen.Logger()
				config = *c
			})
			app := s.app()
			app.HTTP.Logger = seen.Logger()
			tokens := newTokens()
			_, err := tokens.PutGrant(t.Context(), pairing.Grant{
				System: "xseries", Account: "acme", AccessToken: "access-0001", RefreshToken: "refresh-0001", Expiry: time.Now(),
			}, -1)
			require.NoError(t, err)
			connected := s.client(t, func(c *xseries.Config) {
				c.HTTP.Logger = seen.Logger()
				c.AccessToken, c.Tokens, c.OAuth = "", tokens, app
			})
			hooks := xseries.WebhookConfig{Secrets: []tillroute.Secret{app.ClientSecret}, Deliveries: tokens, Handle: func(context.Context, xseries.Delivery) error { return nil }}
			handler, err := xseries.NewWebhookHandler(hooks)
			seen.Show(hooks, handler, err, xseries.VerifySignature(nil, nil, xseries.SignatureScheme{}, app.ClientSecret))
			seen.Show(config, app, &app, personal, *personal, connected, *connected, connected.Registers)
			for _, client := range []*xseries.Client{personal, connected} {
				list, err := client.Registers.List(t.Context(), xseries.ListOptions{})
				seen.Show(list, err, client.RateLimit())
				hook, err := client.Webhooks.Create(t.Context(), xseries.WebhookRequest{Type: xseries.SaleUpdate, URL: "https://example.com/"})
				seen.Show(hook, err)
			}
			grant, err := app.Exchange(t.Context(), xseries.Callback{Code: "code-0001", DomainPrefix: "acme"})
			seen.Show(grant, err)
			grant, err = app.Refresh(t.Context(), pairing.Grant{Account: "acme", RefreshToken: "refresh-0001"})
			seen.Show(grant, err)
			callback, err := app.ParseCallback(url.Values{"state": {"12345678"}, "code": {"code-0001"}, "domain_prefix": {"acme"}}, "12345678")
			seen.Show(callback, err)
			_, err = app.ParseCallback(url.Values{"state": {"wrong"}, "code": {"code-0001"}, "domain_prefix": {"acme"}}, "12345678")
			seen.Show(err)
		})
	}
	seen.Hides(t, personalToken.Reveal(), "client-secret-0001", "access-0001", "refresh-0001", "refresh-0002", "code-0001")
}

func TestRenewedTokenThatAServerRepeatsIsRedacted(t *testing.T) {
	s := newServer(t,
		answer(http.StatusUnauthorized, `{"error":"Access token is not valid"}`),
		answer(http.StatusOK, `{"access_token":"renewed-0002","refresh_token":"refresh-0002"}`),
		func(w http.ResponseWriter, r *http.Request) {
			answer(http.StatusBadRequest, `{"error":"`+r.Header.Get("Authorization")+` is odd"}`)(w, r)
		})
	tokens := newTokens()
	connect(t, tokens, time.Time{})
	client := s.client(t, func(c *xseries.Config) { c.AccessToken, c.Tokens, c.OAuth = "", tokens, s.app() })
	_, err := client.Registers.List(t.Context(), xseries.ListOptions{})
	require.ErrorContains(t, err, "Bearer [redacted] is odd")
	require.Len(t, s.got(), 3)
}
