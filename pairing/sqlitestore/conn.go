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
	stmts  map[string]stmt
	args   []driver.NamedValue
	values []driver.Value
	now    time.Time    // when the transaction began, by SQLite's clock
	nowSQL driver.Value // the same for the database
}

type stmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

func connect(ctx context.Context, connector driver.Connector) (*conn, error) {
	raw, err := connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{raw: raw, stmts: map[string]stmt{}}, nil
}

// close closes the connection, and with it its statements.
func (c *conn) close() error {
	var errs []error
	for _, stmt := range c.stmts {
		errs = append(errs, stmt.Close())
	}
	return errors.Join(append(errs, c.raw.Close())...)
}

// begin begins a transaction that writes. While it lasts, the time is c.now.
func (c *conn) begin(ctx context.Context) error {
	if _, err := c.exec(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	if _, err := c.one(ctx, func(r *row) { c.now = r.time() }, "SELECT "+sqlNow); err != nil {
		c.rollback(ctx)
		return err
	}
	c.nowSQL = timeText(c.now)
	return nil
}

func (c *conn) commit(ctx context.Context) error {
	_, err := c.exec(ctx, "COMMIT")
	return err
}

// rollback undoes the transaction. After some errors SQLite has done so already, and says that there is none.
func (c *conn) rollback(ctx context.Context) { _, _ = c.exec(ctx, "ROLLBACK") }

// exec runs a statement that returns nothing. It returns how many rows it has changed.
func (c *conn) exec(ctx context.Context, query string, args ...driver.Value) (int64, error) {
	stmt, err := c.prepare(query, args)
	if err != nil {
		return 0, err
	}
	result, err := stmt.ExecContext(ctx, c.args)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// insert runs a statement that inserts a row, unless there is one already, and returns the number of the new row.
func (c *conn) insert(ctx context.Context, query string, args ...driver.Value) (number int64, ok bool, err error) {
	stmt, err := c.prepare(query, args)
	if err != nil {
		return 0, false, err
	}
	result, err := stmt.ExecContext(ctx, c.args)
	if err != nil {
		return 0, false, err
	}
	n, err := result.RowsAffected()
	if err != nil || n == 0 {
		return 0, false, err
	}
	number, err = result.LastInsertId()
	return number, true, err
}

// query runs a statement and calls scan with each row. It returns how many rows there were.
func (c *conn) query(ctx context.Context, scan func(*row), query string, args ...driver.Value) (n int, err error) {
	stmt, err := c.prepare(query, args)
	if err != nil {
		return 0, err
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
		if scan(&r); r.err != nil {
			return n, r.err
		}
	}
}

// one runs a statement that returns one row or none, and reports whether there was one.
func (c *conn) one(ctx context.Context, scan func(*row), query string, args ...driver.Value) (bool, error) {
	n, err := c.query(ctx, scan, query, args...)
	return n > 0, err
}

// prepare returns the statement, which it prepares only once, and puts its arguments into c.args.
func (c *conn) prepare(query string, args []driver.Value) (stmt, error) {
	c.args = c.args[:0]
	for i, arg := range args {
		c.args = append(c.args, driver.NamedValue{Ordinal: i + 1, Value: arg})
	}
	if known := c.stmts[query]; known != nil {
		return known, nil
	}
	prepared, err := c.raw.Prepare(query)
	if err != nil {
		return nil, err
	}
	s, ok := prepared.(stmt)
	if !ok {
		return nil, errors.Join(fmt.Errorf("the driver's %T is too old", prepared), prepared.Close())
	}
	c.stmts[query] = s
	return s, nil
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
	sqlNow     = `strftime('%Y-%m-%dT%H:%M:%fZ', 'now')`
)

func timeText(t time.Time) driver.Value { return t.UTC().Format(timeLayout) }

// timeNow returns the time for the database.
func (c *conn) timeNow() driver.Value { return c.nowSQL }

// timeAfter returns when d, which counts as nothing if it is negative, will have passed.
func (c *conn) timeAfter(d time.Duration) driver.Value { return timeText(c.now.Add(max(d, 0))) }

// timeBefore returns the time that was d ago.
func (c *conn) timeBefore(d time.Duration) driver.Value { return timeText(c.now.Add(-d)) }

// passed reports whether t is not in the future.
func (c *conn) passed(t time.Time) bool { return !c.now.Before(t) }

// amountText writes an amount in full, with the decimals that it came with.
func amountText(d decimal.Decimal) string {
	switch {
	case d == decimal.Decimal{}:
		return "0"
	case d.Exponent() < 0:
		return d.StringFixed(-d.Exponent())
	default:
		return d.String()
	}
}
