package xseries_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/xseries"
)

// TestNoSecretShows makes everything go wrong that can, and looks for secrets in all that comes out.
func TestNoSecretShows(t *testing.T) {
	var out bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	show := func(values ...any) {
		for _, v := range values {
			fmt.Fprintf(&out, "%v %+v %#v %s %q\n", v, v, v, v, v)
			if text, err := json.Marshal(v); err == nil {
				out.Write(text)
			}
			logger.Info("value", "v", v)
		}
	}
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
				c.HTTP.Logger = logger
				config = *c
			})
			app := s.app()
			app.HTTP.Logger = logger
			tokens := newTokens()
			_, err := tokens.PutGrant(t.Context(), pairing.Grant{
				System: "xseries", Account: "acme", AccessToken: "access-0001", RefreshToken: "refresh-0001", Expiry: time.Now(),
			}, -1)
			require.NoError(t, err)
			connected := s.client(t, func(c *xseries.Config) {
				c.HTTP.Logger = logger
				c.AccessToken, c.Tokens, c.OAuth = "", tokens, app
			})
			hooks := xseries.WebhookConfig{Secrets: []tillroute.Secret{app.ClientSecret}, Deliveries: tokens, Handle: func(context.Context, xseries.Delivery) error { return nil }}
			handler, err := xseries.NewWebhookHandler(hooks)
			show(hooks, handler, err, xseries.VerifySignature(nil, nil, xseries.SignatureScheme{}, app.ClientSecret))
			show(config, app, &app, personal, *personal, connected, *connected, connected.Registers)
			for _, client := range []*xseries.Client{personal, connected} {
				list, err := client.Registers.List(t.Context(), xseries.ListOptions{})
				show(list, err, client.RateLimit())
				hook, err := client.Webhooks.Create(t.Context(), xseries.WebhookRequest{Type: xseries.SaleUpdate, URL: "https://example.com/"})
				show(hook, err)
			}
			grant, err := app.Exchange(t.Context(), xseries.Callback{Code: "code-0001", DomainPrefix: "acme"})
			show(grant, err)
			grant, err = app.Refresh(t.Context(), pairing.Grant{Account: "acme", RefreshToken: "refresh-0001"})
			show(grant, err)
			callback, err := app.ParseCallback(url.Values{"state": {"12345678"}, "code": {"code-0001"}, "domain_prefix": {"acme"}}, "12345678")
			show(callback, err)
			_, err = app.ParseCallback(url.Values{"state": {"wrong"}, "code": {"code-0001"}, "domain_prefix": {"acme"}}, "12345678")
			show(err)
		})
	}
	require.NotEmpty(t, out.String())
	for _, secret := range []string{
		personalToken.Reveal(), "client-secret-0001", "access-0001", "refresh-0001", "refresh-0002", "code-0001",
	} {
		require.Empty(t, near(out.String(), secret))
	}
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

// near returns what stands before a secret, if it is there.
func near(text, secret string) string {
	i := strings.Index(text, secret)
	if i < 0 {
		return ""
	}
	return text[max(0, i-200) : i+len(secret)]
}
