package xseries

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/grants"
	"github.com/tillroute/tillroute/internal/rest"
	"github.com/tillroute/tillroute/pairing"
)

// System is the name of X-Series among the systems that registers belong to.
const System = "xseries"

// LatestAPIVersion is the newest version of the API that this package knows.
const LatestAPIVersion = "2026-07"

// prefixPlaceholder stands for the store's domain prefix in base URLs.
const prefixPlaceholder = "{domain_prefix}"

const defaultBaseURL = "https://" + prefixPlaceholder + ".retail.lightspeed.app"

// Config configures a [Client]. It needs either AccessToken, or OAuth and Tokens.
type Config struct {
	// DomainPrefix names the store: the first part of its address, such as acme in acme.retail.lightspeed.app.
	// Required.
	DomainPrefix string
	// AccessToken is a personal token, or any other that somebody else renews.
	AccessToken tillroute.Secret
	// OAuth is the application that the store has given its consent to. A client asks for no consent, and needs no RedirectURL
	// and no Scopes.
	OAuth OAuth
	// Tokens is where the store's grant is kept, under the system [System] and the account DomainPrefix. One that is deleted
	// there is used for half a minute more at most, or as long as Tokens can't be read and the access token lasts.
	Tokens pairing.Tokens
	// APIVersion is a date version such as "2026-07", or "2.0". Defaults to [LatestAPIVersion]. A version that the
	// server no longer supports is answered as the oldest that it does.
	APIVersion string
	// BaseURL is the server, without /api. {domain_prefix} in it is replaced by DomainPrefix. Defaults to
	// OAuth.BaseURL, or else to https://{domain_prefix}.retail.lightspeed.app.
	BaseURL string
	// HTTP says how to talk HTTP. Tokens are renewed as OAuth.HTTP says.
	HTTP tillroute.HTTPOptions
}

// Client talks to one store. It is safe for concurrent use. The zero value is not usable: its methods return an error.
type Client struct {
	// Registers are the places that goods are sold from.
	Registers RegistersService
	// Outlets are the shops that registers stand in.
	Outlets OutletsService
	// PaymentTypes are the ways to pay that the store has set up, one of which holds the gateway's URL.
	PaymentTypes PaymentTypesService
	// Retailer is the merchant that the store belongs to.
	Retailer RetailerService
	// Sales are what was sold, and how it was paid.
	Sales SalesService
	// Webhooks are where the store posts changes to.
	Webhooks WebhooksService

	c *core
}

// core is what a client's services share.
type core struct {
	version string
	rest    *rest.Client
	budget  *budget
	bearer  grants.Bearer
}

// New checks the configuration and returns a client. It sends nothing. Its error, of kind Invalid, names every field that is
// wrong, and what is wrong with HTTP once the rest is right.
func New(config Config) (*Client, error) {
	if config.APIVersion == "" {
		config.APIVersion = LatestAPIVersion
	}
	if config.HTTP.Transport == nil {
		config.HTTP.Transport = rest.NewTransport()
	}
	if config.BaseURL == "" {
		config.BaseURL = config.OAuth.BaseURL
	}
	if config.OAuth.BaseURL == "" {
		config.OAuth.BaseURL = config.BaseURL
	}
	if config.OAuth.HTTP.Transport == nil {
		config.OAuth.HTTP.Transport = config.HTTP.Transport
	}
	if problems := config.problems(); len(problems) > 0 {
		return nil, tillroute.Invalid(System, "New", "%s", strings.Join(problems, "; "))
	}
	c := &core{version: config.APIVersion, budget: &budget{}, bearer: grants.Fixed(config.AccessToken)}
	if config.Tokens != nil {
		c.bearer = grants.New(grants.Config{
			System: System, Account: config.DomainPrefix, Tokens: config.Tokens, Refresh: config.OAuth.Refresh, Gone: ErrReconnect,
		}).Bearer()
	}
	var err error
	c.rest, err = rest.New(rest.Config{
		System: System, BaseURL: baseURL(config.BaseURL, config.DomainPrefix), HTTP: config.HTTP,
		Authorize: grants.Authorize, Renew: c.renew, Limit: c.budget,
	})
	if err != nil {
		return nil, err
	}
	return &Client{
		Registers: RegistersService{c}, Outlets: OutletsService{c}, PaymentTypes: PaymentTypesService{c},
		Retailer: RetailerService{c}, Sales: SalesService{c}, Webhooks: WebhooksService{c}, c: c,
	}, nil
}

// baseURL fills in the pattern. The prefix must have been checked.
func baseURL(pattern, prefix string) string {
	if pattern == "" {
		pattern = defaultBaseURL
	}
	return strings.ReplaceAll(pattern, prefixPlaceholder, prefix)
}

func (c *Config) problems() []string {
	var problems []string
	add := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if c.DomainPrefix == "" {
		add("DomainPrefix is missing: acme, if the store is at acme.retail.lightspeed.app")
	} else if !validPrefix(c.DomainPrefix) {
		add("DomainPrefix %.70q is not the first part of a store's address, such as acme: small letters, digits and hyphens", c.DomainPrefix)
	}
	switch {
	case c.AccessToken == "" && c.Tokens == nil:
		add("AccessToken, or OAuth and Tokens, are missing")
	case c.AccessToken != "" && c.Tokens != nil:
		add("AccessToken and Tokens are both set: use one")
	case c.Tokens != nil:
		for _, problem := range c.OAuth.clientProblems() {
			add("OAuth.%s", problem)
		}
	}
	if !validVersion(c.APIVersion) {
		add("APIVersion %.20q is not a version such as 2026-07 or 2.0", c.APIVersion)
	}
	if _, err := rest.ParseBaseURL(baseURL(c.BaseURL, "prefix")); err != nil {
		add("BaseURL: %s", err)
	}
	return problems
}

// validPrefix reports whether text is one DNS label. It becomes part of the host that the client secret is sent to.
func validPrefix(text string) bool {
	return text != "" && len(text) <= 63 && strings.Trim(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == "" &&
		text[0] != '-' && text[len(text)-1] != '-'
}

func validVersion(text string) bool {
	i := strings.IndexAny(text, ".-")
	return i > 0 && digits(text[:i]) && digits(text[i+1:])
}

func digits(text string) bool { return text != "" && strings.Trim(text, "0123456789") == "" }

// RegisterKey returns the name under which the routing core knows a register of a store: that of its domain prefix and its ID.
func RegisterKey(domainPrefix, registerID string) pairing.Register {
	return pairing.Register{System: System, Account: domainPrefix, ID: registerID}
}

// operation is a call of the REST API.
type operation int

const (
	registersList operation = iota
	registersGet
	registersOpen
	registersClose
	registersSummary
	outletsList
	outletsGet
	paymentTypesList
	retailerGet
	salesList
	salesGet
	webhooksList
	webhooksGet
	webhooksCreate
	webhooksUpdate
	webhooksDelete
)

// declaration says all that is to be known of an operation before it is made.
type declaration struct {
	rest.Operation

	// scopes are what a token needs, all of them, to be allowed to make the call: names with spaces between them.
	scopes string
}

func (o operation) declare() declaration {
	read := func(name, path, scopes string) declaration {
		return declaration{rest.Operation{Name: name, Method: http.MethodGet, Path: path, Repeat: rest.Read}, scopes}
	}
	switch o {
	case registersList:
		return read("Registers.List", "/registers", "registers:read")
	case registersGet:
		return read("Registers.Get", "/registers/{}", "registers:read")
	case registersOpen:
		// What opening an open register does, or closing a closed one, isn't documented.
		return declaration{rest.Operation{Name: "Registers.Open", Method: http.MethodPut, Path: "/registers/{}/actions/open"}, "register:open"}
	case registersClose:
		return declaration{
			rest.Operation{Name: "Registers.Close", Method: http.MethodPut, Path: "/registers/{}/actions/close"},
			"register:close payment_types:read",
		}
	case registersSummary:
		return read("Registers.PaymentsSummary", "/registers/{}/payments_summary", "payments:read")
	case outletsList:
		return read("Outlets.List", "/outlets", "outlets:read")
	case outletsGet:
		return read("Outlets.Get", "/outlets/{}", "outlets:read")
	case paymentTypesList:
		return read("PaymentTypes.List", "/payment_types", "payment_types:read")
	case retailerGet:
		return read("Retailer.Get", "/retailer", "retailer:read payment_types:read")
	case salesList:
		return read("Sales.List", "/sales", "sales:read")
	case salesGet:
		return read("Sales.Get", "/sales/{}", "sales:read")
	case webhooksList:
		return read("Webhooks.List", "/webhooks", "webhooks")
	case webhooksGet:
		return read("Webhooks.Get", "/webhooks/{}", "webhooks")
	case webhooksCreate:
		// The answer to a repetition would be a conflict with the webhook of the first attempt.
		return declaration{rest.Operation{Name: "Webhooks.Create", Method: http.MethodPost, Path: "/webhooks"}, "webhooks"}
	case webhooksUpdate:
		return declaration{rest.Operation{Name: "Webhooks.Update", Method: http.MethodPut, Path: "/webhooks/{}", Repeat: rest.Safe}, "webhooks"}
	case webhooksDelete:
		return declaration{rest.Operation{Name: "Webhooks.Delete", Method: http.MethodDelete, Path: "/webhooks/{}", Repeat: rest.Safe}, "webhooks"}
	default:
		return declaration{}
	}
}

// do makes a call and decodes its answer into out.
func (c *core) do(ctx context.Context, op operation, r rest.Request, out any, opts []tillroute.CallOption) error {
	d := op.declare()
	if c == nil {
		return tillroute.Invalid(System, d.Name, "this client was not made by New")
	}
	ctx, used, err := c.bearer.Begin(ctx)
	if err != nil {
		return grants.NoToken(System, d.Name, "no request was sent for want of an access token", err)
	}
	d.Path = "/api/" + c.version + d.Path
	r.Secrets = append(r.Secrets, used.Token.Reveal())
	err = c.rest.Do(ctx, &d.Operation, r, out, opts...)
	if e, ok := errors.AsType[*tillroute.Error](err); ok && e.Operation == d.Name {
		used.Redact(e)
		if e.Kind == tillroute.KindForbidden {
			rest.Advise(e, "the access token needs the scope "+strings.ReplaceAll(d.scopes, " ", " and the scope "))
		}
		if e.Status == http.StatusUnauthorized {
			advice := "check that no proxy strips the Authorization header"
			if !c.bearer.Renews() {
				advice = "check AccessToken, and that no proxy strips the Authorization header"
			}
			rest.Advise(e, advice)
		}
	}
	return err
}

// renew replaces a token that was refused, if there is a better one.
func (c *core) renew(ctx context.Context, _ *http.Request) (bool, error) {
	renewed, err := c.bearer.Renew(ctx)
	if err != nil {
		err = grants.NoToken(System, strings.TrimPrefix(tillroute.Operation(ctx), System+"."), "the access token was refused and can't be renewed", err)
	}
	return renewed, err
}
