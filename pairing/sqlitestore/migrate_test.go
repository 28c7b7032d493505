package sqlitestore

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

func TestNewFilesAreTheOwnersAlone(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s := paired(t, Config{Path: filepath.Join(folder, "a b?c=d#e%20f'.db")})
	files, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Len(t, files, 3, "the database, its log and the log's index")
	for _, f := range files {
		info, err := f.Info()
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode(), f.Name())
	}
	require.NoError(t, s.Close())
	files, err = os.ReadDir(folder)
	require.NoError(t, err)
	require.Len(t, files, 1, "the log ends when the database is closed")
}

func TestFileIsKeptAsItIs(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	require.NoError(t, os.WriteFile(path, nil, 0o640))
	require.NoError(t, paired(t, Config{Path: path}).Close())
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o640), info.Mode())
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	foreign := func(t *testing.T, path string, statements ...string) {
		t.Helper()
		require.NoError(t, os.WriteFile(path, nil, 0o600))
		c := other(t, path)
		for _, s := range statements {
			run(t, c, s)
		}
	}
	for _, c := range []struct {
		name string
		make func(t *testing.T, path string)
		kind error
		text string
	}{
		{"no path", func(*testing.T, string) {}, tillroute.ErrInvalid, "path"},
		{"a missing folder", func(t *testing.T, path string) {
			t.Helper()
			require.NoError(t, os.Remove(filepath.Dir(path)))
		}, tillroute.ErrUnavailable, "folder"},
		{"a folder", func(t *testing.T, path string) {
			t.Helper()
			require.NoError(t, os.Mkdir(path, 0o700))
		}, tillroute.ErrUnavailable, "can't be opened"},
		{"no database", func(t *testing.T, path string) {
			t.Helper()
			require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("not a database\n", 100)), 0o600))
		}, tillroute.ErrInvalid, "not an SQLite database"},
		{"another program's tables", func(t *testing.T, path string) {
			t.Helper()
			foreign(t, path, "CREATE TABLE payments (id TEXT)")
		}, tillroute.ErrInvalid, "belongs to another program"},
		{"another program's mark", func(t *testing.T, path string) {
			t.Helper()
			foreign(t, path, "PRAGMA application_id = 7")
		}, tillroute.ErrInvalid, "belongs to another program"},
		{"a newer version", func(t *testing.T, path string) {
			t.Helper()
			s := paired(t, Config{Path: path})
			run(t, s.group.conn, "INSERT INTO migrations VALUES (1000, 'new', '')")
			require.NoError(t, s.Close())
		}, tillroute.ErrInvalid, "version 1000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "folder", "test.db")
			require.NoError(t, os.Mkdir(filepath.Dir(path), 0o700))
			c.make(t, path)
			before, _ := os.ReadFile(path)
			config := Config{Path: path}
			if c.name == "no path" {
				config.Path = ""
			}
			_, err := Open(t.Context(), config)
			text := requireError(t, err, c.kind, tillroute.Failed)
			require.Contains(t, text, c.text)
			if config.Path != "" {
				require.Contains(t, text, "test.db")
			}
			after, _ := os.ReadFile(path)
			require.Equal(t, before, after, "the file was changed")
		})
	}
}

func TestOpenGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	path := filepath.Join(t.TempDir(), "test.db")
	_, err := Open(ctx, Config{Path: path})
	requireError(t, err, context.Canceled, tillroute.Failed)
	require.NoFileExists(t, path)
}

func TestManyOpenANewFileAtOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	stores, errs := make([]*Store, 16), make([]error, 16)
	var all sync.WaitGroup
	for i := range stores {
		all.Go(func() { stores[i], errs[i] = Open(t.Context(), Config{Path: path}) })
	}
	all.Wait()
	for i, s := range stores {
		require.NoError(t, errs[i])
		_, err := s.PutPairing(t.Context(), pairing.Pairing{Register: benchRegister(i)}, 0)
		require.NoError(t, err)
	}
	var applied int64
	_, err := stores[0].read(t.Context(), func(r *row) { applied = r.int() }, "SELECT count(*) FROM migrations")
	require.NoError(t, err)
	require.EqualValues(t, 2, applied)
	for _, s := range stores {
		require.NoError(t, s.Close())
	}
}
