package pgstore_test

import (
	"fmt"
	"io/fs"
	"strconv"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/pgstore"
)

// tables are all of a schema but migrations.
func tables() []string {
	return []string{"pairings", "pairing_codes", "code_tries", "payments", "deliveries", "grants"}
}

// fill writes a row into each table, and payments in every state.
func fill(t *testing.T, s *opened) {
	t.Helper()
	ctx := t.Context()
	for i := range int64(5) { // 0 is approved, 1 parked, 2 sent, 3 queued behind it, 4 being sent
		_, err := s.AcceptPayment(ctx, benchRequest([]int{0, 1, 2, 2, 3}[i], i))
		require.NoError(t, err)
	}
	for i := range 4 {
		claim, ok, err := s.ClaimPayment(ctx, benchTerminal(i), "me", time.Hour)
		require.NoError(t, err)
		require.True(t, ok)
		if i == 3 {
			continue
		}
		require.NoError(t, s.SavePaymentHandle(ctx, claim, pairing.Handle{TransactionID: "t", Token: "token"}))
		if i < 2 {
			_, _, err = s.FinishPayment(ctx, claim, pairing.Result{Outcome: []tillroute.Outcome{tillroute.Approved, tillroute.Unknown}[i]}, 0)
			require.NoError(t, err)
		}
	}
	_, err := s.PutCode(ctx, pairing.Code{Text: "CODE", Terminal: benchTerminal(0)}, time.Hour)
	require.NoError(t, err)
	_, err = s.RedeemCode(ctx, "WRONG", pairing.Pairing{Register: benchRegister(9)}, pairing.Tries{Key: "acme", Max: 5, Window: time.Hour})
	require.ErrorIs(t, err, pairing.ErrWrongCode)
	_, err = s.BeginDelivery(ctx, "kseries", "key", []byte("hash"), time.Hour)
	require.NoError(t, err)
	_, err = s.PutGrant(ctx, pairing.Grant{System: "xseries", Account: "acme", AccessToken: "a", RefreshToken: "r"}, 0)
	require.NoError(t, err)
}

// contents returns the rows of each table as JSON, without the columns that some have more.
func contents(t *testing.T, conn *pgx.Conn, schema string, without ...string) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for _, table := range tables() {
		rows, err := conn.Query(t.Context(), "SELECT (to_jsonb(t) - $1::text[])::text FROM "+schema+"."+table+" t ORDER BY 1",
			append([]string{}, without...))
		require.NoError(t, err)
		all[table], err = pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		require.NotEmpty(t, all[table], table)
	}
	return all
}

// next returns the migrations of this package and one more.
func next(t *testing.T, statements string) fs.FS {
	t.Helper()
	all := fstest.MapFS{}
	names, err := fs.Glob(pgstore.Migrations(), "migrations/*.sql")
	require.NoError(t, err)
	for _, name := range names {
		text, err := fs.ReadFile(pgstore.Migrations(), name)
		require.NoError(t, err)
		all[name] = &fstest.MapFile{Data: text}
	}
	all[fmt.Sprintf("migrations/%04d_test.sql", len(names)+1)] = &fstest.MapFile{Data: []byte(statements)}
	return all
}

// versions returns which version the schema has, and how many migrations made it.
func versions(t *testing.T, conn *pgx.Conn, schema string) (version, applied int) {
	t.Helper()
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT max(version), count(*) FROM "+schema+".migrations").Scan(&version, &applied))
	return version, applied
}

func TestManyBringASchemaUpToDateAtOnce(t *testing.T) {
	t.Parallel()
	c := config(t)
	s := paired(t, c)
	fill(t, s)
	require.NoError(t, s.Close())
	conn := other(t)
	before := contents(t, conn, c.Schema)
	version, _ := versions(t, conn, c.Schema)

	_, err := pgstore.OpenWith(t.Context(), c, next(t, "ALTER TABLE @payments ADD COLUMN added text; SELECT 1/0;"))
	require.ErrorContains(t, err, "division by zero")
	require.Equal(t, before, contents(t, conn, c.Schema), "a migration that fails leaves nothing")

	newer := next(t, "ALTER TABLE @payments ADD COLUMN added text NOT NULL DEFAULT ''; UPDATE @payments SET added = 'was ' || id;")
	tx, err := conn.Begin(t.Context()) // so that all are there before one is done
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "LOCK TABLE "+c.Schema+".payments IN ACCESS SHARE MODE")
	require.NoError(t, err)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			s, err := pgstore.OpenWith(t.Context(), c, newer)
			if assert.NoError(t, err) {
				_, err = s.AcceptPayment(t.Context(), benchRequest(0, 0)) // one that is there
				assert.NoError(t, err)
				assert.NoError(t, s.Close())
			}
		})
	}
	look := other(t)
	inTurn := waits(t, look, c.Schema+`".payments ADD`, 1) && waits(t, look, strconv.FormatInt(pgstore.Number(s.Store), 10), 7)
	require.NoError(t, tx.Commit(t.Context()))
	all.Wait()
	require.True(t, inTurn, "one has its turn and the others wait for it")
	require.Equal(t, before, contents(t, conn, c.Schema, "added"))
	var added int
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT count(*) FROM "+c.Schema+".payments WHERE added = 'was ' || id").Scan(&added))
	require.Len(t, before["payments"], added)
	now, applied := versions(t, conn, c.Schema)
	require.Equal(t, version+1, now)
	require.Equal(t, now, applied, "each was applied once")

	_, err = pgstore.Open(t.Context(), c)
	require.Contains(t, requireError(t, err, tillroute.ErrInvalid, tillroute.Failed), "use a newer program")
}

// Nodes that still run on the old schema, with a transaction open on it, hold the new one up and lose nothing.
func TestAMigrationWaitsForThoseWhoWrite(t *testing.T) {
	t.Parallel()
	c := config(t)
	s := paired(t, c)
	conn, look := other(t), other(t)
	tx, err := conn.Begin(t.Context())
	require.NoError(t, err)
	require.NoError(t, pgstore.AcceptAlone(t.Context(), s.Store, tx, benchRequest(0, 1)))
	newer, opened := next(t, "ALTER TABLE @payments ADD COLUMN added text"), make(chan error, 1)
	go func() {
		s, err := pgstore.OpenWith(t.Context(), c, newer)
		if err == nil {
			err = s.Close()
		}
		opened <- err
	}()
	waiting(t, look, c.Schema+`".payments ADD`, 1)
	require.NoError(t, tx.Commit(t.Context()))
	require.NoError(t, <-opened)
	_, err = s.Payment(t.Context(), benchRequest(0, 1).ID)
	require.NoError(t, err)
}
