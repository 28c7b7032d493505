package xseries_test

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/clienttest"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/xseries"
)

const clientSecret = tillroute.Secret("client-secret-0001&=")

// app is an application that is registered at the server.
func (s *server) app() xseries.OAuth {
	return xseries.OAuth{
		ClientID:     "client-id",
		ClientSecret: clientSecret,
		RedirectURL:  "https://pay.example.com/callback?x=1",
		Scopes:       []string{"registers:read", "outlets:read"},
		BaseURL:      s.URL + "/{domain_prefix}",
		HTTP:         tillroute.HTTPOptions{Transport: s.Client().Transport},
	}
}

func TestAuthCodeURL(t *testing.T) {
	app := xseries.OAuth{
		ClientID: "id", ClientSecret: clientSecret, RedirectURL: "https://pay.example.com/cb", Scopes: []string{"registers:read", "outlets:read"},
	}
	state := xseries.NewState()
	require.GreaterOrEqual(t, len(state), 20)
	require.NotEqual(t, state, xseries.NewState())
	text, err := app.AuthCodeURL(state)
	require.NoError(t, err)
	u, err := url.Parse(text)
	require.NoError(t, err)
	require.Equal(t, "https://secure.retail.lightspeed.app/connect", u.Scheme+"://"+u.Host+u.Path)
	require.Equal(t, url.Values{
		"response_type": {"code"}, "client_id": {"id"}, "redirect_uri": {"https://pay.example.com/cb"}, "state": {state},
		"scope": {"registers:read outlets:read"},
	}, u.Query())

	_, err = xseries.OAuth{AuthorizeURL: "ftp://x", BaseURL: "x", Scopes: []string{"a b"}}.AuthCodeURL("1234567")
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	for _, part := range []string{"ClientID", "ClientSecret", "RedirectURL", "Scopes", "AuthorizeURL", "BaseURL", "state"} {
		require.ErrorContains(t, err, part)
	}
	app.Scopes = nil
	_, err = app.AuthCodeURL(state)
	require.ErrorContains(t, err, "Scopes are missing")
}

func TestParseCallback(t *testing.T) {
	const state = "0123456789abcdef"
	good := url.Values{"code": {"c1"}, "domain_prefix": {"acme"}, "state": {state}, "scope": {"registers:read"}, "user_id": {"7"}}
	with := func(changes url.Values) url.Values {
		query := maps.Clone(good)
		maps.Copy(query, changes)
		return query
	}
	var app xseries.OAuth
	callback, err := app.ParseCallback(good, state)
	require.NoError(t, err)
	require.Equal(t, xseries.Callback{Code: "c1", DomainPrefix: "acme", Scope: "registers:read"}, callback)

	for name, test := range map[string]struct {
		query url.Values
		state string
		is    error
	}{
		"wrong state":            {with(url.Values{"state": {"0123456789abcdeF"}}), state, xseries.ErrState},
		"no state":               {with(url.Values{"state": nil}), state, xseries.ErrState},
		"no session":             {with(url.Values{"state": {""}}), "", xseries.ErrState},
		"two states":             {with(url.Values{"state": {state, "x"}}), state, tillroute.ErrInvalid},
		"refused":                {url.Values{"error": {"access_denied"}, "state": {state}}, state, xseries.ErrRefused},
		"refused without state":  {url.Values{"error": {"access_denied"}}, state, xseries.ErrRefused},
		"forged refusal":         {url.Values{"error": {"access_denied"}, "state": {"other"}}, state, xseries.ErrState},
		"refused, with a code":   {with(url.Values{"error": {"access_denied"}}), state, xseries.ErrRefused},
		"no code":                {with(url.Values{"code": nil}), state, tillroute.ErrInvalid},
		"two codes":              {with(url.Values{"code": {"1", "2"}}), state, tillroute.ErrInvalid},
		"no prefix":              {with(url.Values{"domain_prefix": nil}), state, tillroute.ErrInvalid},
		"two prefixes":           {with(url.Values{"domain_prefix": {"acme", "evil"}}), state, tillroute.ErrInvalid},
		"another host":           {with(url.Values{"domain_prefix": {"evil.example/"}}), state, tillroute.ErrInvalid},
		"another host by port":   {with(url.Values{"domain_prefix": {"evil.example:443#"}}), state, tillroute.ErrInvalid},
		"another host by user":   {with(url.Values{"domain_prefix": {"a@evil"}}), state, tillroute.ErrInvalid},
		"prefix with a dot":      {with(url.Values{"domain_prefix": {"acme.evil"}}), state, tillroute.ErrInvalid},
		"prefix with line break": {with(url.Values{"domain_prefix": {"acme\r\n"}}), state, tillroute.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			callback, err := app.ParseCallback(test.query, test.state)
			require.ErrorIs(t, err, test.is)
			require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown)
			require.Zero(t, callback)
		})
	}
	_, err = app.ParseCallback(url.Values{"error": {"access_denied"}, "error_description": {"no"}, "state": {state}}, state)
	var e *tillroute.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, "access_denied", e.Code)
	require.Equal(t, tillroute.KindForbidden, e.Kind)
}

func TestExchange(t *testing.T) {
	s := newServer(t, answer(http.StatusOK, fixture(t, "oauth_token_response_scoped.synthetic.json")))
	before := time.Now()
	grant, err := s.app().Exchange(t.Context(), xseries.Callback{Code: "code-0001", DomainPrefix: "example", Scope: "registers:read"})
	require.NoError(t, err)
	require.WithinRange(t, grant.Expiry, before.Add(86400*time.Second), time.Now().Add(86400*time.Second))
	require.Equal(t, time.UTC, grant.Expiry.Location())
	grant.Expiry = time.Time{}
	require.Equal(t, pairing.Grant{
		System: "xseries", Account: "example", AccessToken: "test_access_token_0001", RefreshToken: "test_refresh_token_0001",
		TokenType: "Bearer", Scope: "registers:read outlets:read payment_types:read sales:read webhooks",
	}, grant)
	got := s.got()
	require.Len(t, got, 1)
	require.Equal(t, http.MethodPost, got[0].method)
	require.Equal(t, "/example/api/1.0/token", got[0].path)
	require.Empty(t, got[0].query)
	require.Empty(t, got[0].header.Get("Authorization"))
	require.Equal(t, "application/x-www-form-urlencoded", got[0].header.Get("Content-Type"))
	require.Equal(t, url.Values{
		"grant_type": {"authorization_code"}, "code": {"code-0001"}, "client_id": {"client-id"},
		"client_secret": {clientSecret.Reveal()}, "redirect_uri": {"https://pay.example.com/callback?x=1"},
	}, got[0].form)
}

func TestExchangeOfAnotherStoresTokens(t *testing.T) {
	s := newServer(t, answer(http.StatusOK, `{"access_token":"a-secret-1","refresh_token":"b-secret-1","domain_prefix":"other"}`))
	grant, err := s.app().Exchange(t.Context(), xseries.Callback{Code: "code-0001", DomainPrefix: "acme"})
	require.ErrorIs(t, err, tillroute.ErrForbidden)
	require.ErrorContains(t, err, `the store "other", not of acme`)
	require.NotContains(t, err.Error(), "secret")
	require.Zero(t, grant)

	// Renewed tokens are the only ones that are left.
	grant, err = s.app().Refresh(t.Context(), pairing.Grant{System: "xseries", Account: "acme", RefreshToken: "old-refresh"})
	require.NoError(t, err)
	require.Equal(t, "b-secret-1", grant.RefreshToken.Reveal())
}

func TestRefresh(t *testing.T) {
	s := newServer(t, answer(http.StatusOK, fixture(t, "oauth_token_response_changelog_2025_03.json")))
	old := pairing.Grant{
		System: "xseries", Account: "acme", AccessToken: "old-access", RefreshToken: "old-refresh", Scope: "registers:read", Version: 7,
	}
	grant, err := s.app().Refresh(t.Context(), old)
	require.NoError(t, err)
	require.Equal(t, tillroute.Secret("KD7gspXvfAmOsspC65YDqqJQ6FcAYbRROc4zPIMZ"), grant.AccessToken)
	require.Equal(t, tillroute.Secret("new_refresh_token"), grant.RefreshToken)
	require.Equal(t, "registers:read", grant.Scope, "an empty scope says nothing new")
	require.Equal(t, int64(7), grant.Version)
	require.Equal(t, "acme", grant.Account, "the account is the one that was asked, whatever the answer says")
	require.Greater(t, time.Until(grant.Expiry), 6*24*time.Hour, "the lifetime counts, not the time of another clock")
	require.Equal(t, url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {"old-refresh"}, "client_id": {"client-id"}, "client_secret": {clientSecret.Reveal()},
	}, s.got()[0].form)
	_, err = s.app().Refresh(t.Context(), pairing.Grant{Account: "acme"})
	require.ErrorIs(t, err, xseries.ErrReconnect)
	_, err = s.app().Refresh(t.Context(), pairing.Grant{Account: "evil.example/", RefreshToken: "r"})
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	_, err = s.app().Exchange(t.Context(), xseries.Callback{DomainPrefix: "acme"})
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	require.Len(t, s.got(), 1)
}

func TestExpiry(t *testing.T) {
	later := time.Now().Add(time.Hour).Unix()
	for name, test := range map[string]struct {
		fields string
		hours  int
	}{
		"expires_in":              {`"expires_in":3600`, 1},
		"as text":                 {`"expires_in":"3600"`, 1},
		"expires":                 {`"expires":` + itoa(later), 1},
		"expires as text":         {`"expires":"` + itoa(later) + `"`, 1},
		"both, expires_in counts": {`"expires":1387145621,"expires_in":7200`, 2},
		"neither":                 {`"x":1`, 0},
		"zero":                    {`"expires_in":0,"expires":0`, 0},
		"negative":                {`"expires_in":-1`, 0},
		"null":                    {`"expires_in":null,"expires":null`, 0},
		"no number":               {`"expires":"soon"`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, answer(http.StatusOK, `{"access_token":"a","token_type":"Bearer","refresh_token":"r",`+test.fields+`}`))
			grant, err := s.app().Exchange(t.Context(), xseries.Callback{Code: "c", DomainPrefix: "acme"})
			require.NoError(t, err)
			if test.hours == 0 {
				require.True(t, grant.Expiry.IsZero(), grant.Expiry)
				return
			}
			require.WithinDuration(t, time.Now().Add(time.Duration(test.hours)*time.Hour), grant.Expiry, 5*time.Minute)
		})
	}
}

func TestMissingScopes(t *testing.T) {
	app := xseries.OAuth{Scopes: []string{"registers:read", "outlets:read"}}
	require.Equal(t, []string{"outlets:read"}, app.MissingScopes(pairing.Grant{Scope: "registers:read webhooks"}))
	require.Empty(t, app.MissingScopes(pairing.Grant{Scope: "outlets:read registers:read"}))
	require.Empty(t, app.MissingScopes(pairing.Grant{}), "nothing said, nothing known")
}

func TestTokenErrors(t *testing.T) {
	elsewhere := newServer(t, answer(http.StatusOK, "{}"))
	tests := map[string]struct {
		answer  http.HandlerFunc
		is      error
		says    string
		dead    bool
		unknown bool
	}{
		"invalid_grant":        {answer(400, `{"error":"invalid_grant","error_description":"The refresh token is invalid."}`), tillroute.ErrUnauthorized, "reconnect", true, false},
		"invalid_grant, alone": {answer(400, `{"error":"invalid_grant"}`), tillroute.ErrUnauthorized, "reconnect", true, false},
		"named otherwise":      {answer(401, `{"error":"invalid_request","error_description":"The refresh token is invalid."}`), tillroute.ErrUnauthorized, "reconnect", true, false},
		"as text": {func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, `{"error":"invalid_grant"}`, http.StatusBadRequest)
		}, tillroute.ErrUnauthorized, "reconnect", true, false},
		"refused with 200":       {answer(200, `{"error":"invalid_grant","error_description":"no"}`), tillroute.ErrUnauthorized, "reconnect", true, false},
		"wrong client":           {answer(401, `{"error":"invalid_client","error_description":"Client authentication failed"}`), tillroute.ErrUnauthorized, "check ClientID", false, false},
		"wrong client, 400":      {answer(400, `{"error":"invalid_client"}`), tillroute.ErrUnauthorized, "check ClientID", false, false},
		"wrong client, no words": {answer(401, `{"error":"invalid_client"}`), tillroute.ErrUnauthorized, "check ClientID", false, false},
		"limited":                {answer(429, `{"error":"Too Many Requests"}`), tillroute.ErrRateLimited, "Too Many", false, false},
		"broken":                 {answer(502, "<html>"), tillroute.ErrUnavailable, "not JSON", false, true},
		"lost":                   {lost, tillroute.ErrUnavailable, "lost", false, true},
		"html":                   {answer(200, "<html>"), tillroute.ErrDecode, "no access token", false, true},
		"truncated":              {answer(200, `{"access_token":"a`), tillroute.ErrDecode, "no access token", false, true},
		"empty":                  {answer(200, `{}`), tillroute.ErrDecode, "no access token", false, true},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		}, tillroute.ErrOutcomeUnknown, "redirect", false, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, test.answer)
			_, err := s.app().Refresh(t.Context(), pairing.Grant{Account: "acme", RefreshToken: "refresh-0001"})
			require.ErrorIs(t, err, test.is)
			require.ErrorContains(t, err, test.says)
			require.Equal(t, test.dead, errors.Is(err, xseries.ErrReconnect))
			require.Equal(t, test.unknown, errors.Is(err, tillroute.ErrOutcomeUnknown))
			require.Len(t, s.got(), 1, "what is sent is used up")
			for _, secret := range []string{clientSecret.Reveal(), "refresh-0001"} {
				require.NotContains(t, err.Error(), secret)
			}
		})
	}
	require.Empty(t, elsewhere.got(), "the client secret goes nowhere else")
}

func TestTokenIsReadFromJSONThatCallsItselfText(t *testing.T) {
	s := newServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write([]byte(`{"access_token":"a","refresh_token":"r"}`))
	})
	grant, err := s.app().Exchange(t.Context(), xseries.Callback{Code: "c", DomainPrefix: "acme"})
	require.NoError(t, err)
	require.Equal(t, tillroute.Secret("a"), grant.AccessToken)
}

func TestExchangeHeedsTheContext(t *testing.T) {
	hang := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	s := newServer(t, func(http.ResponseWriter, *http.Request) {
		cancel()
		<-hang
	})
	defer close(hang)
	start := time.Now()
	_, err := s.app().Exchange(ctx, xseries.Callback{Code: "c", DomainPrefix: "acme"})
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
	require.Less(t, time.Since(start), 20*time.Second)
}

func TestExchangeClosesItsOwnConnections(t *testing.T) {
	states := make(chan http.ConnState, 16)
	s := &server{&clienttest.Server[request]{Server: httptest.NewUnstartedServer(answer(http.StatusOK, `{"access_token":"a"}`))}}
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) { states <- state }
	s.Start()
	defer s.Close()
	app := s.app()
	app.HTTP = tillroute.HTTPOptions{}
	_, err := app.Exchange(t.Context(), xseries.Callback{Code: "c", DomainPrefix: "acme"})
	require.NoError(t, err)
	for {
		select {
		case state := <-states:
			if state == http.StateClosed {
				return
			}
		case <-time.After(30 * time.Second):
			t.Fatal("the connection stays open")
		}
	}
}

func TestServersTextWithSecretsIsRedacted(t *testing.T) {
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		answer(400, `{"error":"invalid_grant","error_description":"code code-0001 with secret `+clientSecret.Reveal()+`"}`)(w, r)
	})
	_, err := s.app().Exchange(t.Context(), xseries.Callback{Code: "code-0001", DomainPrefix: "acme"})
	require.Error(t, err)
	require.NotContains(t, err.Error(), "code-0001")
	require.NotContains(t, err.Error(), strings.TrimSuffix(clientSecret.Reveal(), "&="))
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
