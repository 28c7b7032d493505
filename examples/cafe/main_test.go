package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/examples/internal/programtest"
	"github.com/tillroute/tillroute/paysera"
)

func TestOnce(t *testing.T) {
	t.Parallel()
	var out, logs bytes.Buffer
	folder := t.TempDir()
	require.NoError(t, run(t.Context(), []string{"-once", "-db", filepath.Join(folder, "x.db")}, nil, &out, &logs))
	require.Contains(t, out.String(), "each once")
	require.Contains(t, out.String(), "████ ▄▄▄▄▄ █", "the codes are printed")
	programtest.OwnFiles(t, folder)
}

// silent is the program with somebody who says nothing.
func silent(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	never, _ := io.Pipe()
	defer func() { _ = never.Close() }()
	return run(ctx, args, never, stdout, stderr)
}

func TestBadUsage(t *testing.T) {
	t.Parallel()
	programtest.BadUsage(t, silent)
}

func TestStopsWhenAsked(t *testing.T) {
	t.Parallel()
	programtest.Stops(t, silent)
}

func TestCommandsThatDoNotWork(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	lines := "pay\nleave\ncard\nsit\nsit 3\nsit 1 tea\nscan nonsense\n\nhelp\nquit\nsit 1\n"
	args := []string{"-addr", "127.0.0.1:0", "-db", filepath.Join(t.TempDir(), "x.db")}
	require.NoError(t, run(t.Context(), args, strings.NewReader(lines), &out, io.Discard))
	require.Equal(t, 7, strings.Count(out.String(), "that doesn't work"), "%s", &out)
	require.NotContains(t, out.String(), "wants coffee", "nothing is done after quit")
}

// process is the program, as a person starts it.
type process struct {
	*programtest.Process

	t *testing.T
}

func (p *process) start() {
	p.t.Helper()
	p.Start()
	p.until("The terminal, and all that is simulated")
}

func (p *process) say(line string) {
	p.t.Helper()
	_, err := io.WriteString(p.Stdin, line+"\n")
	require.NoError(p.t, err)
}

// until reads until a line has the text.
func (p *process) until(text string) {
	p.t.Helper()
	var before []string
	for p.Out.Scan() {
		before = append(before, p.Out.Text())
		if strings.Contains(p.Out.Text(), text) {
			return
		}
	}
	p.t.Fatalf("it doesn't say %q, but\n%s", text, strings.Join(before, "\n"))
}

// charges returns how often the simulated system has moved money.
func (p *process) charges(system string) int {
	p.t.Helper()
	request, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, "http://"+p.Addr+"/_sim/"+system+"/charges", nil)
	require.NoError(p.t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(p.t, err)
	defer func() { _ = response.Body.Close() }()
	var charges []json.RawMessage
	require.NoError(p.t, json.NewDecoder(response.Body).Decode(&charges))
	return len(charges)
}

func TestKilledAndStartedAgain(t *testing.T) {
	t.Parallel()
	p := &process{programtest.NewProcess(t), t}
	p.start()
	p.say("sit 1 coffee")
	p.until("Their coffee comes to 2.50 EUR")
	p.Kill()
	p.start()
	p.say("sit 1 coffee")
	p.say("pay")
	p.until("2.50 EUR are reserved")
	p.Kill()
	p.start()
	p.until("TABLE1 is free again")
	require.Equal(t, 1, p.charges("paysera"))

	p.say("sit 2 cake")
	p.until("Their cake comes to 4.80 EUR")
	p.say("card")
	p.until("waits for the card")
	p.Kill()
	p.start()
	p.say("tap")
	p.until("is paid at the terminal: 4.80 EUR")
	require.Equal(t, 1, p.charges("paysera"))
	require.Equal(t, 1, p.charges("smartconnect"))
}

func TestTheBookKeepsWhatWasWritten(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.bills.json")
	b, err := openBook(path)
	require.NoError(t, err)
	v, err := b.seat(table1, 15)
	require.NoError(t, err)
	bill := v.Bill
	bill.TransactionKey = "first"
	require.NoError(t, b.save(bill))
	for name, change := range map[string]func(*paysera.Bill){
		"another transaction": func(b *paysera.Bill) { b.TransactionKey = "second" },
		"another charge":      func(b *paysera.Bill) { b.Charge = price(coffee) },
		"another end":         func(b *paysera.Bill) { b.Status = paysera.BillUnpaid },
	} {
		kept := bill
		kept.Charge, kept.Status = price(cake), paysera.BillPaid
		require.NoError(t, b.save(kept))
		change(&kept)
		require.ErrorIs(t, b.save(kept), tillroute.ErrConflict, name)
		// As a new process reads it.
		b, err = openBook(path)
		require.NoError(t, err)
		visits, _ := b.visits()
		require.Equal(t, paysera.BillPaid, visits[0].Bill.Status)
		require.Equal(t, "first", visits[0].Bill.TransactionKey)
	}
	require.Error(t, b.save(paysera.Bill{Reference: "visit-2"}))
	require.NoError(t, os.WriteFile(path, []byte("{"), 0o600))
	_, err = openBook(path)
	require.ErrorContains(t, err, "can't be read")
}
