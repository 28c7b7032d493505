package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/testserver"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/xseries"
)

// spec tells a process of its own what to take.
type spec struct {
	Rail    rail   `json:"rail"`
	ID      string `json:"id"`
	Account string `json:"account"`
	Till    string `json:"till"`
	Amount  string `json:"amount"`
}

// restart kills the process that takes a payment while the card is at the terminal, and takes it up again on the
// same database.
func (t *tour) restart(ctx context.Context) {
	t.do(ctx, "pairing", "the process is killed in the middle of a payment and started again", func(ctx context.Context, note func(string)) (string, error) {
		terminal := t.systems.SmartConnect.Device(terminalA)
		terminal.SetAuto(testserver.Manual, 0)
		before := len(t.systems.SmartConnect.Charges())
		if err := t.shop.close(); err != nil {
			return "", err
		}
		const id = "tour/restart"
		note("another process takes the payment")
		if err := killWhenSent(ctx, spec{t.shop.rail, id, t.systems.Describe().XSeries.DomainPrefix, testserver.RegisterMain, "33.00"}); err != nil {
			return "", err
		}
		posted := len(t.systems.Requests("smartconnect", "POST", "/POS/Transaction"))
		note("it was killed; the customer taps the card meanwhile")
		if err := terminal.Approve(); err != nil {
			return "", err
		}
		store, router, stop, err := t.shop.rail.open(ctx)
		if err != nil {
			return "", err
		}
		t.shop.store, t.shop.router, t.shop.stop = store, router, stop
		p, err := t.shop.router.Wait(ctx, id)
		if err != nil {
			return "", err
		}
		charges := t.systems.SmartConnect.Charges()[before:]
		return fmt.Sprintf("%s after the restart: %s, transaction %s", id, p.Outcome(), p.Result.TransactionID), check(
			should(p.Outcome() == tillroute.Approved, "the payment is approved"),
			should(len(charges) == 1, "the card was charged once, not %d times", len(charges)),
			should(len(t.systems.Requests("smartconnect", "POST", "/POS/Transaction")) == posted, "nothing was sent again"),
		)
	})
}

// killWhenSent runs this program as a worker, and kills it as soon as the payment is at the terminal.
func killWhenSent(ctx context.Context, s spec) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	worker := exec.CommandContext(ctx, program, "-worker", string(text)) //nolint:gosec // it is this program itself.
	worker.Stderr = os.Stderr
	out, err := worker.StdoutPipe()
	if err != nil {
		return err
	}
	if err := worker.Start(); err != nil {
		return err
	}
	line, readErr := bufio.NewReader(out).ReadString('\n')
	killErr := worker.Process.Kill()
	_ = worker.Wait() // It says that it was killed.
	if line != sentLine {
		return fmt.Errorf("the worker did not get as far as the terminal: it said %q (%w)", line, readErr)
	}
	return killErr
}

const sentLine = "sent\n"

// work takes one payment and says when it is at the terminal.
func work(ctx context.Context, text string, stdout io.Writer) error {
	var s spec
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return fmt.Errorf("-worker is for the tour itself: %w", err)
	}
	_, router, stop, err := s.Rail.open(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = stop() }()
	_, err = router.Submit(ctx, pairing.Request{
		ID: s.ID, Register: xseries.RegisterKey(s.Account, s.Till), Kind: pairing.Purchase, Amount: money(s.Amount), Currency: s.Rail.Currency,
	})
	if err != nil {
		return err
	}
	for progress, err := range router.Watch(ctx, s.ID) {
		if err != nil {
			return err
		}
		if progress.Payment.State == pairing.Sent {
			if _, err := io.WriteString(stdout, sentLine); err != nil {
				return err
			}
		}
	}
	return nil
}
