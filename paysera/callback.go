package paysera

import (
	"cmp"
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/delivery"
	"github.com/tillroute/tillroute/internal/wire"
	"github.com/tillroute/tillroute/pairing"
)

// ErrSignature is a callback that the vendor did not sign, or that was altered since.
var ErrSignature = errors.New("the signature is not the vendor's")

// Event is what the vendor calls back with.
type Event struct {
	// Type is what happened: reserved, confirmed (of transactions that confirm themselves), rejected, failed, waiting_funds,
	// waiting_registration, waiting_password, or another.
	Type string
	// Object is what it happened to: transaction, as far as that is documented.
	Object string
	// Transaction is there if Object is transaction. It is as it was when the callback was made: callbacks may be late, and
	// overtake each other. Get the transaction before acting.
	Transaction *Transaction
	// Data is the object, as it came, or nil.
	Data json.RawMessage
}

// VerifyCallback checks the signature of a callback: event and sign are the values of the form's fields of these names. An error
// that matches [ErrSignature] is of kind Unauthorized; a key that is missing, or has less than 2048 bits, is Invalid.
//
// API reference: https://developers.paysera.com/en/wallet/payment/callbacks
func VerifyCallback(key *rsa.PublicKey, event, sign string) error {
	const operation = "VerifyCallback"
	if key == nil || key.N == nil || key.N.BitLen() < minKeyBits {
		return tillroute.Invalid(System, operation, "the public key is missing, or shorter than %d bits", minKeyBits)
	}
	refused := &tillroute.Error{
		System: System, Operation: operation, Kind: tillroute.KindUnauthorized, Outcome: tillroute.Failed, Err: ErrSignature,
	}
	signature, err := base64.StdEncoding.DecodeString(sign)
	if err != nil || sign == "" {
		refused.Message = "the signature is missing, or not in base 64"
		return refused
	}
	hash := sha256.Sum256([]byte(event))
	if rsa.VerifyPKCS1v15(key, crypto.SHA256, hash[:], signature) != nil {
		refused.Message = "the vendor's key didn't make this signature"
		return refused
	}
	return nil
}

// ParseEvent reads the event of a callback whose signature is good: check it first, with [VerifyCallback]. What can't be read is an
// error of kind Invalid; types and objects that are new are kept.
//
// API reference: https://developers.paysera.com/en/wallet/payment/callbacks
func ParseEvent(event string) (Event, error) {
	fields, err := wire.Object([]byte(event))
	if err != nil {
		return Event{}, tillroute.Invalid(System, "ParseEvent", "the event can't be read: %s", err)
	}
	e := Event{Type: wire.Scalar(fields["type"]), Object: wire.Scalar(fields["object"]), Data: raw(fields["data"])}
	if e.Object == "transaction" {
		var t Transaction
		if err := json.Unmarshal(e.Data, &t); err != nil || t.Key == "" {
			return Event{}, tillroute.Invalid(System, "ParseEvent", "the event has no transaction that can be read")
		}
		e.Transaction = &t
	}
	return e, nil
}

// CallbackConfig configures the handler that [NewCallbackHandler] returns.
type CallbackConfig struct {
	// Key returns the vendor's public key: PublicKey of a [Client] does. Required. It is asked once, and again when a
	// signature doesn't match, once a minute at most, or when it has failed, after 5 s at the earliest. Its context ends after
	// Timeout.
	Key func(context.Context) (*rsa.PublicKey, error)
	// Deliveries remembers what was handled. Required. Purge it from time to time, of what is older than 30 days; a
	// [pairing.Router] that runs on the same store does so.
	Deliveries pairing.Deliveries
	// Source names this handler among those that share Deliveries. Defaults to [System].
	Source string
	// Handle does what is to be done. Required. It must be safe for concurrent use, and for what was handled before, if the
	// process died. Its context ends after Timeout, and not when the vendor hangs up. [Merchant.Callback] is one.
	Handle func(context.Context, Event) error
	// Timeout bounds Handle. Defaults to 5 s.
	Timeout time.Duration
	// MaxBody is the largest body in bytes that is read; what is larger is answered 400. Defaults to 1 MiB.
	MaxBody int64
	// Logger gets a record at warn level for what was not handled, without what was posted. Defaults to silence.
	Logger *slog.Logger
}

const (
	defaultCallbackTimeout = 5 * time.Second
	defaultCallbackBody    = 1 << 20
	// keyPause is how long the public key isn't asked for again: anybody can post what doesn't match. failPause is the same
	// after it could not be had.
	keyPause  = time.Minute
	failPause = 5 * time.Second
)

// NewCallbackHandler returns a handler for the callback URL of a project or a transaction. It checks the signature, and has each
// event handled once. Its error names every field that is wrong.
//
// It answers 200 with the body OK to what is handled, or was before; 400 to what isn't such a form, 401 to what the vendor did
// not sign, 405 to what is no POST, and 503 to everything else: an error or panic of Handle, a store that fails, a public key
// that can't be had, the same event being handled. Whether and when the vendor calls back again isn't documented: poll, too. If the
// process dies while it handles an event, or the store can't forget one that Handle has refused, it counts as being handled until its
// claim ends: Timeout and 10 s after it was begun.
//
// Clients that are slow on purpose are for the server: set the timeouts of [http.Server].
//
// API reference: https://developers.paysera.com/en/wallet/payment/callbacks
func NewCallbackHandler(config CallbackConfig) (http.Handler, error) {
	config.Source = cmp.Or(config.Source, System)
	config.Timeout = cmp.Or(config.Timeout, defaultCallbackTimeout)
	config.MaxBody = cmp.Or(config.MaxBody, defaultCallbackBody)
	config.Logger = cmp.Or(config.Logger, slog.New(slog.DiscardHandler))
	var problems []string
	if config.Key == nil {
		problems = append(problems, "Key is missing")
	}
	if config.Deliveries == nil {
		problems = append(problems, "Deliveries is missing")
	}
	if config.Handle == nil {
		problems = append(problems, "Handle is missing")
	}
	if config.Timeout < 0 || config.MaxBody < 0 {
		problems = append(problems, "Timeout and MaxBody must not be negative")
	}
	if len(problems) > 0 {
		return nil, tillroute.Invalid(System, "NewCallbackHandler", "%s", strings.Join(problems, "; "))
	}
	return http.HandlerFunc((&receiver{config: config, deliveries: delivery.NewReceiver(delivery.ReceiverConfig{
		System: System, Source: config.Source, Word: "callback", Deliveries: config.Deliveries, Timeout: config.Timeout, Logger: config.Logger,
	})}).serve), nil
}

// receiver receives callbacks.
type receiver struct {
	config     CallbackConfig
	deliveries *delivery.Receiver

	flights singleflight.Group

	mu  sync.Mutex
	key *rsa.PublicKey
	// again is when the key may be asked for again, and failure why it could not be had the last time.
	again   time.Time
	failure error
}

func (v *receiver) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "callbacks are posted", http.StatusMethodNotAllowed)
		return
	}
	event, sign, err := v.read(w, r)
	if err != nil {
		v.refuse(w, r, http.StatusBadRequest, err)
		return
	}
	ctx, cancel := delivery.Detach(r.Context(), v.config.Timeout)
	defer cancel()
	if err := v.verify(ctx, event, sign); err != nil {
		status := http.StatusServiceUnavailable
		if errors.Is(err, ErrSignature) {
			status = http.StatusUnauthorized
		}
		v.refuse(w, r, status, err)
		return
	}
	if err := v.receive(ctx, event); err != nil {
		v.refuse(w, r, http.StatusServiceUnavailable, err)
		return
	}
	_, _ = io.WriteString(w, "OK")
}

func (v *receiver) read(w http.ResponseWriter, r *http.Request) (event, sign string, err error) {
	body, err := delivery.Body(w, r, v.config.MaxBody)
	if err != nil {
		return "", "", fmt.Errorf("the body can't be read: %w", err)
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || len(form["event"]) != 1 || len(form["sign"]) != 1 {
		return "", "", errors.New("the body is not a form with one event and one sign: look whether a proxy or middleware changes it")
	}
	return form.Get("event"), form.Get("sign"), nil
}

func (v *receiver) refuse(w http.ResponseWriter, r *http.Request, status int, err error) {
	v.deliveries.Complain(r.Context(), err)
	http.Error(w, http.StatusText(status), status)
}

// verify checks the signature, with a new key if the one that is known doesn't match.
func (v *receiver) verify(ctx context.Context, event, sign string) error {
	v.mu.Lock()
	key := v.key
	v.mu.Unlock()
	if key != nil {
		if err := VerifyCallback(key, event, sign); err == nil {
			return nil
		}
	}
	fresh, err := v.fetch(ctx, key)
	if err != nil {
		return err
	}
	return VerifyCallback(fresh, event, sign)
}

// fetch returns another key than the one that didn't match, if it is time to ask for one.
func (v *receiver) fetch(ctx context.Context, old *rsa.PublicKey) (*rsa.PublicKey, error) {
	v.mu.Lock()
	key, failure, pause := v.key, v.failure, time.Now().Before(v.again)
	v.mu.Unlock()
	if key != old || pause {
		return key, failure
	}
	flight := v.flights.DoChan("", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), v.config.Timeout)
		defer cancel()
		key, err := v.ask(ctx)
		v.mu.Lock()
		defer v.mu.Unlock()
		if err != nil {
			v.again, v.failure = time.Now().Add(failPause), fmt.Errorf("the vendor's public key can't be had: %w", err)
			return nil, v.failure
		}
		v.key, v.again, v.failure = key, time.Now().Add(keyPause), nil
		return key, nil
	})
	select {
	case done := <-flight:
		key, _ := done.Val.(*rsa.PublicKey)
		return key, done.Err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// ask gets the key. A panic on this goroutine would end the process.
func (v *receiver) ask(ctx context.Context) (key *rsa.PublicKey, err error) {
	err = delivery.Guard("asking for it", func() (err error) {
		key, err = v.config.Key(ctx)
		return err
	})
	return key, err
}

// receive handles an event that is the vendor's.
func (v *receiver) receive(ctx context.Context, text string) error {
	event, err := ParseEvent(text)
	if err != nil {
		return err
	}
	return v.deliveries.Receive(ctx, delivery.Delivery{
		Keys: []string{delivery.Digest([]byte(text))}, Hash: sha256.Sum256([]byte(text)),
		Handle: func(ctx context.Context) error { return v.config.Handle(ctx, event) },
	})
}
