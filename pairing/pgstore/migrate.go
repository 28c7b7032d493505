package pgstore

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/internal/refusal"
)

// migrations holds the statements that bring a schema from one version to the next: 0001_….sql to version 1, and so on
// without gaps. A file that was released is never changed. They have @ where the schema's name belongs.
//
//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the schema up to date, in one transaction that only one node has at a time. It may take as long as ctx
// allows.
func (s *Store) migrate(ctx context.Context, files fs.FS) error {
	names, err := fs.Glob(files, "migrations/*.sql")
	if err != nil {
		return err
	}
	// What is checked and what is written would not be told from what others wrote in between.
	var isolation string
	if err := s.pool.QueryRow(ctx, "SELECT current_setting('transaction_isolation')").Scan(&isolation); err != nil {
		return err
	}
	if isolation != "read committed" {
		return pairing.Errorf(tillroute.KindInvalid, nil,
			"transactions are %s by default: set default_transaction_isolation to read committed for this user", isolation)
	}
	// Who finds everything in place needs no right to make it.
	version, err := s.version(ctx, s.pool)
	if err != nil || version == int64(len(names)) {
		return err
	}
	if version > int64(len(names)) {
		return pairing.Errorf(tillroute.KindInvalid, nil,
			"the schema has version %d and this program knows versions up to %d: use a newer program", version, len(names))
	}
	err = s.upgrade(ctx, files, names)
	switch {
	case code(err) != noPrivilege:
		return err
	case version == none:
		return pairing.Errorf(tillroute.KindUnavailable, err,
			"its tables are not there and this user may not make them: open it once as one who may, then grant this one its use")
	default:
		return pairing.Errorf(tillroute.KindUnavailable, err,
			"it has version %d, this program needs version %d, and this user may not change it: open it once as the user who owns it",
			version, len(names))
	}
}

// upgrade applies what the schema lacks of names.
func (s *Store) upgrade(ctx context.Context, files fs.FS, names []string) error {
	raw, err := s.pool.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() {
		cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = raw.Rollback(cleanup)
	}()
	t := &tx{Tx: raw, store: s}
	if err := t.lock(ctx, "migrations", ""); err != nil {
		return err
	}
	version, err := s.version(ctx, t)
	if err != nil {
		return err
	}
	for _, name := range names[min(max(version, 0), int64(len(names))):] {
		if err := apply(ctx, t, files, max(version, 0)+1, name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		version = max(version, 0) + 1
	}
	if err := raw.Commit(ctx); err != nil {
		return refusal.Lost(err)
	}
	return nil
}

// querier is a pool or a transaction.
type querier interface {
	QueryRow(ctx context.Context, query string, args ...any) pgx.Row
}

// none is the version of a schema that has nothing of ours.
const none = -1

// version returns the version of the schema, or none. It refuses one in which another program has tables of our names.
func (s *Store) version(ctx context.Context, q querier) (version int64, err error) {
	var ours, taken bool
	if err := q.QueryRow(ctx, s.sql("SELECT"+
		" EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass($1 || 'migrations') AND attname = 'applied_at'),"+
		" EXISTS (SELECT FROM unnest($2::text[]) AS name WHERE to_regclass($1 || name) IS NOT NULL)"),
		s.schema+".", []string{"migrations", "pairings", "pairing_codes", "code_tries", "payments", "deliveries", "grants"},
	).Scan(&ours, &taken); err != nil {
		return 0, err
	}
	switch {
	case ours:
		err = q.QueryRow(ctx, s.sql("SELECT coalesce(max(version), 0) FROM @migrations")).Scan(&version)
		return version, err
	case taken:
		return 0, pairing.Errorf(tillroute.KindInvalid, nil,
			"schema %s has tables of another program under the names of ours: give the store a schema of its own", s.schema)
	default:
		return none, nil
	}
}

func apply(ctx context.Context, t *tx, files fs.FS, version int64, path string) error {
	name := strings.TrimPrefix(path, "migrations/")
	if !strings.HasPrefix(name, fmt.Sprintf("%04d_", version)) {
		return fmt.Errorf("migration %d is missing", version)
	}
	if version == 1 {
		if err := t.makeSchema(ctx); err != nil {
			return err
		}
		if _, err := t.exec(ctx, "CREATE TABLE @migrations ("+
			"version bigint PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL)"); err != nil {
			return err
		}
	}
	text, err := fs.ReadFile(files, path)
	if err != nil {
		return err
	}
	// Several statements at once go by the simple protocol alone.
	if _, err := t.Conn().PgConn().Exec(ctx, t.store.sql(string(text))).ReadAll(); err != nil {
		return err
	}
	_, err = t.exec(ctx, "INSERT INTO @migrations (version, name, applied_at) VALUES ($1, $2, now())", version, name)
	return err
}

// makeSchema makes the schema unless it is there. To ask for it with IF NOT EXISTS takes the right to make it all the same.
func (t *tx) makeSchema(ctx context.Context) error {
	var there bool
	if _, err := t.one(ctx, []any{&there}, "SELECT to_regnamespace($1) IS NOT NULL", t.store.schema); err != nil || there {
		return err
	}
	_, err := t.exec(ctx, "CREATE SCHEMA "+t.store.schema)
	return err
}
