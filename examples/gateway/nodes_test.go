package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/examples/internal/program"
	"github.com/tillroute/tillroute/internal/pgtest"
	"github.com/tillroute/tillroute/internal/testserver"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/smartconnect"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Exit(m.Run())) }

// shared returns a PostgreSQL database of its own.
func shared(t *testing.T) database {
	t.Helper()
	return database{file: filepath.Join(t.TempDir(), "world.db"), dsn: pgtest.URL(t), schema: pgtest.Schema(t)}
}

// begin starts a gateway, which the returned function stops.
func begin(t *testing.T, o options) (d *demo, stop func()) {
	t.Helper()
	o.addr, o.lease = "127.0.0.1:0", time.Minute // longer than any of them stands still
	d, err := start(t.Context(), o, t.Output())
	require.NoError(t, err)
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			require.NoError(t, d.stop(context.WithoutCancel(t.Context())))
		}
	}
	t.Cleanup(stop)
	return d, stop
}

// Two gateways on one database take each other's payments, and each knows what became of the other's.
func TestTwoGatewaysShareTheWork(t *testing.T) {
	place := shared(t)
	first, _ := begin(t, options{database: place})
	second, leave := begin(t, options{database: place, join: first.url})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	devices := first.world.SmartConnect.Devices()
	require.GreaterOrEqual(t, len(devices), 2)
	tills := make([]pairing.Register, 2)
	for i, router := range []*pairing.Router{first.router, second.router} {
		tills[i] = pairing.Register{System: "xseries", Account: "toysshop", ID: []string{"till-1", "till-2"}[i]}
		code, err := devices[i].ShowCode()
		require.NoError(t, err)
		_, err = router.Pair(ctx, pairing.PairRequest{Register: tills[i], Provider: smartconnect.Provider, Code: code})
		require.NoError(t, err)
	}
	submit := func(router *pairing.Router, id string, till int) {
		_, err := router.Submit(ctx, pairing.Request{ID: id, Register: tills[till], Amount: decimal.New(1250, -2), Currency: "NZD"})
		require.NoError(t, err)
	}
	approve := func(device *testserver.Device) {
		_, err := device.WaitTransaction(ctx)
		require.NoError(t, err)
		require.NoError(t, device.Approve())
	}
	approved := func(router *pairing.Router, id string) {
		p, err := router.Wait(ctx, id)
		require.NoError(t, err)
		require.Equal(t, tillroute.Approved, p.Outcome())
	}
	// Each till is paired at one node, submits at the other, and its outcome is known at both.
	submit(second.router, "a", 0)
	submit(first.router, "b", 1)
	approve(devices[0])
	approve(devices[1])
	for _, router := range []*pairing.Router{first.router, second.router} {
		approved(router, "a")
		approved(router, "b")
	}
	// The first goes on with what the second was doing when it stopped.
	submit(second.router, "c", 0)
	submit(second.router, "d", 1)
	_, err := devices[0].WaitTransaction(ctx)
	require.NoError(t, err)
	_, err = devices[1].WaitTransaction(ctx)
	require.NoError(t, err)
	leave()
	approve(devices[0])
	approve(devices[1])
	approved(first.router, "c")
	approved(first.router, "d")
	for _, device := range devices[:2] {
		charges := 0
		for _, transaction := range device.Served() {
			if transaction.Type == "Card.Purchase" {
				charges++
			}
		}
		require.Equal(t, 2, charges, "each payment was on its terminal once")
	}
}

func TestTheDemoOnPostgreSQL(t *testing.T) {
	place := shared(t)
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-once", "-dsn", place.dsn, "-schema", place.schema}, &out, t.Output()))
	require.Contains(t, out.String(), "the sale is paid: transaction ")
}

func TestThePaymentsOfADatabaseOfMany(t *testing.T) {
	place := shared(t)
	args := []string{"payments", "-dsn", place.dsn, "-schema", place.schema}
	command := func(more ...string) (string, error) {
		var out bytes.Buffer
		err := run(t.Context(), slices.Concat(args, more), &out, t.Output())
		return out.String(), err
	}
	_, err := command("list")
	require.ErrorContains(t, err, "name the gateway's with -schema", "a name that was mistyped makes no schema")
	store, err := place.open(t.Context())
	require.NoError(t, err)
	keep(t, store)
	defer func() { require.NoError(t, store.Close()) }()
	text, err := command("list")
	require.NoError(t, err)
	require.Contains(t, text, "The outcome of 2 payments is unknown.\n")
	require.NotContains(t, text, place.dsn, "there may be a password in it")
	t.Setenv("DSN", place.dsn)
	for _, says := range printed(text) {
		_, err := typed(t, strings.ReplaceAll(says, "OUTCOME", "declined"))
		require.NoError(t, err)
	}
	text, err = command("list")
	require.NoError(t, err)
	require.Equal(t, "No payment waits for a person.\n", text)
}

func TestNoPasswordIsShown(t *testing.T) {
	for dsn, says := range map[string]string{
		"postgres://ana:s3cr3t@127.0.0.1:1/nosuch":      "can't be reached",
		"postgres://ana:s3cr3t@127.0.0.1:nosuch/nosuch": "-dsn is not the address of a database",
		"host=127.0.0.1 port=x password=s3cr3t":         "-dsn is not the address of a database",
	} {
		var out bytes.Buffer
		err := run(t.Context(), []string{"payments", "-dsn", dsn, "list"}, &out, &out)
		require.ErrorContains(t, err, says)
		require.NotContains(t, err.Error()+out.String(), "s3cr3t")
		err = run(t.Context(), []string{"-once", "-dsn", dsn}, &out, &out)
		require.Error(t, err)
		require.NotContains(t, err.Error()+out.String(), "s3cr3t")
	}
}

func TestOnlyAGatewayCanBeJoined(t *testing.T) {
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	folder := t.TempDir()
	for _, address := range []string{other.URL, "http://127.0.0.1:1", "::"} {
		_, err := start(t.Context(), options{
			addr: "127.0.0.1:0", database: database{file: filepath.Join(folder, "x.db")}, join: address,
		}, t.Output())
		require.ErrorContains(t, err, address)
	}
	require.ErrorIs(t, run(t.Context(), []string{"-once", "-join", other.URL}, &bytes.Buffer{}, &bytes.Buffer{}), program.ErrUsage)
}
