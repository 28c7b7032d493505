package kseries_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/kseries"
)

func order() kseries.Order {
	return kseries.Order{
		BusinessLocationID: location, Reference: "MyAwesomeThirdPartyReference", EndpointID: "MY-AWESOME-ENDPOINT-ID",
		Customer: kseries.Customer{FirstName: "Jane"}, Items: []kseries.OrderItem{{SKU: "UGG-BB-PUR-06", Quantity: 1}},
	}
}

// full is the order of the fixtures.
func full() kseries.Order {
	at := time.Date(2024, 4, 4, 11, 42, 0, 0, time.FixedZone("", 2*3600))
	o := order()
	o.Customer = kseries.Customer{
		FirstName: "Jane", LastName: "Doe", Reference: "ZEN-7074522d-c71d-403f", Email: "jane.doe@example.com", Phone: "+14155552671",
		Notes: "Notes about the customer.", Salutation: "Mr.", SendReceipts: new(true), EmailNotification: kseries.KeepEmail,
	}
	o.Note, o.TTL, o.StaffID, o.ScheduledAt = "Sample Order Note", time.Minute, 1234567890, at
	o.Payment = &kseries.OrderPayment{Method: "OOPAYMENT", Total: d("14.00"), Tip: d("2.00")}
	o.CollectionCode, o.CollectionAt, o.PrinterProfileID = "ABC-1234", at, 1773881235
	return o
}

// compact removes empty lists, which say no more than none.
func compact(t *testing.T, text string) string {
	t.Helper()
	var walk func(v any) any
	walk = func(v any) any {
		switch v := v.(type) {
		case map[string]any:
			for name, member := range v {
				if list, ok := member.([]any); ok && len(list) == 0 {
					delete(v, name)
				} else {
					v[name] = walk(member)
				}
			}
		case []any:
			for i := range v {
				v[i] = walk(v[i])
			}
		}
		return v
	}
	var v any
	require.NoError(t, json.Unmarshal([]byte(text), &v))
	out, err := json.Marshal(walk(v))
	require.NoError(t, err)
	return string(out)
}

func TestLocalOrder(t *testing.T) {
	s := newServer(t, answer(http.StatusOK, fixture(t, "order_response_200.json")))
	o := kseries.LocalOrder{Order: full(), AccountIdentifier: "A1235.89", TableNumber: 1, ClientCount: 4}
	o.ProfileCode = "LOCALORDER"
	o.Items = []kseries.OrderItem{{
		Quantity: 1, SKU: "UGG-BB-PUR-06", Name: "My Custom Item Name", Price: valid("10"), DiscountAmount: valid("5.00"),
		ModifierIDs: []int64{236025632784492}, DiscountCode: "FIVEPERCENT", Course: new(int32(2)),
		SubItems: []kseries.OrderItem{{
			Quantity: 1, SKU: "ABC-123", Name: "My Custom Sub-Item Name", Price: valid("2"), ModifierIDs: []int64{236025632784492},
		}},
	}}
	submitted, err := s.client(t).Orders.Local(t.Context(), o)
	require.NoError(t, err)
	require.Equal(t, "MyAwesomeThirdPartyReference", submitted.Reference)
	require.Equal(t, kseries.TakenNow, submitted.Taken)
	s.only(t, http.MethodPost, "/o/op/1/order/local", nil, compact(t, fixture(t, "order_local_request.json")))
}

func TestToGoOrder(t *testing.T) {
	s := newServer(t, answer(http.StatusOK, fixture(t, "order_response_200.json")))
	o := kseries.ToGoOrder{Order: full(), Address: &kseries.Address{Line1: "1 Example Street", Zip: "00000", City: "Example"}}
	o.ProfileCode = "TOGOORDER"
	o.Items = []kseries.OrderItem{{
		Quantity: 1, SKU: "UGG-BB-PUR-06", ModifierIDs: []int64{236025632784492}, SubItems: []kseries.OrderItem{{Quantity: 1, SKU: "ABC-123"}},
	}}
	_, err := s.client(t).Orders.ToGo(t.Context(), o)
	require.NoError(t, err)
	s.only(t, http.MethodPost, "/o/op/1/order/toGo", nil, compact(t, fixture(t, "order_togo_request.json")))
}

func TestOrderLeavesOutWhatIsNotSaid(t *testing.T) {
	s := newServer(t, answer(http.StatusOK, `{"status":"ok"}`))
	_, err := s.client(t).Orders.ToGo(t.Context(), kseries.ToGoOrder{Order: order()})
	require.NoError(t, err)
	require.JSONEq(t, `{"businessLocationId":45454565682155,"thirdPartyReference":"MyAwesomeThirdPartyReference",`+
		`"endpointId":"MY-AWESOME-ENDPOINT-ID","customerInfo":{"firstName":"Jane"},"items":[{"quantity":1,"sku":"UGG-BB-PUR-06"}]}`, s.got()[0].body)
}

func TestScheduledOrderLivesLonger(t *testing.T) {
	s := newServer(t, answer(http.StatusOK, `{"status":"ok"}`))
	o := kseries.ToGoOrder{Order: order()}
	before := time.Now()
	o.TTL, o.ScheduledAt = time.Minute, before.Add(time.Hour)
	submitted, err := s.client(t).Orders.ToGo(t.Context(), o)
	require.NoError(t, err)
	require.WithinRange(t, submitted.Until, before.Add(time.Hour+time.Minute), time.Now().Add(time.Hour+time.Minute))
}

func TestOrdersRefuseWhatCannotBeRight(t *testing.T) {
	s := newServer(t, answer(http.StatusOK, `{"status":"ok"}`))
	client := s.client(t)
	for name, test := range map[string]struct {
		change func(*kseries.Order)
		says   string
		local  bool
	}{
		"no location":       {func(o *kseries.Order) { o.BusinessLocationID = -1 }, "BusinessLocationID", true},
		"long reference":    {func(o *kseries.Order) { o.Reference = strings.Repeat("x", 49) }, "49 characters, and may have 48", true},
		"no endpoint":       {func(o *kseries.Order) { o.EndpointID = "" }, "EndpointID", true},
		"short TTL":         {func(o *kseries.Order) { o.TTL = time.Second }, "TTL", true},
		"no name":           {func(o *kseries.Order) { o.Customer.FirstName = "" }, "FirstName", true},
		"long name":         {func(o *kseries.Order) { o.Customer.FirstName = strings.Repeat("x", 129) }, "FirstName", true},
		"no email":          {func(o *kseries.Order) { o.Customer.Reference = "x" }, "needs an Email", true},
		"long code":         {func(o *kseries.Order) { o.CollectionCode = "123456789" }, "CollectionCode", true},
		"no SKU":            {func(o *kseries.Order) { o.Items[0].SKU = "" }, "SKU", true},
		"long SKU":          {func(o *kseries.Order) { o.Items[0].SKU = strings.Repeat("x", 26) }, "SKU", true},
		"no quantity":       {func(o *kseries.Order) { o.Items[0].Quantity = 0 }, "quantity", true},
		"two discounts":     {func(o *kseries.Order) { o.Items[0].DiscountAmount, o.Items[0].DiscountPercent = valid("1"), valid("1") }, "use one", true},
		"discount, no code": {func(o *kseries.Order) { o.Items[0].DiscountPercent = valid("10") }, "DiscountCode", true},
		"negative price":    {func(o *kseries.Order) { o.Items[0].Price = valid("-1") }, "Price", true},
		"negative course":   {func(o *kseries.Order) { o.Items[0].Course = new(int32(-1)) }, "Course", true},
		"course to go":      {func(o *kseries.Order) { o.Items[0].Course = new(int32(1)) }, "Course", false},
		"sub-item's course": {func(o *kseries.Order) {
			o.Items[0].SubItems = []kseries.OrderItem{{SKU: "x", Quantity: 1, Course: new(int32(1))}}
		}, "sub-item", true},
		"sub-item's discount": {func(o *kseries.Order) {
			o.Items[0].SubItems = []kseries.OrderItem{{SKU: "x", Quantity: 1, DiscountCode: "x"}}
		}, "sub-item", true},
		"no total":       {func(o *kseries.Order) { o.Payment = &kseries.OrderPayment{} }, "Payment.Total is missing", true},
		"tip over total": {func(o *kseries.Order) { o.Payment = &kseries.OrderPayment{Total: d("1"), Tip: d("2")} }, "has it in it", true},
		"negative total": {func(o *kseries.Order) { o.Payment = &kseries.OrderPayment{Total: decimal.New(-1, 0)} }, "Payment.Total is -1: it must not be below zero", true},
		"negative tip":   {func(o *kseries.Order) { o.Payment = &kseries.OrderPayment{Total: d("1"), Tip: d("-1")} }, "Payment.Tip is -1", true},
	} {
		t.Run(name, func(t *testing.T) {
			o := order()
			test.change(&o)
			_, err := client.Orders.ToGo(t.Context(), kseries.ToGoOrder{Order: o})
			if test.local {
				_, err = client.Orders.Local(t.Context(), kseries.LocalOrder{Order: o})
			}
			require.ErrorIs(t, err, tillroute.ErrInvalid)
			require.ErrorContains(t, err, test.says)
		})
	}
	_, err := client.Orders.Local(t.Context(), kseries.LocalOrder{Order: order(), TableNumber: -1})
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	require.Empty(t, s.got())
}

func TestReadiness(t *testing.T) {
	s := newServer(t, answer(http.StatusOK, fixture(t, "online_order_readiness_200.json")), answer(http.StatusOK, `{}`))
	client := s.client(t)
	ready, err := client.Orders.Readiness(t.Context(), location)
	require.NoError(t, err)
	s.only(t, http.MethodGet, "/o/op/1/onlineOrderReadiness", url.Values{"businessLocationId": {"45454565682155"}}, "")
	require.Equal(t, kseries.Readiness{
		Status: kseries.Ready, UpdatedAt: time.Date(2025, 12, 11, 7, 27, 47, 407e6, time.UTC), Enabled: true, OrderProfileID: 123456,
		StaffID: 789012, SalesPeriod: kseries.Opened, AcceptingOnlineOrders: true, AvailableDevices: true,
	}, ready)
	_, err = client.Orders.Readiness(t.Context(), location)
	require.ErrorIs(t, err, tillroute.ErrDecode)
}
