package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/examples/internal/program"
	"github.com/tillroute/tillroute/examples/internal/programtest"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/sqlitestore"
	"github.com/tillroute/tillroute/smartconnect"
)

// The payments of the books.
const (
	parked  = "xseries/toysshop/8f14e45f-ceea-467f-ab2c-0123456789ab/1" // its handle is known
	lost    = "xseries/toysshop/45c48cce-2e2d-4fbd-9a1b-0123456789ab/1" // its reply was lost
	untold  = "xseries/toysshop/c9f0f895-fb98-4b91-99f5-0123456789ab/1" // approved, with a tip
	told    = "xseries/toysshop/d3d94468-02a4-4259-b55d-0123456789ab/1" // approved, and its sale has it
	sending = "xseries/toysshop/6512bd43-d9ca-46e0-a2b1-0123456789ab/1"
	queued  = "xseries/toysshop/c20ad4d7-6fe9-4759-a5c4-0123456789ab/1"
	serial  = "7070714000"
)

// keep fills a store with payments of each kind.
func keep(t *testing.T, store pairing.Store) {
	t.Helper()
	ctx := t.Context()
	till := pairing.Register{System: "xseries", Account: "toysshop", ID: "06bf537b-c7d7-11e7-ff13-0c871ec1a8d5"}
	at := pairing.Terminal{Provider: smartconnect.Provider, Serial: serial}
	_, err := store.PutPairing(ctx, pairing.Pairing{Register: till, Terminal: at, Identity: "identity-s3cr3t"}, 0)
	require.NoError(t, err)
	for i, id := range []string{parked, lost, untold, told, sending, queued} {
		_, err := store.AcceptPayment(ctx, pairing.Request{
			ID: id, Register: till, Kind: pairing.Purchase, Amount: decimal.New(1250+int64(i), -2), Currency: "NZD", Reference: fmt.Sprint("sale ", i),
		})
		require.NoError(t, err)
	}
	claim := func(handle string) pairing.Claim {
		c, ok, err := store.ClaimPayment(ctx, at, "books", time.Hour)
		require.NoError(t, err)
		require.True(t, ok)
		if handle != "" {
			require.NoError(t, store.SavePaymentHandle(ctx, c, pairing.Handle{TransactionID: handle, Token: "https://poll.test/?token=s3cr3t"}))
		}
		return c
	}
	finish := func(c pairing.Claim, r pairing.Result) {
		_, _, err := store.FinishPayment(ctx, c, r, 0)
		require.NoError(t, err)
	}
	finish(claim("0000022a1c"), pairing.Result{
		TransactionID: "0000022a1c",
		Reason:        "following it failed: its token has ended; look on terminal 7070714000 for a purchase of 12.50 NZD\x1b[31m",
	})
	finish(claim(""), pairing.Result{Reason: "the process that was sending it stopped; look on terminal 7070714000 for a purchase of 12.51 NZD"})
	for _, tip := range []int64{100, 0} {
		finish(claim("txn"), pairing.Result{
			Outcome: tillroute.Approved, Amount: decimal.New(1252+tip, -2), Tip: decimal.New(tip, -2), TransactionID: "txn",
			AuthCode: "147", CardType: "VISA", CardNumber: "....1111", Receipt: "RECEIPT\r\n  PAID\n",
		})
	}
	_, err = store.MarkPayment(ctx, told, "", "told p1 0")
	require.NoError(t, err)
	claim("")
}

// books returns the file of a database with payments, and opens it.
func books(t *testing.T) (file string, store *sqlitestore.Store) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "it's here.db")
	store, err := sqlitestore.Open(t.Context(), sqlitestore.Config{Path: file, BusyTimeout: busyTime})
	require.NoError(t, err)
	t.Cleanup(func() { _ = store.Close() })
	keep(t, store)
	return file, store
}

// desked runs a command on the file, which fits the window and shows no secret.
func desked(t *testing.T, file string, args ...string) (string, error) {
	t.Helper()
	var out, complaints bytes.Buffer
	err := run(t.Context(), append([]string{"payments", "-db", file}, args...), &out, &complaints)
	text := out.String()
	if errors.Is(err, program.ErrUsage) {
		text = complaints.String()
	} else {
		require.Empty(t, complaints.String())
	}
	for line := range strings.Lines(text) {
		require.LessOrEqual(t, utf8.RuneCountInString(strings.ReplaceAll(line, " -db '"+strings.ReplaceAll(file, "'", `'\''`)+"'", "")), width+1, line)
	}
	require.NotContains(t, text, "s3cr3t")
	require.NotContains(t, text, "\x1b")
	return text, err
}

// typed has a shell run a command that the program has printed.
func typed(t *testing.T, command string) (string, error) {
	t.Helper()
	script := `gateway() { for a in "$@"; do printf '%s\0' "$a"; done; }` + "\n" + command
	words, err := exec.CommandContext(t.Context(), "sh", "-c", script).Output()
	require.NoError(t, err, command)
	args := strings.Split(strings.TrimSuffix(string(words), "\x00"), "\x00")
	var out, complaints bytes.Buffer
	err = run(t.Context(), args, &out, &complaints)
	return out.String() + complaints.String(), err
}

// printed returns the commands that a text tells a person to type.
func printed(text string) (commands []string) {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if !strings.HasPrefix(line, "  gateway ") {
			continue
		}
		for next := i + 1; strings.HasSuffix(line, `\`); next++ {
			line = strings.TrimSuffix(line, `\`) + lines[next]
		}
		commands = append(commands, line)
	}
	return commands
}

func TestUnknownPaymentsAreListedAndResolved(t *testing.T) {
	file, store := books(t)
	text, err := desked(t, file, "list")
	require.NoError(t, err)
	require.Contains(t, text, "The outcome of 2 payments is unknown.\n")
	require.Contains(t, text, parked+`
  payment     purchase of 12.50 NZD: outcome unknown
  sale        sale 0
  register    xseries/toysshop/06bf537b-c7d7-11e7-ff13-0c871ec1a8d5
  terminal    smartconnect/7070714000
`)
	require.Contains(t, text, "\n  transaction 0000022a1c\n  reason      following it failed: its token has ended; look on terminal\n"+
		"              7070714000 for a purchase of 12.50 NZD\uFFFD[31m\n")
	require.NotContains(t, text, untold)

	commands := printed(text)
	require.Len(t, commands, 2)
	says := strings.NewReplacer("OUTCOME", "approved", "NAME", "Ana", "TEXT", "journal, 12:03: it's paid").Replace(commands[0])
	text, err = typed(t, says)
	require.NoError(t, err, text)
	require.Contains(t, text, "payment     purchase of 12.50 NZD: approved\n")
	p, err := store.Payment(t.Context(), parked)
	require.NoError(t, err)
	require.Equal(t, "Ana", p.ResolvedBy)
	require.Equal(t, "12.5", p.Result.Amount.String())
	require.Contains(t, p.Result.Reason, "resolved by Ana: journal, 12:03: it's paid")

	_, err = typed(t, says)
	require.ErrorIs(t, err, tillroute.ErrConflict)
	_, hint, found := strings.Cut(err.Error(), "; see ")
	require.True(t, found)
	text, err = typed(t, hint)
	require.NoError(t, err)
	require.Contains(t, text, "resolved by Ana")

	text, err = desked(t, file, "list", "unknown")
	require.NoError(t, err)
	require.Contains(t, text, "The outcome of 1 payment is unknown.\n")
	text, err = desked(t, file, "resolve", "-by", "Bo", lost, "-reason", "nothing in the journal", "declined")
	require.NoError(t, err)
	require.Contains(t, text, "purchase of 12.51 NZD: declined\n")
	text, err = desked(t, file, "list")
	require.NoError(t, err)
	require.Equal(t, "No payment waits for a person.\n", text)
}

func TestWhatWasChargedCanBeSaid(t *testing.T) {
	file, store := books(t)
	for _, amount := range []string{"12.505", "0", "-1", "twelve"} {
		_, err := desked(t, file, "resolve", parked, "approved", "-by", "Ana", "-reason", "journal", "-amount", amount)
		require.ErrorContains(t, err, "-amount \""+amount)
	}
	text, err := desked(t, file, "resolve", parked, "approved", "-by", "Ana", "-reason", "journal", "-amount", "13", "-transaction", "t-17")
	require.NoError(t, err)
	require.Contains(t, text, "purchase of 12.50 NZD: approved, 13.00 NZD in all\n")
	p, err := store.Payment(t.Context(), parked)
	require.NoError(t, err)
	require.Equal(t, "13", p.Result.Amount.String())
	require.Equal(t, "t-17", p.Result.TransactionID)
	_, err = desked(t, file, "resolve", lost, "declined", "-by", "Ana", "-reason", "journal", "-amount", "13")
	require.ErrorContains(t, err, "it has an amount, and is not approved")
}

func TestOpenPaymentsAreListedAndWithdrawn(t *testing.T) {
	file, store := books(t)
	text, err := desked(t, file, "list", "open")
	require.NoError(t, err)
	require.Contains(t, text, sending+"\n  payment     purchase of 12.54 NZD: sending\n")
	require.Contains(t, text, queued+"\n  payment     purchase of 12.55 NZD: queued\n")
	require.NotContains(t, text, parked)
	_, err = desked(t, file, "withdraw", sending, "-by", "Ana", "-reason", "the guest left")
	require.ErrorContains(t, err, "it can be cancelled there alone")
	text, err = desked(t, file, "withdraw", queued, "-by", "Ana", "-reason", "the guest left")
	require.NoError(t, err)
	require.Contains(t, text, "purchase of 12.55 NZD: cancelled\n")
	require.Contains(t, text, "withdrawn by Ana: the guest left")
	p, err := store.Payment(t.Context(), queued)
	require.NoError(t, err)
	require.Equal(t, tillroute.Cancelled, p.Outcome())
}

func TestAPaymentIsShown(t *testing.T) {
	file, _ := books(t)
	text, err := desked(t, file, "show", untold)
	require.NoError(t, err)
	for _, line := range []string{
		"payment     purchase of 12.52 NZD: approved, 13.52 NZD in all\n", "charged     13.52 NZD\n", "tip         1.00 NZD\n",
		"auth code   147\n", "card        VISA ....1111\n", "  receipt\n    RECEIPT\n      PAID\n", "number      3 (seq)\n",
	} {
		require.Contains(t, text, line)
	}
	_, err = desked(t, file, "show", "nosuch")
	require.ErrorIs(t, err, tillroute.ErrNotFound)
}

func TestApprovedPaymentsThatNoSaleHasAreListedAndMarked(t *testing.T) {
	file, store := books(t)
	text, err := desked(t, file, "marks")
	require.NoError(t, err)
	require.Contains(t, text, "As far as is known, no sale was told of 1 approved payment.\n")
	require.Contains(t, text, "It may have the payment", "who gives money back looks at the sale first")
	require.Contains(t, text, untold)
	require.NotContains(t, text, told)
	require.Contains(t, strings.Join(strings.Fields(text), " "), `"recorded: NAME" if the sale has it now, and "given back: NAME" if the guest has the money again`)
	commands := printed(text)
	require.Len(t, commands, 1)
	text, err = typed(t, strings.ReplaceAll(commands[0], "NAME", "Ana"))
	require.NoError(t, err, text)
	require.Contains(t, text, "mark        recorded: Ana\n")
	p, err := store.Payment(t.Context(), untold)
	require.NoError(t, err)
	require.Equal(t, "recorded: Ana", p.Mark)
	text, err = desked(t, file, "marks")
	require.NoError(t, err)
	require.Equal(t, "Every approved payment was handed to its sale.\n", text)
	_, err = desked(t, file, "mark", told, "given back: Ana")
	require.ErrorContains(t, err, `is marked "told p1 0"`)
	_, err = desked(t, file, "mark", told, "given back: Ana", "-from", "told p1 0")
	require.NoError(t, err)
}

func TestLongListsHavePages(t *testing.T) {
	file, _ := books(t)
	for _, list := range [][]string{{"list", "-n", "1"}, {"list", "open", "-n", "1"}} {
		text, err := desked(t, file, list...)
		require.NoError(t, err)
		commands := printed(text)
		require.NotEmpty(t, commands)
		next, err := typed(t, commands[len(commands)-1])
		require.NoError(t, err)
		require.NotContains(t, next, "There are more")
		for _, id := range []string{parked, sending} {
			require.False(t, strings.Contains(text, id) && strings.Contains(next, id))
		}
	}
}

func TestWhatIsTypedWrongIsExplained(t *testing.T) {
	file, store := books(t)
	for _, c := range []struct {
		args []string
		says string
	}{
		{nil, "say what to do"},
		{[]string{"frob"}, `"frob" is none of its commands`},
		{[]string{"list", "done"}, "list shows unknown or open payments"},
		{[]string{"list", "-n", "0"}, "-n must be at least 1"},
		{[]string{"list", "-nosuch"}, "-nosuch"},
		{[]string{"show"}, "show needs more than that"},
		{[]string{"show", "a", "b"}, `show doesn't understand "b"`},
		{[]string{"resolve", parked}, "resolve needs more than that"},
		{[]string{"resolve", parked, "unknown", "-by", "a", "-reason", "b"}, `"unknown" is not how a payment ends`},
		{[]string{"resolve", parked, "approved", "-reason", "b"}, `-by "NAME"`},
		{[]string{"resolve", parked, "approved", "-by", "a", "-reason", " "}, `-reason "TEXT"`},
		{[]string{"resolve", parked, "approved", "-by", "a", "-reason", "two", "words"}, "quote a text"},
		{[]string{"withdraw", queued, "-by", "a"}, `-reason "TEXT"`},
		{[]string{"marks", "-n", "-1"}, "-n must be at least 1"},
		{[]string{"mark", told}, "mark needs more than that"},
	} {
		text, err := desked(t, file, c.args...)
		require.ErrorIs(t, err, program.ErrUsage, c.args)
		require.Contains(t, text, c.says)
		require.Contains(t, text, "Usage: gateway payments")
	}
	p, err := store.Payment(t.Context(), parked)
	require.NoError(t, err)
	require.Equal(t, pairing.Parked, p.State)
	require.ErrorIs(t, run(t.Context(), []string{"payments", "-h"}, &bytes.Buffer{}, &bytes.Buffer{}), flag.ErrHelp)

	missing := filepath.Join(t.TempDir(), "missing.db")
	_, err = desked(t, missing, "list")
	require.ErrorContains(t, err, "name the gateway's with -db")
	_, err = os.Stat(missing)
	require.ErrorIs(t, err, os.ErrNotExist, "a name that was mistyped makes no database")
}

func TestAnIDMayLookLikeAFlag(t *testing.T) {
	file, store := books(t)
	till := pairing.Register{System: "xseries", Account: "toysshop", ID: "06bf537b-c7d7-11e7-ff13-0c871ec1a8d5"}
	_, err := store.AcceptPayment(t.Context(), pairing.Request{
		ID: "-n", Register: till, Kind: pairing.Purchase, Amount: decimal.New(1, 0), Currency: "NZD",
	})
	require.NoError(t, err)
	_, err = desked(t, file, "resolve", "--", "-n", "approved", "-by", "Ana", "-reason", "journal")
	require.ErrorIs(t, err, tillroute.ErrConflict)
	_, hint, found := strings.Cut(err.Error(), "; see ")
	require.True(t, found)
	text, err := typed(t, hint)
	require.NoError(t, err, text)
	require.True(t, strings.HasPrefix(text, "-n\n"), text)
}

func TestArgumentsAreQuotedForAShell(t *testing.T) {
	for _, text := range []string{"", "a", "-a", "it's", "a b", "$(x)", "é", "a\nb", `"\`, "xseries/toys/1", "~"} {
		out, err := exec.CommandContext(t.Context(), "sh", "-c", "printf %s "+quote(text)).Output()
		require.NoError(t, err)
		require.Equal(t, text, string(out))
	}
}

// approving is a terminal that approves at once.
type approving struct{}

func (approving) Start(_ context.Context, p pairing.Payment) (pairing.Handle, error) {
	return pairing.Handle{TransactionID: p.ID}, nil
}

func (approving) Await(_ context.Context, p pairing.Payment, _ func(string)) (pairing.Result, error) {
	return pairing.Result{Outcome: tillroute.Approved, Amount: p.Amount}, nil
}

// While a gateway takes payments, other processes read and resolve on the same file, and nobody fails.
func TestThePaymentsOfARunningGateway(t *testing.T) {
	file, store := books(t)
	program := programtest.Build(t)
	router, err := pairing.New(pairing.Config{Store: store, Drivers: map[string]pairing.Driver{"fast": approving{}}})
	require.NoError(t, err)
	register := pairing.Register{System: "xseries", Account: "toysshop", ID: "busy"}
	_, err = store.PutPairing(t.Context(), pairing.Pairing{Register: register, Terminal: pairing.Terminal{Provider: "fast", Serial: "1"}}, 0)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = router.Run(ctx) })
	var taken atomic.Int64
	running.Go(func() {
		for ; ctx.Err() == nil; taken.Add(1) {
			_, err := router.Pay(ctx, pairing.Request{
				ID: fmt.Sprint("busy-", taken.Load()), Register: register, Amount: decimal.New(1, 0), Currency: "NZD",
			})
			if ctx.Err() == nil && !assert.NoError(t, err) {
				return
			}
		}
	})
	command := func(args ...string) {
		out, err := exec.CommandContext(t.Context(), program, append([]string{"payments", "-db", file}, args...)...).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	for range 10 {
		before := taken.Load()
		command("list")
		command("list", "open")
		require.Eventually(t, func() bool { return taken.Load() > before }, 2*time.Minute, time.Millisecond, "the gateway goes on")
	}
	command("resolve", parked, "approved", "-by", "Ana", "-reason", "journal")
	command("resolve", lost, "declined", "-by", "Ana", "-reason", "journal")
	require.Eventually(t, func() bool {
		p, err := router.Wait(t.Context(), parked)
		return err == nil && p.ResolvedBy == "Ana"
	}, 2*time.Minute, 10*time.Millisecond)
	cancel()
	running.Wait()
}
