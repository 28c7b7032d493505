package pms

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/delivery"
	"github.com/tillroute/tillroute/pairing"
)

// errBusy is a charge that is being posted, here or on another node.
var errBusy = errors.New("it is being posted")

// post has the charge posted, or finds out what was answered to it before. Its error is logged already.
//
// Two claims are taken, of the key and then of the bill: a bill that was posted answers also the keys that it comes under later.
func (h *handler) post(caller context.Context, c *Charge, business string) ([]byte, error) {
	key := storeKey("key", business, c.Key)
	keys := append(make([]string, 0, 2), key)
	if account := c.Account(); account != "" && !h.config.KeysOnly {
		keys = append(keys, storeKey("bill", business, c.BusinessExternalReference, account))
	}
	ctx, cancel := delivery.Detach(caller, h.config.Timeout)
	defer cancel()
	result, err := h.deliveries.Wait(ctx, caller.Done(), delivery.Delivery{
		Keys: keys,
		// The API key isn't in it, because it may be replaced between two deliveries.
		Hash:   sha256.Sum256(c.Raw),
		Answer: []byte("{}"),
		Handle: func(ctx context.Context) error { return h.call(ctx, c) },
	})
	if result.Before != "" && result.Before != key {
		h.log(ctx, slog.LevelWarn, "bill came again under another key: not posted again", nil, attrs(c)...)
	}
	h.unwritten(ctx, c, result.Unwritten, err == nil)
	if err != nil {
		return nil, h.notPosted(ctx, c, key, err)
	}
	return result.Answer, nil
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
	return parts[0] + "/" + delivery.Digest(fmt.Appendf(nil, "%q", parts))
}

// notPosted says why a charge was not posted, unless the backend has said so.
func (h *handler) notPosted(ctx context.Context, c *Charge, key string, err error) error {
	claim, unclaimed := err.(*delivery.ClaimError) //nolint:errorlint // a backend's error may wrap one.
	switch {
	case err == delivery.ErrLate: //nolint:errorlint // the same.
		return h.refused(ctx, c, slog.LevelWarn, "charge not posted: the store was too slow", storeMessage, http.StatusServiceUnavailable, nil)
	case !unclaimed:
		return err
	case errors.Is(err, tillroute.ErrBusy):
		return h.refused(ctx, c, slog.LevelWarn, "charge came again while it is being posted", busyMessage, http.StatusServiceUnavailable, errBusy)
	case errors.Is(err, tillroute.ErrConflict):
		changed := changedBillMessage
		if claim.Key == key {
			changed = changedKeyMessage
		}
		return h.refused(ctx, c, slog.LevelError, "charge refused: it came before with other content, compare the two", changed, http.StatusConflict, claim.Err)
	default:
		return h.refused(ctx, c, slog.LevelWarn, "charge not posted: the store failed", storeMessage, http.StatusServiceUnavailable, claim.Err)
	}
}

// call has the backend post.
func (h *handler) call(ctx context.Context, c *Charge) error {
	err := guard(func() error { return h.config.Backend.Charge(ctx, *c) })
	if err == nil {
		return nil
	}
	_, panicked := err.(*delivery.PanicError) //nolint:errorlint // it is never wrapped.
	refusal, isRefusal := errors.AsType[*Refusal](err)
	switch {
	case panicked:
		return h.refused(ctx, c, slog.LevelError, "the backend panicked: see whether the charge was posted", failedMessage, http.StatusInternalServerError, err)
	case isRefusal && refusal != nil:
		h.log(ctx, slog.LevelWarn, "charge refused by the backend", err, attrs(c)...)
		return refusal
	case ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, tillroute.ErrTimeout):
		return h.refused(ctx, c, slog.LevelError, "the backend was too slow: see whether the charge was posted", slowMessage, http.StatusGatewayTimeout, err)
	default:
		return h.refused(ctx, c, slog.LevelError, "the backend failed: see whether the charge was posted", failedMessage, http.StatusInternalServerError, err)
	}
}

// refused logs what happened and returns what the waiter is told.
func (h *handler) refused(ctx context.Context, c *Charge, level slog.Level, what, message string, status int, err error) error {
	h.log(ctx, level, what, err, attrs(c)...)
	return &Refusal{Message: message, Status: status, Err: err}
}

func attrs(c *Charge) []slog.Attr {
	return []slog.Attr{slog.String("key", c.Key), slog.String("account", c.Account())}
}

// unwritten logs that it could not be written down what became of the charge. The point of sale is told so all the same.
func (h *handler) unwritten(ctx context.Context, c *Charge, errs []error, posted bool) {
	for _, err := range errs {
		switch {
		case !posted:
			h.log(ctx, slog.LevelWarn, "charge not posted, and that was not written down: it can't be tried again for a while", err, attrs(c)...)
		case errors.Is(err, pairing.ErrFenced):
			h.log(ctx, slog.LevelError, "charge posted, and it was begun again meanwhile: see whether it was posted twice", err, attrs(c)...)
		default:
			h.log(ctx, slog.LevelError, "charge posted, and that was not written down: the backend must know it if it comes again", err, attrs(c)...)
		}
	}
}
