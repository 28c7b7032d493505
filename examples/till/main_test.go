package main

import (
	"bytes"
	"context"
	"flag"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/examples/internal/program"
	"github.com/tillroute/tillroute/internal/testserver"
	"github.com/tillroute/tillroute/smartconnect"
)

func till1(t *testing.T, s *simulated, out io.Writer) *till {
	t.Helper()
	one, err := open(t.Context(), smartconnect.Config{
		BusinessName: "Toys Shop", VendorName: "Till2Go", Currency: "NZD", BaseURL: s.baseURL, PollInterval: simulatedPoll,
	}, s.db, newLine(out))
	require.NoError(t, err)
	one.simulated = s
	return one
}

func TestCommands(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"pair", "buy 12.50", "refund 2.00", "status", "settle"}, nil, &out, &out))
	for _, part := range []string{
		"✓ paired with terminal 7070714000\n",
		"✓ purchase of 12.50 NZD: approved, 12.50 NZD, transaction ",
		"✓ refund of 2.00 NZD: approved, 2.00 NZD, transaction ",
		"✓ status: terminal 7070714000 READY\n",
		"✓ settlement: terminal 7070714000\n",
		"NZ$ 10.50",
	} {
		require.Contains(t, out.String(), part)
	}
	require.NotContains(t, out.String(), "merchantAccessToken")
	require.NotContains(t, out.String(), "\x1b", "no escapes unless the output is a terminal")
}

func TestCommandsAreRead(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), nil, strings.NewReader("status\npair 1\npair\n\nbuy 1.005\nbuy -1\nnonsense\nquit\nbuy 1\n"), &out, &out))
	for _, part := range []string{
		"✗ the register is not paired", "✗ smartconnect: Pair: invalid", "✓ paired", "more decimals", "not above zero", `✗ "nonsense" is none`,
	} {
		require.Contains(t, out.String(), part)
	}
	require.NotContains(t, out.String(), "purchase of", "after quit nothing is done")

	err := run(t.Context(), []string{"buy 1", "pair"}, nil, &out, &out)
	require.ErrorContains(t, err, "buy 1: ")
	require.ErrorIs(t, err, tillroute.ErrNotFound)
}

func TestStopsWhenAsked(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	in := nobody{reading: cancel, gone: make(chan struct{})}
	defer close(in.gone)
	var out bytes.Buffer
	require.NoError(t, run(ctx, nil, in, &out, &out))
	require.Contains(t, out.String(), "Commands:")
}

// nobody types at this keyboard.
type nobody struct {
	reading func()
	gone    chan struct{}
}

func (n nobody) Read([]byte) (int, error) {
	n.reading()
	<-n.gone
	return 0, io.EOF
}

func TestBadUsage(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.ErrorIs(t, run(t.Context(), []string{"-nosuch"}, nil, &out, &out), program.ErrUsage)
	require.Contains(t, out.String(), "Usage: till")
	require.ErrorIs(t, run(t.Context(), []string{"-h"}, nil, &out, &out), flag.ErrHelp)
	require.ErrorIs(t, run(t.Context(), []string{"-currency", "JPY"}, nil, &out, &out), tillroute.ErrInvalid)
}

func TestATillThatWasStoppedTakesUpItsPayment(t *testing.T) {
	t.Parallel()
	terminal, err := simulate(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, terminal.stop()) }()
	terminal.device.SetAuto(testserver.Manual, 0)
	shown := make(frames, 1000)
	first := till1(t, terminal, shown)
	require.NoError(t, first.do(t.Context(), "pair"))
	ctx, cancel := context.WithCancel(t.Context())
	paid := make(chan error, 1)
	go func() { paid <- first.do(ctx, "buy 12.50") }()
	for text := ""; text != "· purchase of 12.50 NZD: waiting for the terminal\n"; {
		select {
		case text = <-shown:
		case err := <-paid:
			require.Fail(t, "it ended early", "%v", err)
		}
	}
	cancel()
	require.ErrorContains(t, <-paid, "was left behind")
	require.NoError(t, first.close())
	require.NoError(t, terminal.device.Approve(), "the customer pays meanwhile")

	var out bytes.Buffer
	second := till1(t, terminal, &out)
	require.NoError(t, second.takeUp(t.Context()))
	require.Contains(t, out.String(), "✓ purchase of 12.50 NZD: approved")
	out.Reset()
	terminal.device.SetAuto(testserver.AutoDecline, 0)
	require.ErrorContains(t, second.do(t.Context(), "buy 3"), "purchase of 3.00 NZD: declined", "or the next command would be run")
	require.Contains(t, out.String(), "DECLINED", "the receipt says why")
	terminal.device.Unplug()
	require.ErrorContains(t, second.do(t.Context(), "status"), "the terminal is offline")
	require.NoError(t, second.close())
	require.Len(t, terminal.device.Served(), 3, "the question after the pairing, and each payment once")
}

func TestAPaymentThatNobodyKnowsOfIsNamedAgain(t *testing.T) {
	t.Parallel()
	terminal, err := simulate(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, terminal.stop()) }()
	var out bytes.Buffer
	first := till1(t, terminal, &out)
	require.NoError(t, first.do(t.Context(), "pair"))
	terminal.systems.Fault(testserver.On("smartconnect", "POST", "/POS/Transaction"), testserver.LoseReply())
	require.ErrorContains(t, first.do(t.Context(), "buy 12.50"), "must not be made again")
	require.NoError(t, first.close())
	out.Reset()
	second := till1(t, terminal, &out)
	require.NoError(t, second.takeUp(t.Context()))
	require.Contains(t, out.String(), "✗ purchase of 12.50 NZD of ")
	require.NoError(t, second.close())
	charges, err := terminal.systems.SmartConnect.WaitCharges(t.Context(), 1)
	require.NoError(t, err)
	require.Len(t, charges, 1)
}

func TestTheLineMoves(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l := &line{w: &out, live: true}
	require.NoError(t, l.follow("purchase", func(report func(string)) error { report("waiting"); return nil }))
	require.True(t, strings.HasSuffix(out.String(), "\r\x1b[K"), "it is gone at the end")
}

// frames is what a line writes, piece by piece.
type frames chan string

func (f frames) Write(p []byte) (int, error) {
	f <- string(p)
	return len(p), nil
}

func TestTheLineDoesNothingToTheWindow(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	newLine(&out).say("APPROVED\r\n\tTOTAL\x1b[2J\x1b]0;title\a 5,00 €\u202e\u009b1m ✓")
	require.Equal(t, "APPROVED\n TOTAL\uFFFD[2J\uFFFD]0;title\uFFFD 5,00 €\uFFFD\uFFFD1m ✓\n", out.String())
	for _, live := range []bool{false, true} {
		shown := make(frames, 1000)
		require.NoError(t, (&line{w: shown, live: live}).follow("purchase", func(report func(string)) error {
			report("\x1b[31mwaiting")
			text := <-shown
			for !strings.Contains(text, "waiting") {
				text = <-shown
			}
			require.NotContains(t, text, "\x1b[31m")
			return nil
		}))
	}
}
