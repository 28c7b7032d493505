package kseries_test

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/kseries"
)

func TestNotifications(t *testing.T) {
	check := kseries.Check{
		AccountIdentifier: "A17700.3", UUID: "5a81c7f4-9e2f-4db2-965d-6946a4f9c25b", Name: "Order NZVV", Total: valid("4.00"), Paid: valid("4.00"),
		ServiceCharge: d("0.00"), OpenedAt: time.Date(2021, 12, 21, 13, 24, 49, 265e6, time.UTC), ClientCount: 2, StaffID: 31930,
		StaffName: "Manager", TableNumber: 3, POSID: 17700,
		Sales: []kseries.Sale{{
			ID: 304087979524125, Name: "Appetizer 2", SKU: "21", UnitAmount: d("4.00"), GrossUnitAmount: d("4.00"), Quantity: d("1"),
			AmountWithTax: d("4.00"), AmountLessTax: d("3.33"), DiscountedAmount: d("0.00"), TaxIncluded: true,
		}},
		Payments: []kseries.PaymentEntry{{
			Method: "APM", Description: "API Payment", Reference: "1234567890", Amount: valid("4.00"),
			At: time.Date(2021, 12, 21, 13, 25, 25, 82e6, time.UTC),
		}},
	}
	placed := check
	placed.Paid, placed.StaffName, placed.Payments = valid("0.00"), "Online Order", nil
	placed.Sales = []kseries.Sale{check.Sales[0]}
	placed.Sales[0].UUID, placed.Sales[0].At = "1b8d016e-2c7f-456d-9349-8476eacd99bf", time.Date(2023, 11, 8, 13, 33, 52, 641e6, time.UTC)
	ofOrder := func(status kseries.NotificationStatus, c kseries.Check) kseries.Notification {
		return kseries.Notification{
			Type: kseries.AboutOrder, Status: status, Reference: "order-wFUBVgHNGPAJsryIrSaE", BusinessLocationID: 247158188015618,
			AccountIdentifier: "A17700.3", AccountID: "304087979524124", Check: &c,
		}
	}
	wanted := map[string]kseries.Notification{
		"webhook_payment_success.json": {
			Type: kseries.AboutPayment, Status: kseries.Success, Reference: "REF11", BusinessLocationID: 247158188015618,
			AccountIdentifier: "A123080.14", AccountID: "2114502594134196",
		},
		"webhook_payment_failure_account_error.json": {
			Type: kseries.AboutPayment, Status: kseries.Failure, Reference: "REF12213", BusinessLocationID: 141948669832802,
			Reason: "Account not found", AccountError: kseries.AccountNotFound,
		},
		"webhook_payment_failure_timeout.json": {
			Type: kseries.AboutPayment, Status: kseries.Failure, Reference: "REF12214", BusinessLocationID: 141948669832802,
			Reason: "Not processed before validity ended", TimeoutKey: kseries.TaskTimeout, TimeoutMessage: "Not processed before validity ended",
		},
		"webhook_order_success_no_account.json": {
			Type: kseries.AboutOrder, Status: kseries.Success, Reference: "REF11", AccountIdentifier: "A123080.14", AccountID: "2114502594134196",
		},
		"webhook_order_failure.json": {
			Status: kseries.Failure, Reference: "REF12212",
			Reason: "A consumer already exists for this email address with a different external reference.",
		},
		"webhook_order_success_with_account.json": ofOrder(kseries.Success, placed),
		"webhook_order_check_was_updated.json":    ofOrder(kseries.CheckUpdated, check),
		"webhook_order_closed.json":               ofOrder(kseries.CheckClosed, check),
		"webhook_item_restricted.json": {
			Type: kseries.AboutItem, Status: kseries.Restricted, BusinessLocationID: 247158188015618,
			Stock: &kseries.Stock{SKU: "UGG-BB-PUR-06", Count: new(int64(5)), UpdatedAt: time.Date(2024, 4, 4, 9, 42, 0, 0, time.UTC)},
		},
		"webhook_order_api_ready.json": {
			Type: kseries.AboutReadiness, Status: kseries.NotificationStatus(kseries.Ready), BusinessLocationID: 247158188015618,
			Readiness: &kseries.Readiness{
				Status: kseries.Ready, UpdatedAt: time.Date(2025, 10, 4, 9, 40, 0, 0, time.UTC), Enabled: true, OrderProfileID: 25769803781,
				StaffID: 3, SalesPeriod: kseries.Opened, AcceptingOnlineOrders: true, AvailableDevices: true,
			},
		},
	}
	posted := fixtures(t, "webhook_[po][ar]*.json")
	maps.Copy(posted, fixtures(t, "webhook_item*.json"))
	require.Len(t, posted, len(wanted))
	for name, text := range posted {
		t.Run(name, func(t *testing.T) {
			got, err := kseries.ParseNotification([]byte(text))
			require.NoError(t, err)
			require.Equal(t, text, string(got.Payload))
			got.Payload = nil
			same(t, wanted[name], got)
		})
	}
}

func TestNotificationsAreReadWhateverTheirForm(t *testing.T) {
	for text, want := range map[string]kseries.Notification{
		`{}`: {},
		`{"type":"PAYMENT","status":"SOMETHING_NEW","errors":{"account":{"type":"NEW_ERROR"}},"new":{"x":1}}`: {
			Type: kseries.AboutPayment, Status: "SOMETHING_NEW", AccountError: "NEW_ERROR",
		},
		`{"type":"NEW","status":"X"}`: {Type: "NEW", Status: "X"},
		`{"thirdPartyReference":12345678901234,"businessLocationId":"247158188015618","iKentooAccountId":304087979524124,"errors":null}`: {
			Reference: "12345678901234", BusinessLocationID: 247158188015618, AccountID: "304087979524124",
		},
		`{"iKentooAccountId":1,"ikentooAccountId":"1","IKENTOOACCOUNTIDENTIFIER":"A1.2"}`:         {AccountID: "1", AccountIdentifier: "A1.2"},
		`{"errors":[{"account":{"type":"OVERPAID"}}],"account":[],"reason":null}`:                 {},
		`{"errors":{"timeout":"late","account":{"type":"OVERPAID"}},"completionMode":"MANUALLY"}`: {AccountError: kseries.Overpaid, CompletionMode: "MANUALLY"},
		`{"status":{"code":"SUCCESS"},"thirdPartyReference":["x"]}`:                               {},
		`{"type":"ITEM","sku":7,"count":null}`:                                                    {Type: kseries.AboutItem, Stock: &kseries.Stock{SKU: "7"}},
		`{"type":"ORDER_API","posStatus":7,"onlineOrderingApiConfiguration":{"orderProfileId":null,"enabled":"true"}}`: {
			Type: kseries.AboutReadiness, Readiness: &kseries.Readiness{Enabled: true},
		},
	} {
		got, err := kseries.ParseNotification([]byte(text))
		require.NoError(t, err, text)
		got.Payload = nil
		same(t, want, got)
	}
	for _, text := range []string{
		``, `null`, `7`, `[]`, `"x"`, `{`, `{"status":"SUCCESS"} x`, `<html>`, `{"status":"FAILURE","status":"SUCCESS"}`,
		`{"status":"FAILURE","Status":"SUCCESS"}`, `status=SUCCESS`, `{"account":{"paidAmount":1},"Account":{"paidAmount":2}}`,
	} {
		_, err := kseries.ParseNotification([]byte(text))
		require.ErrorIs(t, err, tillroute.ErrInvalid, text)
	}
}

func TestNotificationKeepsItsOwnPayload(t *testing.T) {
	text := []byte(`{"status":"SUCCESS"}`)
	got, err := kseries.ParseNotification(text)
	require.NoError(t, err)
	text[2] = 'X'
	require.JSONEq(t, `{"status":"SUCCESS"}`, string(got.Payload))
}

func FuzzNotification(f *testing.F) {
	for _, text := range fixtures(f, "webhook_*.json") {
		f.Add([]byte(text))
	}
	f.Add([]byte(`{"errors":[],"account":{},"type":"ITEM"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := kseries.ParseNotification(data)
		if err != nil {
			require.Zero(t, n)
			return
		}
		require.True(t, json.Valid(data))
		require.Equal(t, data, []byte(n.Payload))
		again, err := kseries.ParseNotification(n.Payload)
		require.NoError(t, err)
		same(t, n, again)
		require.Equal(t, n.Type == kseries.AboutItem, n.Stock != nil)
		require.Equal(t, n.Type == kseries.AboutReadiness, n.Readiness != nil)
		if n.Status == kseries.Success {
			require.True(t, strings.Contains(string(data), "SUCCESS") || strings.Contains(string(data), `\u`))
		}
	})
}
