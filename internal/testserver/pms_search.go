package testserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/shopspring/decimal"
)

// PMSGuest is a reservation that the hotel system has found.
type PMSGuest struct {
	ReservationID   string              `json:"reservation_id"`
	RoomID          string              `json:"room_id"`
	RoomDescription string              `json:"room_description"`
	ClientName      string              `json:"client_name"`
	CreditLimit     decimal.NullDecimal `json:"credit_limit"`
	Blocked         bool                `json:"blocked"`
}

// Search has the hotel system search for a guest or a room, as the point of sale does with each key that is pressed.
func (p *PMS) Search(ctx context.Context, term string) ([]PMSGuest, error) {
	provider, ok := p.Provider()
	switch {
	case !ok:
		return nil, errors.New("testserver: no hotel system is registered")
	case !provider.has(pmsSearch):
		return nil, fmt.Errorf("testserver: the hotel system is registered without %s", pmsSearch)
	}
	p.mu.Lock()
	timeout := p.world.Sending.Timeout
	p.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	query := url.Values{"term": {term}, "businessExternalReference": {pmsReference}, "apiKey": {provider.APIKey}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, provider.Endpoint+"/search?"+query.Encode(), nil)
	if err != nil {
		return nil, errors.New("testserver: the endpoint of the hotel system is no URL")
	}
	req.Header.Set("Accept", "application/json")
	status, _, body, err := pmsCall(req)
	if err != nil {
		return nil, errors.New("testserver: " + pmsNoAnswer) // the error would have the key
	}
	if status != http.StatusOK {
		return nil, fmt.Errorf("testserver: the hotel system answered the search with %d", status)
	}
	guests, err := p.found(body)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, guest := range guests {
		p.world.Guests[guest.ReservationID] = guest
	}
	return guests, nil
}

// found reads the answer to a search. The vendor's own sample has its booleans as texts.
func (p *PMS) found(body []byte) ([]PMSGuest, error) {
	wrong := func(format string, args ...any) ([]PMSGuest, error) {
		text := fmt.Sprintf(format, args...)
		p.engine.violate(pmsName, "GET", "/search", "answer: "+text)
		return nil, errors.New("testserver: the answer of the hotel system is not understood: " + text)
	}
	var answer struct {
		Success      any     `json:"success"`
		ErrorMessage *string `json:"errorMessage"`
		Reservations []struct {
			RoomID          string       `json:"roomId"`
			RoomDescription string       `json:"roomDescription"`
			ClientName      string       `json:"clientName"`
			ReservationID   string       `json:"reservationId"`
			CreditLimit     *json.Number `json:"creditLimit"`
			Blocked         any          `json:"blocked"`
		} `json:"reservations"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return wrong("%v", err)
	}
	success, ok := boolean(answer.Success)
	switch {
	case !ok:
		return wrong("success is neither true nor false")
	case !success && answer.ErrorMessage == nil:
		return wrong("there is no errorMessage, and success is false")
	case !success:
		return nil, errors.New("testserver: " + *answer.ErrorMessage)
	case answer.Reservations == nil:
		return wrong("there are no reservations")
	}
	guests := []PMSGuest{}
	for _, one := range answer.Reservations {
		blocked, ok := boolean(one.Blocked)
		if !ok || one.RoomID == "" || one.RoomDescription == "" || one.ClientName == "" || one.ReservationID == "" {
			return wrong("a reservation lacks roomId, roomDescription, clientName, reservationId or blocked")
		}
		guest := PMSGuest{
			ReservationID: one.ReservationID, RoomID: one.RoomID, RoomDescription: one.RoomDescription, ClientName: one.ClientName, Blocked: blocked,
		}
		if one.CreditLimit != nil {
			limit, err := decimal.NewFromString(one.CreditLimit.String())
			if err != nil {
				return wrong("creditLimit is not a number")
			}
			guest.CreditLimit = decimal.NewNullDecimal(limit)
		}
		guests = append(guests, guest)
	}
	return guests, nil
}

// boolean reads true and false, as such or as a text.
func boolean(v any) (value, ok bool) {
	switch v {
	case true, "true":
		return true, true
	case false, "false":
		return false, true
	default:
		return false, false
	}
}
