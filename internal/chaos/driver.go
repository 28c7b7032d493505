package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/shopspring/decimal"
	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

// The providers of the park's terminals: one can be asked for a payment by its ID, the other can't.
const (
	asked = "asked"
	mute  = "mute"
)

// driver moves money on the park's terminals.
type driver struct {
	base   string
	client *http.Client
	node   *node
}

// finder is a driver that can look payments up.
type finder struct{ *driver }

func newDriver(n *node, base string) *driver {
	transport := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: time.Second}).DialContext,
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     10 * time.Second,
	}
	return &driver{base: base, client: &http.Client{Transport: transport, Timeout: 1500 * time.Millisecond}, node: n}
}

// Start hands a payment to its terminal.
func (d *driver) Start(ctx context.Context, p pairing.Payment) (pairing.Handle, error) {
	claimed, fence := d.node.store.claimOf(p.ID)
	at := now()
	d.node.tell(Event{What: "send", Payment: p.ID, Fence: fence, From: at, To: at, Since: at - claimed})
	return through(ctx, d.node.points, "send", func() (pairing.Handle, error) {
		var out chargeReply
		status, err := d.call(ctx, http.MethodPost, "/charges", startRequest{
			Payment: p.ID, Terminal: p.Terminal.Serial, Amount: p.Amount.String(), Node: d.node.config.Name, Fence: fence,
		}, &out)
		switch {
		case err != nil:
			return pairing.Handle{}, err
		case status == http.StatusConflict:
			return pairing.Handle{}, pairing.Errorf(tillroute.KindBusy, nil, "terminal %s is busy", p.Terminal.Serial)
		case status == http.StatusServiceUnavailable:
			return pairing.Handle{}, pairing.Errorf(tillroute.KindUnavailable, nil, "terminal %s is not plugged in", p.Terminal.Serial)
		case status == http.StatusGone:
			return pairing.Handle{}, pairing.Errorf(tillroute.KindConflict, nil, "payment %s was given up", p.ID)
		case status != http.StatusOK:
			return pairing.Handle{}, fmt.Errorf("the park answered %d", status)
		}
		return pairing.Handle{TransactionID: out.ID}, nil
	})
}

// patience is how long Await asks for a charge whose cloud can't be reached.
const patience = 30 * time.Second

// Await follows a charge.
func (d *driver) Await(ctx context.Context, p pairing.Payment, report func(string)) (pairing.Result, error) {
	if d.node.config.Break == breakOverlap {
		return pairing.Result{Outcome: tillroute.Approved, Amount: p.Amount}, nil
	}
	for end := time.Now().Add(patience); ; pause(ctx, 15*time.Millisecond) {
		var out chargeReply
		status, err := d.call(ctx, http.MethodGet, "/charges/"+p.Handle.TransactionID, nil, &out)
		switch {
		case ctx.Err() != nil:
			return pairing.Result{}, ctx.Err()
		case err == nil && status == http.StatusOK && out.Over:
			amount, err := decimal.NewFromString(out.Amount)
			return pairing.Result{Outcome: tillroute.ParseOutcome(out.Outcome), Amount: amount, TransactionID: out.ID}, err
		case err == nil && status == http.StatusNotFound:
			return pairing.Result{}, errors.New("the park doesn't know the charge")
		case err != nil || status != http.StatusOK:
			report("the terminal doesn't answer")
			if time.Now().After(end) {
				return pairing.Result{Reason: "the terminal didn't answer for " + patience.String()}, nil
			}
		}
	}
}

// Find asks the park for a payment.
func (f finder) Find(ctx context.Context, p pairing.Payment) (pairing.Handle, error) {
	var out chargeReply
	status, err := f.call(ctx, http.MethodPost, "/find/"+p.ID, nil, &out)
	switch {
	case err != nil:
		return pairing.Handle{}, pairing.Errorf(tillroute.KindUnavailable, err, "the park can't be asked")
	case status == http.StatusNotFound:
		return pairing.Handle{}, pairing.Errorf(tillroute.KindNotFound, nil, "the park has not seen payment %s", p.ID)
	case status != http.StatusOK:
		return pairing.Handle{}, fmt.Errorf("the park answered %d", status)
	}
	return pairing.Handle{TransactionID: out.ID}, nil
}

func (d *driver) call(ctx context.Context, method, path string, in, out any) (int, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return 0, err
	}
	request, err := http.NewRequestWithContext(ctx, method, d.base+path, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	response, err := d.client.Do(request)
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return response.StatusCode, nil
	}
	return response.StatusCode, json.NewDecoder(response.Body).Decode(out)
}
