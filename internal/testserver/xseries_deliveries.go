package testserver

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// The events that the simulated store has.
const (
	eventSaleUpdate    = "sale.update"
	eventClosureCreate = "register_closure.create"
)

// deliveryRetries is how often a delivery is tried again, as documented.
const deliveryRetries = 20

// SignatureEncoding is how the signature of a webhook is written. The vendor names HMAC-SHA256 and leaves the encoding
// open; its example is neither hex nor base64.
type SignatureEncoding string

// The encodings that receivers in the field expect.
const (
	SignatureHex       SignatureEncoding = "hex"
	SignatureBase64    SignatureEncoding = "base64"
	SignatureBase64URL SignatureEncoding = "base64url"
)

// WebhookOptions say how webhooks are delivered. The zero value of each is its default.
type WebhookOptions struct {
	// Encoding is that of the signature. Default: [SignatureHex], which is a judgment.
	Encoding SignatureEncoding
	// SignPayload signs the decoded field payload alone. Default: the raw body, which is the literal reading of the
	// vendor's "webhook request body".
	SignPayload bool
	// Bare leaves out environment and domain_prefix, which are not guaranteed to be there.
	Bare bool
	// Retry is the time before a delivery that failed is tried again; it doubles each time.
	// Default: 165 ms, so that the twenty documented retries take the documented 48 hours.
	Retry time.Duration
}

func (o WebhookOptions) withDefaults() WebhookOptions {
	o.Encoding = orDefault(o.Encoding, SignatureHex)
	o.Retry = orDefault(o.Retry, 165*time.Millisecond)
	return o
}

// Delivery is one event on its way to one webhook.
type Delivery struct {
	ID        string `json:"id"`
	WebhookID string `json:"webhook_id"`
	Type      string `json:"type"`
	URL       string `json:"url"`
	Payload   string `json:"payload"` // the JSON text of the form field
	// Signed reports whether it carries a signature: an application made the webhook.
	Signed   bool          `json:"signed"`
	State    DeliveryState `json:"state"`
	Attempts int           `json:"attempts"`
	// Status is what the receiver answered last, 0 for no answer; Error is why there was none.
	Status int    `json:"status"`
	Error  string `json:"error,omitempty"`
}

// delivery is a delivery in the books.
type delivery struct {
	Delivery

	due     time.Time // of the next try, in real time
	sending bool      // just now, by this process
}

func (d *delivery) posting() posting { return posting{&d.State, &d.due, &d.sending} }

// record adds a payment to a sale. Called with the lock held.
func (s *XSeries) record(one *sale, p SalePayment) {
	one.payments = append(one.payments, p)
	one.updated, one.version = p.Time, s.shop.next()
	s.event(eventSaleUpdate, s.sale10(one))
}

// event has an event delivered to the webhooks that want it. Called with the lock held.
func (s *XSeries) event(kind string, payload map[string]any) {
	text, err := json.Marshal(payload)
	if err != nil {
		s.engine.violate(xseriesName, "POST", "/webhooks", "the payload cannot be encoded: "+err.Error())
		return
	}
	for _, h := range s.webhooks {
		if !h.Active || h.Type != kind {
			continue
		}
		one := Delivery{
			ID: newID(), WebhookID: h.ID, Type: kind, URL: h.URL, Payload: string(text),
			Signed: h.application != applicationPersonal, State: DeliveryPending,
		}
		if s.sending.Lose > 0 {
			s.sending.Lose--
			one.State = DeliveryLost
		}
		s.deliveries = append(s.deliveries, &delivery{Delivery: one})
		if one.State == DeliveryPending && s.sending.Duplicate > 0 {
			s.sending.Duplicate--
			one.ID = newID()
			s.deliveries = append(s.deliveries, &delivery{Delivery: one})
		}
	}
	s.notify()
}

// sale10 is the sale of API 1.0, which webhooks carry. The vendor publishes no schema of it any more: the fields are those
// of a delivery that was seen in 2015. That it has a version is a judgment.
func (s *XSeries) sale10(one *sale) map[string]any {
	const oldTime = "2006-01-02 15:04:05"
	status := "SAVED"
	if one.closed() {
		status = "CLOSED"
	}
	lines, payments := []any{}, []any{}
	for _, l := range one.lines {
		lines = append(lines, map[string]any{
			"id": l.id, "product_id": l.productID, "quantity": number(l.Quantity), "price": l.unitPrice().StringFixed(5), "price_set": false,
			"tax": l.unitTax().StringFixed(5), "price_total": l.price().String(), "tax_total": l.tax().String(), "tax_id": taxID,
		})
	}
	for _, p := range one.payments {
		kind := s.shop.paidBy(p)
		payments = append(payments, map[string]any{
			"id": p.ID, "payment_date": p.Time.Format(time.RFC3339), "amount": number(p.Amount),
			"retailer_payment_type_id": kind.ID, "payment_type_id": kind.TypeID,
			"retailer_payment_type": map[string]any{"id": kind.ID, "name": kind.Name, "payment_type_id": strconv.Itoa(kind.TypeID)},
		})
	}
	return map[string]any{
		"id": one.id, "sale_date": one.created.Format(time.RFC3339), "status": status, "user_id": userID,
		"customer_id": textOrNull(one.customerID), "register_id": one.registerID, "market_id": "1",
		"invoice_number": one.invoiceNumber, "short_code": one.shortCode, "note": nil,
		"totals": map[string]any{
			"total_price": one.price().String(), "total_tax": one.tax().String(), "total_payment": one.paid().String(),
			"total_to_pay": one.total.Sub(one.paid()).String(), // what is left, unlike in the answer to DATA
		},
		"created_at": one.created.Format(oldTime), "updated_at": one.updated.Format(oldTime),
		"register_sale_products": lines, "register_sale_payments": payments,
		"taxes":   []any{map[string]any{"id": taxRateID, "name": "GST", "rate": json.Number("0.15"), "tax": number(one.tax())}},
		"version": one.version,
	}
}

// closure is what is known of a register's closure. All of it is a judgment: no source shows one, the fields are those
// of the payments summary.
func closure(r *xRegister, id, opened string) map[string]any {
	return map[string]any{
		"id": id, "register_id": r.ID, "outlet_id": r.OutletID, "register_open_time": textOrNull(opened),
		"register_close_time": r.RegisterCloseTime, "register_closure_sequence_number": r.closures,
	}
}

// notify wakes who waits for deliveries. Called with the lock held.
func (s *XSeries) notify() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// SetWebhooks says how webhooks are delivered from now on.
func (s *XSeries) SetWebhooks(o WebhookOptions) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sending.WebhookOptions = o.withDefaults()
}

// DuplicateDeliveries sends each of the next n deliveries twice, of those that are not lost.
func (s *XSeries) DuplicateDeliveries(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sending.Duplicate = n
}

// LoseDeliveries loses the next n deliveries: the vendor guarantees none.
func (s *XSeries) LoseDeliveries(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sending.Lose = n
}

// HoldDeliveries holds all deliveries back until [XSeries.ReleaseDeliveries].
func (s *XSeries) HoldDeliveries() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sending.Held = true
}

// ReleaseDeliveries lets the deliveries that were held back go, in the order of the events or the other way round.
func (s *XSeries) ReleaseDeliveries(reversed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sending.Held = false
	if reversed {
		reversePending(s.deliveries)
	}
	s.notify()
}

// Deliveries returns all deliveries so far, in the order in which they are or were made.
func (s *XSeries) Deliveries() []Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.listDeliveries()
}

func (s *XSeries) listDeliveries() []Delivery {
	list := make([]Delivery, 0, len(s.deliveries))
	for _, d := range s.deliveries {
		list = append(list, d.Delivery)
	}
	return list
}

// WaitDeliveries waits until there are n deliveries that are no longer pending, and returns all.
func (s *XSeries) WaitDeliveries(ctx context.Context, n int) ([]Delivery, error) {
	return waitPosted(ctx, n, "deliveries", func() ([]Delivery, <-chan struct{}) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.listDeliveries(), s.changed
	}, func(d Delivery) DeliveryState { return d.State })
}

// Deliver makes the deliveries that are due now, for who does not use [Systems.Serve], which makes them all.
func (s *XSeries) Deliver(ctx context.Context) error {
	for ctx.Err() == nil {
		d, _, _ := s.nextDelivery()
		if d == nil {
			return nil
		}
		s.deliver(ctx, d)
	}
	return fmt.Errorf("testserver: deliveries: %w", ctx.Err())
}

// serveDeliveries makes deliveries, one at a time, until ctx ends.
func (s *XSeries) serveDeliveries(ctx context.Context) {
	servePosts(ctx, s.nextDelivery, s.deliver)
}

// nextDelivery takes the first delivery that is due. If there is none, it tells how long to wait for one, and the
// channel that is closed when something changes.
func (s *XSeries) nextDelivery() (next *delivery, wait time.Duration, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sending.Held {
		return nil, time.Hour, s.changed
	}
	next, wait = takeDue(s.deliveries)
	return next, wait, s.changed
}

// deliver tries a delivery once.
func (s *XSeries) deliver(ctx context.Context, d *delivery) {
	status, err := s.send(ctx, d)
	s.mu.Lock()
	defer s.mu.Unlock()
	d.sending = false
	if err != nil && ctx.Err() != nil {
		return // the simulation ends: the next process tries again
	}
	d.Attempts++
	d.Status, d.Error = status, ""
	if err != nil {
		d.Error = err.Error()
	}
	switch {
	case status/100 == 2:
		d.State = DeliveryDelivered
	case status/100 == 3 || status/100 == 4 || d.Attempts > deliveryRetries:
		d.State = DeliveryFailed
	default:
		d.due = time.Now().Add(s.sending.Retry << (d.Attempts - 1))
	}
	s.notify()
}

// send posts a delivery and returns the status of the answer.
func (s *XSeries) send(ctx context.Context, d *delivery) (int, error) {
	s.mu.Lock()
	how, target, payload, signed := s.sending.WebhookOptions, d.URL, d.Payload, d.Signed
	s.mu.Unlock()
	body := "payload=" + url.QueryEscape(payload)
	if !how.Bare {
		body += "&domain_prefix=" + url.QueryEscape(s.opts.DomainPrefix) + "&environment=production"
	}
	status, _, err := s.engine.post(ctx, target, "application/x-www-form-urlencoded", body, func(req *http.Request) {
		if !signed {
			return // a webhook that a person made has no application, and so no secret
		}
		text := body
		if how.SignPayload {
			text = payload
		}
		req.Header.Set("X-Signature", "signature="+how.sign(s.opts.ClientSecret, text)+",algorithm=HMAC-SHA256")
	})
	return status, err
}

// sign writes the HMAC-SHA256 of a text.
func (o WebhookOptions) sign(secret, text string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	sum := mac.Sum(nil)
	switch o.Encoding {
	case SignatureBase64:
		return base64.StdEncoding.EncodeToString(sum)
	case SignatureBase64URL:
		return base64.URLEncoding.EncodeToString(sum)
	default:
		return hex.EncodeToString(sum)
	}
}

// sendingState is how deliveries are made, and what was scripted about them.
type sendingState struct {
	WebhookOptions

	Held      bool
	Duplicate int
	Lose      int
}
