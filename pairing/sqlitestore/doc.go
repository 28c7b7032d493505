// Package sqlitestore keeps everything in one SQLite file. It is the store for a program that runs on one machine:
// it needs no server, and what it has acknowledged survives a crash and a loss of power.
//
//	store, err := sqlitestore.Open(ctx, sqlitestore.Config{Path: "tillroute.db"})
//	if err != nil {
//		return err
//	}
//	defer store.Close()
//
// # Durability
//
// A write returns when SQLite has flushed it to the disk (write-ahead log, synchronous=FULL). If the disk is full or
// another program holds the database, the error is of kind Unavailable and its outcome Failed: nothing was written,
// and the call may be repeated. If the disk fails while a write is being made durable, or the caller's context ends
// then, the outcome is Unknown: it may be there.
//
// Because of the latter, give calls that claim a payment a context that doesn't end just because the program is
// asked to stop.
//
// # Concurrency
//
// A store may be used by any number of goroutines, and a file by several processes, on a local file system. Writes
// of concurrent callers are made durable together, since one flush of the disk costs as much as many; each of them
// still succeeds or fails on its own. The store has no goroutine while nothing is written.
//
// Leases and expiry run on the clock of the machine.
//
// # Files
//
// Beside the database, SQLite keeps a log and an index of it while the database is open, under the same name with
// -wal and -shm added. The three belong together: copy them only while no program has the database open, or use
// sqlite3's .backup command, which works at any time. New files can be read and written by their owner alone, as
// they hold secrets. The schema is brought up to date when the database is opened; a database of a newer version is
// refused.
//
// # What an operator can read
//
// The schema, which .schema of sqlite3 prints with its comments, is meant to be read:
//
//	SELECT seq, id, state, provider, serial, note FROM payments WHERE state IN ('queued', 'sending', 'sent');
//	SELECT seq, id, amount, currency, reason FROM payments WHERE state = 'unknown';
//	SELECT seq, id, charged, currency FROM payments WHERE seq > 0 AND outcome = 'approved' AND mark = '';
//	SELECT * FROM pairings WHERE unpaired_at IS NULL;
//
// What is open or waits for a person has an index. Everything else, such as approved payments without a mark, is
// looked for in the history, in the order of seq: begin after a seq that was looked at before (After in
// [pairing.Filter]) once there are millions. An index on marks would make every payment slower for it.
//
// Don't write to it: payments that wait for a person are resolved through the router. docs/operations.md of the module has
// the few statements that are safe where no program is at hand, and what to know about backups.
package sqlitestore
