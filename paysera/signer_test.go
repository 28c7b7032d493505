package paysera_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/paysera"
)

// vector is a signature that the vendor published, or that the vendor's own library gave.
type vector struct {
	Source     string           `json:"source"`
	ID         string           `json:"id"`
	Key        string           `json:"key"`
	TS         string           `json:"ts"`
	Nonce      string           `json:"nonce"`
	Method     string           `json:"method"`
	Path       string           `json:"path"`
	Host       string           `json:"host"`
	Ext        string           `json:"ext"`
	Body       string           `json:"body"`
	Expected   string           `json:"expected_mac"`
	Header     string           `json:"authorization_header"`
	Parameters map[string]int64 `json:"ext_parameters"`
}

func vectors(tb testing.TB) []vector {
	tb.Helper()
	var all []vector
	require.NoError(tb, json.Unmarshal([]byte(fixture(tb, "mac_vectors.json")), &all))
	require.Len(tb, all, 14)
	return all
}

func (v vector) signer(tb testing.TB) *paysera.Signer {
	tb.Helper()
	seconds, err := strconv.ParseInt(v.TS, 10, 64)
	require.NoError(tb, err)
	signer, err := paysera.NewSigner(paysera.SignerConfig{
		ID: v.ID, Key: tillroute.Secret(v.Key),
		Parameters: paysera.Parameters{ProjectID: v.Parameters["project_id"], LocationID: v.Parameters["location_id"]},
		Now:        func() time.Time { return time.Unix(seconds, 0) },
		Nonce:      func() string { return v.Nonce },
	})
	require.NoError(tb, err)
	return signer
}

// header is what the request's Authorization has to be.
func (v vector) header() string {
	if v.Header != "" {
		return v.Header
	}
	text := fmt.Sprintf(`MAC id="%s", ts="%s", nonce="%s", mac="%s"`, v.ID, v.TS, v.Nonce, v.Expected)
	if v.Ext != "" {
		text += fmt.Sprintf(`, ext="%s"`, v.Ext)
	}
	return text
}

func TestVectorsThroughTheSigner(t *testing.T) {
	for _, v := range vectors(t) {
		r, err := http.NewRequestWithContext(t.Context(), v.Method, "https://"+v.Host+v.Path, strings.NewReader(v.Body))
		require.NoError(t, err)
		require.NoError(t, v.signer(t).Sign(r, []byte(v.Body)))
		require.Equal(t, v.header(), r.Header.Get("Authorization"), v.Source)
	}
}

// TestVectorsThroughTheWire sends the requests and looks at what a server gets: the signature must be that of these bytes.
func TestVectorsThroughTheWire(t *testing.T) {
	type got struct{ method, uri, host, body, header string }
	arrived := make(chan got, 1)
	server := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		arrived <- got{r.Method, r.RequestURI, r.Host, string(body), r.Header.Get("Authorization")}
	}))
	t.Cleanup(server.Close)
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if address != "wallet.paysera.com:443" {
				t.Errorf("the request goes to %s", address)
			}
			return (&net.Dialer{}).DialContext(ctx, network, server.Listener.Addr().String())
		},
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
	t.Cleanup(client.CloseIdleConnections)
	for _, v := range vectors(t) {
		r, err := http.NewRequestWithContext(t.Context(), v.Method, "https://"+v.Host+v.Path, bytes.NewReader([]byte(v.Body)))
		require.NoError(t, err)
		require.NoError(t, v.signer(t).Sign(r, []byte(v.Body)))
		response, err := client.Do(r)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, got{v.Method, v.Path, v.Host, v.Body, v.header()}, <-arrived, v.Source)
	}
}

func sign(t *testing.T, target, host string, body string, p paysera.Parameters) string {
	t.Helper()
	signer, err := paysera.NewSigner(paysera.SignerConfig{
		ID: "wkVd93h2uS", Key: "key", Parameters: p,
		Now: func() time.Time { return time.Unix(1343811600, 0) }, Nonce: func() string { return "nonce" },
	})
	require.NoError(t, err)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target, nil)
	require.NoError(t, err)
	if host != "" {
		r.Host = host
	}
	require.NoError(t, signer.Sign(r, []byte(body)))
	return r.Header.Get("Authorization")
}

// mac is the signature of these lines, made without the signer.
func mac(key string, lines ...string) string {
	m := hmac.New(sha256.New, []byte(key))
	for _, line := range lines {
		_, _ = io.WriteString(m, line+"\n")
	}
	return base64.StdEncoding.EncodeToString(m.Sum(nil))
}

func TestSignerHostsAndPorts(t *testing.T) {
	for _, c := range []struct{ target, header, uri, host, port string }{
		{"https://Wallet.Paysera.COM/x", "", "/x", "wallet.paysera.com", "443"},
		{"http://wallet.paysera.com/x", "", "/x", "wallet.paysera.com", "80"},
		{"https://wallet.paysera.com:8443/x?", "", "/x?", "wallet.paysera.com", "8443"},
		{"http://127.0.0.1:8080", "", "/", "127.0.0.1", "8080"},
		{"http://[::1]:8080/a%2Fb?q=%41&r=b+c", "", "/a%2Fb?q=%41&r=b+c", "[::1]", "8080"},
		{"https://[::1]/", "", "/", "[::1]", "443"},
		{"https://proxy.example/x", "Wallet.paysera.com:444", "/x", "wallet.paysera.com", "444"},
		{"https://proxy.example:99/x", "wallet.paysera.com", "/x", "wallet.paysera.com", "443"},
	} {
		require.Contains(t, sign(t, c.target, c.header, "", paysera.Parameters{}),
			`mac="`+mac("key", "1343811600", "nonce", "POST", c.uri, c.host, c.port, "")+`"`, c.target)
	}
}

func TestSignerParameters(t *testing.T) {
	header := sign(t, "https://wallet.paysera.com/x", "", "", paysera.Parameters{
		LocationID: 9975, ProjectID: 123, More: map[string]string{"b": "a b~c/ü", "a": `"`},
	})
	require.Contains(t, header, `ext="project_id=123&location_id=9975&a=%22&b=a+b%7Ec%2F%C3%BC"`)

	// Base 64 of some body has each of the characters that are escaped.
	seen := map[string]bool{}
	for i := range 200 {
		body := fmt.Sprint("body ", i)
		hash := sha256.Sum256([]byte(body))
		want := url.QueryEscape(base64.StdEncoding.EncodeToString(hash[:]))
		require.Contains(t, sign(t, "https://wallet.paysera.com/x", "", body, paysera.Parameters{}), `ext="body_hash=`+want+`"`)
		for _, escaped := range []string{"%2B", "%2F", "%3D"} {
			seen[escaped] = seen[escaped] || strings.Contains(want, escaped)
		}
	}
	require.Equal(t, map[string]bool{"%2B": true, "%2F": true, "%3D": true}, seen)
}

func TestSignerRefuses(t *testing.T) {
	for _, c := range []paysera.SignerConfig{
		{Key: "k"},
		{ID: `a"b`, Key: "k"},
		{ID: "a\nb", Key: "k"},
		{ID: "a"},
		{ID: "a", Key: "k", Parameters: paysera.Parameters{ProjectID: -1}},
		{ID: "a", Key: "k", Parameters: paysera.Parameters{More: map[string]string{"body_hash": "x"}}},
		{ID: "a", Key: "k", Parameters: paysera.Parameters{More: map[string]string{`x"`: "x"}}},
	} {
		_, err := paysera.NewSigner(c)
		require.ErrorIs(t, err, tillroute.ErrInvalid, "%+v", c)
	}
	for _, nonce := range []string{"", `a"b`, `a\b`, "a\nb", "ü"} {
		signer, err := paysera.NewSigner(paysera.SignerConfig{ID: "a", Key: "k", Nonce: func() string { return nonce }})
		require.NoError(t, err)
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://wallet.paysera.com/", nil)
		require.ErrorIs(t, signer.Sign(r, nil), tillroute.ErrInvalid, nonce)
		require.Empty(t, r.Header.Get("Authorization"))
	}
	signer, err := paysera.NewSigner(paysera.SignerConfig{ID: "a", Key: "k"})
	require.NoError(t, err)
	for _, target := range []string{"https://bücher.example/", "/x"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
		require.NoError(t, err)
		require.ErrorIs(t, signer.Sign(r, nil), tillroute.ErrInvalid, target)
	}
	require.ErrorIs(t, new(paysera.Signer).Sign(&http.Request{}, nil), tillroute.ErrInvalid)
	for _, r := range []*http.Request{nil, {}} {
		require.ErrorIs(t, signer.Sign(r, nil), tillroute.ErrInvalid)
	}
}

func TestSignerTakesRequestsMadeByHand(t *testing.T) {
	signer, err := paysera.NewSigner(paysera.SignerConfig{ID: "a", Key: "k"})
	require.NoError(t, err)
	r := &http.Request{URL: &url.URL{Scheme: "https", Host: "wallet.paysera.com"}}
	require.NoError(t, signer.Sign(r, nil))
	require.NotEmpty(t, r.Header.Get("Authorization"))
}

// TestSignerKeepsHostsApart has one signer sign for several hosts in turns: what it keeps of the last one is for that alone.
func TestSignerKeepsHostsApart(t *testing.T) {
	signer, err := paysera.NewSigner(paysera.SignerConfig{
		ID: "a", Key: "key", Now: func() time.Time { return time.Unix(1, 0) }, Nonce: func() string { return "nonce" },
	})
	require.NoError(t, err)
	for range 2 {
		for _, c := range []struct{ scheme, url, header, host, port string }{
			{"https", "a.example", "", "a.example", "443"},
			{"http", "a.example", "", "a.example", "80"},
			{"https", "b.example", "A.example", "a.example", "443"},
			{"https", "a.example:8443", "", "a.example", "8443"},
			{"https", "bücher.example", "", "", ""},
			{"https", "a.example:B", "", "", ""},
			{"https", "a.example:8443", "b.example", "b.example", "443"},
		} {
			r := &http.Request{Method: http.MethodGet, Host: c.header, URL: &url.URL{Scheme: c.scheme, Host: c.url, Path: "/x"}}
			err := signer.Sign(r, nil)
			if c.host == "" {
				require.ErrorIs(t, err, tillroute.ErrInvalid)
				continue
			}
			require.NoError(t, err)
			require.Contains(t, r.Header.Get("Authorization"), `mac="`+mac("key", "1", "nonce", "GET", "/x", c.host, c.port, "")+`"`)
		}
	}
}

func TestNoncesAreNeverTheSame(t *testing.T) {
	signer, err := paysera.NewSigner(paysera.SignerConfig{ID: "a", Key: "k"})
	require.NoError(t, err)
	nonce := regexp.MustCompile(`nonce="([!#-\[\]-~]{24})"`)
	var (
		mu    sync.Mutex
		seen  = map[string]bool{}
		group sync.WaitGroup
	)
	for range 8 {
		group.Go(func() {
			for range 500 {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://wallet.paysera.com/", nil)
				if err := signer.Sign(r, nil); err != nil {
					t.Error(err)
				}
				match := nonce.FindStringSubmatch(r.Header.Get("Authorization"))
				mu.Lock()
				if match == nil || seen[match[1]] {
					t.Errorf("nonce %v", match)
				} else {
					seen[match[1]] = true
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
	require.Len(t, seen, 4000)
}

func TestSignerAllocates(t *testing.T) {
	if raceDetector {
		t.Skip("with the race detector, sync.Pool forgets things on purpose")
	}
	signer, err := paysera.NewSigner(paysera.SignerConfig{ID: "wkVd93h2uS", Key: "IrdTc8uQodU7PRpLzzLTW6wqZAO6tAMU"})
	require.NoError(t, err)
	for target, body := range map[string]string{
		"https://wallet.paysera.com/rest/v1/spots?status=waiting&limit=3": "",
		"https://wallet.paysera.com/rest/v1/spot/1/order":                 `{"transaction_key":"Pu5CPePCkm3TJPlkcbcshzkIlxeLU3WR"}`,
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, target, nil)
		sent := []byte(body)
		allocations := testing.AllocsPerRun(1000, func() {
			if signer.Sign(r, sent) != nil {
				t.Error("not signed")
			}
		})
		require.LessOrEqual(t, allocations, 3.0, "the header, and two more")
	}
}

func FuzzSigner(f *testing.F) {
	f.Add("/rest/v1/spot", "code=PAYSERA*3%3ATABLE1", "wallet.paysera.com", "")
	f.Add("/a b/%2F", "", "[::1]:80", "{}")
	f.Fuzz(func(t *testing.T, path, query, host, body string) {
		signer, err := paysera.NewSigner(paysera.SignerConfig{ID: "id", Key: "key"})
		require.NoError(t, err)
		r := &http.Request{Method: http.MethodPut, Host: host, URL: &url.URL{Scheme: "https", Path: path, RawQuery: query}, Header: http.Header{}}
		if err := signer.Sign(r, []byte(body)); err != nil {
			require.ErrorIs(t, err, tillroute.ErrInvalid)
			return
		}
		header := r.Header.Get("Authorization")
		require.NotContains(t, header, "\n")
		match := regexp.MustCompile(`^MAC id="id", ts="(\d+)", nonce="([^"\\]+)", mac="([^"\\]+)"(?:, ext="([^"\\]+)")?$`).FindStringSubmatch(header)
		require.NotNil(t, match, header)
		name, port := strings.ToLower(host), "443"
		if i := strings.LastIndex(name, ":"); i >= 0 && !strings.Contains(name[i:], "]") {
			name, port = name[:i], name[i+1:]
			if port == "" {
				port = "443"
			}
		}
		require.Equal(t, mac("key", match[1], match[2], "PUT", r.URL.RequestURI(), name, port, match[4]), match[3])
		if body != "" {
			hash := sha256.Sum256([]byte(body))
			values, err := url.ParseQuery(match[4])
			require.NoError(t, err)
			require.Equal(t, base64.StdEncoding.EncodeToString(hash[:]), values.Get("body_hash"))
		}
	})
}

// BenchmarkSigner measures signing a request against the bare HMAC of the same bytes, and of the body's hash, in turns within
// one run, and reports the median ratio of their times. The bare side makes its HMAC anew each time ("fresh"), as a program
// does that calls hmac.New, or resets one ("reused").
func BenchmarkSigner(b *testing.B) {
	const key = "IrdTc8uQodU7PRpLzzLTW6wqZAO6tAMU"
	signer, err := paysera.NewSigner(paysera.SignerConfig{ID: "wkVd93h2uS", Key: key})
	require.NoError(b, err)
	for name, c := range map[string]struct{ method, path, ext, body string }{
		"body": {
			http.MethodPost, "/rest/v1/spot/1/order", "body_hash=68dmCeBAXs2UZBNujGQBl8fQqt2VgnzIUqFQOsjTYuE%3D",
			`{"transaction_key":"Pu5CPePCkm3TJPlkcbcshzkIlxeLU3WR"}`,
		},
		"no body": {http.MethodGet, "/rest/v1/spots?limit=3&status=waiting", "", ""},
	} {
		r := httptest.NewRequestWithContext(b.Context(), c.method, "https://wallet.paysera.com"+c.path, nil)
		body := []byte(c.body)
		text := []byte(strings.Join([]string{"1343811600", "nQnNaSNyubfPErjRO55yaa", c.method, c.path, "wallet.paysera.com", "443", c.ext, ""}, "\n"))
		ours := func() {
			if signer.Sign(r, body) != nil {
				b.Error("not signed")
			}
		}
		var sum [sha256.Size]byte
		hashBody := func() {
			if len(body) > 0 {
				sum = sha256.Sum256(body)
			}
		}
		reused := hmac.New(sha256.New, []byte(key))
		for side, theirs := range map[string]func(){
			"fresh": func() {
				hashBody()
				m := hmac.New(sha256.New, []byte(key))
				m.Write(text)
				m.Sum(sum[:0])
			},
			"reused": func() {
				hashBody()
				reused.Reset()
				reused.Write(text)
				reused.Sum(sum[:0])
			},
		} {
			b.Run(name+"/"+side, func(b *testing.B) {
				var ratios, times []float64
				for b.Loop() {
					our, their := took(ours), took(theirs)
					ratios, times = append(ratios, our/their), append(times, our)
				}
				slices.Sort(ratios)
				slices.Sort(times)
				b.ReportMetric(ratios[len(ratios)/2], "ratio")
				b.ReportMetric(times[len(times)/2], "ns/signature")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

func took(do func()) float64 {
	const times = 2000
	start := time.Now()
	for range times {
		do()
	}
	return float64(time.Since(start).Nanoseconds()) / times
}
