package kseries

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
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

// Credential is what the vendor proves itself with when it posts notifications: those of the [Endpoint].
type Credential struct {
	Username string
	Password tillroute.Secret
}

// NotificationConfig configures the handler that [NewNotificationHandler] returns.
type NotificationConfig struct {
	// Credentials are those of the endpoint: one, or several while one takes over from another. Required.
	Credentials []Credential
	// Deliveries remembers what was handled. Required. Purge it from time to time, of what is older than 30 days.
	Deliveries pairing.Deliveries
	// Source names this handler among those that share Deliveries. Two handlers with the same Source handle what is delivered
	// to both only once: nodes of one program have the same. Defaults to [System].
	Source string
	// Handle does what is to be done. Required. An error answers 503; for what will never succeed, return nil. It must be
	// safe for concurrent use, and for what was handled before. Its context ends after Timeout, and not when the vendor hangs up.
	Handle func(context.Context, Notification) error
	// Timeout bounds Handle. Defaults to 4 s: how long the vendor waits isn't documented. Do what takes longer elsewhere,
	// after writing it down.
	Timeout time.Duration
	// MaxBody is the largest body in bytes that is read. Defaults to 4 MiB.
	MaxBody int64
	// Logger gets a record at warn level for what was not handled, without what was posted. Defaults to silence.
	Logger *slog.Logger
}

const (
	defaultTimeout = 4 * time.Second
	defaultMaxBody = 4 << 20
	// comeBack is how many seconds to stay away for, if the vendor asks.
	comeBack = "10"
)

// NewNotificationHandler returns a handler for the URL of an [Endpoint]. It checks who posts, reads the notification and has it
// handled once. It answers within Timeout if Handle heeds its context, and up to 5 s later if Deliveries is slow to take down
// what became of it. Its error names every field that is wrong.
//
// It answers 200 to what is handled, or was before; 401 to who has no right credentials, compared in constant time, and 405 to
// what is no POST. Everything else is answered 503, whoever is to blame: an error or panic of Handle, a store that fails, the
// same notification being handled, a body that can't be read, or is larger than MaxBody. A notification whose handling was cut off
// by a crash counts as being handled until Timeout and 10 s have passed. Whether the vendor posts again after a 503, when and how
// often, isn't documented. So a notification that doesn't come is no news: look at the check when the time to live has ended.
//
// The vendor gives notifications no ID and no time. One is told from others by its type, business location, reference, status,
// account identifier and reason, and by its content: two contents with the same of these are two notifications, each handled once,
// whatever becomes of the other, in any order, and maybe at the same time. Items and readiness are told by their times, too. What
// may come again with the same content and mean something new is handled each time: a check that was updated ([CheckUpdated]), a
// change of an order that may change back, what has no reference, and types and statuses that are not known.
//
// One that Handle has refused, and that the store could not forget, counts as being handled until Timeout and 10 s have passed.
//
// Notifications may overtake each other. Clients that are slow on purpose are for the server: set the timeouts of
// [http.Server].
//
// API reference: https://api-docs.lsk.lightspeed.app/
func NewNotificationHandler(config NotificationConfig) (http.Handler, error) {
	config.Source = cmp.Or(config.Source, System)
	config.Timeout = cmp.Or(config.Timeout, defaultTimeout)
	config.MaxBody = cmp.Or(config.MaxBody, defaultMaxBody)
	config.Logger = cmp.Or(config.Logger, slog.New(slog.DiscardHandler))
	if wrong := config.problems(); len(wrong) > 0 {
		return nil, tillroute.Invalid(System, "NewNotificationHandler", "%s", strings.Join(wrong, "; "))
	}
	config.Credentials = append([]Credential(nil), config.Credentials...)
	return http.HandlerFunc((&receiver{config, delivery.NewReceiver(delivery.ReceiverConfig{
		System: System, Source: config.Source, Word: "notification", Deliveries: config.Deliveries, Timeout: config.Timeout, Logger: config.Logger,
	})}).serve), nil
}

func (c *NotificationConfig) problems() problems {
	var wrong problems
	if len(c.Credentials) == 0 {
		wrong.add("Credentials are missing: without them anybody can say that a check was paid")
	}
	for i, credential := range c.Credentials {
		if credential.Username == "" || credential.Password == "" {
			wrong.add("Credentials[%d] has no Username or no Password", i)
		}
	}
	if c.Deliveries == nil {
		wrong.add("Deliveries is missing")
	}
	if c.Handle == nil {
		wrong.add("Handle is missing")
	}
	if c.Timeout < 0 || c.MaxBody < 0 {
		wrong.add("Timeout and MaxBody must not be negative")
	}
	return wrong
}

// receiver receives notifications.
type receiver struct {
	config     NotificationConfig
	deliveries *delivery.Receiver
}

func (v *receiver) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "notifications are posted", http.StatusMethodNotAllowed)
		return
	}
	if !v.known(r) {
		// Which of the two it is helps who set the receiver up, and is no business of who guesses.
		complaint := errors.New("the request has no credentials: have the endpoint made with Basic authentication, and no proxy strip the header")
		if _, _, has := r.BasicAuth(); has {
			complaint = errors.New("the credentials are wrong: compare them with those that the endpoint was made with")
		}
		v.deliveries.Complain(r.Context(), complaint)
		w.Header().Set("WWW-Authenticate", `Basic realm="notifications", charset="UTF-8"`)
		http.Error(w, "the credentials are missing or wrong", http.StatusUnauthorized)
		return
	}
	body, err := delivery.Body(w, r, v.config.MaxBody)
	if err != nil {
		err = fmt.Errorf("the body can't be read: %w", err)
	} else {
		err = v.receive(r, body)
	}
	if err != nil {
		v.deliveries.Complain(r.Context(), err)
		w.Header().Set("Retry-After", comeBack)
		http.Error(w, "come back later", http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusOK)
}

// known reports whether the request has right credentials. How long it takes tells neither which part is wrong nor how much of
// it is right.
func (v *receiver) known(r *http.Request) bool {
	username, password, _ := r.BasicAuth()
	u, p := sha256.Sum256([]byte(username)), sha256.Sum256([]byte(password))
	known := 0
	for _, c := range v.config.Credentials {
		wantU, wantP := sha256.Sum256([]byte(c.Username)), sha256.Sum256([]byte(c.Password.Reveal()))
		known |= subtle.ConstantTimeCompare(u[:], wantU[:]) & subtle.ConstantTimeCompare(p[:], wantP[:])
	}
	return known == 1
}

// receive handles a body that is the vendor's.
func (v *receiver) receive(r *http.Request, body []byte) error {
	n, err := ParseNotification(body)
	if err != nil {
		return err
	}
	d := delivery.Delivery{
		// The same key with another content is news that must not be lost.
		Hash: sha256.Sum256(body), News: true,
		Handle: func(ctx context.Context) error { return v.config.Handle(ctx, n) },
	}
	if key, once := n.key(); once {
		d.Keys = []string{key}
	}
	ctx, cancel := delivery.Detach(r.Context(), v.config.Timeout)
	defer cancel()
	return v.deliveries.Receive(ctx, d)
}
