package gateway

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/xseries"
)

const (
	// listTime bounds how long a page waits for the store's registers.
	listTime = 20 * time.Second
	// pairTime bounds how long a terminal's provider may take to pair.
	pairTime = 45 * time.Second
	// maxName is how many characters a register's name may have where it is kept.
	maxName = 200
)

// pairingRoutes declares the pages on which a merchant pairs terminals. None of them needs a script.
func (h *Handler) pairingRoutes(handle func(pattern string, serve http.HandlerFunc)) {
	handle("GET /{$}", h.welcome)
	handle("POST /connect", h.connect)
	handle("GET /callback", h.callback)
	handle("POST /leave", h.connected(h.leave))

	handle("GET /pair", h.connected(h.pairPage))
	handle("POST /pair", h.connected(h.pair))
	handle("GET /paired", h.connected(h.paired))

	handle("GET /terminals", h.connected(h.terminals))
	handle("GET /unpair", h.connected(h.unpairPage))
	handle("POST /unpair", h.connected(h.unpair))
}

// lane is a register, and the pairing that it has.
type lane struct {
	ID, Label string
	// Gone says that the store no longer has the register.
	Gone bool

	pairing *pairing.Pairing
}

// Paired reports whether the register has a terminal.
func (l lane) Paired() bool { return l.pairing != nil }

// Terminal returns what people call the register's terminal.
func (l lane) Terminal() string {
	if l.pairing == nil {
		return ""
	}
	return cmp.Or(l.pairing.TerminalName, "Terminal "+l.pairing.Terminal.Serial)
}

// Since returns when the register was paired.
func (l lane) Since() time.Time {
	if l.pairing == nil {
		return time.Time{}
	}
	return l.pairing.PairedAt.UTC()
}

// Version returns that of the register's pairing, and 0 if it has none.
func (l lane) Version() int64 {
	if l.pairing == nil {
		return 0
	}
	return l.pairing.Version
}

// lanes returns the store's registers, and those that are paired though the store no longer has them. If it can't, it has
// said so.
func (h *Handler) lanes(w http.ResponseWriter, r *http.Request, v visit) ([]lane, bool) {
	ctx, cancel := context.WithTimeout(r.Context(), listTime)
	defer cancel()
	registers, err := v.all(ctx)
	if err != nil {
		h.storeProblem(w, r, v.Store, err)
		return nil, false
	}
	pairings, err := h.pairings(ctx, v.Store)
	if err != nil {
		h.log.ErrorContext(ctx, "pairings can't be read", slog.String("store", v.Store), slog.Any("error", err))
		h.notice(w, r, http.StatusServiceUnavailable, notice{
			What: "The pairings can't be read just now.", Advice: "Nothing was changed.",
			Link: h.page(strings.TrimPrefix(r.URL.Path, h.base.Path), r.FormValue("register")), Text: "Retry",
		})
		return nil, false
	}
	var all []lane
	for _, one := range registers {
		l := lane{ID: one.ID, Label: one.label()}
		if p, ok := pairings[one.ID]; ok {
			l.pairing = &p
			delete(pairings, one.ID)
		}
		all = append(all, l)
	}
	var gone []lane
	for id, p := range pairings {
		gone = append(gone, lane{ID: id, Label: cmp.Or(p.RegisterName, "Register "+id), Gone: true, pairing: &p})
	}
	slices.SortFunc(gone, func(a, b lane) int { return cmp.Or(cmp.Compare(a.Label, b.Label), cmp.Compare(a.ID, b.ID)) })
	return append(all, gone...), true
}

// pairings returns the pairings of a store, by register ID.
func (h *Handler) pairings(ctx context.Context, domainPrefix string) (map[string]pairing.Pairing, error) {
	const page = 100
	all := map[string]pairing.Pairing{}
	after := xseries.RegisterKey(domainPrefix, "")
	for {
		list, err := h.config.Router.Pairings(ctx, after, page)
		if err != nil {
			return nil, err
		}
		for _, p := range list {
			// The list goes on with other stores, which are none of this merchant's business.
			if p.Register.System != xseries.System || p.Register.Account != domainPrefix {
				return all, nil
			}
			all[p.Register.ID] = p
			after = p.Register
		}
		if len(list) < page {
			return all, nil
		}
	}
}

// find returns the register of that ID.
func find(lanes []lane, id string) (lane, bool) {
	i := slices.IndexFunc(lanes, func(l lane) bool { return l.ID == id })
	if i < 0 {
		return lane{}, false
	}
	return lanes[i], true
}

// pairForm is the form on which a merchant pairs a terminal with a register.
type pairForm struct {
	Store, Form string
	// MaySerial says that serial numbers are allowed, and BySerial that one is asked for.
	MaySerial, BySerial bool
	// Code is the pairing code or serial number, as it was typed.
	Code string
	// Register is the one that is chosen, and Registers those that there are.
	Register  string
	Registers []lane
	// Elsewhere says that the register which the merchant came to pair is not one of this store's.
	Elsewhere bool
	// Other is where to find the same form for the other way to name a terminal.
	Other *url.URL
	// CodeProblem and RegisterProblem say what is wrong with the two fields.
	CodeProblem, RegisterProblem string
}

func (h *Handler) newPairForm(v visit, lanes []lane, registerID, by string) pairForm {
	f := pairForm{
		Store: v.Store, Form: v.form,
		MaySerial: h.config.Serial != nil,
		BySerial:  h.config.Serial != nil && by == "serial",
		Registers: slices.DeleteFunc(slices.Clone(lanes), func(l lane) bool { return l.Gone }),
	}
	if _, ok := find(f.Registers, registerID); ok {
		f.Register = registerID
	} else {
		f.Elsewhere = registerID != ""
	}
	if f.Register == "" && len(f.Registers) == 1 {
		f.Register = f.Registers[0].ID
	}
	f.Other = h.page("/pair", f.Register)
	if !f.BySerial {
		query := f.Other.Query()
		query.Set("by", "serial")
		f.Other.RawQuery = query.Encode()
	}
	return f
}

// pairPage asks for a terminal and a register.
func (h *Handler) pairPage(w http.ResponseWriter, r *http.Request, v visit) {
	lanes, ok := h.lanes(w, r, v)
	if !ok {
		return
	}
	query := r.URL.Query()
	h.render(w, r, http.StatusOK, "pair", h.newPairForm(v, lanes, query.Get("register"), query.Get("by")))
}

// pair pairs a terminal with a register. If the register has a terminal already, it asks first.
func (h *Handler) pair(w http.ResponseWriter, r *http.Request, v visit) {
	lanes, ok := h.lanes(w, r, v)
	if !ok {
		return
	}
	f := h.newPairForm(v, lanes, r.PostFormValue("register"), r.PostFormValue("by"))
	f.Elsewhere = false
	f.Code = strings.TrimSpace(r.PostFormValue("code"))
	again := func() { h.render(w, r, http.StatusUnprocessableEntity, "pair", f) }
	chosen, ok := find(f.Registers, r.PostFormValue("register"))
	if !ok {
		f.RegisterProblem = "Choose the register that the terminal stands beside."
	}
	switch {
	case f.Code == "" && f.BySerial:
		f.CodeProblem = "Type the terminal's serial number."
	case f.Code == "":
		f.CodeProblem = "Type the pairing code that the terminal shows."
	}
	if f.CodeProblem != "" || f.RegisterProblem != "" {
		again()
		return
	}

	var terminal pairing.Terminal
	if f.BySerial {
		var err error
		if terminal, err = h.config.Serial(r.Context(), v.Store, f.Code); err != nil {
			f.CodeProblem = h.serialProblem(r.Context(), v, err)
			again()
			return
		}
		if chosen.Paired() && chosen.pairing.Terminal == terminal {
			seeOther(w, r, h.page("/paired", chosen.ID))
			return
		}
	}
	seen, _ := strconv.ParseInt(r.PostFormValue("version"), 10, 64)
	if chosen.Paired() && chosen.Version() != seen {
		h.render(w, r, http.StatusOK, "replace", struct {
			pairForm
			Lane    lane
			Changed bool
		}{f, chosen, seen != 0})
		return
	}

	// A terminal that is half paired helps nobody: this goes on if the browser doesn't wait.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), pairTime)
	defer cancel()
	if err := h.link(ctx, v, chosen, f, terminal); err != nil {
		f.CodeProblem = h.pairProblem(ctx, v, chosen, err)
		again()
		return
	}
	seeOther(w, r, h.page("/paired", chosen.ID))
}

func (h *Handler) link(ctx context.Context, v visit, l lane, f pairForm, terminal pairing.Terminal) error {
	key, name := xseries.RegisterKey(v.Store, l.ID), registerName(l.Label)
	if f.BySerial {
		_, err := h.config.Router.PairTerminal(ctx, pairing.Pairing{Register: key, RegisterName: name, Terminal: terminal})
		return err
	}
	_, err := h.config.Router.Pair(ctx, pairing.PairRequest{
		Register: key, RegisterName: name, Provider: h.config.Provider, Code: f.Code,
	})
	return err
}

// registerName makes a label fit for being kept and shown on terminals.
func registerName(label string) string {
	runes := []rune(strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}, label))
	return string(runes[:min(len(runes), maxName)])
}

// serialProblem says why a serial number can't be used.
func (h *Handler) serialProblem(ctx context.Context, v visit, err error) string {
	if e, ok := errors.AsType[*tillroute.Error](err); ok && e.Message != "" {
		return e.Message
	}
	h.log.ErrorContext(ctx, "a serial number can't be looked up", slog.String("store", v.Store), slog.Any("error", err))
	return "Serial numbers can't be looked up just now. Nothing was changed: try again."
}

// pairProblem says why a terminal was not paired, and what to do.
func (h *Handler) pairProblem(ctx context.Context, v visit, l lane, err error) string {
	var after time.Duration
	if e, ok := errors.AsType[*tillroute.Error](err); ok {
		after = e.RetryAfter
	}
	soon := "Wait a moment and try again."
	if after > 0 {
		soon = "Wait " + wait(after) + " and try again."
	}
	switch {
	case errors.Is(err, pairing.ErrWrongCode):
		return "No terminal shows this code. Type it exactly as the terminal shows it now."
	case errors.Is(err, pairing.ErrCodeExpired):
		return "This code has expired. Type the one that the terminal shows now."
	case errors.Is(err, pairing.ErrCodeUsed):
		return "This code was used before. Have the terminal show a new one, and type that."
	case errors.Is(err, pairing.ErrTooManyTries):
		return "Too many wrong codes were typed. " + soon
	}
	h.log.WarnContext(ctx, "a terminal could not be paired", slog.String("store", v.Store), slog.String("register", l.ID), slog.Any("error", err))
	e, ok := errors.AsType[*tillroute.Error](err)
	if !ok || errors.Is(err, tillroute.ErrOutcomeUnknown) {
		return "It is not known whether this has worked. Look at the terminal: if it still shows a code, try again; " +
			"if not, have it show a new code, and type that. Do not take payments at this register before."
	}
	switch e.Kind {
	case tillroute.KindRateLimited:
		return "The terminal's provider is asked too often just now. Nothing was changed. " + soon
	case tillroute.KindBusy:
		return "The terminal is busy. Nothing was changed. " + soon
	case tillroute.KindConflict:
		return "The terminal can't be paired as it is: " + e.Message
	case tillroute.KindInvalid, tillroute.KindNotFound:
		return "The terminal's provider does not accept this. Nothing was changed. Type what the terminal shows now."
	default:
		return "The terminal's provider can't be reached. Nothing was changed. " + soon
	}
}

// paired says that a register is ready, and what is left to do.
func (h *Handler) paired(w http.ResponseWriter, r *http.Request, v visit) {
	lanes, ok := h.lanes(w, r, v)
	if !ok {
		return
	}
	l, ok := find(lanes, r.URL.Query().Get("register"))
	if !ok || !l.Paired() || l.Gone {
		seeOther(w, r, h.page("/terminals", ""))
		return
	}
	h.render(w, r, http.StatusOK, "paired", struct {
		Lane    lane
		Gateway string
	}{l, h.GatewayURL()})
}
