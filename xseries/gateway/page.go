package gateway

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

// pages has the templates *.html, each of which fills in layout.html, and the assets that they load.
//
//go:embed pages
var pages embed.FS

// frame is what every page is made of.
type frame struct {
	// Name is the payment company's.
	Name, Support string
	// Base is the path that the handler is mounted at.
	Base string
	// Content is the page's own.
	Content any
}

// parsePages returns the templates of all pages, by name. The pages are part of the program: what is wrong with them shows in
// the first test.
func (h *Handler) parsePages() map[string]*template.Template {
	files, err := fs.Glob(pages, "pages/*.html")
	if err != nil {
		panic(err)
	}
	all := map[string]*template.Template{}
	for _, file := range files {
		name := strings.TrimSuffix(path.Base(file), ".html")
		layout := template.New("layout.html").Funcs(template.FuncMap{"asset": h.assetPath})
		all[name] = template.Must(layout.ParseFS(pages, "pages/layout.html", file))
	}
	return all
}

// render writes a page.
func (h *Handler) render(w http.ResponseWriter, r *http.Request, status int, name string, content any) {
	var text bytes.Buffer
	err := h.pages[name].Execute(&text, frame{Name: h.config.Name, Support: h.config.Support, Base: h.base.Path, Content: content})
	if err != nil {
		h.log.ErrorContext(r.Context(), "a page could not be rendered", "page", name, "error", err)
		http.Error(w, "this page could not be shown: try again", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(text.Bytes())
}

// problem writes a page that says what is wrong and what to do.
func (h *Handler) problem(w http.ResponseWriter, r *http.Request, status int, what, advice string) {
	if strings.HasPrefix(r.URL.Path, h.base.Path+"/pay/") {
		writeJSON(w, status, map[string]string{"error": what, "advice": advice})
		return
	}
	h.render(w, r, status, "problem", struct{ What, Advice string }{what, advice})
}

// assetPath returns where a page loads an asset from. The name changes with the content, so that it can be cached for ever.
func (h *Handler) assetPath(name string) (string, error) {
	text, err := fs.ReadFile(pages, "pages/"+name)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return h.base.Path + "/assets/" + hex.EncodeToString(sum[:6]) + "-" + name, nil
}

func (h *Handler) asset(w http.ResponseWriter, r *http.Request) {
	_, name, _ := strings.Cut(r.PathValue("name"), "-")
	want, err := h.assetPath(path.Base(name))
	if err != nil || path.Ext(name) == ".html" || want != r.URL.Path {
		http.Error(w, "no such file", http.StatusNotFound)
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	http.ServeFileFS(w, r, pages, "pages/"+name) //nolint:gosec // it is one of the assets: its address was compared.
}
