// Package pgstore keeps everything in PostgreSQL. It is the store for several nodes: any number of processes share one
// database, and when one dies the others go on with its payments.
//
//	store, err := pgstore.Open(ctx, pgstore.Config{DSN: "postgres://tillroute@db.internal/shop"})
//	if err != nil {
//		return err
//	}
//	defer store.Close()
//
// It needs PostgreSQL 13 or newer, no extension, and a user who may create the schema, or its tables if the schema is
// there; once they are made, the right to read and write them is enough (docs/operations.md has the grants). Its
// transactions must be read committed by default, as they are unless somebody has set default_transaction_isolation.
//
// # Durability
//
// A write returns when PostgreSQL has committed it: what is acknowledged survives what the server's synchronous_commit
// and its replicas let it survive. Leave the former on.
//
// If the database can't be reached, or refuses, the error is of kind Unavailable and its outcome Failed: nothing was
// written, and the call may be repeated. If the connection is lost, the database takes longer than Config.Timeout, or
// the caller's context ends while a write is being committed, the outcome is Unknown: it may be there. Every method that
// takes a key, a version or a claim may be repeated then: it takes effect once, though a repetition may be
// refused because of it. A router repeats what must not be lost. What the database undid because of other
// transactions (deadlocks, serialization failures) is tried again before anybody hears of it.
//
// # Concurrency
//
// A store may be used by any number of goroutines. Submissions, claims, outcomes and webhook keys of concurrent callers
// travel together and are committed together; each of them still succeeds or fails on its own. Of two payments for one
// terminal, the one that was accepted first is seen first by everybody: whoever accepts holds a lock on the terminal's
// queue until the commit. A partial unique index makes two payments in flight on one terminal impossible.
//
// Payments of different terminals may be committed in another order than that of Seq. Who walks through all payments
// with After in [pairing.Filter] therefore begins some seconds before where they stopped.
//
// Leases and expiry run on the database's clock alone.
//
// # Nodes
//
// Nodes tell each other what changed by LISTEN and NOTIFY on a connection beside the pool's, outside the transactions in
// which it changed, and ask regularly all the same (PollInterval of [pairing.Config]). Any node may accept a payment,
// and any may wait for it.
//
// # Behind a proxy
//
// Through a proxy that pools transactions, such as PgBouncer, add default_query_exec_mode=cache_describe to the DSN, or
// pgx would use prepared statements of a name, which such a proxy may not know. To listen takes a connection of its own,
// past the proxy: name it in Config.ListenDSN. Without it nodes find by polling what others did, and a router logs a warning once:
// a store sees whether it hears itself.
//
// # What an operator can read
//
// The tables and columns have the names that they have in SQLite; \d+ of psql prints what they are for:
//
//	SELECT seq, id, state, provider, serial, note FROM tillroute.payments WHERE ended_at IS NULL;
//	SELECT seq, id, amount, currency, reason FROM tillroute.payments WHERE outcome = 'unknown' AND ended_at IS NOT NULL;
//	SELECT seq, id, charged, currency FROM tillroute.payments WHERE seq > 0 AND outcome = 'approved' AND mark = '';
//	SELECT * FROM tillroute.pairings WHERE unpaired_at IS NULL;
//
// The first two have an index. Everything else is looked for in the history, in the order of seq: begin after a seq
// that was looked at before once there are millions.
//
// Don't write to it: payments that wait for a person are resolved through the router. A transaction that is left open
// on these tables holds up the terminals whose payments it has locked.
package pgstore
