package memstore

import (
	"context"
	"time"

	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/internal/refusal"
)

// codeMemory is how long the text of a code is not given out again.
const codeMemory = 24 * time.Hour

type code struct {
	pairing.Code

	issuedAt       time.Time
	used, replaced bool
}

// tries counts the wrong codes of one party.
type tries struct {
	count  int
	endsAt time.Time
}

// PutCode stores a code that is valid for ttl from now.
func (s *Store) PutCode(ctx context.Context, c pairing.Code, ttl time.Duration) (pairing.Code, error) {
	if err := s.begin(ctx); err != nil {
		return pairing.Code{}, err
	}
	defer s.mu.Unlock()
	old := s.codes[c.Text]
	if old != nil && (!s.passed(old.issuedAt.Add(codeMemory)) || !s.passed(old.ExpiresAt)) {
		return pairing.Code{}, refusal.CodeTaken()
	}
	for _, other := range s.codes {
		if other.Terminal == c.Terminal && !other.used {
			other.replaced = true
		}
	}
	c.ExpiresAt = s.after(ttl)
	s.codes[c.Text] = &code{Code: c, issuedAt: s.now()}
	return c, nil
}

// RedeemCode uses a code up and pairs the register with its terminal.
func (s *Store) RedeemCode(ctx context.Context, text string, p pairing.Pairing, limit pairing.Tries) (pairing.Pairing, error) {
	if err := s.begin(ctx); err != nil {
		return pairing.Pairing{}, err
	}
	defer s.mu.Unlock()
	wrong := s.tries[limit.Key]
	if wrong != nil && s.passed(wrong.endsAt) {
		delete(s.tries, limit.Key)
		wrong = nil
	}
	if wrong != nil && wrong.count >= limit.Max {
		return pairing.Pairing{}, refusal.TooManyTries(p.Register, wrong.endsAt.Sub(s.now()))
	}
	c := s.codes[text]
	var failure error
	switch {
	case c == nil:
		failure = refusal.WrongCode(p.Register)
	case c.used:
		failure = refusal.CodeUsed(p.Register)
	case c.replaced || s.passed(c.ExpiresAt):
		failure = refusal.CodeExpired(p.Register)
	}
	if failure != nil {
		if wrong == nil {
			wrong = &tries{endsAt: s.after(limit.Window)}
			s.tries[limit.Key] = wrong
		}
		wrong.count++
		return pairing.Pairing{}, failure
	}
	c.used = true
	p.Terminal, p.TerminalName = c.Terminal, c.TerminalName
	return s.pair(p), nil
}
