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
	// grantTrust is how long a grant is used before looking whether it is still stored, and deadPause how long a refusal to
	// refresh is taken for an answer.
	grantTrust = 30 * time.Second
	deadPause  = 30 * time.Second
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
	// grant is the last one that is known to be stored, and looked is when that was last seen.
	grant  pairing.Grant
	looked time.Time
	// dead is the last refusal to refresh.
	dead refusal
	// unsaved is a new one that could not be stored yet. It must not be used, and not be lost either.
	unsaved *pairing.Grant
}

// refusal is a refresh token that the server did not take.
type refusal struct {
	refresh tillroute.Secret
	// access is the access token that was to be replaced, if it was refused too.
	access tillroute.Secret
	until  time.Time
	err    error
}

// token returns an access token that hasn't ended.
func (g *grants) token(ctx context.Context) (tillroute.Secret, error) {
	g.mu.Lock()
	grant, refused := g.grant, tillroute.Secret("")
	if time.Now().Before(g.dead.until) {
		refused = g.dead.access
	}
	look := usable(grant, refused) && time.Since(g.looked) > grantTrust
	if look {
		// The others go on with what there is meanwhile.
		g.looked = time.Now()
	}
	g.mu.Unlock()
	if look {
		return g.lookAgain(ctx, grant, refused)
	}
	if usable(grant, refused) {
		return grant.AccessToken, nil
	}
	return g.replace(ctx, refused)
}

// lookAgain sees whether the store has the grant still, or another one. A store that can't tell is no reason not to use it.
func (g *grants) lookAgain(ctx context.Context, grant pairing.Grant, refused tillroute.Secret) (tillroute.Secret, error) {
	stored, err := g.tokens.Grant(ctx, System, g.account)
	switch {
	case errors.Is(err, tillroute.ErrNotFound):
		return "", g.storeError(err)
	case ctx.Err() != nil:
		g.mu.Lock()
		defer g.mu.Unlock()
		g.looked = time.Time{}
		return grant.AccessToken, nil
	case err != nil:
		return grant.AccessToken, nil
	}
	g.mu.Lock()
	now := g.grant
	g.mu.Unlock()
	switch {
	case now.Version > stored.Version && usable(now, refused):
		// It was renewed while we looked.
		return now.AccessToken, nil
	case usable(stored, refused):
		return g.keep(stored), nil
	default:
		return g.replace(ctx, refused)
	}
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
		if err := g.refusedBefore(stored); err != nil {
			return "", err
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
		g.remember(claimed, refused, err)
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

// remember keeps what the server will say again, so that it isn't asked again for a while: a dead refresh token doesn't come
// to life, and the limit on token requests is low. Another refresh token is another matter.
func (g *grants) remember(claimed pairing.Grant, refused tillroute.Secret, err error) {
	e, ok := errors.AsType[*tillroute.Error](err)
	if !ok {
		return
	}
	var pause time.Duration
	switch e.Kind {
	case tillroute.KindUnauthorized:
		pause = deadPause
	case tillroute.KindRateLimited:
		pause = min(e.RetryAfter, deadPause)
	default:
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.dead = refusal{refresh: claimed.RefreshToken, access: refused, until: time.Now().Add(pause), err: err}
}

// refusedBefore returns why the grant's refresh token was refused, if that was a moment ago.
func (g *grants) refusedBefore(grant pairing.Grant) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if grant.RefreshToken != g.dead.refresh || !time.Now().Before(g.dead.until) {
		return nil
	}
	return g.dead.err
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
	g.grant, g.looked = grant, time.Now()
	return grant.AccessToken
}

// forget is for a grant that is no longer stored.
func (g *grants) forget() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.grant = pairing.Grant{}
}

// release ends a claim early, by storing what is stored. If that fails it ends by itself.
func (g *grants) release(ctx context.Context, claimed pairing.Grant) {
	_, _ = g.tokens.PutGrant(ctx, claimed, claimed.Version)
}

// storeError explains what kept the store of tokens from its work. A grant that isn't there is no item that wasn't found.
func (g *grants) storeError(err error) error {
	e := &tillroute.Error{System: System, Operation: "OAuth.Refresh", Kind: tillroute.KindUnavailable, Outcome: tillroute.Failed}
	if errors.Is(err, tillroute.ErrNotFound) {
		g.forget()
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
