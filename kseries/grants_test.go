package kseries_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/grants/grantstest"
	"github.com/tillroute/tillroute/kseries"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/memstore"
)

func newTokens() *memstore.Store { return memstore.New(memstore.Config{}) }

func TestGrants(t *testing.T) { grantstest.Run(t, granted()) }

// granted is this package's client, as the tests of grants need it.
func granted() grantstest.System {
	return grantstest.System{
		Name: "kseries", Scope: "orders-api", Empty: `[]`,
		Operation: "Businesses.List", Advice: "connect again", Reconnect: kseries.ErrReconnect,
		New: func(tokens pairing.Tokens, options, oauth tillroute.HTTPOptions) (grantstest.Call, error) {
			client, err := kseries.New(kseries.Config{
				Account: grantstest.Account,
				OAuth:   kseries.OAuth{ClientID: "id", ClientSecret: clientSecret, HTTP: oauth},
				Tokens:  tokens,
				HTTP:    options,
			})
			return func(ctx context.Context) error {
				_, err := client.Businesses.List(ctx)
				return err
			}, err
		},
	}
}

func connect(t *testing.T, tokens pairing.Tokens, expiry time.Time) {
	t.Helper()
	granted().Connect(t, tokens, expiry)
}

type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func isReconnect(err error) bool { return errors.Is(err, kseries.ErrReconnect) }
