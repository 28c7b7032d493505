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
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ended := make(chan error, 1)
			listen := func() {
				ended <- store.Notify(ctx, func(pairing.Terminal, bool) {})
			}
			go listen()
			if test.deaf {
				var err error
				select {
				case err = <-ended:
				case <-time.After(30 * time.Second):
				}
				require.ErrorIs(t, err, tillroute.ErrUnavailable)
				require.ErrorContains(t, err, "name in ListenDSN the way past it")
				go listen()
			}
			// It would be known by now.
			select {
			case err := <-ended:
				require.NoError(t, err, "it has been said, or there is nothing to say")
			case <-time.After(7 * time.Second):
			}
			cancel()
			require.ErrorIs(t, <-ended, tillroute.ErrCanceled)
		})
	}
}

// TestAGreetingIsNoNews is about those who hear what another store says to itself.
func TestAGreetingIsNoNews(t *testing.T) {
	t.Parallel()
	pgstore.Heard(`{"from":"somebody","hello":true}`, func(pairing.Terminal, bool) { t.Error("nothing has changed") })
}
