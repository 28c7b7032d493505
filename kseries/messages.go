package kseries

import (
	"context"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/rest"
)

// MessagesService sends messages to the people at the point of sale. It needs the scope orders-api.
type MessagesService struct{ c *core }

// Print has a message shown at the point of sale of a business location, and printed if alsoToPrinter says so, which the
// vendor recommends. One that is offline gets it within 24 hours.
//
// It isn't repeated once it may have arrived: an error that matches [tillroute.ErrOutcomeUnknown] may have shown it.
//
// API reference: POST /o/op/1/printMsg, https://api-docs.lsk.lightspeed.app/operation/operation-apeprintmsg
func (s MessagesService) Print(ctx context.Context, businessLocationID int64, message string, alsoToPrinter bool, opts ...tillroute.CallOption) error {
	if message == "" {
		return tillroute.Invalid(System, messagesPrint.declare().Name, "the message is empty")
	}
	body := struct {
		Message       string `json:"message"`
		AlsoToPrinter bool   `json:"alsoToPrinter"`
	}{message, alsoToPrinter}
	return s.c.located(ctx, messagesPrint, businessLocationID, rest.Request{JSON: body}, nil, opts)
}
