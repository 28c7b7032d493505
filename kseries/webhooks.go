package kseries

import (
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/rest"
	"github.com/tillroute/tillroute/internal/wire"
)

// WebhooksService reads and changes where notifications are posted to. It needs the scope orders-api. The API has no call that
// lists the endpoints: remember their IDs. [NewNotificationHandler] receives what is posted.
type WebhooksService struct{ c *core }

// Endpoint is where notifications are posted to. What became of payments, orders and their checks is always posted to the
// endpoint that they name; the rest is for those that subscribe.
type Endpoint struct {
	// ID is yours. Upper and lower case differ. Required.
	ID string
	// URL is where to post to: an absolute https or http URL. Required.
	URL string
	// Username and Password are what the vendor proves itself with, by Basic authentication. There is nothing else that it
	// could do: without them anybody can pretend that a check was paid. Both, or neither.
	Username string
	Password tillroute.Secret
	// ProvideAccount puts the check into the notifications of orders, ExpandTransactions what was sold into the check, and
	// ExpandPayments what was paid.
	ProvideAccount, ExpandTransactions, ExpandPayments bool
	// Subscriptions are what else to post.
	Subscriptions []Subscription
}

// Subscription is something that an endpoint may be told of. Values that are not named here are passed on as they are.
type Subscription struct {
	Name     string `json:"name"`
	Resource string `json:"resource"`
}

// DeliveredOrders returns the subscription to orders that were delivered.
func DeliveredOrders() Subscription { return Subscription{"DELIVERED", "order"} }

// ItemRestrictions returns the subscription to what is sold out, and what isn't any longer. It needs
// [WebhooksService.AddLocation] too.
func ItemRestrictions() Subscription { return Subscription{"SALES_RESTRICTION_UPDATED", "item"} }

// OrderReadiness returns the subscription to whether a business location takes online orders. It needs
// [WebhooksService.AddLocation] too.
func OrderReadiness() Subscription { return Subscription{"ONLINE_ORDER_READINESS", "order_api"} }

// EndpointLocation is a business location whose items and readiness an endpoint is told of.
type EndpointLocation struct {
	BusinessLocationID int64
	// CreatedAt and UpdatedAt are in UTC.
	CreatedAt, UpdatedAt time.Time
	Warnings             []Warning
}

// Create makes an endpoint. It isn't repeated once it may have arrived: if the error matches [tillroute.ErrOutcomeUnknown],
// look with [WebhooksService.Get]. What creating one that is there already does isn't documented.
//
// API reference: PUT /o/wh/1/webhook, https://api-docs.lsk.lightspeed.app/operation/operation-apecreatewebhookoo
func (s WebhooksService) Create(ctx context.Context, e Endpoint, opts ...tillroute.CallOption) (Endpoint, error) {
	return s.put(ctx, webhooksCreate, e, opts)
}

// Update replaces all of an endpoint. Doing so twice is the same as once, so it is repeated. If the error matches
// [tillroute.ErrOutcomeUnknown], repeat it or look with [WebhooksService.Get].
//
// API reference: POST /o/wh/1/webhook, https://api-docs.lsk.lightspeed.app/operation/operation-apeupdatewebhookoo
func (s WebhooksService) Update(ctx context.Context, e Endpoint, opts ...tillroute.CallOption) (Endpoint, error) {
	return s.put(ctx, webhooksUpdate, e, opts)
}

func (s WebhooksService) put(ctx context.Context, op operation, e Endpoint, opts []tillroute.CallOption) (Endpoint, error) {
	var wrong problems
	if e.ID == "" {
		wrong.add("ID is missing")
	}
	if u, err := url.Parse(e.URL); err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		wrong.add("URL is not an absolute https URL")
	}
	if (e.Username == "") != (e.Password == "") {
		wrong.add("Username and Password need each other")
	}
	if err := wrong.err(op); err != nil {
		return Endpoint{}, err
	}
	// An update without a field sets it to false.
	body := struct {
		ID                 string         `json:"endpointId"`
		URL                string         `json:"url"`
		WithBasicAuth      bool           `json:"withBasicAuth"`
		Username           string         `json:"username,omitempty"`
		Password           string         `json:"password,omitempty"`
		ProvideAccount     bool           `json:"provideAccount"`
		ExpandTransactions bool           `json:"expandTransactions"`
		ExpandPayments     bool           `json:"expandPayments"`
		SubscribeTo        []Subscription `json:"subscribeTo"`
	}{
		e.ID, e.URL, e.Username != "", e.Username, e.Password.Reveal(), e.ProvideAccount, e.ExpandTransactions, e.ExpandPayments,
		append([]Subscription{}, e.Subscriptions...),
	}
	var answer Endpoint
	err := s.c.do(ctx, op, rest.Request{JSON: body, Secrets: []string{e.Password.Reveal()}}, &answer, opts)
	return answer, err
}

// Get returns the endpoint of that ID, or an error of kind NotFound. The vendor may send its password.
//
// API reference: GET /o/wh/1/webhook/{endpointId}, https://api-docs.lsk.lightspeed.app/operation/operation-apegetwebhookoo
func (s WebhooksService) Get(ctx context.Context, endpointID string, opts ...tillroute.CallOption) (Endpoint, error) {
	var answer Endpoint
	err := s.c.do(ctx, webhooksGet, rest.Request{Args: []string{endpointID}}, &answer, opts)
	return answer, err
}

// Delete deletes the endpoint of that ID, or is an error of kind NotFound. It is repeated if the answer is lost; that the
// endpoint is gone by then is success. If the error matches [tillroute.ErrOutcomeUnknown], repeat it.
//
// API reference: DELETE /o/wh/1/webhook/{endpointId}, https://api-docs.lsk.lightspeed.app/operation/operation-apedeletewebhookendpoint
func (s WebhooksService) Delete(ctx context.Context, endpointID string, opts ...tillroute.CallOption) error {
	return gone(s.c.do(ctx, webhooksDelete, rest.Request{Args: []string{endpointID}}, nil, opts))
}

// Locations returns the business locations whose items and readiness the endpoint is told of.
//
// API reference: GET /o/wh/1/webhook/{endpointId}/business-locations, https://api-docs.lsk.lightspeed.app/operation/operation-apegetwebhookbusinesslocations
func (s WebhooksService) Locations(ctx context.Context, endpointID string, opts ...tillroute.CallOption) ([]EndpointLocation, error) {
	var answer []EndpointLocation
	err := s.c.do(ctx, webhooksLocations, rest.Request{Args: []string{endpointID}}, &answer, opts)
	return answer, err
}

// AddLocation has the endpoint told of a business location's items and readiness, as far as it subscribes. Payments and orders
// need no such thing. It is repeated if the answer is lost.
//
// API reference: PUT /o/wh/1/webhook/{endpointId}/business-locations/{businessLocationId}, https://api-docs.lsk.lightspeed.app/operation/operation-apeaddwebhookbusinesslocation
func (s WebhooksService) AddLocation(ctx context.Context, endpointID string, businessLocationID int64, opts ...tillroute.CallOption) (EndpointLocation, error) {
	var answer EndpointLocation
	err := s.c.do(ctx, webhooksAddLocation, rest.Request{Args: []string{endpointID, id(businessLocationID)}}, &answer, opts)
	return answer, err
}

// RemoveLocation ends what [WebhooksService.AddLocation] began, or is an error of kind NotFound. It is repeated if the answer
// is lost; that it has ended by then is success.
//
// API reference: DELETE /o/wh/1/webhook/{endpointId}/business-locations/{businessLocationId}, https://api-docs.lsk.lightspeed.app/operation/operation-aperemovewebhookbusinesslocation
func (s WebhooksService) RemoveLocation(ctx context.Context, endpointID string, businessLocationID int64, opts ...tillroute.CallOption) error {
	return gone(s.c.do(ctx, webhooksRemoveLocation, rest.Request{Args: []string{endpointID, id(businessLocationID)}}, nil, opts))
}

// gone takes for success that something to be deleted isn't there after an attempt whose answer was lost.
func gone(err error) error {
	if errors.Is(err, tillroute.ErrNotFound) && errors.Is(err, tillroute.ErrOutcomeUnknown) {
		return nil
	}
	return err
}

// UnmarshalJSON reads an endpoint as the API sends it.
func (e *Endpoint) UnmarshalJSON(data []byte) error {
	var w struct {
		ID                 wire.Text `json:"endpointId"`
		URL                wire.Text `json:"url"`
		Username           wire.Text `json:"username"`
		Password           wire.Text `json:"password"`
		ProvideAccount     wire.Bool `json:"provideAccount"`
		ExpandTransactions wire.Bool `json:"expandTransactions"`
		ExpandPayments     wire.Bool `json:"expandPayments"`
		SubscribeTo        []struct {
			Name     wire.Text `json:"name"`
			Resource wire.Text `json:"resource"`
		} `json:"subscribeTo"`
	}
	if err := object(data, &w); err != nil {
		return err
	}
	if w.ID == "" {
		return errNoID
	}
	*e = Endpoint{
		ID: string(w.ID), URL: string(w.URL), Username: string(w.Username), Password: tillroute.Secret(w.Password),
		ProvideAccount: bool(w.ProvideAccount), ExpandTransactions: bool(w.ExpandTransactions), ExpandPayments: bool(w.ExpandPayments),
	}
	for _, s := range w.SubscribeTo {
		e.Subscriptions = append(e.Subscriptions, Subscription{string(s.Name), string(s.Resource)})
	}
	return nil
}

// UnmarshalJSON reads a location as the API sends it.
func (l *EndpointLocation) UnmarshalJSON(data []byte) error {
	var w struct {
		ID        wire.Int  `json:"businessLocationId"`
		CreatedAt wire.Time `json:"createdAt"`
		UpdatedAt wire.Time `json:"updatedAt"`
		Warnings  []Warning `json:"warnings"`
	}
	if err := object(data, &w); err != nil {
		return err
	}
	if w.ID == 0 {
		return errNoID
	}
	*l = EndpointLocation{int64(w.ID), time.Time(w.CreatedAt), time.Time(w.UpdatedAt), w.Warnings}
	return nil
}
