package smartconnect

import (
	"context"
	"net/http"
	"strings"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/rest"
	"github.com/tillroute/tillroute/internal/wire"
)

// Contact says where a register stands and whom to ask. All of it is optional, and what is empty is not sent.
type Contact struct {
	Name, Address, City, State, ZipCode, Email, Phone string
}

// Pair pairs the register with the terminal that shows code. A register that was paired with another terminal is paired
// anew, and that terminal released; a failed attempt changes nothing. Other registers of the terminal stay paired with it:
// each needs a code of its own. There is no call to end a pairing: that is done at the terminal.
//
// The code is used as it was typed, without the spaces around it. The name is shown on the terminal and is required; it
// may change.
//
// A code that is wrong or has expired is [pairing.ErrWrongCode]. If the reply was lost the error matches
// [tillroute.ErrOutcomeUnknown]: pairing again with the same register ID is safe, but if the code has been used up by
// the lost attempt it is refused as wrong although the register is paired. [Register.Status] tells whether it is.
//
// API reference: PUT /Pairing/{code}, http://www.smartpaydev.com/reference/pairing-endpoint.html
func (r Register) Pair(ctx context.Context, code, name string, contact Contact, opts ...tillroute.CallOption) error {
	const operation = "Pair"
	request, err := r.request(operation)
	if err != nil {
		return err
	}
	code = strings.TrimSpace(code)
	switch {
	case code == "":
		return tillroute.Invalid(Provider, operation, "the pairing code is missing: type what the terminal shows")
	case strings.TrimSpace(name) == "":
		return tillroute.Invalid(Provider, operation, "the register's name is missing: the terminal shows it")
	}
	request.Args = []string{code}
	request.Form.Set("POSRegisterName", name)
	for key, value := range map[string]string{
		// The space is the vendor's.
		"Contact Name": contact.Name,
		"Address":      contact.Address,
		"City":         contact.City,
		"State":        contact.State,
		"ZipCode":      contact.ZipCode,
		"Email":        contact.Email,
		"Phone":        contact.Phone,
	} {
		if value != "" {
			request.Form.Set(key, value)
		}
	}
	var answer struct {
		Result wire.Text `json:"result"`
	}
	err = r.client.c.send.Do(ctx, &rest.Operation{Name: operation, Method: http.MethodPut, Path: "/Pairing/{}"},
		request, &answer, opts...)
	if err != nil {
		return err
	}
	if answer.Result != "success" {
		return unknown(operation, "the answer doesn't say that the register is paired: pair it again with the same register ID")
	}
	return nil
}
