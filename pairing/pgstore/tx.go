package pgstore

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
)

// tx is a transaction of several statements. It is for what is done seldom; see [group] for the rest.
type tx struct {
	pgx.Tx

	store *Store
	now   time.Time // when it began, by the database's clock
}

// attempts is how often a transaction is tried that the database undid because of others.
const attempts = 5

// transact runs do in a transaction and returns what it returned. An answer of the store, such as "not found", leaves
// what do has written as it is; an error of the database undoes it. Do may run several times.
func transact[T any](caller context.Context, s *Store, do func(context.Context, *tx) (T, error)) (got T, err error) {
	var none T
	ctx, end, err := s.begin(caller)
	if err != nil {
		return none, err
	}
	defer end()
	for try := 1; ; try++ {
		got, err = attempt(ctx, s, do)
		if try == attempts || !conflicted(err) {
			break
		}
	}
	if err != nil {
		return none, s.failed(caller, err)
	}
	return got, nil
}

func attempt[T any](ctx context.Context, s *Store, do func(context.Context, *tx) (T, error)) (got T, err error) {
	raw, err := s.pool.Begin(ctx)
	if err != nil {
		return got, err
	}
	// Of a connection that is lost, the server undoes what wasn't committed.
	defer func() {
		cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = raw.Rollback(cleanup)
	}()
	t := &tx{Tx: raw, store: s}
	if err := raw.QueryRow(ctx, "SELECT now(), set_config('lock_timeout', $1, true)", lockTimeout(s.timeout/2)).Scan(&t.now, nil); err != nil {
		return got, err
	}
	t.now = t.now.UTC()
	got, answer := do(ctx, t)
	if broken(answer) {
		return got, answer
	}
	if err := raw.Commit(ctx); err != nil {
		if !undone(err) {
			err = s.lost(err)
		}
		return got, err
	}
	return got, answer
}

// one runs a statement that returns a row or none, and reports whether there was one.
func (t *tx) one(ctx context.Context, dest []any, query string, args ...any) (bool, error) {
	err := t.QueryRow(ctx, t.store.sql(query), args...).Scan(dest...)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// exec runs a statement and returns how many rows it has changed.
func (t *tx) exec(ctx context.Context, query string, args ...any) (int64, error) {
	tag, err := t.Exec(ctx, t.store.sql(query), args...)
	return tag.RowsAffected(), err
}

// lock waits for other transactions with the same name of what, which have ended when it returns. It is for what has no
// row yet that could be locked.
func (t *tx) lock(ctx context.Context, what, name string) error {
	_, err := t.exec(ctx, "SELECT pg_advisory_xact_lock(hashtextextended($1, #))", what+" "+name)
	return err
}
