package pgstore

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/internal/refusal"
)

// The conditions of https://www.postgresql.org/docs/current/errcodes-appendix.html that are told apart.
const (
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	lockNotAvailable     = "55P03"
	uniqueViolation      = "23505"
	readOnlyTransaction  = "25006"
	diskFull             = "53100"
	tooManyConnections   = "53300"
	notInRepertoire      = "22021"
	noDatabase           = "3D000"
	noPrivilege          = "42501"
	noTable              = "42P01"
	noColumn             = "42703"
)

// failed returns the error of the store for one of the database. Nothing was changed, unless the error itself says
// otherwise.
func (s *Store) failed(caller context.Context, err error) error {
	if err == nil {
		return nil
	}
	own, known := errors.AsType[*tillroute.Error](err)
	if ended := caller.Err(); ended != nil && (!known || own.Outcome == tillroute.Unknown) {
		o := tillroute.Failed
		if known {
			o = own.Outcome
		}
		return refusal.Ended(ended, o)
	}
	if known {
		return own
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return pairing.Errorf(tillroute.KindUnavailable, nil, "the database did not answer within %s", s.timeout)
	}
	kind, text := tillroute.KindUnavailable, "the database can't be reached"
	if code := code(err); code != "" {
		text = "the database refused"
		switch {
		case conflicted(err):
			text = "other transactions came in between, again and again"
		case code == lockNotAvailable:
			text = "somebody else holds a lock on what is to be changed: look for transactions that were left open"
		case code == readOnlyTransaction:
			text = "the database can only be read: connect to the primary"
		case code == diskFull:
			text = "the database's disk is full"
		case code == tooManyConnections:
			text = "the database has too many connections: give it more, or the pools fewer"
		case code == notInRepertoire:
			kind, text = tillroute.KindInvalid, "a text has characters that the database can't keep"
		case code == noDatabase:
			text = "there is no such database: make it first"
		case code == noPrivilege:
			text = "the database's user has not the right to do this: grant it"
		case code == noTable, code == noColumn:
			text = "the tables in schema " + s.schema + " are not those that this program made"
		case strings.HasPrefix(code, "28"):
			text = "the database does not accept this user and password"
		case strings.HasPrefix(code, "57P"):
			text = "the database is being shut down or started"
		}
	}
	return pairing.Errorf(kind, err, "%s", text)
}

// lost returns the error of a write whose end is not known because of err.
func (s *Store) lost(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		err = errors.New("it did not answer within " + s.timeout.String()) // or it would match as if the caller's time had passed
	}
	return refusal.Lost(err)
}

// conflicted reports whether the database undid a transaction because of others, so that it may be tried again.
func conflicted(err error) bool {
	switch code(err) {
	case serializationFailure, deadlockDetected, uniqueViolation:
		return true
	default:
		return false
	}
}

// broken reports whether err came from the database, as opposed to an answer of the store.
func broken(err error) bool {
	if err == nil {
		return false
	}
	_, ok := errors.AsType[*tillroute.Error](err)
	return !ok
}

// undone reports whether an error that ended a commit says that nothing was committed: the server refused, or never
// heard of it. Of a server that is dying it is not known.
func undone(err error) bool {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.SeverityUnlocalized == "ERROR"
	}
	return errors.Is(err, pgx.ErrTxCommitRollback) || pgconn.SafeToRetry(err)
}

// code returns the server's code, or "" if err isn't from the server.
func code(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

// lockTimeout is how long a statement waits for another transaction, in the form of a setting.
func lockTimeout(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// micros is a duration for the database, which counts as nothing if it is negative.
func micros(d time.Duration) int64 { return max(d, 0).Microseconds() }
