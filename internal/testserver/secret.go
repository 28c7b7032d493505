package testserver

import (
	"crypto/rand"
	"crypto/subtle"
	"maps"
	"slices"
)

// secret makes a random credential that is plainly a simulated one.
func secret(prefix string) string {
	return prefix + rand.Text()
}

// secret makes a random credential, which is among [Systems.Secrets].
func (e *Engine) secret(prefix string) string { return e.secretly(secret(prefix)) }

// secretly returns the text, which is among [Systems.Secrets] from now on.
func (e *Engine) secretly(text string) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.secrets == nil {
		e.secrets = map[string]bool{}
	}
	e.secrets[text] = true
	return text
}

// Secrets returns what the systems have issued to clients or were given by them so far and nobody else should get to see: the
// credentials of applications, codes and tokens, good or not any more, MAC keys, the tokens of polling URLs, the identities of
// registers, pairing codes that were used, API keys and passwords. They are in order. Those that are in a file of an earlier
// process are not among them, unless they are the applications'.
func (s *Systems) Secrets() []string {
	all := []string{
		s.XSeries.opts.ClientSecret, s.XSeries.opts.PersonalToken, s.Paysera.opts.ClientSecret, s.Paysera.opts.AppSecret,
		s.KSeries.opts.ClientSecret, s.KSeries.opts.LegacySecret, s.PMS.Token(),
	}
	s.Engine.mu.Lock()
	defer s.Engine.mu.Unlock()
	all = slices.AppendSeq(all, maps.Keys(s.secrets))
	all = slices.DeleteFunc(all, func(text string) bool { return text == "" })
	slices.Sort(all)
	return slices.Compact(all)
}

// sameSecret compares in constant time.
func sameSecret(a, b string) bool {
	return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}

// orDefault returns v, or other when v is the zero value.
func orDefault[T comparable](v, other T) T {
	var zero T
	if v == zero {
		return other
	}
	return v
}

// digits reports whether s consists of decimal digits only, at least one.
func digits(s string) bool {
	for _, c := range s {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != ""
}
