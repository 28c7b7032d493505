package testserver

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const redirectURI = "https://gateway.test/callback?step=2"

// authorizeQuery is a correct request for authorization.
func (r *rig) authorizeQuery(scope string) url.Values {
	return url.Values{
		"response_type": {"code"}, "client_id": {r.Describe().XSeries.ClientID}, "redirect_uri": {redirectURI},
		"state": {"12345678"}, "scope": {scope},
	}
}

// callback asks for authorization and returns the query of the redirect back.
func (r *rig) callback(query url.Values) url.Values {
	r.t.Helper()
	a := r.do(http.MethodGet, r.Describe().XSeries.AuthorizeURL+"?"+query.Encode(), "")
	require.Equal(r.t, http.StatusFound, a.status, a.body)
	u, err := url.Parse(a.header.Get("Location"))
	require.NoError(r.t, err)
	require.Equal(r.t, "gateway.test", u.Host)
	return u.Query()
}

// token posts a form to the token endpoint; further fields are given as name, value pairs.
func (r *rig) token(fields ...string) answer {
	r.t.Helper()
	d := r.Describe().XSeries
	form := url.Values{"client_id": {d.ClientID}, "client_secret": {d.ClientSecret}}
	for pair := range slices.Chunk(fields, 2) {
		form.Set(pair[0], pair[1])
	}
	return r.do(http.MethodPost, d.TokenURL, form.Encode(), "Content-Type", formType)
}

func (r *rig) redeem(code string) answer {
	r.t.Helper()
	return r.token("grant_type", "authorization_code", "code", code, "redirect_uri", redirectURI)
}

// connect goes through the whole of OAuth.
func (r *rig) connect(scope string) tokenResponse {
	r.t.Helper()
	a := r.redeem(r.callback(r.authorizeQuery(scope)).Get("code"))
	require.Equal(r.t, http.StatusOK, a.status, a.body)
	return parse[tokenResponse](r.t, a.body)
}

func TestAuthorizeAndRedeem(t *testing.T) {
	r := newRig(t, Options{})
	back := r.callback(r.authorizeQuery("registers:read outlets:read"))
	require.Equal(t, "2", back.Get("step"), "the redirect URI keeps its own query")
	require.Equal(t, "12345678", back.Get("state"))
	require.Equal(t, "simstore", back.Get("domain_prefix"))
	require.Equal(t, "registers:read outlets:read", back.Get("scope"))

	a := r.redeem(back.Get("code"))
	require.Equal(t, http.StatusOK, a.status)
	require.Equal(t, "application/json", a.header.Get("Content-Type"))
	require.Equal(t, []string{"60"}, a.header["X-Ratelimit-Limit"])
	require.Equal(t, "59", a.header.Get("X-Ratelimit-Remaining"))
	require.Equal(t, strconv.FormatInt(r.clock.now().Add(time.Minute).Unix(), 10), a.header.Get("X-Ratelimit-Reset"))
	require.ElementsMatch(t, keys(t, fixture(t, "xseries_oauth_token_response_changelog_2025_03.json")), keys(t, a.body))
	got := parse[tokenResponse](t, a.body)
	require.Equal(t, "Bearer", got.TokenType)
	require.EqualValues(t, 86400, got.ExpiresIn)
	require.Equal(t, r.clock.now().Unix()+86400, got.Expires)
	require.Equal(t, "simstore", got.DomainPrefix)
	require.Equal(t, "registers:read outlets:read", got.Scope)

	a = r.redeem(back.Get("code"))
	require.Equal(t, http.StatusBadRequest, a.status, "a code is good once")
	require.JSONEq(t, `{"error":"invalid_grant","error_description":"The authorization code is invalid."}`, a.body)
}

func TestCodeExpires(t *testing.T) {
	r := newRig(t, Options{})
	code := r.callback(r.authorizeQuery("registers:read")).Get("code")
	r.clock.move(10 * time.Minute)
	require.Equal(t, http.StatusBadRequest, r.redeem(code).status)
}

func TestCodeIsBoundToItsRedirectURI(t *testing.T) {
	r := newRig(t, Options{})
	r.ExpectViolation("the code was issued for")
	code := r.callback(r.authorizeQuery("registers:read")).Get("code")
	a := r.token("grant_type", "authorization_code", "code", code, "redirect_uri", "https://other.test/")
	require.Equal(t, http.StatusBadRequest, a.status)
}

func TestAuthorizationIsRefused(t *testing.T) {
	r := newRig(t, Options{})
	r.ExpectViolation("scope is mandatory")
	require.Equal(t, url.Values{"step": {"2"}, "error": {"access_denied"}, "state": {"12345678"}}, r.callback(r.authorizeQuery("")))

	r.XSeries.RefuseNextAuthorization()
	require.Equal(t, "access_denied", r.callback(r.authorizeQuery("registers:read")).Get("error"))
	require.NotEmpty(t, r.callback(r.authorizeQuery("registers:read")).Get("code"), "only the next one is refused")

	silent := newRig(t, Options{XSeries: XSeriesOptions{RefusalWithoutState: true}})
	silent.XSeries.RefuseNextAuthorization()
	require.Equal(t, url.Values{"step": {"2"}, "error": {"access_denied"}}, silent.callback(silent.authorizeQuery("registers:read")))
}

func TestGrantDiffersFromRequest(t *testing.T) {
	r := newRig(t, Options{})
	r.XSeries.GrantNextAuthorization("outlets:read")
	require.Equal(t, "outlets:read", r.connect("registers:read outlets:read").Scope)
	require.Equal(t, "registers:read outlets:read", r.connect("registers:read outlets:read").Scope)
}

func TestAuthorizeRefusesWhatItCannotSendBack(t *testing.T) {
	for field, value := range map[string]string{
		"response_type": "token", "client_id": "other", "redirect_uri": "/callback", "state": "1234567",
	} {
		t.Run(field, func(t *testing.T) {
			r := newRig(t, Options{})
			r.ExpectViolation(field)
			query := r.authorizeQuery("registers:read")
			query.Set(field, value)
			a := r.do(http.MethodGet, r.Describe().XSeries.AuthorizeURL+"?"+query.Encode(), "")
			require.Equal(t, http.StatusBadRequest, a.status)
			require.Empty(t, a.header.Get("Location"))
		})
	}
}

func TestRefreshRotates(t *testing.T) {
	r := newRig(t, Options{})
	first := r.connect("registers:read")
	a := r.token("grant_type", "refresh_token", "refresh_token", first.RefreshToken)
	require.Equal(t, http.StatusOK, a.status, a.body)
	second := parse[tokenResponse](t, a.body)
	require.NotEqual(t, first.RefreshToken, second.RefreshToken)
	require.NotEqual(t, first.AccessToken, second.AccessToken)
	require.Equal(t, "registers:read", second.Scope)

	list := func(token string) int {
		return r.do(http.MethodGet, r.base+"/xseries/api/2.0/registers", "", "Authorization", "Bearer "+token).status
	}
	require.Equal(t, http.StatusUnauthorized, list(first.AccessToken), "the old pair is revoked")
	require.Equal(t, http.StatusOK, list(second.AccessToken))
	a = r.token("grant_type", "refresh_token", "refresh_token", first.RefreshToken)
	require.Equal(t, http.StatusBadRequest, a.status)
	require.JSONEq(t, `{"error":"invalid_grant","error_description":"The refresh token is invalid."}`, a.body)

	r.XSeries.RevokeTokens()
	require.Equal(t, http.StatusUnauthorized, list(second.AccessToken))
	require.Equal(t, http.StatusBadRequest, r.token("grant_type", "refresh_token", "refresh_token", second.RefreshToken).status)
}

func TestAccessTokenExpires(t *testing.T) {
	r := newRig(t, Options{XSeries: XSeriesOptions{AccessTTL: time.Hour}})
	grant := r.connect("registers:read")
	r.clock.move(time.Hour)
	a := r.do(http.MethodGet, r.base+"/xseries/api/2.0/registers", "", "Authorization", "Bearer "+grant.AccessToken)
	require.Equal(t, http.StatusUnauthorized, a.status)
}

func TestTokenEndpointIsStrict(t *testing.T) {
	for name, tt := range map[string]struct {
		violation string
		status    int
		code      string
		send      func(r *rig) answer
	}{
		"query string": {"not a query string", 400, "invalid_request", func(r *rig) answer {
			d := r.Describe().XSeries
			q := url.Values{"grant_type": {"refresh_token"}, "client_id": {d.ClientID}, "client_secret": {d.ClientSecret}, "refresh_token": {"x"}}
			return r.do(http.MethodPost, d.TokenURL+"?"+q.Encode(), "")
		}},
		"json": {"must be application/x-www-form-urlencoded", 400, "invalid_request", func(r *rig) answer {
			return r.do(http.MethodPost, r.Describe().XSeries.TokenURL, `{"grant_type":"refresh_token"}`, "Content-Type", "application/json")
		}},
		"grant type": {"grant_type is", 400, "unsupported_grant_type", func(r *rig) answer { return r.token("grant_type", "password") }},
		"unknown field": {`unknown form field "scope"`, 400, "invalid_grant", func(r *rig) answer {
			return r.token("grant_type", "refresh_token", "refresh_token", "x", "scope", "y")
		}},
		"no secret": {"client_secret is missing", 401, "invalid_client", func(r *rig) answer {
			return r.token("grant_type", "refresh_token", "refresh_token", "x", "client_secret", "")
		}},
		"no code": {"code is missing", 400, "invalid_request", func(r *rig) answer {
			return r.token("grant_type", "authorization_code", "redirect_uri", redirectURI)
		}},
		"wrong secret": {"", 401, "invalid_client", func(r *rig) answer {
			return r.token("grant_type", "refresh_token", "refresh_token", "x", "client_secret", "wrong")
		}},
		"basic auth": {"no Authorization header", 400, "invalid_grant", func(r *rig) answer {
			d := r.Describe().XSeries
			form := url.Values{"grant_type": {"refresh_token"}, "client_id": {d.ClientID}, "client_secret": {d.ClientSecret}, "refresh_token": {"x"}}
			return r.do(http.MethodPost, d.TokenURL, form.Encode(), "Content-Type", formType, "Authorization", "Basic eDp5")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Options{})
			if tt.violation != "" {
				r.ExpectViolation(tt.violation)
			}
			if strings.Contains(tt.violation, "query") {
				r.ExpectViolation("content type")
			}
			a := tt.send(r)
			require.Equal(t, tt.status, a.status, a.body)
			require.Equal(t, tt.code, parse[map[string]string](t, a.body)["error"])
			require.NotEmpty(t, parse[map[string]string](t, a.body)["error_description"])
		})
	}
}

func TestTokenEndpointHasItsOwnLimit(t *testing.T) {
	r := newRig(t, Options{XSeries: XSeriesOptions{TokenLimit: 1}})
	require.Equal(t, http.StatusBadRequest, r.redeem("x").status)
	require.Equal(t, http.StatusTooManyRequests, r.redeem("x").status)
	r.clock.move(time.Minute)
	require.Equal(t, http.StatusBadRequest, r.redeem("x").status)
}
