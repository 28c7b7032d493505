package testserver

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// DeliveryState is where something that is posted to a receiver is.
type DeliveryState string

// What is posted waits for its turn or its next try, was accepted with 2xx, was given up, or was lost on purpose.
const (
	DeliveryPending   DeliveryState = "pending"
	DeliveryDelivered DeliveryState = "delivered"
	DeliveryFailed    DeliveryState = "failed"
	DeliveryLost      DeliveryState = "lost"
)

// receiverTimeout is how long a receiver may take unless the options say otherwise, as X-Series documents. For others it is a
// judgment.
const receiverTimeout = 5 * time.Second

// posting is what all that is posted has in the books of a system, beside what it says. Its parts stand where each
// system keeps them.
type posting struct {
	state   *DeliveryState
	due     *time.Time // of the next try, in real time
	sending *bool      // just now, by this process
}

// posted is something in the books that is posted.
type posted interface{ posting() posting }

// takeDue takes the first that is due. If there is none, it tells how long to wait for one. Called with the lock held.
func takeDue[P posted](list []P) (next P, wait time.Duration) {
	wait = time.Hour
	for _, d := range list {
		p := d.posting()
		if *p.state != DeliveryPending || *p.sending {
			continue
		}
		left := time.Until(*p.due)
		if left <= 0 {
			*p.sending = true
			return d, 0
		}
		wait = min(wait, left)
	}
	return next, wait
}

// reversePending turns round the order of what is not posted yet. Called with the lock held.
func reversePending[P posted](list []P) {
	first := slices.IndexFunc(list, func(d P) bool { return *d.posting().state == DeliveryPending })
	if first >= 0 {
		slices.Reverse(list[first:])
	}
}

// servePosts posts one after the other until ctx ends. next takes what is due, or returns nil, how long to wait and the
// channel that is closed when something changes.
func servePosts[T any](ctx context.Context, next func() (*T, time.Duration, <-chan struct{}), try func(context.Context, *T)) {
	for ctx.Err() == nil {
		d, wait, changed := next()
		if d != nil {
			try(ctx, d)
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// waitPosted waits until n of a list are no longer pending, and returns all.
func waitPosted[T any](ctx context.Context, n int, what string, list func() ([]T, <-chan struct{}), state func(T) DeliveryState) ([]T, error) {
	for {
		all, changed := list()
		done := 0
		for _, one := range all {
			if state(one) != DeliveryPending {
				done++
			}
		}
		if done >= n {
			return all, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return all, fmt.Errorf("testserver: %d %s of %d: %w", done, what, n, ctx.Err())
		}
	}
}

// post posts a body and returns the status and the beginning of the answer. prepare may add to the header.
func (e *Engine) post(ctx context.Context, target, kind, body string, prepare func(*http.Request)) (status int, answer string, err error) {
	ctx, cancel := context.WithTimeout(ctx, e.receiverTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", kind)
	prepare(req)
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	buf := make([]byte, 200)
	n, _ := resp.Body.Read(buf) // enough to see what it says
	_ = resp.Body.Close()
	return resp.StatusCode, string(buf[:n]), nil
}
