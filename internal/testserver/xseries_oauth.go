package testserver

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// oauthState is what the authorization server remembers.
type oauthState struct {
	codes   map[string]*authCode
	access  map[string]*accessGrant
	refresh map[string]*refreshGrant
	refuse  bool    // the merchant refuses the next authorization
	grant   *string // the merchant grants these scopes at the next authorization, whatever is asked
}

// authCode is an authorization code; it is deleted when it is redeemed.
type authCode struct {
	redirectURI, scope string
	expires            time.Time
}

type accessGrant struct {
	scope   string
	expires time.Time
}

// refreshGrant is a refresh token; it is deleted when it is used.
type refreshGrant struct {
	scope  string
	access string // the access token that was issued with it
}

func newOAuthState() oauthState {
	return oauthState{codes: map[string]*authCode{}, access: map[string]*accessGrant{}, refresh: map[string]*refreshGrant{}}
}

// RefuseNextAuthorization makes the merchant refuse the next request for authorization.
func (s *XSeries) RefuseNextAuthorization() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.oauth.refuse = true
}

// GrantNextAuthorization makes the merchant's next consent cover these scopes instead of those asked for.
func (s *XSeries) GrantNextAuthorization(scopes ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	granted := strings.Join(scopes, " ")
	s.oauth.grant = &granted
}

// ExpireTokens ends the life of all access tokens. Refresh tokens stay good.
func (s *XSeries) ExpireTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, grant := range s.oauth.access {
		grant.expires = s.engine.now()
	}
}

// RevokeTokens ends the life of all access and refresh tokens, as when the merchant removes the application.
func (s *XSeries) RevokeTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.oauth.access)
	clear(s.oauth.refresh)
}

// authorize answers GET /connect. The simulated merchant consents at once.
// Judgment: what the vendor shows for a request that it cannot send back to the application is a plain 400 page.
func (s *XSeries) authorize(x *exchange) {
	if x.r.Method != http.MethodGet {
		x.violate("method %s on /connect, must be GET", x.r.Method)
		x.fail(http.StatusMethodNotAllowed, textMethodUnknown)
		return
	}
	q := x.r.URL.Query()
	for key := range q {
		if !slices.Contains([]string{"response_type", "client_id", "redirect_uri", "state", "scope"}, key) {
			x.violate("unknown query parameter %q", key)
		}
	}
	redirect, err := url.Parse(q.Get("redirect_uri"))
	problem := ""
	switch {
	case q.Get("response_type") != "code":
		problem = "response_type must be code"
	case q.Get("client_id") != s.opts.ClientID:
		problem = "client_id is not that of a registered application"
	case err != nil || !redirect.IsAbs() || redirect.Host == "":
		problem = "redirect_uri must be an absolute URL"
	case len(q.Get("state")) < 8:
		problem = "state must have at least 8 characters"
	}
	if problem != "" {
		x.violate("%s", problem)
		x.html(http.StatusBadRequest, "<html><body><h1>Authorization failed</h1><p>"+problem+"</p></body></html>\n")
		return
	}
	asked := strings.Fields(q.Get("scope"))
	if len(asked) == 0 {
		x.violate("scope is mandatory")
	}
	if len(asked) == 0 || s.oauth.refuse {
		s.oauth.refuse = false
		back := url.Values{"error": {"access_denied"}}
		if !s.opts.RefusalWithoutState {
			back.Set("state", q.Get("state")) // judgment: RFC 6749 demands it, the vendor does not mention it
		}
		x.sendBack(redirect, back)
		return
	}
	granted := strings.Join(asked, " ")
	if s.oauth.grant != nil {
		granted, s.oauth.grant = *s.oauth.grant, nil
	}
	code := s.engine.secret("sim-code-")
	s.oauth.codes[code] = &authCode{
		redirectURI: q.Get("redirect_uri"), scope: granted, expires: s.engine.now().Add(s.opts.CodeTTL),
	}
	x.sendBack(redirect, url.Values{
		"code": {code}, "domain_prefix": {s.opts.DomainPrefix}, "state": {q.Get("state")}, "scope": {granted},
	})
}

// tokenResponse is the answer of the token endpoint, in the vendor's order.
type tokenResponse struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	Expires      int64  `json:"expires"`
	ExpiresIn    int64  `json:"expires_in"`
	RefreshToken string `json:"refresh_token"`
	DomainPrefix string `json:"domain_prefix"`
	Scope        string `json:"scope"`
}

// token answers POST /api/1.0/token.
func (s *XSeries) token(x *exchange) {
	if x.r.Method != http.MethodPost {
		x.violate("method %s on the token endpoint, must be POST", x.r.Method)
		x.fail(http.StatusMethodNotAllowed, textMethodUnknown)
		return
	}
	now := s.engine.now()
	remaining, end := s.tokenUse.take(now, s.opts.TokenLimit, tokenWindow)
	x.header["X-RateLimit-Limit"] = []string{strconv.Itoa(s.opts.TokenLimit)}
	x.header["X-RateLimit-Remaining"] = []string{strconv.Itoa(max(remaining, 0))}
	x.header["X-RateLimit-Reset"] = []string{strconv.FormatInt(end.Unix(), 10)}
	if remaining < 0 {
		x.json(http.StatusTooManyRequests, map[string]string{"error": textTooMany, "message": "Rate limiting enforced"})
		return
	}
	if x.r.URL.RawQuery != "" {
		x.violate("the token endpoint takes a form body, not a query string")
	}
	if x.r.Header.Get("Authorization") != "" {
		x.violate("the token endpoint takes no Authorization header")
	}
	form, ok := x.form()
	if !ok {
		oauthFail(x, http.StatusBadRequest, "invalid_request", "The request must be a form.")
		return
	}
	known := map[string][]string{
		"authorization_code": {"grant_type", "client_id", "client_secret", "code", "redirect_uri"},
		"refresh_token":      {"grant_type", "client_id", "client_secret", "refresh_token"},
	}[form.Get("grant_type")]
	if known == nil {
		x.violate("grant_type is %q, must be authorization_code or refresh_token", form.Get("grant_type"))
		oauthFail(x, http.StatusBadRequest, "unsupported_grant_type", "The grant type is not supported.")
		return
	}
	for key := range form {
		if !slices.Contains(known, key) {
			x.violate("unknown form field %q", key)
		}
	}
	for _, key := range known {
		if form.Get(key) == "" {
			x.violate("form field %s is missing", key)
			// Judgment: only the text of a bad refresh token is known, statuses and the rest follow RFC 6749.
			if key == "client_id" || key == "client_secret" {
				oauthFail(x, http.StatusUnauthorized, "invalid_client", "Client authentication failed.")
			} else {
				oauthFail(x, http.StatusBadRequest, "invalid_request", "The "+key+" is missing.")
			}
			return
		}
	}
	if form.Get("client_id") != s.opts.ClientID || !sameSecret(form.Get("client_secret"), s.opts.ClientSecret) {
		oauthFail(x, http.StatusUnauthorized, "invalid_client", "Client authentication failed.")
		return
	}
	if form.Get("grant_type") == "refresh_token" {
		s.refresh(x, form.Get("refresh_token"))
		return
	}
	s.redeem(x, form.Get("code"), form.Get("redirect_uri"))
}

// redeem exchanges an authorization code, once.
func (s *XSeries) redeem(x *exchange, code, redirectURI string) {
	grant, ok := s.oauth.codes[code]
	if !ok || !s.engine.now().Before(grant.expires) {
		oauthFail(x, http.StatusBadRequest, "invalid_grant", "The authorization code is invalid.")
		return
	}
	if grant.redirectURI != redirectURI {
		x.violate("redirect_uri is %q, the code was issued for %q", redirectURI, grant.redirectURI)
		oauthFail(x, http.StatusBadRequest, "invalid_grant", "The redirect URI is invalid.")
		return
	}
	delete(s.oauth.codes, code)
	s.issue(x, grant.scope)
}

// refresh rotates: the refresh token used and the access token issued with it are revoked.
func (s *XSeries) refresh(x *exchange, token string) {
	grant, ok := s.oauth.refresh[token]
	if !ok {
		oauthFail(x, http.StatusBadRequest, "invalid_grant", "The refresh token is invalid.")
		return
	}
	delete(s.oauth.refresh, token)
	delete(s.oauth.access, grant.access)
	s.issue(x, grant.scope)
}

// issue makes a pair of tokens and answers with it.
func (s *XSeries) issue(x *exchange, scope string) {
	expires := s.engine.now().Add(s.opts.AccessTTL)
	access, refresh := s.engine.secret("sim-access-"), s.engine.secret("sim-refresh-")
	s.oauth.access[access] = &accessGrant{scope: scope, expires: expires}
	s.oauth.refresh[refresh] = &refreshGrant{scope: scope, access: access}
	x.json(http.StatusOK, tokenResponse{
		AccessToken: access, TokenType: "Bearer", Expires: expires.Unix(), ExpiresIn: int64(s.opts.AccessTTL / time.Second),
		RefreshToken: refresh, DomainPrefix: s.opts.DomainPrefix, Scope: scope,
	})
}

// oauthFail answers with the error shape of the token endpoint.
func oauthFail(x *exchange, status int, code, description string) {
	x.json(status, struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}{code, description})
}
