package main

import (
	"bytes"
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"sync"
	"time"
)

//go:embed page.html
var pageText string

// streamTime is how long a stream of events lasts: the browser opens the next one.
const streamTime = 25 * time.Second

// reception is the page with the folios.
type reception struct {
	desk       *desk
	restaurant string // the URL of the restaurant's page
	page       *template.Template
	handler    http.Handler

	once   sync.Once
	closed chan struct{}
}

func newReception(d *desk, restaurant string) *reception {
	r := &reception{desk: d, restaurant: restaurant, page: template.Must(template.New("page").Parse(pageText)), closed: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", r.show)
	mux.HandleFunc("GET /events", r.events)
	mux.HandleFunc("POST /rooms/{reservation}/{what}", func(w http.ResponseWriter, q *http.Request) {
		done(w, q, d.books.change(q.Context(), q.PathValue("reservation"), q.PathValue("what")))
	})
	mux.HandleFunc("POST /pace/{pace}", func(w http.ResponseWriter, q *http.Request) { done(w, q, d.set(pace(q.PathValue("pace")))) })
	// A page of somebody else must not check guests out.
	r.handler = http.NewCrossOriginProtection().Handler(mux)
	return r
}

func (r *reception) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	header := w.Header()
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "same-origin")
	r.handler.ServeHTTP(w, q)
}

// close ends the streams.
func (r *reception) close() { r.once.Do(func() { close(r.closed) }) }

// done sends the browser back to the page.
func done(w http.ResponseWriter, q *http.Request, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	http.Redirect(w, q, "/", http.StatusSeeOther)
}

// view is what the page shows.
type view struct {
	Nonce, Restaurant string
	Paces             []pace
	Pace              pace
	Rooms             []room
}

func (r *reception) view(ctx context.Context) (view, error) {
	rooms, err := r.desk.books.rooms(ctx)
	return view{Nonce: rand.Text(), Restaurant: r.restaurant, Paces: paces(), Pace: r.desk.at(), Rooms: rooms}, err
}

// show sends the page.
func (r *reception) show(w http.ResponseWriter, q *http.Request) {
	v, err := r.view(q.Context())
	var out bytes.Buffer
	if err == nil {
		err = r.page.Execute(&out, v)
	}
	if err != nil {
		http.Error(w, "the folios can't be read", http.StatusInternalServerError)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", fmt.Sprintf("default-src 'none'; connect-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; "+
		"frame-ancestors 'none'; style-src 'nonce-%s'; script-src 'nonce-%s'", v.Nonce, v.Nonce))
	_, _ = w.Write(out.Bytes())
}

// events sends what is below the head of the page, whenever something has changed.
func (r *reception) events(w http.ResponseWriter, q *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	end := time.NewTimer(streamTime)
	defer end.Stop()
	for {
		changed := r.desk.books.watch()
		v, err := r.view(q.Context())
		var part bytes.Buffer
		if err == nil {
			err = r.page.ExecuteTemplate(&part, "hotel", v)
		}
		if err != nil {
			return
		}
		text, err := json.Marshal(part.String())
		if err != nil {
			return
		}
		if _, err = fmt.Fprintf(w, "retry: 300\ndata: %s\n\n", text); err == nil {
			err = out.Flush()
		}
		if err != nil {
			return
		}
		select {
		case <-changed:
		case <-end.C:
			return
		case <-r.closed:
			return
		case <-q.Context().Done():
			return
		}
	}
}
