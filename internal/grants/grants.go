// Package grants is what the OAuth of several systems has in common: reading what somebody who was asked for their consent comes
// back with, and keeping the grant of one account usable. It gives out the access token, and renews it.
//
// Refresh tokens can be used once. Of all that share a store of tokens, in one process or many, one refreshes at a time,
// and nobody uses a new token before it is written down.
package grants

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

const refreshOperation = "OAuth.Refresh"

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

// Config configures a [Keeper]. All of it is required.
type Config struct {
	// System and Account name the grant in Tokens.
	System, Account string
	Tokens          pairing.Tokens
	// Refresh uses the grant's refresh token and returns the grant with new tokens. An error of kind Unauthorized says that
	// the refresh token is dead.
	Refresh func(context.Context, pairing.Grant) (pairing.Grant, error)
	// Gone is the cause of errors about a grant that is not stored.
	Gone error
}

// Keeper gives the access token of one account, and renews it. It is safe for concurrent use. A refresh that has begun is
// ended and written down even if nobody waits for it any longer.
type Keeper struct {
	config  Config
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

// New returns a keeper. It reads nothing.
func New(c Config) *Keeper { return &Keeper{config: c} }

// Grant returns the grant with an access token that hasn't ended, as far as anybody knows.
func (g *Keeper) Grant(ctx context.Context) (pairing.Grant, error) {
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
		return grant, nil
	}
	return g.Replace(ctx, refused)
}

// lookAgain sees whether the store has the grant still, or another one. A store that can't tell is no reason not to use it.
func (g *Keeper) lookAgain(ctx context.Context, grant pairing.Grant, refused tillroute.Secret) (pairing.Grant, error) {
	stored, err := g.config.Tokens.Grant(ctx, g.config.System, g.config.Account)
	switch {
	case errors.Is(err, tillroute.ErrNotFound):
		return pairing.Grant{}, g.storeError(err)
	case ctx.Err() != nil:
		g.mu.Lock()
		defer g.mu.Unlock()
		g.looked = time.Time{}
		return grant, nil
	case err != nil:
		return grant, nil
	}
	g.mu.Lock()
	now := g.grant
	g.mu.Unlock()
	switch {
	case now.Version > stored.Version && usable(now, refused):
		// It was renewed while we looked.
		return now, nil
	case usable(stored, refused):
		return g.keep(stored), nil
	default:
		return g.Replace(ctx, refused)
	}
}

// usable reports whether a grant has an access token other than the refused one, which hasn't ended as far as anybody knows.
func usable(grant pairing.Grant, refused tillroute.Secret) bool {
	return grant.AccessToken != "" && grant.AccessToken != refused &&
		(grant.Expiry.IsZero() || time.Until(grant.Expiry) > expiryMargin)
}

// Replace returns the grant with an access token other than the refused one. Callers that ask for the same share the work.
func (g *Keeper) Replace(ctx context.Context, refused tillroute.Secret) (pairing.Grant, error) {
	if err := ctx.Err(); err != nil {
		return pairing.Grant{}, g.gaveUp(err)
	}
	flight := g.flights.DoChan(refused.Reveal(), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), refreshTime)
		defer cancel()
		return g.renew(ctx, refused)
	})
	select {
	case done := <-flight:
		if done.Err != nil {
			return pairing.Grant{}, done.Err
		}
		grant, _ := done.Val.(pairing.Grant)
		return grant, nil
	case <-ctx.Done():
		return pairing.Grant{}, g.gaveUp(ctx.Err())
	}
}

func (g *Keeper) gaveUp(cause error) error {
	kind := tillroute.KindCanceled
	if errors.Is(cause, context.DeadlineExceeded) {
		kind = tillroute.KindTimeout
	}
	return &tillroute.Error{System: g.config.System, Operation: refreshOperation, Kind: kind, Outcome: tillroute.Failed, Err: cause}
}

// renew takes the stored grant if it is good, and otherwise refreshes it, unless another node is at it.
func (g *Keeper) renew(ctx context.Context, refused tillroute.Secret) (pairing.Grant, error) {
	if err := g.saveUnsaved(ctx); err != nil {
		return pairing.Grant{}, err
	}
	owner := uuid.NewString()
	for {
		stored, err := g.config.Tokens.Grant(ctx, g.config.System, g.config.Account)
		if err != nil {
			return pairing.Grant{}, g.storeError(err)
		}
		if usable(stored, refused) {
			return g.keep(stored), nil
		}
		if err := g.refusedBefore(stored); err != nil {
			return pairing.Grant{}, err
		}
		claimed, err := g.config.Tokens.ClaimRefresh(ctx, g.config.System, g.config.Account, owner, refreshLease)
		switch {
		case err == nil && usable(claimed, refused):
			g.release(ctx, claimed)
			return g.keep(claimed), nil
		case err == nil:
			return g.refresh(ctx, claimed, refused)
		case !errors.Is(err, tillroute.ErrBusy):
			return pairing.Grant{}, g.storeError(err)
		}
		if err := sleep(ctx, busyWait); err != nil {
			return pairing.Grant{}, &tillroute.Error{
				System: g.config.System, Operation: refreshOperation, Kind: tillroute.KindBusy, Outcome: tillroute.Failed,
				Message: "another process has been refreshing the token of " + g.config.Account + " for too long",
			}
		}
	}
}

func (g *Keeper) refresh(ctx context.Context, claimed pairing.Grant, refused tillroute.Secret) (pairing.Grant, error) {
	renewed, err := g.config.Refresh(ctx, claimed)
	if err != nil {
		g.release(ctx, claimed)
		g.remember(claimed, refused, err)
		return pairing.Grant{}, err
	}
	g.mu.Lock()
	g.unsaved = &renewed
	g.mu.Unlock()
	if err := g.saveUnsaved(ctx); err != nil {
		return pairing.Grant{}, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.grant.AccessToken == refused {
		return pairing.Grant{}, &tillroute.Error{
			System: g.config.System, Operation: refreshOperation, Kind: tillroute.KindUnauthorized, Outcome: tillroute.Failed,
			Message: "the server renewed the access token with the one that it refuses",
		}
	}
	return g.grant, nil
}

// remember keeps what the server will say again, so that it isn't asked again for a while: a dead refresh token doesn't come
// to life, and the limit on token requests is low. Another refresh token is another matter.
func (g *Keeper) remember(claimed pairing.Grant, refused tillroute.Secret, err error) {
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
func (g *Keeper) refusedBefore(grant pairing.Grant) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if grant.RefreshToken != g.dead.refresh || !time.Now().Before(g.dead.until) {
		return nil
	}
	return g.dead.err
}

// saveUnsaved stores a grant that was not stored yet, if there is one. If somebody has stored or deleted one meanwhile, that
// is the newer state of affairs.
func (g *Keeper) saveUnsaved(ctx context.Context) error {
	g.mu.Lock()
	unsaved := g.unsaved
	g.mu.Unlock()
	if unsaved == nil {
		return nil
	}
	stored, err := g.config.Tokens.PutGrant(ctx, *unsaved, unsaved.Version)
	for wait := busyWait; err != nil && errors.Is(err, tillroute.ErrUnavailable) && sleep(ctx, wait) == nil; wait *= 2 {
		stored, err = g.config.Tokens.PutGrant(ctx, *unsaved, unsaved.Version)
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
		if stored, err = g.config.Tokens.Grant(ctx, g.config.System, g.config.Account); err != nil {
			return g.storeError(err)
		}
	}
	g.keep(stored)
	return nil
}

func (g *Keeper) keep(grant pairing.Grant) pairing.Grant {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.grant, g.looked = grant, time.Now()
	return grant
}

// forget is for a grant that is no longer stored.
func (g *Keeper) forget() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.grant = pairing.Grant{}
}

// release ends a claim early, by storing what is stored. If that fails it ends by itself.
func (g *Keeper) release(ctx context.Context, claimed pairing.Grant) {
	_, _ = g.config.Tokens.PutGrant(ctx, claimed, claimed.Version)
}

// storeError explains what kept the store of tokens from its work. A grant that isn't there is no item that wasn't found.
func (g *Keeper) storeError(err error) error {
	e := &tillroute.Error{System: g.config.System, Operation: refreshOperation, Kind: tillroute.KindUnavailable, Outcome: tillroute.Failed}
	if errors.Is(err, tillroute.ErrNotFound) {
		g.forget()
		e.Kind, e.Message, e.Err = tillroute.KindUnauthorized, "there is no grant of "+g.config.Account, g.config.Gone
		return e
	}
	e.Message, e.Err = "the store of tokens failed", err
	return e
}

// NoToken returns the error of a call that had no effect because there is no access token that would be accepted.
func NoToken(system, operation, message string, err error) error {
	e := &tillroute.Error{System: system, Operation: operation, Outcome: tillroute.Failed, Message: message, Err: err}
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
