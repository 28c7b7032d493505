package xseries

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"

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
	ErrRefused = errors.New("the store did not give its consent: begin again if it wants to")
	// ErrState is a callback that doesn't belong to this browser: start again.
	ErrState = errors.New("the callback doesn't belong to the connection that was begun here: begin again")
	// ErrReconnect is a store whose consent is gone: the merchant has to connect again.
	ErrReconnect = errors.New("the store's consent is gone: reconnect the store")
)

const exchangeOperation = "OAuth.Exchange"

const (
	defaultAuthorizeURL = "https://secure.retail.lightspeed.app/connect"
	tokenPath           = "/api/1.0/token" //nolint:gosec // it is a path.
)

// OAuth is an application that stores give their consent to, as it is registered with the vendor. It is safe for concurrent
// use as long as nobody changes it.
type OAuth struct {
	// ClientID and ClientSecret are the application's. Required.
	ClientID     string
	ClientSecret tillroute.Secret
	// RedirectURL is where the merchant comes back to, as registered. Required.
	RedirectURL string
	// Scopes are what to ask for, such as registers:read and outlets:read. At least one is required.
	Scopes []string
	// AuthorizeURL is where the merchant is sent to. Defaults to https://secure.retail.lightspeed.app/connect.
	AuthorizeURL string
	// BaseURL is the server that issues tokens, without /api. {domain_prefix} in it is replaced by the store's. Defaults
	// to https://{domain_prefix}.retail.lightspeed.app.
	BaseURL string
	// HTTP says how to talk HTTP. Without a Transport a [Client] uses that of its own HTTP, and other calls make a connection
	// each, and close it.
	HTTP tillroute.HTTPOptions
}

// NewState returns a random state for [OAuth.AuthCodeURL]. Keep it where only this browser's session finds it.
func NewState() string { return rand.Text() }

// AuthCodeURL returns where to send the merchant. state is at least eight characters long, unpredictable, and bound to the
// merchant's browser session: [NewState] makes one.
//
// API reference: https://x-series-api.lightspeedhq.com/docs/authorization
func (o OAuth) AuthCodeURL(state string) (string, error) {
	problems := o.clientProblems()
	if len(o.Scopes) == 0 {
		problems = append(problems, "Scopes are missing: ask for registers:read, for one")
	}
	problems = append(problems, grants.AskingProblems(o.Scopes, o.RedirectURL)...)
	if u, err := url.Parse(o.authorizeURL()); err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		problems = append(problems, "AuthorizeURL is not an absolute https URL")
	}
	if len(state) < grants.MinState {
		problems = append(problems, fmt.Sprintf("the state has %d characters, and must have %d at least: NewState makes one", len(state), grants.MinState))
	}
	if len(problems) > 0 {
		return "", tillroute.Invalid(System, "OAuth.AuthCodeURL", "%s", strings.Join(problems, "; "))
	}
	return o.config("").AuthCodeURL(state), nil
}

func (o OAuth) authorizeURL() string {
	if o.AuthorizeURL == "" {
		return defaultAuthorizeURL
	}
	return o.AuthorizeURL
}

// clientProblems returns what keeps the application from asking for tokens.
func (o OAuth) clientProblems() []string {
	var problems []string
	if o.ClientID == "" {
		problems = append(problems, "ClientID is missing")
	}
	if o.ClientSecret == "" {
		problems = append(problems, "ClientSecret is missing")
	}
	if _, err := rest.ParseBaseURL(baseURL(o.BaseURL, "prefix")); err != nil {
		problems = append(problems, "BaseURL: "+err.Error())
	}
	return problems
}

// Callback is what a merchant who consented comes back with.
type Callback struct {
	// Code is good for one [OAuth.Exchange], for about ten minutes.
	Code tillroute.Secret
	// DomainPrefix names the store.
	DomainPrefix string
	// Scope is what the merchant agreed to, as far as the callback says so.
	Scope string
}

// ParseCallback reads the query of the redirect URL. wantState is the state that this browser's session began with.
//
// Nothing in the query can be trusted before the state has been checked; a state that is missing or another is [ErrState]. A
// merchant who said no is [ErrRefused], with the vendor's word for it as Code. A query without a code or without the domain
// prefix of a store, or with one of these twice, is an error of kind Invalid.
//
// API reference: https://x-series-api.lightspeedhq.com/docs/authorization
func (o OAuth) ParseCallback(query url.Values, wantState string) (Callback, error) {
	// Whether a refusal comes with the state isn't documented.
	reader := grants.Consent{System: System, Refused: ErrRefused, Stranger: ErrState, BareRefusal: true}
	code, err := reader.Code(query, wantState)
	if err != nil {
		return Callback{}, err
	}
	prefix, _, err := single(query, "domain_prefix")
	if err != nil {
		return Callback{}, reader.Fail(tillroute.KindInvalid, nil, "%s", err)
	}
	if !validPrefix(prefix) {
		return Callback{}, reader.Fail(tillroute.KindInvalid, nil, "the callback's domain_prefix %.70q is not the first part of a store's address", prefix)
	}
	return Callback{Code: code, DomainPrefix: prefix, Scope: query.Get("scope")}, nil
}

// single returns a parameter that may be there once at most.
func single(query url.Values, name string) (value string, ok bool, err error) {
	switch values := query[name]; len(values) {
	case 0:
		return "", false, nil
	case 1:
		return values[0], true, nil
	default:
		return "", false, fmt.Errorf("%s is there %d times", name, len(values))
	}
}

// Exchange turns the code of a callback into a grant, which is to be kept with PutGrant of a [pairing.Tokens]. The code is
// used up: if the answer is lost, the error matches [tillroute.ErrOutcomeUnknown] and the merchant has to connect again.
// An error that matches [ErrReconnect] says that the code was not accepted, and one of kind Forbidden that the tokens are those
// of another store than the callback names.
//
// The grant may have fewer scopes than were asked for: see [OAuth.MissingScopes].
//
// API reference: POST /api/1.0/token, https://x-series-api.lightspeedhq.com/docs/authorization
func (o OAuth) Exchange(ctx context.Context, callback Callback) (pairing.Grant, error) {
	const operation = exchangeOperation
	if callback.Code == "" {
		return pairing.Grant{}, tillroute.Invalid(System, operation, "the code is missing")
	}
	grant := pairing.Grant{System: System, Account: callback.DomainPrefix, Scope: callback.Scope}
	return o.token(ctx, operation, grant, callback.Code, func(ctx context.Context, config *oauth2.Config) (*oauth2.Token, error) {
		return config.Exchange(ctx, callback.Code.Reveal())
	})
}

// Refresh uses the grant's refresh token, and returns the grant with new tokens. Write it down before using it: the old
// refresh token no longer works. If the answer is lost, the error matches [tillroute.ErrOutcomeUnknown], and the old one may
// or may not work. An error that matches [ErrReconnect] says that it doesn't.
//
// A [Client] does all of this by itself.
//
// API reference: POST /api/1.0/token, https://x-series-api.lightspeedhq.com/changelog/2025-03-refresh-token-flow-update
func (o OAuth) Refresh(ctx context.Context, grant pairing.Grant) (pairing.Grant, error) {
	const operation = "OAuth.Refresh"
	if grant.RefreshToken == "" {
		return pairing.Grant{}, grants.NoRefreshToken(System, ErrReconnect)
	}
	return o.token(ctx, operation, grant, grant.RefreshToken, func(ctx context.Context, config *oauth2.Config) (*oauth2.Token, error) {
		return config.TokenSource(ctx, &oauth2.Token{RefreshToken: grant.RefreshToken.Reveal()}).Token()
	})
}

// MissingScopes returns the scopes that were asked for and not granted. If the grant doesn't say what was granted, which the
// vendor allows itself, none are known to be missing.
func (o OAuth) MissingScopes(grant pairing.Grant) []string {
	return grants.MissingScopes(o.Scopes, grant)
}

func (o OAuth) config(prefix string) *oauth2.Config {
	return &oauth2.Config{
		ClientID:     o.ClientID,
		ClientSecret: o.ClientSecret.Reveal(),
		RedirectURL:  o.RedirectURL,
		Scopes:       o.Scopes,
		Endpoint: oauth2.Endpoint{
			AuthURL:   o.authorizeURL(),
			TokenURL:  strings.TrimRight(baseURL(o.BaseURL, prefix), "/") + tokenPath,
			AuthStyle: oauth2.AuthStyleInParams,
		},
	}
}

// token asks for tokens and puts them into the grant. used is what the request uses up.
func (o OAuth) token(ctx context.Context, operation string, grant pairing.Grant, used tillroute.Secret,
	ask func(context.Context, *oauth2.Config) (*oauth2.Token, error),
) (pairing.Grant, error) {
	problems := o.clientProblems()
	if !validPrefix(grant.Account) {
		problems = append(problems, fmt.Sprintf("the domain prefix %.70q is not the first part of a store's address", grant.Account))
	}
	if len(problems) > 0 {
		return pairing.Grant{}, tillroute.Invalid(System, operation, "%s", strings.Join(problems, "; "))
	}
	options := o.HTTP
	if options.Transport == nil {
		own := rest.NewTransport()
		defer own.CloseIdleConnections()
		options.Transport = own
	}
	pipeline, err := rest.New(rest.Config{System: System, BaseURL: baseURL(o.BaseURL, grant.Account), HTTP: options})
	if err != nil {
		return pairing.Grant{}, err
	}
	way := &tokenTransport{
		client:    pipeline,
		operation: rest.Operation{Name: operation, Method: http.MethodPost, Path: tokenPath},
		secrets:   []string{o.ClientSecret.Reveal(), used.Reveal(), url.QueryEscape(used.Reveal())},
	}
	token, err := ask(context.WithValue(ctx, oauth2.HTTPClient, &http.Client{Transport: way}), o.config(grant.Account))
	if err != nil {
		return pairing.Grant{}, way.explain(err)
	}
	prefix, _ := token.Extra("domain_prefix").(string)
	// Whoever owns one store must not come by another's grant by changing what the callback says. Renewed tokens are kept
	// whatever their store is called by now: there are no others.
	if prefix != "" && !strings.EqualFold(prefix, grant.Account) && operation == exchangeOperation {
		return pairing.Grant{}, way.fail(tillroute.KindForbidden, tillroute.Failed,
			fmt.Sprintf("the tokens are of the store %.70q, not of %s: connect the store again", prefix, grant.Account))
	}
	grant.AccessToken = tillroute.Secret(token.AccessToken)
	grant.RefreshToken = tillroute.Secret(token.RefreshToken)
	grant.TokenType = token.TokenType
	grant.Expiry = expiry(token)
	if scope, _ := token.Extra("scope").(string); scope != "" {
		grant.Scope = scope
	}
	return grant, nil
}

// expiry returns when an access token ends. The time from now on is trusted before the point in time, which compares two
// clocks. What isn't positive says nothing.
func expiry(token *oauth2.Token) time.Time {
	if token.ExpiresIn > 0 {
		return token.Expiry.UTC()
	}
	if seconds, ok := wire.ParseDecimal(fmt.Sprint(token.Extra("expires"))); ok && seconds.IsPositive() {
		return time.Unix(seconds.IntPart(), 0).UTC()
	}
	return time.Time{}
}

// tokenTransport carries the requests of the oauth2 package through the pipeline, and keeps the pipeline's error: the
// package's own would show the answer.
type tokenTransport struct {
	client    *rest.Client
	operation rest.Operation
	secrets   []string
	answer    tillroute.Response
}

func (t *tokenTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	_ = r.Body.Close()
	if err != nil {
		return nil, err
	}
	err = t.client.Do(r.Context(), &t.operation, rest.Request{
		Body: body, ContentType: r.Header.Get("Content-Type"), Secrets: t.secrets,
	}, nil, tillroute.WithResponse(&t.answer))
	if err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: t.answer.Status,
		// The package reads JSON that calls itself text/plain as a form.
		Header:  http.Header{"Content-Type": {"application/json"}},
		Body:    io.NopCloser(bytes.NewReader(t.answer.Body)),
		Request: r,
	}, nil
}

// explain turns what went wrong into an error of this package.
func (t *tokenTransport) explain(err error) error {
	var (
		e      *tillroute.Error
		refuse *oauth2.RetrieveError
	)
	switch {
	case errors.As(err, &e):
	case errors.As(err, &refuse):
		// A refusal with status 200.
		e = t.fail(tillroute.KindUnauthorized, tillroute.Failed, refuse.ErrorDescription)
		e.Code = refuse.ErrorCode
	default:
		return t.fail(tillroute.KindDecode, tillroute.Unknown, "the answer has no access token that can be read: reconnect the store if this goes on")
	}
	grants.Refusal(e, "check ClientID and ClientSecret", ErrReconnect)
	return e
}

func (t *tokenTransport) fail(kind tillroute.Kind, outcome tillroute.Outcome, message string) *tillroute.Error {
	for _, secret := range t.secrets {
		if len(secret) >= 6 {
			message = strings.ReplaceAll(message, secret, "[redacted]")
		}
	}
	return &tillroute.Error{
		System: System, Operation: t.operation.Name, Kind: kind, Status: t.answer.Status, Attempts: t.answer.Attempts,
		Outcome: outcome, Message: message,
	}
}
