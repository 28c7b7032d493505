package testserver

import (
	"html"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// The descriptions of a dead refresh token are those that the vendor's own programs look for. Which is when, but for
// the second, is a judgment.
const (
	textRefreshExpired = "Refresh token expired"
	textRefreshUnknown = "No such refresh token"
	textRefreshUsed    = "Refresh token status invalid"
)

// macAlgorithm is the only algorithm.
const macAlgorithm = "hmac-sha-256"

// walletGrants is what the authorization server remembers.
type walletGrants struct {
	Codes    []*walletCode
	Sessions []*walletSession
	Tokens   []*walletToken
	Refresh  []*walletRefresh
	Refuse   bool    // the user refuses the next authorization
	Scope    *string // the user grants these scopes at the next authorization, whatever is asked
	As       int64   // who authorizes, 0 for the first user
}

// walletCode is an authorization code; it is deleted when it is redeemed.
type walletCode struct {
	Code, Client, RedirectURI, Scope string
	User                             int64
	Expires                          time.Time
}

// walletSession is an authorization that was prepared for a known user.
type walletSession struct {
	Key   string
	User  int64
	Query url.Values
}

// walletToken is an access token with the key of its signatures.
type walletToken struct {
	Token, Key, Client, Scope string
	User                      int64
	Expires                   time.Time
}

// walletRefresh is a refresh token.
type walletRefresh struct {
	Token, Client, Scope string
	User                 int64
	Used                 bool
	Expires              time.Time
}

// token finds an access token, expired or not.
func (g *walletGrants) token(id string) *walletToken {
	for _, t := range g.Tokens {
		if t.Token == id {
			return t
		}
	}
	return nil
}

// PayseraToken is the answer of the token endpoint.
type PayseraToken struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
	RefreshToken string `json:"refresh_token,omitempty"`
	MACKey       string `json:"mac_key"`
	MACAlgorithm string `json:"mac_algorithm"`
}

// RefuseNextAuthorization makes the user refuse the next request for authorization.
func (p *Paysera) RefuseNextAuthorization() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.world.Grants.Refuse = true
}

// GrantNextAuthorization makes the user's next consent cover these scopes instead of those asked for.
func (p *Paysera) GrantNextAuthorization(scopes ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	granted := strings.Join(scopes, " ")
	p.world.Grants.Scope = &granted
}

// AuthorizeAs says which user is in front of the authorization page. Default: the first.
func (p *Paysera) AuthorizeAs(user int64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.world.user(user) == nil {
		return refuse(http.StatusNotFound, "no user %d", user)
	}
	p.world.Grants.As = user
	return nil
}

// ExpireTokens ends the life of all access tokens. Refresh tokens stay good.
func (p *Paysera) ExpireTokens() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.world.Grants.Tokens {
		t.Expires = p.engine.now()
	}
}

// RevokeTokens ends the life of all access and refresh tokens, as when users remove the application.
func (p *Paysera) RevokeTokens() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.world.Grants.Tokens, p.world.Grants.Refresh = nil, nil
}

// frontend answers the pages that a user's browser is sent to. What they look like is a judgment, and so is what is
// shown for a request that cannot be sent back to the application: a plain 400 page.
func (p *Paysera) frontend(x *exchange, path []string) {
	if x.r.Method != http.MethodGet {
		x.violate("method %s on a page, must be GET", x.r.Method)
		x.html(http.StatusMethodNotAllowed, "<html><body><h1>Method not allowed</h1></body></html>\n")
		return
	}
	if len(path) > 0 && len(path[0]) == 2 {
		path = path[1:] // the language
	}
	switch {
	case slices.Equal(path, []string{"oauth"}):
		p.authorizePage(x, x.r.URL.Query(), p.world.Grants.As)
	case len(path) == 2 && path[0] == "oauth":
		for _, s := range p.world.Grants.Sessions {
			if s.Key == path[1] {
				p.authorizePage(x, s.Query, s.User)
				return
			}
		}
		x.html(http.StatusNotFound, "<html><body><h1>No such session</h1></body></html>\n")
	case len(path) == 3 && path[0] == "wallet" && path[1] == "confirm":
		t := p.world.transaction(path[2])
		if t == nil {
			x.html(http.StatusNotFound, "<html><body><h1>No such transaction</h1></body></html>\n")
			return
		}
		p.open(t)
		x.html(http.StatusOK, "<html><body><h1>Confirm the payment</h1><p>"+html.EscapeString(p.total(t).StringFixed(2)+" "+p.currency(t))+"</p></body></html>\n")
	default:
		x.violate("unknown page")
		x.html(http.StatusNotFound, "<html><body><h1>No such page</h1></body></html>\n")
	}
}

// authorizePage is the user consenting at once.
func (p *Paysera) authorizePage(x *exchange, q url.Values, user int64) {
	redirect, problem := p.checkAuthorization(x, q)
	if problem != "" {
		x.violate("%s", problem)
		x.html(http.StatusBadRequest, "<html><body><h1>Authorization failed</h1><p>"+problem+"</p></body></html>\n")
		return
	}
	back := url.Values{}
	grants := &p.world.Grants
	switch {
	case grants.Refuse:
		grants.Refuse = false
		back.Set("error", "access_denied") // judgment: RFC 6749
		back.Set("error_description", "The user refused")
	default:
		scope := q.Get("scope")
		if grants.Scope != nil {
			scope, grants.Scope = *grants.Scope, nil
		}
		code := &walletCode{
			Code: p.engine.secret("sim-code-"), Client: q.Get("client_id"), RedirectURI: q.Get("redirect_uri"), Scope: scope,
			User: orDefault(user, p.world.Users[0].ID), Expires: p.engine.now().Add(p.opts.CodeTTL),
		}
		grants.Codes = append(grants.Codes, code)
		back.Set("code", code.Code)
	}
	if q.Has("state") {
		back.Set("state", q.Get("state"))
	}
	x.sendBack(redirect, back)
}

// checkAuthorization checks what an application asks of a user.
func (p *Paysera) checkAuthorization(x *exchange, q url.Values) (redirect *url.URL, problem string) {
	for key := range q {
		if !slices.Contains([]string{"response_type", "client_id", "redirect_uri", "scope", "state", "user[email]"}, key) {
			x.violate("unknown parameter %q", key)
		}
	}
	redirect, err := url.Parse(q.Get("redirect_uri"))
	switch {
	case q.Get("response_type") != "code":
		problem = "response_type must be code"
	case q.Get("client_id") != p.opts.AppID && q.Get("client_id") != p.opts.ClientID:
		problem = "client_id is not that of a registered client"
	case err != nil || !redirect.IsAbs() || redirect.Host == "":
		problem = "redirect_uri must be an absolute URL"
	case q.Get("state") == "":
		x.violate("state is missing, the answer cannot be told from a forged one")
	}
	return redirect, problem
}

// oauth answers one request to the OAuth API, which is signed with a client's credentials.
func (p *Paysera) oauth(x *exchange, path []string) {
	who, err := p.authenticate(x)
	if err == nil {
		err = p.spend(who)
	}
	if err == nil && who.user != 0 {
		x.violate("the OAuth API is called with a client's credentials, not with an access token")
		err = forbidden("This call needs the credentials of a client")
	}
	if err != nil {
		x.answerError(err)
		return
	}
	var answer any
	switch operation := x.r.Method + " " + strings.Join(path, "/"); operation {
	case "POST token":
		answer, err = p.tokenCall(x, who)
	case "POST session":
		answer, err = p.sessionCall(x, who)
	case "DELETE token":
		err = p.revokeCall(x, who)
	default:
		x.violate("no such operation: %s", operation)
		err = notFound("No such resource")
	}
	switch {
	case err != nil:
		x.answerError(err)
	case answer == nil:
		x.empty(http.StatusNoContent) // judgment
	default:
		x.json(http.StatusOK, answer)
	}
}

// oauthForm reads the form of a call. Empty and unknown fields are violations.
func (x *exchange) oauthForm(required, optional []string) (url.Values, error) {
	form, ok := x.form()
	if !ok {
		return nil, badRequest("invalid_request", "The request must be a form")
	}
	if x.r.URL.RawQuery != "" {
		x.violate("this call takes a form body, not a query string")
	}
	for key := range form {
		if !slices.Contains(required, key) && !slices.Contains(optional, key) {
			x.violate("unknown form field %q", key)
		}
	}
	for _, key := range required {
		if form.Get(key) == "" {
			return nil, badRequest("invalid_request", "Key "+key+" is required")
		}
	}
	return form, nil
}

// sessionCall prepares an authorization of a user who is known by email.
func (p *Paysera) sessionCall(x *exchange, who caller) (any, error) {
	form, err := x.oauthForm([]string{"response_type", "client_id", "redirect_uri"}, []string{"scope", "state", "user[email]"})
	if err != nil {
		return nil, err
	}
	if form.Get("client_id") != who.client {
		return nil, badRequest("invalid_request", "client_id is that of another client")
	}
	if _, problem := p.checkAuthorization(x, form); problem != "" {
		return nil, badRequest("invalid_request", problem)
	}
	session := &walletSession{Key: p.engine.secret("sim-session-"), Query: form}
	if u := p.world.userBy(form.Get("user[email]"), ""); u != nil {
		session.User = u.ID
	}
	p.world.Grants.Sessions = append(p.world.Grants.Sessions, session)
	return map[string]string{"key": session.Key}, nil
}

// tokenCall answers POST /oauth/v1/token.
func (p *Paysera) tokenCall(x *exchange, who caller) (any, error) {
	grantType := ""
	if form, err := url.ParseQuery(string(x.body)); err == nil {
		grantType = form.Get("grant_type")
	}
	switch grantType {
	case "authorization_code":
		form, err := x.oauthForm([]string{"grant_type", "code", "redirect_uri"}, nil)
		if err != nil {
			return nil, err
		}
		return p.redeem(x, who, form)
	case "password":
		form, err := x.oauthForm([]string{"grant_type", "username", "password"}, []string{"scope"})
		if err != nil {
			return nil, err
		}
		if who.client != p.opts.AppID { // only the app has the permission use_password_grant
			return nil, forbidden("Client has no permission use_password_grant")
		}
		u := p.world.userBy(form.Get("username"), form.Get("username"))
		if u == nil || !sameSecret(u.Password, form.Get("password")) {
			return nil, badRequest("invalid_grant", "Invalid username or password") // judgment
		}
		return p.issue(who.client, u.ID, form.Get("scope"), ""), nil
	case "refresh_token":
		form, err := x.oauthForm([]string{"grant_type", "refresh_token"}, []string{"scope"})
		if err != nil {
			return nil, err
		}
		return p.refresh(who, form)
	default:
		return nil, badRequest("invalid_request", "grant_type must be authorization_code, password or refresh_token")
	}
}

// redeem exchanges an authorization code, once.
func (p *Paysera) redeem(x *exchange, who caller, form url.Values) (any, error) {
	grants := &p.world.Grants
	i := slices.IndexFunc(grants.Codes, func(c *walletCode) bool { return c.Code == form.Get("code") })
	if i < 0 || grants.Codes[i].Client != who.client || !p.engine.now().Before(grants.Codes[i].Expires) {
		return nil, badRequest("invalid_grant", "Authorization code is invalid") // judgment
	}
	code := grants.Codes[i]
	if code.RedirectURI != form.Get("redirect_uri") {
		x.violate("redirect_uri is %q, the code was issued for %q", form.Get("redirect_uri"), code.RedirectURI)
		return nil, badRequest("invalid_grant", "Redirect URI is invalid")
	}
	grants.Codes = slices.Delete(grants.Codes, i, i+1)
	return p.issue(code.Client, code.User, code.Scope, ""), nil
}

// refresh gives a new access token. That the old one stays good until its end is a judgment.
func (p *Paysera) refresh(who caller, form url.Values) (any, error) {
	for _, r := range p.world.Grants.Refresh {
		if r.Token != form.Get("refresh_token") || r.Client != who.client {
			continue
		}
		switch {
		case r.Used:
			return nil, badRequest("invalid_grant", textRefreshUsed)
		case !p.engine.now().Before(r.Expires):
			return nil, badRequest("invalid_grant", textRefreshExpired)
		case p.opts.KeepRefreshToken:
			return p.issue(r.Client, r.User, r.Scope, r.Token), nil
		}
		r.Used = true
		return p.issue(r.Client, r.User, r.Scope, ""), nil
	}
	return nil, badRequest("invalid_grant", textRefreshUnknown)
}

// issue makes an access token, and a refresh token unless one is kept.
func (p *Paysera) issue(client string, user int64, scope, kept string) PayseraToken {
	grants := &p.world.Grants
	access := &walletToken{
		Token: p.engine.secret("sim-access-"), Key: p.engine.secret("sim-mac-key-"), Client: client, User: user, Scope: scope,
		Expires: p.engine.now().Add(p.opts.AccessTTL),
	}
	grants.Tokens = append(grants.Tokens, access)
	answer := PayseraToken{
		AccessToken: access.Token, TokenType: "mac", ExpiresIn: int64(p.opts.AccessTTL / time.Second),
		MACKey: access.Key, MACAlgorithm: macAlgorithm,
	}
	if kept == "" {
		r := &walletRefresh{
			Token: p.engine.secret("sim-refresh-"), Client: client, User: user, Scope: scope, Expires: p.engine.now().Add(p.opts.RefreshTTL),
		}
		grants.Refresh = append(grants.Refresh, r)
		answer.RefreshToken = r.Token
	}
	return answer
}

// revokeCall ends an access token. That its refresh tokens stay good, and that an unknown one is not found, are
// judgments.
func (p *Paysera) revokeCall(x *exchange, who caller) error {
	for key := range x.r.URL.Query() {
		if key != "access_token" {
			x.violate("unknown query parameter %q", key)
		}
	}
	id := x.r.URL.Query().Get("access_token")
	if id == "" {
		return invalid("access_token", "Key access_token is required")
	}
	token := p.world.Grants.token(id)
	if token == nil || token.Client != who.client {
		return notFound("No such access token")
	}
	p.world.Grants.Tokens = slices.DeleteFunc(p.world.Grants.Tokens, func(t *walletToken) bool { return t == token })
	return nil
}
