package smartconnect

import (
	"errors"
	"net/http"
	"strings"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/rest"
	"github.com/tillroute/tillroute/pairing"
)

// explain refines an error by its text, which is all that SmartConnect gives.
func explain(e *tillroute.Error) {
	text := strings.ToLower(e.Message)
	switch {
	case e.Status == http.StatusTooManyRequests && strings.Contains(text, "busy"):
		e.Kind = tillroute.KindBusy
		rest.Advise(e, "wait until it is free")
	case e.Status == http.StatusBadRequest && strings.Contains(text, "not paired"):
		rest.Advise(e, "it is known by its ID, BusinessName and VendorName together, as it was paired")
		e.Err = pairing.ErrNotPaired
	case e.Status == http.StatusBadRequest && strings.Contains(text, "pairing code"):
		e.Err = pairing.ErrWrongCode
	case e.Status == http.StatusNotFound:
		rest.Advise(e, "SmartConnect knows no such address: check BaseURL")
	}
}

// unknown returns an error for an answer that leaves open what was done.
func unknown(operation, message string) *tillroute.Error {
	return &tillroute.Error{System: Provider, Operation: operation, Kind: tillroute.KindDecode, Message: message, Attempts: 1}
}

var (
	errNoPollingURL      = errors.New("there is no polling URL to learn the result from")
	errBadPollingURL     = errors.New("the polling URL is not an absolute URL")
	errForeignPollingURL = errors.New("the polling URL leads to another server")
)

// message returns what an error says, without the system and the operation that it names.
func message(err error) string {
	var e *tillroute.Error
	if errors.As(err, &e) && e.Message != "" {
		return e.Message
	}
	return err.Error()
}
