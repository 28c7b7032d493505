package kseries

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/grants"
	"github.com/tillroute/tillroute/internal/rest"
	"github.com/tillroute/tillroute/internal/wire"
	"github.com/tillroute/tillroute/pairing"
)

// The causes of a failed connection that programs want to tell apart; ask with errors.Is. The errors that wrap them are of kind
// Forbidden, and of kind Unauthorized for ErrReconnect.
var (
	// ErrRefused is a merchant who said no.
	ErrRefused = errors.New("the merchant did not give their consent")
	// ErrState is a callback that doesn't belong to this browser: start again.
	ErrState = errors.New("the callback doesn't belong to the connection that was begun here")
	// ErrReconnect is a merchant whose consent is gone: they have to connect again.
	ErrReconnect = errors.New("the merchant's consent is gone: connect again")
)

// OAuthVersion is the generation of an application. The client ID of version 2 begins with devp-v2-, that of version 1 with
// devp- alone.
type OAuthVersion int

// The generations.
const (
	// V1 is for applications from before November 2025 that were not migrated. It wants code and refresh token in the URL: keep
	// logs of URLs off the way there. This package shows no URL.
	V1 OAuthVersion = 1
	// V2 is for all others.
	V2 OAuthVersion = 2
)

// OAuth is an application that merchants give their consent to, as it is registered with the vendor. It is safe for
// concurrent use as long as nobody changes it.
//
// Version and Environment say where it talks to; each has its presets:
//
//	V1 production  https://api.lsk.lightspeed.app/oauth/{authorize,token}
//	V1 trial       https://api.trial.lsk.lightspeed.app/oauth/{authorize,token}
//	V2 production  https://auth.lsk-prod.app/realms/k-series/protocol/openid-connect/{auth,token}
//	V2 trial       https://auth.lsk-demo.app/realms/k-series/protocol/openid-connect/{auth,token}
type OAuth struct {
	// Version is V1 or V2. Defaults to V2.
	Version OAuthVersion
	// Environment is Production or Trial. Defaults to that of the [Config], or else to Production.
	Environment Environment
	// ClientID and ClientSecret are the application's. Required.
	ClientID     string
	ClientSecret tillroute.Secret
	// SecretInBody sends the client's ID and secret in the body instead of in a Basic header. The vendor documents the
	// header. V2 only.
	SecretInBody bool
	// RedirectURL is where the merchant comes back to, as registered: an https URL, or an http one of this machine. Required.
	RedirectURL string
	// Scopes are what to ask for, such as orders-api and financial-api. At least one is required. With offline_access, which
	// is V2's, the refresh token lasts for weeks instead of half an hour.
	Scopes []string
	// AuthorizeURL and TokenURL replace those of the preset.
	AuthorizeURL, TokenURL string
	// HTTP says how to talk HTTP. Without a Transport a [Client] uses that of its own HTTP, and other calls make a connection
	// each, and close it.
	HTTP tillroute.HTTPOptions
}

// endpoints returns where the merchant is sent and where tokens are had.
func (o OAuth) endpoints() (authorizeURL, tokenURL string) {
	environment := o.Environment
	if environment == "" {
		environment = Production
	}
	switch {
	case o.version() == V1:
		authorizeURL, tokenURL = environment.apiURL()+"/oauth/authorize", environment.apiURL()+"/oauth/token"
	case environment == Trial:
		authorizeURL, tokenURL = realm("demo")
	default:
		authorizeURL, tokenURL = realm("prod")
	}
	if o.AuthorizeURL != "" {
		authorizeURL = o.AuthorizeURL
	}
	if o.TokenURL != "" {
		tokenURL = o.TokenURL
	}
	return authorizeURL, tokenURL
}

func realm(name string) (authorizeURL, tokenURL string) {
	base := "https://auth.lsk-" + name + ".app/realms/k-series/protocol/openid-connect"
	return base + "/auth", base + "/token"
}

func (o OAuth) version() OAuthVersion {
	if o.Version == 0 {
		return V2
	}
	return o.Version
}

// NewState returns a random state for [OAuth.AuthCodeURL]. Keep it where only this browser's session finds it.
func NewState() string { return rand.Text() }

// AuthCodeURL returns where to send the merchant. state is at least eight characters long, unpredictable, and bound to the
// merchant's browser session: [NewState] makes one.
//
// API reference: https://api-portal.lsk.lightspeed.app/quick-start/authentication/authorization-overview
func (o OAuth) AuthCodeURL(state string) (string, error) {
	problems := o.clientProblems()
	if len(o.Scopes) == 0 {
		problems = append(problems, "Scopes are missing: ask for orders-api, for one")
	}
	problems = append(problems, grants.AskingProblems(o.Scopes, o.RedirectURL)...)
	if back, err := url.Parse(o.RedirectURL); err == nil && back.Host != "" && !grants.Shielded(back) {
		problems = append(problems, "RedirectURL is not https, and the vendor takes no other")
	}
	authorizeURL, _ := o.endpoints()
	u, err := url.Parse(authorizeURL)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		problems = append(problems, "AuthorizeURL is not an absolute https URL")
	}
	if len(state) < grants.MinState {
		problems = append(problems, fmt.Sprintf("the state has %d characters, and must have %d at least", len(state), grants.MinState))
	}
	if len(problems) > 0 {
		return "", tillroute.Invalid(System, "OAuth.AuthCodeURL", "%s", strings.Join(problems, "; "))
	}
	query := u.Query()
	query.Set("response_type", "code")
	query.Set("client_id", o.ClientID)
	query.Set("redirect_uri", o.RedirectURL)
	query.Set("scope", strings.Join(o.Scopes, " "))
	query.Set("state", state)
	u.RawQuery = query.Encode()
	return u.String(), nil
}

// clientProblems returns what keeps the application from asking for tokens.
func (o OAuth) clientProblems() []string {
	var problems []string
	add := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if o.Environment != "" && o.Environment.apiURL() == "" {
		add("Environment %.20q is neither %q nor %q", o.Environment, Production, Trial)
	}
	switch version := o.version(); {
	case version != V1 && version != V2:
		add("Version %d is neither V1 nor V2", version)
	case version == V1 && strings.HasPrefix(o.ClientID, "devp-v2-"):
		add("ClientID is that of a V2 application, and Version is V1")
	case version == V2 && strings.HasPrefix(o.ClientID, "devp-") && !strings.HasPrefix(o.ClientID, "devp-v2-"):
		add("ClientID is that of a V1 application, and Version is V2")
	case version == V1 && o.SecretInBody:
		add("SecretInBody is not for V1: it takes a header")
	}
	if o.ClientID == "" {
		add("ClientID is missing")
	} else if strings.Contains(o.ClientID, ":") {
		add("ClientID has a colon, which a Basic header can't tell from what follows")
	}
	if o.ClientSecret == "" {
		add("ClientSecret is missing")
	}
	_, tokenURL := o.endpoints()
	if _, err := rest.ParseBaseURL(tokenURL); err != nil {
		add("TokenURL is not an absolute https URL without a query")
	}
	return problems
}

// ParseCallback reads the query of the redirect URL and returns the code, which is good for one [OAuth.Exchange]. wantState is
// the state that this browser's session began with.
//
// Nothing in the query can be trusted before the state has been checked; a state that is missing or another is [ErrState]. A
// merchant who said no is [ErrRefused], with the vendor's word for it as Code. A query without a code is an error of kind Invalid.
//
// API reference: https://api-portal.lsk.lightspeed.app/quick-start/authentication/authorization-overview
func (o OAuth) ParseCallback(query url.Values, wantState string) (code tillroute.Secret, err error) {
	// Whether a refusal comes with the state isn't documented.
	reader := grants.Consent{System: System, Refused: ErrRefused, Stranger: ErrState, BareRefusal: true}
	return reader.Code(query, wantState)
}

// Exchange turns the code of a callback into the grant of account, which is to be kept with PutGrant of a [pairing.Tokens].
// account is the name for it in [Config].Account. The code is used up: if the answer is lost, the error matches
// [tillroute.ErrOutcomeUnknown] and the merchant has to connect again. An error that matches [ErrReconnect] says that the code
// was not accepted.
//
// The grant may have other scopes than were asked for: see [OAuth.MissingScopes].
//
// V2 has the first of these, V1 the second:
//
// API reference: POST /realms/k-series/protocol/openid-connect/token, https://api-portal.lsk.lightspeed.app/quick-start/authentication/authorization-overview
//
// API reference: POST /oauth/token, https://api-portal.lsk.lightspeed.app/quick-start/authentication/authorization-overview
func (o OAuth) Exchange(ctx context.Context, account string, code tillroute.Secret) (pairing.Grant, error) {
	const operation = "OAuth.Exchange"
	if account == "" || code == "" {
		return pairing.Grant{}, tillroute.Invalid(System, operation, "the account or the code is missing")
	}
	return o.token(ctx, operation, pairing.Grant{System: System, Account: account}, code, url.Values{
		"grant_type": {"authorization_code"}, "code": {code.Reveal()}, "redirect_uri": {o.RedirectURL},
	})
}

// Refresh uses the grant's refresh token, and returns the grant with new tokens. Write it down before using it: the old
// refresh token no longer works. If the answer is lost, the error matches [tillroute.ErrOutcomeUnknown], and the old one may
// or may not work. An error that matches [ErrReconnect] says that it doesn't.
//
// A [Client] does all of this by itself.
//
// V2 has the first of these, V1 the second:
//
// API reference: POST /realms/k-series/protocol/openid-connect/token, https://api-portal.lsk.lightspeed.app/quick-start/authentication/authorization-overview
//
// API reference: POST /oauth/token, https://api-portal.lsk.lightspeed.app/quick-start/authentication/authorization-overview
func (o OAuth) Refresh(ctx context.Context, grant pairing.Grant) (pairing.Grant, error) {
	const operation = "OAuth.Refresh"
	if grant.RefreshToken == "" {
		return pairing.Grant{}, grants.NoRefreshToken(System, ErrReconnect)
	}
	return o.token(ctx, operation, grant, grant.RefreshToken, url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {grant.RefreshToken.Reveal()},
	})
}

// MissingScopes returns the scopes that were asked for and not granted. If the grant doesn't say what was granted, none are
// known to be missing. The vendor may add scopes of its own.
func (o OAuth) MissingScopes(grant pairing.Grant) []string {
	return grants.MissingScopes(o.Scopes, grant)
}

// RefreshExpiry returns when the grant's refresh token ends if it isn't used, in UTC. The zero time means that the vendor
// announced no end: it may write 0 for one that lasts.
func RefreshExpiry(grant pairing.Grant) time.Time {
	expiry, err := time.Parse(time.RFC3339, grant.Extra.Reveal())
	if err != nil {
		return time.Time{}
	}
	return expiry.UTC()
}

// token asks for tokens and puts them into the grant. used is what the request uses up.
func (o OAuth) token(ctx context.Context, operation string, grant pairing.Grant, used tillroute.Secret, form url.Values) (pairing.Grant, error) {
	if problems := o.clientProblems(); len(problems) > 0 {
		return pairing.Grant{}, tillroute.Invalid(System, operation, "%s", strings.Join(problems, "; "))
	}
	options := o.HTTP
	if options.Transport == nil {
		own := rest.NewTransport()
		defer own.CloseIdleConnections()
		options.Transport = own
	}
	_, tokenURL := o.endpoints()
	config := rest.Config{System: System, BaseURL: tokenURL, HTTP: options, Explain: explainToken}
	request := rest.Request{Form: form}
	switch {
	case o.SecretInBody:
		form.Set("client_id", o.ClientID)
		form.Set("client_secret", o.ClientSecret.Reveal())
	default:
		config.Authorize = func(r *http.Request, _ []byte) error {
			r.SetBasicAuth(o.ClientID, o.ClientSecret.Reveal())
			return nil
		}
	}
	if o.version() == V1 {
		// The vendor wants it there, secret or not.
		request = rest.Request{Query: form}
	}
	header := base64.StdEncoding.EncodeToString([]byte(o.ClientID + ":" + o.ClientSecret.Reveal()))
	for _, secret := range []string{used.Reveal(), o.ClientSecret.Reveal(), header} {
		request.Secrets = append(request.Secrets, secret, url.QueryEscape(secret))
	}
	pipeline, err := rest.New(config)
	if err != nil {
		return pairing.Grant{}, err
	}
	var answer struct {
		AccessToken      wire.Text `json:"access_token"`
		RefreshToken     wire.Text `json:"refresh_token"`
		TokenType        wire.Text `json:"token_type"`
		Scope            wire.Text `json:"scope"`
		ExpiresIn        wire.Int  `json:"expires_in"`
		RefreshExpiresIn wire.Int  `json:"refresh_expires_in"`
	}
	asked := time.Now()
	err = pipeline.Do(ctx, &rest.Operation{Name: operation, Method: http.MethodPost}, request, &answer)
	if err != nil {
		return pairing.Grant{}, err
	}
	if answer.AccessToken == "" {
		return pairing.Grant{}, &tillroute.Error{
			System: System, Operation: operation, Kind: tillroute.KindDecode, Attempts: 1,
			Message: "the answer has no access token: connect again if this goes on",
		}
	}
	grant.AccessToken, grant.TokenType = tillroute.Secret(answer.AccessToken), string(answer.TokenType)
	if answer.RefreshToken != "" {
		grant.RefreshToken = tillroute.Secret(answer.RefreshToken)
	}
	if answer.Scope != "" {
		grant.Scope = string(answer.Scope)
	}
	grant.Expiry, grant.Extra = after(asked, int64(answer.ExpiresIn)), ""
	if end := after(asked, int64(answer.RefreshExpiresIn)); !end.IsZero() {
		grant.Extra = tillroute.Secret(end.Format(time.RFC3339))
	}
	return grant, nil
}

// forever is longer than any token lasts.
const forever = 100 * 365 * 24 * 3600

// after returns a time so many seconds later. What isn't positive announces no end.
func after(start time.Time, seconds int64) time.Time {
	if seconds <= 0 {
		return time.Time{}
	}
	return start.Add(time.Duration(min(seconds, forever)) * time.Second).UTC()
}

// explainToken refines the refusal of a token.
func explainToken(e *tillroute.Error) {
	grants.Refusal(e, "check ClientID, ClientSecret, Version and Environment", ErrReconnect)
}
