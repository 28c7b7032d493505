package xseries

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/singleflight"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

const (
	// expiryMargin is how long before its end an access token counts as ended.
	expiryMargin = 10 * time.Second
	// refreshTime bounds a refresh, and refreshLease keeps other nodes from beginning one meanwhile.
	refreshTime  = 45 * time.Second
	refreshLease = time.Minute
	// busyWait is how long to wait before looking again whether another node is done.
	busyWait = 200 * time.Millisecond
)

// grants gives the access token of one store, and renews it. A refresh token can be used once: a refresh that has begun is
// ended and written down even if nobody waits for it any longer.
type grants struct {
	oauth   OAuth
	tokens  pairing.Tokens
	account string
	flights singleflight.Group

	mu sync.Mutex
	// grant is the last one that is known to be stored.
	grant pairing.Grant
	// unsaved is a new one that could not be stored yet. It must not be used, and not be lost either.
	unsaved *pairing.Grant
}

// token returns an access token that hasn't ended.
func (g *grants) token(ctx context.Context) (tillroute.Secret, error) {
	g.mu.Lock()
	grant := g.grant
	g.mu.Unlock()
	if usable(grant, "") {
		return grant.AccessToken, nil
	}
	return g.replace(ctx, "")
}

// usable reports whether a grant has an access token other than the refused one, which hasn't ended as far as anybody knows.
func usable(grant pairing.Grant, refused tillroute.Secret) bool {
	return grant.AccessToken != "" && grant.AccessToken != refused &&
		(grant.Expiry.IsZero() || time.Until(grant.Expiry) > expiryMargin)
}

// replace returns an access token other than the refused one. Callers that ask for the same share the work.
func (g *grants) replace(ctx context.Context, refused tillroute.Secret) (tillroute.Secret, error) {
	if err := ctx.Err(); err != nil {
		return "", gaveUp(err)
	}
	flight := g.flights.DoChan(refused.Reveal(), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), refreshTime)
		defer cancel()
		return g.renew(ctx, refused)
	})
	select {
	case done := <-flight:
		if done.Err != nil {
			return "", done.Err
		}
		token, _ := done.Val.(tillroute.Secret)
		return token, nil
	case <-ctx.Done():
		return "", gaveUp(ctx.Err())
	}
}

func gaveUp(cause error) error {
	kind := tillroute.KindCanceled
	if errors.Is(cause, context.DeadlineExceeded) {
		kind = tillroute.KindTimeout
	}
	return &tillroute.Error{System: System, Operation: "OAuth.Refresh", Kind: kind, Outcome: tillroute.Failed, Err: cause}
}

// renew takes the stored grant if it is good, and otherwise refreshes it, unless another node is at it.
func (g *grants) renew(ctx context.Context, refused tillroute.Secret) (tillroute.Secret, error) {
	if err := g.saveUnsaved(ctx); err != nil {
		return "", err
	}
	owner := uuid.NewString()
	for {
		stored, err := g.tokens.Grant(ctx, System, g.account)
		if err != nil {
			return "", g.storeError(err)
		}
		if usable(stored, refused) {
			return g.keep(stored), nil
		}
		claimed, err := g.tokens.ClaimRefresh(ctx, System, g.account, owner, refreshLease)
		switch {
		case err == nil && usable(claimed, refused):
			g.release(ctx, claimed)
			return g.keep(claimed), nil
		case err == nil:
			return g.refresh(ctx, claimed, refused)
		case !errors.Is(err, tillroute.ErrBusy):
			return "", g.storeError(err)
		}
		if err := sleep(ctx, busyWait); err != nil {
			return "", &tillroute.Error{
				System: System, Operation: "OAuth.Refresh", Kind: tillroute.KindBusy, Outcome: tillroute.Failed,
				Message: "another process has been refreshing the token of " + g.account + " for too long",
			}
		}
	}
}

func (g *grants) refresh(ctx context.Context, claimed pairing.Grant, refused tillroute.Secret) (tillroute.Secret, error) {
	renewed, err := g.oauth.Refresh(ctx, claimed)
	if err != nil {
		g.release(ctx, claimed)
		return "", err
	}
	g.mu.Lock()
	g.unsaved = &renewed
	g.mu.Unlock()
	if err := g.saveUnsaved(ctx); err != nil {
		return "", err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.grant.AccessToken == refused {
		return "", &tillroute.Error{
			System: System, Operation: "OAuth.Refresh", Kind: tillroute.KindUnauthorized, Outcome: tillroute.Failed,
			Message: "the server renewed the access token with the one that it refuses",
		}
	}
	return g.grant.AccessToken, nil
}

// saveUnsaved stores a grant that was not stored yet, if there is one. If somebody has stored or deleted one meanwhile, that
// is the newer state of affairs.
func (g *grants) saveUnsaved(ctx context.Context) error {
	g.mu.Lock()
	unsaved := g.unsaved
	g.mu.Unlock()
	if unsaved == nil {
		return nil
	}
	stored, err := g.tokens.PutGrant(ctx, *unsaved, unsaved.Version)
	for wait := busyWait; err != nil && errors.Is(err, tillroute.ErrUnavailable) && sleep(ctx, wait) == nil; wait *= 2 {
		stored, err = g.tokens.PutGrant(ctx, *unsaved, unsaved.Version)
	}
	conflict := errors.Is(err, tillroute.ErrConflict)
	if err != nil && !conflict {
		return g.storeError(err)
	}
	g.mu.Lock()
	if g.unsaved == unsaved {
		g.unsaved = nil
	}
	g.mu.Unlock()
	if conflict {
		if stored, err = g.tokens.Grant(ctx, System, g.account); err != nil {
			return g.storeError(err)
		}
	}
	g.keep(stored)
	return nil
}

func (g *grants) keep(grant pairing.Grant) tillroute.Secret {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.grant = grant
	return grant.AccessToken
}

// release ends a claim early, by storing what is stored. If that fails it ends by itself.
func (g *grants) release(ctx context.Context, claimed pairing.Grant) {
	_, _ = g.tokens.PutGrant(ctx, claimed, claimed.Version)
}

// storeError explains what kept the store of tokens from its work. A grant that isn't there is no item that wasn't found.
func (g *grants) storeError(err error) error {
	e := &tillroute.Error{System: System, Operation: "OAuth.Refresh", Kind: tillroute.KindUnavailable, Outcome: tillroute.Failed}
	if errors.Is(err, tillroute.ErrNotFound) {
		e.Kind, e.Message, e.Err = tillroute.KindUnauthorized, "there is no grant of "+g.account, ErrReconnect
		return e
	}
	e.Message, e.Err = "the store of tokens failed", err
	return e
}

// noToken is the error of a call that had no effect because there is no access token that would be accepted.
func noToken(operation, message string, err error) error {
	e := &tillroute.Error{System: System, Operation: operation, Outcome: tillroute.Failed, Message: message, Err: err}
	if cause, ok := errors.AsType[*tillroute.Error](err); ok {
		// Whatever became of the refresh, this call had no effect.
		harmless := *cause
		harmless.Outcome = tillroute.Failed
		e.Kind, e.RetryAfter, e.Err = cause.Kind, cause.RetryAfter, &harmless
	}
	return e
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
