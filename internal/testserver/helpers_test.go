package testserver

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// clock is a clock that stands still until it is moved.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// rig is the simulated systems, a client that follows no redirect, and the clock of both.
type rig struct {
	*Systems

	t      *testing.T
	clock  *clock
	client *http.Client
	base   string
}

func newRig(t *testing.T, opts Options) *rig {
	t.Helper()
	c := &clock{at: time.Date(2026, 3, 11, 9, 8, 7, 123_400_000, time.UTC)}
	opts.Now = c.now
	sys := Start(t, opts)
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true}, // a reused connection lets net/http repeat a GET by itself
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &rig{Systems: sys, t: t, clock: c, client: client, base: sys.PublicURL()}
}

// answer is what came back for a request.
type answer struct {
	status int
	header http.Header
	body   string
}

// send sends a request; header fields are given as name, value pairs.
func (r *rig) send(method, target, body string, header ...string) (answer, error) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, target, strings.NewReader(body))
	require.NoError(r.t, err)
	for pair := range slices.Chunk(header, 2) {
		req.Header.Set(pair[0], pair[1])
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { require.NoError(r.t, resp.Body.Close()) }()
	raw, err := io.ReadAll(resp.Body)
	return answer{status: resp.StatusCode, header: resp.Header, body: string(raw)}, err
}

// do sends a request that must be answered.
func (r *rig) do(method, target, body string, header ...string) answer {
	r.t.Helper()
	a, err := r.send(method, target, body, header...)
	require.NoError(r.t, err)
	return a
}

const formType = "application/x-www-form-urlencoded"

// pos sends a form to SmartConnect.
func (r *rig) pos(method, path string, form url.Values) answer {
	r.t.Helper()
	return r.do(method, r.base+"/smartconnect"+path, form.Encode(), "Content-Type", formType)
}

// register is the identity of a register, as a form.
func register(id string) url.Values {
	return url.Values{
		"POSRegisterID": {id}, "POSRegisterName": {"Main Register"}, "POSBusinessName": {"Toys Shop"}, "POSVendorName": {"Till2Go"},
	}
}

// pair pairs a register with a terminal.
func (r *rig) pair(registerID, device string) {
	r.t.Helper()
	code, err := r.SmartConnect.Device(device).ShowCode()
	require.NoError(r.t, err)
	a := r.pos(http.MethodPut, "/POS/Pairing/"+code, register(registerID))
	require.Equal(r.t, http.StatusOK, a.status, a.body)
}

// transactionForm is the form of a transaction; further fields are given as name, value pairs.
func transactionForm(registerID, kind string, fields ...string) url.Values {
	form := register(registerID)
	form.Del("POSRegisterName")
	form.Set("TransactionMode", "ASYNC")
	form.Set("TransactionType", kind)
	for pair := range slices.Chunk(fields, 2) {
		form.Set(pair[0], pair[1])
	}
	return form
}

// post posts a transaction that must be accepted.
func (r *rig) post(registerID, kind string, fields ...string) envelope {
	r.t.Helper()
	a := r.pos(http.MethodPost, "/POS/Transaction", transactionForm(registerID, kind, fields...))
	require.Equal(r.t, http.StatusOK, a.status, a.body)
	return parse[envelope](r.t, a.body)
}

// poll polls a transaction, some seconds after the last time.
func (r *rig) poll(posted envelope) envelope {
	r.t.Helper()
	r.clock.move(3 * time.Second)
	a := r.do(http.MethodGet, posted.Data.PollingURL, "")
	require.Equal(r.t, http.StatusOK, a.status, a.body)
	return parse[envelope](r.t, a.body)
}

func parse[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	require.NoError(t, json.Unmarshal([]byte(text), &v), text)
	return v
}

// fixture reads a file of testdata.
func fixture(t *testing.T, name string) string {
	t.Helper()
	raw, err := fs.ReadFile(os.DirFS("testdata"), name)
	require.NoError(t, err)
	return string(raw)
}

// keys lists the members of a JSON object.
func keys(t *testing.T, text string) []string {
	t.Helper()
	var list []string
	for key := range parse[map[string]any](t, text) {
		list = append(list, key)
	}
	return list
}

// fakeTB collects what is reported to a test.
type fakeTB struct {
	cleanups []func()
	errors   []string
}

func (f *fakeTB) Helper()           {}
func (f *fakeTB) Cleanup(fn func()) { f.cleanups = append(f.cleanups, fn) }

func (f *fakeTB) Errorf(format string, args ...any) {
	f.errors = append(f.errors, strings.TrimSpace(fmt.Sprintf(format, args...)))
}

func (f *fakeTB) Fatalf(format string, args ...any) { f.Errorf(format, args...) }

func (f *fakeTB) finish() {
	for _, fn := range f.cleanups {
		fn()
	}
}
