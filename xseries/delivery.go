package xseries

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/delivery"
	"github.com/tillroute/tillroute/internal/wire"
	"github.com/tillroute/tillroute/pairing"
)

// Delivery is a webhook that the store posted. The vendor promises the payload, and nothing else.
type Delivery struct {
	// Type is empty if the store didn't say: give each type of webhook a URL and a handler of its own.
	Type WebhookType
	// DomainPrefix is the store's, or empty if the vendor didn't say: who has to tell stores apart gives each a URL of its own.
	DomainPrefix string
	// Environment is in the vendor's words, such as production, or empty.
	Environment string
	// Payload is what was changed, as version 1.0 of the API writes it. A [Sale] of today looks otherwise: get it by its ID.
	Payload json.RawMessage
	// ID and Version are those of the payload, or empty. Deliveries may overtake each other: a lower version is older news.
	ID, Version string
	// Form is all that was posted.
	Form url.Values
}

// WebhookConfig configures the handler that [NewWebhookHandler] returns.
type WebhookConfig struct {
	// Secrets are the client secrets of the application: one, or several while one takes over from another. Required.
	// Webhooks that a merchant made by hand are probably not signed with them.
	Secrets []tillroute.Secret
	// Scheme says how webhooks are signed. The zero value is what the vendor's words say.
	Scheme SignatureScheme
	// Deliveries remembers what was handled. Required. Purge it from time to time, of what is older than 30 days.
	Deliveries pairing.Deliveries
	// Source names this handler among those that share Deliveries. Two handlers with the same Source handle what is delivered
	// to both only once: nodes of one program have the same. Defaults to [System].
	Source string
	// Handle does what is to be done. Required. An error has the store deliver again later; for what will never succeed, return
	// nil. It must be safe for concurrent use, and for what was handled before, if the process died or the payload has no
	// version. Its context ends after Timeout, and not when the store hangs up.
	Handle func(context.Context, Delivery) error
	// Timeout bounds Handle. Defaults to 4 s, because the vendor waits 5 s: do what takes longer elsewhere, after writing it
	// down.
	Timeout time.Duration
	// MaxBody is the largest body in bytes that is read. Defaults to 4 MiB.
	MaxBody int64
	// Logger gets a record at warn level for what was not handled, without what was posted. Defaults to silence.
	Logger *slog.Logger
}

const (
	defaultWebhookTimeout = 4 * time.Second
	defaultWebhookBody    = 4 << 20
	// webhookRetry is how many seconds to stay away for, if the vendor asks.
	webhookRetry = "10"
)

// NewWebhookHandler returns a handler for the URL of a [Webhook]. It checks the signature, reads the form and has each change
// handled once. It answers within Timeout if Handle heeds its context, and up to 5 s later if Deliveries is slow to take down
// what became of it. Its error names every field that is wrong.
//
// It answers 204 to what is handled, or was before; 401 to what the vendor did not sign, and 405 to what is no POST. Everything
// else is answered 503, whoever is to blame, because the vendor delivers again what is answered 5xx (up to 20 times in 48
// hours), and forgets what is answered 4xx: an error or panic of Handle, a store that fails, the same delivery being handled, a
// signed body that can't be read, or is larger than MaxBody. A change whose handling was cut off by a crash counts as being
// handled until Timeout and 10 s have passed.
//
// A change is told from others by the ID and version in its payload and by its content. Two contents of one version are two
// deliveries: each is handled once, whatever becomes of the other, in any order, and maybe at the same time. A payload without a
// version is told by its content alone: something that changes and changes back to exactly what it was is taken for a repetition.
// Deliveries aren't guaranteed anyway: ask for changes from time to time, as with [SalesService.Changes]. A change that Handle has
// refused, and that the store could not forget, counts as being handled until Timeout and 10 s have passed.
//
// Clients that are slow on purpose are for the server: set the timeouts of [http.Server].
//
// API reference: https://x-series-api.lightspeedhq.com/docs/webhooks
func NewWebhookHandler(config WebhookConfig) (http.Handler, error) {
	config.Source = cmp.Or(config.Source, System)
	config.Timeout = cmp.Or(config.Timeout, defaultWebhookTimeout)
	config.MaxBody = cmp.Or(config.MaxBody, defaultWebhookBody)
	config.Logger = cmp.Or(config.Logger, slog.New(slog.DiscardHandler))
	if problems := config.problems(); len(problems) > 0 {
		return nil, tillroute.Invalid(System, "NewWebhookHandler", "%s", strings.Join(problems, "; "))
	}
	config.Secrets = append([]tillroute.Secret(nil), config.Secrets...)
	return http.HandlerFunc((&receiver{config, delivery.NewReceiver(delivery.ReceiverConfig{
		System: System, Source: config.Source, Word: "webhook", Deliveries: config.Deliveries, Timeout: config.Timeout, Logger: config.Logger,
	})}).serve), nil
}

func (c *WebhookConfig) problems() []string {
	var problems []string
	for _, problem := range []string{secretsProblem(c.Secrets), c.Scheme.problem()} {
		if problem != "" {
			problems = append(problems, problem)
		}
	}
	if c.Deliveries == nil {
		problems = append(problems, "Deliveries is missing")
	}
	if c.Handle == nil {
		problems = append(problems, "Handle is missing")
	}
	if c.Timeout < 0 || c.MaxBody < 0 {
		problems = append(problems, "Timeout and MaxBody must not be negative")
	}
	return problems
}

// receiver receives webhooks.
type receiver struct {
	config     WebhookConfig
	deliveries *delivery.Receiver
}

func (v *receiver) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "webhooks are posted", http.StatusMethodNotAllowed)
		return
	}
	body, err := delivery.Body(w, r, v.config.MaxBody)
	if err != nil {
		v.later(w, r, fmt.Errorf("the body can't be read: %w", err))
		return
	}
	if err := VerifySignature(r.Header, body, v.config.Scheme, v.config.Secrets...); err != nil {
		v.deliveries.Complain(r.Context(), err)
		http.Error(w, "the signature is not valid", http.StatusUnauthorized)
		return
	}
	if err := v.receive(r, body); err != nil {
		v.later(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// later has the vendor deliver again.
func (v *receiver) later(w http.ResponseWriter, r *http.Request, err error) {
	v.deliveries.Complain(r.Context(), err)
	w.Header().Set("Retry-After", webhookRetry)
	http.Error(w, "come back later", http.StatusServiceUnavailable)
}

// receive handles a body that is the vendor's.
func (v *receiver) receive(r *http.Request, body []byte) error {
	d, err := parseDelivery(body)
	if err != nil {
		return err
	}
	ctx, cancel := delivery.Detach(r.Context(), v.config.Timeout)
	defer cancel()
	return v.deliveries.Receive(ctx, delivery.Delivery{
		// The same version with another content is news that must not be lost.
		Keys: []string{d.key()}, Hash: sha256.Sum256(d.Payload), News: true,
		Handle: func(ctx context.Context) error { return v.config.Handle(ctx, d) },
	})
}

// maxKeyPart bounds what becomes part of a key in the store.
const maxKeyPart = 100

// key names the change among all of the same source.
func (d Delivery) key() string {
	where := string(d.Type) + "/" + d.DomainPrefix + "/"
	if d.ID == "" || d.Version == "" || len(where)+len(d.ID)+len(d.Version) > maxKeyPart {
		return delivery.Digest(append([]byte(where), d.Payload...))
	}
	return where + d.ID + "@" + d.Version
}

// parseDelivery reads a body whose signature is good.
func parseDelivery(body []byte) (Delivery, error) {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return Delivery{}, errors.New("the signed body is not a form")
	}
	payload, _, err := single(form, "payload")
	if err != nil {
		return Delivery{}, err
	}
	if !json.Valid([]byte(payload)) {
		return Delivery{}, errors.New("the signed form has no payload that is JSON")
	}
	d := Delivery{
		Type: WebhookType(form.Get("type")), DomainPrefix: form.Get("domain_prefix"), Environment: form.Get("environment"),
		Payload: json.RawMessage(payload), Form: form,
	}
	// What isn't an object, or not a clear one, has neither.
	if object, err := wire.Object(d.Payload); err == nil {
		d.ID, d.Version = wire.Scalar(object["id"]), wire.Scalar(object["version"])
	}
	return d, nil
}
