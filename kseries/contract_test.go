package kseries_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/clienttest"
	"github.com/tillroute/tillroute/internal/testserver"
	"github.com/tillroute/tillroute/kseries"
)

// The tests in this file run against the simulated K-Series, which knows nothing of this package, checks requests by itself and
// keeps its own books.

// patience is how long a test waits for what should happen: a machine may be slow, or stand still for some seconds.
const patience = 2 * time.Minute

// venue is a restaurant, an app that is connected to it, and the app's receiver of notifications.
type venue struct {
	*testserver.Systems

	t      *testing.T
	client *kseries.Client
	got    chan kseries.Notification
}

func newVenue(t *testing.T, o testserver.KSeriesOptions) *venue {
	t.Helper()
	sys := testserver.Start(t, testserver.Options{KSeries: o})
	v := &venue{Systems: sys, t: t, got: make(chan kseries.Notification, 100)}
	v.client = v.with(nil)
	handler, err := kseries.NewNotificationHandler(kseries.NotificationConfig{
		Credentials: []kseries.Credential{{Username: "till", Password: webhookPassword}},
		Deliveries:  newTokens(),
		Handle:      func(_ context.Context, n kseries.Notification) error { v.got <- n; return nil },
	})
	require.NoError(t, err)
	receiver := httptest.NewServer(handler)
	t.Cleanup(receiver.Close)
	_, err = v.client.Webhooks.Create(t.Context(), kseries.Endpoint{
		ID: "app", URL: receiver.URL + "/notifications", Username: "till", Password: webhookPassword,
		ProvideAccount: true, ExpandTransactions: true, ExpandPayments: true,
		Subscriptions: []kseries.Subscription{kseries.ItemRestrictions(), kseries.OrderReadiness()},
	})
	require.NoError(t, err)
	return v
}

func transport(t *testing.T) tillroute.HTTPOptions {
	t.Helper()
	own := &http.Transport{}
	t.Cleanup(own.CloseIdleConnections)
	return tillroute.HTTPOptions{Transport: own}
}

// with returns a client with a token of its own.
func (v *venue) with(change func(*kseries.Config)) *kseries.Client {
	v.t.Helper()
	config := kseries.Config{
		AccessToken: tillroute.Secret(v.KSeries.Token()), BaseURL: v.Describe().KSeries.BaseURL, HTTP: transport(v.t),
	}
	if change != nil {
		change(&config)
	}
	client, err := kseries.New(config)
	require.NoError(v.t, err)
	return client
}

// clean fails the test if the simulated system found anything to complain about.
func (v *venue) clean() {
	v.t.Helper()
	require.Empty(v.t, v.Violations())
}

// table opens a check of 21.40 at a table.
func (v *venue) table(number int) testserver.KSeriesCheck {
	v.t.Helper()
	check, err := v.KSeries.OpenCheck(number, "20001", "20002")
	require.NoError(v.t, err)
	return check
}

// paymentOn is one of that amount for a check.
func paymentOn(check testserver.KSeriesCheck, reference, amount string) kseries.Payment {
	return kseries.Payment{
		BusinessLocationID: location, AccountIdentifier: check.Account, Reference: reference, EndpointID: "app", Amount: d(amount),
		Method: "OOPAYMENT", TTL: time.Minute,
	}
}

// apply submits a payment that must be taken.
func (v *venue) apply(p kseries.Payment) kseries.Submission {
	v.t.Helper()
	s, err := v.client.Payments.Apply(v.t.Context(), p)
	require.NoError(v.t, err)
	return s
}

// next is the next notification.
func (v *venue) next() kseries.Notification {
	v.t.Helper()
	select {
	case n := <-v.got:
		return n
	case <-time.After(patience):
		require.Fail(v.t, "no notification came")
		return kseries.Notification{}
	}
}

// settled waits until so many notifications are settled, and returns how the receiver was told of each.
func (v *venue) settled(n int) []testserver.KSeriesNotification {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.t.Context(), patience)
	defer cancel()
	list, err := v.KSeries.WaitNotifications(ctx, n)
	require.NoError(v.t, err)
	return list
}

func TestContractNeighbours(t *testing.T) {
	v := newVenue(t, testserver.KSeriesOptions{})
	ctx, c := t.Context(), v.client
	businesses, err := c.Businesses.List(ctx)
	require.NoError(t, err)
	require.Equal(t, int64(location), businesses[0].Locations[0].ID)
	other := businesses[0].Locations[1].ID

	plans, err := c.Tables.FloorPlans(ctx, location)
	require.NoError(t, err)
	require.Equal(t, "Terrace", plans[0].Name)
	tables, err := c.Tables.List(ctx, location, plans[0].ID)
	require.NoError(t, err)
	require.Equal(t, plans[0].Tables, tables)
	_, err = c.Tables.FloorPlans(ctx, other)
	require.ErrorIs(t, err, tillroute.ErrNotFound)

	menus, err := c.Menus.List(ctx, location)
	require.NoError(t, err)
	menu, err := c.Menus.Get(ctx, location, menus[0].ID, kseries.MenuOptions{ProfileCode: "takeaway", RichContent: true})
	require.NoError(t, err)
	require.Equal(t, "Burger", menu.Groups[0].Entries[1].Name)
	require.Equal(t, "14.9", menu.Groups[0].Entries[1].Price.Decimal.String())
	modifiers, err := c.Menus.Modifiers(ctx, location)
	require.NoError(t, err)
	require.Equal(t, "Rare", modifiers[0].Modifiers[1].Name)
	discounts, err := c.Menus.Discounts(ctx, location)
	require.NoError(t, err)
	require.Len(t, discounts, 2)

	profiles, err := c.Profiles.List(ctx, location)
	require.NoError(t, err)
	profile, err := c.Profiles.Get(ctx, location, profiles[0].Code)
	require.NoError(t, err)
	require.Equal(t, profiles[0], profile)
	_, err = c.Profiles.Get(ctx, location, "no/such")
	require.ErrorIs(t, err, tillroute.ErrNotFound)

	finance, err := c.Finance.Businesses(ctx, 0)
	require.NoError(t, err)
	require.Equal(t, "EUR", finance[0].Currency)
	require.Equal(t, "Europe/Vilnius", finance[0].Locations[0].TimeZone)
	finance, err = c.Finance.Businesses(ctx, 1)
	require.NoError(t, err)
	require.Empty(t, finance)
	methods, err := c.Finance.PaymentMethods(ctx, location)
	require.NoError(t, err)
	require.Len(t, methods, 4)
	methods, err = c.Finance.PaymentMethods(ctx, other)
	require.NoError(t, err)
	require.Empty(t, methods)

	var names []string
	for person, err := range c.Staff.All(ctx, location, kseries.StaffOptions{PageSize: 1, Active: new(true)}) {
		require.NoError(t, err)
		names = append(names, person.FirstName)
	}
	require.Equal(t, []string{"Jane", "Sam"}, names)
	person, err := c.Staff.Get(ctx, location, 44)
	require.NoError(t, err)
	require.False(t, person.Active)

	require.NoError(t, c.Messages.Print(ctx, location, "Table 3 wants to pay", true))
	require.Equal(t, "Table 3 wants to pay", v.KSeries.Messages()[0].Text)
	v.clean()
}

func TestContractChecks(t *testing.T) {
	v := newVenue(t, testserver.KSeriesOptions{})
	ctx := t.Context()
	empty, err := v.client.Checks.List(ctx, location)
	require.NoError(t, err)
	require.Empty(t, empty)
	first, second := v.table(3), v.table(3)
	all, err := v.client.Checks.List(ctx, location)
	require.NoError(t, err)
	require.Len(t, all, 2)
	check, err := v.client.Checks.ByTable(ctx, location, 3)
	require.NoError(t, err)
	require.Equal(t, first.Account, check.AccountIdentifier, "the oldest")
	due, ok := check.Due()
	require.True(t, ok)
	require.Equal(t, "21.4", due.String())
	require.Equal(t, []any{"Soup of the day", "6.5", int64(3), "Jane Smith"},
		[]any{check.Sales[0].Name, check.Sales[0].AmountWithTax.String(), check.TableNumber, check.StaffName})
	require.Equal(t, "5.91", check.Sales[0].AmountLessTax.String())
	require.WithinDuration(t, time.Now(), check.OpenedAt, time.Minute)
	check, err = v.client.Checks.Get(ctx, location, second.Account)
	require.NoError(t, err)
	require.Equal(t, second.Account, check.AccountIdentifier)

	_, err = v.client.Checks.ByTable(ctx, location, 4)
	require.ErrorIs(t, err, tillroute.ErrNotFound)
	_, err = v.client.Checks.Get(ctx, location, "A1.999")
	require.ErrorIs(t, err, tillroute.ErrNotFound)
	require.ErrorContains(t, err, "account not found for BL 45454565682155")
	_, err = v.client.Checks.Get(ctx, location, "-1")
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	require.ErrorContains(t, err, "Invalid account identifier")
	_, err = v.client.Checks.List(ctx, 1)
	require.ErrorIs(t, err, tillroute.ErrForbidden)
	narrow := v.with(func(c *kseries.Config) { c.AccessToken = tillroute.Secret(v.KSeries.Token("financial-api")) })
	_, err = narrow.Checks.List(ctx, location)
	require.ErrorContains(t, err, "orders-api")
	v.clean()
}

func TestContractPayments(t *testing.T) {
	v := newVenue(t, testserver.KSeriesOptions{})
	ctx := t.Context()
	check := v.table(3)
	p := paymentOn(check, "whole-1", "21.40")
	p.Tip, p.StaffID, p.DeviceID = d("2.50"), 42, 12345678980

	part := paymentOn(check, "part-1", "10")
	require.Equal(t, kseries.TakenNow, v.apply(part).Taken)
	n := v.next()
	require.Equal(t, []any{kseries.AboutPayment, kseries.Success, "part-1", check.Account, int64(location)},
		[]any{n.Type, n.Status, n.Reference, n.AccountIdentifier, n.BusinessLocationID})
	open, err := v.client.Checks.ByTable(ctx, location, 3)
	require.NoError(t, err)
	entry, ok := open.Payment("part-1")
	require.True(t, ok)
	require.Equal(t, []any{"OOPAYMENT", "10", false}, []any{entry.Method, entry.Amount.Decimal.String(), entry.Inactive})

	v.apply(p)
	n = v.next()
	require.Equal(t, []any{kseries.Failure, kseries.Overpaid, "whole-1"}, []any{n.Status, n.AccountError, n.Reference})
	require.Contains(t, n.Reason, "greater than the amount due")
	_, err = v.client.Payments.Apply(ctx, p)
	require.ErrorIs(t, err, kseries.ErrReferenceUsed, "the next try needs a new reference")
	require.ErrorIs(t, err, tillroute.ErrConflict)

	p.Reference, p.Amount = "rest-1", d("11.40")
	v.apply(p)
	require.Equal(t, kseries.Success, v.next().Status)
	_, err = v.client.Checks.ByTable(ctx, location, 3)
	require.ErrorIs(t, err, tillroute.ErrNotFound, "it is closed")
	closed, err := v.client.Checks.Get(ctx, location, check.Account)
	require.NoError(t, err)
	require.False(t, closed.ClosedAt.IsZero())
	require.Len(t, closed.Payments, 2)

	applied := v.KSeries.Applied()
	require.Len(t, applied, 2)
	require.Equal(t, []string{"rest-1", "11.4", "2.5"}, []string{applied[1].Reference, applied[1].Amount.String(), applied[1].Tip.String()})
	v.clean()
}

func TestContractPaymentsThatFail(t *testing.T) {
	v := newVenue(t, testserver.KSeriesOptions{})
	check, closed := v.table(1), v.table(2)
	_, err := v.KSeries.PayAtPOS(closed.Account, "CASH", d("21.40"))
	require.NoError(t, err)
	for why, p := range map[kseries.AccountError]kseries.Payment{
		kseries.AccountNotFound:       paymentOn(testserver.KSeriesCheck{Account: "A78094.99"}, "r1", "5"),
		kseries.AccountAlreadyClosed:  paymentOn(closed, "r2", "5"),
		kseries.PaymentMethodNotFound: {Method: "BEADS"},
		kseries.StaffNotFound:         {StaffID: 44},
	} {
		if p.Reference == "" {
			method, staff := p.Method, p.StaffID
			p = paymentOn(check, "r-"+string(why), "5")
			p.Method, p.StaffID = method, staff
		}
		v.apply(p)
		n := v.next()
		require.Equal(t, []any{kseries.Failure, why, p.Reference}, []any{n.Status, n.AccountError, n.Reference})
		require.NotEmpty(t, n.Reason)
	}
	v.KSeries.FailNext(1, "UPDATE_FAILED", "update error:  An error occurred while connecting to iPad4 (599621)")
	v.apply(paymentOn(check, "r5", "5"))
	require.Equal(t, kseries.UpdateFailed, v.next().AccountError)
	require.Empty(t, v.KSeries.Applied())

	v.KSeries.SetNotify(testserver.KSeriesNotify{Bare: true, NoErrors: true, SchemaNames: true})
	v.apply(paymentOn(check, "r6", "500"))
	n := v.next()
	require.Equal(t, []any{kseries.NotificationType(""), kseries.Failure, kseries.AccountError(""), "r6", int64(0)},
		[]any{n.Type, n.Status, n.AccountError, n.Reference, n.BusinessLocationID})
	require.NotEmpty(t, n.Reason)
	v.apply(paymentOn(check, "r7", "5"))
	n = v.next()
	require.Equal(t, []any{kseries.Success, check.Account}, []any{n.Status, n.AccountIdentifier})
	require.NotEmpty(t, n.AccountID)
	v.clean()
}

func TestContractTimeToLive(t *testing.T) {
	v := newVenue(t, testserver.KSeriesOptions{})
	check := v.table(1)
	for i, state := range []testserver.KSeriesPOS{testserver.POSOffline, testserver.POSBackground} {
		v.KSeries.SetPOS(state)
		reference := "ttl-" + string(state)
		before := time.Now()
		submitted := v.apply(paymentOn(check, reference, "5"))
		after := time.Now()
		require.WithinRange(t, submitted.Until, before.Add(time.Minute), after.Add(time.Minute))
		require.Equal(t, testserver.TaskWaiting, v.KSeries.Tasks()[i].State)
		require.WithinRange(t, v.KSeries.Tasks()[i].Deadline, before.Add(time.Minute), after.Add(time.Minute))
		v.KSeries.ExpireTasks()
		n := v.next()
		require.Equal(t, []any{kseries.Failure, kseries.TaskTimeout, reference}, []any{n.Status, n.TimeoutKey, n.Reference})
		require.Equal(t, "Not processed before validity ended", n.TimeoutMessage)
	}
	v.apply(paymentOn(check, "in-time", "5"))
	v.KSeries.SetPOS(testserver.POSOnline)
	require.Equal(t, kseries.Success, v.next().Status)
	require.Len(t, v.KSeries.Applied(), 1)

	elsewhere := paymentOn(check, "other-device", "5")
	elsewhere.DeviceID = 1
	v.apply(elsewhere)
	v.KSeries.ExpireTasks()
	require.Equal(t, kseries.TaskTimeout, v.next().TimeoutKey, "nobody else takes what is for one device")
	v.clean()
}

func TestContractLostReplies(t *testing.T) {
	v := newVenue(t, testserver.KSeriesOptions{})
	check := v.table(1)
	pay := testserver.On("kseries", http.MethodPost, "/o/op/1/pay")
	for name, fault := range map[string]testserver.Fault{
		"lost": testserver.LoseReply(), "cut": testserver.Truncate(), "failed": testserver.HTMLBody(502).AfterProcessing(),
	} {
		v.Fault(pay, fault)
		require.Equal(t, kseries.TakenEarlier, v.apply(paymentOn(check, name, "1")).Taken, name)
		require.Equal(t, name, v.next().Reference)
	}
	v.Fault(pay, testserver.RefuseBefore())
	require.Equal(t, kseries.TakenNow, v.apply(paymentOn(check, "refused", "1")).Taken)
	v.next()

	// Nobody repeats it: the caller does, and says so.
	impatient := v.with(func(c *kseries.Config) { c.HTTP.Retries = -1 })
	v.Fault(pay, testserver.LoseReply())
	p := paymentOn(check, "again", "1")
	_, err := impatient.Payments.Apply(t.Context(), p)
	require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
	p.Again = true
	s, err := impatient.Payments.Apply(t.Context(), p)
	require.NoError(t, err)
	require.Equal(t, kseries.TakenEarlier, s.Taken)
	v.Fault(pay, testserver.RefuseBefore())
	p = paymentOn(check, "not sent", "1")
	_, err = impatient.Payments.Apply(t.Context(), p)
	require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
	p.Again = true
	s, err = impatient.Payments.Apply(t.Context(), p)
	require.NoError(t, err)
	require.Equal(t, kseries.TakenNow, s.Taken)

	require.Len(t, v.KSeries.Applied(), 6, "each was applied once")
	v.clean()
}

func TestContractRetryAfter(t *testing.T) {
	v := newVenue(t, testserver.KSeriesOptions{})
	check := v.table(1)
	for _, status := range []int{http.StatusServiceUnavailable, http.StatusTooManyRequests} {
		v.Fault(testserver.On("kseries", http.MethodPost, "/o/op/1/pay"), testserver.Status(status, "").RetryAfter(time.Second))
		begin := time.Now()
		v.apply(paymentOn(check, http.StatusText(status), "1"))
		require.GreaterOrEqual(t, time.Since(begin), time.Second)
	}
	for _, fault := range []testserver.Fault{
		testserver.LoseReply(), testserver.Truncate(), testserver.GarbledJSON(), testserver.ExtraFields(), testserver.KSeriesError(500, "sorry"),
	} {
		v.Fault(testserver.On("kseries", http.MethodGet, "/o/op/1/order/accounts/*"), fault)
		got, err := v.client.Checks.Get(t.Context(), location, check.Account)
		if err != nil { // what was cut in the middle may be the last word
			require.ErrorIs(t, err, tillroute.ErrDecode)
			continue
		}
		require.Equal(t, check.Account, got.AccountIdentifier)
	}
	require.Len(t, v.KSeries.Applied(), 2)
	v.clean()
}

func TestContractNotificationsGoWrong(t *testing.T) {
	v := newVenue(t, testserver.KSeriesOptions{Notify: testserver.KSeriesNotify{Retry: time.Millisecond}})
	check := v.table(1)

	v.KSeries.DuplicateNotifications(1)
	v.apply(paymentOn(check, "twice", "1"))
	v.settled(2)
	require.Equal(t, "twice", v.next().Reference)
	require.Empty(t, v.got, "handled once")

	v.KSeries.LoseNotifications(1)
	v.apply(paymentOn(check, "lost", "1"))
	require.Equal(t, testserver.DeliveryLost, v.settled(3)[2].State)
	require.Empty(t, v.got)
	read, err := v.client.Checks.Get(t.Context(), location, check.Account)
	require.NoError(t, err)
	_, ok := read.Payment("lost")
	require.True(t, ok, "the check proves it")
	require.NoError(t, v.KSeries.SetEntryActive(check.Account, "lost", false))
	read, err = v.client.Checks.Get(t.Context(), location, check.Account)
	require.NoError(t, err)
	entry, ok := read.Payment("lost")
	require.True(t, ok)
	require.True(t, entry.Inactive)

	v.KSeries.HoldNotifications()
	v.apply(paymentOn(check, "first", "1"))
	v.apply(paymentOn(check, "second", "1"))
	v.KSeries.ReleaseNotifications(true)
	require.Equal(t, []string{"second", "first"}, []string{v.next().Reference, v.next().Reference})

	// The password is changed at the vendor alone.
	endpoint, err := v.client.Webhooks.Get(t.Context(), "app")
	require.NoError(t, err)
	endpoint.Password = "another-password-0001"
	_, err = v.client.Webhooks.Update(t.Context(), endpoint)
	require.NoError(t, err)
	v.apply(paymentOn(check, "stranger", "1"))
	last := v.settled(6)[5]
	require.Equal(t, []any{testserver.DeliveryFailed, http.StatusUnauthorized}, []any{last.State, last.Answered})
	require.Empty(t, v.got)
	v.clean()
}

func TestContractEndpoints(t *testing.T) {
	v := newVenue(t, testserver.KSeriesOptions{})
	ctx, hooks := t.Context(), v.client.Webhooks
	e, err := hooks.Get(ctx, "app")
	require.NoError(t, err)
	require.Equal(t, []any{"till", webhookPassword, true}, []any{e.Username, e.Password, e.ProvideAccount})
	_, err = hooks.Get(ctx, "APP")
	require.ErrorIs(t, err, tillroute.ErrNotFound, "upper and lower case differ")
	_, err = hooks.Create(ctx, e)
	require.ErrorIs(t, err, tillroute.ErrConflict)
	_, err = hooks.Update(ctx, kseries.Endpoint{ID: "none", URL: "https://app.example/"})
	require.ErrorIs(t, err, tillroute.ErrNotFound)

	v.KSeries.SetPOS(testserver.POSBackground)
	require.Empty(t, v.KSeries.Notifications(), "no location was added")
	v.KSeries.SetPOS(testserver.POSOnline)
	v.Fault(testserver.On("kseries", http.MethodPut, "/o/wh/1/webhook/app/business-locations"), testserver.LoseReply())
	added, err := hooks.AddLocation(ctx, "app", location)
	require.NoError(t, err)
	require.EqualValues(t, location, added.BusinessLocationID)
	list, err := hooks.Locations(ctx, "app")
	require.NoError(t, err)
	require.Len(t, list, 1)
	v.KSeries.SetPOS(testserver.POSOffline)
	n := v.next()
	require.Equal(t, []any{kseries.AboutReadiness, kseries.NotReady}, []any{n.Type, n.Readiness.Status})
	ready, err := v.client.Orders.Readiness(ctx, location)
	require.NoError(t, err)
	require.Equal(t, kseries.NotReady, ready.Status)
	require.False(t, ready.AvailableDevices)
	require.NoError(t, v.KSeries.SetStock("20002", 0))
	n = v.next()
	require.Equal(t, []any{kseries.AboutItem, kseries.Restricted, "20002"}, []any{n.Type, n.Status, n.Stock.SKU})
	stock, err := v.client.Items.Availability(ctx, location, []string{"20001", "20002"})
	require.NoError(t, err)
	require.Len(t, stock.Stock, 1)
	require.Zero(t, *stock.Stock[0].Count)

	v.Fault(testserver.On("kseries", http.MethodDelete, "/o/wh/1/webhook/app/business-locations"), testserver.LoseReply())
	require.NoError(t, hooks.RemoveLocation(ctx, "app", location), "it is gone by the second try")
	require.NoError(t, hooks.Delete(ctx, "app"))
	require.ErrorIs(t, hooks.Delete(ctx, "app"), tillroute.ErrNotFound)
	_, err = v.client.Payments.Apply(ctx, paymentOn(v.table(1), "untold", "1"))
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	v.clean()
}

func TestContractOrders(t *testing.T) {
	v := newVenue(t, testserver.KSeriesOptions{})
	ctx := t.Context()
	order := kseries.LocalOrder{
		Order: kseries.Order{
			BusinessLocationID: location, Reference: "order-1", EndpointID: "app", Customer: kseries.Customer{FirstName: "Jane"},
			TTL: time.Minute, Items: []kseries.OrderItem{{SKU: "20002", Quantity: 2, SubItems: []kseries.OrderItem{{SKU: "30002", Quantity: 1}}}},
		},
		TableNumber: 5, ClientCount: 2,
	}
	v.Fault(testserver.On("kseries", http.MethodPost, "/o/op/1/order/local"), testserver.LoseReply())
	s, err := v.client.Orders.Local(ctx, order)
	require.NoError(t, err)
	require.Equal(t, kseries.TakenEarlier, s.Taken)
	n := v.next()
	require.Equal(t, []any{kseries.AboutOrder, kseries.Success, "order-1"}, []any{n.Type, n.Status, n.Reference})
	require.Equal(t, "33", n.Check.Total.Decimal.String())
	require.Len(t, n.Check.Sales, 2)
	_, err = v.client.Orders.Local(ctx, order)
	require.ErrorIs(t, err, kseries.ErrReferenceUsed)

	order.Reference, order.AccountIdentifier, order.TableNumber, order.ClientCount = "order-2", n.AccountIdentifier, 0, 0
	order.Items = []kseries.OrderItem{{SKU: "30003", Quantity: 1, Price: valid("2")}}
	_, err = v.client.Orders.Local(ctx, order)
	require.NoError(t, err)
	require.Equal(t, "35", v.next().Check.Total.Decimal.String())
	p := paymentOn(testserver.KSeriesCheck{Account: n.AccountIdentifier}, "pay-order", "35")
	v.apply(p)
	for _, want := range []kseries.NotificationStatus{kseries.Success, kseries.CheckUpdated, kseries.CheckUpdated, kseries.CheckClosed, kseries.CheckClosed} {
		require.Equal(t, want, v.next().Status)
	}

	togo := kseries.ToGoOrder{Order: kseries.Order{
		BusinessLocationID: location, Reference: "togo-1", EndpointID: "app", Customer: kseries.Customer{FirstName: "Jane"},
		Items:   []kseries.OrderItem{{SKU: "20001", Quantity: 1}},
		Payment: &kseries.OrderPayment{Method: "OOPAYMENT", Total: d("7.50"), Tip: d("1")}, ScheduledAt: time.Now().Add(time.Hour),
	}, Address: &kseries.Address{Line1: "1 Example Street", Zip: "00000", City: "Example"}}
	_, err = v.client.Orders.ToGo(ctx, togo)
	require.NoError(t, err)
	for _, want := range []kseries.NotificationStatus{kseries.Success, kseries.CheckUpdated, kseries.CheckClosed} {
		require.Equal(t, want, v.next().Status)
	}
	togo.Reference, togo.Items[0].SKU, togo.Payment = "togo-2", "nothing", nil
	_, err = v.client.Orders.ToGo(ctx, togo)
	require.NoError(t, err)
	n = v.next()
	require.Equal(t, []any{kseries.Failure, "Could not add item nothing (not found)"}, []any{n.Status, n.Reason})
	v.clean()
}

func (v *venue) app(version kseries.OAuthVersion) kseries.OAuth {
	d := v.Describe().KSeries
	app := kseries.OAuth{
		Version: version, ClientID: d.ClientID, ClientSecret: tillroute.Secret(d.ClientSecret), RedirectURL: "https://app.example/callback",
		Scopes: []string{"orders-api", "offline_access"}, AuthorizeURL: d.AuthorizeURL, TokenURL: d.TokenURL, HTTP: transport(v.t),
	}
	if version == kseries.V1 {
		app.ClientID, app.ClientSecret = d.LegacyID, tillroute.Secret(d.LegacySecret)
		app.AuthorizeURL, app.TokenURL, app.Scopes = d.LegacyAuthorizeURL, d.LegacyTokenURL, []string{"orders-api"}
	}
	return app
}

func TestContractOAuth(t *testing.T) {
	for name, tt := range map[string]struct {
		version    kseries.OAuthVersion
		zero, body bool
		life       time.Duration
	}{
		"V1": {version: kseries.V1}, "V2": {version: kseries.V2, life: 40 * 24 * time.Hour},
		"V2 that announces no end": {version: kseries.V2, zero: true}, "V2 with the secret in the body": {version: kseries.V2, body: true, life: 40 * 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVenue(t, testserver.KSeriesOptions{RefreshExpiresZero: tt.zero, SecretInBody: tt.body})
			ctx, app, tokens := t.Context(), v.app(tt.version), newTokens()
			app.SecretInBody = tt.body
			state := kseries.NewState()
			target, err := app.AuthCodeURL(state)
			require.NoError(t, err)
			v.KSeries.RefuseNextAuthorization()
			_, err = app.ParseCallback(clienttest.Consent(t, target), state)
			require.ErrorIs(t, err, kseries.ErrRefused)
			code, err := app.ParseCallback(clienttest.Consent(t, target), state)
			require.NoError(t, err)
			grant, err := app.Exchange(ctx, "bistro", code)
			require.NoError(t, err)
			require.Empty(t, app.MissingScopes(grant))
			if tt.life == 0 {
				require.True(t, kseries.RefreshExpiry(grant).IsZero())
			} else {
				require.WithinDuration(t, time.Now().Add(tt.life), kseries.RefreshExpiry(grant), time.Minute)
			}
			_, err = app.Exchange(ctx, "bistro", code)
			require.ErrorIs(t, err, kseries.ErrReconnect, "a code is used once")
			_, err = tokens.PutGrant(ctx, grant, -1)
			require.NoError(t, err)
			client := v.with(func(c *kseries.Config) { c.AccessToken, c.OAuth, c.Tokens, c.Account = "", app, tokens, "bistro" })

			// The token ends in the middle of the payment: it is renewed and sent again.
			v.Fault(testserver.On("kseries", http.MethodPost, "/o/op/1/pay"), testserver.ExpireToken())
			s, err := client.Payments.Apply(ctx, paymentOn(v.table(1), "expired", "5"))
			require.NoError(t, err)
			require.Equal(t, kseries.TakenNow, s.Taken)
			require.Equal(t, kseries.Success, v.next().Status)

			// Many find that it has ended, and it is renewed once: refresh tokens are used once.
			v.KSeries.ExpireTokens()
			var group sync.WaitGroup
			for range 8 {
				group.Go(func() {
					_, err := client.Checks.List(ctx, location)
					assert.NoError(t, err)
				})
			}
			group.Wait()
			renewed, err := tokens.Grant(ctx, kseries.System, "bistro")
			require.NoError(t, err)
			require.NotEqual(t, grant.RefreshToken, renewed.RefreshToken)

			// Somebody uses an old one: the connection is gone.
			_, err = app.Refresh(ctx, grant)
			require.ErrorIs(t, err, kseries.ErrReconnect)
			_, err = client.Checks.List(ctx, location)
			require.ErrorIs(t, err, kseries.ErrReconnect)
			v.clean()
		})
	}
}

func TestContractMistakesOfApplications(t *testing.T) {
	v := newVenue(t, testserver.KSeriesOptions{})
	app := v.app(kseries.V2)
	app.ClientSecret = "wrong"
	_, err := app.Exchange(t.Context(), "bistro", "code")
	require.ErrorContains(t, err, "check ClientID")
	require.NotErrorIs(t, err, kseries.ErrReconnect)
	require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown)

	app = v.app(kseries.V2)
	state := kseries.NewState()
	target, err := app.AuthCodeURL(state)
	require.NoError(t, err)
	v.KSeries.GrantNextAuthorization("financial-api")
	code, err := app.ParseCallback(clienttest.Consent(t, target), state)
	require.NoError(t, err)
	grant, err := app.Exchange(t.Context(), "bistro", code)
	require.NoError(t, err)
	require.Equal(t, []string{"orders-api", "offline_access"}, app.MissingScopes(grant))
	v.clean()

	v.ExpectViolation("no Basic authentication")
	app.SecretInBody = true
	_, err = app.Refresh(t.Context(), grant)
	require.ErrorContains(t, err, "invalid_client")
}
