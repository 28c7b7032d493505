package testserver

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/shopspring/decimal"
)

// The ids that the simulated store starts with. Those of the outlets and of the first three registers are the
// vendor's examples.
const (
	OutletMain   = "b1e04bd8-f019-11e3-a0f5-b8ca3a64f8f4"
	OutletSecond = "b8ca3a65-0183-11e4-fbb5-2816d2677218"
	OutletSydney = "06bf537b-c783-11e6-f6b9-53a81bd6b215"

	RegisterMain   = "b1e198a9-f019-11e3-a0f5-b8ca3a64f8f4"
	RegisterSecond = "b8ca3a65-0183-11e4-fbb5-2816e25ffc51"
	RegisterThird  = "06e35f89-3783-11e6-ec7e-10e1180eba6d"
	RegisterSydney = "06bf537b-c783-11e6-f6b9-53a9c0d8e1b2"

	// registerRemoved is only listed with deleted=true.
	registerRemoved = "06bf537b-c783-11e6-f6b9-53aa1e5f7c03"

	paymentTypeCash = "b1e1d70e-f019-11e3-a0f5-b8ca3a64f8f4"
	paymentTypeCard = "dc85058a-a683-11e5-ef46-0b1f0d167dea"

	retailerID = "b1c50056-f019-11e3-a0f5-b8ca3a64f8f4"
	taxID      = "b1d192bc-f019-11e3-a0f5-b8ca3a64f8f4"
	taxRateID  = "b1dfed8b-f019-11e3-a0f5-b8ca3a64f8f4"
	productID  = "0800278f-358c-11e6-fcf3-9005a15efdc0"
	userID     = "b1ed6158-f019-11e3-a0f5-b8ca3a64f8f4"
)

// xTime is the layout of times in the REST API: RFC 3339 with +00:00, never Z.
const xTime = "2006-01-02T15:04:05-07:00"

// shop is the store's data. All of it is guarded by XSeries.mu.
type shop struct {
	outlets      []outlet
	registers    []*xRegister
	paymentTypes []paymentType
	sales        []*sale
	version      int64 // the highest version number given out
}

// outlet is an outlet as the REST API has it.
type outlet struct {
	ID             string            `json:"id"`
	Name           string            `json:"name"`
	DefaultTaxID   string            `json:"default_tax_id"`
	Currency       string            `json:"currency"`
	CurrencySymbol string            `json:"currency_symbol"`
	DisplayPrices  string            `json:"display_prices"`
	TimeZone       string            `json:"time_zone"`
	Address1       string            `json:"physical_address_1"`
	Address2       string            `json:"physical_address_2"`
	Suburb         string            `json:"physical_suburb"`
	City           string            `json:"physical_city"`
	Postcode       string            `json:"physical_postcode"`
	State          string            `json:"physical_state"`
	CountryID      string            `json:"physical_country_id"`
	Version        int64             `json:"version"`
	Attributes     []outletAttribute `json:"attributes"`
}

type outletAttribute struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// xRegister is a register as the REST API has it.
type xRegister struct {
	ID                       string `json:"id"`
	Name                     string `json:"name"`
	OutletID                 string `json:"outlet_id"`
	AskForNoteOnSave         int    `json:"ask_for_note_on_save"`
	PrintNoteOnReceipt       bool   `json:"print_note_on_receipt"`
	AskForUserOnSale         bool   `json:"ask_for_user_on_sale"`
	ShowDiscountsOnReceipts  bool   `json:"show_discounts_on_receipts"`
	PrintReceipt             bool   `json:"print_receipt"`
	EmailReceipt             bool   `json:"email_receipt"`
	InvoicePrefix            string `json:"invoice_prefix"`
	InvoiceSuffix            string `json:"invoice_suffix"`
	InvoiceSequence          int64  `json:"invoice_sequence"`
	ButtonLayoutID           string `json:"button_layout_id,omitempty"`
	IsOpen                   bool   `json:"is_open"`
	IsQuickKeysEnabled       bool   `json:"is_quick_keys_enabled"`
	ReceiptTemplateID        string `json:"receipt_template_id"`
	RegisterOpenTime         string `json:"register_open_time,omitempty"`
	RegisterCloseTime        string `json:"register_close_time,omitempty"`
	RegisterOpenSequenceID   string `json:"register_open_sequence_id,omitempty"`
	CashManagedPaymentTypeID string `json:"cash_managed_payment_type_id,omitempty"`
	DeletedAt                string `json:"deleted_at,omitempty"`
	Version                  int64  `json:"version"`

	closures int // how often it was closed, for register_closure_sequence_number
}

// paymentType is a payment type; the REST API shows less of it in version 2.0.
type paymentType struct {
	ID       string
	Name     string
	TypeID   int
	Version  int64
	Gateway  bool
	Internal bool
}

// sale is a sale on the sell screen and, from its first payment on, in the REST API.
type sale struct {
	id            string
	registerID    string
	outletID      string
	lines         []saleLine
	customerID    string          // "" for none
	discount      json.RawMessage // register_sale.discount of the DATA answer; nil for none
	total         decimal.Decimal // with tax; negative for a refund
	invoiceNumber string
	shortCode     string
	created       time.Time
	updated       time.Time
	version       int64
	payments      []SalePayment
}

// SalePayment is one payment that the sell screen recorded.
type SalePayment struct {
	ID         string          `json:"id"`
	RegisterID string          `json:"register_id"`
	Amount     decimal.Decimal `json:"amount"` // negative for a refund
	// TransactionID is what the gateway sent with ACCEPT, "" when it sent none.
	TransactionID string    `json:"transaction_id"`
	Receipt       string    `json:"receipt_html_extra"`
	Cash          bool      `json:"cash"` // of the payment type "Cash"; else "Credit Card", through the gateway
	Time          time.Time `json:"time"`
}

// Sale is a sale as the simulated store's books have it.
type Sale struct {
	ID         string          `json:"id"`
	RegisterID string          `json:"register_id"`
	CustomerID string          `json:"customer_id,omitempty"`
	Lines      []Line          `json:"lines"`
	Total      decimal.Decimal `json:"total"` // with tax; negative for a refund
	Paid       decimal.Decimal `json:"paid"`
	Closed     bool            `json:"closed"` // paid in full
	Payments   []SalePayment   `json:"payments"`
}

// Register names one register of the simulated store.
type Register struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	OutletID   string `json:"outlet_id"`
	OutletName string `json:"outlet_name"`
	Open       bool   `json:"open"`
}

// newShop makes the store that the simulation starts with: the vendor's example outlets and registers, one more
// register in Sydney and one that was removed.
func newShop() shop {
	s := shop{version: 7_000_000_000} // versions exceed 32 bits at the vendor
	place := func(id, name, zone, address, suburb, city, postcode, state, country string, version int64) outlet {
		return outlet{
			ID: id, Name: name, DefaultTaxID: taxID, Currency: "NZD", CurrencySymbol: "$", DisplayPrices: "inclusive",
			TimeZone: zone, Address1: address, Suburb: suburb, City: city, Postcode: postcode, State: state,
			CountryID: country, Version: version, Attributes: []outletAttribute{},
		}
	}
	s.outlets = []outlet{
		place(OutletSecond, "Second Outlet", "Pacific/Auckland", "Nuffield Street", "Newmarket", "Auckland", "1023", "Auckland", "NZ", 816974914),
		place(OutletMain, "Main Outlet", "Pacific/Auckland", "Baker Street", "", "London", "", "", "GB", 909257071),
		place(OutletSydney, "Sydney", "Australia/Sydney", "", "", "Sydney", "", "NSW", "AU", 1690497245),
	}
	s.outlets[2].Attributes = []outletAttribute{
		{"order_reference", "1"},
		{"order_reference_prefix", "SYD"},
		{"return_reference", "1"},
		{"return_reference_prefix", "SYD"},
	}
	till := func(id, name, outletID, prefix, suffix string, sequence int64, opened, openSequence string, version int64) *xRegister {
		return &xRegister{
			ID: id, Name: name, OutletID: outletID, AskForNoteOnSave: 1, ShowDiscountsOnReceipts: true, PrintReceipt: true,
			InvoicePrefix: prefix, InvoiceSuffix: suffix, InvoiceSequence: sequence, IsOpen: true, IsQuickKeysEnabled: true,
			ReceiptTemplateID: "0242ac11-0002-11ea-e96b-69ae6c24a799", RegisterOpenTime: opened,
			RegisterOpenSequenceID: openSequence, Version: version,
		}
	}
	s.registers = []*xRegister{
		till(RegisterSecond, "Second Register", OutletSecond, "S", "", 3, "2015-03-16T22:21:50+00:00", "a0369f1f-9083-11e4-f68e-cc2ad7a415de", 709083),
		till(RegisterThird, "Third register", OutletSecond, "Th", "X", 3, "2016-05-03T03:43:04+00:00", "06e35f89-3783-11e6-ec7e-10e124cb1e78", 1234541473),
		till(registerRemoved, "Old Register", OutletMain, "OLD-", "", 77, "", "", 2210481733),
		till(RegisterMain, "Main Register", OutletMain, "MR-", "-NZ", 1708, "2017-05-05T05:58:53+00:00", "06bf537b-c783-11e7-ff13-3157eb615f96", 3391483933),
		// Register names repeat across outlets, as they do at real merchants.
		till(RegisterSydney, "Main Register", OutletSydney, "SYD-", "", 12, "2019-11-02T21:04:11+00:00", "06bf537b-c783-11e9-e9b6-0a1b2c3d4e5f", 6220894162),
	}
	removed, main := s.register(registerRemoved), s.register(RegisterMain)
	removed.IsOpen, removed.RegisterCloseTime, removed.DeletedAt = false, "2018-01-31T08:00:00+00:00", "2018-02-01T00:12:13+00:00"
	main.EmailReceipt = true
	main.ButtonLayoutID = "d656e8e1-7be7-11e4-9bb5-b8ca3a65011c"
	main.CashManagedPaymentTypeID = paymentTypeCash
	s.paymentTypes = []paymentType{
		{ID: paymentTypeCash, Name: "Cash", TypeID: 1, Version: 297001},
		{ID: paymentTypeCard, Name: "Credit Card", TypeID: 3, Version: 297938, Gateway: true},
	}
	return s
}

// register finds a register, nil when there is none.
func (s *shop) register(id string) *xRegister {
	for _, r := range s.registers {
		if r.ID == id {
			return r
		}
	}
	return nil
}

// sale finds a sale, nil when there is none.
func (s *shop) sale(id string) *sale {
	for _, candidate := range s.sales {
		if candidate.id == id {
			return candidate
		}
	}
	return nil
}

// liveRegisters counts the registers that were not removed.
func (s *shop) liveRegisters() int {
	n := 0
	for _, r := range s.registers {
		if r.DeletedAt == "" {
			n++
		}
	}
	return n
}

// next gives out a version number.
func (s *shop) next() int64 {
	s.version += 17 // versions are global to the store: there are gaps between those of one collection
	return s.version
}

// paid is the sum of the payments.
func (s *sale) paid() decimal.Decimal {
	sum := decimal.Zero
	for _, p := range s.payments {
		sum = sum.Add(p.Amount)
	}
	return sum
}

// closed reports whether the sale is paid in full.
func (s *sale) closed() bool {
	return len(s.payments) > 0 && s.paid().Equal(s.total)
}

// price and tax split the total.
func (s *sale) price() decimal.Decimal {
	sum := decimal.Zero
	for _, l := range s.lines {
		sum = sum.Add(l.price())
	}
	return sum
}

func (s *sale) tax() decimal.Decimal {
	return s.total.Sub(s.price())
}

// snapshot copies the sale for a caller outside the lock.
func (s *sale) snapshot() Sale {
	one := Sale{
		ID: s.id, RegisterID: s.registerID, CustomerID: s.customerID, Lines: make([]Line, 0, len(s.lines)),
		Total: s.total, Paid: s.paid(), Closed: s.closed(), Payments: append([]SalePayment{}, s.payments...),
	}
	for _, l := range s.lines {
		one.Lines = append(one.Lines, l.Line)
	}
	return one
}

// Sales returns all sales of the simulated store, in the order in which they were begun.
func (s *XSeries) Sales() []Sale {
	s.mu.Lock()
	defer s.mu.Unlock()
	sales := make([]Sale, 0, len(s.shop.sales))
	for _, one := range s.shop.sales {
		sales = append(sales, one.snapshot())
	}
	return sales
}

// Sale returns one sale; false when there is none with that id.
func (s *XSeries) Sale(id string) (Sale, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.shop.sale(id)
	if one == nil {
		return Sale{}, false
	}
	return one.snapshot(), true
}

// Registers returns the registers of the simulated store that were not removed.
func (s *XSeries) Registers() []Register {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Register
	for _, r := range s.shop.registers {
		if r.DeletedAt != "" {
			continue
		}
		one := Register{ID: r.ID, Name: r.Name, OutletID: r.OutletID, Open: r.IsOpen}
		for _, o := range s.shop.outlets {
			if o.ID == r.OutletID {
				one.OutletName = o.Name
			}
		}
		list = append(list, one)
	}
	return list
}

// RemoveRegister is the merchant removing a register: REST lists it with deleted=true alone from then on.
func (s *XSeries) RemoveRegister(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.shop.register(id)
	if r == nil || r.DeletedAt != "" {
		return fmt.Errorf("testserver: no register %q: GET registers lists them", id)
	}
	r.DeletedAt = s.engine.now().UTC().Format(xTime)
	r.Version = s.shop.next()
	return nil
}

// number writes a decimal as a JSON number, exactly.
func number(d decimal.Decimal) json.Number {
	return json.Number(d.String())
}
