package pgstore

import (
	"context"
	"time"

	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/internal/refusal"
)

const grantColumns = "system, account, access_token, refresh_token, token_type, scope, expiry, extra, version"

func grantInto(g *pairing.Grant) []any {
	return []any{
		&g.System, &g.Account, (*string)(&g.AccessToken), (*string)(&g.RefreshToken), &g.TokenType, &g.Scope,
		(*moment)(&g.Expiry), (*string)(&g.Extra), &g.Version,
	}
}

const selectGrant = "SELECT " + grantColumns + " FROM @grants WHERE system = $1 AND account = $2 AND deleted_at IS NULL"

// Grant returns the account's grant.
func (s *Store) Grant(ctx context.Context, system, account string) (pairing.Grant, error) {
	var g pairing.Grant
	ok, err := s.one(ctx, grantInto(&g), selectGrant, system, account)
	if err == nil && !ok {
		err = refusal.NoGrant(system, account)
	}
	if err != nil {
		return pairing.Grant{}, err
	}
	return g, nil
}

// PutGrant stores g if the stored grant has version ifVersion.
func (s *Store) PutGrant(ctx context.Context, g pairing.Grant, ifVersion int64) (pairing.Grant, error) {
	return transact(ctx, s, func(ctx context.Context, t *tx) (stored pairing.Grant, err error) {
		if err := t.lock(ctx, "grant", g.System+"/"+g.Account); err != nil {
			return stored, err
		}
		var old pairing.Grant
		if _, err := t.one(ctx, grantInto(&old), selectGrant+" FOR UPDATE", g.System, g.Account); err != nil {
			return stored, err
		}
		if err := refusal.GrantVersion(g, old.Version, ifVersion); err != nil {
			return stored, err
		}
		var expiry *time.Time
		if !g.Expiry.IsZero() {
			expiry = &g.Expiry
		}
		_, err = t.one(ctx, grantInto(&stored), "INSERT INTO @grants AS old"+
			" (system, account, access_token, refresh_token, token_type, scope, expiry, extra, granted_at)"+
			" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now())"+
			" ON CONFLICT (system, account) DO UPDATE SET access_token = excluded.access_token,"+
			" refresh_token = excluded.refresh_token, token_type = excluded.token_type, scope = excluded.scope,"+
			" expiry = excluded.expiry, extra = excluded.extra, version = old.version + 1,"+
			" granted_at = excluded.granted_at, deleted_at = NULL, refresh_owner = '', refresh_until = NULL"+
			" RETURNING "+grantColumns,
			g.System, g.Account, g.AccessToken.Reveal(), g.RefreshToken.Reveal(), g.TokenType, g.Scope, expiry, g.Extra.Reveal())
		return stored, err
	})
}

// DeleteGrant forgets the grant.
func (s *Store) DeleteGrant(ctx context.Context, system, account string) error {
	_, err := transact(ctx, s, func(ctx context.Context, t *tx) (int64, error) {
		n, err := t.exec(ctx, "UPDATE @grants SET deleted_at = now(), access_token = '', refresh_token = '',"+
			" token_type = '', scope = '', expiry = NULL, extra = '', refresh_owner = '', refresh_until = NULL"+
			" WHERE system = $1 AND account = $2 AND deleted_at IS NULL", system, account)
		if err == nil && n == 0 {
			err = refusal.NoGrant(system, account)
		}
		return n, err
	})
	return err
}

// ClaimRefresh gives owner the right to use the refresh token.
func (s *Store) ClaimRefresh(
	ctx context.Context, system, account, owner string, lease time.Duration,
) (pairing.Grant, error) {
	return transact(ctx, s, func(ctx context.Context, t *tx) (g pairing.Grant, err error) {
		ok, err := t.one(ctx, grantInto(&g), selectGrant+" FOR UPDATE", system, account)
		switch {
		case err != nil:
			return g, err
		case !ok:
			return g, refusal.NoGrant(system, account)
		}
		// The statement's time, not the transaction's: who was waited for has a lease from after it began.
		n, err := t.exec(ctx, "UPDATE @grants SET refresh_owner = $3, refresh_until = statement_timestamp() + $4::bigint * interval '1 microsecond'"+
			" WHERE system = $1 AND account = $2"+
			" AND (refresh_owner = $3 OR coalesce(refresh_until, '-infinity') <= statement_timestamp())",
			system, account, owner, micros(lease))
		if err == nil && n == 0 {
			err = refusal.BeingRefreshed(system, account)
		}
		return g, err
	})
}
