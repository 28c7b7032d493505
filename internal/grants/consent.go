package grants

import (
	"cmp"
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/rest"
	"github.com/tillroute/tillroute/pairing"
)

// MinState is how many characters the state of a consent has at least.
const MinState = 8

// AskingProblems returns what is wrong with what somebody is asked to consent to, and with the URL that they come back to.
func AskingProblems(scopes []string, redirectURL string) []string {
	var problems []string
	for _, scope := range scopes {
		if scope == "" || strings.ContainsAny(scope, " \t\r\n") {
			problems = append(problems, fmt.Sprintf("Scopes has %q, which is not one scope", scope))
		}
	}
	if u, err := url.Parse(redirectURL); err != nil || !u.IsAbs() || u.Host == "" {
		problems = append(problems, "RedirectURL is not an absolute URL")
	}
	return problems
}

// Shielded reports whether nobody can read along on the way to u: it is https, or http on this machine.
func Shielded(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || ip.IsLoopback())
}

// Consent reads what somebody who was asked for their consent comes back with.
type Consent struct {
	System string
	// Refused is the cause of the error of a no, and Stranger that of a callback which belongs to no attempt of this browser.
	Refused, Stranger error
	// BareRefusal says that a no may come without the state. It can do no more than end the attempt.
	BareRefusal bool
}

// Code returns the code of a callback. Nothing else in the query can be trusted unless there is no error.
func (c Consent) Code(query url.Values, wantState string) (tillroute.Secret, error) {
	if len(wantState) < MinState {
		return "", c.Fail(tillroute.KindForbidden, c.Stranger, "no connection was begun in this session")
	}
	state, err := c.single(query, "state")
	if err != nil {
		return "", err
	}
	refusal, err := c.single(query, "error")
	if err != nil {
		return "", err
	}
	bare := c.BareRefusal && refusal != "" && !query.Has("state")
	if !bare && subtle.ConstantTimeCompare([]byte(state), []byte(wantState)) != 1 {
		return "", c.Fail(tillroute.KindForbidden, c.Stranger, "the state is not the one that was sent")
	}
	if refusal != "" {
		e := c.Fail(tillroute.KindForbidden, c.Refused, "%.200s", query.Get("error_description"))
		e.Code = refusal
		return "", e
	}
	code, err := c.single(query, "code")
	if err != nil {
		return "", err
	}
	if code == "" {
		return "", c.Fail(tillroute.KindInvalid, nil, "the callback has no code")
	}
	return tillroute.Secret(code), nil
}

// single returns a parameter that may be there once at most.
func (c Consent) single(query url.Values, name string) (string, error) {
	if n := len(query[name]); n > 1 {
		return "", c.Fail(tillroute.KindInvalid, nil, "%s is there %d times", name, n)
	}
	return query.Get(name), nil
}

// Fail returns the error of a callback that can't be used.
func (c Consent) Fail(kind tillroute.Kind, cause error, format string, args ...any) *tillroute.Error {
	return &tillroute.Error{
		System: c.System, Operation: "OAuth.ParseCallback", Kind: kind, Outcome: tillroute.Failed, Err: cause,
		Message: fmt.Sprintf(format, args...),
	}
}

// MissingScopes returns the scopes that were asked for and not granted, as far as the grant says.
func MissingScopes(asked []string, grant pairing.Grant) []string {
	granted := strings.Fields(grant.Scope)
	if len(granted) == 0 {
		return nil
	}
	var missing []string
	for _, scope := range asked {
		if !slices.Contains(granted, scope) {
			missing = append(missing, scope)
		}
	}
	return missing
}

// NoRefreshToken returns the error of a refresh without anything to refresh with. gone is its cause.
func NoRefreshToken(system string, gone error) error {
	return &tillroute.Error{
		System: system, Operation: refreshOperation, Kind: tillroute.KindUnauthorized, Outcome: tillroute.Failed,
		Message: "there is no refresh token", Err: gone,
	}
}

// Refusal refines the error of a token request that was refused: either the application is the reason, and advice says what to
// check, or the code or refresh token is dead, and gone becomes the cause.
func Refusal(e *tillroute.Error, advice string, gone error) {
	code, _, _ := strings.Cut(cmp.Or(e.Code, e.Message), ":")
	switch code {
	case "invalid_client", "unauthorized_client":
		// Servers say so with 400 or 401. Either way it ends when the application's credentials are put right.
		if e.Status == http.StatusBadRequest {
			e.Kind = tillroute.KindUnauthorized
		}
		rest.Advise(e, advice)
		return
	case "unsupported_grant_type":
		rest.Advise(e, advice)
		return
	}
	// Servers call a dead token or code by different names, and with 400 or 401.
	if e.Status == http.StatusBadRequest || e.Status == http.StatusUnauthorized || e.Kind == tillroute.KindUnauthorized {
		e.Kind, e.Err = tillroute.KindUnauthorized, gone
	}
}
