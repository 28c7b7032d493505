package tillroute_test

import (
	"bytes"
	"context"
	"errors"
	"log"
	"log/slog"
	"net/http"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/kseries"
	"github.com/tillroute/tillroute/kseries/kseriestest"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/memstore"
	"github.com/tillroute/tillroute/paysera"
	"github.com/tillroute/tillroute/paysera/payseratest"
	"github.com/tillroute/tillroute/pms"
	"github.com/tillroute/tillroute/smartconnect"
	"github.com/tillroute/tillroute/smartconnect/smartconnecttest"
	"github.com/tillroute/tillroute/xseries"
	"github.com/tillroute/tillroute/xseries/xseriestest"
)

// notToBeUsed is a transport that belongs to the rest of the program.
type notToBeUsed struct{ t *testing.T }

func (n notToBeUsed) RoundTrip(r *http.Request) (*http.Response, error) {
	n.t.Errorf("the program's own transport was used for %s", r.URL.Path)
	return nil, errors.New("not to be used")
}

// TestWhatBelongsToTheProgramIsLeftAlone makes calls that succeed, fail and are lost, and looks whether the globals of the standard
// library were used or changed.
func TestWhatBelongsToTheProgramIsLeftAlone(t *testing.T) {
	transport, client, logs, output, flags := http.DefaultTransport, *http.DefaultClient, slog.Default(), log.Writer(), log.Flags()
	t.Cleanup(func() {
		http.DefaultTransport, *http.DefaultClient = transport, client
		slog.SetDefault(logs)
		log.SetOutput(output)
		log.SetFlags(flags)
	})
	mine := notToBeUsed{t: t}
	http.DefaultTransport, http.DefaultClient.Transport = mine, mine
	var logged bytes.Buffer
	program := slog.New(slog.NewTextHandler(&logged, nil))
	slog.SetDefault(program)

	terminals, shop, restaurant, wallet := smartconnecttest.New(t), xseriestest.New(t), kseriestest.New(t), payseratest.New(t)
	for _, lose := range []bool{false, true} {
		if lose {
			terminals.LoseReply()
			shop.LoseReply("", "")
			restaurant.LoseReply("", "")
			wallet.LoseReply("", "")
		}
		x, err := xseries.New(shop.Config())
		require.NoError(t, err)
		_, _ = x.Registers.List(t.Context(), xseries.ListOptions{})
		k, err := kseries.New(restaurant.Config())
		require.NoError(t, err)
		_, _ = k.Checks.List(t.Context(), restaurant.BusinessLocationID())
		p, err := paysera.New(wallet.Config())
		require.NoError(t, err)
		_, _ = p.Locations.List(t.Context(), paysera.LocationFilter{}, paysera.ListOptions{})
		h, err := pms.NewClient(pms.ClientConfig{
			Token:   func(context.Context) (tillroute.Secret, error) { return "no token", nil },
			BaseURL: "http://127.0.0.1:1", HTTP: tillroute.HTTPOptions{Retries: -1},
		})
		require.NoError(t, err)
		_, err = h.Providers.List(t.Context(), 1)
		require.ErrorIs(t, err, tillroute.ErrUnavailable)
		s, err := smartconnect.New(terminals.Config())
		require.NoError(t, err)
		_, _ = s.Register("11111111-2222-3333-4444-555555555555").Purchase(t.Context(), decimal.NewFromInt(1))
	}
	store := memstore.New(memstore.Config{})
	s, err := smartconnect.New(terminals.Config())
	require.NoError(t, err)
	router, err := pairing.New(pairing.Config{Store: store, Drivers: map[string]pairing.Driver{smartconnect.Provider: smartconnect.NewDriver(s)}})
	require.NoError(t, err)
	running, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- router.Run(running) }()
	code, err := terminals.Terminal().ShowCode()
	require.NoError(t, err)
	till := pairing.Register{System: "mypos", Account: "toys", ID: "till-1"}
	_, err = router.Pair(t.Context(), pairing.PairRequest{Register: till, Provider: smartconnect.Provider, Code: code})
	require.NoError(t, err)
	terminals.Terminal().SetAnswer(smartconnecttest.Approves)
	paid, err := router.Pay(t.Context(), pairing.Request{ID: "1", Register: till, Amount: decimal.NewFromInt(1), Currency: "NZD"})
	require.NoError(t, err)
	require.Equal(t, tillroute.Approved, paid.Outcome())
	stop()
	require.ErrorIs(t, <-ended, context.Canceled)
	require.NoError(t, store.Close())

	require.Same(t, program, slog.Default())
	require.Empty(t, logged.String(), "nobody was asked to log there")
	require.Equal(t, mine, http.DefaultTransport)
	require.Equal(t, http.Client{Transport: mine}, *http.DefaultClient)
}
