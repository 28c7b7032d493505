package pms

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/shopspring/decimal"
)

// Search is what a waiter looks for.
type Search struct {
	// Term is what was typed so far: part of a name, or a room. It may be empty.
	Term string
	// BusinessExternalReference is as in [Charge].
	BusinessExternalReference string
}

// Reservation is a guest who can be charged. A room may have several.
type Reservation struct {
	// RoomID is the room's number or name.
	RoomID string
	// RoomDescription defaults to RoomID.
	RoomDescription string
	// ClientName is the guest's.
	ClientName string
	// ReservationID is what payments to the room will name.
	ReservationID string
	// CreditLimit is what may be charged without a manager, tips not counted; who is one may go beyond it, so that a charge may
	// come that does. Not Valid means that there is no limit.
	CreditLimit decimal.NullDecimal
	// Blocked guests are shown, and can't be charged.
	Blocked bool
}

type reservationWire struct {
	RoomID          string       `json:"roomId"`
	RoomDescription string       `json:"roomDescription"`
	ClientName      string       `json:"clientName"`
	ReservationID   string       `json:"reservationId"`
	CreditLimit     *json.Number `json:"creditLimit,omitempty"`
	Blocked         bool         `json:"blocked"`
}

type searchAnswer struct {
	Success      bool              `json:"success"`
	ErrorMessage *string           `json:"errorMessage"`
	Reservations []reservationWire `json:"reservations"`
}

// maxDigits bounds an amount before it is written out.
const maxDigits = 40

func (r Reservation) wire() (reservationWire, error) {
	w := reservationWire{
		RoomID: r.RoomID, RoomDescription: r.RoomDescription, ClientName: r.ClientName, ReservationID: r.ReservationID, Blocked: r.Blocked,
	}
	if w.RoomDescription == "" {
		w.RoomDescription = r.RoomID
	}
	if r.CreditLimit.Valid {
		limit := r.CreditLimit.Decimal
		if e := limit.Exponent(); e > maxDigits || e < -maxDigits || limit.NumDigits() > maxDigits {
			return w, fmt.Errorf("the credit limit of reservation %.70q is out of range", r.ReservationID)
		}
		w.CreditLimit = new(json.Number(limit.String()))
	}
	return w, nil
}

// search answers a search.
func (h *handler) search(w http.ResponseWriter, r *http.Request) {
	asked, strange := h.asked(r)
	if strange != nil {
		h.refuseSearch(r.Context(), w, strange.status(), strange.message(), strange)
		return
	}
	found, err := h.find(r.Context(), asked)
	refusal, ok := errors.AsType[*Refusal](err)
	switch {
	case err == nil:
		respond(w, http.StatusOK, searchAnswer{Success: true, Reservations: found})
	case ok && refusal != nil:
		h.refuseSearch(r.Context(), w, http.StatusOK, refusal.message(), err)
	default:
		h.refuseSearch(r.Context(), w, http.StatusInternalServerError, searchFailedMessage, err)
	}
}

// refuseSearch answers a failure in the same form as a success, as the vendor has it.
func (h *handler) refuseSearch(ctx context.Context, w http.ResponseWriter, status int, message string, err error) {
	h.log(ctx, slog.LevelWarn, "search not answered", err)
	respond(w, status, searchAnswer{ErrorMessage: &message, Reservations: []reservationWire{}})
}

// asked returns what is searched for, or why the backend isn't asked.
func (h *handler) asked(r *http.Request) (Search, *Refusal) {
	// The text of an error would hold a part of the query.
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return Search{}, &Refusal{Message: "Search not understood", Status: http.StatusBadRequest}
	}
	for _, name := range []string{"term", "businessExternalReference", "apiKey"} {
		if len(query[name]) > 1 {
			return Search{}, &Refusal{Message: "Search not understood: " + name + " is there twice", Status: http.StatusBadRequest}
		}
	}
	s := Search{Term: query.Get("term"), BusinessExternalReference: query.Get("businessExternalReference")}
	if _, ok := h.keys.check(query.Get("apiKey"), s.BusinessExternalReference); !ok {
		return Search{}, unauthorized()
	}
	return s, nil
}

// find has the backend search.
func (h *handler) find(ctx context.Context, s Search) ([]reservationWire, error) {
	ctx, cancel := context.WithTimeout(ctx, h.config.Timeout)
	defer cancel()
	var reservations []Reservation
	err := guard(func() (err error) {
		reservations, err = h.config.Backend.Search(ctx, s)
		return err
	})
	if err != nil {
		return nil, err
	}
	found := make([]reservationWire, len(reservations))
	for i, reservation := range reservations {
		if found[i], err = reservation.wire(); err != nil {
			return nil, err
		}
	}
	return found, nil
}
