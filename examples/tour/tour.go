package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/tillroute/tillroute/internal/testserver"
	"github.com/tillroute/tillroute/pairing"
)

// step is one thing that the tour did, and whether it had the effect that it should have.
type step struct {
	System string `json:"system"` // pairing, xseries, smartconnect, paysera, kseries or pms
	Step   string `json:"step"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
	MS     int64  `json:"ms"`
}

type report struct {
	Steps []step `json:"steps"`
	OK    bool   `json:"ok"`
}

// tour is the walk through all systems. Each system has a file with its scenes; a new one adds its file and a line
// to take.
type tour struct {
	screen screen
	steps  []step
	watch  watch

	systems *testserver.Systems
	shop    *shop
	// elsewhere are the payments of other shops at the terminals.
	elsewhere []pairing.Payment
}

// take walks through all scenes. The error is for what keeps the tour from being taken at all; what a step found
// wrong is in the steps.
func (t *tour) take(ctx context.Context) error {
	folder, err := os.MkdirTemp("", "tillroute-tour-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }()

	// The simulated world has its own pace: terminals answer at once, and all may be asked often.
	t.systems = testserver.New(testserver.Options{
		SmartConnect: testserver.SmartConnectOptions{MinPoll: pollInterval / 2},
		Paysera:      testserver.PayseraOptions{RateLimit: -1},
		PMS:          testserver.PMSOptions{Timeout: 2 * hotelTimeout}, //nolint:mnd // the hotel is heard out.
	})
	listener, err := t.systems.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		return err
	}
	serving, stop := context.WithCancel(ctx)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = t.systems.Serve(serving, listener) // It ends when it is stopped.
	}()
	defer func() {
		stop()
		<-served
	}()

	t.shop, err = openShop(ctx, t.systems, folder, t.watch)
	if err != nil {
		return err
	}
	defer func() { _ = t.shop.close() }()

	t.connect(ctx)
	t.pair(ctx)
	t.pay(ctx)
	t.wallet(ctx)
	t.hotel(ctx)
	t.atTheTable(ctx)
	t.restart(ctx)
	t.audit(ctx)
	return nil
}

// do takes one step: act does it and says what was seen, and returns an error if that isn't what should have been.
func (t *tour) do(ctx context.Context, system, name string, act func(context.Context, func(string)) (string, error)) {
	t.screen.begin(system, name)
	begin := time.Now()
	detail, err := act(ctx, t.screen.note)
	t.watch.see(err)
	s := step{System: system, Step: name, OK: err == nil, Detail: detail, MS: time.Since(begin).Milliseconds()}
	if err != nil {
		s.Detail = err.Error()
	}
	t.steps = append(t.steps, s)
	t.screen.end(s)
}

func (t *tour) report() report {
	r := report{Steps: t.steps, OK: len(t.steps) > 0}
	for _, s := range t.steps {
		r.OK = r.OK && s.OK
	}
	return r
}

// check returns nil if all of what should be is, and otherwise an error that names what isn't.
func check(claims ...claim) error {
	var wrong []error
	for _, c := range claims {
		if !c.holds {
			wrong = append(wrong, errors.New(c.text))
		}
	}
	return errors.Join(wrong...)
}

// claim is something that should be so, and what to say when it isn't.
type claim struct {
	holds bool
	text  string
}

func should(holds bool, format string, args ...any) claim {
	return claim{holds, "not so: " + fmt.Sprintf(format, args...)}
}
