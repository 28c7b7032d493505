package pgstore

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
	return transact(ctx, s, func(ctx context.Context, t *tx) (pairing.Code, error) {
		stored := code
		if err := t.lock(ctx, "terminal", code.Terminal.String()); err != nil {
			return stored, err
		}
		// What is too old to be of use to anybody, this text perhaps among it.
		if _, err := t.exec(ctx, "DELETE FROM @pairing_codes"+
			" WHERE (code = $1 OR provider = $2 AND serial = $3) AND issued_at <= $4 AND expires_at <= now()",
			code.Text, code.Terminal.Provider, code.Terminal.Serial, t.now.Add(-codeMemory)); err != nil {
			return stored, err
		}
		ok, err := t.one(ctx, []any{(*moment)(&stored.ExpiresAt)},
			"INSERT INTO @pairing_codes (code, provider, serial, terminal_name, issued_at, expires_at)"+
				" VALUES ($1, $2, $3, $4, now(), $5) ON CONFLICT DO NOTHING RETURNING expires_at",
			code.Text, code.Terminal.Provider, code.Terminal.Serial, code.TerminalName, t.now.Add(max(ttl, 0)))
		switch {
		case err != nil:
			return stored, err
		case !ok:
			return stored, refusal.CodeTaken()
		}
		_, err = t.exec(ctx, "UPDATE @pairing_codes SET ended = 'replaced'"+
			" WHERE provider = $1 AND serial = $2 AND code <> $3 AND ended IS NULL",
			code.Terminal.Provider, code.Terminal.Serial, code.Text)
		return stored, err
	})
}

// RedeemCode uses a code up and pairs the register with its terminal.
func (s *Store) RedeemCode(
	ctx context.Context, text string, p pairing.Pairing, tries pairing.Tries,
) (pairing.Pairing, error) {
	return transact(ctx, s, func(ctx context.Context, t *tx) (pairing.Pairing, error) {
		// Who guesses at many nodes at once is counted at one after the other.
		if err := t.lock(ctx, "tries", tries.Key); err != nil {
			return pairing.Pairing{}, err
		}
		if err := checkTries(ctx, t, p.Register, tries); err != nil {
			return pairing.Pairing{}, err
		}
		p, err := redeem(ctx, t, text, p)
		if err == nil {
			// PutPairing may be about to pair a register that had no pairing when it looked.
			err = t.lock(ctx, "register", p.Register.String())
		}
		if err == nil {
			return pair(ctx, t, p)
		}
		if !broken(err) {
			if err := countTry(ctx, t, tries); err != nil {
				return pairing.Pairing{}, err
			}
		}
		return pairing.Pairing{}, err
	})
}

// redeem uses up the code, if it is good, and returns p with its terminal.
func redeem(ctx context.Context, t *tx, text string, p pairing.Pairing) (pairing.Pairing, error) {
	var ended string
	var expired bool
	ok, err := t.one(ctx, []any{&p.Terminal.Provider, &p.Terminal.Serial, &p.TerminalName, &ended, &expired},
		"SELECT provider, serial, terminal_name, coalesce(ended, ''), expires_at <= now() FROM @pairing_codes"+
			" WHERE code = $1 FOR UPDATE", text)
	switch {
	case err != nil:
		return p, err
	case !ok:
		return p, refusal.WrongCode(p.Register)
	case ended == "used":
		return p, refusal.CodeUsed(p.Register)
	case ended != "" || expired:
		return p, refusal.CodeExpired(p.Register)
	}
	_, err = t.exec(ctx, "UPDATE @pairing_codes SET ended = 'used' WHERE code = $1", text)
	return p, err
}

// checkTries returns an error if the party has typed too many wrong codes.
func checkTries(ctx context.Context, t *tx, r pairing.Register, tries pairing.Tries) error {
	var ends time.Time
	tooMany, err := t.one(ctx, []any{(*moment)(&ends)},
		"SELECT ends_at FROM @code_tries WHERE key = $1 AND tries >= $2 AND ends_at > now()", tries.Key, tries.Max)
	if err != nil || !tooMany {
		return err
	}
	return refusal.TooManyTries(r, ends.Sub(t.now))
}

// countTry counts a wrong code, and forgets the counts that have ended.
func countTry(ctx context.Context, t *tx, tries pairing.Tries) error {
	// Of those of others only what nobody is at: they would be waited for in any order.
	if _, err := t.exec(ctx, "DELETE FROM @code_tries WHERE key IN"+
		" (SELECT key FROM @code_tries WHERE ends_at <= now() FOR UPDATE SKIP LOCKED)"); err != nil {
		return err
	}
	_, err := t.exec(ctx, "INSERT INTO @code_tries AS old (key, tries, ends_at) VALUES ($1, 1, $2)"+
		" ON CONFLICT (key) DO UPDATE SET tries = old.tries + 1", tries.Key, t.now.Add(max(tries.Window, 0)))
	return err
}
