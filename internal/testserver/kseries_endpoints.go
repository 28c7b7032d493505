package testserver

import (
	"net/http"
	"net/url"
	"slices"
	"time"
)

// kSubscription is what an endpoint is told of beside payments, orders and their checks.
type kSubscription struct {
	Name     string `json:"name"`
	Resource string `json:"resource"`
}

// kEndpoint is where notifications are posted to.
type kEndpoint struct {
	ID                 string
	URL                string
	WithBasicAuth      bool
	Username, Password string
	ProvideAccount     bool
	ExpandTransactions bool
	ExpandPayments     bool
	SubscribeTo        []kSubscription
	Locations          []kEndpointLocation
}

type kEndpointLocation struct {
	ID               int64
	Created, Updated time.Time
}

// document is an endpoint as the API sends it. That the password is among it is documented only in that the answer has the
// same form as the request.
func (e *kEndpoint) document() map[string]any {
	return map[string]any{
		"endpointId": e.ID, "url": e.URL, "withBasicAuth": e.WithBasicAuth, "username": e.Username, "password": e.Password,
		"provideAccount": e.ProvideAccount, "expandTransactions": e.ExpandTransactions, "expandPayments": e.ExpandPayments,
		"subscribeTo": listOf(e.SubscribeTo),
	}
}

// subscribes reports whether the endpoint is told of something at a location.
func (e *kEndpoint) subscribes(name string, location int64) bool {
	return slices.ContainsFunc(e.SubscribeTo, func(s kSubscription) bool { return s.Name == name }) &&
		slices.ContainsFunc(e.Locations, func(l kEndpointLocation) bool { return l.ID == location })
}

// endpointRoutes lists the operations on endpoints. There is none that lists them.
func (k *KSeries) endpointRoutes() []kRoute {
	const base, one = "o/wh/1/webhook", "o/wh/1/webhook/{endpoint}"
	return []kRoute{
		{http.MethodPut, base, scopeOrders, nil, k.createEndpoint},
		{http.MethodPost, base, scopeOrders, nil, k.updateEndpoint},
		{http.MethodGet, one, scopeOrders, nil, k.getEndpoint},
		{http.MethodDelete, one, scopeOrders, nil, k.deleteEndpoint},
		{http.MethodGet, one + "/business-locations", scopeOrders, nil, k.endpointLocations},
		{http.MethodPut, one + "/business-locations/{bl}", scopeOrders, nil, k.addEndpointLocation},
		{http.MethodDelete, one + "/business-locations/{bl}", scopeOrders, nil, k.removeEndpointLocation},
	}
}

// endpoint finds an endpoint, nil for none. Upper and lower case differ.
func (w *kWorld) endpoint(id string) *kEndpoint {
	for _, e := range w.Endpoints {
		if e.ID == id {
			return e
		}
	}
	return nil
}

// endpointOf finds the endpoint that the path names.
func (k *KSeries) endpointOf(c *kCall) (*kEndpoint, error) {
	if e := k.world.endpoint(c.vars["endpoint"]); e != nil {
		return e, nil
	}
	return nil, kRefuse(http.StatusNotFound, "endpoint ID not found for %s", c.vars["endpoint"])
}

// readEndpoint reads the body of a request. What is left out is false.
func (k *KSeries) readEndpoint(c *kCall) (*kEndpoint, error) {
	var body struct {
		ID                 *string         `json:"endpointId"`
		URL                *string         `json:"url"`
		WithBasicAuth      bool            `json:"withBasicAuth"`
		Username           string          `json:"username"`
		Password           string          `json:"password"`
		ProvideAccount     bool            `json:"provideAccount"`
		ExpandTransactions bool            `json:"expandTransactions"`
		ExpandPayments     bool            `json:"expandPayments"`
		SubscribeTo        []kSubscription `json:"subscribeTo"`
	}
	if err := c.read(&body); err != nil {
		return nil, err
	}
	var v kChecker
	v.null(body.ID == nil, "endpointId", "java.lang.String")
	v.null(body.URL == nil, "url", "java.lang.String")
	if err := kInvalid("webhookEndpointDto", v.wrong); err != nil {
		return nil, err
	}
	if u, err := url.Parse(*body.URL); err != nil || u.Host == "" {
		c.violate("url is %q, must be absolute", *body.URL)
	}
	if body.WithBasicAuth && (body.Username == "" || body.Password == "") {
		c.violate("withBasicAuth needs a username and a password")
	}
	known := []kSubscription{{"DELIVERED", "order"}, {"SALES_RESTRICTION_UPDATED", "item"}, {"ONLINE_ORDER_READINESS", "order_api"}}
	for _, s := range body.SubscribeTo {
		if !slices.Contains(known, s) {
			c.violate("nothing of the name %q and the resource %q can be subscribed to", s.Name, s.Resource)
		}
	}
	return &kEndpoint{
		ID: *body.ID, URL: *body.URL, WithBasicAuth: body.WithBasicAuth, Username: body.Username, Password: k.engine.secretly(body.Password),
		ProvideAccount: body.ProvideAccount, ExpandTransactions: body.ExpandTransactions, ExpandPayments: body.ExpandPayments,
		SubscribeTo: body.SubscribeTo,
	}, nil
}

// createEndpoint refuses one that is there already, which is a judgment.
func (k *KSeries) createEndpoint(c *kCall) (any, error) {
	e, err := k.readEndpoint(c)
	if err != nil {
		return nil, err
	}
	if k.world.endpoint(e.ID) != nil {
		return nil, kRefuse(http.StatusConflict, "endpoint ID already exists %s", e.ID)
	}
	k.world.Endpoints = append(k.world.Endpoints, e)
	return e.document(), nil
}

func (k *KSeries) updateEndpoint(c *kCall) (any, error) {
	e, err := k.readEndpoint(c)
	if err != nil {
		return nil, err
	}
	old := k.world.endpoint(e.ID)
	if old == nil {
		return nil, kRefuse(http.StatusNotFound, "endpoint ID not found for %s", e.ID)
	}
	e.Locations = old.Locations
	*old = *e
	return e.document(), nil
}

func (k *KSeries) getEndpoint(c *kCall) (any, error) {
	e, err := k.endpointOf(c)
	if err != nil {
		return nil, err
	}
	return e.document(), nil
}

func (k *KSeries) deleteEndpoint(c *kCall) (any, error) {
	e, err := k.endpointOf(c)
	if err != nil {
		return nil, err
	}
	k.world.Endpoints = slices.DeleteFunc(k.world.Endpoints, func(other *kEndpoint) bool { return other == e })
	return nil, nil //nolint:nilnil // an answer without a body
}

func (k *KSeries) locationDocument(l kEndpointLocation) map[string]any {
	return map[string]any{
		"businessLocationId": l.ID, "createdAt": k.moment(l.Created), "updatedAt": k.moment(l.Updated), "warnings": []any{},
	}
}

func (k *KSeries) endpointLocations(c *kCall) (any, error) {
	e, err := k.endpointOf(c)
	if err != nil {
		return nil, err
	}
	list := []any{}
	for _, l := range e.Locations {
		list = append(list, k.locationDocument(l))
	}
	return list, nil
}

func (k *KSeries) addEndpointLocation(c *kCall) (any, error) {
	e, err := k.endpointOf(c)
	if err != nil {
		return nil, err
	}
	location, err := c.location()
	if err != nil {
		return nil, err
	}
	now := k.engine.now().UTC()
	for i := range e.Locations {
		if e.Locations[i].ID == location {
			e.Locations[i].Updated = now
			return k.locationDocument(e.Locations[i]), nil
		}
	}
	l := kEndpointLocation{location, now, now}
	e.Locations = append(e.Locations, l)
	return k.locationDocument(l), nil
}

// removeEndpointLocation answers 404 for a location that the endpoint is not told of, which is a judgment.
func (k *KSeries) removeEndpointLocation(c *kCall) (any, error) {
	e, err := k.endpointOf(c)
	if err != nil {
		return nil, err
	}
	location, err := c.location()
	if err != nil {
		return nil, err
	}
	before := len(e.Locations)
	e.Locations = slices.DeleteFunc(e.Locations, func(l kEndpointLocation) bool { return l.ID == location })
	if len(e.Locations) == before {
		return nil, kRefuse(http.StatusNotFound, "business location %d not found for endpoint ID %s", location, e.ID)
	}
	return nil, nil //nolint:nilnil // an answer without a body
}
