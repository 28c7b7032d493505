package kseries_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute/internal/clienttest"
	"github.com/tillroute/tillroute/kseries"
	"github.com/tillroute/tillroute/pairing"
)

// TestNoSecretShows makes everything go wrong that can, and looks for secrets in all that comes out.
func TestNoSecretShows(t *testing.T) {
	var seen clienttest.Seen
	const secret = "client-secret-0001"
	// A server that repeats all it was told.
	echo := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			told := r.Header.Get("Authorization") + " " + r.URL.RawQuery
			if r.Method == http.MethodPut {
				told += " " + webhookPassword.Reveal()
			}
			if _, password, ok := r.BasicAuth(); ok {
				told += " " + password
			}
			body, err := json.Marshal(map[string]any{
				"error": "invalid_grant", "error_description": told, "message": told,
				"errors": []any{map[string]string{"code": told, "title": told}},
			})
			if err != nil {
				t.Error(err)
			}
			answer(status, string(body))(w, r)
		}
	}
	for name, reply := range map[string]http.HandlerFunc{
		"fine": answer(http.StatusOK, `{"status":"ok","endpointId":"E1","password":"`+webhookPassword.Reveal()+
			`","access_token":"access-0001","refresh_token":"refresh-0002"}`),
		"lost": lost, "html": answer(http.StatusOK, "<html>"), "bad": echo(http.StatusBadRequest), "unauthorized": echo(http.StatusUnauthorized),
		"broken": echo(http.StatusBadGateway), "not ok": answer(http.StatusOK, `{"status":"fail"}`),
		"no token": answer(http.StatusOK, `{"refresh_token":"refresh-0002","access_token":`),
		"elsewhere": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://evil.example/?"+r.URL.RawQuery, http.StatusFound)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, reply)
			var config kseries.Config
			fixed := s.client(t, func(c *kseries.Config) {
				c.HTTP.Logger = seen.Logger()
				config = *c
			})
			app := s.app()
			app.ClientSecret, app.HTTP.Logger = secret, seen.Logger()
			old := app
			old.Version = kseries.V1
			tokens := newTokens()
			_, err := tokens.PutGrant(t.Context(), pairing.Grant{
				System: "kseries", Account: "acme", AccessToken: "access-0001", RefreshToken: "refresh-0001", Expiry: time.Now(),
			}, -1)
			require.NoError(t, err)
			connected := s.client(t, func(c *kseries.Config) {
				c.HTTP.Logger = seen.Logger()
				c.AccessToken, c.Tokens, c.Account, c.OAuth = "", tokens, "acme", app
			})
			hooks := kseries.NotificationConfig{
				Credentials: []kseries.Credential{{"lightspeed", webhookPassword}}, Deliveries: tokens, Logger: seen.Logger(),
				Handle: func(context.Context, kseries.Notification) error { return nil },
			}
			handler, err := kseries.NewNotificationHandler(hooks)
			seen.Show(hooks, handler, err)
			postAs(handler, "lightspeed", webhookPassword.Reveal()+"x", strings.NewReader(paid))
			post(handler, "no JSON "+webhookPassword.Reveal())
			seen.Show(config, app, &app, fixed, *fixed, connected, *connected, connected.Payments)
			e := endpoint()
			e.Password = webhookPassword
			seen.Show(e, &e)
			for _, client := range []*kseries.Client{fixed, connected} {
				submitted, err := client.Payments.Apply(t.Context(), payment())
				seen.Show(submitted, err)
				created, err := client.Webhooks.Create(t.Context(), e)
				seen.Show(created, err)
				read, err := client.Webhooks.Get(t.Context(), "E1")
				seen.Show(read, err)
			}
			for _, o := range []kseries.OAuth{app, old} {
				grant, err := o.Exchange(t.Context(), "acme", "code-0001")
				seen.Show(grant, err)
				grant, err = o.Refresh(t.Context(), pairing.Grant{RefreshToken: "refresh-0001"})
				seen.Show(grant, err)
			}
			code, err := app.ParseCallback(url.Values{"state": {"12345678"}, "code": {"code-0001"}}, "12345678")
			seen.Show(code, err)
			_, err = app.ParseCallback(url.Values{"state": {"wrong"}, "code": {"code-0001"}}, "12345678")
			seen.Show(err)
		})
	}
	seen.Hides(t, accessToken.Reveal(), secret, "access-0001", "refresh-0001", "refresh-0002", "code-0001", webhookPassword.Reveal(),
		base64.StdEncoding.EncodeToString([]byte("client-id:"+secret)))
}

func TestRenewedTokenThatAServerRepeatsIsRedacted(t *testing.T) {
	s := newServer(t,
		answer(http.StatusUnauthorized, `{"error":"expired"}`),
		answer(http.StatusOK, `{"access_token":"renewed-0002","refresh_token":"refresh-0002"}`),
		func(w http.ResponseWriter, r *http.Request) {
			answer(http.StatusBadRequest, `{"message":"`+r.Header.Get("Authorization")+` is odd"}`)(w, r)
		})
	tokens := newTokens()
	connect(t, tokens, time.Time{})
	client := s.client(t, func(c *kseries.Config) { c.AccessToken, c.Tokens, c.Account, c.OAuth = "", tokens, "acme", s.app() })
	_, err := client.Businesses.List(t.Context())
	require.ErrorContains(t, err, "Bearer [redacted] is odd")
	require.Len(t, s.got(), 3)
}
