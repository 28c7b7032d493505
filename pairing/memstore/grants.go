package memstore

import (
	"context"
	"time"

	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/internal/refusal"
)

type grantKey struct{ system, account string }

// grant is what is known of an account. It stays, without its secrets, when the grant is deleted, so that no version
// is used twice.
type grant struct {
	pairing.Grant

	deleted      bool
	refreshOwner string
	refreshUntil time.Time
}

// Grant returns the account's grant.
func (s *Store) Grant(ctx context.Context, system, account string) (pairing.Grant, error) {
	if err := s.begin(ctx); err != nil {
		return pairing.Grant{}, err
	}
	defer s.mu.Unlock()
	g, err := s.grant(system, account)
	if err != nil {
		return pairing.Grant{}, err
	}
	return g.Grant, nil
}

func (s *Store) grant(system, account string) (*grant, error) {
	g := s.grants[grantKey{system, account}]
	if g == nil || g.deleted {
		return nil, refusal.NoGrant(system, account)
	}
	return g, nil
}

// PutGrant stores g if the stored grant has version ifVersion.
func (s *Store) PutGrant(ctx context.Context, g pairing.Grant, ifVersion int64) (pairing.Grant, error) {
	if err := s.begin(ctx); err != nil {
		return pairing.Grant{}, err
	}
	defer s.mu.Unlock()
	at := grantKey{g.System, g.Account}
	old := s.grants[at]
	if old == nil {
		old = &grant{deleted: true}
	}
	version := old.Version
	if old.deleted {
		version = 0
	}
	if err := refusal.GrantVersion(g, version, ifVersion); err != nil {
		return pairing.Grant{}, err
	}
	g.Version = old.Version + 1
	if !g.Expiry.IsZero() {
		g.Expiry = g.Expiry.UTC().Truncate(time.Millisecond)
	}
	s.grants[at] = &grant{Grant: g}
	return g, nil
}

// DeleteGrant forgets the grant.
func (s *Store) DeleteGrant(ctx context.Context, system, account string) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	g, err := s.grant(system, account)
	if err != nil {
		return err
	}
	*g = grant{Grant: pairing.Grant{Version: g.Version}, deleted: true}
	return nil
}

// ClaimRefresh gives owner the right to use the refresh token.
func (s *Store) ClaimRefresh(
	ctx context.Context, system, account, owner string, lease time.Duration,
) (pairing.Grant, error) {
	if err := s.begin(ctx); err != nil {
		return pairing.Grant{}, err
	}
	defer s.mu.Unlock()
	g, err := s.grant(system, account)
	if err != nil {
		return pairing.Grant{}, err
	}
	if g.refreshOwner != owner && !s.passed(g.refreshUntil) {
		return pairing.Grant{}, refusal.BeingRefreshed(system, account)
	}
	g.refreshOwner, g.refreshUntil = owner, s.after(lease)
	return g.Grant, nil
}
