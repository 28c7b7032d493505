package paysera_test

import (
	"context"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/operationtest"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/memstore"
	"github.com/tillroute/tillroute/paysera"
)

func TestCommentsNameWhatGoesOut(t *testing.T) {
	sent := &operationtest.Recorder{Body: `{}`}
	o := tillroute.HTTPOptions{Transport: sent}
	app := paysera.OAuth{ClientID: "app", ClientSecret: "secret", HTTP: o}
	merchant, err := paysera.New(paysera.Config{ClientID: "wkVd93h2uS", ClientSecret: "secret", HTTP: o})
	require.NoError(t, err)
	grant := pairing.Grant{
		System: paysera.System, Account: "guest", AccessToken: "token", RefreshToken: "refresh", TokenType: "mac", Extra: "key",
		Expiry: time.Now().Add(time.Hour),
	}
	tokens := memstore.New(memstore.Config{})
	_, err = tokens.PutGrant(t.Context(), grant, -1)
	require.NoError(t, err)
	// A user's client sends the same.
	user, err := paysera.New(paysera.Config{OAuth: app, Tokens: tokens, Account: "guest", HTTP: o})
	require.NoError(t, err)
	payment := paysera.PaymentRequest{Description: "Coffee", Price: decimal.NewFromInt(2), Currency: "EUR"}
	transaction := paysera.TransactionRequest{Payments: []paysera.PaymentRequest{payment}}
	order := paysera.OrderRequest{TransactionKey: "key-1"}
	all := paysera.ListOptions{}
	const id, key, wallet = 7, "key-1", "14471"
	both := func(call func(context.Context, *paysera.Client)) func(context.Context) {
		return func(ctx context.Context) {
			call(ctx, merchant)
			call(ctx, user)
		}
	}
	operationtest.Check(t, operationtest.Client{
		Dir: ".", System: paysera.System, BaseURLs: []string{paysera.ProductionURL},
		// What they return is not the subject here.
		Calls: map[string]func(context.Context){
			"OAuth.Exchange":    func(ctx context.Context) { _, _ = app.Exchange(ctx, paysera.Callback{Code: "code"}, "guest") },
			"OAuth.Refresh":     func(ctx context.Context) { _, _ = app.Refresh(ctx, grant) },
			"OAuth.Revoke":      func(ctx context.Context) { _ = app.Revoke(ctx, grant) },
			"Client.ServerTime": both(func(ctx context.Context, c *paysera.Client) { _, _ = c.ServerTime(ctx) }),
			"Client.PublicKey":  both(func(ctx context.Context, c *paysera.Client) { _, _ = c.PublicKey(ctx) }),
			"Client.Info":       both(func(ctx context.Context, c *paysera.Client) { _, _ = c.Info(ctx) }),

			"SpotsService.ByCode":   both(func(ctx context.Context, c *paysera.Client) { _, _ = c.Spots.ByCode(ctx, "PAYSERA*3:T") }),
			"SpotsService.Get":      both(func(ctx context.Context, c *paysera.Client) { _, _ = c.Spots.Get(ctx, id) }),
			"SpotsService.CheckIn":  both(func(ctx context.Context, c *paysera.Client) { _, _ = c.Spots.CheckIn(ctx, id) }),
			"SpotsService.CheckOut": both(func(ctx context.Context, c *paysera.Client) { _, _ = c.Spots.CheckOut(ctx, id) }),
			"SpotsService.List":     both(func(ctx context.Context, c *paysera.Client) { _, _ = c.Spots.List(ctx, "", all) }),
			"SpotsService.All":      both(func(ctx context.Context, c *paysera.Client) { c.Spots.All(ctx, "", all)(ignore) }),
			"SpotsService.Close":    both(func(ctx context.Context, c *paysera.Client) { _, _ = c.Spots.Close(ctx, id) }),

			"OrdersService.Get":    both(func(ctx context.Context, c *paysera.Client) { _, _ = c.Orders.Get(ctx, id) }),
			"OrdersService.Create": both(func(ctx context.Context, c *paysera.Client) { _, _ = c.Orders.Create(ctx, id, order) }),
			"OrdersService.Edit": both(func(ctx context.Context, c *paysera.Client) {
				_, _ = c.Orders.Edit(ctx, id, order)
				_, _ = c.Orders.Edit(ctx, id, paysera.OrderRequest{Transaction: &transaction})
			}),
			"OrdersService.Remove": both(func(ctx context.Context, c *paysera.Client) { _, _ = c.Orders.Remove(ctx, id) }),

			"CodesService.Get": both(func(ctx context.Context, c *paysera.Client) { _, _ = c.Codes.Get(ctx, "PAYSERA*3:T") }),

			"TransactionsService.Create": both(func(ctx context.Context, c *paysera.Client) { _, _ = c.Transactions.Create(ctx, transaction) }),
			"TransactionsService.Get":    both(func(ctx context.Context, c *paysera.Client) { _, _ = c.Transactions.Get(ctx, key) }),
			"TransactionsService.List": both(func(ctx context.Context, c *paysera.Client) {
				_, _ = c.Transactions.List(ctx, paysera.TransactionFilter{}, all)
			}),
			"TransactionsService.All": both(func(ctx context.Context, c *paysera.Client) {
				c.Transactions.All(ctx, paysera.TransactionFilter{}, all)(ignore)
			}),
			"TransactionsService.Reserve": both(func(ctx context.Context, c *paysera.Client) {
				_, _ = c.Transactions.Reserve(ctx, key, paysera.Reservation{})
				_, _ = c.Transactions.Reserve(ctx, key, paysera.Reservation{Wallet: wallet})
			}),
			"TransactionsService.Confirm": both(func(ctx context.Context, c *paysera.Client) { _, _ = c.Transactions.Confirm(ctx, key, nil) }),
			"TransactionsService.Revoke":  both(func(ctx context.Context, c *paysera.Client) { _ = c.Transactions.Revoke(ctx, key) }),
			"TransactionsService.Renew":   both(func(ctx context.Context, c *paysera.Client) { _, _ = c.Transactions.Renew(ctx, key) }),
			"TransactionsService.Types":   both(func(ctx context.Context, c *paysera.Client) { _, _ = c.Transactions.Types(ctx, key, wallet) }),
			"TransactionsService.Flash":   both(func(ctx context.Context, c *paysera.Client) { _ = c.Transactions.Flash(ctx, key, wallet) }),
			"TransactionsService.InquiredInformation": both(func(ctx context.Context, c *paysera.Client) {
				_, _ = c.Transactions.InquiredInformation(ctx, key)
			}),
			"TransactionsService.Request": both(func(ctx context.Context, c *paysera.Client) {
				_, _ = c.Transactions.Request(ctx, key, paysera.Addressee{UserID: 3})
			}),
			"TransactionsService.CancelRequest": both(func(ctx context.Context, c *paysera.Client) { _ = c.Transactions.CancelRequest(ctx, id) }),

			"PaymentsService.Create":   both(func(ctx context.Context, c *paysera.Client) { _, _ = c.Payments.Create(ctx, payment) }),
			"PaymentsService.Get":      both(func(ctx context.Context, c *paysera.Client) { _, _ = c.Payments.Get(ctx, id) }),
			"PaymentsService.Delete":   both(func(ctx context.Context, c *paysera.Client) { _ = c.Payments.Delete(ctx, id) }),
			"PaymentsService.Freeze":   both(func(ctx context.Context, c *paysera.Client) { _, _ = c.Payments.Freeze(ctx, id, time.Hour) }),
			"PaymentsService.Finalize": both(func(ctx context.Context, c *paysera.Client) { _, _ = c.Payments.Finalize(ctx, id) }),
			"PaymentsService.List":     both(func(ctx context.Context, c *paysera.Client) { _, _ = c.Payments.List(ctx, nil, all) }),
			"PaymentsService.All":      both(func(ctx context.Context, c *paysera.Client) { c.Payments.All(ctx, nil, all)(ignore) }),

			"LocationsService.List": both(func(ctx context.Context, c *paysera.Client) {
				_, _ = c.Locations.List(ctx, paysera.LocationFilter{}, all)
			}),
			"LocationsService.All": both(func(ctx context.Context, c *paysera.Client) {
				c.Locations.All(ctx, paysera.LocationFilter{}, all)(ignore)
			}),
			"LocationsService.Own":        both(func(ctx context.Context, c *paysera.Client) { _, _ = c.Locations.Own(ctx) }),
			"LocationsService.OfProject":  both(func(ctx context.Context, c *paysera.Client) { _, _ = c.Locations.OfProject(ctx, id) }),
			"LocationsService.Categories": both(func(ctx context.Context, c *paysera.Client) { _, _ = c.Locations.Categories(ctx, "en") }),
		},
	}, sent)
}

// ignore takes what an iterator has.
func ignore[T any](T, error) bool { return true }
