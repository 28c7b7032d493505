package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tillroute/tillroute/internal/simulated"
	"github.com/tillroute/tillroute/xseries"
)

// connect has the merchant allow access to the store, and reads its outlets and registers.
func (t *tour) connect(ctx context.Context) {
	t.do(ctx, xseries.System, "a merchant connects the store by OAuth", func(ctx context.Context, _ func(string)) (string, error) {
		state := xseries.NewState()
		page, err := t.shop.oauth.AuthCodeURL(state)
		if err != nil {
			return "", err
		}
		back, err := simulated.Consent(ctx, page)
		if err != nil {
			return "", err
		}
		callback, err := t.shop.oauth.ParseCallback(back, state)
		if err != nil {
			return "", err
		}
		grant, err := t.shop.oauth.Exchange(ctx, callback)
		if err != nil {
			return "", err
		}
		if missing := t.shop.oauth.MissingScopes(grant); len(missing) > 0 {
			return "", fmt.Errorf("the merchant did not allow %s", strings.Join(missing, ", "))
		}
		if grant, err = t.shop.store.PutGrant(ctx, grant, 0); err != nil {
			return "", err
		}
		t.shop.client, err = xseries.New(xseries.Config{
			DomainPrefix: callback.DomainPrefix,
			OAuth:        t.shop.oauth,
			Tokens:       t.shop.store,
			HTTP:         t.watch.http(),
		})
		if err != nil {
			return "", err
		}
		t.watch.see(t.shop.oauth, callback, grant, t.shop.client)
		exchanges := t.systems.Requests("xseries", "POST", "/api/1.0/token")
		detail := fmt.Sprintf("store %s allowed %q", grant.Account, grant.Scope)
		return detail, check(
			should(len(exchanges) == 1, "one token was issued"),
			should(grant.Account == t.systems.Describe().XSeries.DomainPrefix, "the grant is for the store"),
		)
	})

	t.do(ctx, xseries.System, "lists outlets and registers", func(ctx context.Context, _ func(string)) (string, error) {
		if t.shop.client == nil {
			return "", errNotConnected
		}
		outlets := map[string]xseries.Outlet{}
		for outlet, err := range t.shop.client.Outlets.All(ctx, xseries.ListOptions{}) {
			if err != nil {
				return "", err
			}
			outlets[outlet.ID] = outlet
		}
		var names []string
		for register, err := range t.shop.client.Registers.All(ctx, xseries.ListOptions{}) {
			if err != nil {
				return "", err
			}
			outlet := outlets[register.OutletID]
			names = append(names, outlet.Name+" - "+register.Name)
			t.shop.currency[register.ID] = outlet.Currency
		}
		want := t.systems.XSeries.Registers()
		claims := []claim{should(len(names) == len(want), "all %d registers are listed, not %d", len(want), len(names))}
		for _, r := range want {
			claims = append(claims, should(t.shop.currency[r.ID] != "", "register %s has a currency", r.ID))
		}
		return strings.Join(names, ", "), check(claims...)
	})
}

var errNotConnected = errors.New("the store is not connected")
