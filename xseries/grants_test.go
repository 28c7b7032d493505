package xseries_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/grants/grantstest"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/memstore"
	"github.com/tillroute/tillroute/xseries"
)

func newTokens() *memstore.Store { return memstore.New(memstore.Config{}) }

func TestGrants(t *testing.T) { grantstest.Run(t, granted()) }

// granted is this package's client, as the tests of grants need it.
func granted() grantstest.System {
	return grantstest.System{
		Name: "xseries", Scope: "registers:read", Empty: `{"data":[],"version":{"min":null,"max":null}}`,
		Operation: "Registers.List", Advice: "reconnect", Reconnect: xseries.ErrReconnect,
		New: func(tokens pairing.Tokens, options, oauth tillroute.HTTPOptions) (grantstest.Call, error) {
			client, err := xseries.New(xseries.Config{
				DomainPrefix: grantstest.Account,
				OAuth:        xseries.OAuth{ClientID: "id", ClientSecret: clientSecret, HTTP: oauth},
				Tokens:       tokens,
				HTTP:         options,
			})
			return func(ctx context.Context) error {
				return call(ctx, client)
			}, err
		},
	}
}

func connect(t *testing.T, tokens pairing.Tokens, expiry time.Time) {
	t.Helper()
	granted().Connect(t, tokens, expiry)
}

func call(ctx context.Context, client *xseries.Client) error {
	_, err := client.Registers.List(ctx, xseries.ListOptions{})
	return err
}

type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
