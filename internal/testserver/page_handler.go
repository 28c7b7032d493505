package testserver

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

//go:embed pages
var pageFiles embed.FS

const (
	// pagePolicy lets a page load what is its own, and put a gateway that may be anywhere into the modal.
	pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
		"frame-src http: https:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
	// receiptPolicy lets a receipt look as the gateway wants, and do nothing.
	receiptPolicy = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
)

// Link is a link at the top of the pages.
type Link struct {
	Text string
	// URL is absolute, or a path on the pages' own host.
	URL string
}

// pageData is what the template of the pages shows.
type pageData struct {
	// Root is the path below which the systems are served, without a slash at its end.
	Root      string
	Name      string
	Title     string
	Links     []Link
	Currency  string
	Till      bool
	Products  []product
	Terminals []string
	// Tables, Menu and TableCurrency are the restaurant's.
	Tables        []KSeriesTable
	Menu          []KSeriesProduct
	TableCurrency string
}

// SetLinks sets what the pages show at their top, in place of [Options.Title] and [Options.Links].
func (s *Systems) SetLinks(title string, links ...Link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.title, s.links = orDefault(title, defaultTitle), links
}

// defaultTitle is the title of the pages.
const defaultTitle = "Simulated store"

// isPage reports whether a path belongs to the pages that a person uses.
func isPage(path string) bool {
	switch first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/"); first {
	case "till", "terminals", "tables", "restaurant", "pages":
		return true
	default:
		return path == "/"
	}
}

// pageHandler serves the till, the terminals and the tables to a browser. What the pages do, they do through the control API.
func (s *Systems) pageHandler() http.Handler {
	page := template.Must(template.ParseFS(pageFiles, "pages/page.html"))
	mux := http.NewServeMux()
	show := func(pattern string, fill func(d *pageData, r *http.Request) bool) {
		mux.HandleFunc("GET "+pattern, func(w http.ResponseWriter, r *http.Request) {
			d := s.pageData()
			if !fill(&d, r) {
				http.NotFound(w, r)
				return
			}
			var out bytes.Buffer
			if err := page.Execute(&out, d); err != nil {
				http.Error(w, "the page cannot be made", http.StatusInternalServerError)
				return
			}
			sendPage(w, pagePolicy, out.Bytes())
		})
	}
	show("/{$}", func(d *pageData, _ *http.Request) bool {
		d.Name, d.Till, d.Terminals = "start", true, d.Terminals[:min(2, len(d.Terminals))]
		return true
	})
	show("/till", func(d *pageData, _ *http.Request) bool {
		d.Name, d.Till, d.Terminals = "till", true, nil
		return true
	})
	show("/terminals", func(d *pageData, _ *http.Request) bool {
		d.Name = "terminals"
		return true
	})
	show("/terminals/{id}", func(d *pageData, r *http.Request) bool {
		d.Name, d.Terminals = "terminal", []string{r.PathValue("id")}
		return s.SmartConnect.Device(r.PathValue("id")) != nil
	})
	show("/tables", func(d *pageData, _ *http.Request) bool {
		d.Name, d.Terminals = "tables", nil
		d.Tables, d.Menu, d.TableCurrency = s.KSeries.Tables(), s.KSeries.Products(), s.KSeries.opts.Currency
		return true
	})
	restaurant := template.Must(template.ParseFS(pageFiles, "pages/restaurant.html"))
	mux.HandleFunc("GET /restaurant", func(w http.ResponseWriter, _ *http.Request) {
		var out bytes.Buffer
		if err := restaurant.Execute(&out, s.restaurantData()); err != nil {
			http.Error(w, "the page cannot be made", http.StatusInternalServerError)
			return
		}
		sendPage(w, pagePolicy, out.Bytes())
	})
	mux.HandleFunc("GET /pages/{file}", servePageFile)
	mux.HandleFunc("GET /till/receipts/{payment}", func(w http.ResponseWriter, r *http.Request) {
		html, ok := s.XSeries.receipt(r.PathValue("payment"))
		sendReceipt(w, r, html, ok)
	})
	mux.HandleFunc("GET /till/slips/{modal}/{message}", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.PathValue("message"))
		html, ok := s.XSeries.Modal(r.PathValue("modal")).slip(n)
		sendReceipt(w, r, html, ok && err == nil)
	})
	return mux
}

// pageData fills in what all pages share.
func (s *Systems) pageData() pageData {
	s.mu.Lock()
	d := pageData{Title: s.title, Links: s.links, Currency: "NZD", Products: products()}
	if u, err := url.Parse(s.publicURL); err == nil {
		d.Root = u.EscapedPath()
	}
	s.mu.Unlock()
	for _, device := range s.SmartConnect.Devices() {
		d.Terminals = append(d.Terminals, device.id)
	}
	return d
}

// restaurantData fills in the page of the restaurant that charges to rooms. The wire has no currency.
func (s *Systems) restaurantData() restaurantData {
	d := restaurantData{pageData: s.pageData(), Dishes: pmsDishes()}
	d.Name, d.Currency = "restaurant", "EUR"
	return d
}

type restaurantData struct {
	pageData

	Dishes []pmsDish
}

// servePageFile serves what the pages load.
func servePageFile(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	content, err := pageFiles.ReadFile("pages/" + name)
	kind, ok := map[string]string{
		"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml",
	}[name[strings.LastIndexByte(name, '.')+1:]]
	if err != nil || !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(content))
}

// sendPage sends an HTML document.
func sendPage(w http.ResponseWriter, policy string, html []byte) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", policy)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(html)
}

// sendReceipt sends what a gateway wants printed. It is the gateway's HTML as it came, as at the vendor, in a document
// in which nothing runs.
func sendReceipt(w http.ResponseWriter, r *http.Request, html string, ok bool) {
	if !ok {
		http.NotFound(w, r)
		return
	}
	const head = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Receipt</title>" +
		"<style>body{font:12px/1.45 ui-monospace,Menlo,Consolas,monospace;margin:10px;color:#222;background:#fff;overflow-wrap:anywhere}</style>"
	sendPage(w, receiptPolicy, []byte(head+html))
}
