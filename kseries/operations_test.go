package kseries_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/operationtest"
	"github.com/tillroute/tillroute/kseries"
	"github.com/tillroute/tillroute/pairing"
)

func TestCommentsNameWhatGoesOut(t *testing.T) {
	sent := &operationtest.Recorder{Body: `{}`}
	o := tillroute.HTTPOptions{Transport: sent}
	client, err := kseries.New(kseries.Config{AccessToken: accessToken, HTTP: o})
	require.NoError(t, err)
	apps := []kseries.OAuth{
		{ClientID: "devp-v2-1", ClientSecret: clientSecret, HTTP: o},
		{Version: kseries.V1, ClientID: "devp-1", ClientSecret: clientSecret, HTTP: o},
	}
	endpoint := kseries.Endpoint{ID: "MY-ENDPOINT-1", URL: "https://pay.example.com/kseries"}
	operationtest.Check(t, operationtest.Client{
		Dir: ".", System: kseries.System, BaseURLs: []string{"https://api.lsk.lightspeed.app", "https://auth.lsk-prod.app"},
		// What they return is not the subject here.
		Calls: map[string]func(context.Context){
			"OAuth.Exchange": func(ctx context.Context) {
				for _, app := range apps {
					_, _ = app.Exchange(ctx, "my-bistro", "code")
				}
			},
			"OAuth.Refresh": func(ctx context.Context) {
				for _, app := range apps {
					_, _ = app.Refresh(ctx, pairing.Grant{System: kseries.System, Account: "my-bistro", RefreshToken: "token"})
				}
			},
			"BusinessesService.List":    func(ctx context.Context) { _, _ = client.Businesses.List(ctx) },
			"TablesService.FloorPlans":  func(ctx context.Context) { _, _ = client.Tables.FloorPlans(ctx, location) },
			"TablesService.List":        func(ctx context.Context) { _, _ = client.Tables.List(ctx, location, 7) },
			"ChecksService.List":        func(ctx context.Context) { _, _ = client.Checks.List(ctx, location) },
			"ChecksService.ByTable":     func(ctx context.Context) { _, _ = client.Checks.ByTable(ctx, location, 12) },
			"ChecksService.Get":         func(ctx context.Context) { _, _ = client.Checks.Get(ctx, location, "A78094.48") },
			"PaymentsService.Apply":     func(ctx context.Context) { _, _ = client.Payments.Apply(ctx, payment()) },
			"OrdersService.Local":       func(ctx context.Context) { _, _ = client.Orders.Local(ctx, kseries.LocalOrder{Order: order()}) },
			"OrdersService.ToGo":        func(ctx context.Context) { _, _ = client.Orders.ToGo(ctx, kseries.ToGoOrder{Order: full()}) },
			"OrdersService.Readiness":   func(ctx context.Context) { _, _ = client.Orders.Readiness(ctx, location) },
			"MenusService.List":         func(ctx context.Context) { _, _ = client.Menus.List(ctx, location) },
			"MenusService.Get":          func(ctx context.Context) { _, _ = client.Menus.Get(ctx, location, 7, kseries.MenuOptions{}) },
			"MenusService.Modifiers":    func(ctx context.Context) { _, _ = client.Menus.Modifiers(ctx, location) },
			"MenusService.Discounts":    func(ctx context.Context) { _, _ = client.Menus.Discounts(ctx, location) },
			"ItemsService.Availability": func(ctx context.Context) { _, _ = client.Items.Availability(ctx, location, []string{"sku"}) },
			"ProfilesService.List":      func(ctx context.Context) { _, _ = client.Profiles.List(ctx, location) },
			"ProfilesService.Get":       func(ctx context.Context) { _, _ = client.Profiles.Get(ctx, location, "TAKEAWAY1") },
			"MessagesService.Print":     func(ctx context.Context) { _ = client.Messages.Print(ctx, location, "Hello", true) },
			"WebhooksService.Create":    func(ctx context.Context) { _, _ = client.Webhooks.Create(ctx, endpoint) },
			"WebhooksService.Update":    func(ctx context.Context) { _, _ = client.Webhooks.Update(ctx, endpoint) },
			"WebhooksService.Get":       func(ctx context.Context) { _, _ = client.Webhooks.Get(ctx, endpoint.ID) },
			"WebhooksService.Delete":    func(ctx context.Context) { _ = client.Webhooks.Delete(ctx, endpoint.ID) },
			"WebhooksService.Locations": func(ctx context.Context) { _, _ = client.Webhooks.Locations(ctx, endpoint.ID) },
			"WebhooksService.AddLocation": func(ctx context.Context) {
				_, _ = client.Webhooks.AddLocation(ctx, endpoint.ID, location)
			},
			"WebhooksService.RemoveLocation": func(ctx context.Context) { _ = client.Webhooks.RemoveLocation(ctx, endpoint.ID, location) },
			"FinanceService.Businesses":      func(ctx context.Context) { _, _ = client.Finance.Businesses(ctx, 0) },
			"FinanceService.Currency":        func(ctx context.Context) { _, _ = client.Finance.Currency(ctx, location) },
			"FinanceService.PaymentMethods":  func(ctx context.Context) { _, _ = client.Finance.PaymentMethods(ctx, location) },
			"StaffService.List":              func(ctx context.Context) { _, _ = client.Staff.List(ctx, location, kseries.StaffOptions{}) },
			"StaffService.All": func(ctx context.Context) {
				client.Staff.All(ctx, location, kseries.StaffOptions{})(func(kseries.Staff, error) bool { return true })
			},
			"StaffService.Get": func(ctx context.Context) { _, _ = client.Staff.Get(ctx, location, 7) },
		},
	}, sent)
}
