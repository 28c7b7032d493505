package pgstore_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/pgtest"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/pairingtest"
	"github.com/tillroute/tillroute/pairing/pgstore"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) { os.Exit(pgtest.Exit(code)) }))
}

// opened is a store and where it is.
type opened struct {
	*pgstore.Store

	config pgstore.Config
}

func open(t *testing.T, c pgstore.Config) *opened {
	t.Helper()
	s, err := pgstore.Open(t.Context(), c)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return &opened{s, c}
}

func config(t *testing.T) pgstore.Config {
	t.Helper()
	return pgstore.Config{DSN: tillroute.Secret(pgtest.URL(t)), Schema: pgtest.Schema(t)}
}

func harness(config func(t *testing.T) pgstore.Config) pairingtest.Harness {
	return pairingtest.Harness{
		Open: func(t *testing.T) pairing.Store {
			t.Helper()
			return open(t, config(t))
		},
		Reopen: func(t *testing.T, s pairing.Store) pairing.Store {
			t.Helper()
			require.NoError(t, s.Close())
			return open(t, s.(*opened).config)
		},
	}
}

func TestStore(t *testing.T) {
	t.Parallel()
	pairingtest.TestStore(t, harness(config))
}

func FuzzStore(f *testing.F) {
	pairingtest.FuzzStore(f, harness(config))
}
