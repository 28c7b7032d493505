package docs_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/memstore"
	"github.com/tillroute/tillroute/pairing/sqlitestore"
	"github.com/tillroute/tillroute/smartconnect"
)

func setupMistakes() []mistake {
	return []mistake{
		{"`pairing.Config` is empty", func(t *testing.T) string {
			_, err := pairing.New(pairing.Config{})
			return sees(t, err)
		}},
		{"a driver is nil", func(t *testing.T) string {
			_, err := pairing.New(pairing.Config{Store: memstore.New(memstore.Config{}), Drivers: map[string]pairing.Driver{
				smartconnect.Provider: (*smartconnect.Driver)(nil),
			}})
			return sees(t, err)
		}},
		{"a lease is in milliseconds by mistake", func(t *testing.T) string {
			_, err := pairing.New(pairing.Config{Store: memstore.New(memstore.Config{}), Lease: 15 * time.Millisecond, Drivers: map[string]pairing.Driver{
				smartconnect.Provider: smartconnect.NewDriver(&smartconnect.Client{}),
			}})
			return sees(t, err)
		}},
		{"`Run` is called a second time", func(t *testing.T) string {
			s := newShop(t)
			ctx, stop := context.WithCancel(t.Context())
			errs := make(chan error, 2)
			for range 2 {
				go func() { errs <- s.router.Run(ctx) }()
			}
			err := <-errs
			stop()
			require.ErrorIs(t, <-errs, context.Canceled)
			return sees(t, err)
		}},
		{"`Run` was never called", func(t *testing.T) string {
			var seen string
			// The clock of a bubble: the payment is accepted long before anybody is tired of waiting.
			synctest.Test(t, func(t *testing.T) {
				router, err := pairing.New(pairing.Config{Store: memstore.New(memstore.Config{}), Drivers: map[string]pairing.Driver{
					smartconnect.Provider: smartconnect.NewDriver(&smartconnect.Client{}),
				}})
				require.NoError(t, err)
				terminal := pairing.Terminal{Provider: smartconnect.Provider, Serial: "7070714000"}
				_, err = router.PairTerminal(t.Context(), pairing.Pairing{Register: till(), Terminal: terminal})
				require.NoError(t, err)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				_, err = router.Pay(ctx, sale())
				seen = sees(t, err)
			})
			return seen
		}},
	}
}

// open opens a database, which must fail, and returns what is seen with the folder's name as it would be.
func open(t *testing.T, folder, path string) string {
	t.Helper()
	_, err := sqlitestore.Open(t.Context(), sqlitestore.Config{Path: path, BusyTimeout: 50 * time.Millisecond})
	text := sees(t, err)
	if folder != "" {
		text = strings.ReplaceAll(text, folder, "/var/lib/shop")
	}
	// The name of a file for the time being.
	return regexp.MustCompile(`-\d{6,}`).ReplaceAllString(text, "-1234")
}

func storeMistakes() []mistake {
	return []mistake{
		{"`sqlitestore.Config` is empty", func(t *testing.T) string { return open(t, "", "") }},
		{"the path is `:memory:`", func(t *testing.T) string { return open(t, "", ":memory:") }},
		{"the path's folder is not there", func(t *testing.T) string {
			folder := t.TempDir()
			return open(t, folder, filepath.Join(folder, "nosuch", "till.db"))
		}},
		{"the path is a folder", func(t *testing.T) string {
			folder := t.TempDir()
			return open(t, folder, folder)
		}},
		{"the file is not a database", func(t *testing.T) string {
			folder := t.TempDir()
			path := filepath.Join(folder, "till.db")
			require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("not a database", 100)), 0o600))
			return open(t, folder, path)
		}},
		{"the database is another program's", func(t *testing.T) string {
			folder := t.TempDir()
			return open(t, folder, foreign(t, folder, "CREATE TABLE theirs (id INTEGER)"))
		}},
		{"the database is of a newer program", func(t *testing.T) string {
			folder := t.TempDir()
			text := open(t, folder, foreign(t, folder, "PRAGMA application_id = 1416195180",
				"CREATE TABLE migrations (version INTEGER)", "INSERT INTO migrations VALUES (999)"))
			return regexp.MustCompile(`up to \d+`).ReplaceAllString(text, "up to 1")
		}},
		{"the file can only be read", func(t *testing.T) string {
			if os.Geteuid() <= 0 {
				return "" // Root can write it all the same, and Windows has no such files.
			}
			folder := t.TempDir()
			path := filepath.Join(folder, "till.db")
			store, err := sqlitestore.Open(t.Context(), sqlitestore.Config{Path: path})
			require.NoError(t, err)
			require.NoError(t, store.Close())
			require.NoError(t, os.Chmod(path, 0o400))
			return open(t, folder, path)
		}},
		{"another program holds the database", func(t *testing.T) string {
			folder := t.TempDir()
			path := foreign(t, folder, "PRAGMA application_id = 0")
			hold(t, path)
			return open(t, folder, path)
		}},
		{"the store was closed before the router had stopped", func(t *testing.T) string {
			store, err := sqlitestore.Open(t.Context(), sqlitestore.Config{Path: filepath.Join(t.TempDir(), "till.db")})
			require.NoError(t, err)
			require.NoError(t, store.Close())
			router, err := pairing.New(pairing.Config{Store: store, Drivers: map[string]pairing.Driver{
				smartconnect.Provider: smartconnect.NewDriver(&smartconnect.Client{}),
			}})
			require.NoError(t, err)
			_, err = router.Submit(t.Context(), sale())
			return sees(t, err)
		}},
		{"the same with `memstore`", func(t *testing.T) string {
			s := newShop(t)
			require.NoError(t, s.store.Close())
			_, err := s.router.Submit(t.Context(), sale())
			return sees(t, err)
		}},
	}
}

func pairingMistakes() []mistake {
	pair := func(change func(*pairing.PairRequest)) func(t *testing.T) string {
		return func(t *testing.T) string {
			t.Helper()
			s := newShop(t)
			request := pairing.PairRequest{Register: till(), Provider: smartconnect.Provider, Code: "12345"}
			change(&request)
			_, err := s.router.Pair(t.Context(), request)
			return sees(t, err)
		}
	}
	// ours pairs by codes that the router issues: tries are typed one after the other, and the last one is seen.
	ours := func(tries ...func(code string) string) func(t *testing.T) string {
		return func(t *testing.T) string {
			t.Helper()
			s := newShop(t)
			code, err := s.router.IssueCode(t.Context(), pairing.Terminal{Provider: smartconnect.Provider, Serial: "T1"}, "Counter")
			require.NoError(t, err)
			for _, try := range tries {
				_, err = s.router.Pair(t.Context(), pairing.PairRequest{Register: till(), Code: try(code.Text)})
			}
			text := sees(t, err)
			require.NotContains(t, text, code.Text)
			return text
		}
	}
	right := func(code string) string { return code }
	wrong := func(string) string { return "AAAA-AAAA" }
	return []mistake{
		{"a code of SmartConnect is mistyped", pair(func(*pairing.PairRequest) {})},
		{"the code is left out", pair(func(r *pairing.PairRequest) { r.Code = " " })},
		{"the register has no account", pair(func(r *pairing.PairRequest) { r.Register.Account = "" })},
		{"the provider has no driver", pair(func(r *pairing.PairRequest) { r.Provider = "smart-connect" })},
		{"a code of a provider is given without the provider", pair(func(r *pairing.PairRequest) { r.Provider = "" })},
		{"a code of ours is mistyped", ours(wrong)},
		{"a code of ours is used twice", ours(right, right)},
		{"codes are guessed", ours(wrong, wrong, wrong, wrong, wrong, wrong, wrong, wrong, wrong, wrong, right)},
		{"a terminal has asked for another code since", func(t *testing.T) string {
			s := newShop(t)
			terminal := pairing.Terminal{Provider: smartconnect.Provider, Serial: "T1"}
			code, err := s.router.IssueCode(t.Context(), terminal, "Counter")
			require.NoError(t, err)
			_, err = s.router.IssueCode(t.Context(), terminal, "Counter")
			require.NoError(t, err)
			_, err = s.router.Pair(t.Context(), pairing.PairRequest{Register: till(), Code: code.Text})
			return sees(t, err)
		}},
		{"a terminal of a provider without a driver is paired", func(t *testing.T) string {
			_, err := newShop(t).router.PairTerminal(t.Context(), pairing.Pairing{Register: till(), Terminal: pairing.Terminal{Provider: "acme", Serial: "1"}})
			return sees(t, err)
		}},
	}
}

func paymentMistakes() []mistake {
	submit := func(change func(*pairing.Request)) func(t *testing.T) string {
		return func(t *testing.T) string {
			t.Helper()
			request := sale()
			change(&request)
			_, err := newShop(t).pair(t).router.Submit(t.Context(), request)
			return sees(t, err)
		}
	}
	return []mistake{
		{"the register was never paired", func(t *testing.T) string {
			_, err := newShop(t).router.Submit(t.Context(), sale())
			return sees(t, err)
		}},
		{"the IDs of two registers are mixed up", submit(func(r *pairing.Request) { r.Register.ID = "till-2" })},
		{"the currency is written small", submit(func(r *pairing.Request) { r.Currency = "nzd" })},
		{"the currency is left out", submit(func(r *pairing.Request) { r.Currency = "" })},
		{"the amount has too many decimals", submit(func(r *pairing.Request) { r.Amount = decimal.RequireFromString("12.505") })},
		{"a refund is a negative amount", submit(func(r *pairing.Request) { r.Amount = r.Amount.Neg() })},
		{"the payment has no ID", submit(func(r *pairing.Request) { r.ID = "" })},
		{"an ID is used for two payments", func(t *testing.T) string {
			s := newShop(t).pair(t)
			_, err := s.router.Submit(t.Context(), sale())
			require.NoError(t, err)
			request := sale()
			request.Amount = decimal.RequireFromString("13")
			_, err = s.router.Submit(t.Context(), request)
			return sees(t, err)
		}},
		{"there is no such payment", func(t *testing.T) string {
			_, err := newShop(t).router.Wait(t.Context(), "sale-1002")
			return sees(t, err)
		}},
		{"the terminals charge in another currency", ended(func(_ *shop, r *pairing.Request) { r.Currency = "EUR" })},
		{"the driver doesn't know the kind of payment", ended(func(_ *shop, r *pairing.Request) { r.Kind = "purchace" })},
		{"the terminal is unplugged", ended(func(s *shop, _ *pairing.Request) { s.device().Unplug() })},
		{"the register was unpaired at the terminal", ended(func(s *shop, _ *pairing.Request) {
			for _, register := range s.device().State().Registers {
				_ = s.device().Unpair(register.RegisterID)
			}
		})},
		{"the context ends while a person pays", func(t *testing.T) string {
			s := newShop(t).pair(t)
			s.run(t)
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				_, _ = s.device().WaitTransaction(ctx)
				cancel()
			}()
			_, err := s.router.Pay(ctx, sale())
			return sees(t, err)
		}},
		{"a payment is withdrawn that the terminal has", func(t *testing.T) string {
			s := newShop(t).pair(t)
			s.run(t)
			_, err := s.router.Submit(t.Context(), sale())
			require.NoError(t, err)
			for p, err := range s.router.Watch(t.Context(), sale().ID) {
				require.NoError(t, err)
				if p.Payment.State == pairing.Sent {
					break
				}
			}
			_, err = s.router.Withdraw(t.Context(), sale().ID, "too slow")
			return sees(t, err)
		}},
		{"a payment is resolved that isn't open to doubt", func(t *testing.T) string {
			s := newShop(t).pair(t)
			_, err := s.router.Submit(t.Context(), sale())
			require.NoError(t, err)
			_, err = s.router.Resolve(t.Context(), sale().ID, pairing.Resolution{Outcome: tillroute.Approved, By: "Ann", Reason: "seen"})
			return sees(t, err)
		}},
		{"it is not said who resolved a payment", func(t *testing.T) string {
			_, err := newShop(t).router.Resolve(t.Context(), sale().ID, pairing.Resolution{Outcome: tillroute.Approved})
			return sees(t, err)
		}},
		{"an amount is read as people write it", func(t *testing.T) string {
			_, err := tillroute.ParseAmount("1.234,50", "EUR")
			require.Error(t, err)
			return err.Error()
		}},
	}
}

// ended has a payment made at the shop as change says, and returns how it ended.
func ended(change func(*shop, *pairing.Request)) func(t *testing.T) string {
	return func(t *testing.T) string {
		t.Helper()
		s := newShop(t).pair(t)
		s.run(t)
		request := sale()
		change(s, &request)
		p, err := s.router.Pay(t.Context(), request)
		require.NoError(t, err)
		return p.Outcome().String() + ": " + p.Result.Reason
	}
}

// foreign makes a database by other means.
func foreign(t *testing.T, folder string, statements ...string) string {
	t.Helper()
	path := filepath.Join(folder, "till.db")
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	for _, statement := range statements {
		_, err := db.ExecContext(t.Context(), statement)
		require.NoError(t, err)
	}
	require.NoError(t, db.Close())
	return path
}

// hold has another program hold the database for the rest of the test.
func hold(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	conn, err := db.Conn(t.Context())
	require.NoError(t, err)
	_, err = conn.ExecContext(t.Context(), "BEGIN EXCLUSIVE")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, errors.Join(conn.Close(), db.Close())) })
}
