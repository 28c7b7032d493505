package kseries_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/kseries"
	"github.com/tillroute/tillroute/pairing"
)

func TestNewNamesEveryProblem(t *testing.T) {
	for name, test := range map[string]struct {
		config   kseries.Config
		problems []string
	}{
		"nothing":     {kseries.Config{}, []string{"AccessToken"}},
		"both":        {kseries.Config{AccessToken: "x", Tokens: newTokens()}, []string{"both set"}},
		"half":        {kseries.Config{Tokens: newTokens()}, []string{"Account is missing", "OAuth.ClientID", "OAuth.ClientSecret"}},
		"odd":         {kseries.Config{AccessToken: "x", Environment: "demo", BaseURL: "x?y"}, []string{"Environment", "BaseURL"}},
		"odd version": {kseries.Config{Tokens: newTokens(), OAuth: kseries.OAuth{Version: 3, TokenURL: "x"}}, []string{"OAuth.Version", "OAuth.TokenURL"}},
		"mixed": {
			kseries.Config{Tokens: newTokens(), Environment: kseries.Trial, OAuth: kseries.OAuth{Environment: kseries.Production}},
			[]string{"an application works in one of them"},
		},
		"V2 as V1": {
			kseries.Config{Tokens: newTokens(), OAuth: kseries.OAuth{Version: kseries.V1, ClientID: "devp-v2-1"}},
			[]string{"that of a V2 application"},
		},
		"V1 as V2":   {kseries.Config{Tokens: newTokens(), OAuth: kseries.OAuth{ClientID: "devp-1"}}, []string{"that of a V1 application"}},
		"V1 in body": {kseries.Config{Tokens: newTokens(), OAuth: kseries.OAuth{Version: kseries.V1, SecretInBody: true}}, []string{"SecretInBody"}},
		"colon":      {kseries.Config{Tokens: newTokens(), OAuth: kseries.OAuth{ClientID: "a:b"}}, []string{"colon"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := kseries.New(test.config)
			require.ErrorIs(t, err, tillroute.ErrInvalid)
			for _, problem := range test.problems {
				require.ErrorContains(t, err, problem)
			}
		})
	}
}

func TestEnvironments(t *testing.T) {
	for name, test := range map[string]struct {
		config kseries.Config
		url    string
	}{
		"default":    {kseries.Config{}, "https://api.lsk.lightspeed.app/o/op/data/businesses"},
		"production": {kseries.Config{Environment: kseries.Production}, "https://api.lsk.lightspeed.app/o/op/data/businesses"},
		"trial":      {kseries.Config{Environment: kseries.Trial}, "https://api.trial.lsk.lightspeed.app/o/op/data/businesses"},
		"as OAuth": {
			kseries.Config{OAuth: kseries.OAuth{Environment: kseries.Trial}}, "https://api.trial.lsk.lightspeed.app/o/op/data/businesses",
		},
		"own": {kseries.Config{Environment: kseries.Trial, BaseURL: "http://localhost:1/x/"}, "http://localhost:1/x/o/op/data/businesses"},
	} {
		t.Run(name, func(t *testing.T) {
			var asked []string
			test.config.AccessToken = accessToken
			test.config.HTTP = tillroute.HTTPOptions{Retries: -1, Transport: transportFunc(func(r *http.Request) (*http.Response, error) {
				asked = append(asked, r.URL.String())
				return nil, http.ErrNotSupported
			})}
			client, err := kseries.New(test.config)
			require.NoError(t, err)
			_, err = client.Businesses.List(t.Context())
			require.Error(t, err)
			require.Equal(t, []string{test.url}, asked)
		})
	}
}

func TestZeroClientReturnsErrors(t *testing.T) {
	var client kseries.Client
	_, err := client.Businesses.List(t.Context())
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	_, err = client.Payments.Apply(t.Context(), payment())
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown)
}

func TestRegisterKey(t *testing.T) {
	require.Equal(t, pairing.Register{System: "kseries", Account: "45454565682155", ID: "table-2"}, kseries.RegisterKey(location, "table-2"))
}

func TestMissingScopeIsNamed(t *testing.T) {
	s := newServer(t, answer(http.StatusForbidden, `{"error":"Forbidden","message":"Access is denied","status":403}`))
	client := s.client(t)
	_, err := client.Checks.List(t.Context(), location)
	require.ErrorContains(t, err, "Access is denied: the access token needs the scope orders-api")
	_, err = client.Finance.PaymentMethods(t.Context(), location)
	require.ErrorContains(t, err, "scope financial-api")
	_, err = client.Staff.Get(t.Context(), location, 1)
	require.ErrorContains(t, err, "scope staff-api")
}
