package pgstore_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/pgstore"
)

// TestWhoHearsNothingSaysSoOnce has nodes listen through a proxy that pools transactions, and past it.
func TestWhoHearsNothingSaysSoOnce(t *testing.T) {
	t.Parallel()
	direct := config(t)
	past, through := direct, direct
	through.DSN = proxy(t)
	past.ListenDSN, past.DSN = direct.DSN, through.DSN
	for name, test := range map[string]struct {
		config pgstore.Config
		deaf   bool
	}{
		"directly": {direct, false}, "past the proxy": {past, false}, "through the proxy": {through, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := open(t, test.config)
			if test.deaf {
				err := said(t, store, 2*time.Minute)
				require.ErrorIs(t, err, tillroute.ErrUnavailable)
				require.ErrorContains(t, err, "name in ListenDSN the way past it")
			}
			// It would be known by then.
			err := said(t, store, 7*time.Second)
			for range 2 {
				if err != nil && !test.deaf {
					// The machine may have stood still meanwhile: then a store has heard nothing.
					err = said(t, open(t, test.config), 7*time.Second)
				}
			}
			require.NoError(t, err, "it has been said, or there is nothing to say")
		})
	}
}

// said returns what a store that listens for so long says, or nil.
func said(t *testing.T, s *opened, long time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- s.Notify(ctx, func(pairing.Terminal, bool) {}) }()
	select {
	case err := <-ended:
		return err
	case <-time.After(long):
	}
	cancel()
	require.ErrorIs(t, <-ended, tillroute.ErrCanceled)
	return nil
}

// TestAGreetingIsNoNews is about those who hear what another store says to itself.
func TestAGreetingIsNoNews(t *testing.T) {
	t.Parallel()
	pgstore.Heard(`{"from":"somebody","hello":true}`, func(pairing.Terminal, bool) { t.Error("nothing has changed") })
}
