package gateway

import (
	"errors"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/xseries"
)

// terminals lists the store's registers with their terminals.
func (h *Handler) terminals(w http.ResponseWriter, r *http.Request, v visit) {
	lanes, ok := h.lanes(w, r, v)
	if !ok {
		return
	}
	content := struct {
		Store, Form string
		Lanes       []lane
		Gateway     string
		Paired      bool
		Unpaired    string
	}{Store: v.Store, Form: v.form, Lanes: lanes, Gateway: h.GatewayURL()}
	if l, ok := find(lanes, r.URL.Query().Get("unpaired")); ok && !l.Paired() {
		content.Unpaired = l.Label
	}
	for _, l := range lanes {
		content.Paired = content.Paired || l.Paired()
	}
	h.render(w, r, http.StatusOK, "terminals", content)
}

// unpairing is the page that asks whether to end a pairing.
type unpairing struct {
	Store, Form string
	Lane        lane
	// Changed says that the pairing is no longer the one that was shown before.
	Changed bool
}

// unpairPage asks whether to end a register's pairing.
func (h *Handler) unpairPage(w http.ResponseWriter, r *http.Request, v visit) {
	lanes, ok := h.lanes(w, r, v)
	if !ok {
		return
	}
	l, _ := find(lanes, r.URL.Query().Get("register"))
	if !l.Paired() {
		seeOther(w, r, h.page("/terminals", ""))
		return
	}
	h.render(w, r, http.StatusOK, "unpair", unpairing{Store: v.Store, Form: v.form, Lane: l})
}

// unpair ends a register's pairing, if it is still the one that was shown.
func (h *Handler) unpair(w http.ResponseWriter, r *http.Request, v visit) {
	lanes, ok := h.lanes(w, r, v)
	if !ok {
		return
	}
	l, _ := find(lanes, r.PostFormValue("register"))
	done := h.page("/terminals", "")
	if l.ID != "" {
		query := done.Query()
		query.Set("unpaired", l.ID)
		done.RawQuery = query.Encode()
	}
	if !l.Paired() {
		seeOther(w, r, done)
		return
	}
	if seen, _ := strconv.ParseInt(r.PostFormValue("version"), 10, 64); seen != l.Version() {
		h.render(w, r, http.StatusOK, "unpair", unpairing{Store: v.Store, Form: v.form, Lane: l, Changed: true})
		return
	}
	err := h.config.Router.Unpair(r.Context(), xseries.RegisterKey(v.Store, l.ID))
	if err != nil && !errors.Is(err, tillroute.ErrNotFound) {
		h.log.ErrorContext(r.Context(), "a register could not be unpaired",
			slog.String("store", v.Store), slog.String("register", l.ID), slog.Any("error", err))
		h.notice(w, r, http.StatusServiceUnavailable, notice{
			What: "The register could not be unpaired.", Advice: "Look at the list of terminals, and try again.",
			Link: h.page("/terminals", ""), Text: "Look at the list",
		})
		return
	}
	h.log.InfoContext(r.Context(), "register unpaired", slog.String("store", v.Store), slog.String("register", l.ID))
	seeOther(w, r, done)
}
