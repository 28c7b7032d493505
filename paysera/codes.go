package paysera

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/rest"
	"github.com/tillroute/tillroute/internal/wire"
	"github.com/tillroute/tillroute/pairing"
)

// SpotCode is what the QR code of a spot says.
type SpotCode struct {
	// LocationID is above zero.
	LocationID int64
	// Identifier names the spot within the location: 1 to 200 bytes. Capital letters, digits and spaces make the smallest QR
	// codes. It is case-sensitive, as far as anybody knows.
	Identifier string
}

const (
	spotPrefix = "PAYSERA*"
	// wrapper is where the vendor's application is opened with a code.
	wrapper = "https://paysera.com/app"
	// maxIdentifier is what fits a QR code that a phone can read.
	maxIdentifier = 200
)

// String returns the code as it stands in the QR code: PAYSERA*3:TABLE1.
func (c SpotCode) String() string {
	return spotPrefix + strconv.FormatInt(c.LocationID, 10) + ":" + c.Identifier
}

// Register returns the name under which the routing core knows the spot.
func (c SpotCode) Register() pairing.Register { return RegisterKey(c.LocationID, c.Identifier) }

// NewSpotCode returns the code of a spot. A location ID that isn't above zero, and an identifier that isn't 1 to 200 bytes of UTF-8
// without control characters, are errors of kind Invalid.
//
// API reference: https://developers.paysera.com/en/wallet/app/pos
func NewSpotCode(locationID int64, identifier string) (SpotCode, error) {
	c := SpotCode{locationID, identifier}
	if problem := c.problem(); problem != "" {
		return SpotCode{}, tillroute.Invalid(System, "NewSpotCode", "%s", problem)
	}
	return c, nil
}

func (c SpotCode) problem() string {
	switch {
	case c.LocationID <= 0:
		return "the location ID must be above zero"
	case c.Identifier == "" || len(c.Identifier) > maxIdentifier:
		return fmt.Sprintf("the identifier must have 1 to %d bytes", maxIdentifier)
	case !utf8.ValidString(c.Identifier) || strings.ContainsFunc(c.Identifier, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return "the identifier has characters that a code can't have"
	}
	return ""
}

// ParseSpotCode reads the code of a spot, also from an address of the vendor's application (https://paysera.com/app?qr=…). What isn't
// the code of a spot is an error of kind Invalid. Codes can be made by anybody: that one can be read says nothing about the spot.
//
// API reference: https://developers.paysera.com/en/wallet/app/qr-info
func ParseSpotCode(text string) (SpotCode, error) {
	fail := func(why string) (SpotCode, error) {
		return SpotCode{}, tillroute.Invalid(System, "ParseSpotCode", "%.60q is not the code of a spot, such as PAYSERA*3:TABLE1: %s", text, why)
	}
	code := text
	if strings.HasPrefix(text, wrapper) {
		u, err := url.Parse(text)
		if err != nil {
			return fail("the address can't be read")
		}
		code = u.Query().Get("qr")
	}
	rest, ok := strings.CutPrefix(code, spotPrefix)
	if !ok {
		return fail("it has another beginning")
	}
	location, identifier, ok := strings.Cut(rest, ":")
	if !ok {
		return fail("it has no colon")
	}
	id, err := strconv.ParseInt(location, 10, 64)
	if err != nil || strconv.FormatInt(id, 10) != location {
		return fail("it has no location")
	}
	c := SpotCode{id, identifier}
	if problem := c.problem(); problem != "" {
		return fail(problem)
	}
	return c, nil
}

// CodesService says what scanned codes are.
type CodesService struct{ c *core }

// CodeType is what a code stands for. The vendor may know more than the ones that are named here.
type CodeType string

// The documented types.
const (
	CodeTransaction CodeType = "transaction"
	CodeSpot        CodeType = "spot"
	// CodePrefill is for a transfer whose fields are filled in already.
	CodePrefill CodeType = "prefill"
)

// CodeInfo is what a code stands for. Which fields are set depends on Type.
type CodeInfo struct {
	Type CodeType
	// TransactionKey is set for CodeTransaction, SpotID for CodeSpot, and Prefill for CodePrefill.
	TransactionKey string
	SpotID         int64
	Prefill        *Prefill
	// Parameters are all of it, as it came.
	Parameters json.RawMessage
}

// Prefill is a transfer that somebody asks for.
type Prefill struct {
	// These say who is to get the money, as far as the code does: 0 and empty are not said.
	WalletID, UserID                         int64
	AccountNumber, DisplayName, Phone, Email string
	// Price is in units of Currency, and zero if the payer is to say.
	Price                 decimal.Decimal
	Currency, Description string
}

// UnmarshalJSON reads what a code stands for, as the API sends it.
func (c *CodeInfo) UnmarshalJSON(data []byte) error {
	var w struct {
		Type       wire.Text       `json:"type"`
		Parameters json.RawMessage `json:"parameters"`
	}
	if err := json.Unmarshal(data, &w); err != nil {
		return err
	}
	*c = CodeInfo{Type: CodeType(w.Type), Parameters: raw(w.Parameters)}
	var p struct {
		TransactionKey wire.Text `json:"transaction_key"`
		SpotID         wire.Int  `json:"spot_id"`
		Beneficiary    object[struct {
			WalletID      wire.Int  `json:"wallet_id"`
			UserID        wire.Int  `json:"user_id"`
			AccountNumber wire.Text `json:"account_number"`
			DisplayName   wire.Text `json:"display_name"`
			Phone         wire.Text `json:"phone"`
			Email         wire.Text `json:"email"`
		}] `json:"beneficiary"`
		Price        json.RawMessage `json:"price"`
		PriceDecimal json.RawMessage `json:"price_decimal"`
		Currency     wire.Text       `json:"currency"`
		Description  wire.Text       `json:"description"`
	}
	if json.Unmarshal(w.Parameters, &p) != nil {
		return nil //nolint:nilerr // parameters of a type that isn't known may be anything.
	}
	switch c.Type {
	case CodeTransaction:
		c.TransactionKey = string(p.TransactionKey)
	case CodeSpot:
		c.SpotID = int64(p.SpotID)
	case CodePrefill:
		c.Prefill = &Prefill{Price: amount(p.Price, p.PriceDecimal), Currency: string(p.Currency), Description: string(p.Description)}
		if b := p.Beneficiary.value; b != nil {
			c.Prefill.WalletID, c.Prefill.UserID = int64(b.WalletID), int64(b.UserID)
			c.Prefill.AccountNumber, c.Prefill.DisplayName = string(b.AccountNumber), string(b.DisplayName)
			c.Prefill.Phone, c.Prefill.Email = string(b.Phone), string(b.Email)
		}
	}
	return nil
}

// Get says what a scanned code stands for. One that stands for nothing is an error of kind NotFound.
//
// API reference: GET /rest/v1/code, https://developers.paysera.com/en/wallet/app/qr-info
func (s CodesService) Get(ctx context.Context, code string, opts ...tillroute.CallOption) (CodeInfo, error) {
	if code == "" {
		return CodeInfo{}, tillroute.Invalid(System, codesGet.declare().Name, "the code is missing")
	}
	return get[CodeInfo](ctx, s.c, codesGet, rest.Request{Query: url.Values{"code": {code}}}, opts)
}
