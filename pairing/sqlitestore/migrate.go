package sqlitestore

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"strings"
	"time"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

// migrations holds the statements that bring a database from one version to the next: 0001_….sql to version 1, and
// so on without gaps. A file that was released is never changed.
//
//go:embed migrations/*.sql
var migrations embed.FS

// applicationID marks the file as ours, for us and for file(1): "Till" in ASCII.
const applicationID = 0x54696c6c

// useLog switches the database to its write-ahead log. SQLite doesn't wait for other connections when it does so.
func useLog(ctx context.Context, c *conn, timeout time.Duration) error {
	late := time.NewTimer(timeout)
	defer late.Stop()
	for {
		var mode string
		_, err := c.one(ctx, func(r *row) { mode = r.text() }, "PRAGMA journal_mode = WAL")
		if err == nil && mode != "wal" {
			return pairing.Errorf(tillroute.KindInvalid, nil,
				"the database can't have a write-ahead log: put it on a local file system")
		}
		if code(err) != sqlite3.SQLITE_BUSY {
			return err
		}
		again := time.NewTimer(5 * time.Millisecond)
		select {
		case <-ctx.Done():
			again.Stop()
			return err
		case <-late.C:
			again.Stop()
			return err
		case <-again.C:
		}
	}
}

// migrate brings the schema up to date, in one transaction that only one process has at a time. If it fails, closing
// the connection undoes it.
func migrate(ctx context.Context, c *conn) error {
	if err := c.begin(ctx); err != nil {
		return err
	}
	version, err := schemaVersion(ctx, c)
	if err != nil {
		return err
	}
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	if version > int64(len(names)) {
		return pairing.Errorf(tillroute.KindInvalid, nil,
			"the database has version %d and this program knows versions up to %d: use a newer program", version, len(names))
	}
	for _, name := range names[version:] {
		version++
		if err := apply(ctx, c, version, name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	// A transaction that may write begins on a file that can only be read, too. A statement that writes nothing does not.
	if _, err := c.exec(ctx, "DELETE FROM migrations WHERE false"); err != nil {
		return err
	}
	return c.commit(ctx)
}

// schemaVersion returns the version of the database. It marks an empty one as ours, with version 0, and refuses one
// that belongs to another program.
func schemaVersion(ctx context.Context, c *conn) (version int64, err error) {
	var id, objects int64
	if _, err := c.one(ctx, func(r *row) { id = r.int() }, "PRAGMA application_id"); err != nil {
		return 0, err
	}
	if id == applicationID {
		_, err := c.one(ctx, func(r *row) { version = r.int() }, "SELECT coalesce(max(version), 0) FROM migrations")
		return version, err
	}
	if _, err := c.one(ctx, func(r *row) { objects = r.int() }, "SELECT count(*) FROM sqlite_schema"); err != nil {
		return 0, err
	}
	if id != 0 || objects != 0 {
		return 0, pairing.Errorf(tillroute.KindInvalid, nil,
			"the database belongs to another program: give the store a file of its own")
	}
	if _, err := c.exec(ctx, fmt.Sprintf("PRAGMA application_id = %d", applicationID)); err != nil {
		return 0, err
	}
	_, err = c.exec(ctx, `CREATE TABLE migrations (
    version    INTEGER PRIMARY KEY,
    name       TEXT NOT NULL,
    applied_at TEXT NOT NULL
) STRICT`)
	return 0, err
}

func apply(ctx context.Context, c *conn, version int64, path string) error {
	name := strings.TrimPrefix(path, "migrations/")
	if !strings.HasPrefix(name, fmt.Sprintf("%04d_", version)) {
		return fmt.Errorf("migration %d is missing", version)
	}
	text, err := migrations.ReadFile(path)
	if err != nil {
		return err
	}
	if _, err := c.exec(ctx, string(text)); err != nil {
		return err
	}
	_, err = c.exec(ctx, "INSERT INTO migrations (version, name, applied_at) VALUES (?, ?, ?)", version, name, c.timeNow())
	return err
}
