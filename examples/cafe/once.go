package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/testserver"
	"github.com/tillroute/tillroute/paysera"
)

// onceTime bounds all that happens with -once.
const onceTime = 5 * time.Minute

// once lets guests come and go, and compares the café's book with what the simulated wallets and terminals have charged.
func (c *cafe) once(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, onceTime)
	defer cancel()
	wallets, terminals := len(c.world.Paysera.Charges()), len(c.world.SmartConnect.Charges())
	for _, scene := range []struct {
		name string
		play func(context.Context) error
	}{
		{"a forged QR code", c.forged},
		{"a bill is paid in the wallet", func(ctx context.Context) error { return c.inTheWallet(ctx, coffee, paysera.BillPaid) }},
		{"the café gives reserved money back", func(ctx context.Context) error { return c.inTheWallet(ctx, cake, paysera.BillUnpaid) }},
		{"a bill is paid at the terminal", c.atTheTerminal},
	} {
		c.out.say("\n-- %s", scene.name)
		if err := scene.play(ctx); err != nil {
			return fmt.Errorf("%s: %w", scene.name, err)
		}
	}
	wallets, terminals = len(c.world.Paysera.Charges())-wallets, len(c.world.SmartConnect.Charges())-terminals
	if wallets != 1 || terminals != 1 {
		return fmt.Errorf("wallets were charged %d times and terminals %d times, and each should have been once", wallets, terminals)
	}
	for _, complaint := range c.world.Complaints() {
		return fmt.Errorf("the simulated systems complain: %s", complaint)
	}
	c.out.say("\none bill was paid in the wallet, and one at the terminal: each once")
	return nil
}

// forged is somebody who has stuck a code of their own over the table's.
func (c *cafe) forged(ctx context.Context) error {
	code, err := c.code("TABLE1 ")
	if err != nil {
		return err
	}
	if _, err := c.guest.scan(ctx, code.String()); err != nil {
		return err
	}
	c.out.say("guest: scanned %q", code)
	if err := c.guest.sentAway(ctx); err != nil {
		return err
	}
	c.out.say("guest: was sent away")
	return nil
}

func (c *cafe) inTheWallet(ctx context.Context, item string, want paysera.BillStatus) error {
	if err := c.sit(ctx, table1, item); err != nil {
		return err
	}
	if err := c.pay(ctx); err != nil {
		return err
	}
	v, err := c.ended(ctx, table1)
	if err != nil {
		return err
	}
	if v.Bill.Status != want {
		return fmt.Errorf("the bill is %s, and should be %s: %s", v.Bill.Status, want, v.Bill.Problem)
	}
	return c.guest.sentAway(ctx)
}

func (c *cafe) atTheTerminal(ctx context.Context) error {
	if err := c.sit(ctx, table2, coffee); err != nil {
		return err
	}
	bill, err := c.guest.bill(ctx)
	if err != nil {
		return err
	}
	if err := c.askForTerminal(); err != nil {
		return err
	}
	if err := c.atTerminal(ctx, (*testserver.Device).Approve); err != nil {
		return err
	}
	if _, err := c.ended(ctx, table2); err != nil {
		return err
	}
	if err := c.guest.sentAway(ctx); err != nil {
		return err
	}
	if _, err := c.guest.reserve(ctx, bill.Key); !errors.Is(err, tillroute.ErrConflict) {
		return fmt.Errorf("the bill can be paid in the wallet, too: %w", err)
	}
	return nil
}

// ended waits until nothing is left to be done at a table, and returns the last visit there.
func (c *cafe) ended(ctx context.Context, table string) (visit, error) {
	for {
		visits, changed := c.till.book.visits()
		var last visit
		for _, v := range visits {
			if v.Table == table {
				last = v
			}
		}
		if last.Table != "" && !last.open() {
			return last, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return visit{}, fmt.Errorf("nothing happens at %s: %w", table, ctx.Err())
		}
	}
}
