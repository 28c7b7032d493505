package pms

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/delivery"
	"github.com/tillroute/tillroute/pairing"
)

// System is the name of the PMS interface in errors and logs.
const System = "pms"

// Config configures the handler that [NewHandler] returns.
type Config struct {
	// Backend is the hotel system. Required.
	Backend Backend
	// Keys are the API keys that are accepted: one, or several while one takes over from another or for several businesses.
	// Required.
	Keys []Key
	// Deliveries remembers what was answered. Required. Purge it from time to time, of what is older than 30 days; a
	// [pairing.Router] that runs on the same store does so.
	Deliveries pairing.Deliveries
	// Source names this handler among those that share Deliveries, on all nodes. Two handlers with the same Source post what is
	// delivered to both only once. Defaults to [System].
	Source string
	// Timeout is how long Backend has, for a charge and for a search. Defaults to 10 s. The vendor doesn't say how long the point of sale waits.
	Timeout time.Duration
	// KeysOnly has a bill posted again that comes under another idempotency key. Without it, a bill that was posted is answered
	// the same again if nothing in it has changed, and refused if something has.
	KeysOnly bool
	// MaxBody is the largest body in bytes that is read; what is larger is answered 413. Defaults to 1 MiB.
	MaxBody int64
	// Logger gets a record at warn level for what was refused or failed, and at error level for what a person should look at.
	// Neither has API keys or guests in it, unless an error of Backend has. Defaults to silence.
	Logger *slog.Logger
}

const (
	defaultTimeout = 10 * time.Second
	defaultMaxBody = 1 << 20
	// finishTime bounds writing down what became of a charge.
	finishTime = 2 * time.Second
	// abandoned is for how long a charge is left alone at least if its node is gone: longer than any backend that is slow takes.
	abandoned = time.Minute
	// retryAfter is how many seconds to stay away for, should anybody ask.
	retryAfter = "10"
)

// What the waiter is told, up to MaxMessage characters.
const (
	failedMessage       = "Hotel system failed: check the folio"
	slowMessage         = "No answer from hotel system: check the folio"
	storeMessage        = "Not posted, hotel system is down: try again"
	busyMessage         = "Still being posted: wait and try again"
	changedKeyMessage   = "Refused: differs from its first delivery"
	changedBillMessage  = "Refused: bill was posted with other content"
	searchFailedMessage = "Hotel system failed: try again"
)

// NewHandler returns a handler for the URLs under the endpoint of a provider. What ends in /charge is posted, and what ends in
// /search is looked for, whatever stands before. It starts nothing. Its error names every field that is wrong.
//
// It answers exactly 200 to a charge that was posted, now or before. Everything else has the message for the waiter in the form
// that the vendor documents, up to [MaxMessage] characters: 400 for what can't be understood, 401 for an API key that is wrong,
// 404 and 405 for other paths and methods, 409 for a key or bill that was posted with other content, 413 for what is larger than
// MaxBody, 415 for a compressed body, 500 for an error or panic of Backend, 503 for a store that fails, or a charge that is still
// being posted, 504 for a Backend that is too slow. A [*Refusal] has the status and message that it says.
//
// A search that Backend refuses is answered 200, with success false, as the vendor has it, whatever status the refusal says; one
// that fails or is too slow 500, and one that isn't understood or let in 400 or 401, in the same form.
//
// A charge that comes again while the first one is being posted waits for it, up to Timeout.
//
// Clients that are slow on purpose are for the server: set the timeouts of [http.Server], that for writing above Timeout.
//
// API reference: https://api-docs.lsk.lightspeed.app/
func NewHandler(config Config) (http.Handler, error) {
	config.Source = cmp.Or(config.Source, System)
	config.Timeout = cmp.Or(config.Timeout, defaultTimeout)
	config.MaxBody = cmp.Or(config.MaxBody, defaultMaxBody)
	config.Logger = cmp.Or(config.Logger, slog.New(slog.DiscardHandler))
	if problems := config.problems(); len(problems) > 0 {
		return nil, tillroute.Invalid(System, "NewHandler", "%s", strings.Join(problems, "; "))
	}
	h := &handler{config: config, keys: hashKeys(config.Keys), deliveries: delivery.New(delivery.Config{
		Deliveries: config.Deliveries, Source: config.Source, Lease: 2*config.Timeout + abandoned, FinishTime: finishTime,
	})}
	h.config.Keys = nil
	return http.HandlerFunc(h.serve), nil
}

func (c *Config) problems() []string {
	var problems []string
	if c.Backend == nil {
		problems = append(problems, "Backend is missing")
	}
	if len(c.Keys) == 0 {
		problems = append(problems, "Keys are missing: the API key that the provider was registered with, for one")
	}
	for i, k := range c.Keys {
		if k.APIKey == "" {
			problems = append(problems, fmt.Sprintf("Keys[%d] has no APIKey", i))
		}
	}
	if c.Deliveries == nil {
		problems = append(problems, "Deliveries is missing")
	}
	if c.Timeout < 0 || c.MaxBody < 0 {
		problems = append(problems, "Timeout and MaxBody must not be negative")
	}
	return problems
}

// handler receives charges and searches.
type handler struct {
	config     Config
	keys       keys
	deliveries *delivery.Keeper
}

func (h *handler) serve(w http.ResponseWriter, r *http.Request) {
	switch path := r.URL.Path; {
	case strings.HasSuffix(path, "/charge"):
		if allow(w, r, http.MethodPost) {
			h.charge(w, r)
		}
	case strings.HasSuffix(path, "/search"):
		if allow(w, r, http.MethodGet) {
			h.search(w, r)
		}
	default:
		refusal := &Refusal{Message: "Wrong address: check the PMS settings", Status: http.StatusNotFound}
		h.log(r.Context(), slog.LevelWarn, "the path ends in neither /charge nor /search", refusal, slog.String("path", path))
		refuse(w, refusal)
	}
}

func allow(w http.ResponseWriter, r *http.Request, method string) bool {
	if r.Method == method {
		return true
	}
	w.Header().Set("Allow", method)
	refuse(w, &Refusal{Message: "Wrong method: " + method + " it", Status: http.StatusMethodNotAllowed})
	return false
}

// charge answers a charge.
func (h *handler) charge(w http.ResponseWriter, r *http.Request) {
	answer, err := h.receive(w, r)
	if err == nil {
		write(w, http.StatusOK, answer)
		return
	}
	refusal, ok := errors.AsType[*Refusal](err)
	if !ok {
		refusal = &Refusal{Message: failedMessage, Status: http.StatusInternalServerError}
	}
	if refusal.status() == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", retryAfter)
	}
	refuse(w, refusal)
}

// receive reads a charge and has it posted. Its error is logged already.
func (h *handler) receive(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := h.read(w, r)
	if err != nil {
		h.log(r.Context(), slog.LevelWarn, "charge not read", err)
		return nil, err
	}
	var c Charge
	parsed := c.parse(body)
	business, ok := h.keys.check(c.APIKey.Reveal(), c.BusinessExternalReference)
	if !ok {
		err := unauthorized()
		if parsed != nil && c.APIKey == "" {
			err = &Refusal{Message: "Posting not understood", Status: http.StatusBadRequest, Err: parsed}
		}
		h.log(r.Context(), slog.LevelWarn, "charge not let in", err)
		return nil, err
	}
	if parsed != nil {
		// The vendor has proved itself: this is a change that nobody announced.
		e, _ := errors.AsType[*tillroute.Error](parsed)
		err := &Refusal{Message: "Not understood: " + e.Message, Status: http.StatusBadRequest, Err: parsed}
		h.log(r.Context(), slog.LevelError, "charge not understood", err)
		return nil, err
	}
	if c.Key, err = idempotencyKey(r.Header); err != nil {
		h.log(r.Context(), slog.LevelError, "charge not understood", err, slog.String("account", c.Account()))
		return nil, err
	}
	return h.post(r.Context(), &c, business)
}

// read reads the body.
func (h *handler) read(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return nil, &Refusal{Message: "Compressed postings are not understood", Status: http.StatusUnsupportedMediaType}
	}
	body, err := delivery.Body(w, r, h.config.MaxBody)
	return body, unread(err)
}

func unread(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &Refusal{Message: "Posting is too large", Status: http.StatusRequestEntityTooLarge}
	}
	return &Refusal{Message: "Posting did not arrive whole: try again", Status: http.StatusBadRequest, Err: err}
}

// maxKey is the longest idempotency key. The vendor's have 40 characters.
const maxKey = 255

func idempotencyKey(header http.Header) (string, error) {
	values := header.Values("X-Lightspeed-Idempotency-Key")
	var problem string
	switch {
	case len(values) == 0 || values[0] == "":
		problem = "Posting has no idempotency key"
	case len(values) > 1:
		problem = "Posting has more than one idempotency key"
	case len(values[0]) > maxKey:
		problem = "Posting has too long an idempotency key"
	default:
		return values[0], nil
	}
	return "", &Refusal{
		Message: problem, Status: http.StatusBadRequest,
		Err: errors.New("look whether a proxy changes X-Lightspeed-Idempotency-Key"),
	}
}

// guard calls a backend, and makes an error of a panic.
func guard(call func() error) error {
	return delivery.Guard("the backend", call)
}

func (h *handler) log(ctx context.Context, level slog.Level, what string, err error, attrs ...slog.Attr) {
	if !h.config.Logger.Enabled(ctx, level) {
		return
	}
	all := append([]slog.Attr{slog.String("system", System), slog.String("source", h.config.Source)}, attrs...)
	if err != nil {
		all = append(all, slog.String("error", err.Error()))
	}
	h.config.Logger.LogAttrs(ctx, level, what, all...)
}

func refuse(w http.ResponseWriter, r *Refusal) {
	respond(w, r.status(), struct {
		Message string `json:"customerErrorMessage"`
	}{r.message()})
}

func respond(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{}`)
	}
	write(w, status, text)
}

func write(w http.ResponseWriter, status int, body []byte) {
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) //nolint:gosec // it is JSON, and says so.
}
