package pgstore

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/pgtest"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/internal/batch"
)

// usual are the statements of the walk of a payment, and what is asked all the time beside it, with the arguments for
// one that is open, and for the terminal of one that is queued.
func usual(open pairing.Claim, queued pairing.Terminal) map[string]write {
	at := open.Payment.Terminal
	claim := []any{open.Payment.Seq, open.Payment.ID, open.Fence}
	end := endArgs(pairing.Result{Outcome: tillroute.Approved}, "")
	register := open.Payment.Register
	accept := func(id string) []any {
		return []any{id, register.System, register.Account, register.ID, "purchase", "12.50", "NZD", "", []byte{}}
	}
	several := acceptArgs([]*batch.Member[write]{{Write: write{args: accept("new 2")}}, {Write: write{args: accept("new 3")}}})
	return map[string]write{
		"accept":        {query: acceptPayment, args: accept("new 1")},
		"accept two":    {query: acceptPayments, args: several},
		"claim":         {query: claimPayment, args: []any{queued.Provider, queued.Serial, open.Owner, int64(1)}},
		"claim again":   {query: claimPayment, args: []any{at.Provider, at.Serial, open.Owner, int64(1)}},
		"renew":         {query: "UPDATE @payments SET lease_until = now(), note = $4 WHERE " + isHeld, args: append(claim, "x")},
		"handle":        {query: "UPDATE @payments SET state = 'sent', sent_at = now(), handle_token = $4 WHERE " + isHeld, args: append(claim, "x")},
		"finish":        {query: finishPayment, args: append(end, open.Payment.Seq, open.Payment.ID, open.Fence, open.Owner, int64(1))},
		"payment":       {query: selectPayment, args: []any{open.Payment.ID}},
		"pairing":       {query: selectPairing, args: []any{register.System, register.Account, register.ID}},
		"ahead":         {query: countAhead, args: []any{open.Payment.ID}},
		"ready":         {query: readyTerminals, args: []any{[]string{at.Provider}, int64(1000)}},
		"count":         {query: countPayments, args: []any{int64(1000)}},
		"begin webhook": {query: beginDelivery, args: []any{"source", "new", []byte("hash"), int64(1)}},
	}
}

// pages returns how many pages each statement touches, planned for its arguments and for any.
func pages(t *testing.T, s *Store, all map[string]write) map[string]int {
	t.Helper()
	touched := map[string]int{}
	for name, w := range all {
		for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
			touched[name+", "+mode] = explain(t, s, w, mode)
		}
	}
	return touched
}

func explain(t *testing.T, s *Store, w write, mode string) int {
	t.Helper()
	tx, err := s.pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, tx.Rollback(context.WithoutCancel(t.Context()))) }()
	perform := func(query string, args ...any) {
		t.Helper()
		_, err := tx.Exec(t.Context(), query, args...)
		require.NoError(t, err, query)
	}
	perform("SET LOCAL enable_seqscan = off")
	perform("SET LOCAL plan_cache_mode = " + mode)
	perform("PREPARE usual AS "+s.sql(w.query), pgx.QueryExecModeSimpleProtocol)
	var places []string
	for i := range w.args {
		places = append(places, "$"+strconv.Itoa(i+1))
	}
	var plan []byte
	for range 2 { // the first finds what is read once for each connection, and marks on pages what is dead
		perform("SAVEPOINT before")
		require.NoError(t, tx.QueryRow(t.Context(), "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE usual ("+strings.Join(places, ", ")+")",
			append([]any{pgx.QueryExecModeSimpleProtocol}, w.args...)...).Scan(&plan), w.query)
		perform("ROLLBACK TO before")
	}
	perform("DEALLOCATE usual")
	var found []struct {
		Plan struct {
			Hit  int `json:"Shared Hit Blocks"`
			Read int `json:"Shared Read Blocks"`
		} `json:"Plan"`
	}
	require.NoError(t, json.Unmarshal(plan, &found))
	return found[0].Plan.Hit + found[0].Plan.Read
}

// The history doesn't slow the queue: what is done all the time looks only at what is open.
func TestTheHistoryIsNotLookedAt(t *testing.T) {
	t.Parallel()
	const history, terminals = 20_000, 256
	s, err := Open(t.Context(), Config{DSN: tillroute.Secret(pgtest.URL(t)), Schema: pgtest.Schema(t), Timeout: time.Minute})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	terminal := func(serial string) pairing.Terminal {
		return pairing.Terminal{Provider: "smartconnect", Serial: serial}
	}
	for i, serial := range []string{"00000100", "00000100", "00000200"} {
		register := pairing.Register{System: "xseries", Account: "acme", ID: "till " + serial}
		_, err = s.PutPairing(t.Context(), pairing.Pairing{Register: register, Terminal: terminal(serial)}, -1)
		require.NoError(t, err)
		_, err = s.AcceptPayment(t.Context(), pairing.Request{
			ID: fmt.Sprint("open ", i), Register: register, Kind: pairing.Purchase, Amount: decimal.New(1250, -2), Currency: "NZD",
		})
		require.NoError(t, err)
	}
	claim, ok, err := s.ClaimPayment(t.Context(), terminal("00000100"), "me", time.Hour)
	require.NoError(t, err)
	require.True(t, ok)
	all := usual(claim, terminal("00000200"))
	before := pages(t, s, all)

	_, err = s.pool.Exec(t.Context(), s.sql("INSERT INTO @payments (seq, id, system, account, register, kind, amount, currency, provider, serial, state,"+
		" outcome, fence, accepted_at, sent_at, ended_at, handle_transaction_id, charged, receipt)"+
		" OVERRIDING SYSTEM VALUE SELECT -n, gen_random_uuid(), 'xseries', 'acme', n % $2, 'purchase', 12.50, 'NZD', 'smartconnect', lpad((n % $2)::text, 8, '0'), 'done',"+
		" 'approved', 1, now(), now(), now(), n, 12.50, repeat('x', 300) FROM generate_series(1, $1::int) n"), history, terminals)
	require.NoError(t, err)
	_, err = s.pool.Exec(t.Context(), s.sql("INSERT INTO @pairings (system, account, register, provider, serial, paired_at)"+
		" SELECT 'xseries', 'acme', n, 'smartconnect', lpad(n::text, 8, '0'), now() FROM generate_series(1, $1::int) n"), terminals)
	require.NoError(t, err)
	_, err = s.pool.Exec(t.Context(), s.sql("INSERT INTO @deliveries (source, key, hash, begun_at, lease_until, finished_at)"+
		" SELECT 'source', n, 'hash', now(), now(), now() FROM generate_series(1, $1::int) n"), history)
	require.NoError(t, err)
	_, err = s.pool.Exec(t.Context(), s.sql("VACUUM ANALYZE @payments"))
	require.NoError(t, err)
	for name, n := range pages(t, s, all) {
		// Each of the indexes is one or two pages deeper than one that is empty. The history has 1500 pages.
		require.LessOrEqual(t, n, before[name]+15, name)
	}
}
