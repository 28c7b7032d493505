package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/examples/internal/program"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/smartconnect"
)

const paymentsHelp = `Usage: gateway payments [-db FILE | -dsn DATABASE [-schema NAME]] COMMAND

  list [unknown|open] [-n 20] [-after SEQ]
      the payments whose outcome nobody knows, and what to do about them;
      or those that are under way
  show ID
      all that is known of a payment
  resolve ID approved|declined|cancelled|failed -by NAME -reason TEXT
          [-amount 12.50] [-transaction ID]
      say how a payment ended whose outcome is unknown. This can't be undone.
      -amount is what was charged, if that is not what was asked for
  withdraw ID -by NAME -reason TEXT
      stop a payment that is still queued
  marks [-n 20] [-after SEQ]
      the approved payments that no sale was told of, as far as is known, and
      what to do about them
  mark ID "recorded: NAME" | "given back: NAME" [-from TEXT]
      write down that the sale has one now, or that the money was given back.
      This moves no money. -from is the mark that it has, if it has one

It works on the database beside the gateways that run on it, and sends nothing
to any terminal itself.
`

// desk is where a person looks after payments.
type desk struct {
	router         *pairing.Router
	again          string // what a person types before the name of a command
	stdout, stderr io.Writer
}

// nobody is the driver of a router that does not run, and so sends nothing.
type nobody struct{}

func (nobody) Start(context.Context, pairing.Payment) (pairing.Handle, error) {
	return pairing.Handle{}, pairing.Errorf(tillroute.KindInvalid, nil, "this program sends no payments")
}

func (nobody) Await(context.Context, pairing.Payment, func(string)) (pairing.Result, error) {
	return pairing.Result{}, errors.New("this program follows no payments")
}

// payments runs one command.
func payments(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	d := &desk{stdout: stdout, stderr: stderr}
	place := &database{}
	flags := flag.NewFlagSet("payments", flag.ContinueOnError)
	place.flags(flags)
	if err := d.parse(flags, args); err != nil {
		return err
	}
	commands := map[string]func(context.Context, []string) error{
		"list": d.list, "show": d.show, "resolve": d.resolve, "withdraw": d.withdraw, "marks": d.marks, "mark": d.mark,
	}
	do := commands[flags.Arg(0)]
	switch {
	case flags.NArg() == 0:
		return d.misused("say what to do")
	case do == nil:
		return d.misused(fmt.Sprintf("%q is none of its commands", flags.Arg(0)))
	}
	store, err := place.openExisting(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	d.again = "gateway payments" + place.given()
	d.router, err = pairing.New(pairing.Config{Store: store, Drivers: map[string]pairing.Driver{smartconnect.Provider: nobody{}}})
	if err != nil {
		return err
	}
	return do(ctx, flags.Args()[1:])
}

// parse reads flags. What is wrong with them is said.
func (d *desk) parse(flags *flag.FlagSet, args []string) error {
	flags.SetOutput(io.Discard)
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		_, _ = io.WriteString(d.stderr, paymentsHelp)
		return err
	case err != nil:
		return d.misused(err.Error())
	}
	return nil
}

// parseMixed reads a command's arguments, which may stand before, between and behind its flags. There are at least and at
// most so many.
func (d *desk) parseMixed(flags *flag.FlagSet, args []string, least, most int) (found []string, err error) {
	for {
		if err := d.parse(flags, args); err != nil {
			return nil, err
		}
		if flags.NArg() == 0 {
			break
		}
		found, args = append(found, flags.Arg(0)), flags.Args()[1:]
	}
	switch {
	case len(found) < least:
		return nil, d.misused(flags.Name() + " needs more than that")
	case len(found) > most:
		return nil, d.misused(fmt.Sprintf("%s doesn't understand %q: quote a text of several words", flags.Name(), found[most]))
	}
	return found, nil
}

func (d *desk) misused(what string) error {
	var s sheet
	s.text("gateway payments: " + what)
	_, _ = fmt.Fprintf(d.stderr, "%s\n%s", s.String(), paymentsHelp)
	return program.ErrUsage
}

func (d *desk) print(text string) error {
	_, err := io.WriteString(d.stdout, text)
	return err
}

// page is which payments of a list to show.
type page struct {
	after int64
	n     int
}

func (p *page) flags(to *flag.FlagSet) {
	to.Int64Var(&p.after, "after", 0, "")
	to.IntVar(&p.n, "n", 20, "")
}

// get returns the payments of the page, and whether there are more.
func (d *desk) get(ctx context.Context, p page, f pairing.Filter) (list []pairing.Payment, more bool, err error) {
	f.After = p.after
	list, err = d.router.Payments(ctx, f, p.n+1)
	if len(list) > p.n {
		return list[:p.n], true, err
	}
	return list, false, err
}

func (d *desk) list(ctx context.Context, args []string) error {
	var p page
	flags := flag.NewFlagSet("list", flag.ContinueOnError)
	p.flags(flags)
	which, err := d.parseMixed(flags, args, 0, 1)
	if err != nil {
		return err
	}
	if p.n < 1 {
		return d.misused("-n must be at least 1")
	}
	switch strings.Join(which, "") {
	case "", "unknown":
		return d.listUnknown(ctx, p)
	case "open":
		return d.listOpen(ctx, p)
	default:
		return d.misused(fmt.Sprintf("list shows unknown or open payments, and not %q", which[0]))
	}
}

func (d *desk) listUnknown(ctx context.Context, p page) error {
	list, more, err := d.get(ctx, p, pairing.Filter{States: []pairing.State{pairing.Parked}})
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return d.print("No payment waits for a person.\n")
	}
	var s sheet
	s.line("The outcome of " + count(len(list), more, "payment") + " is unknown.")
	for _, p := range list {
		s.line("")
		s.summary(p)
		s.command(d.again+" resolve", named(p.ID), "OUTCOME", `-by "NAME"`, `-reason "TEXT"`)
	}
	s.line("")
	s.text("For each, look in the terminal's journal, or in its provider's reports, for the amount at that time, " +
		"whether or not the till or the guest say that it was paid. OUTCOME is approved if the money moved, and declined, cancelled " +
		"or failed if it provably did not. NAME is yours; TEXT says what you saw. This can't be undone.")
	d.more(&s, "list unknown", list, more)
	return d.print(s.String())
}

func (d *desk) listOpen(ctx context.Context, p page) error {
	list, more, err := d.get(ctx, p, pairing.Filter{States: []pairing.State{pairing.Queued, pairing.Sending, pairing.Sent}})
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return d.print("No payment is under way.\n")
	}
	var s sheet
	for _, p := range list {
		s.summary(p)
		s.line("")
	}
	s.text("One that is sending or sent can be stopped at its terminal alone. One that is queued can be withdrawn:")
	s.command(d.again+" withdraw", "ID", `-by "NAME"`, `-reason "TEXT"`)
	d.more(&s, "list open", list, more)
	return d.print(s.String())
}

func (d *desk) marks(ctx context.Context, args []string) error {
	var p page
	flags := flag.NewFlagSet("marks", flag.ContinueOnError)
	p.flags(flags)
	if _, err := d.parseMixed(flags, args, 0, 0); err != nil {
		return err
	}
	if p.n < 1 {
		return d.misused("-n must be at least 1")
	}
	list, more, err := d.get(ctx, p, pairing.Filter{
		States: []pairing.State{pairing.Done}, Outcomes: []tillroute.Outcome{tillroute.Approved}, Marks: []string{""},
	})
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return d.print("Every approved payment was handed to its sale.\n")
	}
	var s sheet
	s.line("As far as is known, no sale was told of " + count(len(list), more, "approved payment") + ".")
	for _, p := range list {
		s.line("")
		s.summary(p)
		s.command(d.again+" mark", named(p.ID), `"recorded: NAME"`)
	}
	s.line("")
	s.text("When the payment's window is opened for the sale again, it finds the payment by itself. Where nobody will do that: " +
		"look at the sale. It may have the payment all the same, if the till was told while the gateway could not be reached. " +
		"If it doesn't, record the payment there or give the money back at the terminal. Then write down here who did so: " +
		`"recorded: NAME" if the sale has it now, and "given back: NAME" if the guest has the money again. NAME is yours.`)
	d.more(&s, "marks", list, more)
	return d.print(s.String())
}

// more says how to see the rest of a list.
func (d *desk) more(s *sheet, command string, list []pairing.Payment, more bool) {
	if more {
		s.line("")
		s.line("There are more:")
		s.line(fmt.Sprintf("  %s %s -after %d", d.again, command, list[len(list)-1].Seq))
	}
}

func (d *desk) show(ctx context.Context, args []string) error {
	found, err := d.parseMixed(flag.NewFlagSet("show", flag.ContinueOnError), args, 1, 1)
	if err != nil {
		return err
	}
	p, err := d.router.Payment(ctx, found[0])
	if err != nil {
		return err
	}
	var s sheet
	s.details(p)
	return d.print(s.String())
}

func (d *desk) resolve(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("resolve", flag.ContinueOnError)
	var r pairing.Resolution
	flags.StringVar(&r.By, "by", "", "")
	flags.StringVar(&r.Reason, "reason", "", "")
	flags.StringVar(&r.TransactionID, "transaction", "", "")
	amount := flags.String("amount", "", "")
	found, err := d.parseMixed(flags, args, 2, 2)
	if err != nil {
		return err
	}
	id, outcome := found[0], found[1]
	if r.Outcome = tillroute.ParseOutcome(outcome); r.Outcome == tillroute.Unknown {
		return d.misused(fmt.Sprintf("%q is not how a payment ends: say approved, declined, cancelled or failed", outcome))
	}
	if err := d.signed(r.By, r.Reason); err != nil {
		return err
	}
	if *amount != "" {
		if r.Amount, err = d.amount(ctx, id, *amount); err != nil {
			return err
		}
	}
	p, err := d.router.Resolve(ctx, id, r)
	if errors.Is(err, tillroute.ErrConflict) {
		return fmt.Errorf("%w; see %s show %s", err, d.again, named(id))
	}
	if err != nil {
		return err
	}
	var s sheet
	s.line("Resolved. The gateway and its pages take it from here.")
	s.line("")
	s.summary(p)
	return d.print(s.String())
}

// amount reads an amount in the payment's currency.
func (d *desk) amount(ctx context.Context, id, text string) (decimal.Decimal, error) {
	p, err := d.router.Payment(ctx, id)
	if err != nil {
		return decimal.Decimal{}, err
	}
	amount, err := tillroute.ParseAmount(text, p.Currency)
	if err == nil && !amount.IsPositive() {
		err = errors.New("it must be above zero; a payment that moved no money is not approved")
	}
	if err != nil {
		return decimal.Decimal{}, fmt.Errorf("-amount %q: %w", text, err)
	}
	return amount, nil
}

// signed insists on a name and a reason.
func (d *desk) signed(by, reason string) error {
	if strings.TrimSpace(by) == "" {
		return d.misused(`say who decides, with -by "NAME"`)
	}
	if strings.TrimSpace(reason) == "" {
		return d.misused(`say how they know, with -reason "TEXT"`)
	}
	return nil
}

func (d *desk) withdraw(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("withdraw", flag.ContinueOnError)
	by, reason := flags.String("by", "", ""), flags.String("reason", "", "")
	found, err := d.parseMixed(flags, args, 1, 1)
	if err != nil {
		return err
	}
	if err := d.signed(*by, *reason); err != nil {
		return err
	}
	p, err := d.router.Withdraw(ctx, found[0], "withdrawn by "+*by+": "+*reason)
	if err != nil {
		return err
	}
	var s sheet
	s.line("Withdrawn. It was never sent to the terminal.")
	s.line("")
	s.summary(p)
	return d.print(s.String())
}

func (d *desk) mark(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("mark", flag.ContinueOnError)
	from := flags.String("from", "", "")
	found, err := d.parseMixed(flags, args, 2, 2)
	if err != nil {
		return err
	}
	p, err := d.router.Mark(ctx, found[0], *from, found[1])
	if errors.Is(err, tillroute.ErrConflict) {
		return fmt.Errorf("%w; to replace it all the same, name it with -from", err)
	}
	if err != nil {
		return err
	}
	var s sheet
	s.line("Marked.")
	s.line("")
	s.summary(p)
	return d.print(s.String())
}
