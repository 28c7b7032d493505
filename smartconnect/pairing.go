package smartconnect

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/rest"
	"github.com/tillroute/tillroute/internal/wire"
)

// Contact says where a register stands and whom to ask. All of it is optional.
type Contact struct {
	Name, Address, City, State, ZipCode, Email, Phone string
}

// Pair pairs a register with the terminal that shows code. A register that was paired with another terminal is
// paired anew; a failed attempt changes nothing.
//
// The code is used as it was typed, without the spaces around it. The register ID is a name of the caller's choice
// that has to be unique among all customers of the vendor; see the package comment on why it is a secret. The
// register's name is shown on the terminal and is required.
//
// A code that is wrong or has expired is [pairing.ErrWrongCode]. If the reply was lost the error matches
// [tillroute.ErrOutcomeUnknown]: pairing again with the same register ID is safe, but if the code has been used up by
// the lost attempt it is refused as wrong although the register is paired.
//
// API reference: http://www.smartpaydev.com/reference/pairing-endpoint.html
func (c *Client) Pair(ctx context.Context, code string, registerID tillroute.Secret, registerName string, contact Contact, opts ...tillroute.CallOption) error {
	const operation = "Pair"
	if err := c.ready(operation); err != nil {
		return err
	}
	code = strings.TrimSpace(code)
	switch {
	case code == "":
		return tillroute.Invalid(Provider, operation, "the pairing code is missing: type what the terminal shows")
	case registerID == "":
		return tillroute.Invalid(Provider, operation, "the register ID is missing")
	case strings.TrimSpace(registerName) == "":
		return tillroute.Invalid(Provider, operation, "the register's name is missing: the terminal shows it")
	}
	form := c.c.identity(registerID)
	form.Set("POSRegisterName", registerName)
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
			form.Set(key, value)
		}
	}
	var answer struct {
		Result wire.Text `json:"result"`
	}
	err := c.c.send.Do(ctx, &rest.Operation{Name: operation, Method: http.MethodPut, Path: "/Pairing/{}"},
		rest.Request{Args: []string{code}, Form: form, Secrets: []string{registerID.Reveal()}},
		&answer, opts...)
	if err != nil {
		return err
	}
	if answer.Result != "success" {
		return unknown(operation, "the answer doesn't say that the register is paired: pair it again with the same register ID")
	}
	return nil
}

// identity returns the three names that a register proves itself with, the same in every request.
func (c *core) identity(registerID tillroute.Secret) url.Values {
	return url.Values{
		"POSRegisterID":   {registerID.Reveal()},
		"POSBusinessName": {c.config.BusinessName},
		"POSVendorName":   {c.config.VendorName},
	}
}
