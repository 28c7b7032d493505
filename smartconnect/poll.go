package smartconnect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/rest"
)

// maxPollWait bounds the wait between two polls that the server may ask for.
const maxPollWait = time.Minute

// Poll asks once how far a transaction is. It must not be called more often than every 2 s.
//
// An error says that this poll told nothing, and leaves the outcome of the transaction unknown. With the kinds
// Unauthorized, Forbidden and NotFound the polling URL is dead: it never tells anything again. Any other may pass.
//
// API reference: http://smartpaydev.com/reference/transaction-endpoint.html
func (c *Client) Poll(ctx context.Context, t Transaction, opts ...tillroute.CallOption) (Status, error) {
	const operation = "Poll"
	if err := c.ready(operation); err != nil {
		return Status{}, err
	}
	if err := c.c.checkHandle(operation, t); err != nil {
		return Status{}, err
	}
	var body json.RawMessage
	err := c.c.poll.Do(ctx, &rest.Operation{Name: operation, Method: http.MethodGet, Repeat: rest.Read},
		// Without NoReplay a broken connection would be polled again at once, faster than the server allows.
		rest.Request{URL: t.PollingURL.Reveal(), Secrets: secretsOf(t.PollingURL), NoReplay: true}, &body, opts...)
	if err != nil {
		if e, ok := errors.AsType[*tillroute.Error](err); ok {
			// The poll did nothing, but the transaction may have.
			e.Outcome = tillroute.Unknown
		}
		return Status{}, err
	}
	answer, err := parseEnvelope(body)
	if err != nil {
		return Status{}, unknown(operation, "the answer can't be understood: "+err.Error())
	}
	return c.c.status(answer, t), nil
}

// checkHandle refuses a transaction that can't be polled. What became of it is unknown.
func (c *core) checkHandle(operation string, t Transaction) error {
	if err := c.checkPollingURL(t.PollingURL); err != nil {
		e := tillroute.Invalid(Provider, operation, "%s", err)
		e.Outcome = tillroute.Unknown
		return e
	}
	return nil
}

// secretsOf returns what must not be seen of a polling URL: itself and the values of its query.
func secretsOf(pollingURL tillroute.Secret) []string {
	secrets := []string{pollingURL.Reveal()}
	if u, err := url.Parse(pollingURL.Reveal()); err == nil {
		for _, values := range u.Query() {
			secrets = append(secrets, values...)
		}
	}
	return secrets
}

// Await polls until the transaction has ended, Config.PollTimeout has passed, or its polling URL is dead. In the last two
// cases the Outcome is [tillroute.Unknown], and Reason says what to do; never Failed.
//
// It polls for the first time after Config.PollInterval, and goes on through errors that may pass. report, if it isn't
// nil, is called with what people should know meanwhile, when it changes.
//
// An error says that ctx has ended, or, with kind Invalid, that t has no polling URL of this server. It matches
// [tillroute.ErrOutcomeUnknown]: the transaction goes on. Await it again with the same handle, here or in another
// process.
func (c *Client) Await(ctx context.Context, t Transaction, report func(note string)) (Result, error) {
	const operation = "Await"
	if err := c.ready(operation); err != nil {
		return Result{}, err
	}
	if err := c.c.checkHandle(operation, t); err != nil {
		return Result{}, err
	}
	end := time.Now().Add(c.c.config.PollTimeout)
	said := ""
	say := func(note string) {
		if note != said && report != nil {
			report(note)
		}
		said = note
	}
	wait := c.c.pollInterval()
	for {
		if err := sleep(ctx, wait); err != nil {
			return Result{}, stopped(operation, err)
		}
		status, err := c.Poll(ctx, t)
		wait = c.c.pollInterval()
		switch {
		case err == nil && status.Done:
			return status.Result, nil
		case err == nil && status.Delayed:
			say("taking longer than usual")
		case err == nil:
			if said != "" {
				say("waiting for the terminal")
			}
		case ctx.Err() != nil:
			return Result{}, stopped(operation, ctx.Err())
		case dead(err):
			return t.unknown("the polling URL no longer works (" + message(err) + ")"), nil
		default:
			say("no contact with SmartConnect, trying on")
			wait = max(wait, retryAfter(err))
		}
		left := time.Until(end)
		if left < c.c.config.PollInterval {
			return t.unknown(fmt.Sprintf("no result within %s", c.c.config.PollTimeout)), nil
		}
		wait = min(wait, left)
	}
}

// pollInterval returns the time to the next poll: a little more than the least, so that registers don't poll in step.
func (c *core) pollInterval() time.Duration {
	interval := c.config.PollInterval
	return interval + rand.N(interval/5+1) //nolint:gosec // jitter needs no secrecy.
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stopped is the error of a wait that its caller gave up. It says nothing about the transaction.
func stopped(operation string, cause error) error {
	kind := tillroute.KindCanceled
	if errors.Is(cause, context.DeadlineExceeded) {
		kind = tillroute.KindTimeout
	}
	return &tillroute.Error{
		System: Provider, Operation: operation, Kind: kind, Err: cause,
		Message: "the waiting has ended, the transaction goes on: await it again",
	}
}

// unknown is the result of a transaction that nothing more can be learned of.
func (t Transaction) unknown(why string) Result {
	return Result{
		TransactionID: t.ID,
		DeviceID:      t.DeviceID,
		Reason:        why + ": look at the terminal whether the payment went through",
	}
}

// dead reports whether an error of [Client.Poll] is final.
func dead(err error) bool {
	e, ok := errors.AsType[*tillroute.Error](err)
	if !ok {
		return false
	}
	switch e.Status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusGone:
		return true
	default:
		return false
	}
}

// retryAfter returns how long the server asked to wait, within reason.
func retryAfter(err error) time.Duration {
	e, ok := errors.AsType[*tillroute.Error](err)
	if !ok {
		return 0
	}
	return min(e.RetryAfter, maxPollWait)
}
