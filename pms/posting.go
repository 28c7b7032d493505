package pms

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

// posting is a charge on its way to the backend.
type posting struct {
	charge *Charge
	// key and account name the delivery and the bill in the store. account is empty if the bill has no name.
	key, account string
	// hash is that of the body without the API key, which may be replaced between two deliveries.
	hash  [sha256.Size]byte
	began time.Time
}

// errBusy is a charge that is being posted, here or on another node.
var errBusy = errors.New("it is being posted")

const (
	// firstWait and longestWait are between two looks at a charge that another node is posting.
	firstWait   = 20 * time.Millisecond
	longestWait = 250 * time.Millisecond
)

// post has the charge posted, or finds out what was answered to it before. Its error is logged already.
func (h *handler) post(caller context.Context, c *Charge, business string) ([]byte, error) {
	p := &posting{charge: c, key: storeKey("key", business, c.Key), hash: sha256.Sum256(c.Raw), began: time.Now()}
	if account := c.Account(); account != "" && !h.config.KeysOnly {
		p.account = storeKey("bill", business, c.BusinessExternalReference, account)
	}
	// What was begun is finished though the point of sale hung up.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(caller), h.config.Timeout)
	defer cancel()
	for wait := firstWait; ; wait = min(2*wait, longestWait) {
		done, busy := h.running.begin(p.key, p.account)
		if done == nil {
			wait = h.config.Timeout // this node will tell
		} else {
			answer, err := h.once(ctx, p, done)
			if !errors.Is(err, errBusy) {
				return answer, err
			}
		}
		timer := time.NewTimer(wait)
		select {
		case <-busy:
		case <-timer.C:
		case <-ctx.Done():
		case <-caller.Done():
		}
		timer.Stop()
		if ctx.Err() != nil || caller.Err() != nil {
			return nil, h.refused(ctx, p, slog.LevelWarn, "charge came again while it is being posted", busyMessage, http.StatusServiceUnavailable, errBusy)
		}
	}
}

// storeKey names something in the store in a way that an operator can read, unless it is long or could be mistaken.
func storeKey(parts ...string) string {
	name := strings.Join(parts, "/")
	odd := strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f })
	if odd || len(name) > maxName || strings.Count(name, "/") != len(parts)-1 {
		return hashedName(parts)
	}
	return name
}

// maxName bounds what becomes part of a key in the store.
const maxName = 150

func hashedName(parts []string) string {
	hash := sha256.Sum256(fmt.Appendf(nil, "%q", parts))
	return parts[0] + "/sha256:" + hex.EncodeToString(hash[:])
}

// once posts the charge unless somebody else is doing so, which is errBusy.
//
// Two claims are taken, of the key and then of the bill: a bill that was posted answers also the keys that it comes under later.
func (h *handler) once(ctx context.Context, p *posting, done func()) ([]byte, error) {
	defer done()
	lease := 2*h.config.Timeout + abandoned
	byKey, err := h.config.Deliveries.BeginDelivery(ctx, h.config.Source, p.key, p.hash[:], lease)
	if err != nil {
		return nil, h.notBegun(ctx, p, changedKeyMessage, err)
	}
	if byKey.Answered {
		return byKey.Answer, nil
	}
	claims := []pairing.Delivery{byKey}
	if p.account != "" {
		byAccount, err := h.config.Deliveries.BeginDelivery(ctx, h.config.Source, p.account, p.hash[:], lease)
		switch {
		case err != nil:
			h.forget(ctx, p, claims)
			return nil, h.notBegun(ctx, p, changedBillMessage, err)
		case byAccount.Answered:
			h.log(ctx, slog.LevelWarn, "bill came again under another key: not posted again", nil, p.attrs()...)
			h.finish(ctx, p, claims, byAccount.Answer)
			return byAccount.Answer, nil
		}
		claims = append(claims, byAccount)
	}
	// Who is late may have been overtaken, and must not post: its claims are twice as long as this.
	if ctx.Err() != nil || time.Since(p.began) >= h.config.Timeout {
		h.forget(ctx, p, claims)
		return nil, h.refused(ctx, p, slog.LevelWarn, "charge not posted: the store was too slow", storeMessage, http.StatusServiceUnavailable, nil)
	}
	if err := h.call(ctx, p); err != nil {
		h.forget(ctx, p, claims)
		return nil, err
	}
	answer := []byte("{}")
	h.finish(ctx, p, claims, answer)
	return answer, nil
}

// notBegun says why a charge could not be claimed. Nothing was posted.
func (h *handler) notBegun(ctx context.Context, p *posting, changed string, err error) error {
	switch {
	case errors.Is(err, tillroute.ErrBusy):
		return errBusy
	case errors.Is(err, tillroute.ErrConflict):
		return h.refused(ctx, p, slog.LevelError, "charge refused: it came before with other content, compare the two", changed, http.StatusConflict, err)
	default:
		return h.refused(ctx, p, slog.LevelWarn, "charge not posted: the store failed", storeMessage, http.StatusServiceUnavailable, err)
	}
}

// call has the backend post.
func (h *handler) call(ctx context.Context, p *posting) error {
	err := guard(func() error { return h.config.Backend.Charge(ctx, *p.charge) })
	if err == nil {
		return nil
	}
	_, panicked := err.(*panicError) //nolint:errorlint // it is never wrapped.
	refusal, isRefusal := errors.AsType[*Refusal](err)
	switch {
	case panicked:
		return h.refused(ctx, p, slog.LevelError, "the backend panicked: see whether the charge was posted", failedMessage, http.StatusInternalServerError, err)
	case isRefusal && refusal != nil:
		h.log(ctx, slog.LevelWarn, "charge refused by the backend", err, p.attrs()...)
		return refusal
	case ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, tillroute.ErrTimeout):
		return h.refused(ctx, p, slog.LevelError, "the backend was too slow: see whether the charge was posted", slowMessage, http.StatusGatewayTimeout, err)
	default:
		return h.refused(ctx, p, slog.LevelError, "the backend failed: see whether the charge was posted", failedMessage, http.StatusInternalServerError, err)
	}
}

// refused logs what happened and returns what the waiter is told.
func (h *handler) refused(ctx context.Context, p *posting, level slog.Level, what, message string, status int, err error) error {
	h.log(ctx, level, what, err, p.attrs()...)
	return &Refusal{Message: message, Status: status, Err: err}
}

func (p *posting) attrs() []slog.Attr {
	return []slog.Attr{slog.String("key", p.charge.Key), slog.String("account", p.charge.Account())}
}

// finish writes down the answer to a charge that was posted. The point of sale is told so even if that fails: it was posted.
func (h *handler) finish(ctx context.Context, p *posting, claims []pairing.Delivery, answer []byte) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTime)
	defer cancel()
	// At once, because a store may make both durable together.
	errs := make([]error, len(claims))
	var others sync.WaitGroup
	for i := range claims[1:] {
		others.Go(func() { errs[i+1] = h.finishOne(ctx, claims[i+1], answer) })
	}
	errs[0] = h.finishOne(ctx, claims[0], answer)
	others.Wait()
	for _, err := range errs {
		switch {
		case err == nil:
		case errors.Is(err, pairing.ErrFenced):
			h.log(ctx, slog.LevelError, "charge posted, and it was begun again meanwhile: see whether it was posted twice", err, p.attrs()...)
		default:
			h.log(ctx, slog.LevelError, "charge posted, and that was not written down: the backend must know it if it comes again", err, p.attrs()...)
		}
	}
}

// finishOne insists for as long as ctx allows.
func (h *handler) finishOne(ctx context.Context, claim pairing.Delivery, answer []byte) error {
	for wait := firstWait; ; wait *= 2 {
		err := h.config.Deliveries.FinishDelivery(ctx, claim, answer)
		if err == nil || errors.Is(err, pairing.ErrFenced) {
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
}

// forget gives the claims back, so that the point of sale can try again. If that fails they end by themselves.
func (h *handler) forget(ctx context.Context, p *posting, claims []pairing.Delivery) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTime)
	defer cancel()
	for _, claim := range claims {
		if err := h.config.Deliveries.FailDelivery(ctx, claim); err != nil {
			h.log(ctx, slog.LevelWarn, "charge not posted, and that was not written down: it can't be tried again for a while", err, p.attrs()...)
		}
	}
}
