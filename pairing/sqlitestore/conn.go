package sqlitestore

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/shopspring/decimal"
	"github.com/tillroute/tillroute"
)

// conn is one connection with its prepared statements. One goroutine uses it at a time.
//
// It stands on database/sql/driver: the store has one connection that writes and a few that read, all open from
// beginning to end, so that a pool would only stand between a statement and its values.
type conn struct {
	raw    driver.Conn
	stmts  map[string]driver.StmtQueryContext
	args   []driver.NamedValue
	values []driver.Value
}

func connect(ctx context.Context, connector driver.Connector) (*conn, error) {
	raw, err := connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{raw: raw, stmts: map[string]driver.StmtQueryContext{}}, nil
}

// close closes the connection, and with it its statements.
func (c *conn) close() error {
	var errs []error
	for _, stmt := range c.stmts {
		if stmt, ok := stmt.(driver.Stmt); ok {
			errs = append(errs, stmt.Close())
		}
	}
	return errors.Join(append(errs, c.raw.Close())...)
}

// query runs a statement, which it prepares once, and calls scan with each row. It returns how many rows there were.
func (c *conn) query(ctx context.Context, scan func(*row), query string, args ...driver.Value) (n int, err error) {
	stmt := c.stmts[query]
	if stmt == nil {
		prepared, err := c.raw.Prepare(query)
		if err != nil {
			return 0, err
		}
		var ok bool
		if stmt, ok = prepared.(driver.StmtQueryContext); !ok {
			return 0, errors.Join(fmt.Errorf("the driver's %T can't query", prepared), prepared.Close())
		}
		c.stmts[query] = stmt
	}
	c.args = c.args[:0]
	for i, arg := range args {
		c.args = append(c.args, driver.NamedValue{Ordinal: i + 1, Value: arg})
	}
	rows, err := stmt.QueryContext(ctx, c.args)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for width := len(rows.Columns()); ; n++ {
		if len(c.values) < width {
			c.values = make([]driver.Value, width)
		}
		r := row{values: c.values[:width]}
		if err := rows.Next(r.values); errors.Is(err, io.EOF) {
			return n, nil
		} else if err != nil {
			return n, err
		}
		if scan != nil {
			scan(&r)
		}
		if r.err != nil {
			return n, r.err
		}
	}
}

// one runs a statement and scans the row that it returns, if it returns one.
func (c *conn) one(ctx context.Context, scan func(*row), query string, args ...driver.Value) (bool, error) {
	n, err := c.query(ctx, scan, query, args...)
	return n > 0, err
}

// exec runs a statement that returns nothing.
func (c *conn) exec(ctx context.Context, query string, args ...driver.Value) error {
	_, err := c.query(ctx, nil, query, args...)
	return err
}

// row hands out the values of a row, one after the other. The first that isn't what the schema promises ends it with
// an error.
type row struct {
	values []driver.Value
	err    error
}

func (r *row) next() driver.Value {
	if len(r.values) == 0 {
		r.err = errors.Join(r.err, errors.New("the row is too short"))
		return nil
	}
	v := r.values[0]
	r.values = r.values[1:]
	return v
}

func (r *row) wrong(v driver.Value, want string) {
	r.err = errors.Join(r.err, fmt.Errorf("the database holds a %T where %s belongs", v, want))
}

func (r *row) text() string {
	v := r.next()
	s, ok := v.(string)
	if !ok {
		r.wrong(v, "a text")
	}
	return s
}

func (r *row) secret() tillroute.Secret { return tillroute.Secret(r.text()) }

func (r *row) int() int64 {
	v := r.next()
	n, ok := v.(int64)
	if !ok {
		r.wrong(v, "a number")
	}
	return n
}

func (r *row) bool() bool { return r.int() != 0 }

// bytes returns nil for NULL and for nothing.
func (r *row) bytes() []byte {
	v := r.next()
	b, ok := v.([]byte)
	if !ok && v != nil {
		r.wrong(v, "a blob")
	}
	return b
}

func (r *row) amount() decimal.Decimal {
	text := r.text()
	if text == "0" {
		return decimal.Decimal{}
	}
	d, err := decimal.NewFromString(text)
	if err != nil {
		r.wrong(text, "an amount")
	}
	return d
}

// time returns the zero time for NULL.
func (r *row) time() time.Time {
	v := r.next()
	if v == nil {
		return time.Time{}
	}
	text, _ := v.(string)
	t, err := time.Parse(timeLayout, text)
	if err != nil {
		r.wrong(v, "a time")
	}
	return t
}

// The form of times in the database: of one width and in UTC, so that they compare as text.
const (
	timeLayout = "2006-01-02T15:04:05.000Z"
	sqlTime    = `strftime('%Y-%m-%dT%H:%M:%fZ', 'now')`
	sqlLater   = `strftime('%Y-%m-%dT%H:%M:%fZ', 'now', ?)` // takes what later returns
)

// later returns what makes sqlLater the time that is d after now. A negative d counts as nothing.
func later(d time.Duration) driver.Value { return shift(max(d, 0)) }

func shift(d time.Duration) driver.Value { return fmt.Sprintf("%+.3f seconds", d.Seconds()) }

// amountText writes an amount in full, with the decimals that it came with.
func amountText(d decimal.Decimal) string {
	if d.Exponent() < 0 {
		return d.StringFixed(-d.Exponent())
	}
	return d.String()
}
