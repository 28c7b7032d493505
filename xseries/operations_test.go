package xseries_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/operationtest"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/xseries"
)

func TestCommentsNameWhatGoesOut(t *testing.T) {
	sent := &operationtest.Recorder{Body: `{"data":[],"access_token":"a","refresh_token":"r","token_type":"Bearer"}`}
	app := xseries.OAuth{
		ClientID: "id", ClientSecret: "secret", RedirectURL: "https://pay.example.com/callback", HTTP: tillroute.HTTPOptions{Transport: sent},
	}
	client, err := xseries.New(xseries.Config{DomainPrefix: "acme", AccessToken: personalToken, HTTP: tillroute.HTTPOptions{Transport: sent}})
	require.NoError(t, err)
	const id = "r1"
	all := xseries.ListOptions{}
	hook := xseries.WebhookRequest{Type: xseries.SaleUpdate, URL: "https://pay.example.com/hook", Active: true}
	operationtest.Check(t, operationtest.Client{
		Dir: ".", System: xseries.System, BaseURLs: []string{"https://acme.retail.lightspeed.app"},
		// What they return is not the subject here.
		Calls: map[string]func(context.Context){
			"OAuth.Exchange": func(ctx context.Context) {
				_, _ = app.Exchange(ctx, xseries.Callback{Code: "code", DomainPrefix: "acme"})
			},
			"OAuth.Refresh": func(ctx context.Context) {
				_, _ = app.Refresh(ctx, pairing.Grant{System: xseries.System, Account: "acme", RefreshToken: "token"})
			},
			"RegistersService.Get":             func(ctx context.Context) { _, _ = client.Registers.Get(ctx, id) },
			"RegistersService.List":            func(ctx context.Context) { _, _ = client.Registers.List(ctx, all) },
			"RegistersService.All":             func(ctx context.Context) { client.Registers.All(ctx, all)(ignore) },
			"RegistersService.Changes":         func(ctx context.Context) { client.Registers.Changes(ctx, 7)(ignore) },
			"RegistersService.Open":            func(ctx context.Context) { _, _ = client.Registers.Open(ctx, id, time.Time{}) },
			"RegistersService.Close":           func(ctx context.Context) { _, _ = client.Registers.Close(ctx, id, nil) },
			"RegistersService.PaymentsSummary": func(ctx context.Context) { _, _ = client.Registers.PaymentsSummary(ctx, id) },
			"OutletsService.Get":               func(ctx context.Context) { _, _ = client.Outlets.Get(ctx, id) },
			"OutletsService.List":              func(ctx context.Context) { _, _ = client.Outlets.List(ctx, all) },
			"OutletsService.All":               func(ctx context.Context) { client.Outlets.All(ctx, all)(ignore) },
			"OutletsService.Changes":           func(ctx context.Context) { client.Outlets.Changes(ctx, 7)(ignore) },
			"PaymentTypesService.List":         func(ctx context.Context) { _, _ = client.PaymentTypes.List(ctx, all) },
			"PaymentTypesService.All":          func(ctx context.Context) { client.PaymentTypes.All(ctx, all)(ignore) },
			"PaymentTypesService.Changes":      func(ctx context.Context) { client.PaymentTypes.Changes(ctx, 7)(ignore) },
			"RetailerService.Get":              func(ctx context.Context) { _, _ = client.Retailer.Get(ctx) },
			"SalesService.Get":                 func(ctx context.Context) { _, _ = client.Sales.Get(ctx, id) },
			"SalesService.List":                func(ctx context.Context) { _, _ = client.Sales.List(ctx, all) },
			"SalesService.All":                 func(ctx context.Context) { client.Sales.All(ctx, all)(ignore) },
			"SalesService.Changes":             func(ctx context.Context) { client.Sales.Changes(ctx, 7)(ignore) },
			"WebhooksService.List":             func(ctx context.Context) { _, _ = client.Webhooks.List(ctx) },
			"WebhooksService.Get":              func(ctx context.Context) { _, _ = client.Webhooks.Get(ctx, id) },
			"WebhooksService.Create":           func(ctx context.Context) { _, _ = client.Webhooks.Create(ctx, hook) },
			"WebhooksService.Update":           func(ctx context.Context) { _, _ = client.Webhooks.Update(ctx, id, hook) },
			"WebhooksService.Delete":           func(ctx context.Context) { _ = client.Webhooks.Delete(ctx, id) },
		},
	}, sent)
}

// ignore takes what an iterator has.
func ignore[T any](T, error) bool { return true }
