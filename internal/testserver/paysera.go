package testserver

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

const (
	// payseraName is the system's name in requests, violations and faults.
	payseraName = "paysera"

	// minuteWindow and hourWindow are the documented windows of the rate limits.
	minuteWindow = time.Minute
	hourWindow   = time.Hour
)

// PayseraOptions are the settings of the simulated Paysera Wallet. The zero value of each is its default.
type PayseraOptions struct {
	// ClientID and ClientSecret are those of the merchant's client. Default: random.
	ClientID, ClientSecret string
	// AppID and AppSecret are those of the wallet app, the client that acts for users. Default: random.
	AppID, AppSecret string
	// AccessTTL is the life of an access token. Default: 1 hour, as in the vendor's example.
	AccessTTL time.Duration
	// RefreshTTL is the life of a refresh token. Default: 30 days, which is a judgment.
	RefreshTTL time.Duration
	// CodeTTL is the life of an authorization code. Default: 10 minutes, which is a judgment.
	CodeTTL time.Duration
	// MaxSkew is how far the timestamp of a signature may be from the vendor's clock.
	// Default: 5 minutes, which is a judgment.
	MaxSkew time.Duration
	// RateLimit is the number of requests a minute with one access token. Default: 60. Negative: any.
	RateLimit int
	// AccountLimit is the number of requests an hour of one client or user. Default: 1000. Negative: any.
	AccountLimit int
	// ReserveFor is how long a reservation lasts that says nothing about it. Default: 24 hours.
	ReserveFor time.Duration
	// CallbackURI is the project's. Default: none.
	CallbackURI string
	// CallbackRetry is the time before a callback that failed is tried again; it doubles each time.
	// Default: 1 s, which is a judgment.
	CallbackRetry time.Duration
	// Opened writes the status of a spot with orders as "opened", as the table in the vendor's page does. Default:
	// "open", as the example and the vendor's own programs do.
	Opened bool
	// KeepRefreshToken answers a refresh without a refresh token: the old one stays good. Default: each is used once.
	// The vendor says that the member is optional and no more.
	KeepRefreshToken bool
}

func (o PayseraOptions) withDefaults() PayseraOptions {
	o.ClientID = orDefault(o.ClientID, secret("sim-client-id-"))
	o.ClientSecret = orDefault(o.ClientSecret, secret("sim-client-secret-"))
	o.AppID = orDefault(o.AppID, secret("sim-app-id-"))
	o.AppSecret = orDefault(o.AppSecret, secret("sim-app-secret-"))
	o.AccessTTL = orDefault(o.AccessTTL, time.Hour)
	o.RefreshTTL = orDefault(o.RefreshTTL, 30*24*time.Hour)
	o.CodeTTL = orDefault(o.CodeTTL, 10*time.Minute)
	o.MaxSkew = orDefault(o.MaxSkew, 5*time.Minute)
	o.RateLimit = orDefault(o.RateLimit, 60)
	o.AccountLimit = orDefault(o.AccountLimit, 1000)
	o.ReserveFor = orDefault(o.ReserveFor, 24*time.Hour)
	o.CallbackRetry = orDefault(o.CallbackRetry, time.Second)
	return o
}

// Paysera is the simulated Paysera Wallet: signatures, OAuth, spots, orders, transactions, and its users with their
// phones. Its methods may be called from any goroutine.
type Paysera struct {
	engine *Engine
	given  PayseraOptions // as they were given
	opts   PayseraOptions // with the defaults
	routes []walletRoute

	mu        guard
	publicURL string // with the base path
	world     walletWorld
	changed   chan struct{} // closed and replaced whenever anything changes
}

// walletWorld is all that changes. Its parts refer to each other by id, so that it can be written as it is.
type walletWorld struct {
	NextID       int64
	Clock        time.Duration // how far the vendor's clock is ahead
	Users        []*walletUser
	Wallets      []*walletPurse
	Projects     []*walletProject
	Locations    []*walletLocation
	Spots        []*walletSpot
	Transactions []*walletTransaction
	Payments     []*walletPayment
	Requests     []*walletRequest
	Charges      []PayseraCharge
	Grants       walletGrants
	Nonces       map[string]int64 // the second until which each is remembered
	Minutes      map[string]*walletUse
	Hours        map[string]*walletUse
	Callbacks    []*walletCallback
	Sending      walletSending
	PrivateKey   string // PEM; "" before it is needed
}

// walletUse counts requests in a fixed window of time.
type walletUse struct {
	Start time.Time
	Used  int
}

func newPaysera(e *Engine, opts PayseraOptions) *Paysera {
	p := &Paysera{engine: e, given: opts, opts: opts.withDefaults(), changed: make(chan struct{})}
	p.routes = slices.Concat(p.spotRoutes(), p.transactionRoutes(), p.paymentRoutes(), p.placeRoutes())
	p.seed()
	return p
}

// seed puts the system into the state in which it starts. Called with the lock held, or before it is shared.
func (p *Paysera) seed() {
	key := p.world.PrivateKey // making one takes long
	p.world = walletWorld{
		NextID: 2000, Nonces: map[string]int64{}, Minutes: map[string]*walletUse{}, Hours: map[string]*walletUse{},
		PrivateKey: key, Sending: walletSending{URI: p.opts.CallbackURI},
		Projects: []*walletProject{
			{ID: projectMain, Title: "Cool caffe", Description: "Coffee and cakes", Wallet: 2112, Owner: "Cool caffe, UAB"},
			{ID: projectOther, Title: "Other shop", Wallet: 2113, Owner: "Other shop, UAB"},
		},
		Users: []*walletUser{
			{ID: 221, Wallet: 14471, Name: "John Doe", Email: "john@example.com", Phone: "37066612345", PIN: "1234", Password: "john's password"},
			{ID: 222, Wallet: 14472, Name: "Jane Roe", Email: "jane@example.com", Phone: "37066654321", PIN: "4321", Password: "jane's password"},
		},
		Wallets: []*walletPurse{{ID: 2112}, {ID: 2113}, {ID: 14471, Balance: decimal.New(100_000, -2)}, {ID: 14472, Balance: decimal.New(100_000, -2)}},
	}
	p.world.Locations = p.seedLocations()
	p.notify()
}

// reset goes back to the state at start. Credentials stay as they are.
func (p *Paysera) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seed()
}

// notify wakes who waits for something to happen. Called with the lock held.
func (p *Paysera) notify() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// begin locks, and lets happen what time has brought. It is undone by p.mu.Unlock.
func (p *Paysera) begin() {
	p.mu.Lock()
	p.sweep()
}

// id makes an id. That ids of all things come from one row is a judgment.
func (p *Paysera) id() int64 {
	p.world.NextID++
	return p.world.NextID
}

// walletError is an error answer. The codes and statuses are documented, most descriptions are judgments.
type walletError struct {
	status      int
	code        string
	description string
	field       string // which field of the request is wrong, "" for none
}

// Error is the description.
func (e *walletError) Error() string { return e.code + ": " + e.description }

func invalid(field, description string) error {
	return &walletError{status: http.StatusBadRequest, code: "invalid_parameters", description: description, field: field}
}

func notFound(what string) error {
	return &walletError{status: http.StatusNotFound, code: "not_found", description: what}
}

func forbidden(why string) error {
	return &walletError{status: http.StatusForbidden, code: "forbidden", description: why}
}

func invalidState(why string) error {
	return &walletError{status: http.StatusConflict, code: "invalid_state", description: why}
}

func unauthorized(why string) error {
	return &walletError{status: http.StatusUnauthorized, code: "unauthorized", description: why}
}

// badRequest is an error with one of the codes whose status is not documented; 400 is the default of the vendor's
// bundle.
func badRequest(code, description string) error {
	return &walletError{status: http.StatusBadRequest, code: code, description: description}
}

// textOtherProject is the vendor's, others are judgments.
const textOtherProject = "This resource is assigned to other project, client has no rights to read it"

// PayseraError answers with an error in the form of the Paysera Wallet, instead of processing the request.
func PayseraError(status int, code, description string) Fault {
	out, err := json.Marshal(map[string]string{"error": code, "error_description": description})
	if err != nil {
		out = []byte("{}")
	}
	return Status(status, string(out))
}

// answerError answers with an error. What a correct client never sends is a violation.
func (x *exchange) answerError(err error) {
	wrong, ok := errors.AsType[*walletError](err)
	if !ok {
		wrong = &walletError{status: http.StatusInternalServerError, code: "internal_server_error", description: err.Error()}
	}
	body := map[string]any{"error": wrong.code, "error_description": wrong.description}
	if wrong.code == "invalid_parameters" || wrong.code == "invalid_request" {
		x.violate("%s", wrong.description)
	}
	if wrong.field != "" {
		// Both are in the vendor's published code; that both are sent is a judgment.
		body["error_properties"] = map[string][]string{wrong.field: {wrong.description}}
		body["errors"] = []map[string]string{{"code": wrong.code, "message": wrong.description, "field": wrong.field}}
	}
	x.json(wrong.status, body)
}

// handle answers one request to Paysera.
func (p *Paysera) handle(x *exchange) {
	p.begin()
	defer p.mu.Unlock()
	x.header.Set("Paysera-Correlation-Id", newID())
	parts := segments(x.path)
	switch {
	case slices.Equal(parts, []string{"publickey"}):
		p.publicKey(x)
	case parts[0] == "frontend":
		p.frontend(x, parts[1:])
	case len(parts) > 2 && parts[0] == "oauth" && parts[1] == "v1":
		p.oauth(x, parts[2:])
	case len(parts) > 2 && parts[0] == "rest" && parts[1] == "v1":
		p.rest(x, parts[2:])
	default:
		x.violate("unknown path")
		x.answerError(notFound("No such resource"))
	}
	if strings.HasPrefix(x.header.Get("Content-Type"), "application/json") {
		x.header.Set("Content-Type", "application/json;charset=utf-8") // as in the vendor's examples
	}
}

// expire ends the life of the access token that the request carries.
func (p *Paysera) expire(x *exchange) {
	p.mu.Lock()
	defer p.mu.Unlock()
	header, err := parseMAC(x.r.Header.Get("Authorization"))
	if err != nil {
		return
	}
	if token := p.world.Grants.token(header.id); token != nil {
		token.Expires = p.engine.now()
	}
}

// walletCaller says who may call an operation.
type walletCaller int

const (
	callerAnyone   walletCaller = iota // without a signature too
	callerUser                         // with an access token
	callerMerchant                     // with the merchant's credentials
	callerEither                       // with an access token or any client's credentials
)

// walletRoute is one operation of the REST API.
type walletRoute struct {
	method string
	path   string // below the version; {name} stands for one segment
	who    walletCaller
	query  []string // the query parameters that the vendor documents
	do     func(c *walletCall) (any, error)
}

// walletCall is one call of an operation.
type walletCall struct {
	*exchange

	caller
	vars map[string]string
}

// caller is who calls.
type caller struct {
	client   string // the id of the client that signs, or that the access token was issued to
	user     int64  // whom the access token represents, 0 for none
	token    string // the access token, "" for a client's credentials
	project  int64  // what the client represents now, 0 when it does not say
	location int64
}

// rest answers one request to the REST API. A nil answer is 204.
func (p *Paysera) rest(x *exchange, path []string) {
	route, vars, found := p.route(x.r.Method, path)
	if !found {
		x.violate("no such operation: %s %s", x.r.Method, strings.Join(path, "/"))
		status := http.StatusNotFound
		if vars != nil {
			status = http.StatusMethodNotAllowed // which is reported as not_found too
		}
		x.answerError(&walletError{status: status, code: "not_found", description: "No such resource"})
		return
	}
	answer, err := p.call(x, route, vars)
	if err != nil {
		x.answerError(err)
		return
	}
	if answer == nil {
		x.empty(http.StatusNoContent)
		return
	}
	x.json(http.StatusOK, answer)
}

// call checks who calls and how, then calls the operation.
func (p *Paysera) call(x *exchange, route walletRoute, vars map[string]string) (any, error) {
	who := caller{}
	if route.who != callerAnyone || x.r.Header.Get("Authorization") != "" {
		var err error
		if who, err = p.authenticate(x); err != nil {
			return nil, err
		}
		if err := p.spend(who); err != nil {
			return nil, err
		}
	}
	switch {
	case route.who == callerUser && who.user == 0:
		x.violate("this call needs the access token of a user")
		return nil, forbidden("This call needs an access token")
	case route.who == callerMerchant && (who.user != 0 || who.client != p.opts.ClientID):
		x.violate("this call needs the credentials of a merchant's client")
		return nil, forbidden("Only the client of the merchant may do this")
	}
	p.checkRequest(x, route)
	fields, err := parseFields(x.r.URL.Query()["fields"])
	if err != nil {
		return nil, err
	}
	answer, err := route.do(&walletCall{exchange: x, caller: who, vars: vars})
	if err != nil || answer == nil {
		return nil, err
	}
	return pick(answer, fields), nil
}

// checkRequest looks for what no documentation allows, and what the vendor would not mind.
func (p *Paysera) checkRequest(x *exchange, route walletRoute) {
	for key, values := range x.r.URL.Query() {
		if key != "locale" && !slices.Contains(route.query, key) {
			x.violate("unknown query parameter %q", key)
		}
		if len(values) > 1 {
			x.violate("query parameter %s is given %d times", key, len(values))
		}
	}
	if accept := x.r.Header.Get("Accept"); accept != "" && !strings.Contains(accept, "application/json") && !strings.Contains(accept, "*/*") {
		x.violate("Accept is %q, must allow application/json", accept)
	}
	if len(x.body) == 0 {
		return
	}
	if x.r.Method == http.MethodGet || x.r.Method == http.MethodDelete {
		x.violate("a %s has no body", x.r.Method)
	}
	if kind := x.r.Header.Get("Content-Type"); !isJSON(kind) {
		x.violate("content type is %q, must be application/json", kind)
	}
}

// route finds the operation. Without one, vars are nil unless the path alone is known.
func (p *Paysera) route(method string, path []string) (route walletRoute, vars map[string]string, found bool) {
	var known map[string]string
	for _, candidate := range p.routes {
		vars, same := matchPath(candidate.path, path)
		if !same {
			continue
		}
		if candidate.method == method {
			return candidate, vars, true
		}
		known = vars
	}
	return walletRoute{}, known, false
}

// matchPath compares a path with a pattern.
func matchPath(pattern string, path []string) (vars map[string]string, same bool) {
	parts := strings.Split(pattern, "/")
	if len(parts) != len(path) {
		return nil, false
	}
	vars = map[string]string{}
	for i, part := range parts {
		name, variable := strings.CutPrefix(part, "{")
		switch {
		case variable:
			vars[strings.TrimSuffix(name, "}")] = path[i]
		case part != path[i]:
			return nil, false
		}
	}
	return vars, true
}

// spend takes one request from the budgets: one of each access token, one of each account. That a client with its own
// credentials is an account, and not under the limit by the minute, is a judgment.
func (p *Paysera) spend(who caller) error {
	account := who.client
	if who.user != 0 {
		account = "user " + strconv.FormatInt(who.user, 10)
		if !p.take(p.world.Minutes, who.token, p.opts.RateLimit, minuteWindow) {
			return &walletError{status: http.StatusTooManyRequests, code: "rate_limit_exceeded", description: "Too many requests with this access token"}
		}
	}
	if !p.take(p.world.Hours, account, p.opts.AccountLimit, hourWindow) {
		return &walletError{status: http.StatusTooManyRequests, code: "rate_limit_exceeded", description: "Too many requests of this account"}
	}
	return nil
}

func (p *Paysera) take(uses map[string]*walletUse, name string, limit int, length time.Duration) bool {
	if limit < 0 {
		return true
	}
	now := p.engine.now()
	use := uses[name]
	if use == nil || now.Sub(use.Start) >= length {
		use = &walletUse{Start: now}
		uses[name] = use
	}
	use.Used++
	return use.Used <= limit
}

// number reads a path segment that is an id. Anything else is not found.
func (c *walletCall) number(name string) (int64, error) {
	id, err := strconv.ParseInt(c.vars[name], 10, 64)
	if err != nil || id <= 0 {
		c.violate("%q is not an id", c.vars[name])
		return 0, notFound("No such resource")
	}
	return id, nil
}

// ownProject reports whether a resource of a project belongs to the merchant's client.
func (p *Paysera) ownProject(who caller, project int64) bool {
	return who.user == 0 && who.client == p.opts.ClientID && project == projectMain
}

// describe tells how to reach the system.
func (p *Paysera) describe(base, sim string) PayseraDescription {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := PayseraDescription{
		BaseURL: base + payseraPrefix, AuthURL: base + payseraPrefix + "/frontend", ClientID: p.opts.ClientID, ClientSecret: p.opts.ClientSecret,
		AppID: p.opts.AppID, AppSecret: p.opts.AppSecret, ProjectID: projectMain, Currency: "EUR",
	}
	for _, l := range p.world.Locations {
		if l.Project == projectMain && l.Status == "active" {
			d.Locations = append(d.Locations, PayseraPlace{ID: l.ID, Title: l.Title})
		}
	}
	for _, u := range p.world.Users {
		d.Users = append(d.Users, PayseraUserDescription{
			ID: u.ID, WalletID: u.Wallet, SimURL: sim + "/paysera/users/" + strconv.FormatInt(u.ID, 10),
		})
	}
	return d
}
