package testserver

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// oauthVersion is the generation of an application.
type oauthVersion int

const (
	oauthV1 oauthVersion = 1
	oauthV2 oauthVersion = 2
)

// scopeOffline has a refresh token last, in V2.
const scopeOffline = "offline_access"

// kScopes lists the scopes that can be asked for.
func kScopes() []string {
	return []string{scopeOrders, scopeFinance, scopeStaff, "items", "propertymanagement", "id-cards", "reservations-api", scopeOffline}
}

// kGrants is what the authorization servers remember.
type kGrants struct {
	Codes   []*kCode
	Tokens  []*kToken
	Refresh []*kRefresh
	Refuse  bool    // the merchant refuses the next authorization
	Scope   *string // the merchant grants these scopes at the next authorization, whatever is asked
}

// kCode is an authorization code; it is deleted when it is redeemed.
type kCode struct {
	Code, RedirectURI, Scope string
	Version                  oauthVersion
	Expires                  time.Time
}

// kToken is an access token. Session is the consent that it goes back to.
type kToken struct {
	Token, Session, Scope string
	Expires               time.Time
}

// kRefresh is a refresh token.
type kRefresh struct {
	Token, Session, Scope string
	Version               oauthVersion
	Used                  bool
	Expires               time.Time
}

// access finds an access token, expired or not.
func (g *kGrants) access(text string) *kToken {
	for _, t := range g.Tokens {
		if text != "" && t.Token == text {
			return t
		}
	}
	return nil
}

// end ends a session: nothing that goes back to its consent is good any more.
func (g *kGrants) end(session string) {
	g.Tokens = slices.DeleteFunc(g.Tokens, func(t *kToken) bool { return t.Session == session })
	g.Refresh = slices.DeleteFunc(g.Refresh, func(r *kRefresh) bool { return r.Session == session })
}

// RefuseNextAuthorization makes the merchant refuse the next request for authorization.
func (k *KSeries) RefuseNextAuthorization() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.world.Grants.Refuse = true
}

// GrantNextAuthorization makes the merchant's next consent cover these scopes instead of those asked for.
func (k *KSeries) GrantNextAuthorization(scopes ...string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	granted := strings.Join(scopes, " ")
	k.world.Grants.Scope = &granted
}

// ExpireTokens ends the life of all access tokens. Refresh tokens stay good.
func (k *KSeries) ExpireTokens() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, t := range k.world.Grants.Tokens {
		t.Expires = k.engine.now()
	}
}

// RevokeTokens ends the life of all access and refresh tokens, as when the merchant removes the application.
func (k *KSeries) RevokeTokens() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.world.Grants.Tokens, k.world.Grants.Refresh = nil, nil
}

// Token makes an access token as if the merchant had consented to the scopes; to all of them if none are named.
func (k *KSeries) Token(scopes ...string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(scopes) == 0 {
		scopes = kScopes()
	}
	return k.issue(oauthV2, newID(), strings.Join(scopes, " ")).AccessToken
}

// app is the ID and the secret of the application of a version.
func (k *KSeries) app(version oauthVersion) (id, secret string) {
	if version == oauthV1 {
		return k.opts.LegacyID, k.opts.LegacySecret
	}
	return k.opts.ClientID, k.opts.ClientSecret
}

// authorize answers the page that a merchant's browser is sent to. The simulated merchant consents at once. What is shown for
// a request that cannot be sent back to the application is a judgment: a plain 400 page.
func (k *KSeries) authorize(x *exchange, version oauthVersion) {
	if x.r.Method != http.MethodGet {
		x.violate("method %s on a page, must be GET", x.r.Method)
		x.html(http.StatusMethodNotAllowed, "<html><body><h1>Method not allowed</h1></body></html>\n")
		return
	}
	q := x.r.URL.Query()
	for key := range q {
		if !slices.Contains([]string{"response_type", "client_id", "redirect_uri", "scope", "state"}, key) {
			x.violate("unknown query parameter %q", key)
		}
	}
	client, _ := k.app(version)
	redirect, err := url.Parse(q.Get("redirect_uri"))
	problem := ""
	switch {
	case q.Get("response_type") != "code":
		problem = "response_type must be code"
	case q.Get("client_id") != client:
		problem = "client_id is not that of an application of this version"
	case err != nil || redirect.Scheme != "https" || redirect.Host == "":
		problem = "redirect_uri must be an https URL"
	}
	if problem != "" {
		x.violate("%s", problem)
		x.html(http.StatusBadRequest, "<html><body><h1>Authorization failed</h1><p>"+problem+"</p></body></html>\n")
		return
	}
	if q.Get("state") == "" {
		x.violate("state is missing, the answer cannot be told from a forged one")
	}
	back := k.consent(x, version, q)
	if q.Has("state") {
		back.Set("state", q.Get("state"))
	}
	x.sendBack(redirect, back)
}

// consent is what the merchant's browser takes back. The errors are those of RFC 6749, by judgment.
func (k *KSeries) consent(x *exchange, version oauthVersion, q url.Values) url.Values {
	grants := &k.world.Grants
	asked := strings.Fields(q.Get("scope"))
	for _, scope := range asked {
		if !slices.Contains(kScopes(), scope) || version == oauthV1 && scope == scopeOffline {
			x.violate("there is no scope %q in V%d", scope, version)
			return url.Values{"error": {"invalid_scope"}}
		}
	}
	if len(asked) == 0 {
		x.violate("scope is missing")
		return url.Values{"error": {"invalid_scope"}}
	}
	if grants.Refuse {
		grants.Refuse = false
		return url.Values{"error": {"access_denied"}, "error_description": {"The merchant refused"}}
	}
	code := &kCode{
		Code: k.engine.secret("sim-code-"), RedirectURI: q.Get("redirect_uri"), Scope: strings.Join(asked, " "), Version: version,
		Expires: k.engine.now().Add(k.opts.CodeTTL),
	}
	if grants.Scope != nil {
		code.Scope, grants.Scope = *grants.Scope, nil
	}
	grants.Codes = append(grants.Codes, code)
	return url.Values{"code": {code.Code}}
}

// kTokens is the answer of the token endpoint. The last members are V2's.
type kTokens struct {
	AccessToken      string  `json:"access_token"`
	ExpiresIn        int64   `json:"expires_in"`
	RefreshExpiresIn *int64  `json:"refresh_expires_in,omitempty"`
	RefreshToken     string  `json:"refresh_token"`
	TokenType        string  `json:"token_type"`
	NotBeforePolicy  *int64  `json:"not-before-policy,omitempty"`
	SessionState     *string `json:"session_state,omitempty"`
	Scope            string  `json:"scope"`
}

// token answers the token endpoint: V1 takes its parameters from the URL, V2 from a form.
func (k *KSeries) token(x *exchange, version oauthVersion) {
	if x.r.Method != http.MethodPost {
		x.violate("method %s on the token endpoint, must be POST", x.r.Method)
		oauthFail(x, http.StatusMethodNotAllowed, "invalid_request", "The request must be a POST")
		return
	}
	var form url.Values
	if version == oauthV1 {
		form = x.r.URL.Query()
		if len(x.body) > 0 {
			x.violate("the token endpoint of V1 takes its parameters from the query, not from a body")
		}
	} else {
		if x.r.URL.RawQuery != "" {
			x.violate("the token endpoint of V2 takes a form body, not a query string")
		}
		var ok bool
		if form, ok = x.form(); !ok {
			oauthFail(x, http.StatusBadRequest, "invalid_request", "The request must be a form")
			return
		}
	}
	if !k.authenticated(x, version, form) {
		oauthFail(x, http.StatusUnauthorized, "invalid_client", "Invalid client or Invalid client credentials")
		return
	}
	known := map[string][]string{
		"authorization_code": {"grant_type", "code", "redirect_uri"}, "refresh_token": {"grant_type", "refresh_token"},
	}[form.Get("grant_type")]
	if known == nil {
		x.violate("grant_type is %q, must be authorization_code or refresh_token", form.Get("grant_type"))
		oauthFail(x, http.StatusBadRequest, "unsupported_grant_type", "Unsupported grant_type")
		return
	}
	for key := range form {
		if !slices.Contains(known, key) && key != "client_id" && key != "client_secret" {
			x.violate("unknown parameter %q", key)
		}
	}
	for _, key := range known {
		if form.Get(key) == "" {
			x.violate("parameter %s is missing", key)
			oauthFail(x, http.StatusBadRequest, "invalid_request", "Missing parameter: "+key)
			return
		}
	}
	if form.Get("grant_type") == "refresh_token" {
		k.refresh(x, version, form.Get("refresh_token"))
		return
	}
	k.redeem(x, version, form)
}

// authenticated reports whether the client is who it says. The vendor documents a Basic header.
func (k *KSeries) authenticated(x *exchange, version oauthVersion, form url.Values) bool {
	id, password := k.app(version)
	if name, word, ok := x.r.BasicAuth(); ok {
		if form.Has("client_secret") {
			x.violate("the client's secret is in the header and among the parameters")
		}
		return name == id && sameSecret(word, password)
	}
	if version == oauthV2 && k.opts.SecretInBody && form.Has("client_secret") {
		return form.Get("client_id") == id && sameSecret(form.Get("client_secret"), password)
	}
	x.violate("no Basic authentication")
	return false
}

// redeem exchanges an authorization code, once. The texts are those of Keycloak, by judgment.
func (k *KSeries) redeem(x *exchange, version oauthVersion, form url.Values) {
	grants := &k.world.Grants
	i := slices.IndexFunc(grants.Codes, func(c *kCode) bool { return c.Code == form.Get("code") && c.Version == version })
	if i < 0 || !k.engine.now().Before(grants.Codes[i].Expires) {
		oauthFail(x, http.StatusBadRequest, "invalid_grant", "Code not valid")
		return
	}
	code := grants.Codes[i]
	if code.RedirectURI != form.Get("redirect_uri") {
		x.violate("redirect_uri is %q, the code was issued for %q", form.Get("redirect_uri"), code.RedirectURI)
		oauthFail(x, http.StatusBadRequest, "invalid_grant", "Incorrect redirect_uri")
		return
	}
	grants.Codes = slices.Delete(grants.Codes, i, i+1)
	x.json(http.StatusOK, k.issue(version, newID(), code.Scope))
}

// refresh rotates. A refresh token that is used twice ends its session, with all tokens of it: who has them is not known any
// more. That is what Keycloak can be told to do; that the vendor does it is a judgment. The old access token lives on.
func (k *KSeries) refresh(x *exchange, version oauthVersion, text string) {
	grants := &k.world.Grants
	i := slices.IndexFunc(grants.Refresh, func(r *kRefresh) bool { return r.Token == text && r.Version == version })
	switch {
	case i < 0:
		oauthFail(x, http.StatusBadRequest, "invalid_grant", "Invalid refresh token")
	case grants.Refresh[i].Used:
		grants.end(grants.Refresh[i].Session)
		oauthFail(x, http.StatusBadRequest, "invalid_grant", "Maximum allowed refresh token reuse exceeded")
	case !k.engine.now().Before(grants.Refresh[i].Expires):
		oauthFail(x, http.StatusBadRequest, "invalid_grant", "Token is not active")
	default:
		r := grants.Refresh[i]
		r.Used = true
		x.json(http.StatusOK, k.issue(version, r.Session, r.Scope))
	}
}

// issue makes a pair of tokens. V2 adds the scopes profile and email to its answer.
func (k *KSeries) issue(version oauthVersion, session, scope string) kTokens {
	offline := slices.Contains(strings.Fields(scope), scopeOffline)
	life, refreshLife := 25*time.Minute, 30*time.Minute
	switch {
	case version == oauthV1:
		life, refreshLife = time.Hour, 14*24*time.Hour
	case offline:
		refreshLife = 40 * 24 * time.Hour
	}
	life, refreshLife = orDefault(k.opts.AccessTTL, life), orDefault(k.opts.RefreshTTL, refreshLife)
	now := k.engine.now()
	access := &kToken{Token: k.engine.secret("sim-access-"), Session: session, Scope: scope, Expires: now.Add(life)}
	refresh := &kRefresh{Token: k.engine.secret("sim-refresh-"), Session: session, Scope: scope, Version: version, Expires: now.Add(refreshLife)}
	grants := &k.world.Grants
	grants.Tokens, grants.Refresh = append(grants.Tokens, access), append(grants.Refresh, refresh)
	answer := kTokens{
		AccessToken: access.Token, ExpiresIn: int64(life / time.Second), RefreshToken: refresh.Token, TokenType: "Bearer", Scope: scope,
	}
	if version == oauthV2 {
		seconds := int64(refreshLife / time.Second)
		if offline && k.opts.RefreshExpiresZero {
			seconds = 0
		}
		answer.RefreshExpiresIn, answer.NotBeforePolicy, answer.SessionState = &seconds, new(int64), &session
		answer.Scope += " profile email"
	}
	return answer
}
