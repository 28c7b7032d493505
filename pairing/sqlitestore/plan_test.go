package sqlitestore

import (
	"database/sql/driver"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

// plan returns how SQLite goes about a statement.
func plan(t *testing.T, c *conn, query string) (steps string) {
	t.Helper()
	_, err := c.query(t.Context(), func(r *row) {
		r.int()
		r.int()
		r.int()
		steps += r.text() + "\n"
	}, "EXPLAIN QUERY PLAN "+query, make([]driver.Value, strings.Count(query, "?"))...)
	require.NoError(t, err)
	return steps
}

// The history doesn't slow the queue: what is done all the time looks only at what is open.
func TestQueriesUseTheirIndexes(t *testing.T) {
	t.Parallel()
	s := paired(t, Config{})
	list := func(states ...pairing.State) string {
		query, _, err := listPayments(pairing.Filter{States: states}, 1)
		require.NoError(t, err)
		return query
	}
	unmarked, _, err := listPayments(pairing.Filter{
		States: []pairing.State{pairing.Done}, Outcomes: []tillroute.Outcome{tillroute.Approved}, Marks: []string{""},
	}, 1)
	require.NoError(t, err)
	for _, c := range []struct {
		name, query string
		uses        []string
	}{
		{"turn", selectTurn, []string{"payments_turn (provider=? AND serial=?)"}},
		{"next", selectNext, []string{"payments_open (provider=? AND serial=?)"}},
		{"held", selectHeld, []string{"INTEGER PRIMARY KEY"}},
		{"end", endPayment + isHeld, []string{"INTEGER PRIMARY KEY"}},
		{"lookup", selectPayment, []string{"sqlite_autoindex_payments_1 (id=?)"}},
		{"ahead", countAhead, []string{
			"payments_turn (provider=? AND serial=?)", "payments_open (provider=? AND serial=? AND seq<?)",
		}},
		{"ready", readyTerminals, []string{
			"payments_open (provider=?)", "payments_open (provider=? AND serial>?)",
			"payments_turn (provider=? AND serial=?)", "payments_open (provider=? AND serial=?)",
		}},
		{"count", countPayments, []string{"payments_open", "payments_unknown"}},
		{"move", moveStatement, []string{"payments_open (provider=? AND serial=?)"}},
		{"list open", list(pairing.Queued, pairing.Sent), []string{"payments_open"}},
		{"list parked", list(pairing.Parked), []string{"payments_unknown"}},
		{"list unmarked", unmarked, []string{"INTEGER PRIMARY KEY (rowid>?)"}},
		{"list after", list(), []string{"INTEGER PRIMARY KEY (rowid>?)"}},
	} {
		got := plan(t, s.group.conn, c.query)
		for _, index := range c.uses {
			require.Contains(t, got, index, c.name)
		}
		require.NotContains(t, got, "SCAN payments\n", c.name)
	}
}
