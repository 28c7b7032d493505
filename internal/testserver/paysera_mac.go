package testserver

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// The descriptions of a wrong clock are those that the vendor's own programs look for.
const (
	textFuture  = "Timestamp is in future"
	textTooOld  = "Timestamp lifetime exceeded"
	textExpired = "Token has expired"
)

// macHeader is an Authorization header as in draft-ietf-oauth-v2-http-mac-01.
type macHeader struct {
	id, ts, nonce, mac, ext string
	hasExt                  bool
}

// parseMAC reads an Authorization header.
func parseMAC(text string) (macHeader, error) {
	scheme, rest, ok := strings.Cut(text, " ")
	if !ok || !strings.EqualFold(scheme, "MAC") {
		return macHeader{}, errors.New("the scheme of Authorization is not MAC")
	}
	found := map[string]string{}
	for rest = strings.TrimLeft(rest, " \t"); rest != ""; {
		name, value, ok := strings.Cut(rest, `="`)
		if !ok {
			return macHeader{}, fmt.Errorf("no attribute begins at %q in Authorization", rest)
		}
		value, tail, ok := strings.Cut(value, `"`)
		if !ok {
			return macHeader{}, fmt.Errorf("the attribute %s of Authorization has no end", name)
		}
		if _, again := found[name]; again {
			return macHeader{}, fmt.Errorf("the attribute %s of Authorization is there twice", name)
		}
		if strings.Contains(value, `\`) {
			return macHeader{}, fmt.Errorf("the attribute %s of Authorization has a backslash; there is no escaping", name)
		}
		found[name] = value
		rest = strings.TrimLeft(tail, " \t")
		if rest == "" {
			break
		}
		if rest, ok = strings.CutPrefix(rest, ","); !ok {
			return macHeader{}, fmt.Errorf("there is no comma after the attribute %s of Authorization", name)
		}
		if rest = strings.TrimLeft(rest, " \t"); rest == "" {
			return macHeader{}, errors.New("there is nothing after the last comma of Authorization")
		}
	}
	header := macHeader{id: found["id"], ts: found["ts"], nonce: found["nonce"], mac: found["mac"]}
	header.ext, header.hasExt = found["ext"]
	for _, name := range []string{"id", "ts", "nonce", "mac"} {
		if found[name] == "" {
			return macHeader{}, fmt.Errorf("the attribute %s of Authorization is missing or empty", name)
		}
	}
	for name, value := range found {
		switch name {
		case "id", "ts", "nonce", "mac", "ext":
		default:
			return macHeader{}, fmt.Errorf("unknown attribute %q in Authorization", name)
		}
		for _, c := range []byte(value) {
			if c < 0x20 || c > 0x7E {
				return macHeader{}, fmt.Errorf("the attribute %s of Authorization has a character that is not printable ASCII", name)
			}
		}
	}
	if !digits(header.ts) || len(header.ts) > 12 {
		return macHeader{}, fmt.Errorf("the attribute ts of Authorization is %q, must be UNIX seconds", header.ts)
	}
	return header, nil
}

// macText is the normalized request string.
func macText(header macHeader, method, uri, host, port string) string {
	return strings.Join([]string{header.ts, header.nonce, strings.ToUpper(method), uri, strings.ToLower(host), port, header.ext, ""}, "\n")
}

// macOf is the signature of a normalized request string.
func macOf(key, text string) string {
	sum := hmac.New(sha256.New, []byte(key))
	sum.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(sum.Sum(nil))
}

// hostAndPort are those to which the request was sent, as the client sees it.
func (p *Paysera) hostAndPort(r *http.Request) (host, port string) {
	if host, port, err := net.SplitHostPort(r.Host); err == nil {
		return host, port
	}
	if r.TLS != nil || strings.HasPrefix(p.publicURL, "https:") {
		return r.Host, "443"
	}
	return r.Host, "80"
}

// uri is the request URI as the client sees it: with the prefix of the public URL, which was cut off on the way here.
func (p *Paysera) uri(r *http.Request) string {
	if public, err := url.Parse(p.publicURL); err == nil {
		return public.EscapedPath() + r.RequestURI
	}
	return r.RequestURI
}

// authenticate finds out who calls, by signature or by client certificate.
// What the vendor answers to a bad signature, other than a wrong time, is a judgment: 401.
func (p *Paysera) authenticate(x *exchange) (caller, error) {
	values := x.r.Header.Values("Authorization")
	if len(values) == 0 {
		if x.r.TLS != nil && len(x.r.TLS.PeerCertificates) > 0 {
			return p.certified(x)
		}
		x.violate("no Authorization")
		return caller{}, unauthorized("Authentication is required")
	}
	if len(values) > 1 {
		x.violate("%d headers Authorization", len(values))
	}
	for name := range x.r.Header {
		if strings.HasPrefix(name, "Wallet-Api-") {
			x.violate("header %s goes with client certificates; with a signature it is a parameter of ext", name)
		}
	}
	header, err := parseMAC(values[0])
	if err != nil {
		x.violate("%v", err)
		return caller{}, unauthorized("Authorization header is invalid")
	}
	who, key, err := p.identify(header.id)
	if err != nil {
		return caller{}, err
	}
	host, port := p.hostAndPort(x.r)
	text := macText(header, x.r.Method, p.uri(x.r), host, port)
	if !hmac.Equal([]byte(macOf(key, text)), []byte(header.mac)) {
		x.violate("mac is wrong, it must sign %q", text)
		return caller{}, unauthorized("MAC signature is invalid")
	}
	if err := p.checkTime(x, header); err != nil {
		return caller{}, err
	}
	params, err := checkExt(x, header)
	if err != nil {
		return caller{}, err
	}
	if token := p.world.Grants.token(who.token); token != nil && !p.engine.now().Before(token.Expires) {
		return caller{}, badRequest("invalid_grant", textExpired)
	}
	return p.represent(who, params.Get("project_id"), params.Get("location_id"))
}

// identify finds who signs, and the key of the signature.
func (p *Paysera) identify(id string) (who caller, key string, err error) {
	switch id {
	case p.opts.ClientID:
		return caller{client: id}, p.opts.ClientSecret, nil
	case p.opts.AppID:
		return caller{client: id}, p.opts.AppSecret, nil
	}
	token := p.world.Grants.token(id)
	if token == nil {
		return caller{}, "", unauthorized("No such client or access token")
	}
	return caller{client: token.Client, user: token.User, token: id}, token.Key, nil
}

// checkTime demands a timestamp near the vendor's clock, and a nonce that was not seen with it before. The window and
// the answer to a nonce that was seen are judgments.
func (p *Paysera) checkTime(x *exchange, header macHeader) error {
	seconds, err := strconv.ParseInt(header.ts, 10, 64)
	if err != nil {
		return unauthorized("Authorization header is invalid")
	}
	now, ts := p.now(), time.Unix(seconds, 0)
	if off := now.Sub(ts); off.Abs() > p.opts.MaxSkew {
		description := textTooOld
		if off < 0 {
			description = textFuture
		}
		return &walletError{status: http.StatusUnauthorized, code: "invalid_timestamp", description: description}
	}
	maps.DeleteFunc(p.world.Nonces, func(_ string, until int64) bool { return now.Unix() > until })
	once := header.id + " " + header.ts + " " + header.nonce
	if _, seen := p.world.Nonces[once]; seen {
		x.violate("nonce was used before with this timestamp")
		return unauthorized("Nonce was already used")
	}
	p.world.Nonces[once] = ts.Add(p.opts.MaxSkew).Unix()
	return nil
}

// checkExt reads ext: the hash of the body first, then what the client represents. An empty ext is sent by the vendor's
// own programs. That the vendor unescapes it before it compares follows from theirs, which escape differently.
func checkExt(x *exchange, header macHeader) (url.Values, error) {
	params, err := url.ParseQuery(header.ext)
	if err != nil {
		x.violate("ext is not a query string: %v", err)
		return nil, unauthorized("Authorization header is invalid")
	}
	for name, values := range params {
		if len(values) > 1 {
			x.violate("ext has the parameter %s %d times", name, len(values))
		}
	}
	sum := sha256.Sum256(x.body)
	hash := params.Get("body_hash")
	switch {
	case len(x.body) == 0 && params.Has("body_hash"):
		x.violate("ext has a body_hash, but there is no body")
		if hash == "" || hash == base64.StdEncoding.EncodeToString(sum[:]) {
			return params, nil // judgment: it proves the empty body
		}
		return nil, unauthorized("Body hash is invalid")
	case len(x.body) > 0 && !params.Has("body_hash"):
		x.violate("ext has no body_hash, but there is a body")
		return nil, unauthorized("Body hash is missing")
	case len(x.body) > 0 && hash != base64.StdEncoding.EncodeToString(sum[:]):
		x.violate("body_hash is wrong")
		return nil, unauthorized("Body hash is invalid")
	case len(x.body) > 0 && !strings.HasPrefix(header.ext, "body_hash="):
		x.violate("body_hash is not the first parameter of ext")
	}
	return params, nil
}

// certified is who calls with a client certificate. Which one belongs to which client is a judgment: the client's id is
// the common name. Who listens has verified the certificate.
func (p *Paysera) certified(x *exchange) (caller, error) {
	name := x.r.TLS.PeerCertificates[0].Subject.CommonName
	if name != p.opts.ClientID && name != p.opts.AppID {
		return caller{}, unauthorized("No such client")
	}
	return p.represent(caller{client: name}, x.r.Header.Get("Wallet-Api-Project-Id"), x.r.Header.Get("Wallet-Api-Location-Id"))
}

// represent reads which project and location the client represents. That others than its own are forbidden is a
// judgment.
func (p *Paysera) represent(who caller, project, location string) (caller, error) {
	var err error
	if project != "" {
		if who.project, err = strconv.ParseInt(project, 10, 64); err != nil {
			return caller{}, invalid("project_id", "Invalid parameter: project_id")
		}
		if who.user == 0 && !p.ownProject(who, who.project) {
			return caller{}, forbidden(textOtherProject)
		}
	}
	if location != "" {
		if who.location, err = strconv.ParseInt(location, 10, 64); err != nil {
			return caller{}, invalid("location_id", "Invalid parameter: location_id")
		}
		place := p.world.location(who.location)
		if place == nil || who.user == 0 && !p.ownProject(who, place.Project) {
			return caller{}, forbidden(textOtherProject)
		}
	}
	return who, nil
}

// now is the time on the vendor's clock.
func (p *Paysera) now() time.Time { return p.engine.now().Add(p.world.Clock) }

// SetClock makes the vendor's clock run ahead of the simulation's, or behind it. It matters to signatures alone.
func (p *Paysera) SetClock(ahead time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.world.Clock = ahead
}
