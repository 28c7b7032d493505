package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/sqlitestore"
	"github.com/tillroute/tillroute/smartconnect"
)

const help = `Commands:
  pair 63247216   pair with the terminal that shows this code (a simulated one is asked for it)
  buy 12.50       take 12.50 from a card
  refund 12.50    give 12.50 back to a card
  status          ask the terminal how it is
  settle          end the terminal's business day
  quit
`

var errQuit = errors.New("quit")

// till is one register. Its payments go through a router, which writes each down before it is sent and follows it to its
// end, if need be after a restart. What moves no money goes to the terminal directly.
type till struct {
	client    *smartconnect.Client
	router    *pairing.Router
	register  pairing.Register
	currency  string
	simulated *simulated // nil with the vendor's host
	line      *line
	close     func() error
}

func open(ctx context.Context, config smartconnect.Config, db string, l *line) (*till, error) {
	client, err := smartconnect.New(config)
	if err != nil {
		return nil, err
	}
	store, err := sqlitestore.Open(ctx, sqlitestore.Config{Path: db})
	if err != nil {
		return nil, err
	}
	router, err := pairing.New(pairing.Config{
		Store:   store,
		Drivers: map[string]pairing.Driver{smartconnect.Provider: smartconnect.NewDriver(client)},
	})
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	running, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	group.Go(func() { _ = router.Run(running) })
	return &till{
		client: client, router: router, currency: config.Currency, line: l,
		register: pairing.Register{System: "till", Account: "example", ID: "till-1"},
		close: func() error {
			cancel()
			group.Wait()
			return store.Close()
		},
	}, nil
}

// takeUp follows the payments that an earlier run has left, and names those that wait for a person.
func (t *till) takeUp(ctx context.Context) error {
	left, err := t.router.Payments(ctx, pairing.Filter{
		Register: t.register, States: []pairing.State{pairing.Queued, pairing.Sending, pairing.Sent, pairing.Parked},
	}, 100)
	if err != nil {
		return err
	}
	for _, p := range left {
		if err := t.follow(ctx, p); err != nil {
			t.line.say("✗ " + err.Error())
		}
	}
	return nil
}

// do runs one command.
func (t *till) do(ctx context.Context, command string) error {
	name, argument, _ := strings.Cut(strings.TrimSpace(command), " ")
	argument = strings.TrimSpace(argument)
	switch name {
	case "":
		return nil
	case "pair":
		return t.pair(ctx, argument)
	case "buy":
		return t.pay(ctx, pairing.Purchase, argument)
	case "refund":
		return t.pay(ctx, pairing.Refund, argument)
	case "status":
		return t.ask(ctx, "status", smartconnect.Register.Status)
	case "settle":
		return t.ask(ctx, "settlement", smartconnect.Register.SettlementCutover)
	case "quit", "exit":
		return errQuit
	default:
		return fmt.Errorf("%q is none of its commands\n%s", name, help)
	}
}

func (t *till) pair(ctx context.Context, code string) error {
	if code == "" && t.simulated != nil {
		shown, err := t.simulated.device.ShowCode()
		if err != nil {
			return err
		}
		t.line.say("the terminal shows " + shown)
		code = shown
	}
	paired, err := t.router.Pair(ctx, pairing.PairRequest{
		Register: t.register, RegisterName: "Till 1", Provider: smartconnect.Provider, Code: code,
	})
	if err != nil {
		return err
	}
	t.line.say("✓ paired with terminal " + paired.Terminal.Serial)
	return nil
}

func (t *till) pay(ctx context.Context, kind pairing.Kind, text string) error {
	amount, err := tillroute.ParseAmount(text, t.currency)
	if err != nil {
		return err
	}
	p, err := t.router.Submit(ctx, pairing.Request{
		ID: uuid.NewString(), Register: t.register, Kind: kind, Amount: amount, Currency: t.currency,
	})
	if err != nil {
		return err
	}
	return t.follow(ctx, p)
}

// follow shows how a payment comes forward, and how it ended.
func (t *till) follow(ctx context.Context, p pairing.Payment) error {
	what := string(p.Kind) + " of " + t.money(p)
	err := t.line.follow(what, func(report func(string)) error {
		for progress, err := range t.router.Watch(ctx, p.ID) {
			if err != nil {
				return fmt.Errorf("%s goes on at the terminal: start the till again to learn how it ended: %w", what, err)
			}
			p = progress.Payment
			text := string(p.State)
			switch {
			case p.Note != "":
				text = p.Note
			case progress.Ahead > 0:
				text = fmt.Sprintf("%d ahead", progress.Ahead)
			case p.State == pairing.Sent:
				text = string(smartconnect.Waiting)
			}
			if p.State.Open() {
				report(text)
			}
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case p.State == pairing.Parked:
		return fmt.Errorf("%s of %s, payment %s: nobody knows, and it must not be made again: %s",
			what, p.AcceptedAt.Local().Format(time.DateTime), p.ID, p.Result.Reason)
	case p.Outcome() != tillroute.Approved:
		t.line.say("✗ " + what + ": " + p.Outcome().String() + ": " + p.Result.Reason)
	default:
		charged := p
		charged.Amount = p.Result.Amount
		t.line.say("✓ " + what + ": approved, " + t.money(charged) + ", transaction " + p.Result.TransactionID)
	}
	if p.Result.Receipt != "" {
		t.line.say(p.Result.Receipt)
	}
	return nil
}

// ask has the terminal do something that moves no money.
func (t *till) ask(ctx context.Context, what string, ask func(smartconnect.Register, context.Context, func(smartconnect.Progress), ...tillroute.CallOption) (smartconnect.Report, error)) error {
	paired, err := t.router.Pairing(ctx, t.register)
	if errors.Is(err, tillroute.ErrNotFound) {
		return pairing.ErrNotPaired
	}
	if err != nil {
		return err
	}
	var r smartconnect.Report
	err = t.line.follow(what, func(report func(string)) error {
		var err error
		r, err = ask(t.client.Register(paired.Identity), ctx, func(p smartconnect.Progress) { report(string(p)) })
		return err
	})
	if err != nil {
		return err
	}
	if !r.OK {
		return fmt.Errorf("%s: %s", what, r.Reason)
	}
	t.line.say(strings.TrimSpace("✓ "+what+": terminal "+r.DeviceID+" "+r.Status) + "\n" + r.Receipt)
	return nil
}

func (t *till) money(p pairing.Payment) string {
	text, err := tillroute.FormatAmount(p.Amount, p.Currency)
	if err != nil {
		text = p.Amount.String()
	}
	return text + " " + p.Currency
}
