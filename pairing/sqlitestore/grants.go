package sqlitestore

import (
	"context"
	"database/sql/driver"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

const grantColumns = "system, account, access_token, refresh_token, token_type, scope, expiry, extra, version"

func scanGrant(r *row) (g pairing.Grant) {
	g.System = r.text()
	g.Account = r.text()
	g.AccessToken = r.secret()
	g.RefreshToken = r.secret()
	g.TokenType = r.text()
	g.Scope = r.text()
	g.Expiry = r.time()
	g.Extra = r.secret()
	g.Version = r.int()
	return g
}

const findGrant = "SELECT " + grantColumns + " FROM grants WHERE system = ? AND account = ? AND deleted_at IS NULL"

// Grant returns the account's grant.
func (s *Store) Grant(ctx context.Context, system, account string) (g pairing.Grant, err error) {
	n, err := s.read(ctx, func(r *row) { g = scanGrant(r) }, findGrant, system, account)
	if err == nil && n == 0 {
		err = noGrant(system, account)
	}
	return g, err
}

// PutGrant stores g if the stored grant has version ifVersion.
func (s *Store) PutGrant(ctx context.Context, g pairing.Grant, ifVersion int64) (pairing.Grant, error) {
	return write(ctx, s, func(ctx context.Context, c *conn) (stored pairing.Grant, err error) {
		scan := func(r *row) { stored = scanGrant(r) }
		var expiry driver.Value
		if !g.Expiry.IsZero() {
			expiry = g.Expiry.UTC().Format(timeLayout)
		}
		var ok bool
		if ifVersion > 0 {
			ok, err = c.one(ctx, scan, "UPDATE grants SET access_token = ?, refresh_token = ?, token_type = ?, scope = ?,"+
				" expiry = ?, extra = ?, version = version + 1, granted_at = "+sqlTime+","+
				" refresh_owner = '', refresh_until = NULL"+
				" WHERE system = ? AND account = ? AND deleted_at IS NULL AND version = ?"+
				" RETURNING "+grantColumns,
				g.AccessToken.Reveal(), g.RefreshToken.Reveal(), g.TokenType, g.Scope, expiry, g.Extra.Reveal(),
				g.System, g.Account, ifVersion)
		} else {
			ok, err = c.one(ctx, scan, "INSERT INTO grants"+
				" (system, account, access_token, refresh_token, token_type, scope, expiry, extra, granted_at)"+
				" VALUES (?, ?, ?, ?, ?, ?, ?, ?, "+sqlTime+")"+
				" ON CONFLICT DO UPDATE SET access_token = excluded.access_token,"+
				" refresh_token = excluded.refresh_token, token_type = excluded.token_type, scope = excluded.scope,"+
				" expiry = excluded.expiry, extra = excluded.extra, version = version + 1,"+
				" granted_at = excluded.granted_at, deleted_at = NULL, refresh_owner = '', refresh_until = NULL"+
				" WHERE deleted_at IS NOT NULL OR ?"+
				" RETURNING "+grantColumns,
				g.System, g.Account, g.AccessToken.Reveal(), g.RefreshToken.Reveal(), g.TokenType, g.Scope, expiry,
				g.Extra.Reveal(), ifVersion < 0)
		}
		if err == nil && !ok {
			err = otherGrant(ctx, c, g, ifVersion)
		}
		return stored, err
	})
}

// otherGrant returns why a grant can't be replaced that was expected at ifVersion.
func otherGrant(ctx context.Context, c *conn, g pairing.Grant, ifVersion int64) error {
	var version int64
	if _, err := c.one(ctx, func(r *row) { version = scanGrant(r).Version }, findGrant, g.System, g.Account); err != nil {
		return err
	}
	return pairing.Errorf(tillroute.KindConflict, nil,
		"the grant of account %q of %s is at version %d, expected %d", g.Account, g.System, version, ifVersion)
}

// DeleteGrant forgets the grant.
func (s *Store) DeleteGrant(ctx context.Context, system, account string) error {
	return s.group.write(ctx, func(ctx context.Context, c *conn) error {
		ok, err := c.one(ctx, nil, "UPDATE grants SET deleted_at = "+sqlTime+", access_token = '', refresh_token = '',"+
			" scope = '', extra = '', refresh_owner = '', refresh_until = NULL"+
			" WHERE system = ? AND account = ? AND deleted_at IS NULL RETURNING 1", system, account)
		if err == nil && !ok {
			err = noGrant(system, account)
		}
		return err
	})
}

// ClaimRefresh gives owner the right to use the refresh token.
func (s *Store) ClaimRefresh(
	ctx context.Context, system, account, owner string, lease time.Duration,
) (pairing.Grant, error) {
	return write(ctx, s, func(ctx context.Context, c *conn) (g pairing.Grant, err error) {
		ok, err := c.one(ctx, func(r *row) { g = scanGrant(r) },
			"UPDATE grants SET refresh_owner = ?, refresh_until = "+sqlLater+
				" WHERE system = ? AND account = ? AND deleted_at IS NULL"+
				" AND (refresh_owner = ? OR coalesce(refresh_until, '') <= "+sqlTime+")"+
				" RETURNING "+grantColumns, owner, later(lease), system, account, owner)
		if err != nil || ok {
			return g, err
		}
		ok, err = c.one(ctx, nil, findGrant, system, account)
		switch {
		case err != nil:
			return g, err
		case !ok:
			return g, noGrant(system, account)
		default:
			return g, pairing.Errorf(tillroute.KindBusy, nil,
				"the grant of account %q of %s is being refreshed", account, system)
		}
	})
}

func noGrant(system, account string) error {
	return pairing.Errorf(tillroute.KindNotFound, nil,
		"there is no grant of account %q of %s: connect it first", account, system)
}
