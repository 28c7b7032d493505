package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/xseries"
)

const (
	// maxBody is that of a sell screen's message, with what is around it.
	maxBody = 1<<20 + 1<<16
	// pageTTL is how long a Pay page may be open before it begins its payment: it may wait for a pairing.
	pageTTL = 12 * time.Hour
	// followTTL is how long a page may follow its payment, which may wait for a person.
	followTTL = 7 * 24 * time.Hour
	// submitTries is how often a payment is submitted of which the store doesn't say whether it has it.
	submitTries = 3
	// pairingRetry and troubleRetry are when a page that couldn't begin tries again, in milliseconds.
	pairingRetry = 3000
	troubleRetry = 4000
	// clockSkew is how far the clocks of nodes and the store may be apart.
	clockSkew = 5 * time.Minute
)

// payPage serves the page that the sell screen shows in its iframe. It has no effect.
func (h *Handler) payPage(w http.ResponseWriter, r *http.Request) {
	q, err := xseries.ParseQuery(r.URL.Query(), h.origins)
	if err != nil {
		// Without a store there is nobody to keep this page from framing; a blank frame would tell a developer nothing.
		w.Header().Set("Content-Security-Policy", policy("*", ""))
		h.problem(w, r, http.StatusBadRequest, "This page belongs in the Pay screen of Lightspeed Retail.",
			"It can't be opened like this: "+message(err)+".")
		return
	}
	store := q.DomainPrefix()
	if store == "" {
		store = h.config.Stores[q.Origin]
	}
	w.Header().Set("Content-Security-Policy", policy(q.Origin, ""))
	h.render(w, r, http.StatusOK, "pay", struct {
		Origin, Token, Amount string
		Refund                bool
		Hide, Show, Ask       string
	}{
		Origin: q.Origin,
		Token: seal(h.keys, forPage, ask{
			Store: store, Register: q.RegisterID, Kind: q.Kind, Amount: q.Amount, Page: nonce(), Opened: time.Now().Unix(),
		}, pageTTL),
		Amount: q.Amount.StringFixed(max(2, -q.Amount.Exponent())), //nolint:mnd // as the sell screens write them.
		Refund: q.Kind == pairing.Refund,
		Hide:   encode(xseries.Setup{EnableClose: false}),
		Show:   encode(xseries.Setup{EnableClose: true}),
		Ask:    encode(xseries.DataRequest{}),
	})
}

// answer is what a Pay page gets.
type answer struct {
	Screen screen `json:"screen"`
	// Follow is the token of the payment to follow from now on, if there is one.
	Follow string `json:"follow,omitempty"`
}

// payStart begins the payment of a page, or takes up the one that is under way. It may be repeated: a page has one payment.
func (h *Handler) payStart(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Token string `json:"token"`
		// Data is the sell screen's message as it came.
		Data string `json:"data"`
		// Use and Settled are the payment that the cashier decided about, and Mark is its mark at that time.
		Use     string `json:"use"`
		Settled string `json:"settled"`
		Mark    string `json:"mark"`
	}
	if !h.read(w, r, &body) {
		return
	}
	a, err := open[ask](h.keys, forPage, body.Token)
	if err != nil {
		h.problem(w, r, http.StatusForbidden, "This window was open for too long.", "Close it, and press the payment button again.")
		return
	}
	charge, paid, err := readSale(body.Data, a)
	if err != nil {
		h.log.WarnContext(r.Context(), "a payment was refused: the sell screen's data and the page's address don't agree",
			"store", a.Store, "register", a.Register, "error", err)
		writeJSON(w, http.StatusOK, answer{Screen: refusal("The till and this page don't agree", message(err))})
		return
	}
	a.Register = charge.RegisterID
	s := &start{h: h, r: r, ask: a, sale: charge.SaleID, paid: paid, use: body.Use, settled: body.Settled, mark: body.Mark}
	writeJSON(w, http.StatusOK, s.run(r.Context()))
}

// readSale reads what the sell screen says is to be paid. It must be what the page was opened for: the page's address can be
// made up by anybody.
func readSale(data string, a ask) (xseries.Charge, decimal.Decimal, error) {
	fail := func(format string, args ...any) error {
		return tillroute.Invalid(xseries.System, "gateway", format, args...)
	}
	m, err := xseries.ParseMessage([]byte(data))
	if err != nil {
		return xseries.Charge{}, decimal.Decimal{}, err
	}
	d, ok := m.(xseries.Data)
	if !ok {
		return xseries.Charge{}, decimal.Decimal{}, fail("the till answered with the step %.40q", m.Step())
	}
	charge, err := d.Charge()
	switch {
	case err != nil:
		return xseries.Charge{}, decimal.Decimal{}, err
	case charge.Kind != a.Kind || !charge.Amount.Equal(a.Amount):
		return xseries.Charge{}, decimal.Decimal{}, fail("the till asks for a %s of %s, the page's address for a %s of %s", charge.Kind, charge.Amount, a.Kind, a.Amount)
	case a.Register != "" && charge.RegisterID != a.Register:
		return xseries.Charge{}, decimal.Decimal{}, fail("the till is the register %.60q, the page's address says %.60q", charge.RegisterID, a.Register)
	}
	if charge.SaleID == "" {
		charge.SaleID = d.Sale.ClientSaleID
	}
	return charge, d.Sale.Totals.Paid, nil
}

// start is the beginning of a payment.
type start struct {
	h    *Handler
	r    *http.Request
	ask  ask
	sale string
	paid decimal.Decimal
	// use and settled are the payment that the cashier decided about, and mark is what it was marked with when they were asked.
	use, settled, mark string
	// from is the mark from which the cashier's decision lets the payment be claimed.
	from string
}

// run looks at what was attempted for the sale, and resumes that or submits a new payment. What is under way, or was approved,
// is resumed whatever has become of the store's consent and the register's pairing meanwhile.
func (s *start) run(ctx context.Context) answer {
	ids := chain(s.ask.Store, s.ask.Register, s.sale)
	// Other pages and nodes may begin an attempt at the same time: then theirs is looked at.
	for range submitTries {
		latest, n, err := s.h.latest(ctx, ids)
		if err != nil {
			return answer{Screen: s.trouble(ctx, "the payments of this sale could not be read", err)}
		}
		if n > 0 {
			v := s.judge(&latest)
			if v != resume {
				own, err := s.own(ctx, ids, latest, n)
				if err != nil {
					return answer{Screen: s.trouble(ctx, "the payments of this sale could not be read", err)}
				}
				if own.ID != "" {
					return s.follow(ctx, own)
				}
			}
			switch v {
			case resume:
				return s.follow(ctx, latest)
			case doubt:
				return answer{Screen: showDoubt(latest, s.ask)}
			case begin:
			}
			if err := s.settle(ctx, latest); err != nil {
				return answer{Screen: s.trouble(ctx, "the earlier payment of this sale could not be settled", err)}
			}
		}
		known, stop := s.prepare(ctx)
		if stop != nil {
			return answer{Screen: *stop}
		}
		p, err := s.submit(ctx, ids+strconv.Itoa(n+1), known)
		switch {
		case err == nil:
			return s.follow(ctx, p)
		case errors.Is(err, tillroute.ErrConflict):
			continue
		case errors.Is(err, pairing.ErrNotPaired):
			return answer{Screen: s.notPaired()}
		case errors.Is(err, tillroute.ErrInvalid), errors.Is(err, tillroute.ErrForbidden):
			return answer{Screen: refusal("This payment is not possible", message(err))}
		default:
			return answer{Screen: s.trouble(ctx, "the payment could not be accepted", err)}
		}
	}
	return answer{Screen: s.trouble(ctx, "other windows are paying this sale", nil)}
}

// own returns the payment that this page began, if others were begun after it; the zero Payment if there is none. A page has one
// payment, also if its request comes again when all is over.
func (s *start) own(ctx context.Context, ids string, latest pairing.Payment, n int) (pairing.Payment, error) {
	opened := time.Unix(s.ask.Opened, 0).Add(-clockSkew)
	// What was accepted before the page was opened is not its own.
	for p := latest; n > 1 && !p.AcceptedAt.Before(opened); {
		n--
		var err error
		if p, err = s.h.config.Router.Payment(ctx, ids+strconv.Itoa(n)); err != nil {
			return pairing.Payment{}, err
		}
		if readDetail(p).Page == s.ask.Page {
			return p, nil
		}
	}
	return pairing.Payment{}, nil
}

// prepare checks that the register is one of a store that has given its consent, and paired.
func (s *start) prepare(ctx context.Context) (register, *screen) {
	stop := func(sc screen) (register, *screen) { return register{}, &sc }
	if _, err := s.h.config.Tokens.Grant(ctx, xseries.System, s.ask.Store); errors.Is(err, tillroute.ErrNotFound) {
		return stop(s.notConnected())
	} else if err != nil {
		return stop(s.trouble(ctx, "the store's connection could not be read", err))
	}
	if _, err := s.h.config.Router.Pairing(ctx, xseries.RegisterKey(s.ask.Store, s.ask.Register)); errors.Is(err, tillroute.ErrNotFound) {
		return stop(s.notPaired())
	} else if err != nil {
		return stop(s.trouble(ctx, "the register's pairing could not be read", err))
	}
	store, err := s.h.store(s.ask.Store)
	if err != nil {
		return stop(s.trouble(ctx, "the store can't be asked", err))
	}
	known, err := store.register(ctx, s.ask.Register)
	switch {
	case errors.Is(err, xseries.ErrReconnect):
		return stop(s.notConnected())
	case errors.Is(err, tillroute.ErrNotFound):
		return stop(refusal("This register is not one of the store's", "The store has no register "+s.ask.Register+"."))
	case err != nil:
		return stop(s.trouble(ctx, "Lightspeed could not be asked about this register", err))
	}
	return known, nil
}

// judge is judge, with what the cashier decided.
func (s *start) judge(latest *pairing.Payment) verdict {
	v := judge(*latest, s.ask, s.paid)
	switch {
	case v == doubt && s.settled == latest.ID:
		return begin
	case s.undone(*latest):
		return begin
	case v == doubt && s.use == latest.ID && s.mark == latest.Mark && covers(*latest, s.ask.Kind, s.ask.Amount):
		// Another window may be asking the same: what was decided is good for what was shown.
		s.from = latest.Mark
		return resume
	default:
		return v
	}
}

// undone reports whether the cashier says that an approved payment, which pays another amount than the page was opened for, was
// given back.
func (s *start) undone(p pairing.Payment) bool {
	return s.settled == p.ID && s.mark == p.Mark && p.State == pairing.Done && p.Outcome() == tillroute.Approved &&
		!covers(p, s.ask.Kind, s.ask.Amount)
}

// settle writes down that the sale has the payment, so that it is asked about no more.
func (s *start) settle(ctx context.Context, p pairing.Payment) error {
	if p.Outcome() != tillroute.Approved || settled(p.Mark) {
		return nil
	}
	mark := recordedBySale
	switch {
	case s.undone(p):
		mark = undoneByCashier
	case s.settled == p.ID:
		mark = recordedByCashier
	}
	s.h.log.InfoContext(ctx, "an approved payment of the sale is settled", "payment", p.ID, "mark", mark)
	_, err := s.h.config.Router.Mark(ctx, p.ID, p.Mark, mark)
	return err
}

// submit hands the payment to the router.
func (s *start) submit(ctx context.Context, id string, known register) (pairing.Payment, error) {
	request := pairing.Request{
		ID:        id,
		Register:  xseries.RegisterKey(s.ask.Store, s.ask.Register),
		Kind:      s.ask.Kind,
		Amount:    s.ask.Amount,
		Currency:  known.Currency,
		Reference: idPart(s.sale),
		Data:      encoded(detail{Sale: s.sale, Page: s.ask.Page, Paid: s.paid}),
	}
	if check := s.h.config.Check; check != nil {
		if err := check(s.r, request); err != nil {
			s.h.log.WarnContext(ctx, "a payment was refused by Config.Check", "payment", id, "error", err)
			return pairing.Payment{}, refused(err)
		}
	}
	var p pairing.Payment
	var err error
	for range submitTries {
		p, err = s.h.config.Router.Submit(ctx, request)
		if err == nil || !errors.Is(err, tillroute.ErrOutcomeUnknown) || ctx.Err() != nil {
			break
		}
	}
	return p, err
}

// refused is the error of a check, whose text is shown only if it was written for that.
func refused(err error) error {
	text := "it was refused"
	if e, ok := errors.AsType[*tillroute.Error](err); ok && e.Message != "" {
		text = e.Message
	}
	// The cause is left out: it must not be taken for one of the store's.
	return &tillroute.Error{
		System: xseries.System, Operation: "gateway", Kind: tillroute.KindForbidden, Outcome: tillroute.Failed, Message: text,
	}
}

// follow answers with the payment that the page is to follow.
func (s *start) follow(ctx context.Context, p pairing.Payment) answer {
	f := follow{
		ID: p.ID, Kind: s.ask.Kind, Amount: s.ask.Amount, Page: s.ask.Page, Paid: s.paid, From: s.from,
		Terminal: "terminal " + cmp.Or(p.Handle.Serial, p.Terminal.Serial),
	}
	// The name is for people alone: the payment is followed without it, too.
	paired, err := s.h.config.Router.Pairing(ctx, p.Register)
	if err == nil && paired.Terminal == p.Terminal && paired.TerminalName != "" {
		f.Terminal = paired.TerminalName
	}
	return answer{
		Screen: s.h.now(ctx, p, f),
		Follow: seal(s.h.keys, forPayment, f, followTTL),
	}
}

// refusal is a screen that says why nothing was begun.
func refusal(title, reason string) screen {
	return screen{
		Kind: "bad", Title: title, Text: []string{sentence(reason), "Nothing was charged. Close this window, and try again."}, Close: true,
	}
}

func (s *start) notConnected() screen {
	return screen{
		Kind: "wait", Title: "This store is not connected", Close: true, Retry: pairingRetry,
		Text: []string{
			"Connect it with " + s.h.config.Name + " first. This window goes on by itself when that is done. If it doesn't open, go to " +
				s.h.PairingURL() + " in a browser.",
		},
		Link: &link{URL: s.h.pairingLink(s.ask.Register), Label: "Connect this store"},
	}
}

func (s *start) notPaired() screen {
	return screen{
		Kind: "wait", Title: "This register has no terminal yet", Close: true, Retry: pairingRetry,
		Text: []string{
			"Pair it with a terminal first. This window goes on by itself when that is done. If it doesn't open, go to " +
				s.h.PairingURL() + " in a browser.",
		},
		Link: &link{URL: s.h.pairingLink(s.ask.Register), Label: "Pair a terminal"},
	}
}

// trouble is what to show when it can't be known here whether the payment was begun. The page tries again.
func (s *start) trouble(ctx context.Context, what string, err error) screen {
	h := s.h
	h.log.ErrorContext(ctx, "a payment could not be begun: "+what, "store", s.ask.Store, "register", s.ask.Register, "error", err)
	return screen{
		Kind: "wait", Title: "This takes longer than usual", Close: true, Retry: troubleRetry,
		Text: []string{
			sentence(what), "It is tried again by itself. If the terminal shows this payment, wait for it; if it doesn't, you may close this window.",
		},
	}
}

// payTold claims the right to tell the sell screen that the payment was approved, for one page of perhaps several.
func (h *Handler) payTold(w http.ResponseWriter, r *http.Request) {
	h.act(w, r, func(ctx context.Context, f follow, _ tillroute.Outcome) error {
		p, err := h.config.Router.Payment(ctx, f.ID)
		if err != nil || p.Outcome() != tillroute.Approved || !covers(p, f.Kind, f.Amount) {
			return err
		}
		_, err = h.config.Router.Mark(ctx, f.ID, f.From, toldBy(f.Page, f.Paid))
		return err
	})
}

// payWithdraw stops a payment that still waits for its terminal.
func (h *Handler) payWithdraw(w http.ResponseWriter, r *http.Request) {
	h.act(w, r, func(ctx context.Context, f follow, _ tillroute.Outcome) error {
		_, err := h.config.Router.Withdraw(ctx, f.ID, "cancelled at the till")
		return err
	})
}

// payResolve ends a payment as the cashier saw it at the terminal.
func (h *Handler) payResolve(w http.ResponseWriter, r *http.Request) {
	h.act(w, r, func(ctx context.Context, f follow, outcome tillroute.Outcome) error {
		if !h.config.CashierMayResolve || (outcome != tillroute.Approved && outcome != tillroute.Declined) {
			return &tillroute.Error{
				System: xseries.System, Operation: "gateway", Kind: tillroute.KindForbidden, Outcome: tillroute.Failed,
				Message: "a cashier can't decide this",
			}
		}
		_, err := h.config.Router.Resolve(ctx, f.ID, pairing.Resolution{
			Outcome: outcome, By: "the cashier", Reason: "as the terminal showed it",
		})
		return err
	})
}

// act does something about the payment that a page follows, and answers with how it stands then. What contradicts how it
// stands has been overtaken by something else, which the page is shown.
func (h *Handler) act(w http.ResponseWriter, r *http.Request, do func(context.Context, follow, tillroute.Outcome) error) {
	var body struct {
		Token   string            `json:"token"`
		Outcome tillroute.Outcome `json:"outcome"`
	}
	if !h.read(w, r, &body) {
		return
	}
	f, err := open[follow](h.keys, forPayment, body.Token)
	if err != nil {
		h.expired(w, r)
		return
	}
	err = do(r.Context(), f, body.Outcome)
	switch {
	case err == nil, errors.Is(err, tillroute.ErrConflict):
	case errors.Is(err, tillroute.ErrForbidden):
		h.problem(w, r, http.StatusForbidden, sentence(message(err)), "Ask for help.")
		return
	default:
		h.unavailable(w, r, f.ID, err)
		return
	}
	p, err := h.config.Router.Payment(r.Context(), f.ID)
	if err != nil {
		h.unavailable(w, r, f.ID, err)
		return
	}
	writeJSON(w, http.StatusOK, answer{Screen: h.now(r.Context(), p, f)})
}

func (h *Handler) expired(w http.ResponseWriter, r *http.Request) {
	h.problem(w, r, http.StatusForbidden, "This window was open for too long.",
		"Close it, and press the payment button again: the payment is taken up where it is.")
}

func (h *Handler) unavailable(w http.ResponseWriter, r *http.Request, id string, err error) {
	h.log.ErrorContext(r.Context(), "a payment could not be read or changed", "payment", id, "error", err)
	h.problem(w, r, http.StatusServiceUnavailable, "The payment can't be seen at the moment.", "It goes on at the terminal.")
}

// read decodes the JSON body of a page's request, and answers it if that can't be done.
func (h *Handler) read(w http.ResponseWriter, r *http.Request, into any) bool {
	// A form of another site can't have this type.
	if kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); !strings.EqualFold(strings.TrimSpace(kind), "application/json") {
		h.problem(w, r, http.StatusUnsupportedMediaType, "The request is not JSON.", "Reload the page.")
		return false
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		h.problem(w, r, http.StatusBadRequest, "The request can't be read.", "Reload the page.")
		return false
	}
	return true
}

func writeJSON(w http.ResponseWriter, status int, content any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(encoded(content), '\n'))
}

// encoded returns the JSON of a plain structure of this package, which can always be encoded.
func encoded(content any) []byte {
	text, _ := json.Marshal(content) //nolint:errchkjson // texts, numbers and amounts have no errors.
	return text
}
