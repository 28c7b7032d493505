package xseries

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/rest"
	"github.com/tillroute/tillroute/internal/wire"
)

// WebhooksService reads and changes where the store posts changes to. It needs the scope webhooks. [NewWebhookHandler]
// receives what is posted.
//
// It speaks the JSON of the date versions. Version 2.0 has webhooks in the same form according to the vendor's collection of
// requests, as a beta, and not according to its reference. The older /api/webhooks, which takes forms, is not supported.
type WebhooksService struct{ c *core }

// WebhookType is what a webhook tells of. Values that are not named here are kept as they are.
type WebhookType string

// The documented values. There is none for registers, and none for payments.
const (
	SaleUpdate            WebhookType = "sale.update"
	ProductUpdate         WebhookType = "product.update"
	CustomerUpdate        WebhookType = "customer.update"
	InventoryUpdate       WebhookType = "inventory.update"
	RegisterClosureCreate WebhookType = "register_closure.create"
	ConsignmentSend       WebhookType = "consignment.send"
	ConsignmentReceive    WebhookType = "consignment.receive"
)

// WebhookRequest says what a webhook should be.
type WebhookRequest struct {
	// Type is what to post. Required.
	Type WebhookType
	// URL is where to post to: an absolute https or http URL. No two webhooks have the same type and URL. Required.
	URL string
	// Active webhooks are the ones that post; the zero value makes one that doesn't.
	Active bool
}

// Webhook is where the store posts the changes of a type to.
type Webhook struct {
	ID         string
	RetailerID string
	Type       WebhookType
	URL        string
	Active     bool
	// UserID is only known of webhooks that were made by hand, or with an older version of the API.
	UserID string
}

// List returns all webhooks of the application.
//
// API reference: GET /api/{version}/webhooks, https://x-series-api.lightspeedhq.com/openapi/api-2026-07.yaml
func (s WebhooksService) List(ctx context.Context, opts ...tillroute.CallOption) ([]Webhook, error) {
	var answer struct {
		Data present[[]Webhook] `json:"data"`
	}
	if err := s.c.do(ctx, webhooksList, rest.Request{}, &answer, opts); err != nil {
		return nil, err
	}
	if !answer.Data.there {
		return nil, noData(webhooksList)
	}
	return answer.Data.value, nil
}

// Get returns the webhook of that ID, or an error of kind NotFound.
//
// API reference: GET /api/{version}/webhooks/{id}, https://x-series-api.lightspeedhq.com/openapi/api-2026-07.yaml
func (s WebhooksService) Get(ctx context.Context, id string, opts ...tillroute.CallOption) (Webhook, error) {
	return get[Webhook](ctx, s.c, webhooksGet, id, opts)
}

// Create makes a webhook. If there is one of the same type and URL the error is a Conflict. It isn't repeated once it may have
// arrived: if the error matches [tillroute.ErrOutcomeUnknown], look for the type and URL with [WebhooksService.List], or
// create it again and take a Conflict for success.
//
// API reference: POST /api/{version}/webhooks, https://x-series-api.lightspeedhq.com/openapi/api-2026-07.yaml
func (s WebhooksService) Create(ctx context.Context, r WebhookRequest, opts ...tillroute.CallOption) (Webhook, error) {
	body, err := r.body(webhooksCreate)
	if err != nil {
		return Webhook{}, err
	}
	return one[Webhook](ctx, s.c, webhooksCreate, rest.Request{JSON: body}, opts)
}

// Update replaces the webhook of that ID, or is an error of kind NotFound. Doing so twice is the same as once, so it is
// repeated. If the error matches [tillroute.ErrOutcomeUnknown], repeat it or look with [WebhooksService.Get].
//
// API reference: PUT /api/{version}/webhooks/{id}, https://x-series-api.lightspeedhq.com/openapi/api-2026-07.yaml
func (s WebhooksService) Update(ctx context.Context, id string, r WebhookRequest, opts ...tillroute.CallOption) (Webhook, error) {
	body, err := r.body(webhooksUpdate)
	if err != nil {
		return Webhook{}, err
	}
	return one[Webhook](ctx, s.c, webhooksUpdate, rest.Request{Args: []string{id}, JSON: body}, opts)
}

// Delete deletes the webhook of that ID, or is an error of kind NotFound. It is repeated if the answer is lost; that the
// webhook is gone by then is success. If the error matches [tillroute.ErrOutcomeUnknown], repeat it.
//
// API reference: DELETE /api/{version}/webhooks/{id}, https://x-series-api.lightspeedhq.com/openapi/api-2026-07.yaml
func (s WebhooksService) Delete(ctx context.Context, id string, opts ...tillroute.CallOption) error {
	err := s.c.do(ctx, webhooksDelete, rest.Request{Args: []string{id}}, nil, opts)
	if errors.Is(err, tillroute.ErrNotFound) && errors.Is(err, tillroute.ErrOutcomeUnknown) {
		return nil
	}
	return err
}

type webhookBody struct {
	Active bool   `json:"active"`
	Type   string `json:"type"`
	URL    string `json:"url"`
}

// body checks the request, and returns what to send.
func (r WebhookRequest) body(op operation) (webhookBody, error) {
	if r.Type == "" {
		return webhookBody{}, tillroute.Invalid(System, op.declare().Name, "Type is missing: %s, for one", SaleUpdate)
	}
	if u, err := url.Parse(r.URL); err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return webhookBody{}, tillroute.Invalid(System, op.declare().Name, "URL is not an absolute https URL")
	}
	return webhookBody{r.Active, string(r.Type), r.URL}, nil
}

// UnmarshalJSON reads a webhook as the API sends it.
func (h *Webhook) UnmarshalJSON(data []byte) error {
	var w struct {
		ID         wire.Text `json:"id"`
		RetailerID wire.Text `json:"retailer_id"`
		UserID     wire.Text `json:"user_id"`
		Type       wire.Text `json:"type"`
		URL        wire.Text `json:"url"`
		Active     wire.Bool `json:"active"`
	}
	if err := json.Unmarshal(data, &w); err != nil {
		return err
	}
	if w.ID == "" {
		return errNoID
	}
	*h = Webhook{
		ID: string(w.ID), RetailerID: string(w.RetailerID), Type: WebhookType(w.Type), URL: string(w.URL),
		Active: bool(w.Active), UserID: string(w.UserID),
	}
	return nil
}
