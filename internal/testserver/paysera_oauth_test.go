package testserver

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// tokenCall asks the token endpoint.
func (w *wallet) tokenCall(s signer, form url.Values) answer {
	w.t.Helper()
	return w.call(s, http.MethodPost, "/oauth/v1/token", form.Encode())
}

// authorizeAt visits the authorization page and returns what comes back to the application.
func (w *wallet) authorizeAt(path string, q url.Values) url.Values {
	w.t.Helper()
	a := w.do(http.MethodGet, w.Describe().Paysera.AuthURL+path+"?"+q.Encode(), "")
	require.Equal(w.t, http.StatusFound, a.status, a.body)
	back, err := url.Parse(a.header.Get("Location"))
	require.NoError(w.t, err)
	require.Equal(w.t, "https://app.test/back", back.Scheme+"://"+back.Host+back.Path)
	require.Equal(w.t, "1", back.Query().Get("kept"))
	return back.Query()
}

func (w *wallet) askForConsent() url.Values {
	return url.Values{
		"response_type": {"code"}, "client_id": {w.app.id}, "redirect_uri": {"https://app.test/back?kept=1"}, "scope": {"balance email"}, "state": {"s"},
	}
}

func codeForm(code string) url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {"https://app.test/back?kept=1"}}
}

// refused demands an error with a code and a description.
func refused(t *testing.T, a answer, status int, code, description string) {
	t.Helper()
	require.Equal(t, status, a.status, a.body)
	got := parse[map[string]any](t, a.body)
	require.Equal(t, []any{code, description}, []any{got["error"], got["error_description"]})
}

func TestAnAccessTokenIsIDAndKeyOfSignatures(t *testing.T) {
	w := newWallet(t, PayseraOptions{})
	back := w.authorizeAt("/oauth", w.askForConsent())
	require.Equal(t, "s", back.Get("state"))
	a := w.tokenCall(w.app, codeForm(back.Get("code")))
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.ElementsMatch(t, keys(t, `{"access_token":0,"token_type":0,"expires_in":0,"refresh_token":0,"mac_key":0,"mac_algorithm":0}`), keys(t, a.body))
	token := parse[PayseraToken](t, a.body)
	require.Equal(t, []any{"mac", int64(3600), "hmac-sha-256"}, []any{token.TokenType, token.ExpiresIn, token.MACAlgorithm})
	john := signer{id: token.AccessToken, key: token.MACKey}
	require.Equal(t, "app_client", w.ok(john, http.MethodGet, "client", "")["type"])
	refused(t, w.tokenCall(w.app, codeForm(back.Get("code"))), http.StatusBadRequest, "invalid_grant", "Authorization code is invalid")

	w.clock.move(time.Hour)
	w.no(john, http.MethodGet, "client", "", http.StatusBadRequest, "invalid_grant", "Token has expired")
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token.RefreshToken}}
	next := parse[PayseraToken](t, w.tokenCall(w.app, form).body)
	require.NotEqual(t, token.RefreshToken, next.RefreshToken)
	w.ok(signer{id: next.AccessToken, key: next.MACKey}, http.MethodGet, "client", "")
	refused(t, w.tokenCall(w.app, form), http.StatusBadRequest, "invalid_grant", textRefreshUsed)
	refused(t, w.tokenCall(w.app, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x"}}), http.StatusBadRequest, "invalid_grant", textRefreshUnknown)
	w.clock.move(31 * 24 * time.Hour)
	form.Set("refresh_token", next.RefreshToken)
	refused(t, w.tokenCall(w.app, form), http.StatusBadRequest, "invalid_grant", textRefreshExpired)
	require.Empty(t, w.Violations())
}

func TestARefreshTokenMayStay(t *testing.T) {
	w := newWallet(t, PayseraOptions{KeepRefreshToken: true})
	token, err := w.Paysera.User(222).Token()
	require.NoError(t, err)
	for range 2 {
		a := w.tokenCall(w.app, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token.RefreshToken}})
		require.Equal(t, http.StatusOK, a.status)
		require.NotContains(t, a.body, "refresh_token")
	}
}

func TestTheUserDecidesOnTheAuthorizationPage(t *testing.T) {
	w := newWallet(t, PayseraOptions{})
	w.Paysera.RefuseNextAuthorization()
	back := w.authorizeAt("/lt/oauth", w.askForConsent())
	require.Equal(t, []string{"access_denied", "s"}, []string{back.Get("error"), back.Get("state")})

	require.Error(t, w.Paysera.AuthorizeAs(1))
	require.NoError(t, w.Paysera.AuthorizeAs(222))
	code := w.authorizeAt("/oauth", w.askForConsent()).Get("code")
	token := parse[PayseraToken](t, w.tokenCall(w.app, codeForm(code)).body)
	w.checkIn(signer{id: token.AccessToken, key: token.MACKey}, "PAYSERA*3:A")
	require.NotZero(t, w.Paysera.User(222).State().SpotID)

	form := w.askForConsent()
	form.Set("user[email]", "jane@example.com")
	require.NoError(t, w.Paysera.AuthorizeAs(221))
	a := w.call(w.app, http.MethodPost, "/oauth/v1/session", form.Encode())
	require.Equal(t, http.StatusOK, a.status, a.body)
	code = w.authorizeAt("/oauth/"+parse[map[string]string](t, a.body)["key"], nil).Get("code")
	token = parse[PayseraToken](t, w.tokenCall(w.app, codeForm(code)).body)
	require.EqualValues(t, 222, w.Paysera.world.Grants.token(token.AccessToken).User)

	code = w.authorizeAt("/oauth", w.askForConsent()).Get("code")
	w.clock.move(10 * time.Minute)
	refused(t, w.tokenCall(w.app, codeForm(code)), http.StatusBadRequest, "invalid_grant", "Authorization code is invalid")
	require.Empty(t, w.Violations())
}

func TestRequestsForAuthorizationThatAreWrong(t *testing.T) {
	w := newWallet(t, PayseraOptions{})
	for field, value := range map[string]string{"response_type": "token", "client_id": "x", "redirect_uri": "/back"} {
		w.ExpectViolation(field)
		q := w.askForConsent()
		q.Set(field, value)
		require.Equal(t, http.StatusBadRequest, w.do(http.MethodGet, w.Describe().Paysera.AuthURL+"/oauth?"+q.Encode(), "").status)
	}
	w.ExpectViolation(`unknown parameter "scopes"`)
	w.ExpectViolation("state is missing")
	q := w.askForConsent()
	q.Del("state")
	q.Set("scopes", "x")
	require.NotContains(t, w.authorizeAt("/oauth", q), "state")
}

func TestTokenRequestsThatAreWrong(t *testing.T) {
	w := newWallet(t, PayseraOptions{})
	code := w.authorizeAt("/oauth", w.askForConsent()).Get("code")
	refused(t, w.tokenCall(w.merchant, codeForm(code)), http.StatusBadRequest, "invalid_grant", "Authorization code is invalid")
	w.ExpectViolation("redirect_uri is")
	form := codeForm(code)
	form.Set("redirect_uri", "https://app.test/other")
	refused(t, w.tokenCall(w.app, form), http.StatusBadRequest, "invalid_grant", "Redirect URI is invalid")
	w.ExpectViolation("grant_type must be")
	refused(t, w.tokenCall(w.app, url.Values{"grant_type": {"client_credentials"}}), http.StatusBadRequest, "invalid_request",
		"grant_type must be authorization_code, password or refresh_token")
	w.ExpectViolation("Key refresh_token is required")
	refused(t, w.tokenCall(w.app, url.Values{"grant_type": {"refresh_token"}}), http.StatusBadRequest, "invalid_request", "Key refresh_token is required")
	w.ExpectViolation("not with an access token")
	refused(t, w.tokenCall(w.user(221), form), http.StatusForbidden, "forbidden", "This call needs the credentials of a client")
	w.ExpectViolation(`unknown form field "client_id"`)
	form = codeForm(code)
	form.Set("client_id", w.app.id)
	require.Equal(t, http.StatusOK, w.tokenCall(w.app, form).status)

	password := url.Values{"grant_type": {"password"}, "username": {"jane@example.com"}, "password": {"jane's password"}}
	require.Equal(t, http.StatusOK, w.tokenCall(w.app, password).status)
	refused(t, w.tokenCall(w.merchant, password), http.StatusForbidden, "forbidden", "Client has no permission use_password_grant")
	password.Set("password", "x")
	refused(t, w.tokenCall(w.app, password), http.StatusBadRequest, "invalid_grant", "Invalid username or password")
}

func TestTokensThatEnd(t *testing.T) {
	w := newWallet(t, PayseraOptions{})
	john := w.user(221)
	revoke := func(s signer, id string) answer {
		return w.call(s, http.MethodDelete, "/oauth/v1/token?access_token="+url.QueryEscape(id), "")
	}
	require.Equal(t, http.StatusNotFound, revoke(w.merchant, john.id).status)
	require.Equal(t, http.StatusNoContent, revoke(w.app, john.id).status)
	w.no(john, http.MethodGet, "client", "", http.StatusUnauthorized, "unauthorized", "No such client or access token")

	john = w.user(221)
	w.Paysera.ExpireTokens()
	w.no(john, http.MethodGet, "client", "", http.StatusBadRequest, "invalid_grant", "Token has expired")
	w.Paysera.RevokeTokens()
	w.no(john, http.MethodGet, "client", "", http.StatusUnauthorized, "unauthorized", "No such client or access token")

	john = w.user(221)
	w.Fault(On("paysera", "GET", "/rest/v1/client"), ExpireToken())
	w.no(john, http.MethodGet, "client", "", http.StatusBadRequest, "invalid_grant", "Token has expired")
	require.Empty(t, w.Violations())
	w.Fault(On("paysera", "", ""), PayseraError(http.StatusNotAcceptable, "not_acceptable", "no"))
	w.no(w.merchant, http.MethodGet, "client", "", http.StatusNotAcceptable, "not_acceptable", "no")
}
