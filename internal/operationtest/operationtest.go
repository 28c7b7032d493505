// Package operationtest checks that the comments of a client's operations name what goes out: method and path, as in
//
//	// API reference: PUT /registers/{id}/actions/open, https://vendor.example/docs
//
// The path is below the base URL. {…} stands for one segment of it, and a comment may have several such lines.
package operationtest

import (
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tillroute/tillroute"
)

// Client is what is checked.
type Client struct {
	// Dir is where the package's source is.
	Dir string
	// System begins the names of its operations.
	System string
	// BaseURLs are what paths are below of: the default of Config.BaseURL, and that of tokens if it is another.
	BaseURLs []string
	// Links are URLs that the server gives, by the placeholder that comments have for them.
	Links map[string]string
	// Calls call each operation, in all ways in which it sends something else. Arguments that go into the path have a digit, so
	// that what is fixed in a path isn't taken for one. They are named as they are declared: RegistersService.Open.
	Calls map[string]func(context.Context)
}

// Recorder is a transport that remembers what it was given. It is safe for concurrent use.
type Recorder struct {
	// Body is the JSON that it answers to everything.
	Body string

	mu   sync.Mutex
	sent []request
}

type request struct{ operation, method, url string }

// RoundTrip implements [http.RoundTripper].
func (r *Recorder) RoundTrip(q *http.Request) (*http.Response, error) {
	u := *q.URL
	u.RawQuery, u.User = "", nil
	r.mu.Lock()
	r.sent = append(r.sent, request{tillroute.Operation(q.Context()), q.Method, u.String()})
	r.mu.Unlock()
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(r.Body)), Request: q,
	}, nil
}

func (r *Recorder) take() []request {
	r.mu.Lock()
	defer r.mu.Unlock()
	sent := r.sent
	r.sent = nil
	return sent
}

// Check makes the calls and fails the test for each operation whose comment doesn't name exactly what it sent.
func Check(t *testing.T, c Client, r *Recorder) {
	t.Helper()
	documented, err := c.documented()
	if err != nil {
		t.Fatal(err)
	}
	if len(documented) == 0 {
		t.Fatal("there are no operations: look at Dir")
	}
	sent := map[string][]request{}
	for name, call := range c.Calls {
		r.take()
		call(t.Context())
		sent[name] = r.take()
	}
	for _, problem := range c.problems(documented, sent) {
		t.Error(problem)
	}
}

// line is a method and a path that a comment names.
type line struct{ method, path string }

func (l line) String() string { return l.method + " " + l.path }

var reference = regexp.MustCompile(`(?m)^API reference: ([A-Z]+) ([/{]\S*), https?://\S+$`)

// documented returns what the comments of the operations name: of all exported functions that take options of a call, and of all
// others whose comments name something.
func (c Client) documented() (map[string][]line, error) {
	names, err := filepath.Glob(filepath.Join(c.Dir, "*.go"))
	if err != nil {
		return nil, err
	}
	found := map[string][]line{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		source, err := os.ReadFile(name) //nolint:gosec // It is our own source.
		if err != nil {
			return nil, err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || !f.Name.IsExported() || !ast.IsExported(receiver(f)) {
				continue
			}
			var lines []line
			for _, m := range reference.FindAllStringSubmatch(f.Doc.Text(), -1) {
				lines = append(lines, line{m[1], m[2]})
			}
			if lines != nil || takesOptions(f) {
				found[receiver(f)+"."+f.Name.Name] = lines
			}
		}
	}
	return found, nil
}

func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	t := f.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	name, _ := t.(*ast.Ident)
	return name.String()
}

func takesOptions(f *ast.FuncDecl) bool {
	params := f.Type.Params.List
	if len(params) == 0 {
		return false
	}
	variadic, ok := params[len(params)-1].Type.(*ast.Ellipsis)
	if !ok {
		return false
	}
	option, ok := variadic.Elt.(*ast.SelectorExpr)
	return ok && option.Sel.Name == "CallOption"
}

// problems compares what the comments name with what was sent.
func (c Client) problems(documented map[string][]line, sent map[string][]request) []string {
	var problems []string
	add := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	for _, name := range slices.Sorted(maps.Keys(documented)) {
		if len(documented[name]) == 0 {
			add("%s: its comment names no method and path", name)
		}
		if len(sent[name]) == 0 {
			add("%s: it was never recorded", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(sent)) {
		if _, ok := documented[name]; !ok {
			add("%s: it sends something, and its comment names no method and path", name)
			continue
		}
		seen := map[line]bool{}
		for _, q := range sent[name] {
			l, ok := c.find(documented[name], q)
			if !ok {
				add("%s: it sent %s %s, and its comment names %v", name, q.method, q.url, documented[name])
			}
			seen[l] = true
			// Who sees the name of an operation looks there.
			own, ok := c.named(documented, q.operation)
			if !ok {
				add("%s: it sent something as %q, which is no operation", name, q.operation)
			} else if _, ok := c.find(documented[own], q); !ok {
				add("%s: it sent %s %s as %q, and the comment of %s names %v", name, q.method, q.url, q.operation, own, documented[own])
			}
		}
		for _, l := range documented[name] {
			if len(sent[name]) > 0 && !seen[l] {
				add("%s: its comment names %s, which was never sent", name, l)
			}
		}
	}
	return problems
}

// named returns the function that an operation is the one of: xseries.Registers.Open is RegistersService.Open, and
// smartconnect.Purchase is Register.Purchase.
func (c Client) named(documented map[string][]line, operation string) (string, bool) {
	short, ok := strings.CutPrefix(operation, c.System+".")
	if !ok {
		return "", false
	}
	for _, name := range slices.Sorted(maps.Keys(documented)) {
		of, method, _ := strings.Cut(name, ".")
		if short == strings.TrimSuffix(of, "Service")+"."+method || short == method {
			return name, true
		}
	}
	return "", false
}

func (c Client) find(lines []line, q request) (line, bool) {
	for _, l := range lines {
		if l.method != q.method {
			continue
		}
		if url, ok := c.Links[l.path]; ok {
			if q.url == url {
				return l, true
			}
			continue
		}
		for _, base := range c.BaseURLs {
			if path, ok := strings.CutPrefix(q.url, base); ok && same(l.path, path) {
				return l, true
			}
		}
	}
	return line{}, false
}

// same reports whether the path is one that the template stands for.
func same(template, path string) bool {
	want, got := strings.Split(template, "/"), strings.Split(path, "/")
	return slices.EqualFunc(want, got, func(want, got string) bool {
		if strings.HasPrefix(want, "{") && strings.HasSuffix(want, "}") {
			return strings.ContainsAny(got, "0123456789")
		}
		return want == got
	})
}
