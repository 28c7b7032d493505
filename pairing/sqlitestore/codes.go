package sqlitestore

import (
	"context"
	"time"

	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/internal/refusal"
)

// codeMemory is how long the text of a code is not given out again.
const codeMemory = 24 * time.Hour

// PutCode stores a code that is valid for ttl from now.
func (s *Store) PutCode(ctx context.Context, code pairing.Code, ttl time.Duration) (pairing.Code, error) {
	return write(ctx, s, func(ctx context.Context, c *conn) (pairing.Code, error) {
		stored := code
		stored.ExpiresAt = c.now.Add(max(ttl, 0))
		return stored, putCode(ctx, c, stored)
	})
}

func putCode(ctx context.Context, c *conn, code pairing.Code) error {
	// What is too old to be of use to anybody, this text perhaps among it.
	if _, err := c.exec(ctx, "DELETE FROM pairing_codes"+
		" WHERE (code = ? OR provider = ? AND serial = ?) AND issued_at <= ? AND expires_at <= ?",
		code.Text, code.Terminal.Provider, code.Terminal.Serial, c.timeBefore(codeMemory), c.timeNow()); err != nil {
		return err
	}
	n, err := c.exec(ctx, "INSERT INTO pairing_codes (code, provider, serial, terminal_name, issued_at, expires_at)"+
		" VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
		code.Text, code.Terminal.Provider, code.Terminal.Serial, code.TerminalName,
		c.timeNow(), timeText(code.ExpiresAt))
	if err != nil {
		return err
	}
	if n == 0 {
		return refusal.CodeTaken()
	}
	_, err = c.exec(ctx, "UPDATE pairing_codes SET ended = 'replaced'"+
		" WHERE provider = ? AND serial = ? AND code <> ? AND ended IS NULL",
		code.Terminal.Provider, code.Terminal.Serial, code.Text)
	return err
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
			return pair(ctx, c, p)
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
	var ended string
	var expires time.Time
	ok, err := c.one(ctx, func(r *row) {
		p.Terminal.Provider = r.text()
		p.Terminal.Serial = r.text()
		p.TerminalName = r.text()
		ended = r.text()
		expires = r.time()
	}, "SELECT provider, serial, terminal_name, coalesce(ended, ''), expires_at FROM pairing_codes WHERE code = ?", text)
	switch {
	case err != nil:
		return p, err
	case !ok:
		return p, refusal.WrongCode(p.Register)
	case ended == "used":
		return p, refusal.CodeUsed(p.Register)
	case ended != "" || c.passed(expires):
		return p, refusal.CodeExpired(p.Register)
	}
	_, err = c.exec(ctx, "UPDATE pairing_codes SET ended = 'used' WHERE code = ?", text)
	return p, err
}

// checkTries returns an error if the party has typed too many wrong codes.
func checkTries(ctx context.Context, c *conn, r pairing.Register, tries pairing.Tries) error {
	var ends time.Time
	tooMany, err := c.one(ctx, func(r *row) { ends = r.time() },
		"SELECT ends_at FROM code_tries WHERE key = ? AND tries >= ? AND ends_at > ?",
		tries.Key, int64(tries.Max), c.timeNow())
	if err != nil || !tooMany {
		return err
	}
	return refusal.TooManyTries(r, ends.Sub(c.now))
}

// countTry counts a wrong code, and forgets the counts that have ended.
func countTry(ctx context.Context, c *conn, tries pairing.Tries) error {
	if _, err := c.exec(ctx, "DELETE FROM code_tries WHERE ends_at <= ?", c.timeNow()); err != nil {
		return err
	}
	_, err := c.exec(ctx, "INSERT INTO code_tries (key, tries, ends_at) VALUES (?, 1, ?)"+
		" ON CONFLICT DO UPDATE SET tries = tries + 1", tries.Key, c.timeAfter(tries.Window))
	return err
}
