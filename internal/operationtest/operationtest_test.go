package operationtest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

const source = `package shop

// Open opens.
//
// API reference: PUT /registers/{id}/actions/open, https://vendor.example/
func (s RegistersService) Open(ctx context.Context, id string, opts ...tillroute.CallOption) error { return nil }

// All walks.
//
// API reference: GET /registers, https://vendor.example/
func (s RegistersService) All(ctx context.Context, opts ...tillroute.CallOption) error { return nil }

// List lists.
//
// API reference: GET /registers, https://vendor.example/
func (s RegistersService) List(ctx context.Context, opts ...tillroute.CallOption) error { return nil }

// Await waits.
//
// API reference: GET {PollingUrl}, https://vendor.example/
func (c *Client) Await(ctx context.Context) error { return nil }

// Name is none.
func (c *Client) Name(ctx context.Context) string { return "" }

func (s hidden) Get(opts ...tillroute.CallOption) {}
`

const polling = "https://elsewhere.example/poll/1"

func shop(t *testing.T, source string) (Client, map[string][]line) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "shop.go"), []byte(source), 0o600))
	c := Client{Dir: dir, System: "shop", BaseURLs: []string{"https://api.example/v1"}, Links: map[string]string{"{PollingUrl}": polling}}
	documented, err := c.documented()
	require.NoError(t, err)
	return c, documented
}

func good() map[string][]request {
	const base = "https://api.example/v1"
	return map[string][]request{
		"RegistersService.Open": {{"shop.Registers.Open", "PUT", base + "/registers/r1/actions/open"}},
		"RegistersService.All":  {{"shop.Registers.List", "GET", base + "/registers"}},
		"RegistersService.List": {{"shop.Registers.List", "GET", base + "/registers"}},
		"Client.Await":          {{"shop.Await", "GET", polling}},
	}
}

func TestGood(t *testing.T) {
	c, documented := shop(t, source)
	require.Len(t, documented, 4)
	require.Empty(t, c.problems(documented, good()))
}

func TestProblems(t *testing.T) {
	type change struct {
		more string // source
		sent func(map[string][]request)
		want string
	}
	send := func(name string, q ...request) func(map[string][]request) {
		return func(sent map[string][]request) { sent[name] = q }
	}
	const base = "https://api.example/v1"
	for name, test := range map[string]change{
		"undocumented":   {sent: send("Client.Name", request{"shop.Name", "GET", base + "/name"}), want: "Client.Name: it sends something"},
		"never recorded": {sent: func(sent map[string][]request) { delete(sent, "RegistersService.Open") }, want: "RegistersService.Open: it was never recorded"},
		"nothing sent":   {sent: send("RegistersService.Open"), want: "RegistersService.Open: it was never recorded"},
		"another method": {
			sent: send("RegistersService.Open", request{"shop.Registers.Open", "POST", base + "/registers/r1/actions/open"}), want: "it sent POST",
		},
		"another path": {
			sent: send("RegistersService.Open", request{"shop.Registers.Open", "PUT", base + "/registers/r1/actions/close"}), want: "/actions/close",
		},
		"a longer path":  {sent: send("RegistersService.List", request{"shop.Registers.List", "GET", base + "/registers/r1"}), want: "/registers/r1"},
		"another server": {sent: send("RegistersService.List", request{"shop.Registers.List", "GET", "https://b.example/v1/registers"}), want: "b.example"},
		"another link":   {sent: send("Client.Await", request{"shop.Await", "GET", polling + "2"}), want: polling + "2"},
		"a fixed part for an argument": {
			sent: send("RegistersService.Open", request{"shop.Registers.Open", "PUT", base + "/registers/all/actions/open"}), want: "/registers/all",
		},
		"no operation":      {sent: send("RegistersService.List", request{"", "GET", base + "/registers"}), want: `as "", which is no operation`},
		"another operation": {sent: send("RegistersService.List", request{"shop.Registers.Open", "GET", base + "/registers"}), want: "the comment of RegistersService.Open"},
		"documented twice": {
			more: twice, sent: send("RegistersService.Clear", request{"shop.Registers.List", "GET", base + "/registers"}),
			want: "DELETE /registers, which was never sent",
		},
		"no reference": {more: none, sent: func(map[string][]request) {}, want: "RegistersService.Get: its comment names no method and path"},
	} {
		t.Run(name, func(t *testing.T) {
			c, documented := shop(t, source+test.more)
			sent := good()
			test.sent(sent)
			problems := c.problems(documented, sent)
			require.NotEmpty(t, problems)
			require.Contains(t, problems[0], test.want)
		})
	}
}

const twice = `
// Clear clears.
//
// API reference: GET /registers, https://vendor.example/
//
// API reference: DELETE /registers, https://vendor.example/
func (s RegistersService) Clear(opts ...tillroute.CallOption) {}
`

const none = `
// Get gets.
func (s RegistersService) Get(opts ...tillroute.CallOption) {}
`
