package testserver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/shopspring/decimal"
)

// KSeriesPOS is the state of the point of sale.
type KSeriesPOS string

// Only a point of sale that is online, with its app in the foreground, takes payments and orders.
const (
	POSOnline     KSeriesPOS = "online"
	POSOffline    KSeriesPOS = "offline"
	POSBackground KSeriesPOS = "background"
)

// defaultTTL is how long a task without a time to live is tried. The vendor documents nothing; others use it for orders.
const defaultTTL = 12 * time.Hour

// The documented bounds of what a task names.
const (
	shortestTTL           = 60_000
	longestPaymentTaskRef = 50
	longestOrderTaskRef   = 48
	longestOrderSKU       = 25
)

// KSeriesTaskState is where a task is.
type KSeriesTaskState string

// A task waits for a point of sale, was applied, or failed.
const (
	TaskWaiting KSeriesTaskState = "waiting"
	TaskApplied KSeriesTaskState = "applied"
	TaskFailed  KSeriesTaskState = "failed"
)

// KSeriesTask is a payment or an order on its way to the point of sale.
type KSeriesTask struct {
	Kind      string           `json:"kind"` // payment or order
	Reference string           `json:"reference"`
	Endpoint  string           `json:"endpoint"`
	Location  int64            `json:"location"`
	Account   string           `json:"account"` // of an order that opens a check: once it is applied
	Accepted  time.Time        `json:"accepted"`
	Deadline  time.Time        `json:"deadline"`
	State     KSeriesTaskState `json:"state"`
	// ErrorType and Reason are why it failed.
	ErrorType string `json:"error_type,omitempty"`
	Reason    string `json:"reason,omitempty"`
}

// kTask is a task in the books.
type kTask struct {
	KSeriesTask

	Ready    time.Time // before which the point of sale is not done with it
	StaffID  int64
	DeviceID int64
	Method   string
	Amount   decimal.Decimal
	Tip      decimal.Decimal
	Order    *kOrder
}

// KSeriesApplied is a payment that was really applied to a check.
type KSeriesApplied struct {
	Time      time.Time       `json:"time"`
	Location  int64           `json:"location"`
	Account   string          `json:"account"`
	Reference string          `json:"reference"`
	Method    string          `json:"method"`
	Amount    decimal.Decimal `json:"amount"` // without the tip
	Tip       decimal.Decimal `json:"tip"`
	StaffID   int64           `json:"staff_id,omitempty"`
}

// kFail is a scripted failure of the point of sale.
type kFail struct{ Type, Reason string }

// The reasons of the vendor and those seen in the field; the others are judgments.
const (
	reasonAccount  = "Account not found"
	reasonTimeout  = "Not processed before validity ended"
	reasonOverpaid = "the payment amount is greater than the amount due"
	reasonClosed   = "Account already closed"
	reasonMethod   = "Payment method not found"
	reasonStaff    = "Staff not found"
	typeTimeout    = "timeout" // is no type of the vendor: it has a member of its own
)

// taskRoutes lists the operations that have the point of sale do something.
func (k *KSeries) taskRoutes() []kRoute {
	return []kRoute{
		{http.MethodPost, "o/op/1/pay", scopeOrders, nil, k.pay},
		{http.MethodPost, "o/op/1/order/local", scopeOrders, nil, func(c *kCall) (any, error) { return k.order(c, true) }},
		{http.MethodPost, "o/op/1/order/toGo", scopeOrders, nil, func(c *kCall) (any, error) { return k.order(c, false) }},
	}
}

// kChecker collects what is wrong with a request.
type kChecker struct{ wrong []kWrong }

func (v *kChecker) null(missing bool, field, kind string) bool {
	if missing {
		v.wrong = append(v.wrong, kWrong{"NotNull", field, kind, "must not be null"})
	}
	return missing
}

func (v *kChecker) size(text string, shortest, longest int, field string) {
	if n := utf8.RuneCountInString(text); n < shortest || n > longest {
		v.wrong = append(v.wrong, kWrong{"Size", field, "java.lang.String", fmt.Sprintf("size must be between %d and %d", shortest, longest)})
	}
}

func (v *kChecker) ttl(ms *int32, field string) {
	if ms != nil && *ms < shortestTTL {
		v.wrong = append(v.wrong, kWrong{"Min", field, "java.lang.Integer", fmt.Sprintf("must be greater than or equal to %d", shortestTTL)})
	}
}

// amount reads a number. A string is none, and none may be below zero, which is a judgment.
func (v *kChecker) amount(raw json.RawMessage, field string) decimal.Decimal {
	if len(raw) == 0 || string(raw) == "null" {
		return decimal.Decimal{}
	}
	d, err := decimal.NewFromString(string(raw))
	if err != nil {
		v.wrong = append(v.wrong, kWrong{"typeMismatch", field, "java.math.BigDecimal", "must be a number"})
	} else if d.IsNegative() {
		v.wrong = append(v.wrong, kWrong{"PositiveOrZero", field, "java.math.BigDecimal", "must be greater than or equal to 0"})
	}
	return d
}

// kPayBody is the body of a payment.
type kPayBody struct {
	OldAccount *int64          `json:"iKaccountId"`
	Account    string          `json:"iKaccountIdentifier"`
	Reference  *string         `json:"thirdPartyPaymentReference"`
	Endpoint   *string         `json:"endpointId"`
	Location   *int64          `json:"businessLocationId"`
	TTL        *int32          `json:"taskTtlInMs"`
	StaffID    int64           `json:"staffId"`
	DeviceID   int64           `json:"deviceId"`
	Method     string          `json:"paymentMethod"`
	Amount     json.RawMessage `json:"paymentAmount"`
	Tip        json.RawMessage `json:"tipAmount"`
	Printer    int64           `json:"targetPrinterProfileId"`
}

// pay accepts a payment for delivery to the point of sale, and says no more than that.
func (k *KSeries) pay(c *kCall) (any, error) {
	var body kPayBody
	if err := c.read(&body); err != nil {
		return nil, err
	}
	var v kChecker
	if !v.null(body.Reference == nil, "thirdPartyPaymentReference", "java.lang.String") {
		v.size(*body.Reference, 1, longestPaymentTaskRef, "thirdPartyPaymentReference")
	}
	v.null(body.Endpoint == nil, "endpointId", "java.lang.String")
	v.null(body.Location == nil, "businessLocationId", "java.lang.Long")
	v.null(len(body.Amount) == 0 || string(body.Amount) == "null", "paymentAmount", "java.math.BigDecimal")
	v.ttl(body.TTL, "taskTtlInMs")
	amount, tip := v.amount(body.Amount, "paymentAmount"), v.amount(body.Tip, "tipAmount")
	if err := kInvalid("standalonePayment", v.wrong); err != nil {
		return nil, err
	}
	if body.OldAccount != nil {
		c.violate("iKaccountId is deprecated, and must not be sent")
	}
	if body.Account == "" {
		c.violate("iKaccountIdentifier is missing: nothing else names the account")
	}
	t := &kTask{
		KSeriesTask: KSeriesTask{Kind: "payment", Reference: *body.Reference, Endpoint: *body.Endpoint, Location: *body.Location, Account: body.Account},
		StaffID:     body.StaffID, DeviceID: body.DeviceID, Method: orDefault(body.Method, methodDefault), Amount: amount, Tip: tip,
	}
	if k.used(t) {
		return nil, kRefuse(http.StatusBadRequest, "reference has already been used %s", t.Reference)
	}
	if err := k.accept(t, body.TTL, time.Time{}); err != nil {
		return nil, err
	}
	return map[string]string{"status": "ok"}, nil
}

// used reports whether a reference was used. That it is unique in the whole system, for ever, and that payments and orders have
// references of their own, are judgments.
func (k *KSeries) used(t *kTask) bool {
	return slices.ContainsFunc(k.world.Tasks, func(other *kTask) bool { return other.Kind == t.Kind && other.Reference == t.Reference })
}

// accept has the point of sale try a task. Its time begins at the time it is scheduled for, if there is one.
func (k *KSeries) accept(t *kTask, ttl *int32, scheduled time.Time) error {
	if err := knownLocation(t.Location); err != nil {
		return err
	}
	if k.world.endpoint(t.Endpoint) == nil {
		return kRefuse(http.StatusBadRequest, "endpoint ID not found for %s", t.Endpoint) // judgment: the text is that of the webhooks
	}
	now := k.engine.now().UTC()
	life := defaultTTL
	if ttl != nil {
		life = time.Duration(*ttl) * time.Millisecond
	}
	t.Accepted, t.Deadline, t.Ready, t.State = now, now.Add(life), now.Add(k.world.Delay), TaskWaiting
	if scheduled.After(now) {
		t.Deadline = scheduled.UTC().Add(life)
	}
	k.world.Tasks = append(k.world.Tasks, t)
	k.notify()
	return nil
}

// taken is when the point of sale is done with a task, if it stays as it is.
func (k *KSeries) taken(t *kTask) (at time.Time, ok bool) {
	if k.world.POS != POSOnline || t.Location != KSeriesLocation || t.DeviceID != 0 && t.DeviceID != posDeviceID {
		return time.Time{}, false
	}
	at = t.Ready
	if since := k.world.POSSince.Add(k.world.Delay); since.After(at) && t.Accepted.Before(k.world.POSSince) {
		at = since
	}
	return at, at.Before(t.Deadline)
}

// sweep carries out what the point of sale has got round to, and ends what has no time left. Called with the lock held.
func (k *KSeries) sweep() {
	now := k.engine.now()
	for _, t := range k.world.Tasks {
		if t.State != TaskWaiting {
			continue
		}
		at, ok := k.taken(t)
		switch {
		case ok && !now.Before(at):
			k.carryOut(t)
		case !now.Before(t.Deadline):
			k.fail(t, typeTimeout, reasonTimeout)
		}
	}
}

// untilNextTask is how long it takes until there is something to sweep. Called with the lock held.
func (k *KSeries) untilNextTask() time.Duration {
	wait := time.Hour
	now := k.engine.now()
	for _, t := range k.world.Tasks {
		if t.State != TaskWaiting {
			continue
		}
		at, ok := k.taken(t)
		if !ok {
			at = t.Deadline
		}
		wait = min(wait, max(at.Sub(now), time.Millisecond))
	}
	return wait
}

// carryOut has the point of sale do a task.
func (k *KSeries) carryOut(t *kTask) {
	if len(k.world.Fails) > 0 {
		scripted := k.world.Fails[0]
		k.world.Fails = k.world.Fails[1:]
		k.fail(t, scripted.Type, scripted.Reason)
		return
	}
	var kind, reason string
	if t.Kind == "payment" {
		kind, reason = k.applyPayment(t)
	} else {
		kind, reason = k.applyOrder(t)
	}
	if reason != "" {
		k.fail(t, kind, reason)
	}
}

func (k *KSeries) fail(t *kTask, kind, reason string) {
	t.State, t.ErrorType, t.Reason = TaskFailed, kind, reason
	k.aboutTask(t)
	k.notify()
}

// applyPayment puts a payment on its check, or tells why not. In which order it looks is a judgment.
func (k *KSeries) applyPayment(t *kTask) (kind, reason string) {
	c := k.world.check(t.Account)
	switch {
	case c == nil || c.Location != t.Location:
		return "ACCOUNT_NOT_FOUND", reasonAccount
	case !c.open():
		return "ACCOUNT_ALREADY_CLOSED", reasonClosed
	case t.StaffID != 0 && staffName(t.StaffID) == "":
		return "STAFF_NOT_FOUND", reasonStaff
	case methodName(t.Method) == "":
		return "PAYMENT_METHOD_NOT_FOUND", reasonMethod
	case t.Amount.GreaterThan(c.due()):
		return "OVERPAID", reasonOverpaid
	}
	t.State = TaskApplied
	k.world.Applied = append(k.world.Applied, KSeriesApplied{
		Time: k.engine.now().UTC(), Location: t.Location, Account: t.Account, Reference: t.Reference, Method: t.Method,
		Amount: t.Amount, Tip: t.Tip, StaffID: t.StaffID,
	})
	k.aboutTask(t)
	if k.world.Sending.ChecksToPayments {
		c.Followed = append(c.Followed, kFollower{t.Reference, t.Endpoint})
	}
	k.enter(c, KSeriesEntry{Reference: t.Reference, Method: t.Method, Amount: t.Amount})
	return "", ""
}

// SetPOS says what state the point of sale is in.
func (k *KSeries) SetPOS(state KSeriesPOS) {
	k.begin()
	defer k.mu.Unlock()
	if k.world.POS == state {
		return
	}
	ready := k.world.POS == POSOnline
	k.world.POS, k.world.POSSince = state, k.engine.now().UTC()
	if ready != (state == POSOnline) {
		k.aboutReadiness()
	}
	k.sweep()
	k.notify()
}

// POS is the state that the point of sale is in.
func (k *KSeries) POS() KSeriesPOS {
	k.begin()
	defer k.mu.Unlock()
	return k.world.POS
}

// SetDelay says how long the point of sale takes to carry out a task, from the next one on.
func (k *KSeries) SetDelay(d time.Duration) {
	k.begin()
	defer k.mu.Unlock()
	k.world.Delay = d
}

// ExpireTasks ends the time to live of all tasks that wait.
func (k *KSeries) ExpireTasks() {
	k.begin()
	defer k.mu.Unlock()
	for _, t := range k.world.Tasks {
		if t.State == TaskWaiting {
			t.Deadline = k.engine.now().UTC()
		}
	}
	k.sweep()
}

// FailNext has the point of sale fail the next n tasks that it takes, with one of the vendor's types, such as UPDATE_FAILED.
func (k *KSeries) FailNext(n int, errorType, reason string) {
	k.begin()
	defer k.mu.Unlock()
	k.world.Fails = slices.Repeat([]kFail{{errorType, orDefault(reason, errorType)}}, n)
}

// Tasks returns all tasks, in the order in which they were accepted.
func (k *KSeries) Tasks() []KSeriesTask {
	k.begin()
	defer k.mu.Unlock()
	list := []KSeriesTask{}
	for _, t := range k.world.Tasks {
		list = append(list, t.KSeriesTask)
	}
	return list
}

// Applied returns the payments of the API that were applied to checks, in order. It is the judge of "applied once".
func (k *KSeries) Applied() []KSeriesApplied {
	k.begin()
	defer k.mu.Unlock()
	return slices.Clone(k.world.Applied)
}

// kOrder is the rest of an order.
type kOrder struct {
	Local  bool
	Table  int
	Guests int
	Items  []kItem
	Paid   *decimal.Decimal // with the tip
}

// kItem is an item of an order.
type kItem struct {
	SKU      string
	Quantity int
	Name     string
	Price    *decimal.Decimal
	SubItems []kItem
}

// kItemBody is an item as it is sent.
type kItemBody struct {
	Quantity        *int32          `json:"quantity"`
	SKU             *string         `json:"sku"`
	Name            string          `json:"customItemName"`
	Price           json.RawMessage `json:"customItemPrice"`
	DiscountAmount  json.RawMessage `json:"discountAmountOverride"`
	DiscountPercent json.RawMessage `json:"discountPercentOverride"`
	Modifiers       []struct {
		ID string `json:"modifierId"`
	} `json:"modifiers"`
	DiscountCode string      `json:"discountCode"`
	Course       *int32      `json:"course"`
	SubItems     []kItemBody `json:"subItems"`
}

// kOrderBody is the body of an order.
type kOrderBody struct {
	Location  *int64  `json:"businessLocationId"`
	Reference *string `json:"thirdPartyReference"`
	Endpoint  *string `json:"endpointId"`
	Customer  *struct {
		FirstName         *string `json:"firstName"`
		LastName          string  `json:"lastName"`
		Reference         string  `json:"thirdPartyReference"`
		Email             string  `json:"email"`
		Phone             string  `json:"contactNumberAsE164"`
		Notes             string  `json:"notes"`
		Salutation        string  `json:"salutation"`
		SendReceipts      *bool   `json:"sendEmailReceipts"`
		EmailNotification string  `json:"emailNotification"`
	} `json:"customerInfo"`
	Note        string `json:"orderNote"`
	TTL         *int32 `json:"maxTimeToAttemptOrderDeliverToPos"`
	StaffID     int64  `json:"staffId"`
	Profile     string `json:"accountProfileCode"`
	ScheduledAt string `json:"scheduledTimeForOrderAsIso8601"`
	Payment     *struct {
		Method string          `json:"paymentMethod"`
		Amount json.RawMessage `json:"paymentAmount"`
		Tip    json.RawMessage `json:"tipAmount"`
	} `json:"payment"`
	CollectionCode string      `json:"collectionCode"`
	CollectionAt   string      `json:"orderCollectionTimeAsIso8601"`
	Items          []kItemBody `json:"items"`
	Printer        int64       `json:"targetPrinterProfileId"`
	// Local orders alone.
	Account string `json:"accountIdentifier"`
	Table   string `json:"tableNumber"`
	Guests  int32  `json:"clientCount"`
	// Orders to go alone.
	Address *struct {
		Line1 string `json:"addressLine1"`
		Line2 string `json:"addressLine2"`
		Zip   string `json:"zip"`
		City  string `json:"city"`
	} `json:"deliveryAddress"`
}

// order accepts an order for delivery to the point of sale.
func (k *KSeries) order(c *kCall, local bool) (any, error) {
	var body kOrderBody
	if err := c.read(&body); err != nil {
		return nil, err
	}
	object := "toGoOrder"
	if local {
		object = "localOrder"
	}
	var v kChecker
	if !v.null(body.Reference == nil, "thirdPartyReference", "java.lang.String") {
		v.size(*body.Reference, 1, longestOrderTaskRef, "thirdPartyReference")
	}
	v.null(body.Endpoint == nil, "endpointId", "java.lang.String")
	v.null(body.Location == nil, "businessLocationId", "java.lang.Long")
	if !v.null(body.Customer == nil, "customerInfo", "CustomerInfo") && !v.null(body.Customer.FirstName == nil, "customerInfo.firstName", "java.lang.String") {
		v.size(*body.Customer.FirstName, 1, 128, "customerInfo.firstName")
	}
	v.size(body.CollectionCode, 0, 8, "collectionCode")
	v.ttl(body.TTL, "maxTimeToAttemptOrderDeliverToPos")
	o := &kOrder{Local: local, Guests: int(body.Guests), Items: v.items(body.Items, "items", local, true)}
	t := &kTask{StaffID: body.StaffID, Order: o}
	if body.Payment != nil {
		if !v.null(len(body.Payment.Amount) == 0, "payment.paymentAmount", "java.math.BigDecimal") {
			o.Paid = new(v.amount(body.Payment.Amount, "payment.paymentAmount"))
		}
		t.Method, t.Tip = orDefault(body.Payment.Method, methodDefault), v.amount(body.Payment.Tip, "payment.tipAmount")
	}
	if body.Table != "" {
		if _, err := fmt.Sscanf(body.Table, "%d", &o.Table); err != nil {
			v.wrong = append(v.wrong, kWrong{"Pattern", "tableNumber", "java.lang.String", "must be a number"}) // judgment
		}
	}
	scheduled := v.time(body.ScheduledAt, "scheduledTimeForOrderAsIso8601")
	v.time(body.CollectionAt, "orderCollectionTimeAsIso8601")
	if err := kInvalid(object, v.wrong); err != nil {
		return nil, err
	}
	k.checkOrder(c, &body, local)
	t.KSeriesTask = KSeriesTask{Kind: "order", Reference: *body.Reference, Endpoint: *body.Endpoint, Location: *body.Location, Account: body.Account}
	if k.used(t) {
		return nil, &kError{status: http.StatusConflict, message: "reference has already been used " + t.Reference, short: true}
	}
	if err := k.accept(t, body.TTL, scheduled); err != nil {
		return nil, err
	}
	return map[string]string{"status": "ok"}, nil
}

// checkOrder looks for what the documentation forbids and no answer to is known of.
func (k *KSeries) checkOrder(c *kCall, body *kOrderBody, local bool) {
	if local && body.Address != nil {
		c.violate("an order at a table has no deliveryAddress")
	}
	if !local && (body.Account != "" || body.Table != "" || body.Guests != 0) {
		c.violate("an order to go has no accountIdentifier, tableNumber or clientCount")
	}
	if body.Customer.Email == "" && body.Customer.Reference != "" {
		c.violate("customerInfo.thirdPartyReference must be empty without an email")
	}
}

// time reads a time that must be in the future, which a simulated clock may see in another way: it is not checked.
func (v *kChecker) time(text, field string) time.Time {
	if text == "" {
		return time.Time{}
	}
	for _, layout := range []string{time.RFC3339Nano, kTime} {
		if at, err := time.Parse(layout, text); err == nil {
			return at
		}
	}
	v.wrong = append(v.wrong, kWrong{"typeMismatch", field, "java.time.ZonedDateTime", "must be a time in ISO 8601"})
	return time.Time{}
}

// items reads the items of an order.
func (v *kChecker) items(list []kItemBody, field string, local, top bool) []kItem {
	var items []kItem
	for i, one := range list {
		at := fmt.Sprintf("%s[%d]", field, i)
		item := kItem{Name: one.Name, SubItems: v.items(one.SubItems, at+".subItems", local, false)}
		if !v.null(one.SKU == nil, at+".sku", "java.lang.String") {
			v.size(*one.SKU, 1, longestOrderSKU, at+".sku")
			item.SKU = *one.SKU
		}
		if !v.null(one.Quantity == nil, at+".quantity", "java.lang.Integer") {
			item.Quantity = int(*one.Quantity)
		}
		if len(one.Price) > 0 {
			item.Price = new(v.amount(one.Price, at+".customItemPrice"))
		}
		v.amount(one.DiscountAmount, at+".discountAmountOverride")
		v.amount(one.DiscountPercent, at+".discountPercentOverride")
		discounts := len(one.DiscountAmount) > 0 || len(one.DiscountPercent) > 0
		switch {
		case len(one.DiscountAmount) > 0 && len(one.DiscountPercent) > 0, discounts && one.DiscountCode == "",
			one.Course != nil && (!local || *one.Course < 0), !top && (discounts || one.DiscountCode != "" || one.Course != nil):
			v.wrong = append(v.wrong, kWrong{"AssertTrue", at, "Item", "has a discount or a course that it can't have"}) // judgment
		}
		items = append(items, item)
	}
	return items
}

// applyOrder makes a check of an order, or adds to the one that it names. Discounts of orders are not simulated.
func (k *KSeries) applyOrder(t *kTask) (kind, reason string) {
	o := t.Order
	c := k.world.check(t.Account)
	switch {
	case t.Account != "" && (c == nil || c.Location != t.Location):
		return "ACCOUNT_NOT_FOUND", reasonAccount
	case c != nil && !c.open():
		return "ACCOUNT_ALREADY_CLOSED", reasonClosed
	case t.StaffID != 0 && staffName(t.StaffID) == "":
		return "STAFF_NOT_FOUND", reasonStaff
	case o.Paid != nil && methodName(t.Method) == "":
		return "PAYMENT_METHOD_NOT_FOUND", reasonMethod
	}
	var lines []kLine
	if reason := k.orderLines(o.Items, &lines); reason != "" {
		return "ITEM_NOT_FOUND", reason
	}
	total := decimal.Decimal{}
	for _, l := range lines {
		total = total.Add(l.amount())
	}
	if c != nil {
		total = total.Add(c.due())
	}
	if o.Paid != nil && o.Paid.Sub(t.Tip).GreaterThan(total) {
		return "OVERPAID", reasonOverpaid
	}
	if c == nil {
		c = k.newCheck(t.Location, o.Table, max(o.Guests, 1), orDefault(t.StaffID, 42), orDefault(staffName(t.StaffID), "Online Order"))
		t.Account = c.Account
	}
	c.Lines = append(c.Lines, lines...)
	c.Followed = append(c.Followed, kFollower{t.Reference, t.Endpoint})
	t.State = TaskApplied
	k.aboutTask(t)
	if o.Paid != nil {
		// The amount of an order has the tip in it.
		k.enter(c, KSeriesEntry{Reference: t.Reference, Method: t.Method, Amount: o.Paid.Sub(t.Tip)})
	}
	k.notify()
	return "", ""
}

// orderLines makes lines of items, or tells which one there is not. Sub-items stand beside their items.
func (k *KSeries) orderLines(items []kItem, lines *[]kLine) (reason string) {
	for _, i := range items {
		p, ok := k.product(i.SKU)
		if !ok {
			return "Could not add item " + i.SKU + " (not found)" // as seen in the field
		}
		l := kLine{
			ID: k.id(), UUID: newID(), SKU: p.SKU, Name: orDefault(strings.TrimSpace(i.Name), p.Name), Price: p.Price, Quantity: i.Quantity,
			Time: k.engine.now().UTC(),
		}
		if i.Price != nil {
			l.Price = *i.Price
		}
		*lines = append(*lines, l)
		if reason := k.orderLines(i.SubItems, lines); reason != "" {
			return reason
		}
	}
	return ""
}
