package grants

import (
	"context"
	"net/http"
	"strings"

	"github.com/tillroute/tillroute"
)

// Bearer has the calls of a client made with access tokens. What is secret is behind functions: fmt shows them as addresses,
// whatever the verb, and follows pointers with some.
type Bearer struct {
	token func(context.Context) (tillroute.Secret, error)
	// replace is nil for a token that somebody else renews.
	replace func(ctx context.Context, refused tillroute.Secret) (tillroute.Secret, error)
}

// Fixed returns a bearer of a token that somebody else renews.
func Fixed(token tillroute.Secret) Bearer {
	return Bearer{token: func(context.Context) (tillroute.Secret, error) { return token, nil }}
}

// Bearer returns a bearer of the access token.
func (g *Keeper) Bearer() Bearer {
	return Bearer{
		token: func(ctx context.Context) (tillroute.Secret, error) {
			grant, err := g.Grant(ctx)
			return grant.AccessToken, err
		},
		replace: func(ctx context.Context, refused tillroute.Secret) (tillroute.Secret, error) {
			grant, err := g.Replace(ctx, refused)
			return grant.AccessToken, err
		},
	}
}

// Renews reports whether the token can be replaced.
func (b Bearer) Renews() bool { return b.replace != nil }

// Used is the token that a call is made with, so that it is known which one was refused, and why there is no other.
type Used struct {
	Token tillroute.Secret
	// Unrenewed is why a token that was refused could not be replaced.
	Unrenewed error

	first tillroute.Secret
}

type usedKey struct{}

// Begin returns the context of a call, and the token that it begins with.
func (b Bearer) Begin(ctx context.Context) (context.Context, *Used, error) {
	token, err := b.token(ctx)
	if err != nil {
		return nil, nil, err
	}
	used := &Used{Token: token, first: token}
	return context.WithValue(ctx, usedKey{}, used), used, nil
}

// Redact removes a token that the call came by later from its error.
func (u *Used) Redact(e *tillroute.Error) {
	if u.Token == u.first {
		return
	}
	e.Message = strings.ReplaceAll(e.Message, u.Token.Reveal(), "[redacted]")
	e.Code = strings.ReplaceAll(e.Code, u.Token.Reveal(), "[redacted]")
}

// Authorize adds the token to an attempt of a call.
func Authorize(r *http.Request, _ []byte) error {
	if used, ok := r.Context().Value(usedKey{}).(*Used); ok {
		r.Header.Set("Authorization", "Bearer "+used.Token.Reveal())
	}
	return nil
}

// Renew replaces the token of a call that was refused, and reports whether there is a better one. Its error is kept in [Used], too.
func (b Bearer) Renew(ctx context.Context) (bool, error) {
	used, ok := ctx.Value(usedKey{}).(*Used)
	if !ok || b.replace == nil {
		return false, nil
	}
	token, err := b.replace(ctx, used.Token)
	if err != nil {
		used.Unrenewed = err
		return false, err
	}
	used.Token = token
	return true, nil
}
