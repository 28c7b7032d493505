package paysera

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tillroute/tillroute"
)

// Parameters say in whose name a client acts. They are signed. The zero value is for a client that acts for itself.
type Parameters struct {
	// ProjectID and LocationID are the project and the location, or 0. Not negative.
	ProjectID, LocationID int64
	// More are others that the vendor agreed with you on, by their names on the wire: small letters, digits and underscores. The
	// names of the above and body_hash are refused.
	More map[string]string
}

// with returns the parameters with those of other that are set. It shares nothing with either.
func (p Parameters) with(other Parameters) Parameters {
	if other.ProjectID != 0 {
		p.ProjectID = other.ProjectID
	}
	if other.LocationID != 0 {
		p.LocationID = other.LocationID
	}
	more := map[string]string{}
	maps.Copy(more, p.More)
	maps.Copy(more, other.More)
	p.More = more
	return p
}

// list returns the parameters in the order in which they are written: project_id, location_id, the others by name.
func (p Parameters) list() (names, values []string) {
	add := func(name, value string) { names, values = append(names, name), append(values, value) }
	if p.ProjectID != 0 {
		add("project_id", strconv.FormatInt(p.ProjectID, 10))
	}
	if p.LocationID != 0 {
		add("location_id", strconv.FormatInt(p.LocationID, 10))
	}
	for _, name := range sortedKeys(p.More) {
		add(name, p.More[name])
	}
	return names, values
}

// problem returns what is wrong with the parameters, or "".
func (p Parameters) problem() string {
	if p.ProjectID < 0 || p.LocationID < 0 {
		return "Parameters.ProjectID and Parameters.LocationID must not be negative"
	}
	for name := range p.More {
		switch {
		case name == "body_hash" || name == "project_id" || name == "location_id":
			return "Parameters.More has " + name + ", which is not for it"
		case name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != "":
			return fmt.Sprintf("Parameters.More has the name %.40q: use small letters, digits and underscores", name)
		}
	}
	return ""
}

// encode returns the parameters as they stand in ext.
func (p Parameters) encode() string {
	names, values := p.list()
	var b strings.Builder
	for i, name := range names {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(name)
		b.WriteByte('=')
		// As PHP's urlencode does, which the vendor's own library uses.
		b.WriteString(strings.ReplaceAll(url.QueryEscape(values[i]), "~", "%7E"))
	}
	return b.String()
}

// SignerConfig configures a [Signer].
type SignerConfig struct {
	// ID is the client's, or an access token. Required.
	ID string
	// Key is the client's secret, or the mac_key that came with the access token. Required.
	Key tillroute.Secret
	// Parameters are signed with each request. Optional.
	Parameters Parameters
	// Now is what time it is. Defaults to [time.Now].
	Now func() time.Time
	// Nonce returns a text that was never used before with the same second, of printable ASCII characters without double
	// quotes and backslashes. Defaults to 144 bits from crypto/rand, in base 64.
	Nonce func() string
}

// Signer signs requests with a MAC, for programs that make requests of their own: a [Client] signs by itself. It is safe for
// concurrent use. The zero value is not usable.
type Signer struct{ s *signing }

// NewSigner checks the configuration and returns a signer. Its error names every field that is wrong.
func NewSigner(c SignerConfig) (*Signer, error) {
	var problems []string
	if c.ID == "" || !quotable(c.ID) {
		problems = append(problems, "ID is missing, or has characters that can't be sent")
	}
	if c.Key == "" {
		problems = append(problems, "Key is missing")
	}
	if problem := c.Parameters.problem(); problem != "" {
		problems = append(problems, problem)
	}
	if len(problems) > 0 {
		return nil, tillroute.Invalid(System, "NewSigner", "%s", strings.Join(problems, "; "))
	}
	return &Signer{newSigning(c)}, nil
}

// Sign sets the request's Authorization. Call it last: it signs the method, the URL and the host as they will be sent, and
// body, which is what Body will give, byte by byte; nil or empty if there is none. A request that is sent again, and one that
// is redirected, has to be signed again. Sign doesn't touch Body.
//
// A host that isn't written in ASCII, a nonce that can't be sent, and a signer that [NewSigner] did not make, are errors of kind
// Invalid.
//
// API reference: https://developers.paysera.com/guides/wallet/authentication
func (s *Signer) Sign(r *http.Request, body []byte) error {
	if s == nil || s.s == nil {
		return tillroute.Invalid(System, "Signer.Sign", "this signer was not made by NewSigner")
	}
	return s.s.sign(r, body)
}

// signing is what a signer is made of. The key is in the pool's function alone, where fmt doesn't look.
type signing struct {
	id    string
	ext   string
	now   func() time.Time
	nonce func() string
	pool  sync.Pool
}

// scratch is what a signature is made with.
type scratch struct {
	mac    hash.Hash
	text   []byte
	header []byte
	sum    [sha256.Size]byte

	// named and scheme are what host was made of last: host and port, each on its line.
	named, scheme string
	host          []byte

	// nonces are random, and the first used of them were used. Asking for several at a time is what makes them cheap.
	nonces [nonces * nonceLength]byte
	used   int
	random [nonces * nonceLength / 4 * 3]byte
}

const (
	// nonceLength is a multiple of 4, so that base 64 can be cut there.
	nonceLength = 24
	nonces      = 16
)

// nonce returns one that was never returned before. It is good until the next call.
func (w *scratch) nonce() []byte {
	if w.used == len(w.nonces) {
		_, _ = rand.Read(w.random[:]) // It never fails.
		base64.RawURLEncoding.Encode(w.nonces[:], w.random[:])
		w.used = 0
	}
	w.used += nonceLength
	return w.nonces[w.used-nonceLength : w.used]
}

func newSigning(c SignerConfig) *signing {
	s := &signing{id: c.ID, ext: c.Parameters.encode(), now: c.Now, nonce: c.Nonce}
	if s.now == nil {
		s.now = time.Now
	}
	key := []byte(c.Key.Reveal())
	s.pool.New = func() any {
		w := &scratch{mac: hmac.New(sha256.New, key), text: make([]byte, 0, 512), header: make([]byte, 0, 512)}
		w.used = len(w.nonces)
		return w
	}
	return s
}

func (s *signing) sign(r *http.Request, body []byte) error {
	if r == nil || r.URL == nil {
		return tillroute.Invalid(System, "Signer.Sign", "there is no request, or it has no URL")
	}
	w, _ := s.pool.Get().(*scratch)
	defer s.pool.Put(w)
	if err := w.setHost(r); err != nil {
		return tillroute.Invalid(System, "Signer.Sign", "%s", err)
	}

	// The header is written first, up to the MAC, and the text to sign is made of its parts.
	h := w.header[:0]
	h = append(h, `MAC id="`...)
	h = append(h, s.id...)
	h = append(h, `", ts="`...)
	from := len(h)
	h = strconv.AppendInt(h, s.now().Unix(), 10)
	text := w.text[:0]
	text = append(text, h[from:]...)
	h = append(h, `", nonce="`...)
	from = len(h)
	if s.nonce != nil {
		h = append(h, s.nonce()...)
		if len(h) == from || !quotable(h[from:]) {
			return tillroute.Invalid(System, "Signer.Sign", "SignerConfig.Nonce returned a nonce that can't be sent")
		}
	} else {
		h = append(h, w.nonce()...)
	}
	text = append(text, '\n')
	text = append(text, h[from:]...)
	text = append(text, '\n')
	text = append(text, method(r)...)
	text = append(text, '\n')
	text = appendURI(text, r.URL)
	text = append(text, '\n')
	text = append(text, w.host...)
	from = len(text)
	text = s.appendExt(text, w, body)
	ext := text[from:]
	text = append(text, '\n')

	w.mac.Reset()
	_, _ = w.mac.Write(text) // It never fails.
	h = append(h, `", mac="`...)
	h = base64.StdEncoding.AppendEncode(h, w.mac.Sum(w.sum[:0]))
	if len(ext) > 0 {
		h = append(h, `", ext="`...)
		h = append(h, ext...)
	}
	h = append(h, '"')
	w.text, w.header = text, h
	if r.Header == nil {
		r.Header = http.Header{}
	}
	r.Header["Authorization"] = []string{string(h)}
	return nil
}

// appendExt appends the hash of the body, if there is one, and the parameters.
func (s *signing) appendExt(b []byte, w *scratch, body []byte) []byte {
	if len(body) == 0 {
		return append(b, s.ext...)
	}
	b = append(b, "body_hash="...)
	w.sum = sha256.Sum256(body)
	from := len(b)
	b = base64.StdEncoding.AppendEncode(b, w.sum[:])
	b = escapeBase64(b, from)
	if s.ext != "" {
		b = append(b, '&')
		b = append(b, s.ext...)
	}
	return b
}

// escapeBase64 escapes what stands from there on for a query.
func escapeBase64(b []byte, from int) []byte {
	special := 0
	for _, c := range b[from:] {
		if c == '+' || c == '/' || c == '=' {
			special++
		}
	}
	read := len(b) - 1
	for range 2 * special {
		b = append(b, 0)
	}
	for write := len(b) - 1; write > read; read-- {
		switch c := b[read]; c {
		case '+', '/', '=':
			const digits = "0123456789ABCDEF"
			b[write-2], b[write-1], b[write] = '%', digits[c>>4], digits[c&15]
			write -= 3
		default:
			b[write] = c
			write--
		}
	}
	return b
}

func method(r *http.Request) string {
	if r.Method == "" {
		return http.MethodGet
	}
	return r.Method
}

// appendURI appends what the request line has: [url.URL.RequestURI], which makes a string of its own.
func appendURI(b []byte, u *url.URL) []byte {
	if u.Opaque != "" {
		return append(b, u.RequestURI()...)
	}
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	b = append(b, path...)
	if u.ForceQuery || u.RawQuery != "" {
		b = append(b, '?')
		b = append(b, u.RawQuery...)
	}
	return b
}

// setHost makes the lines of the host and the port. Most requests go where the last one went.
func (w *scratch) setHost(r *http.Request) error {
	named := r.Host
	if named == "" {
		named = r.URL.Host
	}
	if named == w.named && r.URL.Scheme == w.scheme && len(w.host) > 0 {
		return nil
	}
	w.host = w.host[:0]
	host, port, err := hostPort(r)
	if err != nil {
		return err
	}
	w.host = append(appendLower(w.host, host), '\n')
	w.host = append(append(w.host, port...), '\n')
	w.named, w.scheme = named, r.URL.Scheme
	return nil
}

// hostPort returns the host that the request names, without its port, and the port that it goes to.
func hostPort(r *http.Request) (host, port string, err error) {
	host = r.Host
	if host == "" {
		host = r.URL.Host
	}
	for i := range len(host) {
		if host[i] <= ' ' || host[i] >= 0x7f {
			return "", "", fmt.Errorf("the host %.70q can't be signed: write it in its ASCII form (xn--…)", host)
		}
	}
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.Contains(host[i:], "]") {
		for _, c := range []byte(host[i+1:]) {
			if c < '0' || c > '9' {
				return "", "", fmt.Errorf("the host %.70q can't be signed: its port is not a number", host)
			}
		}
		host, port = host[:i], host[i+1:]
	}
	switch {
	case host == "":
		return "", "", errors.New("the request names no host")
	case port != "":
	case r.URL.Scheme == "http":
		port = "80"
	default:
		port = "443"
	}
	return host, port, nil
}

func appendLower(b []byte, text string) []byte {
	for i := range len(text) {
		c := text[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	return b
}

// quotable reports whether text can stand between double quotes in the header, where nothing can be escaped.
func quotable[T string | []byte](text T) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
