package main

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute/internal/testserver"
	"github.com/tillroute/tillroute/kseries"
)

const (
	// onceTime bounds all that happens with -once.
	onceTime = 5 * time.Minute
	// here is the table that the guests sit at, and page its page.
	here = 6
	page = "/table/6"
)

// story is what happens with -once.
type story struct {
	*restaurant

	say func(format string, args ...any)
}

// once lets guests pay through the page, and compares what the terminals charged with what the checks got.
func (r *restaurant) once(ctx context.Context, stdout io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, onceTime)
	defer cancel()
	s := story{r, func(format string, args ...any) { _, _ = fmt.Fprintf(stdout, format+"\n", args...) }}
	charged, applied := len(r.world.SmartConnect.Charges()), len(r.world.KSeries.Applied())
	for _, scene := range []struct {
		name string
		play func(context.Context) error
	}{
		{"a guest pays a whole check", s.whole},
		{"three guests share a check, and one leaves a tip", s.shared},
		{"a card is declined", s.declined},
		{"the point of sale takes the payment only the second time", s.secondTime},
		{"somebody pays at the bar meanwhile, so that a waiter gives the money back", s.overtaken},
	} {
		s.say("\n-- %s", scene.name)
		if err := scene.play(ctx); err != nil {
			return fmt.Errorf("%s: %w", scene.name, err)
		}
	}
	charged, applied = len(r.world.SmartConnect.Charges())-charged, len(r.world.KSeries.Applied())-applied
	if charged != 6 || applied != 5 {
		return fmt.Errorf("cards were charged %d times instead of 6, and checks paid by them %d times instead of 5", charged, applied)
	}
	for _, complaint := range r.world.Complaints() {
		return fmt.Errorf("the simulated systems complain: %s", complaint)
	}
	s.say("\nfive payments are on their checks, each once, and one was given back")
	return nil
}

// seat has guests sit down and order. Whoever sat there before pays in cash.
func (s story) seat(order ...string) (testserver.KSeriesCheck, error) {
	for _, check := range s.world.KSeries.Checks() {
		if check.Table == here && !check.Closed {
			if _, err := s.world.KSeries.PayAtPOS(check.Account, "CASH", check.Total.Sub(check.Paid)); err != nil {
				return check, err
			}
		}
	}
	check, err := s.world.KSeries.OpenCheck(here, order...)
	if err == nil {
		s.say("check %s at table %d comes to %s", check.Account, here, check.Total.StringFixed(2))
	}
	return check, err
}

func (s story) whole(ctx context.Context) error {
	check, err := s.seat("20002", "30001")
	if err != nil {
		return err
	}
	if err := s.paid(ctx, url.Values{"pay": {"all"}}); err != nil {
		return err
	}
	return s.closed(check.Account)
}

func (s story) shared(ctx context.Context) error {
	check, err := s.seat("20002", "20003", "30001")
	if err != nil {
		return err
	}
	for payers := 3; payers > 0; payers-- {
		form := url.Values{"pay": {"share"}, "payers": {fmt.Sprint(payers)}}
		if payers == 1 {
			form.Set("tip", "2")
		}
		if err := s.paid(ctx, form); err != nil {
			return err
		}
	}
	return s.closed(check.Account)
}

func (s story) declined(ctx context.Context) error {
	if _, err := s.seat("20001"); err != nil {
		return err
	}
	id, err := s.begin(ctx, url.Values{"pay": {"all"}}, (*testserver.Device).Decline)
	if err != nil {
		return err
	}
	return s.ends(ctx, id, kseries.StageNotPaid)
}

func (s story) secondTime(ctx context.Context) error {
	s.world.KSeries.FailNext(1, "UPDATE_FAILED", "update error: the tablet was busy")
	return s.paid(ctx, url.Values{"pay": {"all"}})
}

func (s story) overtaken(ctx context.Context) error {
	check, err := s.seat("20003")
	if err != nil {
		return err
	}
	id, err := s.begin(ctx, url.Values{"pay": {"all"}}, func(d *testserver.Device) error {
		if _, err := s.world.KSeries.PayAtPOS(check.Account, "CASH", decimal.NewFromInt(5)); err != nil {
			return err
		}
		return d.Approve()
	})
	if err != nil {
		return err
	}
	if err := s.ends(ctx, id, kseries.StageRefused); err != nil {
		return err
	}
	if err := s.post(ctx, page+"/settle", url.Values{"id": {id}, "do": {"back"}}); err != nil {
		return err
	}
	return s.ends(ctx, id, kseries.StageGivenBack)
}

// paid has somebody pay what the form says, and the terminal approve it.
func (s story) paid(ctx context.Context, form url.Values) error {
	id, err := s.begin(ctx, form, (*testserver.Device).Approve)
	if err != nil {
		return err
	}
	return s.ends(ctx, id, kseries.StagePaid)
}

// begin sends the page's form, and does what a guest does at the terminal.
func (s story) begin(ctx context.Context, form url.Values, press func(*testserver.Device) error) (string, error) {
	shown, err := s.load(ctx, http.MethodGet, page, nil)
	if err != nil {
		return "", err
	}
	hidden := regexp.MustCompile(`name="id" value="(table-[^"]*)">\s*<fieldset`).FindStringSubmatch(shown)
	if hidden == nil {
		return "", errors.New("the table's page has no form")
	}
	id := html.UnescapeString(hidden[1])
	form.Set("id", id)
	if err := s.post(ctx, page+"/pay", form); err != nil {
		return "", err
	}
	paired, err := s.router.Pairing(ctx, register(here))
	if err != nil {
		return "", err
	}
	for _, device := range s.world.SmartConnect.Devices() {
		if device.ID() != paired.Terminal.Serial {
			continue
		}
		asked, err := device.WaitTransaction(ctx)
		if err != nil {
			return "", fmt.Errorf("the payment does not arrive at the terminal: %w", err)
		}
		s.say("terminal %s asks for %s", device.ID(), decimal.New(asked.Cents, -2).StringFixed(2))
		return id, press(device)
	}
	return "", fmt.Errorf("there is no terminal %s", paired.Terminal.Serial)
}

// ends waits for the end of a payment, and for the page that says so.
func (s story) ends(ctx context.Context, id string, want kseries.Stage) error {
	var last kseries.PaymentStatus
	for status, err := range s.payments.Watch(ctx, id) {
		if err != nil {
			return err
		}
		last = status
	}
	if last.Stage != want {
		return fmt.Errorf("the payment is %s instead of %s: %s", last.Stage, want, last.Reason)
	}
	amount := last.Amount.StringFixed(2)
	if last.Tip.IsPositive() {
		amount += " and a tip of " + last.Tip.StringFixed(2)
	}
	s.say("%s of check %s: %s", amount, last.AccountIdentifier, strings.TrimSpace(string(last.Stage)+". "+last.Reason))
	shown, err := s.load(ctx, http.MethodGet, page, nil)
	if err == nil && !strings.Contains(shown, `data-stage="`+string(want)+`"`) {
		err = errors.New("the table's page doesn't say so")
	}
	return err
}

func (s story) closed(account string) error {
	if check, ok := s.world.KSeries.Check(account); !ok || !check.Closed {
		return fmt.Errorf("check %s is not closed", account)
	}
	s.say("check %s is closed", account)
	return nil
}

func (s story) post(ctx context.Context, path string, form url.Values) error {
	_, err := s.load(ctx, http.MethodPost, path, form)
	return err
}

// load gets a page, or sends a form.
func (s story) load(ctx context.Context, verb, path string, form url.Values) (string, error) {
	request, err := http.NewRequestWithContext(ctx, verb, strings.TrimSuffix(s.url, "/")+path, strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	var browser http.Client
	defer browser.CloseIdleConnections()
	response, err := browser.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answered %s: %s", path, response.Status, text)
	}
	return string(text), err
}
