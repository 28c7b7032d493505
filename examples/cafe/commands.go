package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/tillroute/tillroute/internal/testserver"
)

const help = `The guest:
  sit 1|2 [coffee|cake]  sit down, tell the waiter, and scan the table's code
  scan CODE              scan any code, such as one that somebody has stuck over the table's
  pay                    pay the bill in the wallet
  card                   ask to pay at the table's terminal
  tap, refuse            at the terminal: present the card, or think better of it
  leave                  go
The café does its part by itself. help, quit.`

// serve does what the lines say, until ctx or the lines end.
func (c *cafe) serve(ctx context.Context, stdin io.Reader) error {
	c.out.say("%s\nThe terminal, and all that is simulated: %s/", help, c.url)
	lines := make(chan string)
	go func() {
		defer close(lines)
		for scanner := bufio.NewScanner(stdin); scanner.Scan(); {
			select {
			case lines <- scanner.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-c.failed:
			if ctx.Err() != nil {
				return nil //nolint:nilerr // it was asked to end.
			}
			return err
		case line, ok := <-lines:
			words := strings.Fields(line)
			if !ok || len(words) > 0 && words[0] == "quit" {
				return nil
			}
			if len(words) == 0 {
				continue
			}
			if err := c.obey(ctx, words[0], words[1:]); err != nil && ctx.Err() == nil {
				c.out.say("that doesn't work: %v", err)
			}
		}
	}
}

// obey does what one line says.
func (c *cafe) obey(ctx context.Context, command string, args []string) error {
	switch command {
	case "sit":
		if len(args) == 0 || len(args) > 2 || args[0] != "1" && args[0] != "2" {
			return fmt.Errorf("say at which table: sit 1 %s", coffee)
		}
		item := coffee
		if len(args) > 1 {
			item = args[1]
		}
		return c.sit(ctx, "TABLE"+args[0], item)
	case "scan":
		spot, err := c.guest.scan(ctx, strings.Join(args, " "))
		if err == nil {
			c.out.say("guest: checked in at %q", spot.Identifier)
		}
		return err
	case "pay":
		return c.pay(ctx)
	case "card":
		return c.askForTerminal()
	case "tap":
		return c.atTerminal(ctx, (*testserver.Device).Approve)
	case "refuse":
		return c.atTerminal(ctx, (*testserver.Device).Cancel)
	case "leave":
		return c.guest.leave(ctx)
	}
	c.out.say("%s", help)
	return nil
}

// sit has the guest sit down at a table, tell the waiter, and scan the code.
func (c *cafe) sit(ctx context.Context, table, item string) error {
	if item != coffee && item != cake {
		return fmt.Errorf("there is %s and %s, and no %s", coffee, cake, item)
	}
	if err := c.till.book.want(table, item); err != nil {
		return err
	}
	code, err := c.code(table)
	if err != nil {
		return err
	}
	if _, err := c.guest.scan(ctx, code.String()); err != nil {
		return err
	}
	c.out.say("guest: checked in at %s, and wants %s", table, item)
	return nil
}

func (c *cafe) pay(ctx context.Context) error {
	paid, err := c.guest.pay(ctx)
	if err != nil {
		return err
	}
	total, currency, _ := paid.Total()
	c.out.say("guest: %s %s are %s", total.StringFixed(2), currency, paid.Status)
	return nil
}

// atTerminal has the guest press something at the terminal, once it asks for the card.
func (c *cafe) atTerminal(ctx context.Context, press func(*testserver.Device) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("the terminal doesn't ask for a card"))
	defer cancel()
	if _, err := c.terminal().WaitTransaction(ctx); err != nil {
		return context.Cause(ctx)
	}
	return press(c.terminal())
}

// askForTerminal writes down that the guests at the second table pay there. The rest follows from that.
func (c *cafe) askForTerminal() error {
	v, ok := c.till.book.at(table2)
	if !ok {
		return fmt.Errorf("nobody has to pay at %s, which is where the terminal is", table2)
	}
	if err := c.till.book.update(v.Bill.Reference, func(v *visit) error { v.Card = true; return nil }); err != nil {
		return err
	}
	c.out.say("guest: would like to pay %s by card", v.Bill.Reference)
	return nil
}
