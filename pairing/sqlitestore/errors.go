package sqlitestore

import (
	"context"
	"errors"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/internal/refusal"
)

// failed returns the error of the store for one of the database. Nothing was changed.
func failed(err error) error {
	if err == nil {
		return nil
	}
	if own, ok := errors.AsType[*tillroute.Error](err); ok {
		return own
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return refusal.Ended(err, tillroute.Failed)
	}
	kind, text := tillroute.KindUnavailable, "the database failed"
	switch code(err) {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		text = "the database is locked: another program holds it"
	case sqlite3.SQLITE_FULL:
		text = "the disk is full, or the database has reached its largest size"
	case sqlite3.SQLITE_READONLY:
		text = "the database can only be read: let this user write to the file and its folder"
	case sqlite3.SQLITE_CANTOPEN:
		text = "the file can't be opened: look at its path, and who may read and write it and its folder"
	case sqlite3.SQLITE_NOTADB:
		kind, text = tillroute.KindInvalid, "the file is not an SQLite database"
	case sqlite3.SQLITE_CORRUPT:
		text = "the database is damaged: restore it from a backup"
	case sqlite3.SQLITE_IOERR:
		text = "the disk failed"
	}
	return pairing.Errorf(kind, err, "%s", text)
}

// failedCommit returns the error of the store for one that came from a commit.
func failedCommit(err error) error {
	switch code(err) {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY:
		// SQLite gave up before it wrote the end of the transaction, so that nobody will ever see it.
		return failed(err)
	default:
		// The end of the transaction may have been written, though not durably: after a crash it may be there.
		e := pairing.Errorf(tillroute.KindUnavailable, err, "the database could not write this down for good")
		e.Outcome = tillroute.Unknown
		return e
	}
}

// code returns SQLite's primary result code, or 0 if err isn't from SQLite.
func code(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() & 0xff
	}
	return 0
}
