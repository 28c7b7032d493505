package testserver

import (
	"net/http"
	"slices"
)

// The error text of a second webhook of the same type and URL, which is the vendor's.
const textWebhookExists = "A webhook with this type and URL already exists."

// webhookTypes lists the events that can be subscribed to: all that the vendor has. The simulated store sends the
// first two.
func webhookTypes() []string {
	return []string{
		eventSaleUpdate, eventClosureCreate,
		"product.update", "customer.update", "inventory.update", "consignment.send", "consignment.receive",
	}
}

// webhook is a subscription as the REST API has it.
type webhook struct {
	ID         string `json:"id"`
	RetailerID string `json:"retailer_id"`
	Type       string `json:"type"`
	URL        string `json:"url"`
	Active     bool   `json:"active"`

	// application is who made it: the id of the application, or applicationPersonal.
	application string
}

// webhookRoutes lists the operations on webhooks.
func (s *XSeries) webhookRoutes() []xRoute {
	scope := []string{"webhooks"}
	return []xRoute{
		{http.MethodGet, "webhooks", scope, nil, s.listWebhooks},
		{http.MethodPost, "webhooks", scope, nil, s.createWebhook},
		{http.MethodGet, "webhooks/{id}", scope, nil, s.getWebhook},
		{http.MethodPut, "webhooks/{id}", scope, nil, s.updateWebhook},
		{http.MethodDelete, "webhooks/{id}", scope, nil, s.deleteWebhook},
	}
}

// listWebhooks answers with all webhooks of the store, without pages and versions. That those of other applications
// are among them is a judgment.
func (s *XSeries) listWebhooks(x *exchange, _ xCall) {
	list := []webhook{}
	for _, h := range s.webhooks {
		list = append(list, *h)
	}
	x.json(http.StatusOK, wrapped{list})
}

func (s *XSeries) getWebhook(x *exchange, c xCall) {
	if h := s.webhook(c.id); h != nil {
		x.json(http.StatusOK, wrapped{*h})
		return
	}
	missing(x, "webhook")
}

func (s *XSeries) createWebhook(x *exchange, c xCall) {
	h := &webhook{ID: newID(), RetailerID: retailerID, application: c.application}
	if !s.readWebhook(x, h) {
		return
	}
	s.webhooks = append(s.webhooks, h)
	x.json(http.StatusCreated, wrapped{*h})
}

// updateWebhook replaces a webhook. That a conflict is refused here too is a judgment.
func (s *XSeries) updateWebhook(x *exchange, c xCall) {
	h := s.webhook(c.id)
	if h == nil {
		missing(x, "webhook")
		return
	}
	changed := *h
	if !s.readWebhook(x, &changed) {
		return
	}
	*h = changed
	x.json(http.StatusOK, wrapped{changed})
}

// deleteWebhook answers 200, for which the vendor documents no body. What was not delivered yet still is, by judgment.
func (s *XSeries) deleteWebhook(x *exchange, c xCall) {
	if s.webhook(c.id) == nil {
		missing(x, "webhook")
		return
	}
	s.webhooks = slices.DeleteFunc(s.webhooks, func(h *webhook) bool { return h.ID == c.id })
	x.empty(http.StatusOK)
}

// readWebhook reads the body of a request into h. It answers and reports false when that is no webhook, or one that
// exists already.
func (s *XSeries) readWebhook(x *exchange, h *webhook) bool {
	var body struct {
		Active *bool   `json:"active"`
		Type   *string `json:"type"`
		URL    *string `json:"url"`
	}
	if !x.decode(&body) {
		return false
	}
	problem := ""
	switch {
	case body.Active == nil || body.Type == nil || body.URL == nil:
		problem = "a webhook needs active, type and url"
	case !slices.Contains(webhookTypes(), *body.Type):
		problem = "unknown webhook type " + *body.Type
	case len(*body.URL) < 3:
		problem = "the url of a webhook must have at least 3 characters"
	}
	if problem != "" {
		x.violate("%s", problem)
		x.fail(http.StatusBadRequest, textBadRequest) // judgment: no such answer is documented
		return false
	}
	h.Active, h.Type, h.URL = *body.Active, *body.Type, *body.URL
	for _, other := range s.webhooks {
		if other.ID != h.ID && other.Type == h.Type && other.URL == h.URL {
			x.fail(http.StatusConflict, textWebhookExists)
			return false
		}
	}
	return true
}

// webhook finds a webhook, nil when there is none.
func (s *XSeries) webhook(id string) *webhook {
	for _, h := range s.webhooks {
		if h.ID == id {
			return h
		}
	}
	return nil
}
