package testserver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// kCheck is an account: what a table has ordered, and what was paid of it.
type kCheck struct {
	ID       int64  // the older name of the account
	Account  string // such as A78094.1
	UUID     string
	Name     string
	Location int64
	Table    int // 0 for none
	Guests   int
	StaffID  int64
	Staff    string
	Opened   time.Time
	Closed   time.Time // zero while it is open
	Lines    []kLine
	Entries  []KSeriesEntry
	Followed []kFollower
}

// kFollower is who is told of what happens to a check, and under which reference.
type kFollower struct{ Reference, Endpoint string }

// kLine is something that was ordered.
type kLine struct {
	ID       int64
	UUID     string
	SKU      string
	Name     string
	Price    decimal.Decimal // of one, with tax
	Quantity int
	Discount decimal.Decimal
	Time     time.Time
}

func (l kLine) amount() decimal.Decimal {
	return l.Price.Mul(decimal.NewFromInt(int64(l.Quantity))).Sub(l.Discount)
}

// KSeriesEntry is a payment on a check.
type KSeriesEntry struct {
	Reference string          `json:"reference"` // "" for one that was made at the point of sale
	Method    string          `json:"method"`
	Amount    decimal.Decimal `json:"amount"` // without the tip, which is a judgment
	Active    bool            `json:"active"`
	Time      time.Time       `json:"time"`
}

// KSeriesLine is a line of a check.
type KSeriesLine struct {
	SKU      string          `json:"sku"`
	Name     string          `json:"name"`
	Quantity int             `json:"quantity"`
	Amount   decimal.Decimal `json:"amount"`
}

// KSeriesCheck is what can be seen of a check at the point of sale.
type KSeriesCheck struct {
	Account  string          `json:"account"`
	Location int64           `json:"location"`
	Table    int             `json:"table"` // 0 for none
	Name     string          `json:"name"`
	Total    decimal.Decimal `json:"total"`
	Paid     decimal.Decimal `json:"paid"`
	Closed   bool            `json:"closed"`
	Opened   time.Time       `json:"opened"`
	Lines    []KSeriesLine   `json:"lines"`
	Entries  []KSeriesEntry  `json:"entries"`
}

func (c *kCheck) total() decimal.Decimal {
	sum := decimal.Decimal{}
	for _, l := range c.Lines {
		sum = sum.Add(l.amount())
	}
	return sum
}

func (c *kCheck) paid() decimal.Decimal {
	sum := decimal.Decimal{}
	for _, e := range c.Entries {
		if e.Active {
			sum = sum.Add(e.Amount)
		}
	}
	return sum
}

func (c *kCheck) due() decimal.Decimal { return c.total().Sub(c.paid()) }

func (c *kCheck) open() bool { return c.Closed.IsZero() }

// snapshot is what can be seen of a check.
func (c *kCheck) snapshot() KSeriesCheck {
	s := KSeriesCheck{
		Account: c.Account, Location: c.Location, Table: c.Table, Name: c.Name, Total: c.total(), Paid: c.paid(), Closed: !c.open(),
		Opened: c.Opened, Lines: []KSeriesLine{}, Entries: append([]KSeriesEntry{}, c.Entries...),
	}
	for _, l := range c.Lines {
		s.Lines = append(s.Lines, KSeriesLine{SKU: l.SKU, Name: l.Name, Quantity: l.Quantity, Amount: l.amount()})
	}
	return s
}

// checkRoutes lists the operations that read checks.
func (k *KSeries) checkRoutes() []kRoute {
	at := []string{"businessLocationId"}
	return []kRoute{
		{http.MethodGet, "o/op/1/order/table/getCheck", scopeOrders, at, k.openChecks},
		{http.MethodGet, "o/op/1/order/table/{table}/getCheck", scopeOrders, at, k.checkOfTable},
		{http.MethodGet, "o/op/1/order/accounts/{account}", scopeOrders, at, k.checkOfAccount},
	}
}

func (k *KSeries) openChecks(c *kCall) (any, error) {
	location, err := c.location()
	if err != nil {
		return nil, err
	}
	list := []any{}
	for _, one := range k.world.Checks {
		if one.open() && one.Location == location {
			list = append(list, k.document(one))
		}
	}
	return list, nil
}

// checkOfTable answers with the oldest open check of a table. The text of the 404 is a judgment.
func (k *KSeries) checkOfTable(c *kCall) (any, error) {
	location, err := c.location()
	if err != nil {
		return nil, err
	}
	number, err := c.number("table")
	if err != nil {
		return nil, err
	}
	for _, one := range k.world.Checks {
		if one.open() && one.Location == location && int64(one.Table) == number {
			return k.document(one), nil
		}
	}
	return nil, kRefuse(http.StatusNotFound, "account not found for table %d and BL %d", number, location)
}

// knownAccount reports whether an account identifier looks like all of the vendor's examples: A78094.48.
func knownAccount(text string) bool {
	pos, number, ok := strings.Cut(strings.TrimPrefix(text, "A"), ".")
	return ok && text[0] == 'A' && digits(pos) && digits(number)
}

func (k *KSeries) checkOfAccount(c *kCall) (any, error) {
	location, err := c.location()
	if err != nil {
		return nil, err
	}
	if !knownAccount(c.vars["account"]) {
		return nil, kRefuse(http.StatusBadRequest, "Invalid account identifier")
	}
	one := k.world.check(c.vars["account"])
	if one == nil || one.Location != location || k.opts.ForgetClosed && !one.open() {
		return nil, kRefuse(http.StatusNotFound, "account not found for BL %d", location)
	}
	return k.document(one), nil
}

// check finds a check by its account identifier, nil for none.
func (w *kWorld) check(account string) *kCheck {
	for _, c := range w.Checks {
		if c.Account == account {
			return c
		}
	}
	return nil
}

// document is a check as the API sends it: amounts are numbers, and times are written in two ways.
func (k *KSeries) document(c *kCheck) map[string]any {
	return k.account(c, true, true, time.RFC3339, func(d decimal.Decimal) any { return json.Number(d.StringFixed(2)) })
}

// account is a check with or without what was sold and paid. What a list that was not asked for looks like is a judgment: it
// is empty.
func (k *KSeries) account(c *kCheck, sales, payments bool, layout string, money func(decimal.Decimal) any) map[string]any {
	lines, entries := []any{}, []any{}
	for _, l := range c.Lines {
		if !sales {
			break
		}
		lines = append(lines, map[string]any{
			"id": l.ID, "uuid": l.UUID, "itemName": l.Name, "itemSku": l.SKU, "unitAmount": money(l.Price), "quantity": json.Number(strconv.Itoa(l.Quantity) + ".0"),
			"modifiers": []any{}, "amountWithTax": money(l.amount()), "amountLessTax": money(l.amount().DivRound(decimal.New(110, -2), 2)),
			"discountedAmount": money(l.Discount), "grossUnitAmount": money(l.Price), "timeOfTransactionUtc": k.moment(l.Time),
			"active": true, "subLineItems": []any{}, "taxIncluded": true,
		})
	}
	for _, e := range c.Entries {
		if !payments {
			break
		}
		entry := map[string]any{
			"paymentMethodDescription": methodName(e.Method), "paymentMethodCode": e.Method, "amountPaid": money(e.Amount),
			"paymentDate": k.moment(e.Time), "active": e.Active,
		}
		if e.Reference != "" {
			entry["externalReference"] = e.Reference
		}
		entries = append(entries, entry)
	}
	document := map[string]any{
		"clientCount": c.Guests, "uuid": c.UUID, "openDate": c.Opened.UTC().Format(layout), "paidAmount": money(c.paid()),
		"serviceCharge": money(decimal.Decimal{}), "name": c.Name, "currentAmount": money(c.total()), "staffName": c.Staff, "staffId": c.StaffID,
		"salesEntries": lines, "paymentEntries": entries, "ikaccountId": c.Account, "posId": posID, "deviceId": posDeviceID,
	}
	if c.Table != 0 {
		document["tableNumber"] = c.Table
	}
	if !c.open() {
		document["closeDate"] = c.Closed.UTC().Format(layout)
	}
	return document
}

// newCheck opens a check. Called with the lock held.
func (k *KSeries) newCheck(location int64, table, guests int, staffID int64, staff string) *kCheck {
	k.world.Accounts++
	c := &kCheck{
		ID: k.id(), Account: "A78094." + strconv.Itoa(k.world.Accounts), UUID: newID(), Location: location, Table: table, Guests: guests,
		StaffID: staffID, Staff: staff, Opened: k.engine.now().UTC(),
	}
	c.Name = fmt.Sprintf("Order %d", k.world.Accounts)
	if table != 0 {
		c.Name = fmt.Sprintf("Table %d", table)
	}
	k.world.Checks = append(k.world.Checks, c)
	return c
}

// add puts something on a check. Called with the lock held.
func (k *KSeries) add(c *kCheck, p KSeriesProduct, quantity int) {
	c.Lines = append(c.Lines, kLine{
		ID: k.id(), UUID: newID(), SKU: p.SKU, Name: p.Name, Price: p.Price, Quantity: quantity, Time: k.engine.now().UTC(),
	})
}

// enter puts a payment on a check, and closes it if nothing is due any more. Called with the lock held.
func (k *KSeries) enter(c *kCheck, e KSeriesEntry) {
	e.Active, e.Time = true, k.engine.now().UTC()
	c.Entries = append(c.Entries, e)
	k.aboutCheck(c, "CHECK_WAS_UPDATED")
	if !c.due().IsPositive() {
		c.Closed = e.Time
		k.aboutCheck(c, "CLOSED")
	}
	k.notify()
}

// OpenCheck opens a check at a table of [KSeriesLocation] with one of each product.
func (k *KSeries) OpenCheck(table int, skus ...string) (KSeriesCheck, error) {
	k.begin()
	defer k.mu.Unlock()
	if !knownTable(table) {
		return KSeriesCheck{}, refuse(http.StatusNotFound, "no table %d", table)
	}
	for _, sku := range skus {
		if _, ok := k.product(sku); !ok {
			return KSeriesCheck{}, refuse(http.StatusNotFound, "no product %q", sku)
		}
	}
	c := k.newCheck(KSeriesLocation, table, 2, 42, staffName(42))
	for _, sku := range skus {
		p, _ := k.product(sku)
		k.add(c, p, 1)
	}
	k.notify()
	return c.snapshot(), nil
}

// openCheck finds an open check for a person at the point of sale. Called with the lock held.
func (k *KSeries) openCheck(account string) (*kCheck, error) {
	c := k.world.check(account)
	switch {
	case c == nil:
		return nil, refuse(http.StatusNotFound, "no check %q", account)
	case !c.open():
		return nil, refuse(http.StatusConflict, "the check %s is closed", account)
	}
	return c, nil
}

// AddItem puts a product on an open check.
func (k *KSeries) AddItem(account, sku string, quantity int) (KSeriesCheck, error) {
	k.begin()
	defer k.mu.Unlock()
	c, err := k.openCheck(account)
	if err != nil {
		return KSeriesCheck{}, err
	}
	p, ok := k.product(sku)
	if !ok || quantity < 1 {
		return KSeriesCheck{}, refuse(http.StatusBadRequest, "no product %q, or quantity %d is not above zero", sku, quantity)
	}
	k.add(c, p, quantity)
	k.aboutCheck(c, "CHECK_WAS_UPDATED")
	k.notify()
	return c.snapshot(), nil
}

// PayAtPOS takes a payment at the point of sale, of which no API is told.
func (k *KSeries) PayAtPOS(account, method string, amount decimal.Decimal) (KSeriesCheck, error) {
	k.begin()
	defer k.mu.Unlock()
	c, err := k.openCheck(account)
	if err != nil {
		return KSeriesCheck{}, err
	}
	if methodName(method) == "" || !amount.IsPositive() || amount.GreaterThan(c.due()) {
		return KSeriesCheck{}, refuse(http.StatusBadRequest, "%s by %q can't be paid: %s is due", amount, method, c.due())
	}
	k.enter(c, KSeriesEntry{Method: method, Amount: amount})
	return c.snapshot(), nil
}

// SetEntryActive says whether a payment on a check counts: at the point of sale one can be taken back. A check that is closed
// opens again.
func (k *KSeries) SetEntryActive(account, reference string, active bool) error {
	k.begin()
	defer k.mu.Unlock()
	c := k.world.check(account)
	if c == nil {
		return refuse(http.StatusNotFound, "no check %q", account)
	}
	i := slices.IndexFunc(c.Entries, func(e KSeriesEntry) bool { return e.Reference == reference })
	if i < 0 {
		return refuse(http.StatusNotFound, "the check %s has no payment %q", account, reference)
	}
	c.Entries[i].Active = active
	c.Closed = time.Time{}
	if !c.due().IsPositive() {
		c.Closed = k.engine.now().UTC()
	}
	k.aboutCheck(c, "CHECK_WAS_UPDATED")
	k.notify()
	return nil
}

// Checks returns all checks, open and closed, in the order in which they were opened.
func (k *KSeries) Checks() []KSeriesCheck {
	k.begin()
	defer k.mu.Unlock()
	list := []KSeriesCheck{}
	for _, c := range k.world.Checks {
		list = append(list, c.snapshot())
	}
	return list
}

// Check returns the check of an account identifier.
func (k *KSeries) Check(account string) (KSeriesCheck, bool) {
	k.begin()
	defer k.mu.Unlock()
	if c := k.world.check(account); c != nil {
		return c.snapshot(), true
	}
	return KSeriesCheck{}, false
}
