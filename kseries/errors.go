package kseries

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/rest"
	"github.com/tillroute/tillroute/internal/wire"
)

// ErrReferenceUsed is a reference that was sent before, by anybody whom the vendor doesn't tell from us: ask with errors.Is.
// The error that wraps it is of kind Conflict. The vendor answers it with 400 for payments and with 409 for orders.
var ErrReferenceUsed = errors.New("the reference has already been used")

const referenceUsed = "reference has already been used"

// explain reads the shapes that K-Series writes errors in: {"timestamp", "status", "error", "message", "errors": [{"field",
// "defaultMessage"}]}, {"status", "msg"}, {"errors": [{"code", "title"}]} and {"status", "message", "apiSubExceptions":
// [{"field", "message"}]}.
func explain(e *tillroute.Error) {
	var body struct {
		Message          wire.Text       `json:"message"`
		Msg              wire.Text       `json:"msg"`
		Errors           json.RawMessage `json:"errors"`
		APISubExceptions json.RawMessage `json:"apiSubExceptions"`
	}
	if object(e.Body, &body) != nil {
		return
	}
	text := string(body.Message)
	if text == "" {
		text = string(body.Msg)
	}
	var parts []string
	if text != "" {
		parts = append(parts, text)
	}
	for _, list := range []json.RawMessage{body.Errors, body.APISubExceptions} {
		for _, d := range details(list) {
			if d.title != "" && e.Code == "" {
				e.Code = d.code
			}
			if d.text != "" {
				parts = append(parts, d.text)
			}
		}
	}
	if len(parts) > 0 {
		e.Message = strings.Join(parts, ": ")
	}
	if (e.Status == http.StatusBadRequest || e.Status == http.StatusConflict) && saysReferenceUsed(text) {
		e.Kind, e.Err = tillroute.KindConflict, ErrReferenceUsed
	}
}

func saysReferenceUsed(text string) bool {
	return strings.Contains(strings.ToLower(text), referenceUsed)
}

type detail struct{ code, title, text string }

// details reads a list of what is wrong. The value that was refused is left out: it may be secret.
func details(data json.RawMessage) []detail {
	var list []struct {
		Code           wire.Text `json:"code"`
		Title          wire.Text `json:"title"`
		Field          wire.Text `json:"field"`
		DefaultMessage wire.Text `json:"defaultMessage"`
		Message        wire.Text `json:"message"`
	}
	if len(data) == 0 || json.Unmarshal(data, &list) != nil {
		return nil
	}
	var read []detail
	for _, item := range list {
		d := detail{code: string(item.Code), title: string(item.Title)}
		for _, part := range []wire.Text{item.Title, item.Field, item.DefaultMessage, item.Message} {
			d.text = strings.TrimSpace(d.text + " " + string(part))
		}
		read = append(read, d)
	}
	return read
}

// noData is the error of an answer without what it is for.
func noData(op operation, what string) error {
	d := op.declare()
	e := &tillroute.Error{
		System: System, Operation: d.Name, Kind: tillroute.KindDecode, Attempts: 1,
		Message: "the answer has no " + what + ": check BaseURL",
	}
	if d.Repeat == rest.Read {
		e.Outcome = tillroute.Failed
	}
	return e
}
