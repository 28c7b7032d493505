package smartconnect

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/rest"
)

// maxPollWait bounds the wait between two polls that the server may ask for.
const maxPollWait = time.Minute

// Progress is what people should know while a transaction is under way. Its text is fit to be shown to them; there may be
// others than those that have a name here.
type Progress string

// What is reported while a transaction is under way.
const (
	// Waiting transactions are on the terminal's screen, or queued for it behind those of other registers: SmartConnect
	// doesn't say which.
	Waiting Progress = "waiting for the terminal"
	// Delayed terminals may have lost their power or their connection. The transaction goes on there, and its result comes
	// when they are back.
	Delayed Progress = "taking longer than usual"
	// NoContact says that SmartConnect can't be asked at the moment. The transaction goes on.
	NoContact Progress = "no contact with SmartConnect, trying on"
)

// Poll asks once how far a transaction that moves money is, for programs that keep the pace themselves; others use
// [Client.Await]. It must not be called more often than every 2 s.
//
// An error says that this poll told nothing, and leaves the outcome of the transaction unknown. With the kinds
// Unauthorized, Forbidden and NotFound the polling URL is dead: it never tells anything again. Any other may pass, except
// that a transaction without a polling URL of this server, or one that moves no money, is Invalid.
//
// API reference: GET {PollingUrl}, http://smartpaydev.com/reference/transaction-endpoint.html
func (c *Client) Poll(ctx context.Context, t Transaction, opts ...tillroute.CallOption) (Status, error) {
	const operation = "Poll"
	if err := c.checkHandle(operation, t); err != nil {
		return Status{}, err
	}
	if err := checkPayment(operation, t); err != nil {
		return Status{}, err
	}
	answer, err := c.poll(ctx, t, opts)
	if err != nil {
		return Status{}, err
	}
	return c.c.status(answer, t), nil
}

// checkPayment refuses a transaction that can't be followed as a payment. What became of it is unknown.
func checkPayment(operation string, t Transaction) error {
	if t.Type.request() {
		e := tillroute.Invalid(Provider, operation, "a %s moves no money: follow it with AwaitReport", t.Type)
		e.Outcome = tillroute.Unknown
		return e
	}
	return nil
}

// checkHandle refuses a transaction that can't be polled. What became of it is unknown.
func (c *Client) checkHandle(operation string, t Transaction) error {
	if err := c.ready(operation); err != nil {
		return err
	}
	if err := c.c.checkPollingURL(t.PollingURL); err != nil {
		e := tillroute.Invalid(Provider, operation, "%s", err)
		e.Outcome = tillroute.Unknown
		return e
	}
	return nil
}

// poll asks once. The polling URL must have been checked.
func (c *Client) poll(ctx context.Context, t Transaction, opts []tillroute.CallOption) (envelope, error) {
	const operation = "Poll"
	var answer envelope
	err := c.c.poll.Do(ctx, &rest.Operation{Name: operation, Method: http.MethodGet, Repeat: rest.Read},
		// Without NoReplay a broken connection would be polled again at once, faster than the server allows.
		rest.Request{URL: t.PollingURL.Reveal(), Secrets: secretsOf(t.PollingURL), NoReplay: true}, &answer, opts...)
	if err != nil {
		if e, ok := errors.AsType[*tillroute.Error](err); ok {
			// The poll did nothing, but the transaction may have.
			e.Outcome = tillroute.Unknown
		}
		return envelope{}, err
	}
	if err := answer.problem; err != nil {
		return envelope{}, unknown(operation, "the answer can't be understood: "+err.Error())
	}
	if id := answer.text("transactionId"); id != "" && t.ID != "" && !strings.EqualFold(id, t.ID) {
		return envelope{}, unknown(operation, "the answer is about another transaction")
	}
	return answer, nil
}

// secretsOf returns what must not be seen of a polling URL: itself and the values of its query, as they are and as they
// stand there.
func secretsOf(pollingURL tillroute.Secret) []string {
	secrets := []string{pollingURL.Reveal()}
	if u, err := url.Parse(pollingURL.Reveal()); err == nil {
		for _, values := range u.Query() {
			secrets = append(secrets, values...)
		}
		for pair := range strings.SplitSeq(u.RawQuery, "&") {
			if _, value, ok := strings.Cut(pair, "="); ok {
				secrets = append(secrets, value)
			}
		}
	}
	return secrets
}

// Await polls until a transaction that moves money has ended, Config.PollTimeout has passed, or its polling URL is dead.
// In the last two cases the Outcome is [tillroute.Unknown], and Reason says what to do; never Failed. t remains the handle
// to ask again with while its polling URL lives.
//
// It polls for the first time after Config.PollInterval, and goes on through errors that may pass. Several calls for one
// transaction share the pace: together they poll no faster, but [Client.Poll] doesn't count. report, if it isn't
// nil, is called with what people should know meanwhile, when it changes, by the goroutine that called Await.
//
// An error says that ctx has ended (kind Canceled or Timeout), or that t has no polling URL of this server or moves no money
// (kind Invalid; see [Client.AwaitReport]). It matches [tillroute.ErrOutcomeUnknown]: the transaction goes on. Await it again
// with the same handle, here or in another process.
//
// API reference: GET {PollingUrl}, http://smartpaydev.com/reference/transaction-endpoint.html
func (c *Client) Await(ctx context.Context, t Transaction, report func(Progress)) (Result, error) {
	const operation = "Await"
	if err := checkPayment(operation, t); err != nil {
		return Result{}, err
	}
	answer, why, err := c.follow(ctx, operation, t, report)
	switch {
	case err != nil:
		return Result{}, err
	case why != nil:
		return c.c.unknown(t, why.Message), nil //nolint:nilerr // that nobody can say is an outcome.
	default:
		return c.c.status(answer, t).Result, nil
	}
}

// follow polls until the transaction has ended, and returns the answer that says so. If there will be none, why says why.
// An error says that ctx has ended or t can't be polled.
func (c *Client) follow(ctx context.Context, operation string, t Transaction, report func(Progress)) (answer envelope, why *tillroute.Error, err error) {
	if err := c.checkHandle(operation, t); err != nil {
		return envelope{}, nil, err
	}
	end := time.Now().Add(c.c.config.PollTimeout)
	var said Progress
	say := func(p Progress) {
		if p != said && report != nil {
			report(p)
		}
		said = p
	}
	turn, leave := c.c.turns.join(t.PollingURL)
	defer leave()
	wait := c.c.pollInterval()
	for {
		for ; wait > 0; wait = turn.take(c.c.config.PollInterval) {
			if err := sleep(ctx, wait); err != nil {
				return envelope{}, nil, stopped(operation, err)
			}
		}
		answer, err := c.poll(ctx, t, nil)
		wait = c.c.pollInterval()
		switch {
		case err == nil && answer.completed():
			return answer, nil, nil
		case err == nil && answer.delayed():
			say(Delayed)
		case err == nil:
			say(Waiting)
		case ctx.Err() != nil:
			return envelope{}, nil, stopped(operation, ctx.Err())
		case dead(err):
			return envelope{}, ended(operation, err, "the polling URL no longer works ("+message(err)+")"), nil
		default:
			say(NoContact)
			wait = max(wait, retryAfter(err))
		}
		left := time.Until(end)
		if left < c.c.config.PollInterval {
			return envelope{}, ended(operation, nil, fmt.Sprintf("no result within %s", c.c.config.PollTimeout)), nil
		}
		wait = min(wait, left)
	}
}

// ended is why nothing more can be learned of a transaction: its polling URL is dead, or its time is up.
func ended(operation string, cause error, why string) *tillroute.Error {
	e := &tillroute.Error{System: Provider, Operation: operation, Kind: tillroute.KindTimeout, Message: why}
	if poll, ok := errors.AsType[*tillroute.Error](cause); ok {
		e.Kind, e.Status = poll.Kind, poll.Status
	}
	return e
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

// unknown is the result of a transaction that nothing more can be learned of. It names what a person needs to find it.
func (c *core) unknown(t Transaction, why string) Result {
	where, what := "the terminal", "the payment"
	if t.DeviceID != "" {
		where = "terminal " + t.DeviceID
	}
	if t.Type != "" {
		what = "the " + string(t.Type)
	}
	if amount, err := tillroute.FormatAmount(t.Amount, c.config.Currency); err == nil && t.Amount.IsPositive() {
		what += " of " + amount + " " + c.config.Currency
	}
	if t.ID != "" {
		what += " (transaction " + t.ID + ")"
	}
	return Result{
		Reason: why + ": look at " + where + " whether " + what + " went through",
		Answer: Answer{TransactionID: t.ID, DeviceID: t.DeviceID},
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
