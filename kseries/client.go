package kseries

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/grants"
	"github.com/tillroute/tillroute/internal/rest"
	"github.com/tillroute/tillroute/pairing"
)

// System is the name of K-Series among the systems that registers belong to.
const System = "kseries"

// Environment is where an application is registered: a trial application never works in production, nor the other way round.
type Environment string

// The environments.
const (
	// Production has real merchants: https://api.lsk.lightspeed.app.
	Production Environment = "production"
	// Trial is for demo merchants: https://api.trial.lsk.lightspeed.app.
	Trial Environment = "trial"
)

// apiURL returns the server of the environment's API, or "".
func (e Environment) apiURL() string {
	switch e {
	case Production:
		return "https://api.lsk.lightspeed.app"
	case Trial:
		return "https://api.trial.lsk.lightspeed.app"
	default:
		return ""
	}
}

// Config configures a [Client]. It needs either AccessToken, or OAuth, Tokens and Account.
type Config struct {
	// Environment is Production or Trial. Defaults to OAuth.Environment, or else to Production.
	Environment Environment
	// AccessToken is one that somebody else renews.
	AccessToken tillroute.Secret
	// OAuth is the application that the merchant has given their consent to. A client asks for no consent, and needs no
	// RedirectURL and no Scopes.
	OAuth OAuth
	// Tokens is where the merchant's grant is kept, under the system [System] and the account Account. A renewed one is written
	// down there before it is used. One that was refused is tried again after half a minute, and a new one at once. One that is
	// deleted there is used for half a minute more at most, or as long as Tokens can't be read and the access token lasts.
	Tokens pairing.Tokens
	// Account is the name of the grant. It is yours to choose: a grant has the rights of the user who consented, and may be
	// good for several business locations or for one.
	Account string
	// BaseURL is the server, without /o or /f. Defaults to the Environment's.
	BaseURL string
	// HTTP says how to talk HTTP. Tokens are renewed as OAuth.HTTP says.
	HTTP tillroute.HTTPOptions
}

// Client talks to K-Series with one grant. It is safe for concurrent use. The zero value is not usable: its methods return an
// error.
type Client struct {
	// Businesses are what the grant gives access to.
	Businesses BusinessesService
	// Tables are where guests sit.
	Tables TablesService
	// Checks are the open accounts, and what was paid of them.
	Checks ChecksService
	// Payments are applied to checks.
	Payments PaymentsService
	// Orders are sent to the point of sale.
	Orders OrdersService
	// Menus are what can be ordered.
	Menus MenusService
	// Items says what is sold out.
	Items ItemsService
	// Profiles are the ways to order, such as takeaway.
	Profiles ProfilesService
	// Messages are shown and printed at the point of sale.
	Messages MessagesService
	// Webhooks are where notifications are posted to.
	Webhooks WebhooksService
	// Finance has the currency of a business and its payment methods.
	Finance FinanceService
	// Staff are the people at the point of sale.
	Staff StaffService

	c *core
}

// core is what a client's services share.
type core struct {
	rest   *rest.Client
	bearer grants.Bearer
}

// New checks the configuration and returns a client. It sends nothing. Its error, of kind Invalid, names every field that is
// wrong, and what is wrong with HTTP once the rest is right.
func New(config Config) (*Client, error) {
	if config.HTTP.Transport == nil {
		config.HTTP.Transport = rest.NewTransport()
	}
	if config.Environment == "" {
		config.Environment = config.OAuth.Environment
	}
	if config.Environment == "" {
		config.Environment = Production
	}
	if config.OAuth.Environment == "" {
		config.OAuth.Environment = config.Environment
	}
	if config.BaseURL == "" {
		config.BaseURL = config.Environment.apiURL()
	}
	if config.OAuth.HTTP.Transport == nil {
		config.OAuth.HTTP.Transport = config.HTTP.Transport
	}
	if problems := config.problems(); len(problems) > 0 {
		return nil, tillroute.Invalid(System, "New", "%s", strings.Join(problems, "; "))
	}
	c := &core{bearer: grants.Fixed(config.AccessToken)}
	if config.Tokens != nil {
		c.bearer = grants.New(grants.Config{
			System: System, Account: config.Account, Tokens: config.Tokens, Refresh: config.OAuth.Refresh, Gone: ErrReconnect,
		}).Bearer()
	}
	var err error
	c.rest, err = rest.New(rest.Config{
		System: System, BaseURL: config.BaseURL, HTTP: config.HTTP, Authorize: grants.Authorize, Renew: c.renew, Explain: explain,
	})
	if err != nil {
		return nil, err
	}
	return &Client{
		Businesses: BusinessesService{c}, Tables: TablesService{c}, Checks: ChecksService{c}, Payments: PaymentsService{c},
		Orders: OrdersService{c}, Menus: MenusService{c}, Items: ItemsService{c}, Profiles: ProfilesService{c},
		Messages: MessagesService{c}, Webhooks: WebhooksService{c}, Finance: FinanceService{c}, Staff: StaffService{c}, c: c,
	}, nil
}

func (c *Config) problems() []string {
	var problems []string
	add := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if c.Environment.apiURL() == "" {
		add("Environment %.20q is neither %q nor %q", c.Environment, Production, Trial)
	}
	switch {
	case c.AccessToken == "" && c.Tokens == nil:
		add("AccessToken, or OAuth, Tokens and Account, are missing")
	case c.AccessToken != "" && c.Tokens != nil:
		add("AccessToken and Tokens are both set: use one")
	case c.Tokens != nil:
		if c.Account == "" {
			add("Account is missing: the name under which the grant is kept")
		}
		if c.OAuth.Environment != c.Environment {
			add("OAuth.Environment is %q and Environment %q: an application works in one of them", c.OAuth.Environment, c.Environment)
		}
		for _, problem := range c.OAuth.clientProblems() {
			add("OAuth.%s", problem)
		}
	}
	if c.BaseURL != "" {
		if _, err := rest.ParseBaseURL(c.BaseURL); err != nil {
			add("BaseURL: %s", err)
		}
	}
	return problems
}

// RegisterKey returns the name under which the routing core knows a place that takes payments at a business location: a
// device or a table, say. How the places of a location are called is yours to choose.
func RegisterKey(businessLocationID int64, id string) pairing.Register {
	return pairing.Register{System: System, Account: strconv.FormatInt(businessLocationID, 10), ID: id}
}

// operation is a call of the API.
type operation int

const (
	businessesList operation = iota
	floorPlansList
	tablesList
	checksList
	checksByTable
	checksGet
	paymentsApply
	ordersLocal
	ordersToGo
	ordersReadiness
	menusList
	menusGet
	menusModifiers
	menusDiscounts
	itemsAvailability
	profilesList
	profilesGet
	messagesPrint
	webhooksCreate
	webhooksUpdate
	webhooksGet
	webhooksDelete
	webhooksLocations
	webhooksAddLocation
	webhooksRemoveLocation
	financeBusinesses
	financePaymentMethods
	staffList
	staffGet
)

// declaration says all that is to be known of an operation before it is made.
type declaration struct {
	rest.Operation

	// scope is what a token needs to be allowed to make the call.
	scope string
}

const (
	scopeOrders  = "orders-api"
	scopeFinance = "financial-api"
	scopeStaff   = "staff-api"
)

func (o operation) declare() declaration {
	get := func(name, path, scope string) declaration {
		return declaration{rest.Operation{Name: name, Method: http.MethodGet, Path: path, Repeat: rest.Read}, scope}
	}
	change := func(name, method, path string, repeat rest.Repeat) declaration {
		return declaration{rest.Operation{Name: name, Method: method, Path: path, Repeat: repeat}, scopeOrders}
	}
	switch o {
	case businessesList:
		return get("Businesses.List", "/o/op/data/businesses", scopeOrders)
	case floorPlansList:
		return get("Tables.FloorPlans", "/o/op/data/{}/floorplans", scopeOrders)
	case tablesList:
		return get("Tables.List", "/o/op/data/{}/floorplans/{}/tables", scopeOrders)
	case checksList:
		return get("Checks.List", "/o/op/1/order/table/getCheck", scopeOrders)
	case checksByTable:
		return get("Checks.ByTable", "/o/op/1/order/table/{}/getCheck", scopeOrders)
	case checksGet:
		return get("Checks.Get", "/o/op/1/order/accounts/{}", scopeOrders)
	case paymentsApply:
		// The server takes a reference once: a repetition is refused if the first attempt arrived.
		return change("Payments.Apply", http.MethodPost, "/o/op/1/pay", rest.Safe)
	case ordersLocal:
		return change("Orders.Local", http.MethodPost, "/o/op/1/order/local", rest.Safe)
	case ordersToGo:
		return change("Orders.ToGo", http.MethodPost, "/o/op/1/order/toGo", rest.Safe)
	case ordersReadiness:
		return get("Orders.Readiness", "/o/op/1/onlineOrderReadiness", scopeOrders)
	case menusList:
		return get("Menus.List", "/o/op/1/menu/list", scopeOrders)
	case menusGet:
		return get("Menus.Get", "/o/op/2/menu/load/{}", scopeOrders)
	case menusModifiers:
		return get("Menus.Modifiers", "/o/op/1/menu/modifiers", scopeOrders)
	case menusDiscounts:
		return get("Menus.Discounts", "/o/op/1/menu/discounts", scopeOrders)
	case itemsAvailability:
		// It is posted for the length of the list, and changes nothing.
		return change("Items.Availability", http.MethodPost, "/o/op/1/itemAvailability", rest.Read)
	case profilesList:
		return get("Profiles.List", "/o/op/data/account-profiles", scopeOrders)
	case profilesGet:
		return get("Profiles.Get", "/o/op/data/{}/account-profiles/tagcode/{}", scopeOrders)
	case messagesPrint:
		return change("Messages.Print", http.MethodPost, "/o/op/1/printMsg", rest.Never)
	case webhooksCreate:
		// What creating one twice does isn't documented.
		return change("Webhooks.Create", http.MethodPut, "/o/wh/1/webhook", rest.Never)
	case webhooksUpdate:
		return change("Webhooks.Update", http.MethodPost, "/o/wh/1/webhook", rest.Safe)
	case webhooksGet:
		return get("Webhooks.Get", "/o/wh/1/webhook/{}", scopeOrders)
	case webhooksDelete:
		return change("Webhooks.Delete", http.MethodDelete, "/o/wh/1/webhook/{}", rest.Safe)
	case webhooksLocations:
		return get("Webhooks.Locations", "/o/wh/1/webhook/{}/business-locations", scopeOrders)
	case webhooksAddLocation:
		return change("Webhooks.AddLocation", http.MethodPut, "/o/wh/1/webhook/{}/business-locations/{}", rest.Safe)
	case webhooksRemoveLocation:
		return change("Webhooks.RemoveLocation", http.MethodDelete, "/o/wh/1/webhook/{}/business-locations/{}", rest.Safe)
	case financeBusinesses:
		return get("Finance.Businesses", "/f/data/businesses", scopeFinance)
	case financePaymentMethods:
		return get("Finance.PaymentMethods", "/f/finance/{}/paymentMethods", scopeFinance)
	case staffList:
		return get("Staff.List", "/staff/v1/businessLocations/{}/userTypes/POS", scopeStaff)
	case staffGet:
		return get("Staff.Get", "/staff/v1/businessLocations/{}/staff/{}", scopeStaff)
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
	r.Secrets = append(r.Secrets, used.Token.Reveal())
	err = c.rest.Do(ctx, &d.Operation, r, out, opts...)
	if e, ok := errors.AsType[*tillroute.Error](err); ok && e.Operation == d.Name {
		used.Redact(e)
		if used.Unrenewed != nil && e.Status == http.StatusUnauthorized {
			return unrenewed(e, used.Unrenewed)
		}
		switch {
		case e.Kind == tillroute.KindForbidden:
			rest.Advise(e, "the access token needs the scope "+d.scope+", and its user the right to do this")
		case e.Status == http.StatusUnauthorized && !c.bearer.Renews():
			rest.Advise(e, "check AccessToken and Environment, and that no proxy strips the Authorization header")
		case e.Status == http.StatusUnauthorized:
			rest.Advise(e, "check Environment, and that no proxy strips the Authorization header")
		}
	}
	return err
}

// unrenewed is the error of a call whose token was refused and can't be renewed. What an earlier attempt may have done is
// still open.
func unrenewed(refused *tillroute.Error, cause error) error {
	e := *refused
	e.Message, e.Err = "the access token was refused and can't be renewed", cause
	if inner, ok := errors.AsType[*tillroute.Error](cause); ok {
		// Whatever became of the refresh is not what became of this call.
		harmless := *inner
		harmless.Outcome = tillroute.Failed
		e.Kind, e.RetryAfter, e.Err = inner.Kind, inner.RetryAfter, &harmless
	}
	return &e
}

// renew replaces a token that was refused, if there is a better one. If that fails the call's own error comes back, with the
// reason as its cause.
func (c *core) renew(ctx context.Context, _ *http.Request) (bool, error) {
	renewed, _ := c.bearer.Renew(ctx)
	return renewed, nil
}
