package smartconnect

import (
	"errors"
	"net/url"
	"unicode/utf8"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/rest"
)

// Register is a register at SmartConnect with the three names that it proves itself with. All that it sends has the same
// three, so what it was paired under is what its transactions run under. [Client.Register] makes one; it is safe for
// concurrent use. The zero value is not usable: its methods return an error.
//
// The server gets every transaction asynchronously: it answers at once, and is polled for the rest, at least 2 s apart. A terminal
// takes the transactions of its registers in the order in which the server gets them. A terminal that is swapped for another usually
// stays paired. [Register.Start] takes types that this package doesn't know yet.
type Register struct {
	client *Client
	// form returns the names, and what With added to them. It is a function because the register ID is a secret, and fmt
	// shows functions as addresses, whatever the verb.
	form func() (url.Values, error)
}

// Register returns the register of that ID. It sends nothing. The ID is a name of the caller's choice that has to be
// unique among all customers of the vendor; see the package comment on why it is a secret. The other two names are the
// client's. A missing ID is an error of what the register is used for.
func (c *Client) Register(id tillroute.Secret) Register {
	return Register{c, func() (url.Values, error) {
		switch {
		case id == "":
			return nil, errors.New("the register ID is missing")
		case !utf8.ValidString(id.Reveal()):
			return nil, errors.New("the register ID is not valid UTF-8")
		}
		return url.Values{
			"POSRegisterID":   {id.Reveal()},
			"POSBusinessName": {c.c.config.BusinessName},
			"POSVendorName":   {c.c.config.VendorName},
		}, nil
	}}
}

// WithSale returns the same register with what is being sold, which it adds to the transactions that it starts: use it
// for those of one sale. A SaleData that lacks what the vendor requires is an error of the transaction, which is not
// started then.
//
//	started, err := register.WithSale(sale).Purchase(ctx, amount)
func (r Register) WithSale(sale SaleData) Register {
	text, err := sale.encode()
	return r.with("SaleData", text, err)
}

// WithCallback returns the same register with a URL that SmartConnect notifies when a transaction that it starts has
// ended. What it sends there, and whether it repeats it, isn't documented, and anybody may call the URL: take it as a
// hint, and learn the result with [Client.Await] all the same.
func (r Register) WithCallback(absoluteURL string) Register {
	u, err := url.Parse(absoluteURL)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		// The URL may hold a secret of its own.
		err = errors.New("the callback is not an absolute https URL")
	}
	return r.with("PosNotificationCallbackUrl", absoluteURL, err)
}

// with returns the register with one more field, or with the reason why it can't be.
func (r Register) with(key, value string, err error) Register {
	before := r.form
	if before == nil {
		return r
	}
	return Register{r.client, func() (url.Values, error) {
		form, beforeErr := before()
		if beforeErr != nil || err != nil {
			return nil, errors.Join(beforeErr, err)
		}
		form.Set(key, value)
		return form, nil
	}}
}

// request begins a request of the register's: its names, and what must not be seen of them.
func (r Register) request(operation string) (rest.Request, error) {
	if r.form == nil {
		return rest.Request{}, tillroute.Invalid(Provider, operation, "this register was not made by Client.Register")
	}
	if err := r.client.ready(operation); err != nil {
		return rest.Request{}, err
	}
	form, err := r.form()
	if err != nil {
		return rest.Request{}, tillroute.Invalid(Provider, operation, "%s", err)
	}
	return rest.Request{Form: form, Secrets: form["POSRegisterID"]}, nil
}
