package paysera

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/grants"
	"github.com/tillroute/tillroute/internal/rest"
	"github.com/tillroute/tillroute/internal/wire"
	"github.com/tillroute/tillroute/pairing"
)

// The causes of a failed connection that programs want to tell apart; ask with errors.Is.
var (
	// ErrRefused is a user who said no.
	ErrRefused = errors.New("the user did not give their consent: begin again if they want to")
	// ErrState is a callback that doesn't belong to this browser: start again.
	ErrState = errors.New("the callback doesn't belong to the connection that was begun here: begin again")
	// ErrReconnect is a user whose consent is gone: they have to connect again.
	ErrReconnect = errors.New("the user's consent is gone: have them connect again")
)

const (
	defaultAuthorizeURL = "https://www.paysera.com/frontend/oauth"
	macToken            = "mac"
	macAlgorithm        = "hmac-sha-256"
)

// OAuth is an application that users give their consent to. It is safe for concurrent use as long as nobody changes it. What is
// missing in it is an error of kind Invalid of each call that needs it.
type OAuth struct {
	// ClientID and ClientSecret are the application's. Required. Token requests are signed with them.
	ClientID     string
	ClientSecret tillroute.Secret
	// RedirectURL is where the user comes back to: an absolute URL. [OAuth.AuthCodeURL] requires it.
	RedirectURL string
	// Scopes are what to ask for, such as balance and email. Which ones spots need isn't documented.
	Scopes []string
	// AuthorizeURL is where the user is sent to. Defaults to https://www.paysera.com/frontend/oauth; another language has
	// its name before /oauth.
	AuthorizeURL string
	// BaseURL is the server that issues tokens, without /oauth/v1. Defaults to [ProductionURL]; within a [Config], to that of
	// the client.
	BaseURL string
	// HTTP says how to talk HTTP. Without a Transport each call makes its own connection, and closes it; within a [Config], it
	// takes that of the client.
	HTTP tillroute.HTTPOptions
	// Now and Nonce are for tests: see [SignerConfig].
	Now   func() time.Time
	Nonce func() string
}

// NewState returns a random state for [OAuth.AuthCodeURL]. Keep it where only this browser's session finds it.
func NewState() string { return rand.Text() }

// AuthCodeURL returns where to send the user. state is at least eight characters long, unpredictable, and bound to the user's
// browser session: [NewState] makes one.
//
// API reference: https://developers.paysera.com/en/wallet/user/oauth
func (o OAuth) AuthCodeURL(state string) (string, error) {
	problems := o.clientProblems()
	problems = append(problems, grants.AskingProblems(o.Scopes, o.RedirectURL)...)
	target := o.AuthorizeURL
	if target == "" {
		target = defaultAuthorizeURL
	}
	if _, err := rest.ParseBaseURL(target); err != nil {
		problems = append(problems, "AuthorizeURL: "+err.Error())
	}
	if len(state) < grants.MinState {
		problems = append(problems, fmt.Sprintf("the state has %d characters, and must have %d at least: NewState makes one", len(state), grants.MinState))
	}
	if len(problems) > 0 {
		return "", tillroute.Invalid(System, "OAuth.AuthCodeURL", "%s", strings.Join(problems, "; "))
	}
	query := url.Values{"response_type": {"code"}, "client_id": {o.ClientID}, "redirect_uri": {o.RedirectURL}, "state": {state}}
	if len(o.Scopes) > 0 {
		query.Set("scope", strings.Join(o.Scopes, " "))
	}
	return target + "?" + query.Encode(), nil
}

func (o OAuth) baseURL() string {
	if o.BaseURL == "" {
		return ProductionURL
	}
	return o.BaseURL
}

// clientProblems returns what keeps the application from asking for tokens.
func (o OAuth) clientProblems() []string {
	var problems []string
	if o.ClientID == "" || !quotable(o.ClientID) {
		problems = append(problems, "ClientID is missing, or has characters that can't be sent")
	}
	if o.ClientSecret == "" {
		problems = append(problems, "ClientSecret is missing")
	}
	if _, err := rest.ParseBaseURL(o.baseURL()); err != nil {
		problems = append(problems, "BaseURL: "+err.Error())
	}
	return problems
}

// Callback is what a user who consented comes back with.
type Callback struct {
	// Code is good for one [OAuth.Exchange].
	Code tillroute.Secret
}

// ParseCallback reads the query of the redirect URL. wantState is the state that this browser's session began with.
//
// Nothing in the query can be trusted before the state has been checked; a state that is missing or another is [ErrState]. A
// user who said no is [ErrRefused], with the vendor's word for it as Code.
//
// API reference: https://developers.paysera.com/en/wallet/user/oauth
func (o OAuth) ParseCallback(query url.Values, wantState string) (Callback, error) {
	code, err := grants.Consent{System: System, Refused: ErrRefused, Stranger: ErrState}.Code(query, wantState)
	return Callback{Code: code}, err
}

// Exchange turns the code of a callback into the grant of that account, which is to be kept with PutGrant of a
// [pairing.Tokens]. account is what you know the user by. The code is used up: if the answer is lost, the error matches
// [tillroute.ErrOutcomeUnknown] and the user has to connect again. An error that matches [ErrReconnect] says that the code was
// not accepted.
//
// API reference: POST /oauth/v1/token, https://developers.paysera.com/en/wallet/user/oauth
func (o OAuth) Exchange(ctx context.Context, callback Callback, account string) (pairing.Grant, error) {
	const operation = "OAuth.Exchange"
	if callback.Code == "" || account == "" {
		return pairing.Grant{}, tillroute.Invalid(System, operation, "the code or the account is missing")
	}
	form := url.Values{"grant_type": {"authorization_code"}, "code": {callback.Code.Reveal()}}
	if o.RedirectURL != "" {
		form.Set("redirect_uri", o.RedirectURL)
	}
	return o.token(ctx, operation, pairing.Grant{System: System, Account: account, Scope: strings.Join(o.Scopes, " ")}, form, callback.Code)
}

// Refresh uses the grant's refresh token, and returns the grant with new tokens. Write it down before using it: the old tokens
// may no longer work. If the answer is lost, the error matches [tillroute.ErrOutcomeUnknown], and the old refresh token may or
// may not work. An error that matches [ErrReconnect] says that it doesn't.
//
// A [Client] does all of this by itself.
//
// API reference: POST /oauth/v1/token, https://developers.paysera.com/en/wallet/user/oauth
func (o OAuth) Refresh(ctx context.Context, grant pairing.Grant) (pairing.Grant, error) {
	const operation = "OAuth.Refresh"
	if grant.RefreshToken == "" {
		return pairing.Grant{}, grants.NoRefreshToken(System, ErrReconnect)
	}
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {grant.RefreshToken.Reveal()}}
	return o.token(ctx, operation, grant, form, grant.RefreshToken)
}

// Revoke ends the grant's access token at the server. Delete the grant where it is kept, too. If the error matches
// [tillroute.ErrOutcomeUnknown], repeat it.
//
// API reference: DELETE /oauth/v1/token, https://developers.paysera.com/en/wallet/user/oauth
func (o OAuth) Revoke(ctx context.Context, grant pairing.Grant) error {
	d := tokenRevoke.declare()
	if grant.AccessToken == "" {
		return tillroute.Invalid(System, d.Name, "there is no access token")
	}
	return o.call(ctx, &d, rest.Request{
		Query:   url.Values{"access_token": {grant.AccessToken.Reveal()}},
		Secrets: append(secretsOf(grant), url.QueryEscape(grant.AccessToken.Reveal())),
	}, nil)
}

func secretsOf(g pairing.Grant) []string {
	return []string{g.AccessToken.Reveal(), g.RefreshToken.Reveal(), g.Extra.Reveal()}
}

// token asks for tokens and puts them into the grant. used is what the request uses up.
func (o OAuth) token(ctx context.Context, operation string, grant pairing.Grant, form url.Values, used tillroute.Secret) (pairing.Grant, error) {
	d := tokenAsk.declare()
	d.Name = operation
	var answer struct {
		AccessToken  wire.Text `json:"access_token"`
		RefreshToken wire.Text `json:"refresh_token"`
		TokenType    wire.Text `json:"token_type"`
		Key          wire.Text `json:"mac_key"`
		Algorithm    wire.Text `json:"mac_algorithm"`
		ExpiresIn    wire.Int  `json:"expires_in"`
		Scope        wire.Text `json:"scope"`
	}
	secrets := append(secretsOf(grant), used.Reveal(), url.QueryEscape(used.Reveal()))
	err := o.call(ctx, &d, rest.Request{Form: form, Secrets: secrets}, &answer)
	if e, ok := errors.AsType[*tillroute.Error](err); ok && e.Code == errorCodeInvalidGrant {
		e.Err = ErrReconnect
	}
	if err != nil {
		return pairing.Grant{}, err
	}
	problem := ""
	switch {
	case answer.AccessToken == "" || !quotable(string(answer.AccessToken)):
		problem = "the answer has no access token that can be used"
	case !strings.EqualFold(string(answer.TokenType), macToken) || !strings.EqualFold(string(answer.Algorithm), macAlgorithm):
		problem = "the answer has a token of another kind than MAC with hmac-sha-256"
	case answer.Key == "":
		problem = "the answer has no MAC key"
	}
	if problem != "" {
		return pairing.Grant{}, &tillroute.Error{
			System: System, Operation: operation, Kind: tillroute.KindDecode, Attempts: 1,
			Message: problem + ": have the user connect again if this goes on",
		}
	}
	grant.AccessToken, grant.Extra = tillroute.Secret(answer.AccessToken), tillroute.Secret(answer.Key)
	grant.TokenType, grant.Expiry = macToken, time.Time{}
	// A refresh token that isn't replaced stays good.
	if answer.RefreshToken != "" {
		grant.RefreshToken = tillroute.Secret(answer.RefreshToken)
	}
	if answer.Scope != "" {
		grant.Scope = string(answer.Scope)
	}
	if seconds := answer.ExpiresIn; seconds > 0 && seconds < 1<<32 {
		grant.Expiry = time.Now().Add(time.Duration(seconds) * time.Second).UTC()
	}
	return grant, nil
}

// call makes a call that is signed with the application's credentials.
func (o OAuth) call(ctx context.Context, d *rest.Operation, r rest.Request, out any) error {
	if problems := o.clientProblems(); len(problems) > 0 {
		return tillroute.Invalid(System, d.Name, "%s", strings.Join(problems, "; "))
	}
	options := o.HTTP
	if options.Transport == nil {
		own := rest.NewTransport()
		defer own.CloseIdleConnections()
		options.Transport = own
	}
	own := credential{tillroute.Secret(o.ClientID), o.ClientSecret}
	c := &core{credential: func(context.Context) (credential, error) { return own, nil }}
	if err := c.connect(o.baseURL(), options, o.Now, o.Nonce); err != nil {
		return err
	}
	return c.doAs(ctx, d, r, out, nil)
}

// MissingScopes returns the scopes of [OAuth].Scopes that were not granted, as far as the server said. Where it said nothing, those
// that were asked for count as granted.
func (o OAuth) MissingScopes(grant pairing.Grant) []string {
	return grants.MissingScopes(o.Scopes, grant)
}
