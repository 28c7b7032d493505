package paysera

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/grants"
	"github.com/tillroute/tillroute/internal/rest"
	"github.com/tillroute/tillroute/pairing"
)

// System is the name of Paysera among the systems that registers belong to.
const System = "paysera"

// The hosts of the Wallet API.
const (
	// ProductionURL moves real money.
	ProductionURL = "https://wallet.paysera.com"
	// SandboxURL has credentials of its own. The vendor's newer documentation doesn't mention it any more.
	SandboxURL = "https://wallet-sandbox.paysera.com"
)

// Config configures a [Client].
//
// A client that represents a merchant has ClientID and ClientSecret, or a Certificate. One that represents a user has OAuth,
// Tokens and Account, and signs with the user's access token.
type Config struct {
	// ClientID and ClientSecret are the merchant's credentials. The ID has printable ASCII characters, without double quotes
	// and backslashes.
	ClientID     string
	ClientSecret tillroute.Secret
	// Certificate has TLS prove who the client is, instead of a MAC. The parameters then go in headers. HTTP.Transport is then
	// nil or a [*http.Transport], of which the client makes a copy.
	Certificate *tls.Certificate
	// OAuth is the application that the user has given their consent to. Its BaseURL and its HTTP.Transport default to those
	// of the client.
	OAuth OAuth
	// Tokens is where the user's grant is kept, under the system [System] and the account Account.
	Tokens  pairing.Tokens
	Account string
	// Parameters say in whose name the client acts, where that isn't its own. [Client.With] changes them for single calls.
	Parameters Parameters
	// BaseURL is the server, without /rest/v1. Defaults to OAuth.BaseURL, or else to [ProductionURL].
	BaseURL string
	// Language is the one that the server is to write for people in, such as "lt" or "en-GB". Optional.
	Language string
	// HTTP says how to talk HTTP. Its Transport must not follow redirects or repeat requests: each is signed anew.
	HTTP tillroute.HTTPOptions
	// Now and Nonce are for tests: see [SignerConfig].
	Now   func() time.Time
	Nonce func() string
}

// Client talks to the Wallet API for one merchant or one user. It is safe for concurrent use. The zero value is not usable:
// its methods return an error.
type Client struct {
	// Spots are the places where guests check in: tables, pumps, counters.
	Spots SpotsService
	// Orders are what guests are to pay at a spot.
	Orders OrdersService
	// Codes says what a scanned QR code is.
	Codes CodesService
	// Transactions move the money of one or more payments.
	Transactions TransactionsService
	// Payments are the parts of transactions.
	Payments PaymentsService
	// Locations are where a merchant's spots are.
	Locations LocationsService

	c *core
}

// core is what a client's services share. What is secret is behind functions: fmt shows them as addresses, whatever the
// verb, and follows pointers with some.
type core struct {
	rest       *rest.Client
	parameters Parameters
	language   string
	clock      *clock
	// credential returns what to sign with, and replace another than that which has ended. credential is nil for a client
	// with a certificate, replace for one whose credential doesn't end.
	credential func(context.Context) (credential, error)
	replace    func(ctx context.Context, ended tillroute.Secret) (credential, error)
	// sign signs a request, with the parameters.
	sign  func(r *http.Request, body []byte, with credential) error
	nonce func() string
}

// credential is what requests are signed with.
type credential struct {
	id  tillroute.Secret
	key tillroute.Secret
}

// New checks the configuration and returns a client. It sends nothing. Its error names every field that is wrong.
func New(config Config) (*Client, error) {
	if config.HTTP.Transport == nil {
		config.HTTP.Transport = rest.NewTransport()
	}
	if config.BaseURL == "" {
		config.BaseURL = config.OAuth.BaseURL
	}
	if config.BaseURL == "" {
		config.BaseURL = ProductionURL
	}
	if config.OAuth.BaseURL == "" {
		config.OAuth.BaseURL = config.BaseURL
	}
	if config.OAuth.HTTP.Transport == nil {
		config.OAuth.HTTP.Transport = config.HTTP.Transport
	}
	if config.OAuth.Now == nil {
		config.OAuth.Now, config.OAuth.Nonce = config.Now, config.Nonce
	}
	if problems := config.problems(); len(problems) > 0 {
		return nil, tillroute.Invalid(System, "New", "%s", strings.Join(problems, "; "))
	}
	c := &core{parameters: config.Parameters.with(Parameters{}), language: config.Language}
	switch {
	case config.Certificate != nil:
		transport := config.HTTP.Transport.(*http.Transport).Clone() //nolint:forcetypeassert // problems has looked.
		if transport.TLSClientConfig == nil {
			transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		transport.TLSClientConfig.Certificates = []tls.Certificate{*config.Certificate}
		config.HTTP.Transport = transport
	case config.Tokens != nil:
		keeper := grants.New(grants.Config{
			System: System, Account: config.Account, Tokens: config.Tokens, Refresh: config.OAuth.Refresh, Gone: ErrReconnect,
		})
		c.credential = func(ctx context.Context) (credential, error) { return granted(keeper.Grant(ctx)) }
		c.replace = func(ctx context.Context, ended tillroute.Secret) (credential, error) {
			return granted(keeper.Replace(ctx, ended))
		}
	default:
		own := credential{tillroute.Secret(config.ClientID), config.ClientSecret}
		c.credential = func(context.Context) (credential, error) { return own, nil }
	}
	if err := c.connect(config.BaseURL, config.HTTP, config.Now, config.Nonce); err != nil {
		return nil, err
	}
	return newClient(c), nil
}

func newClient(c *core) *Client {
	return &Client{
		Spots: SpotsService{c}, Orders: OrdersService{c}, Codes: CodesService{c},
		Transactions: TransactionsService{c}, Payments: PaymentsService{c}, Locations: LocationsService{c}, c: c,
	}
}

// granted returns what a grant signs with.
func granted(g pairing.Grant, err error) (credential, error) {
	if err == nil && g.Extra == "" {
		err = &tillroute.Error{
			System: System, Operation: "OAuth.Refresh", Kind: tillroute.KindUnauthorized, Outcome: tillroute.Failed,
			Message: "the grant that is stored has no MAC key", Err: ErrReconnect,
		}
	}
	return credential{g.AccessToken, g.Extra}, err
}

// connect makes the pipeline.
func (c *core) connect(baseURL string, o tillroute.HTTPOptions, now func() time.Time, nonce func() string) error {
	if now == nil {
		now = time.Now
	}
	c.clock, c.nonce = &clock{now: now}, nonce
	c.sign = c.newSign()
	var err error
	c.rest, err = rest.New(rest.Config{
		System: System, BaseURL: baseURL, HTTP: o, NoRedirects: true,
		Authorize: c.authorize, Correct: c.correct, Explain: explain,
	})
	return err
}

// newSign returns what signs requests in the name of the core's parameters. It keeps what it has made for a credential for as
// long as that stays the same.
func (c *core) newSign() func(r *http.Request, body []byte, with credential) error {
	type made struct {
		with credential
		by   *signing
	}
	var last atomic.Pointer[made]
	return func(r *http.Request, body []byte, with credential) error {
		m := last.Load()
		if m == nil || m.with != with {
			if !quotable(with.id.Reveal()) {
				return tillroute.Invalid(System, "", "the access token has characters that can't be sent")
			}
			m = &made{with, newSigning(SignerConfig{
				ID: with.id.Reveal(), Key: with.key, Parameters: c.parameters, Now: c.clock.time, Nonce: c.nonce,
			})}
			last.Store(m)
		}
		return m.by.sign(r, body)
	}
}

func (c *Config) problems() []string {
	var problems []string
	add := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	merchant := c.ClientID != "" || c.ClientSecret != ""
	kinds := 0
	for _, is := range []bool{merchant, c.Certificate != nil, c.Tokens != nil} {
		if is {
			kinds++
		}
	}
	switch {
	case kinds != 1:
		add("exactly one of ClientID with ClientSecret, Certificate, and Tokens with OAuth and Account, is needed")
	case merchant:
		if c.ClientID == "" || !quotable(c.ClientID) {
			add("ClientID is missing, or has characters that can't be sent")
		}
		if c.ClientSecret == "" {
			add("ClientSecret is missing")
		}
	case c.Certificate != nil:
		if _, ok := c.HTTP.Transport.(*http.Transport); !ok {
			add("HTTP.Transport is no *http.Transport: Certificate can't be added to it")
		}
	default:
		if c.Account == "" {
			add("Account is missing: the name under which the user's grant is kept")
		}
		for _, problem := range c.OAuth.clientProblems() {
			add("OAuth.%s", problem)
		}
	}
	if problem := c.Parameters.problem(); problem != "" {
		add("%s", problem)
	}
	if _, err := rest.ParseBaseURL(c.BaseURL); err != nil {
		add("BaseURL: %s", err)
	}
	if strings.ContainsFunc(c.Language, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		add("Language %.20q is not one such as lt or en-GB", c.Language)
	}
	return problems
}

// With returns a client that acts in the name that p says: fields that are set there replace those of this client, and the others
// stay. Everything else the two share. Parameters that can't be sent are an error of kind Invalid.
func (c *Client) With(p Parameters) (*Client, error) {
	if c == nil || c.c == nil {
		return nil, tillroute.Invalid(System, "With", "this client was not made by New")
	}
	if problem := p.problem(); problem != "" {
		return nil, tillroute.Invalid(System, "With", "%s", problem)
	}
	other := *c.c
	other.parameters = c.c.parameters.with(p)
	other.sign = other.newSign()
	return newClient(&other), nil
}

// WithFields has the server leave out and include parts of its answer: names with dots for what is nested, and "*" for
// what it sends without being asked. WithFields("*", "orders.transaction") includes the transactions of a spot's orders.
//
// It is known to work with [SpotsService.Get], [SpotsService.CheckIn] and [TransactionsService.Get]. Without "*", what isn't named
// is zero, and what has no ID or key because of that is an error of kind Decode.
func WithFields(names ...string) tillroute.CallOption {
	return tillroute.WithQuery("fields", strings.Join(names, ","))
}

// RegisterKey returns the name under which the routing core knows a spot: its location's ID is the account.
func RegisterKey(locationID int64, identifier string) pairing.Register {
	return pairing.Register{System: System, Account: strconv.FormatInt(locationID, 10), ID: identifier}
}

// attemptKey is where the context of a call has what it is signed with.
type attemptKey struct{}

// attempt is what a call is signed with.
type attempt struct {
	core *core
	// credential is empty for a client with a certificate.
	credential credential
	// renewed and adjusted say that the credential and the clock were put right once.
	renewed, adjusted bool
	// offset is that of the clock when the call was signed last.
	offset int64
}

// do makes a call and decodes its answer into out. Nothing may be repeated but by us: a repetition needs a nonce of its own.
func (c *core) do(ctx context.Context, op operation, r rest.Request, out any, opts []tillroute.CallOption) error {
	d := op.declare()
	return c.doAs(ctx, &d, r, out, opts)
}

func (c *core) doAs(ctx context.Context, d *rest.Operation, r rest.Request, out any, opts []tillroute.CallOption) error {
	if c == nil {
		return tillroute.Invalid(System, d.Name, "this client was not made by New")
	}
	r.NoReplay = true
	a := &attempt{core: c}
	if c.credential != nil && !r.Anonymous {
		var err error
		if a.credential, err = c.credential(ctx); err != nil {
			return grants.NoToken(System, d.Name, "no request was sent for want of an access token", err)
		}
		r.Secrets = append(r.Secrets, a.credential.key.Reveal())
		if c.replace != nil {
			r.Secrets = append(r.Secrets, a.credential.id.Reveal())
		}
	}
	if c.language != "" {
		opts = append(slices.Clip(opts), tillroute.WithHeader("Accept-Language", c.language))
	}
	first := a.credential
	err := c.rest.Do(context.WithValue(ctx, attemptKey{}, a), d, r, out, opts...)
	if e, ok := errors.AsType[*tillroute.Error](err); ok && a.credential != first && e.Operation == d.Name {
		e.Message = strings.ReplaceAll(e.Message, a.credential.id.Reveal(), "[redacted]")
	}
	return err
}

// authorize signs an attempt, or says in headers what a signature would.
func (c *core) authorize(r *http.Request, body []byte) error {
	a, ok := r.Context().Value(attemptKey{}).(*attempt)
	if !ok {
		return nil
	}
	a.offset = c.clock.offset.Load()
	if a.core.credential == nil {
		names, values := a.core.parameters.list()
		for i, name := range names {
			r.Header.Set("Wallet-Api-"+strings.ReplaceAll(name, "_", "-"), values[i])
		}
		return nil
	}
	return a.core.sign(r, body, a.credential)
}

// correct puts right what can be: a clock that is wrong, an access token that has ended.
func (c *core) correct(ctx context.Context, refused *tillroute.Error) (bool, error) {
	a, ok := ctx.Value(attemptKey{}).(*attempt)
	if !ok {
		return false, nil
	}
	switch {
	case refused.Code == errorCodeInvalidTimestamp && !a.adjusted && a.core.credential != nil:
		a.adjusted = true
		return a.adjust(ctx), nil
	case refused.Code == errorCodeInvalidGrant && expired(refused) && !a.renewed && a.core.replace != nil:
		a.renewed = true
		renewed, err := a.core.replace(ctx, a.credential.id)
		if err != nil {
			name := strings.TrimPrefix(tillroute.Operation(ctx), System+".")
			return false, grants.NoToken(System, name, "the access token has ended and can't be renewed", err)
		}
		a.credential = renewed
		return true, nil
	default:
		return false, nil
	}
}

// expired reports whether a refusal is for an access token that has ended.
func expired(e *tillroute.Error) bool { return strings.Contains(strings.ToLower(e.Message), "expired") }

// adjust sets the clock by the server's, unless somebody else has meanwhile.
func (a *attempt) adjust(ctx context.Context) bool {
	c := a.core
	if c.clock.offset.Load() != a.offset {
		return true
	}
	server, err := c.serverTime(ctx, nil)
	if err != nil || server.IsZero() {
		return false
	}
	c.clock.offset.Store(int64(server.Sub(c.clock.now()).Round(time.Second)))
	return true
}

// clock is ours, as far off as the server said.
type clock struct {
	now    func() time.Time
	offset atomic.Int64
}

func (c *clock) time() time.Time { return c.now().Add(time.Duration(c.offset.Load())) }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
