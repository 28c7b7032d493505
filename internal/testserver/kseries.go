package testserver

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// kseriesName is the system's name in requests, violations and faults.
const kseriesName = "kseries"

// KSeriesOptions are the settings of the simulated Lightspeed Restaurant K-Series. The zero value of each is its default.
type KSeriesOptions struct {
	// ClientID and ClientSecret are those of the application of OAuth V2. Default: random.
	ClientID, ClientSecret string
	// LegacyID and LegacySecret are those of the application of OAuth V1. Default: random.
	LegacyID, LegacySecret string
	// AccessTTL is the life of an access token. Default: 25 minutes, and 1 hour in V1.
	AccessTTL time.Duration
	// RefreshTTL is the life of a refresh token. Default: 40 days with the scope offline_access, 30 minutes without, and
	// 14 days in V1.
	RefreshTTL time.Duration
	// CodeTTL is the life of an authorization code. Default: 1 minute, which is a judgment.
	CodeTTL time.Duration
	// RefreshExpiresZero writes refresh_expires_in as 0 if the scope offline_access was granted, as one of the vendor's
	// pages has it. Default: the number of seconds, as another has it.
	RefreshExpiresZero bool
	// SecretInBody takes the client's secret from the body too. Default: from a Basic header only. Which is so in V2 is not
	// documented.
	SecretInBody bool
	// Currency is that of the business. Default: EUR.
	Currency string
	// ForgetClosed answers 404 for an account that is closed. Default: it can be read. The vendor documents neither.
	ForgetClosed bool
	// POSDelay is how long a point of sale that is online takes to carry out a task. Default: no time.
	POSDelay time.Duration
	// Notify says how notifications are written and sent.
	Notify KSeriesNotify
}

func (o KSeriesOptions) withDefaults() KSeriesOptions {
	o.ClientID = orDefault(o.ClientID, secret("devp-v2-sim-"))
	o.ClientSecret = orDefault(o.ClientSecret, secret("sim-client-secret-"))
	o.LegacyID = orDefault(o.LegacyID, secret("devp-sim-"))
	o.LegacySecret = orDefault(o.LegacySecret, secret("sim-client-secret-"))
	o.CodeTTL = orDefault(o.CodeTTL, time.Minute)
	o.Currency = orDefault(o.Currency, "EUR")
	o.Notify = o.Notify.withDefaults()
	return o
}

// KSeries is the simulated Lightspeed Restaurant K-Series: OAuth, Order & Pay with its neighbours, and a restaurant with its
// tables and a point of sale. Its methods may be called from any goroutine.
type KSeries struct {
	engine *Engine
	given  KSeriesOptions // as they were given
	opts   KSeriesOptions // with the defaults
	routes []kRoute

	mu      guard
	world   kWorld
	changed chan struct{} // closed and replaced whenever anything changes
}

// kWorld is all that changes. Its parts refer to each other by name, so that it can be written as it is.
type kWorld struct {
	NextID        int64
	Accounts      int // how many were opened
	POS           KSeriesPOS
	POSSince      time.Time
	Delay         time.Duration
	Checks        []*kCheck
	Tasks         []*kTask
	Fails         []kFail
	Applied       []KSeriesApplied
	Messages      []KSeriesMessage
	Stock         []KSeriesStock
	Endpoints     []*kEndpoint
	Notifications []*kNotification
	Sending       kSending
	Grants        kGrants
}

func newKSeries(e *Engine, opts KSeriesOptions) *KSeries {
	k := &KSeries{engine: e, given: opts, opts: opts.withDefaults(), changed: make(chan struct{})}
	k.routes = slices.Concat(k.placeRoutes(), k.checkRoutes(), k.taskRoutes(), k.endpointRoutes())
	k.seed()
	return k
}

// seed puts the system into the state in which it starts. Called with the lock held, or before it is shared.
func (k *KSeries) seed() {
	k.world = kWorld{
		NextID: 304_087_979_524_000, POS: POSOnline, POSSince: k.engine.now().UTC(), Delay: k.opts.POSDelay,
		Sending: kSending{KSeriesNotify: k.opts.Notify},
	}
	k.notify()
}

// reset goes back to the state at start. Credentials stay as they are.
func (k *KSeries) reset() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.seed()
}

// notify wakes who waits for something to happen. Called with the lock held.
func (k *KSeries) notify() {
	close(k.changed)
	k.changed = make(chan struct{})
}

// begin locks, and lets happen what time has brought. It is undone by k.mu.Unlock.
func (k *KSeries) begin() {
	k.mu.Lock()
	k.sweep()
}

// id makes an id. They are longer than 32 bits, as at the vendor.
func (k *KSeries) id() int64 {
	k.world.NextID++
	return k.world.NextID
}

// kTime is how most of the vendor's examples write times: not quite RFC 3339.
const kTime = "2006-01-02T15:04:05.000-0700"

// moment writes a time.
func (k *KSeries) moment(t time.Time) string { return t.UTC().Format(kTime) }

// kError is an error answer. The form is documented; which texts are is said where they are used.
type kError struct {
	status  int
	message string
	wrong   []kWrong // fields that are wrong, and the object that has them
	object  string
	short   bool // {status, msg}, as orders answer
}

// Error is the message.
func (e *kError) Error() string { return e.message }

// kWrong is one field that is wrong.
type kWrong struct{ code, field, kind, message string }

func kRefuse(status int, format string, args ...any) error {
	return &kError{status: status, message: fmt.Sprintf(format, args...)}
}

// kInvalid is the error for fields that are wrong, nil for none. That every operation has this form is a judgment: it is
// documented for orders and webhooks.
func kInvalid(object string, wrong []kWrong) error {
	if len(wrong) == 0 {
		return nil
	}
	return &kError{
		status: http.StatusBadRequest, wrong: wrong, object: object,
		message: fmt.Sprintf("Validation failed for object='%s'. Error count: %d", object, len(wrong)),
	}
}

// refuse answers with an error. Fields that are wrong are violations: a correct client knows the rules.
func (k *KSeries) refuse(x *exchange, err error) {
	wrong, ok := err.(*kError) //nolint:errorlint // they are never wrapped here
	if !ok {
		wrong = &kError{status: http.StatusInternalServerError, message: err.Error()}
	}
	if wrong.short {
		x.json(wrong.status, map[string]string{"status": "fail", "msg": wrong.message})
		return
	}
	body := map[string]any{
		"timestamp": k.moment(k.engine.now()), "status": wrong.status, "error": http.StatusText(wrong.status), "message": wrong.message, "path": x.path,
	}
	var list []any
	for _, w := range wrong.wrong {
		x.violate("%s %s", w.field, w.message)
		list = append(list, map[string]any{
			"codes": []string{w.code + "." + wrong.object + "." + w.field, w.code + "." + w.field, w.code + "." + w.kind, w.code},
			"arguments": []any{map[string]any{
				"codes": []string{wrong.object + "." + w.field, w.field}, "defaultMessage": w.field, "code": w.field,
			}},
			"defaultMessage": w.message, "objectName": wrong.object, "field": w.field, "bindingFailure": false, "code": w.code,
		})
	}
	if list != nil {
		body["errors"] = list
	}
	x.json(wrong.status, body)
}

// KSeriesError answers with an error in the form of Order & Pay, instead of processing the request.
func KSeriesError(status int, message string) Fault {
	out, err := json.Marshal(map[string]any{
		"timestamp": "2023-11-07T22:18:49.101+0000", "status": status, "error": http.StatusText(status), "message": message, "path": "/o/op/1/pay",
	})
	if err != nil {
		out = []byte("{}")
	}
	return Status(status, string(out))
}

// handle answers one request to K-Series.
func (k *KSeries) handle(x *exchange) {
	k.begin()
	defer k.mu.Unlock()
	defer k.sweep() // what was asked for may happen at once
	switch parts := segments(x.path); {
	case slices.Equal(parts, []string{"oauth", "authorize"}):
		k.authorize(x, oauthV1)
	case slices.Equal(parts, []string{"oauth", "token"}):
		k.token(x, oauthV1)
	case slices.Equal(parts, []string{"realms", "k-series", "protocol", "openid-connect", "auth"}):
		k.authorize(x, oauthV2)
	case slices.Equal(parts, []string{"realms", "k-series", "protocol", "openid-connect", "token"}):
		k.token(x, oauthV2)
	default:
		k.rest(x, parts)
	}
}

// expire ends the life of the access token that the request carries.
func (k *KSeries) expire(x *exchange) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if token := k.world.Grants.access(bearer(x.r)); token != nil {
		token.Expires = k.engine.now()
	}
}

// The scopes that operations need.
const (
	scopeOrders  = "orders-api"
	scopeFinance = "financial-api"
	scopeStaff   = "staff-api"
)

// kRoute is one operation of the API.
type kRoute struct {
	method string
	path   string // {name} stands for one segment
	scope  string
	query  []string // the query parameters that the vendor documents
	do     func(c *kCall) (any, error)
}

// kCall is one call of an operation.
type kCall struct {
	*exchange

	vars map[string]string
}

// rest answers one request to the API. A nil answer is 200 without a body.
func (k *KSeries) rest(x *exchange, path []string) {
	route, vars, status := k.route(x.r.Method, path)
	if status != 0 {
		x.violate("no such operation: %s %s", x.r.Method, x.path)
		k.refuse(x, kRefuse(status, "No such operation"))
		return
	}
	token := k.world.Grants.access(bearer(x.r))
	if token == nil || !k.engine.now().Before(token.Expires) {
		if bearer(x.r) == "" {
			x.violate("no bearer token")
		}
		// As seen in the field.
		x.json(http.StatusUnauthorized, map[string]any{"errors": []any{map[string]string{
			"code": "unauthorized", "title": "Full authentication is required to access this resource",
		}}})
		return
	}
	if !slices.Contains(strings.Fields(token.Scope), route.scope) {
		k.refuse(x, kRefuse(http.StatusForbidden, "Forbidden")) // judgment: no such answer is documented
		return
	}
	k.checkRequest(x, route)
	answer, err := route.do(&kCall{exchange: x, vars: vars})
	switch {
	case err != nil:
		k.refuse(x, err)
	case answer == nil:
		x.empty(http.StatusOK)
	default:
		x.json(http.StatusOK, answer)
	}
}

// route finds the operation, or the status of the refusal.
func (k *KSeries) route(method string, path []string) (route kRoute, vars map[string]string, status int) {
	status = http.StatusNotFound
	for _, candidate := range k.routes {
		vars, same := matchPath(candidate.path, path)
		if !same {
			continue
		}
		if candidate.method == method {
			return candidate, vars, 0
		}
		status = http.StatusMethodNotAllowed
	}
	return kRoute{}, nil, status
}

// checkRequest looks for what no documentation allows, and what the vendor would not mind.
func (k *KSeries) checkRequest(x *exchange, route kRoute) {
	for key, values := range x.r.URL.Query() {
		if !slices.Contains(route.query, key) {
			x.violate("unknown query parameter %q", key)
		}
		if len(values) > 1 {
			x.violate("query parameter %s is given %d times", key, len(values))
		}
	}
	if accept := x.r.Header.Get("Accept"); accept != "" && !strings.Contains(accept, "application/json") && !strings.Contains(accept, "*/*") {
		x.violate("Accept is %q, must allow application/json", accept)
	}
	if x.r.Header.Get("Idempotency-Key") != "" {
		x.violate("no operation of this API takes an Idempotency-Key")
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

// read reads the JSON body of a request into v. An unknown field is ignored, as the vendor would, and is a violation.
func (c *kCall) read(v any) error {
	dec := json.NewDecoder(bytes.NewReader(c.body))
	dec.DisallowUnknownFields()
	if dec.Decode(v) == nil {
		return nil
	}
	if err := json.Unmarshal(c.body, v); err != nil {
		c.violate("body: %v", err)
		return kRefuse(http.StatusBadRequest, "JSON parse error: %v", err) // judgment
	}
	c.violate("body has an unknown field: %s", c.body)
	return nil
}

// number reads a path segment that is an id.
func (c *kCall) number(name string) (int64, error) {
	id, err := strconv.ParseInt(c.vars[name], 10, 64)
	if err != nil {
		c.violate("%q is not a number", c.vars[name])
		return 0, kRefuse(http.StatusBadRequest, "Failed to convert value of type 'java.lang.String' to required type 'long'") // judgment
	}
	return id, nil
}

// location reads which business location is meant, from the path or the query. One that the token's user has no right to is
// forbidden, by judgment.
func (c *kCall) location() (int64, error) {
	text, inPath := c.vars["bl"]
	if !inPath {
		text = c.r.URL.Query().Get("businessLocationId")
	}
	if text == "" {
		c.violate("the query parameter businessLocationId is missing")
		return 0, kRefuse(http.StatusBadRequest, "Required request parameter 'businessLocationId' for method parameter type Long is not present")
	}
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		c.violate("businessLocationId is %q, must be a number", text)
		return 0, kRefuse(http.StatusBadRequest, "Failed to convert value of type 'java.lang.String' to required type 'java.lang.Long'")
	}
	return id, knownLocation(id)
}

func knownLocation(id int64) error {
	if id != KSeriesLocation && id != KSeriesOtherLocation {
		return kRefuse(http.StatusForbidden, "Access to business location %d denied", id)
	}
	return nil
}

// describe tells how to reach the system.
func (k *KSeries) describe(base string) KSeriesDescription {
	k.mu.Lock()
	defer k.mu.Unlock()
	realm := base + kseriesPrefix + "/realms/k-series/protocol/openid-connect"
	return KSeriesDescription{
		BaseURL: base + kseriesPrefix, AuthorizeURL: realm + "/auth", TokenURL: realm + "/token",
		ClientID: k.opts.ClientID, ClientSecret: k.opts.ClientSecret,
		LegacyAuthorizeURL: base + kseriesPrefix + "/oauth/authorize", LegacyTokenURL: base + kseriesPrefix + "/oauth/token",
		LegacyID: k.opts.LegacyID, LegacySecret: k.opts.LegacySecret,
		Currency: k.opts.Currency, TablesURL: base + "/tables",
		Locations: []KSeriesPlace{{ID: KSeriesLocation, Name: locationName}, {ID: KSeriesOtherLocation, Name: otherLocationName}},
	}
}
