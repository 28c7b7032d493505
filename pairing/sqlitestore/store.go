package sqlitestore

import (
	"context"
	"database/sql/driver"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"modernc.org/sqlite"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/internal/batch"
	"github.com/tillroute/tillroute/pairing/internal/refusal"
)

// Config says which database to open and how.
type Config struct {
	// Path is the file. It is made if it isn't there; its folder must be there. A name that begins with a colon, such as
	// :memory:, is refused. Required.
	Path string
	// BusyTimeout is how long to wait for another process that holds the database. Defaults to 5 s, also if it is negative.
	BusyTimeout time.Duration
}

// Store is a [pairing.Store] in an SQLite file. It is safe for concurrent use. [Open] makes one; the zero value is not usable.
type Store struct {
	group   group
	readers chan *conn // those that nobody uses
	opened  int        // how many readers there are
	closing chan struct{}
	close   sync.Once
}

var (
	_ pairing.Store   = (*Store)(nil)
	_ pairing.Counter = (*Store)(nil)
)

// readers is how many reads go on at once. They wait for the disk seldom.
const readers = 4

// Open opens the database, and makes it or brings it up to date first if need be.
//
// A file that is something else, and a database of a newer version than this package, are errors of kind Invalid, and left as
// they are. A file that can't be made, opened or written to, and a database that another program holds, are Unavailable.
func Open(ctx context.Context, c Config) (*Store, error) {
	if c.Path == "" || strings.HasPrefix(c.Path, ":") {
		return nil, pairing.Errorf(tillroute.KindInvalid, nil, "%q is not a path: name the database's file", c.Path)
	}
	if c.BusyTimeout <= 0 {
		c.BusyTimeout = 5 * time.Second
	}
	s, err := open(ctx, c)
	if err != nil {
		return nil, opening(c.Path, err)
	}
	return s, nil
}

// opening says which file an error was about.
func opening(path string, err error) error {
	var e *tillroute.Error
	if !errors.As(failed(err), &e) {
		return err
	}
	named := *e
	named.Operation = "opening " + strconv.Quote(path)
	return &named
}

func open(ctx context.Context, c Config) (_ *Store, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := create(c.Path); err != nil {
		return nil, err
	}
	s := &Store{readers: make(chan *conn, readers), closing: make(chan struct{})}
	s.group.queue = batch.New[do](1, s.group.commit)
	writer, err := connector(c, "mode=rw&_foreign_keys=1&_synchronous=FULL")
	if err != nil {
		return nil, err
	}
	if s.group.conn, err = connect(ctx, writer); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if err := migrate(ctx, s.group.conn); err != nil {
		return nil, err
	}
	if err := useLog(ctx, s.group.conn, c.BusyTimeout); err != nil {
		return nil, err
	}
	reader, err := connector(c, "mode=ro&_query_only=1")
	if err != nil {
		return nil, err
	}
	for range readers {
		r, err := connect(ctx, reader)
		if err != nil {
			return nil, err
		}
		s.readers <- r
		s.opened++
	}
	return s, nil
}

// create makes an empty file that only its owner can read, since it will hold secrets. SQLite would make it by the
// process's umask.
//
// The file gets its name when it is complete and closed: closing a file that SQLite has open in this process would
// take SQLite's locks away.
func create(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return pairing.Errorf(tillroute.KindUnavailable, err, "the file can't be made: its folder must be there and writable")
	}
	defer func() { _ = os.Remove(f.Name()) }()
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

func connector(c Config, query string) (driver.Connector, error) {
	path, err := filepath.Abs(c.Path)
	if err != nil {
		return nil, err
	}
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") { // C:/…
		path = "/" + path
	}
	dsn := url.URL{
		Scheme:   "file",
		Path:     path,
		RawQuery: query + "&_busy_timeout=" + strconv.FormatInt(c.BusyTimeout.Milliseconds(), 10),
	}
	return sqlite.NewConnector(dsn.String())
}

// Close waits for the writes and reads that are under way and closes the database. Close it when no router uses it any more.
func (s *Store) Close() error {
	var errs []error
	s.close.Do(func() {
		close(s.closing)
		errs = append(errs, s.group.close())
		for range s.opened {
			errs = append(errs, (<-s.readers).close())
		}
	})
	if err := errors.Join(errs...); err != nil {
		return failed(err)
	}
	return nil
}

// write has do written, together with what other callers write, and returns what it returned. See [group].
func write[T any](ctx context.Context, s *Store, do func(context.Context, *conn) (T, error)) (T, error) {
	var got, none T
	err := s.group.write(ctx, func(ctx context.Context, c *conn) (err error) {
		got, err = do(ctx, c)
		return err
	})
	if err != nil {
		return none, err // got may still be written to, if the context has ended
	}
	return got, nil
}

// read runs a query that changes nothing. It sees every write that has returned.
func (s *Store) read(ctx context.Context, scan func(*row), query string, args ...driver.Value) (n int, err error) {
	if err := ctx.Err(); err != nil {
		return 0, refusal.Ended(err, tillroute.Failed)
	}
	select {
	case <-s.closing:
		return 0, refusal.Closed()
	default:
	}
	select {
	case <-s.closing:
		return 0, refusal.Closed()
	case <-ctx.Done():
		return 0, refusal.Ended(ctx.Err(), tillroute.Failed)
	case c := <-s.readers:
		defer func() { s.readers <- c }()
		n, err := c.query(ctx, scan, query, args...)
		return n, failed(err)
	}
}
