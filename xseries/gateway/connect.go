package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/xseries"
)

// connectTime bounds what a callback does.
const connectTime = 30 * time.Second

// welcome is where a merchant begins.
func (h *Handler) welcome(w http.ResponseWriter, r *http.Request) {
	registerID := r.URL.Query().Get("register")
	s, ok := h.session(r)
	switch {
	case s.Store != "" && registerID != "":
		seeOther(w, r, h.page("/pair", registerID))
		return
	case s.Store != "":
		seeOther(w, r, h.page("/terminals", ""))
		return
	case !ok:
		s = h.beginSession(w, "")
	}
	h.allowConsent(w)
	h.render(w, r, http.StatusOK, "welcome", struct {
		Form, Register string
		Ended, Serial  bool
	}{
		Form: h.formToken(s), Register: registerID,
		Ended: r.URL.Query().Has("ended"), Serial: h.config.Serial != nil,
	})
}

// allowConsent lets the page's form lead to the vendor. Browsers hold form-action against every redirect that follows, and
// through which hosts the vendor sends a merchant is not documented.
func (h *Handler) allowConsent(w http.ResponseWriter) {
	allowed := " https:"
	if to, err := h.config.OAuth.AuthCodeURL(xseries.NewState()); err == nil {
		if u, err := url.Parse(to); err == nil && u.Scheme != "https" {
			allowed += " " + u.Scheme + "://" + u.Host
		}
	}
	w.Header().Set("Content-Security-Policy", policy("'none'", allowed))
}

// connect sends the merchant to the vendor, to consent.
func (h *Handler) connect(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	s, _ := h.session(r)
	if !h.fromForm(r, s) {
		h.outdated(w, r, "/")
		return
	}
	b := begun{State: xseries.NewState(), Register: r.PostFormValue("register")}
	// A cookie has 4 KiB at most, and no register has such an ID.
	if len(b.Register) > 200 {
		b.Register = ""
	}
	to, err := h.config.OAuth.AuthCodeURL(b.State)
	if err != nil {
		// It was checked when the handler was made.
		h.log.ErrorContext(r.Context(), "a store could not be connected", slog.Any("error", err))
		h.problem(w, r, http.StatusInternalServerError, "The store could not be connected.", "Try again later.")
		return
	}
	h.setCookie(w, stateCookie, seal(h.keys, forState, b, stateTTL), stateTTL)
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// callback is where the vendor sends the merchant back to.
func (h *Handler) callback(w http.ResponseWriter, r *http.Request) {
	var b begun
	if cookie, err := r.Cookie(stateCookie); err == nil {
		b, _ = open[begun](h.keys, forState, cookie.Value)
	}
	fail := func(status int, what, advice string) {
		h.notice(w, r, status, notice{What: what, Advice: advice, Link: h.page("/", b.Register), Text: "Connect again"})
	}
	query := r.URL.Query()
	back, err := h.config.OAuth.ParseCallback(query, b.State)
	switch {
	case errors.Is(err, xseries.ErrState):
		// Reloaded, kept as a bookmark, or not this browser's.
		if s, _ := h.session(r); s.Store != "" {
			h.notice(w, r, http.StatusForbidden, notice{
				What:   "There is nothing to connect here.",
				Advice: "The connection was finished before, or it was begun in another browser. You are connected to the store " + s.Store + ".",
				Link:   h.page("/terminals", ""), Text: "Go on",
			})
			return
		}
		fail(http.StatusForbidden, "This connection was not begun in this browser.",
			"Or it was begun more than ten minutes ago, or finished before. Nothing was stored. Begin again here.")
		return
	case errors.Is(err, xseries.ErrRefused):
		fail(http.StatusForbidden, "The store did not give its consent.",
			"Nothing was stored. Terminals can be paired only if the registers may be read: connect again and allow it, or ask somebody who may.")
		return
	case err != nil:
		h.log.WarnContext(r.Context(), "a callback was refused", slog.Any("error", err))
		fail(http.StatusBadRequest, "Lightspeed's answer is not complete.", "Nothing was stored. Connect again.")
		return
	}
	// The code is good for one try.
	h.setCookie(w, stateCookie, "", -time.Second)

	// The code is used up once it is sent: giving up because the browser did would waste it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), connectTime)
	defer cancel()
	log := h.log.With("store", back.DomainPrefix)
	grant, err := h.config.OAuth.Exchange(ctx, back)
	if err != nil {
		log.WarnContext(ctx, "a store could not be connected", slog.Any("error", err))
		status, advice := http.StatusBadGateway, "Nothing was stored. Connect again."
		if errors.Is(err, xseries.ErrReconnect) {
			status, advice = http.StatusForbidden, "Lightspeed no longer accepts this consent: it is good for one use within ten minutes. "+advice
		}
		fail(status, "The store could not be connected.", advice)
		return
	}
	if missing := h.config.OAuth.MissingScopes(grant); len(missing) > 0 {
		fail(http.StatusForbidden, "Lightspeed did not allow all that is needed.",
			"Missing: "+strings.Join(missing, ", ")+". Nothing was stored. Connect again, as somebody who may allow it.")
		return
	}
	if err := h.prove(ctx, grant); err != nil {
		log.WarnContext(ctx, "a store could not be connected: its registers can't be read with the new consent", slog.Any("error", err))
		fail(http.StatusBadGateway, "The store could not be connected.",
			"Lightspeed gave its consent, but the registers of the store "+back.DomainPrefix+" can't be read with it. Nothing was stored. Connect again.")
		return
	}
	if err := h.putGrant(ctx, grant); err != nil {
		log.ErrorContext(ctx, "a store's grant could not be stored", slog.Any("error", err))
		fail(http.StatusServiceUnavailable, "The connection could not be stored.", "Connect again in a moment.")
		return
	}
	log.InfoContext(ctx, "store connected")
	h.beginSession(w, grant.Account)
	seeOther(w, r, h.page("/pair", b.Register))
}

// prove reads with a new grant what only that store's grants can read. The domain prefix came by way of the browser: whoever
// owns one store must not get a session of another by changing it.
func (h *Handler) prove(ctx context.Context, grant pairing.Grant) error {
	client, err := xseries.New(xseries.Config{
		DomainPrefix: grant.Account, AccessToken: grant.AccessToken, OAuth: h.config.OAuth,
		APIVersion: h.config.APIVersion, HTTP: h.config.HTTP,
	})
	if err != nil {
		return err
	}
	_, err = client.Registers.List(ctx, xseries.ListOptions{})
	return err
}

// putGrant stores a new grant in place of the one that there is.
func (h *Handler) putGrant(ctx context.Context, grant pairing.Grant) error {
	var err error
	// A node may be refreshing the old one.
	for range 2 {
		var old pairing.Grant
		old, err = h.config.Tokens.Grant(ctx, grant.System, grant.Account)
		if err != nil && !errors.Is(err, tillroute.ErrNotFound) {
			return err
		}
		if _, err = h.config.Tokens.PutGrant(ctx, grant, old.Version); !errors.Is(err, tillroute.ErrConflict) {
			return err
		}
	}
	return err
}

// leave ends the session.
func (h *Handler) leave(w http.ResponseWriter, r *http.Request, _ visit) {
	h.endSession(w)
	seeOther(w, r, h.page("/", ""))
}

// storeProblem says why the store's registers can't be shown, and what to do.
func (h *Handler) storeProblem(w http.ResponseWriter, r *http.Request, domainPrefix string, err error) {
	h.log.WarnContext(r.Context(), "a store's registers can't be read", slog.String("store", domainPrefix), slog.Any("error", err))
	registerID := r.FormValue("register")
	again := notice{Link: h.page("/", registerID), Text: "Connect again"}
	retry := notice{Link: h.page(strings.TrimPrefix(r.URL.Path, h.base.Path), registerID), Text: "Retry"}
	e, _ := errors.AsType[*tillroute.Error](err)
	switch {
	case errors.Is(err, xseries.ErrReconnect), errors.Is(err, tillroute.ErrUnauthorized):
		h.endSession(w)
		again.What = "The store is no longer connected."
		again.Advice = "The consent of the store " + domainPrefix + " has ended. Pairings and payments that are under way stay as they are."
		h.notice(w, r, http.StatusForbidden, again)
	case errors.Is(err, tillroute.ErrForbidden):
		h.endSession(w)
		again.What = "Lightspeed does not allow the registers to be read."
		again.Advice = "Connect the store " + domainPrefix + " again, as somebody who may allow it."
		h.notice(w, r, http.StatusForbidden, again)
	case errors.Is(err, tillroute.ErrRateLimited):
		retry.What, retry.Advice = "Lightspeed is asked too often just now.", "Nothing was changed. Wait a moment."
		if e != nil && e.RetryAfter > 0 {
			retry.Advice = "Nothing was changed. Wait " + wait(e.RetryAfter) + "."
			w.Header().Set("Retry-After", strconv.Itoa(int((e.RetryAfter+time.Second-1)/time.Second)))
		}
		h.notice(w, r, http.StatusServiceUnavailable, retry)
	default:
		retry.What = "Lightspeed can't be reached."
		retry.Advice = "The registers of the store " + domainPrefix + " can't be read just now. Nothing was changed."
		h.notice(w, r, http.StatusServiceUnavailable, retry)
	}
}

// wait says how long to wait, in words.
func wait(d time.Duration) string {
	switch minutes := int((d + time.Minute - 1) / time.Minute); {
	case d <= 10*time.Second:
		return "a few seconds"
	case minutes == 1:
		return "a minute"
	default:
		return strconv.Itoa(minutes) + " minutes"
	}
}
