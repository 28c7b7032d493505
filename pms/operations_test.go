package pms_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/operationtest"
	"github.com/tillroute/tillroute/pms"
)

func TestCommentsNameWhatGoesOut(t *testing.T) {
	sent := &operationtest.Recorder{Body: `{}`}
	client, err := pms.NewClient(pms.ClientConfig{
		Token: func(context.Context) (tillroute.Secret, error) { return "token", nil }, HTTP: tillroute.HTTPOptions{Transport: sent},
	})
	require.NoError(t, err)
	const location, id = 45454565682155, 7
	hotel := pms.ProviderRequest{Name: "Hotel", Endpoint: "https://hotel.example/pms", APIKey: "a long random key"}
	operationtest.Check(t, operationtest.Client{
		Dir: ".", System: pms.System, BaseURLs: []string{"https://api.lsk.lightspeed.app"},
		// What they return is not the subject here.
		Calls: map[string]func(context.Context){
			"ProvidersService.List":      func(ctx context.Context) { _, _ = client.Providers.List(ctx, location) },
			"ProvidersService.Get":       func(ctx context.Context) { _, _ = client.Providers.Get(ctx, id) },
			"ProvidersService.Create":    func(ctx context.Context) { _, _ = client.Providers.Create(ctx, location, hotel) },
			"ProvidersService.Update":    func(ctx context.Context) { _, _ = client.Providers.Update(ctx, id, hotel) },
			"ProvidersService.Delete":    func(ctx context.Context) { _ = client.Providers.Delete(ctx, id) },
			"RevenueCentersService.List": func(ctx context.Context) { _, _ = client.RevenueCenters.List(ctx, location) },
		},
	}, sent)
}
