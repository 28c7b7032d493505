package gateway

import (
	"context"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/tillroute/tillroute/pairing"
)

const (
	// streamTime is how long a stream lasts. It ends before anything between here and the browser loses patience, and the
	// page opens the next one.
	streamTime = 25 * time.Second
	// unknownInterval is how often a payment is looked at that waits for a person.
	unknownInterval = time.Second
)

// payProgress tells how a payment stands: as server-sent events if the page asks for them, until it has ended or the stream's
// time is over; otherwise once.
func (h *Handler) payProgress(w http.ResponseWriter, r *http.Request) {
	f, err := open[follow](h.keys, forPayment, r.Header.Get("Payment-Token"))
	if err != nil {
		h.expired(w, r)
		return
	}
	if !strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		p, err := h.config.Router.Payment(r.Context(), f.ID)
		if err != nil {
			h.unavailable(w, r, f.ID, err)
			return
		}
		writeJSON(w, http.StatusOK, answer{Screen: h.now(r.Context(), p, f)})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), streamTime)
	defer cancel()
	if !h.isClosed() {
		go func() {
			select {
			case <-h.closed:
				cancel()
			case <-ctx.Done():
			}
		}()
	}
	h.stream(ctx, w, r, f)
}

func (h *Handler) isClosed() bool {
	select {
	case <-h.closed:
		return true
	default:
		return false
	}
}

func (h *Handler) stream(ctx context.Context, w http.ResponseWriter, r *http.Request, f follow) {
	var last screen
	begun := false
	control := http.NewResponseController(w)
	// A server's own limit for answers is meant for others. Not every ResponseWriter has one.
	_ = control.SetWriteDeadline(time.Now().Add(streamTime + streamTime/2)) //nolint:mnd // room for the last event.
	send := func(s screen) bool {
		if begun && reflect.DeepEqual(s, last) {
			return true
		}
		if !begun {
			w.Header().Set("Content-Type", "text/event-stream")
			w.Header().Set("X-Accel-Buffering", "no")
			w.WriteHeader(http.StatusOK)
		}
		begun, last = true, s
		_, err := w.Write([]byte("data: " + string(encoded(answer{Screen: s})) + "\n\n"))
		return err == nil && control.Flush() == nil
	}
	for progress, err := range h.config.Router.Watch(ctx, f.ID) {
		if err != nil {
			if !begun && ctx.Err() == nil {
				h.unavailable(w, r, f.ID, err)
			}
			return
		}
		// When the handler is closed, a new stream says how the payment stands, and no more.
		if !send(h.show(progress, f)) || h.isClosed() {
			return
		}
	}
	// What waits for a person is no longer watched: it moves when somebody has decided.
	tick := time.NewTicker(unknownInterval)
	defer tick.Stop()
	for {
		p, err := h.config.Router.Payment(ctx, f.ID)
		if err != nil || !send(h.show(pairing.Progress{Payment: p}, f)) || p.State == pairing.Done {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// now is what a page shows of a payment at this moment.
func (h *Handler) now(ctx context.Context, p pairing.Payment, f follow) screen {
	progress := pairing.Progress{Payment: p}
	if p.State == pairing.Queued {
		for seen, err := range h.config.Router.Watch(ctx, p.ID) {
			if err == nil {
				progress = seen
			}
			break
		}
	}
	return h.show(progress, f)
}
