package sqlitestore_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/pairingtest"
	"github.com/tillroute/tillroute/pairing/sqlitestore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// opened is a store and where it is.
type opened struct {
	*sqlitestore.Store

	path string
}

func open(t *testing.T, path string) *opened {
	t.Helper()
	s, err := sqlitestore.Open(t.Context(), sqlitestore.Config{Path: path})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return &opened{s, path}
}

func harness() pairingtest.Harness {
	return pairingtest.Harness{
		Open: func(t *testing.T) pairing.Store {
			t.Helper()
			return open(t, filepath.Join(t.TempDir(), "tillroute.db"))
		},
		Reopen: func(t *testing.T, s pairing.Store) pairing.Store {
			t.Helper()
			require.NoError(t, s.Close())
			return open(t, s.(*opened).path)
		},
	}
}

func TestStore(t *testing.T) {
	t.Parallel()
	pairingtest.TestStore(t, harness())
}

func FuzzStore(f *testing.F) {
	pairingtest.FuzzStore(f, harness())
}
