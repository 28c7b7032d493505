package testserver

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/url"
	"time"
)

// callbackRetries is how often a callback is tried again. The vendor documents nothing; a judgment.
const callbackRetries = 5

// PayseraCallback is one event on its way to a merchant.
type PayseraCallback struct {
	ID             string        `json:"id"`
	Type           string        `json:"type"`
	TransactionKey string        `json:"transaction_key"`
	URL            string        `json:"url"`
	Event          string        `json:"event"` // the JSON text of the form field
	State          DeliveryState `json:"state"`
	Attempts       int           `json:"attempts"`
	// Status and Body are what the receiver answered last, Error is why there was no answer.
	Status int    `json:"status"`
	Body   string `json:"body,omitempty"`
	Error  string `json:"error,omitempty"`
}

// walletCallback is a callback in the books.
type walletCallback struct {
	PayseraCallback

	Due     time.Time // of the next try, in real time
	sending bool      // just now, by this process
}

func (d *walletCallback) posting() posting { return posting{&d.State, &d.Due, &d.sending} }

// walletSending is how callbacks are made, and what was scripted about them.
type walletSending struct {
	URI       string // the project's
	Held      bool
	Duplicate int
	Lose      int
	Forge     int // so many are signed with a key that is not the vendor's
}

// callback tells the merchant what became of a transaction, unless its own client did it. Called with the lock held.
func (p *Paysera) callback(t *walletTransaction, kind, by string) {
	target := orDefault(t.CallbackURI, p.world.Sending.URI)
	if t.CallbackOff || target == "" || by == t.Client {
		return
	}
	event, err := json.Marshal(map[string]any{"type": kind, "object": "transaction", "data": pick(p.transactionDocument(t), nil)})
	if err != nil {
		p.engine.violate(payseraName, http.MethodPost, "/callback", "the event cannot be encoded: "+err.Error())
		return
	}
	one := PayseraCallback{ID: newID(), Type: kind, TransactionKey: t.Key, URL: target, Event: string(event), State: DeliveryPending}
	if p.world.Sending.Lose > 0 {
		p.world.Sending.Lose--
		one.State = DeliveryLost
	}
	p.world.Callbacks = append(p.world.Callbacks, &walletCallback{PayseraCallback: one})
	if one.State == DeliveryPending && p.world.Sending.Duplicate > 0 {
		p.world.Sending.Duplicate--
		one.ID = newID()
		p.world.Callbacks = append(p.world.Callbacks, &walletCallback{PayseraCallback: one})
	}
	p.notify()
}

// privateKey is the key of the signatures. It is made when it is needed. Called with the lock held.
func (p *Paysera) privateKey() (*rsa.PrivateKey, error) {
	if p.world.PrivateKey == "" {
		key, err := newKey()
		if err != nil {
			return nil, err
		}
		p.world.PrivateKey = string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
	}
	block, _ := pem.Decode([]byte(p.world.PrivateKey))
	if block == nil {
		return nil, errors.New("testserver: the private key is damaged")
	}
	return x509.ParsePKCS1PrivateKey(block.Bytes)
}

func newKey() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) }

// publicKey answers GET /publickey.
func (p *Paysera) publicKey(x *exchange) {
	if x.r.Method != http.MethodGet {
		x.violate("method %s on /publickey, must be GET", x.r.Method)
		x.answerError(notFound("No such resource"))
		return
	}
	key, err := p.privateKey()
	var der []byte
	if err == nil {
		der, err = x509.MarshalPKIXPublicKey(&key.PublicKey)
	}
	if err != nil {
		x.answerError(err)
		return
	}
	x.header.Set("Content-Type", "text/plain; charset=utf-8") // judgment
	x.status, x.out = http.StatusOK, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// RotateKey makes a new key for the signatures of callbacks.
func (p *Paysera) RotateKey() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.world.PrivateKey = ""
}

// SetCallbackURI sets the project's address for callbacks; "" for none.
func (p *Paysera) SetCallbackURI(uri string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.world.Sending.URI = uri
}

// DuplicateCallbacks sends each of the next n callbacks twice, of those that are not lost.
func (p *Paysera) DuplicateCallbacks(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.world.Sending.Duplicate = n
}

// LoseCallbacks loses the next n callbacks.
func (p *Paysera) LoseCallbacks(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.world.Sending.Lose = n
}

// ForgeCallbacks signs the next n tries with a key that is not the vendor's.
func (p *Paysera) ForgeCallbacks(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.world.Sending.Forge = n
}

// HoldCallbacks holds all callbacks back until [Paysera.ReleaseCallbacks].
func (p *Paysera) HoldCallbacks() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.world.Sending.Held = true
}

// ReleaseCallbacks lets the callbacks that were held back go, in the order of the events or the other way round.
func (p *Paysera) ReleaseCallbacks(reversed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.world.Sending.Held = false
	if reversed {
		reversePending(p.world.Callbacks)
	}
	p.notify()
}

// Callbacks returns all callbacks so far, in the order in which they are or were made.
func (p *Paysera) Callbacks() []PayseraCallback {
	p.begin()
	defer p.mu.Unlock()
	return p.listCallbacks()
}

func (p *Paysera) listCallbacks() []PayseraCallback {
	list := make([]PayseraCallback, 0, len(p.world.Callbacks))
	for _, d := range p.world.Callbacks {
		list = append(list, d.PayseraCallback)
	}
	return list
}

// WaitCallbacks waits until there are n callbacks that are no longer pending, and returns all.
func (p *Paysera) WaitCallbacks(ctx context.Context, n int) ([]PayseraCallback, error) {
	return waitPosted(ctx, n, "callbacks", func() ([]PayseraCallback, <-chan struct{}) {
		p.begin()
		defer p.mu.Unlock()
		return p.listCallbacks(), p.changed
	}, func(d PayseraCallback) DeliveryState { return d.State })
}

// serveCallbacks makes callbacks, one at a time, until ctx ends.
func (p *Paysera) serveCallbacks(ctx context.Context) {
	servePosts(ctx, p.nextCallback, p.deliver)
}

// nextCallback takes the first callback that is due. If there is none, it tells how long to wait for one, and the
// channel that is closed when something changes.
func (p *Paysera) nextCallback() (next *walletCallback, wait time.Duration, changed <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.world.Sending.Held {
		return nil, time.Hour, p.changed
	}
	next, wait = takeDue(p.world.Callbacks)
	return next, wait, p.changed
}

// deliver tries a callback once. Which answers are taken for success, and that others are tried again, is a judgment.
func (p *Paysera) deliver(ctx context.Context, d *walletCallback) {
	status, body, err := p.send(ctx, d)
	p.mu.Lock()
	defer p.mu.Unlock()
	d.sending = false
	if err != nil && ctx.Err() != nil {
		return // the simulation ends: the next process tries again
	}
	d.Attempts++
	d.Status, d.Body, d.Error = status, body, ""
	if err != nil {
		d.Error = err.Error()
	}
	switch {
	case status/100 == 2:
		d.State = DeliveryDelivered
	case d.Attempts > callbackRetries:
		d.State = DeliveryFailed
	default:
		d.Due = time.Now().Add(p.opts.CallbackRetry << (d.Attempts - 1))
	}
	p.notify()
}

// sign signs an event as the vendor does, or as somebody else would.
func (p *Paysera) sign(event string) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key, err := p.privateKey()
	if p.world.Sending.Forge > 0 && err == nil {
		p.world.Sending.Forge--
		key, err = newKey()
	}
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(event))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	return base64.StdEncoding.EncodeToString(signature), err
}

// send posts a callback and returns the answer.
func (p *Paysera) send(ctx context.Context, d *walletCallback) (status int, answer string, err error) {
	p.mu.Lock()
	target, event := d.URL, d.Event
	p.mu.Unlock()
	signature, err := p.sign(event)
	if err != nil {
		return 0, "", err
	}
	form := "event=" + url.QueryEscape(event) + "&sign=" + url.QueryEscape(signature)
	return p.engine.post(ctx, target, "application/x-www-form-urlencoded", form, func(*http.Request) {})
}
