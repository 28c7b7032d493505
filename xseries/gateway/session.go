package gateway

import (
	"cmp"
	"net/http"
	"net/url"
	"time"
)

const (
	sessionCookie = "tillroute_session"
	stateCookie   = "tillroute_connect"

	// sessionTTL is how long a merchant may go on without connecting again.
	sessionTTL = time.Hour
	// stateTTL is how long a merchant may take to consent. The vendor's codes are good for as long.
	stateTTL = 10 * time.Minute

	// maxForm is how long a form may be, in bytes.
	maxForm = 64 << 10
)

// session is a browser's. It is in a cookie alone: there is nothing that nodes would have to share.
type session struct {
	// ID binds forms to this browser.
	ID string `json:"i"`
	// Store is the domain prefix of the store that the merchant has connected. Without one the session allows nothing.
	Store string `json:"s,omitempty"`
}

// begun is a connection that a merchant has begun in this browser.
type begun struct {
	State string `json:"s"`
	// Register is the one that the merchant came to pair.
	Register string `json:"r,omitempty"`
}

// visit is a request of a merchant who has connected a store. Whatever a page reads or changes is of that store.
type visit struct {
	session

	*store
	// form is what the page's forms must bring back.
	form string
}

// connected serves a page to merchants who have connected a store. Others are sent to connect one first.
func (h *Handler) connected(serve func(http.ResponseWriter, *http.Request, visit)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		s, _ := h.session(r)
		if s.Store == "" {
			ended := h.page("/", r.FormValue("register"))
			query := ended.Query()
			query.Set("ended", "1")
			ended.RawQuery = query.Encode()
			seeOther(w, r, ended)
			return
		}
		if r.Method == http.MethodPost && !h.fromForm(r, s) {
			h.outdated(w, r, "/terminals")
			return
		}
		of, err := h.store(s.Store)
		if err != nil {
			// The configuration has changed since.
			h.endSession(w)
			h.storeProblem(w, r, s.Store, err)
			return
		}
		serve(w, r, visit{session: s, store: of, form: h.formToken(s)})
	}
}

// session returns the browser's session, if it has one that is good.
func (h *Handler) session(r *http.Request) (session, bool) {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return session{}, false
	}
	s, err := open[session](h.keys, forSession, cookie.Value)
	return s, err == nil
}

// beginSession gives the browser a new session. One that was before ends: its forms are no longer accepted.
func (h *Handler) beginSession(w http.ResponseWriter, domainPrefix string) session {
	s := session{ID: nonce(), Store: domainPrefix}
	h.setCookie(w, sessionCookie, seal(h.keys, forSession, s, sessionTTL), sessionTTL)
	return s
}

func (h *Handler) endSession(w http.ResponseWriter) { h.setCookie(w, sessionCookie, "", -time.Second) }

// setCookie sets one of the pages' cookies, or takes it away if ttl is negative.
func (h *Handler) setCookie(w http.ResponseWriter, name, value string, ttl time.Duration) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure is left out on a loopback address alone, see Config.URL.
		Name: name, Value: value, MaxAge: int(ttl / time.Second), Path: cmp.Or(h.base.Path, "/"),
		// Lax, because the vendor's consent page sends the browser back here.
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: h.base.Scheme == "https",
	})
}

// formToken returns what the forms of a session's pages carry, so that no other site's form is taken for one.
func (h *Handler) formToken(s session) string { return seal(h.keys, forForm, s.ID, sessionTTL) }

// fromForm reports whether a request comes from a form of the session's pages.
func (h *Handler) fromForm(r *http.Request, s session) bool {
	id, err := open[string](h.keys, forForm, r.PostFormValue("form"))
	return err == nil && s.ID != "" && id == s.ID
}

// outdated says that a form is not one of this session's, and where to find a new one.
func (h *Handler) outdated(w http.ResponseWriter, r *http.Request, path string) {
	h.notice(w, r, http.StatusForbidden, notice{
		What:   "This page is out of date.",
		Advice: "Nothing was changed. Open the page again. Your browser must accept cookies of this site.",
		Link:   h.page(path, r.PostFormValue("register")), Text: "Open the page again",
	})
}

// page returns where one of the pages is, and which register it is about, if it is about one.
func (h *Handler) page(path, registerID string) *url.URL {
	u := &url.URL{Path: h.base.Path + path}
	if registerID != "" {
		u.RawQuery = url.Values{"register": {registerID}}.Encode()
	}
	return u
}

// seeOther sends the browser to a page, to which it goes with GET.
func seeOther(w http.ResponseWriter, r *http.Request, to *url.URL) {
	http.Redirect(w, r, to.String(), http.StatusSeeOther)
}

// notice is a page that says what has happened, and where to go on.
type notice struct {
	What, Advice string
	Link         *url.URL
	// Text is what the link says.
	Text string
}

func (h *Handler) notice(w http.ResponseWriter, r *http.Request, status int, n notice) {
	h.render(w, r, status, "notice", n)
}
