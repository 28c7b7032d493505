package sqlitestore

import (
	"context"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

// codeMemory is how long the text of a code is not given out again.
const codeMemory = 24 * time.Hour

// PutCode stores a code that is valid for ttl from now.
func (s *Store) PutCode(ctx context.Context, code pairing.Code, ttl time.Duration) (pairing.Code, error) {
	return write(ctx, s, func(ctx context.Context, c *conn) (pairing.Code, error) { return putCode(ctx, c, code, ttl) })
}

func putCode(ctx context.Context, c *conn, code pairing.Code, ttl time.Duration) (pairing.Code, error) {
	ok, err := c.one(ctx, func(r *row) { code.ExpiresAt = r.time() }, "INSERT INTO pairing_codes"+
		" (code, provider, serial, terminal_name, issued_at, expires_at)"+
		" VALUES (?, ?, ?, ?, "+sqlTime+", "+sqlLater+")"+
		" ON CONFLICT DO UPDATE SET provider = excluded.provider, serial = excluded.serial,"+
		" terminal_name = excluded.terminal_name, issued_at = excluded.issued_at, expires_at = excluded.expires_at,"+
		" ended = NULL"+
		" WHERE issued_at <= "+sqlLater+" AND expires_at <= "+sqlTime+
		" RETURNING expires_at",
		code.Text, code.Terminal.Provider, code.Terminal.Serial, code.TerminalName, later(ttl), shift(-codeMemory))
	if err != nil {
		return pairing.Code{}, err
	}
	if !ok {
		return pairing.Code{}, pairing.Errorf(tillroute.KindConflict, nil,
			"this pairing code was already issued in the last day: make another one")
	}
	if err := c.exec(ctx, "UPDATE pairing_codes SET ended = 'replaced'"+
		" WHERE provider = ? AND serial = ? AND code <> ? AND ended IS NULL",
		code.Terminal.Provider, code.Terminal.Serial, code.Text); err != nil {
		return pairing.Code{}, err
	}
	return code, c.exec(ctx, "DELETE FROM pairing_codes"+
		" WHERE provider = ? AND serial = ? AND issued_at < "+sqlLater+" AND expires_at <= "+sqlTime,
		code.Terminal.Provider, code.Terminal.Serial, shift(-codeMemory))
}

// RedeemCode uses a code up and pairs the register with its terminal.
func (s *Store) RedeemCode(
	ctx context.Context, text string, p pairing.Pairing, tries pairing.Tries,
) (pairing.Pairing, error) {
	return write(ctx, s, func(ctx context.Context, c *conn) (pairing.Pairing, error) {
		if err := checkTries(ctx, c, p.Register, tries); err != nil {
			return pairing.Pairing{}, err
		}
		p, err := redeem(ctx, c, text, p)
		if err == nil {
			return putPairing(ctx, c, p, -1)
		}
		if !broken(err) {
			if err := countTry(ctx, c, tries); err != nil {
				return pairing.Pairing{}, err
			}
		}
		return pairing.Pairing{}, err
	})
}

// redeem uses up the code, if it is good, and returns p with its terminal.
func redeem(ctx context.Context, c *conn, text string, p pairing.Pairing) (pairing.Pairing, error) {
	ok, err := c.one(ctx, func(r *row) {
		p.Terminal.Provider = r.text()
		p.Terminal.Serial = r.text()
		p.TerminalName = r.text()
	}, "UPDATE pairing_codes SET ended = 'used' WHERE code = ? AND ended IS NULL AND expires_at > "+sqlTime+
		" RETURNING provider, serial, terminal_name", text)
	if err != nil || ok {
		return p, err
	}
	var used bool
	ok, err = c.one(ctx, func(r *row) { used = r.bool() },
		"SELECT ended IS 'used' FROM pairing_codes WHERE code = ?", text)
	switch {
	case err != nil:
		return p, err
	case !ok:
		return p, pairing.Errorf(tillroute.KindNotFound, pairing.ErrWrongCode, "register %s", p.Register)
	case used:
		return p, pairing.Errorf(tillroute.KindConflict, pairing.ErrCodeUsed, "register %s", p.Register)
	default:
		return p, pairing.Errorf(tillroute.KindConflict, pairing.ErrCodeExpired, "register %s", p.Register)
	}
}

// checkTries returns an error if the party has typed too many wrong codes.
func checkTries(ctx context.Context, c *conn, r pairing.Register, tries pairing.Tries) error {
	var left int64
	tooMany, err := c.one(ctx, func(r *row) { left = r.int() },
		"SELECT CAST((julianday(ends_at) - julianday('now')) * 86400000 AS INTEGER) FROM code_tries"+
			" WHERE key = ? AND tries >= ? AND ends_at > "+sqlTime, tries.Key, int64(tries.Max))
	if err != nil || !tooMany {
		return err
	}
	e := pairing.Errorf(tillroute.KindRateLimited, pairing.ErrTooManyTries, "register %s", r)
	e.RetryAfter = time.Duration(left) * time.Millisecond
	return e
}

// countTry counts a wrong code, and forgets the counts that have ended.
func countTry(ctx context.Context, c *conn, tries pairing.Tries) error {
	if err := c.exec(ctx, "DELETE FROM code_tries WHERE ends_at <= "+sqlTime); err != nil {
		return err
	}
	return c.exec(ctx, "INSERT INTO code_tries (key, tries, ends_at) VALUES (?, 1, "+sqlLater+")"+
		" ON CONFLICT DO UPDATE SET tries = tries + 1", tries.Key, later(tries.Window))
}
