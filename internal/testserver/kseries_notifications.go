package testserver

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/shopspring/decimal"
)

// notifyRetries is how often a notification is tried again. The vendor documents nothing; a judgment.
const notifyRetries = 5

// KSeriesNotify says how notifications are written and sent. The zero value of each is its default.
type KSeriesNotify struct {
	// SchemaNames writes the older name of an account as the schema has it, iKentooAccountId with a number. Default: as the
	// examples of payments have it, ikentooAccountId with a text.
	SchemaNames bool
	// Bare leaves out type and businessLocationId, as some of the vendor's examples do.
	Bare bool
	// NoErrors leaves out the member errors of what failed, as older notifications do: only the reason is left.
	NoErrors bool
	// ChecksToPayments tells the endpoint of a payment of what happens to its check, under the payment's reference, as that
	// of an order is told. The vendor documents it for orders; for payments it is open.
	ChecksToPayments bool
	// Retry is the time before a notification that failed is tried again; it doubles each time. Default: 1 s, which is a
	// judgment.
	Retry time.Duration
}

func (o KSeriesNotify) withDefaults() KSeriesNotify {
	o.Retry = orDefault(o.Retry, time.Second)
	return o
}

// KSeriesNotification is a notification on its way to an endpoint.
type KSeriesNotification struct {
	ID        string        `json:"id"` // not the vendor's, who has none
	Type      string        `json:"type"`
	Status    string        `json:"status"`
	Reference string        `json:"reference"`
	Endpoint  string        `json:"endpoint"`
	URL       string        `json:"url"`
	Payload   string        `json:"payload"`
	State     DeliveryState `json:"state"`
	Attempts  int           `json:"attempts"`
	// Answered is the status that the receiver answered last, Error is why there was no answer.
	Answered int    `json:"answered"`
	Error    string `json:"error,omitempty"`
}

// kNotification is a notification in the books.
type kNotification struct {
	KSeriesNotification

	BasicAuth          bool
	Username, Password string
	Due                time.Time // of the next try, in real time
	sending            bool      // just now, by this process
}

func (d *kNotification) posting() posting { return posting{&d.State, &d.Due, &d.sending} }

// kSending is how notifications are made, and what was scripted about them.
type kSending struct {
	KSeriesNotify

	Held      bool
	Duplicate int
	Lose      int
}

// tell has an endpoint told of something. Called with the lock held. An endpoint that is gone is not told.
func (k *KSeries) tell(endpoint string, payload map[string]any) {
	e := k.world.endpoint(endpoint)
	if e == nil {
		return
	}
	text := func(key string) string { s, _ := payload[key].(string); return s }
	one := KSeriesNotification{
		ID: newID(), Type: text("type"), Status: text("status"), Reference: text("thirdPartyReference"), Endpoint: endpoint, URL: e.URL,
		State: DeliveryPending,
	}
	sending := &k.world.Sending
	if sending.Bare {
		delete(payload, "type")
		delete(payload, "businessLocationId")
	}
	if sending.NoErrors {
		delete(payload, "errors")
	}
	out, err := json.Marshal(payload)
	if err != nil {
		k.engine.violate(kseriesName, http.MethodPost, "/notification", "the payload cannot be encoded: "+err.Error())
		return
	}
	one.Payload = string(out)
	if sending.Lose > 0 {
		sending.Lose--
		one.State = DeliveryLost
	}
	add := func() {
		k.world.Notifications = append(k.world.Notifications, &kNotification{
			KSeriesNotification: one, BasicAuth: e.WithBasicAuth, Username: e.Username, Password: e.Password,
		})
	}
	add()
	if one.State == DeliveryPending && sending.Duplicate > 0 {
		sending.Duplicate--
		one.ID = newID()
		add()
	}
	k.notify()
}

// named adds what names a check.
func (k *KSeries) named(payload map[string]any, c *kCheck) {
	payload["ikentooAccountIdentifier"] = c.Account
	if k.world.Sending.SchemaNames {
		payload["iKentooAccountId"] = c.ID
		return
	}
	payload["ikentooAccountId"] = decimal.NewFromInt(c.ID).String()
}

// aboutTask tells what became of a payment or an order.
func (k *KSeries) aboutTask(t *kTask) {
	payload := map[string]any{"thirdPartyReference": t.Reference, "businessLocationId": t.Location, "status": "SUCCESS", "type": "PAYMENT"}
	if t.Order != nil {
		payload["type"] = "ORDER"
	}
	if t.State == TaskApplied {
		c := k.world.check(t.Account)
		k.named(payload, c)
		if t.Order != nil {
			k.withAccount(payload, c, t.Endpoint)
		}
		k.tell(t.Endpoint, payload)
		return
	}
	payload["status"], payload["reason"] = "FAILURE", t.Reason
	if t.ErrorType == typeTimeout {
		payload["errors"] = map[string]any{"timeout": map[string]string{"errorKey": "errors.payment.pos.task_timeout", "message": t.Reason}}
	} else {
		payload["errors"] = map[string]any{"account": map[string]string{"type": t.ErrorType}}
	}
	if t.Order != nil {
		delete(payload, "errors") // documented for payments only
	}
	k.tell(t.Endpoint, payload)
}

// withAccount adds the check as it is now, if the endpoint asks for it. Amounts are texts here.
func (k *KSeries) withAccount(payload map[string]any, c *kCheck, endpoint string) {
	if e := k.world.endpoint(endpoint); e != nil && e.ProvideAccount {
		payload["account"] = k.account(c, e.ExpandTransactions, e.ExpandPayments, kTime, func(d decimal.Decimal) any { return d.StringFixed(2) })
	}
}

// aboutCheck tells who follows a check what happened to it.
func (k *KSeries) aboutCheck(c *kCheck, status string) {
	for _, f := range c.Followed {
		payload := map[string]any{"thirdPartyReference": f.Reference, "businessLocationId": c.Location, "status": status, "type": "ORDER"}
		k.named(payload, c)
		k.withAccount(payload, c, f.Endpoint)
		k.tell(f.Endpoint, payload)
	}
}

// exampleTime is how the examples of items and readiness write times.
const exampleTime = "2006-01-02T15:04:05.000-07:00"

// aboutItem tells who subscribes that there is none of a product, or that there is.
func (k *KSeries) aboutItem(s KSeriesStock) {
	status := "NOT_RESTRICTED"
	if s.Count <= 0 {
		status = "RESTRICTED"
	}
	for _, e := range k.world.Endpoints {
		if e.subscribes("SALES_RESTRICTION_UPDATED", KSeriesLocation) {
			k.tell(e.ID, map[string]any{
				"sku": s.SKU, "businessLocationId": KSeriesLocation, "count": s.Count, "countUpdatedAt": s.Time.Format(exampleTime),
				"status": status, "type": "ITEM",
			})
		}
	}
}

// aboutReadiness tells who subscribes whether the location takes online orders.
func (k *KSeries) aboutReadiness() {
	for _, e := range k.world.Endpoints {
		if e.subscribes("ONLINE_ORDER_READINESS", KSeriesLocation) {
			payload := k.readiness(exampleTime)
			payload["businessLocationId"], payload["type"] = KSeriesLocation, "ORDER_API"
			k.tell(e.ID, payload)
		}
	}
}

// SetNotify says how notifications are written and sent from now on.
func (k *KSeries) SetNotify(o KSeriesNotify) {
	k.begin()
	defer k.mu.Unlock()
	k.world.Sending.KSeriesNotify = o.withDefaults()
}

// DuplicateNotifications sends each of the next n notifications twice, of those that are not lost.
func (k *KSeries) DuplicateNotifications(n int) {
	k.begin()
	defer k.mu.Unlock()
	k.world.Sending.Duplicate = n
}

// LoseNotifications loses the next n notifications.
func (k *KSeries) LoseNotifications(n int) {
	k.begin()
	defer k.mu.Unlock()
	k.world.Sending.Lose = n
}

// HoldNotifications holds all notifications back until [KSeries.ReleaseNotifications].
func (k *KSeries) HoldNotifications() {
	k.begin()
	defer k.mu.Unlock()
	k.world.Sending.Held = true
}

// ReleaseNotifications lets the notifications that were held back go, in the order of the events or the other way round.
func (k *KSeries) ReleaseNotifications(reversed bool) {
	k.begin()
	defer k.mu.Unlock()
	k.world.Sending.Held = false
	if reversed {
		reversePending(k.world.Notifications)
	}
	k.notify()
}

// Notifications returns all notifications so far, in the order in which they are or were made.
func (k *KSeries) Notifications() []KSeriesNotification {
	k.begin()
	defer k.mu.Unlock()
	return k.listNotifications()
}

func (k *KSeries) listNotifications() []KSeriesNotification {
	list := make([]KSeriesNotification, 0, len(k.world.Notifications))
	for _, d := range k.world.Notifications {
		list = append(list, d.KSeriesNotification)
	}
	return list
}

// WaitNotifications waits until there are n notifications that are no longer pending, and returns all.
func (k *KSeries) WaitNotifications(ctx context.Context, n int) ([]KSeriesNotification, error) {
	return waitPosted(ctx, n, "notifications", func() ([]KSeriesNotification, <-chan struct{}) {
		k.begin()
		defer k.mu.Unlock()
		return k.listNotifications(), k.changed
	}, func(d KSeriesNotification) DeliveryState { return d.State })
}

// serveNotifications has the point of sale do its tasks and posts notifications, one at a time, until ctx ends.
func (k *KSeries) serveNotifications(ctx context.Context) {
	servePosts(ctx, k.nextNotification, k.deliver)
}

// nextNotification takes the first notification that is due. If there is none, it tells how long to wait for one or for the
// point of sale, and the channel that is closed when something changes.
func (k *KSeries) nextNotification() (next *kNotification, wait time.Duration, changed <-chan struct{}) {
	k.begin()
	defer k.mu.Unlock()
	wait = k.untilNextTask()
	if k.world.Sending.Held {
		return nil, wait, k.changed
	}
	next, due := takeDue(k.world.Notifications)
	return next, min(wait, due), k.changed
}

// deliver tries a notification once. Which answers are taken for success, and that others are tried again, is a judgment.
func (k *KSeries) deliver(ctx context.Context, d *kNotification) {
	k.mu.Lock()
	target, payload, with, username, password := d.URL, d.Payload, d.BasicAuth, d.Username, d.Password
	k.mu.Unlock()
	status, _, err := k.engine.post(ctx, target, "application/json", payload, func(req *http.Request) {
		if with {
			req.SetBasicAuth(username, password)
		}
	})
	k.mu.Lock()
	defer k.mu.Unlock()
	d.sending = false
	if err != nil && ctx.Err() != nil {
		return // the simulation ends: the next process tries again
	}
	d.Attempts++
	d.Answered, d.Error = status, ""
	if err != nil {
		d.Error = err.Error()
	}
	switch {
	case status/100 == 2:
		d.State = DeliveryDelivered
	case d.Attempts > notifyRetries:
		d.State = DeliveryFailed
	default:
		d.Due = time.Now().Add(k.world.Sending.Retry << (d.Attempts - 1))
	}
	k.notify()
}
