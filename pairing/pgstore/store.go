package pgstore

import (
	"context"
	"crypto/rand"
	"errors"
	"hash/fnv"
	"io/fs"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/internal/batch"
	"github.com/tillroute/tillroute/pairing/internal/refusal"
)

// Config says which database to open and how.
type Config struct {
	// DSN is where the database is, as a URL (postgres://user@host/database) or as keywords (host=… dbname=…). It may
	// hold a password, and also settings of the pool and of pgx, such as pool_max_conns: at least 4, by default 16 or
	// the number of processors if that is more. Required unless Pool is set.
	DSN tillroute.Secret
	// Pool is used in place of DSN, and is not closed by the store. It needs at least four connections. Set one of the two.
	Pool *pgxpool.Pool
	// ListenDSN is where to listen for what other nodes do, if DSN leads to a proxy that pools transactions, such as
	// PgBouncer: a connection that listens has to go past it. Defaults to the database of DSN or Pool. See the
	// package's documentation.
	ListenDSN tillroute.Secret
	// Schema is the schema that the tables are in. It is made if it isn't there. Defaults to "tillroute"; up to 63
	// bytes.
	Schema string
	// Timeout is how long the database may take for one call. A write that takes longer has the outcome Unknown once
	// it was sent. Defaults to 5 s; at least 100 ms.
	Timeout time.Duration
}

// Store is a [pairing.Store] in PostgreSQL. It is safe for concurrent use. [Open] makes one; the zero value is not usable.
type Store struct {
	pool    *pgxpool.Pool
	owned   bool // the pool is ours to close
	listen  *pgx.ConnConfig
	prepare func(context.Context, *pgx.ConnConfig) error // the pool's, for what is needed anew each time
	schema  string                                       // quoted
	channel string
	timeout time.Duration
	number  int64    // of the schema, by which its locks are told from those of others
	queries sync.Map // those with @ and #, by what is sent

	group     group
	news      news
	id        string       // tells this store from those of other nodes
	listeners atomic.Int64 // how many calls of Notify hear
	deaf      atomic.Bool  // it was said that they hear nothing
	closing   chan struct{}

	open   sync.RWMutex // held for reading by each call
	closed bool
}

var (
	_ pairing.Store    = (*Store)(nil)
	_ pairing.Notifier = (*Store)(nil)
	_ pairing.Counter  = (*Store)(nil)
)

// lanes is how many groups of writes are under way at once: while one is made durable, the next is sent.
const lanes = 2

// Open connects to the database, and makes the schema or brings it up to date first if need be. Any number of nodes may
// do so at once.
//
// A schema in which another program has tables of the same names, and one of a newer version than this package, are errors of
// kind Invalid, and left as they are. So is a database whose transactions aren't read committed. A database that can't be reached,
// or doesn't let the user in, is Unavailable.
func Open(ctx context.Context, c Config) (*Store, error) { return open(ctx, c, migrations) }

func open(ctx context.Context, c Config, migrations fs.FS) (*Store, error) {
	s, err := configure(c)
	if err != nil {
		return nil, err
	}
	if err := s.connect(ctx, c); err != nil {
		return nil, s.opening(ctx, err)
	}
	if err := s.migrate(ctx, migrations); err != nil {
		_ = s.Close() // it never fails
		return nil, s.opening(ctx, err)
	}
	return s, nil
}

func configure(c Config) (*Store, error) {
	invalid := func(text string) error { return pairing.Errorf(tillroute.KindInvalid, nil, "%s", text) }
	if c.Schema == "" {
		c.Schema = "tillroute"
	}
	if c.Timeout == 0 {
		c.Timeout = 5 * time.Second
	}
	switch {
	case (c.DSN == "") == (c.Pool == nil):
		return nil, invalid("say where the database is: set either DSN or Pool")
	case len(c.Schema) > 63 || !utf8.ValidString(c.Schema) || strings.ContainsAny(c.Schema, "\x00@"):
		return nil, invalid("Schema is not a name that a schema can have")
	case strings.HasPrefix(c.Schema, "pg_"):
		return nil, invalid("Schema is a name that PostgreSQL keeps for itself: names with pg_ are its own")
	case c.Timeout < 100*time.Millisecond:
		return nil, invalid("Timeout must be at least 100ms")
	case c.Pool != nil && c.Pool.Config().MaxConns < lanes+2:
		return nil, invalid("Pool needs at least four connections")
	}
	s := &Store{
		schema: pgx.Identifier{c.Schema}.Sanitize(), channel: "tillroute:" + c.Schema, timeout: c.Timeout,
		closing: make(chan struct{}), id: rand.Text(),
	}
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(c.Schema)) // it never fails
	s.number = int64(sum.Sum64() >> 1)
	if len(s.channel) > 63 {
		s.channel = "tillroute:" + strconv.FormatInt(s.number, 36) // PostgreSQL takes no longer name
	}
	s.group = group{store: s}
	s.group.queue = batch.New[write](lanes, s.group.commit)
	s.news = newNews(s.announce)
	return s, nil
}

func (s *Store) connect(ctx context.Context, c Config) error {
	s.pool = c.Pool
	if c.Pool == nil {
		config, err := pgxpool.ParseConfig(c.DSN.Reveal())
		if err != nil {
			return unreadable("DSN") // without the cause, which repeats what it can't read
		}
		if !strings.Contains(c.DSN.Reveal(), "pool_max_conns") {
			config.MaxConns = max(config.MaxConns, 16)
		}
		config.MaxConns = max(config.MaxConns, lanes+2)
		// Behind a proxy, what somebody else listened to would be kept for nobody to read.
		config.ConnConfig.OnNotification = func(*pgconn.PgConn, *pgconn.Notification) {}
		if s.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
			return err
		}
		s.owned = true
	}
	s.listen, s.prepare = s.pool.Config().ConnConfig.Copy(), s.pool.Config().BeforeConnect
	if c.ListenDSN != "" {
		listen, err := pgx.ParseConfig(c.ListenDSN.Reveal())
		if err != nil {
			_ = s.Close() // it never fails
			return unreadable("ListenDSN")
		}
		s.listen, s.prepare = listen, nil
	}
	s.listen.OnNotification = nil
	return nil
}

func unreadable(name string) error {
	return pairing.Errorf(tillroute.KindInvalid, nil,
		"%s is neither a URL (postgres://user@host/database) nor keywords (host=… dbname=…)", name)
}

// opening says what an error was about.
func (s *Store) opening(ctx context.Context, err error) error {
	e, ok := errors.AsType[*tillroute.Error](s.failed(ctx, err))
	if !ok {
		return err
	}
	named := *e
	named.Operation = "opening schema " + s.schema
	return &named
}

// Close waits for the writes and reads that are under way and closes the connections, but those of a Pool that was
// given. From a database that says nothing it takes leave for up to 15 s.
func (s *Store) Close() error {
	s.open.Lock()
	first := !s.closed
	s.closed = true
	s.open.Unlock()
	if !first {
		return nil
	}
	close(s.closing)
	s.group.close()
	s.news.close()
	if s.owned {
		s.pool.Close()
	}
	return nil
}

// begin begins a call, or says why there can be none. Its context ends when the database has taken too long.
func (s *Store) begin(ctx context.Context) (_ context.Context, end func(), err error) {
	if err := ctx.Err(); err != nil {
		return ctx, nil, refusal.Ended(err, tillroute.Failed)
	}
	if !s.open.TryRLock() {
		return ctx, nil, refusal.Closed()
	}
	if s.closed {
		s.open.RUnlock()
		return ctx, nil, refusal.Closed()
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	return ctx, func() {
		cancel()
		s.open.RUnlock()
	}, nil
}

// sql returns a statement with the schema where it has @, and its number where it has #.
func (s *Store) sql(query string) string {
	if known, ok := s.queries.Load(query); ok {
		return known.(string) //nolint:forcetypeassert // nothing else is stored.
	}
	full := strings.NewReplacer("@", s.schema+".", "#", strconv.FormatInt(s.number, 10)).Replace(query)
	s.queries.Store(query, full)
	return full
}

// one reads the row that a query returns, into dest, and reports whether there was one. It sees every write that has
// returned.
func (s *Store) one(caller context.Context, dest []any, query string, args ...any) (bool, error) {
	ctx, end, err := s.begin(caller)
	if err != nil {
		return false, err
	}
	defer end()
	err = s.pool.QueryRow(ctx, s.sql(query), args...).Scan(dest...)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	return err == nil, s.failed(caller, err)
}

// first reads the row that a query returns, and reports whether there was one. It sees every write that has returned.
func first[T any](
	caller context.Context, s *Store, read func(pgx.Rows) (T, error), query string, args ...any,
) (got T, ok bool, err error) {
	ctx, end, err := s.begin(caller)
	if err != nil {
		return got, false, err
	}
	defer end()
	rows, err := s.pool.Query(ctx, s.sql(query), args...)
	if err != nil {
		return got, false, s.failed(caller, err)
	}
	got, ok, err = firstOf(rows, read)
	return got, ok, s.failed(caller, err)
}

// firstOf reads the first of rows, if there is one, and closes them.
func firstOf[T any](rows pgx.Rows, read func(pgx.Rows) (T, error)) (got T, ok bool, err error) {
	var none T
	defer rows.Close()
	if ok = rows.Next(); ok {
		if got, err = read(rows); err != nil {
			return none, false, err
		}
	}
	rows.Close()
	if err := rows.Err(); err != nil {
		return none, false, err
	}
	return got, ok, nil
}

// list reads the rows that a query returns.
func list[T any](
	caller context.Context, s *Store, read func(pgx.Rows) (T, error), query string, args ...any,
) ([]T, error) {
	ctx, end, err := s.begin(caller)
	if err != nil {
		return nil, err
	}
	defer end()
	rows, err := s.pool.Query(ctx, s.sql(query), args...)
	if err != nil {
		return nil, s.failed(caller, err)
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		one, err := read(rows)
		if err != nil {
			return nil, s.failed(caller, err)
		}
		all = append(all, one)
	}
	return all, s.failed(caller, rows.Err())
}
