package pairing

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"slices"
	"strings"

	"github.com/tillroute/tillroute"
)

// Pair pairs a register with the terminal that shows a code, and returns the pairing. A register that is paired
// already is paired anew, but only if this succeeds; a failed attempt changes nothing. No version is asked for, here and in
// [Router.PairTerminal]: who stands at the terminal knows which it is, and of two who pair one register the later one counts.
//
// With a Provider, the code is handed on to it, without spaces around it; see [Pairer] and the provider's driver. If the error's
// outcome is Unknown, the provider may have made the link: pair again.
//
// Without one, the code is one of [Router.IssueCode], and the errors are ErrWrongCode, ErrCodeExpired, ErrCodeUsed and, for an
// account that has guessed wrong too often, ErrTooManyTries. Such a code may be typed in any case, with spaces and dashes. If
// the error's outcome is Unknown, see with [Router.Pairing] whether the register has its terminal: the code may be used up.
func (r *Router) Pair(ctx context.Context, request PairRequest) (Pairing, error) {
	const operation = "Pair"
	if err := errors.Join(checkRegister(request.Register), checkName("the register's name", request.RegisterName)); err != nil {
		return Pairing{}, tillroute.Invalid(system, operation, "%s", err)
	}
	if strings.TrimSpace(request.Code) == "" {
		return Pairing{}, tillroute.Invalid(system, operation, "the pairing code is missing: type the one that the terminal shows")
	}
	var p Pairing
	var err error
	if request.Provider == "" {
		p, err = r.redeem(ctx, request)
	} else {
		p, err = r.pairAtProvider(ctx, request)
	}
	if err != nil {
		return Pairing{}, err
	}
	r.log.LogAttrs(ctx, slog.LevelInfo, "register paired",
		slog.String("register", p.Register.String()), slog.String("terminal", p.Terminal.String()))
	return p, nil
}

func (r *Router) redeem(ctx context.Context, request PairRequest) (Pairing, error) {
	p, err := r.store.RedeemCode(ctx, normalizeCode(request.Code),
		Pairing{Register: request.Register, RegisterName: request.RegisterName},
		Tries{
			Key:    request.Register.System + "/" + request.Register.Account,
			Max:    r.config.CodeTries,
			Window: r.config.CodeWindow,
		})
	e, ok := errors.AsType[*tillroute.Error](err)
	if providers := r.providers(true); ok && errors.Is(err, ErrWrongCode) && len(providers) > 0 {
		// It may be right, and be one of theirs.
		hinted := *e
		hinted.Message += " (a code of " + strings.Join(providers, " or ") + " needs that as Provider)"
		return p, &hinted
	}
	return p, err
}

// providers returns those whose terminals have a driver here, or only those that pair on their own side.
func (r *Router) providers(pairers bool) []string {
	var names []string
	for name, driver := range r.drivers {
		if _, ok := driver.(Pairer); ok || !pairers {
			names = append(names, clip(name))
		}
	}
	slices.Sort(names)
	return names
}

// unserved is the error of a provider without a driver.
func (r *Router) unserved(operation, provider string) error {
	return tillroute.Invalid(system, operation, "no driver serves the terminals of %q, but those of %s: name one of these, or add it to Config.Drivers",
		clip(provider), strings.Join(r.providers(false), ", "))
}

func (r *Router) pairAtProvider(ctx context.Context, request PairRequest) (Pairing, error) {
	driver, ok := r.drivers[request.Provider]
	if !ok {
		return Pairing{}, r.unserved("Pair", request.Provider)
	}
	pairer, ok := driver.(Pairer)
	if !ok {
		return Pairing{}, tillroute.Invalid(system, "Pair",
			"the terminals of %q have no pairing codes of their own: leave out Provider, and use a code of IssueCode", clip(request.Provider))
	}
	before, err := r.store.Pairing(ctx, request.Register)
	if err != nil && !errors.Is(err, tillroute.ErrNotFound) {
		return Pairing{}, err
	}
	request.Code = strings.TrimSpace(request.Code)
	request.Identity = ""
	if before.Terminal.Provider == request.Provider {
		request.Identity = before.Identity
	}
	link, err := pairer.Pair(ctx, request)
	if err != nil {
		return Pairing{}, err
	}
	if link.Terminal.Provider != request.Provider || checkText("the serial", link.Terminal.Serial) != nil {
		return Pairing{}, &tillroute.Error{
			System: system, Operation: "Pair", Kind: tillroute.KindDecode, Outcome: tillroute.Unknown,
			Message: "the driver of " + request.Provider + " named the terminal " + quote(link.Terminal.String()) + ", which can't be",
		}
	}
	// The provider has made the link: giving up now because the caller did would only hide it.
	p, err := r.store.PutPairing(context.WithoutCancel(ctx), Pairing{
		Register:     request.Register,
		Terminal:     link.Terminal,
		RegisterName: request.RegisterName,
		TerminalName: cleanText(link.TerminalName, maxText),
		Identity:     link.Identity,
	}, -1)
	if err != nil {
		return Pairing{}, &tillroute.Error{
			System: system, Operation: "Pair", Kind: tillroute.KindUnavailable, Outcome: tillroute.Unknown, Err: err,
			Message: request.Provider + " has paired " + request.Register.String() + ", but this could not be written down: pair it again",
		}
	}
	return p, nil
}

// PairTerminal pairs a register with a terminal that is known by its serial number, without a code. A register that is paired
// already is paired anew; Version and PairedAt of p don't matter. Whoever may call it can send payments to any terminal: offer
// it only to people who may do that.
func (r *Router) PairTerminal(ctx context.Context, p Pairing) (Pairing, error) {
	const operation = "PairTerminal"
	if err := errors.Join(checkRegister(p.Register), checkText("the terminal's serial", p.Terminal.Serial),
		checkName("the register's name", p.RegisterName), checkName("the terminal's name", p.TerminalName)); err != nil {
		return Pairing{}, tillroute.Invalid(system, operation, "%s", err)
	}
	if r.drivers[p.Terminal.Provider] == nil {
		return Pairing{}, r.unserved(operation, p.Terminal.Provider)
	}
	return r.store.PutPairing(ctx, p, -1)
}

// Unpair ends the register's pairing. Payments that were accepted go on. ErrNotFound if it has none, Conflict if it was paired
// anew in the meantime. It does not end what a provider keeps on its own side.
func (r *Router) Unpair(ctx context.Context, register Register) error {
	p, err := r.store.Pairing(ctx, register)
	if err != nil {
		return err
	}
	return r.store.DeletePairing(ctx, register, p.Version)
}

// Pairing returns the register's pairing. ErrNotFound if it has none.
func (r *Router) Pairing(ctx context.Context, register Register) (Pairing, error) {
	return r.store.Pairing(ctx, register)
}

// Pairings returns up to limit pairings whose registers follow after, ordered by system, account and ID, byte by byte. The zero
// Register begins at the beginning. A limit that isn't positive gives none.
func (r *Router) Pairings(ctx context.Context, after Register, limit int) ([]Pairing, error) {
	return r.store.ListPairings(ctx, after, limit)
}

// codeAlphabet has 32 characters that are told apart on a small screen: no I, L, O or U.
const (
	codeAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	codeLength   = 8
)

// IssueCode makes a new pairing code for a terminal to show: single use, valid for Config.CodeTTL. It ends the
// terminal's earlier codes, so a terminal refreshes its code by asking for another. The name is for people: optional, up to
// 200 characters. Invalid if no driver serves the terminal's provider.
func (r *Router) IssueCode(ctx context.Context, t Terminal, name string) (Code, error) {
	const operation = "IssueCode"
	if err := errors.Join(checkText("the terminal's serial", t.Serial), checkName("the terminal's name", name)); err != nil {
		return Code{}, tillroute.Invalid(system, operation, "%s", err)
	}
	if r.drivers[t.Provider] == nil {
		return Code{}, r.unserved(operation, t.Provider)
	}
	for {
		c, err := r.store.PutCode(ctx, Code{Text: newCode(), Terminal: t, TerminalName: name}, r.config.CodeTTL)
		// Another terminal shows the same code: one in a trillion, so it does not happen twice.
		if !errors.Is(err, tillroute.ErrConflict) {
			return c, err
		}
	}
}

func newCode() string {
	b := make([]byte, codeLength)
	_, _ = rand.Read(b) // It never fails.
	for i := range b {
		b[i] = codeAlphabet[b[i]%byte(len(codeAlphabet))] // 256 is a multiple of 32: no character is likelier.
	}
	return string(b)
}

// normalizeCode undoes what people do to a code when they type it.
func normalizeCode(text string) string {
	text = strings.Map(func(c rune) rune {
		switch c {
		case ' ', '-', '\t', '\u00a0':
			return -1
		case 'O':
			return '0'
		case 'I', 'L':
			return '1'
		default:
			return c
		}
	}, strings.ToUpper(strings.TrimSpace(text)))
	// A longer text is no code of ours, and need not be stored or compared at length.
	if len(text) > maxText {
		text = text[:maxText]
	}
	return text
}

// String returns the code as a terminal shows it: "K7QX-2M9P". [Router.Pair] takes it with the dash and without.
func (c Code) String() string {
	if len(c.Text) != codeLength {
		return c.Text
	}
	return c.Text[:codeLength/2] + "-" + c.Text[codeLength/2:]
}
