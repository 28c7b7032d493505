package sqlitestore

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

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

// A disk that is slow is no other process.
func TestOpenWaitsForTheDisk(t *testing.T) {
	t.Parallel()
	paired(t, Config{BusyTimeout: time.Nanosecond})
}

func TestManyOpenANewFileAtOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	stores, errs := make([]*Store, 16), make([]error, 16)
	var all sync.WaitGroup
	for i := range stores {
		all.Go(func() { stores[i], errs[i] = Open(t.Context(), Config{Path: path, BusyTimeout: 2 * time.Minute}) })
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
	require.EqualValues(t, len(schemas(t)), applied)
	for _, s := range stores {
		require.NoError(t, s.Close())
	}
}

// schemas returns the names of the migrations.
func schemas(t *testing.T) []string {
	t.Helper()
	names, err := fs.Glob(migrations, "migrations/*.sql")
	require.NoError(t, err)
	return names
}

// atVersion makes a database of an older version, and returns a connection such as a program of that version has.
func atVersion(t *testing.T, path string, version int) *conn {
	t.Helper()
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	c := other(t, path)
	require.NoError(t, c.begin(t.Context()))
	_, err := schemaVersion(t.Context(), c)
	require.NoError(t, err)
	for i, name := range schemas(t)[:version] {
		require.NoError(t, apply(t.Context(), c, int64(i)+1, name))
	}
	require.NoError(t, c.commit(t.Context()))
	return c
}

// rows returns the payments as a database has them, in the columns that are given.
func rows(t *testing.T, c *conn, columns []string) (list []string) {
	t.Helper()
	_, err := c.query(t.Context(), func(r *row) { list = append(list, r.text()) },
		"SELECT quote("+strings.Join(columns, ") || ',' || quote(")+") FROM payments ORDER BY seq")
	require.NoError(t, err)
	return list
}

func TestPaymentsFromBeforeThereWereMarks(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	old := atVersion(t, path, 1)
	const insert = "INSERT INTO payments (id, provider, serial, state, outcome, withdrawn, fence, owner, lease_until, not_before, ended_at," +
		" note, handle_token, charged, receipt, reason, resolved_by," +
		" system, account, register, kind, amount, currency, data, identity, accepted_at) VALUES "
	const request = ", 'xseries', 'acme', '1', 'purchase', '12.50', 'NZD', x'00ff', 'identity', '2026-01-02T03:04:05.678Z')"
	const past, future = "'2026-01-02T03:04:06.000Z'", "'9999-01-01T00:00:00.000Z'"
	for _, p := range []string{
		"('queued', 'p', '1', 'queued', 'unknown', 0, 0, '', NULL, NULL, NULL, '', '', '0', '', '', ''",
		"('queued again', 'p', '2', 'queued', 'unknown', 0, 1, 'w', NULL, " + future + ", NULL, 'busy', '', '0', '', '', ''",
		"('sending', 'p', '3', 'sending', 'unknown', 0, 1, 'w', " + past + ", NULL, NULL, '', '', '0', '', '', ''",
		"('sent', 'p', '4', 'sent', 'unknown', 0, 2, 'w', " + future + ", NULL, NULL, 'note', 's3cret', '0', '', '', ''",
		"('parked', 'p', '1', 'unknown', 'unknown', 0, 1, 'w', NULL, NULL, " + past + ", '', 's3cret', '0', '', 'no answer', ''",
		"('approved', 'p', '1', 'done', 'approved', 0, 1, 'w', NULL, NULL, " + past + ", '', 's3cret', '13.75', 'receipt', '', ''",
		"('declined', 'p', '1', 'done', 'declined', 0, 1, 'w', NULL, NULL, " + past + ", '', 's3cret', '0', '', 'no money', ''",
		"('withdrawn', 'p', '1', 'done', 'cancelled', 1, 0, '', NULL, NULL, " + past + ", '', '', '0', '', 'gone', ''",
		"('resolved', 'p', '1', 'done', 'approved', 0, 1, 'w', NULL, NULL, " + past + ", '', 's3cret', '12.50', '', 'seen', 'Ann'",
	} {
		run(t, old, insert+p+request)
	}
	var columns []string
	_, err := old.query(t.Context(), func(r *row) { columns = append(columns, r.text()) }, "SELECT name FROM pragma_table_info('payments')")
	require.NoError(t, err)
	before := rows(t, old, columns)

	s, err := Open(t.Context(), Config{Path: path})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.Equal(t, before, rows(t, old, columns))
	run(t, old, insert+"('late', 'p', '5', 'queued', 'unknown', 0, 0, '', NULL, NULL, NULL, '', '', '0', '', '', ''"+request)
	list, err := s.ListPayments(t.Context(), pairing.Filter{Marks: []string{""}}, 100)
	require.NoError(t, err)
	require.Len(t, list, 10)
	for _, p := range list {
		state := p.State
		p, err = s.MarkPayment(t.Context(), p.ID, "", "told")
		require.NoError(t, err)
		require.Equal(t, "told", p.Mark)
		require.Equal(t, state, p.State)
	}
	require.Equal(t, before, rows(t, old, columns)[:9])

	for _, c := range []struct {
		serial, id string
		fence      int64
	}{{"1", "queued", 1}, {"2", "", 0}, {"3", "sending", 2}, {"4", "", 0}, {"5", "late", 1}} {
		claim, _, err := s.ClaimPayment(t.Context(), pairing.Terminal{Provider: "p", Serial: c.serial}, "worker", time.Minute)
		require.NoError(t, err)
		require.Equal(t, c.id, claim.Payment.ID)
		require.Equal(t, c.fence, claim.Fence)
		require.Equal(t, c.id != "", claim.Payment.Mark == "told")
	}
	_, err = s.ResolvePayment(t.Context(), "parked", pairing.Resolution{Outcome: tillroute.Approved, By: "Ann", Reason: "seen"})
	require.NoError(t, err)
}
