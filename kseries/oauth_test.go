package kseries_test

import (
	"maps"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/kseries"
	"github.com/tillroute/tillroute/pairing"
)

// app is an application that is registered at the server.
func (s *server) app() kseries.OAuth {
	return kseries.OAuth{
		ClientID: "client-id", ClientSecret: clientSecret, RedirectURL: "https://pay.example.com/callback?x=1",
		Scopes: []string{"orders-api", "financial-api", "offline_access"}, TokenURL: s.URL + "/realm/token",
		HTTP: tillroute.HTTPOptions{Transport: s.Client().Transport},
	}
}

func TestPresets(t *testing.T) {
	const realm = "/realms/k-series/protocol/openid-connect"
	for _, test := range []struct {
		version             kseries.OAuthVersion
		environment         kseries.Environment
		authorize, tokenURL string
	}{
		{0, "", "https://auth.lsk-prod.app" + realm + "/auth", "https://auth.lsk-prod.app" + realm + "/token"},
		{kseries.V2, kseries.Production, "https://auth.lsk-prod.app" + realm + "/auth", "https://auth.lsk-prod.app" + realm + "/token"},
		{kseries.V2, kseries.Trial, "https://auth.lsk-demo.app" + realm + "/auth", "https://auth.lsk-demo.app" + realm + "/token"},
		{kseries.V1, "", "https://api.lsk.lightspeed.app/oauth/authorize", "https://api.lsk.lightspeed.app/oauth/token"},
		{kseries.V1, kseries.Trial, "https://api.trial.lsk.lightspeed.app/oauth/authorize", "https://api.trial.lsk.lightspeed.app/oauth/token"},
	} {
		asked := ""
		app := kseries.OAuth{
			Version: test.version, Environment: test.environment, ClientID: "id", ClientSecret: clientSecret,
			RedirectURL: "https://pay.example.com/cb", Scopes: []string{"orders-api", "offline_access"},
			HTTP: tillroute.HTTPOptions{Retries: -1, Transport: transportFunc(func(r *http.Request) (*http.Response, error) {
				asked = r.URL.Scheme + "://" + r.URL.Host + r.URL.Path
				return nil, http.ErrNotSupported
			})},
		}
		state := kseries.NewState()
		text, err := app.AuthCodeURL(state)
		require.NoError(t, err)
		u, err := url.Parse(text)
		require.NoError(t, err)
		require.Equal(t, test.authorize, u.Scheme+"://"+u.Host+u.Path)
		require.Equal(t, url.Values{
			"response_type": {"code"}, "client_id": {"id"}, "redirect_uri": {"https://pay.example.com/cb"}, "state": {state},
			"scope": {"orders-api offline_access"},
		}, u.Query())
		_, err = app.Exchange(t.Context(), "bistro", "code")
		require.Error(t, err)
		require.Equal(t, test.tokenURL, asked)
	}
}

func TestAuthCodeURLNamesEveryProblem(t *testing.T) {
	_, err := kseries.OAuth{AuthorizeURL: "ftp://x", TokenURL: "x", Scopes: []string{"a b"}, Environment: "x"}.AuthCodeURL("1234567")
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	for _, part := range []string{"ClientID", "ClientSecret", "RedirectURL", "Scopes", "AuthorizeURL", "TokenURL", "Environment", "state"} {
		require.ErrorContains(t, err, part)
	}
	_, err = kseries.OAuth{}.AuthCodeURL("12345678")
	require.ErrorContains(t, err, "Scopes are missing")
	require.NotContains(t, err.Error(), "not https")
}

// TestRedirectIsHTTPS has what the vendor takes: https, and nothing else. What stays on this machine is for tests.
func TestRedirectIsHTTPS(t *testing.T) {
	for redirect, takes := range map[string]bool{
		"https://pay.example.com/cb": true, "http://localhost/cb": true, "http://127.0.0.1:8080/cb": true, "http://[::1]:8080/cb": true,
		"http://pay.example.com/cb": false, "http://localhost.example.com/cb": false, "http://127.example.com/cb": false, "app://pay/cb": false,
		"app://localhost/cb": false,
	} {
		_, err := kseries.OAuth{ClientID: "id", ClientSecret: clientSecret, RedirectURL: redirect, Scopes: []string{"orders-api"}}.AuthCodeURL("12345678")
		if takes {
			require.NoError(t, err, redirect)
		} else {
			require.ErrorContains(t, err, "RedirectURL is not https", redirect)
			require.ErrorIs(t, err, tillroute.ErrInvalid)
		}
	}
}

func TestParseCallback(t *testing.T) {
	const state = "0123456789abcdef"
	var app kseries.OAuth
	code, err := app.ParseCallback(url.Values{"code": {"c1"}, "state": {state}, "session_state": {"x"}}, state)
	require.NoError(t, err)
	require.Equal(t, tillroute.Secret("c1"), code)
	for name, test := range map[string]struct {
		query url.Values
		state string
		is    error
	}{
		"wrong state":          {url.Values{"code": {"c1"}, "state": {"0123456789abcdeF"}}, state, kseries.ErrState},
		"no state":             {url.Values{"code": {"c1"}}, state, kseries.ErrState},
		"no session":           {url.Values{"code": {"c1"}, "state": {""}}, "", kseries.ErrState},
		"two states":           {url.Values{"code": {"c1"}, "state": {state, "x"}}, state, tillroute.ErrInvalid},
		"refused":              {url.Values{"error": {"access_denied"}, "state": {state}}, state, kseries.ErrRefused},
		"refused twice":        {url.Values{"error": {"access_denied", "x"}, "state": {state}}, state, tillroute.ErrInvalid},
		"refused, no state":    {url.Values{"error": {"access_denied"}}, state, kseries.ErrRefused},
		"forged refusal":       {url.Values{"error": {"access_denied"}, "state": {"other"}}, state, kseries.ErrState},
		"refused, with a code": {url.Values{"error": {"access_denied"}, "state": {state}, "code": {"c1"}}, state, kseries.ErrRefused},
		"no code":              {url.Values{"state": {state}}, state, tillroute.ErrInvalid},
		"two codes":            {url.Values{"state": {state}, "code": {"1", "2"}}, state, tillroute.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			code, err := app.ParseCallback(test.query, test.state)
			require.ErrorIs(t, err, test.is)
			require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown)
			require.Empty(t, code)
		})
	}
}

const basic = "Basic Y2xpZW50LWlkOmNsaWVudC1zZWNyZXQtMDAwMSY9" // client-id:client-secret-0001&=

func TestExchange(t *testing.T) {
	form := url.Values{"grant_type": {"authorization_code"}, "code": {"code-0001"}, "redirect_uri": {"https://pay.example.com/callback?x=1"}}
	inBody := url.Values{"client_id": {"client-id"}, "client_secret": {clientSecret.Reveal()}}
	maps.Copy(inBody, form)
	for name, test := range map[string]struct {
		change      func(*kseries.OAuth)
		query, body url.Values
		header      string
	}{
		"V2":              {func(*kseries.OAuth) {}, nil, form, basic},
		"V2, secret body": {func(o *kseries.OAuth) { o.SecretInBody = true }, nil, inBody, ""},
		"V1":              {func(o *kseries.OAuth) { o.Version = kseries.V1 }, form, nil, basic},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, answer(http.StatusOK, fixture(t, "oauth_token_v2_200.json")))
			app := s.app()
			test.change(&app)
			before := time.Now()
			grant, err := app.Exchange(t.Context(), "bistro", "code-0001")
			require.NoError(t, err)
			got := s.got()
			require.Len(t, got, 1)
			require.Equal(t, "POST /realm/token", got[0].method+" "+got[0].path)
			require.Equal(t, test.query.Encode(), got[0].query)
			require.Equal(t, test.body.Encode(), got[0].body)
			require.Equal(t, test.header, got[0].header.Get("Authorization"))
			if test.body != nil {
				require.Equal(t, "application/x-www-form-urlencoded", got[0].header.Get("Content-Type"))
			}
			require.WithinRange(t, grant.Expiry, before.Add(1500*time.Second), time.Now().Add(1500*time.Second))
			const life = 40 * 24 * time.Hour
			require.WithinRange(t, kseries.RefreshExpiry(grant), before.Add(life).Truncate(time.Second), time.Now().Add(life))
			require.Equal(t, time.UTC, grant.Expiry.Location())
			grant.Expiry, grant.Extra = time.Time{}, ""
			require.Equal(t, pairing.Grant{
				System: "kseries", Account: "bistro", AccessToken: "eyJhbGciOi.placeholder.access",
				RefreshToken: "eyJhbGciOi.placeholder.refresh", TokenType: "Bearer", Scope: "orders-api financial-api offline_access",
			}, grant)
		})
	}
}

func TestRefresh(t *testing.T) {
	old := pairing.Grant{
		System: "kseries", Account: "bistro", AccessToken: "old-access", RefreshToken: "old-refresh", Scope: "orders-api", Version: 7,
		Extra: "2030-01-01T00:00:00Z", Expiry: time.Now(),
	}
	for name, test := range map[string]struct {
		body          string
		refresh       tillroute.Secret
		ends, renewed bool
	}{
		"no end announced":     {`{"access_token":"new","refresh_token":"next","expires_in":1500,"refresh_expires_in":0}`, "next", true, false},
		"an end":               {`{"access_token":"new","refresh_token":"next","expires_in":"1500","refresh_expires_in":"3456000"}`, "next", true, true},
		"no refresh token":     {`{"access_token":"new"}`, "old-refresh", false, false},
		"no lifetimes at all":  {`{"access_token":"new","refresh_token":"next","scope":""}`, "next", false, false},
		"absurd lifetimes":     {`{"access_token":"new","refresh_token":"next","expires_in":9223372036854775807,"refresh_expires_in":-1}`, "next", true, false},
		"lifetimes as decimal": {`{"access_token":"new","refresh_token":"next","expires_in":1500.0}`, "next", true, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, answer(http.StatusOK, test.body))
			grant, err := s.app().Refresh(t.Context(), old)
			require.NoError(t, err)
			require.Equal(t, tillroute.Secret("new"), grant.AccessToken)
			require.Equal(t, test.refresh, grant.RefreshToken)
			require.Equal(t, "orders-api", grant.Scope, "an answer without a scope says nothing new")
			require.Equal(t, int64(7), grant.Version)
			require.Equal(t, test.ends, grant.Expiry.After(time.Now().Add(time.Minute)))
			require.Equal(t, test.ends, !grant.Expiry.IsZero())
			require.Equal(t, test.renewed, !kseries.RefreshExpiry(grant).IsZero())
			require.Equal(t, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"old-refresh"}}.Encode(), s.got()[0].body)
			require.Equal(t, basic, s.got()[0].header.Get("Authorization"))
		})
	}
}

func TestTokensThatAreRefused(t *testing.T) {
	for name, test := range map[string]struct {
		answer    http.HandlerFunc
		is        error
		reconnect bool
		outcome   tillroute.Outcome
	}{
		"dead":       {answer(400, `{"error":"invalid_grant","error_description":"Token is not active"}`), tillroute.ErrUnauthorized, true, tillroute.Failed},
		"dead, 401":  {answer(401, `{"error":"invalid_token"}`), tillroute.ErrUnauthorized, true, tillroute.Failed},
		"our secret": {answer(401, `{"error":"invalid_client","error_description":"no"}`), tillroute.ErrUnauthorized, false, tillroute.Failed},
		"our client": {answer(400, `{"error":"unauthorized_client"}`), tillroute.ErrUnauthorized, false, tillroute.Failed},
		"our ID":     {answer(400, `{"error":"invalid_client"}`), tillroute.ErrUnauthorized, false, tillroute.Failed},
		"our way":    {answer(400, `{"error":"unsupported_grant_type"}`), tillroute.ErrInvalid, false, tillroute.Failed},
		"limit":      {answer(429, `{}`), tillroute.ErrRateLimited, false, tillroute.Failed},
		"lost":       {lost, tillroute.ErrUnavailable, false, tillroute.Unknown},
		"broken":     {answer(502, `<html>`), tillroute.ErrUnavailable, false, tillroute.Unknown},
		"no token":   {answer(200, `{"refresh_token":"r"}`), tillroute.ErrDecode, false, tillroute.Unknown},
		"no JSON":    {answer(200, `<html>`), tillroute.ErrDecode, false, tillroute.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, test.answer)
			_, err := s.app().Refresh(t.Context(), pairing.Grant{RefreshToken: "old-refresh"})
			require.ErrorIs(t, err, test.is)
			require.Equal(t, test.reconnect, isReconnect(err))
			var e *tillroute.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, test.outcome, e.Outcome)
			require.Equal(t, "OAuth.Refresh", e.Operation)
			require.Len(t, s.got(), 1, "a refresh token can be used once")
		})
	}
	_, err := kseries.OAuth{}.Refresh(t.Context(), pairing.Grant{})
	require.ErrorIs(t, err, kseries.ErrReconnect)
	_, err = kseries.OAuth{}.Exchange(t.Context(), "", "")
	require.ErrorIs(t, err, tillroute.ErrInvalid)
}

func TestMissingScopes(t *testing.T) {
	app := kseries.OAuth{Scopes: []string{"orders-api", "financial-api"}}
	require.Equal(t, []string{"financial-api"}, app.MissingScopes(pairing.Grant{Scope: "email orders-api profile"}))
	require.Empty(t, app.MissingScopes(pairing.Grant{}))
	require.Zero(t, kseries.RefreshExpiry(pairing.Grant{Extra: "something else"}))
}
