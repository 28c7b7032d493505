package sqlitestore

import (
	"context"
	"database/sql/driver"
	"time"

	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/internal/refusal"
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

const selectGrant = "SELECT " + grantColumns + " FROM grants WHERE system = ? AND account = ? AND deleted_at IS NULL"

// Grant returns the account's grant.
func (s *Store) Grant(ctx context.Context, system, account string) (g pairing.Grant, err error) {
	n, err := s.read(ctx, func(r *row) { g = scanGrant(r) }, selectGrant, system, account)
	if err == nil && n == 0 {
		err = refusal.NoGrant(system, account)
	}
	return g, err
}

func findGrant(ctx context.Context, c *conn, system, account string) (g pairing.Grant, ok bool, err error) {
	ok, err = c.one(ctx, func(r *row) { g = scanGrant(r) }, selectGrant, system, account)
	return g, ok, err
}

// PutGrant stores g if the stored grant has version ifVersion.
func (s *Store) PutGrant(ctx context.Context, g pairing.Grant, ifVersion int64) (pairing.Grant, error) {
	return write(ctx, s, func(ctx context.Context, c *conn) (stored pairing.Grant, err error) {
		old, _, err := findGrant(ctx, c, g.System, g.Account)
		if err != nil {
			return stored, err
		}
		if err := refusal.GrantVersion(g, old.Version, ifVersion); err != nil {
			return stored, err
		}
		var expiry driver.Value
		if !g.Expiry.IsZero() {
			expiry = timeText(g.Expiry)
		}
		_, err = c.one(ctx, func(r *row) { stored = scanGrant(r) }, "INSERT INTO grants"+
			" (system, account, access_token, refresh_token, token_type, scope, expiry, extra, granted_at)"+
			" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"+
			" ON CONFLICT DO UPDATE SET access_token = excluded.access_token,"+
			" refresh_token = excluded.refresh_token, token_type = excluded.token_type, scope = excluded.scope,"+
			" expiry = excluded.expiry, extra = excluded.extra, version = version + 1,"+
			" granted_at = excluded.granted_at, deleted_at = NULL, refresh_owner = '', refresh_until = NULL"+
			" RETURNING "+grantColumns,
			g.System, g.Account, g.AccessToken.Reveal(), g.RefreshToken.Reveal(), g.TokenType, g.Scope, expiry,
			g.Extra.Reveal(), c.timeNow())
		return stored, err
	})
}

// DeleteGrant forgets the grant.
func (s *Store) DeleteGrant(ctx context.Context, system, account string) error {
	return s.group.write(ctx, func(ctx context.Context, c *conn) error {
		n, err := c.exec(ctx, "UPDATE grants SET deleted_at = ?, access_token = '', refresh_token = '',"+
			" token_type = '', scope = '', expiry = NULL, extra = '', refresh_owner = '', refresh_until = NULL"+
			" WHERE system = ? AND account = ? AND deleted_at IS NULL", c.timeNow(), system, account)
		if err == nil && n == 0 {
			err = refusal.NoGrant(system, account)
		}
		return err
	})
}

// ClaimRefresh gives owner the right to use the refresh token.
func (s *Store) ClaimRefresh(
	ctx context.Context, system, account, owner string, lease time.Duration,
) (pairing.Grant, error) {
	return write(ctx, s, func(ctx context.Context, c *conn) (pairing.Grant, error) {
		g, ok, err := findGrant(ctx, c, system, account)
		if err != nil {
			return g, err
		}
		if !ok {
			return g, refusal.NoGrant(system, account)
		}
		n, err := c.exec(ctx, "UPDATE grants SET refresh_owner = ?, refresh_until = ?"+
			" WHERE system = ? AND account = ? AND (refresh_owner = ? OR coalesce(refresh_until, '') <= ?)",
			owner, c.timeAfter(lease), system, account, owner, c.timeNow())
		if err == nil && n == 0 {
			err = refusal.BeingRefreshed(system, account)
		}
		return g, err
	})
}
