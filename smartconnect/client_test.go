package smartconnect_test

import (
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/smartconnect"
)

func TestNewNamesEveryProblem(t *testing.T) {
	_, err := smartconnect.New(smartconnect.Config{BaseURL: "api.example.com", PollTimeout: time.Hour, PollInterval: -1})
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	for _, field := range []string{"BusinessName", "VendorName", "Currency", "BaseURL", "PollInterval", "PollTimeout"} {
		require.ErrorContains(t, err, field)
	}
}

func TestNewChecks(t *testing.T) {
	valid := smartconnect.Config{BusinessName: "Toys Shop", VendorName: "Till2Go", Currency: "NZD"}
	tests := map[string]struct {
		change func(*smartconnect.Config)
		ok     bool
	}{
		"defaults":                      {func(*smartconnect.Config) {}, true},
		"two seconds":                   {func(c *smartconnect.Config) { c.PollInterval = 2 * time.Second }, true},
		"faster than production allows": {func(c *smartconnect.Config) { c.PollInterval = time.Second }, false},
		"fast on this machine": {func(c *smartconnect.Config) {
			c.PollInterval, c.BaseURL = time.Millisecond, "http://127.0.0.1:8080/POS"
		}, true},
		"fast on localhost": {func(c *smartconnect.Config) {
			c.PollInterval, c.BaseURL = time.Millisecond, "http://localhost:8080/POS"
		}, true},
		"fast on a host that only looks like it": {func(c *smartconnect.Config) {
			c.PollInterval, c.BaseURL = time.Millisecond, "https://127.0.0.1.example.com/POS"
		}, false},
		"longer than a polling URL lives": {func(c *smartconnect.Config) { c.PollTimeout = 15 * time.Minute }, false},
		"unknown currency":                {func(c *smartconnect.Config) { c.Currency = "XYZ" }, false},
		"currency without cents":          {func(c *smartconnect.Config) { c.Currency = "JPY" }, false},
		"name of no text":                 {func(c *smartconnect.Config) { c.VendorName = "\xff" }, false},
		"blank name":                      {func(c *smartconnect.Config) { c.BusinessName = " " }, false},
		"negative timeout":                {func(c *smartconnect.Config) { c.HTTP.Timeout = -1 }, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			config := valid
			test.change(&config)
			_, err := smartconnect.New(config)
			if test.ok {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, tillroute.ErrInvalid)
			}
		})
	}
}

func TestZeroClientReturnsErrors(t *testing.T) {
	var client smartconnect.Client
	require.ErrorIs(t, client.Register(registerID).Pair(t.Context(), "1", "Main", smartconnect.Contact{}), tillroute.ErrInvalid)
	_, err := client.Register(registerID).Purchase(t.Context(), decimal.NewFromInt(1))
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	_, err = client.Register(registerID).Start(t.Context(), "Terminal.GetStatus", nil)
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	_, err = client.Poll(t.Context(), smartconnect.Transaction{})
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	_, err = client.Await(t.Context(), smartconnect.Transaction{}, nil)
	require.ErrorIs(t, err, tillroute.ErrInvalid)
}
