package xseries

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/wire"
)

// RegistersService reads, opens and closes registers. Reading needs the scope registers:read.
type RegistersService struct{ c *core }

// Get returns the register of that ID, or an error of kind NotFound.
//
// API reference: GET /api/{version}/registers/{id}, https://x-series-api.lightspeedhq.com/openapi/api-2026-07.yaml
func (s RegistersService) Get(ctx context.Context, id string, opts ...tillroute.CallOption) (Register, error) {
	return get[Register](ctx, s.c, registersGet, id, opts)
}

// List returns a page of registers.
//
// API reference: GET /api/{version}/registers, https://x-series-api.lightspeedhq.com/openapi/api-2026-07.yaml
func (s RegistersService) List(ctx context.Context, o ListOptions, opts ...tillroute.CallOption) (Page[Register], error) {
	return list[Register](ctx, s.c, registersList, o, opts)
}

// All returns all registers from o.After on, page by page in the order of their versions. Pages are asked for as they are needed. An
// error comes once, with a zero Register, and ends the walk. Ranging again starts again.
//
// API reference: GET /api/{version}/registers, https://x-series-api.lightspeedhq.com/openapi/api-2026-07.yaml
func (s RegistersService) All(ctx context.Context, o ListOptions, opts ...tillroute.CallOption) iter.Seq2[Register, error] {
	return all[Register](ctx, s.c, registersList, o, opts)
}

// Changes returns the pages of registers that were changed or deleted since the version after, the oldest change first, and
// ends when there are no more. Keep the Next of a page once its registers are dealt with, and begin there next time: what is
// interrupted in between comes again, and nothing is left out. 0 is the beginning. A register that was changed more than once
// comes as it is now. An error comes once, with an empty page, and ends the walk.
//
// There is no webhook for registers: ask for changes from time to time.
//
// API reference: GET /api/{version}/registers, https://x-series-api.lightspeedhq.com/docs/pagination
func (s RegistersService) Changes(ctx context.Context, after int64, opts ...tillroute.CallOption) iter.Seq2[Page[Register], error] {
	return pages[Register](ctx, s.c, registersList, ListOptions{After: after, Deleted: true}, opts)
}

// NotePrompt says when the register asks for a note. It is a number because the vendor may know more than the ones that
// are named here.
type NotePrompt int

// The documented values.
const (
	NoteNever  NotePrompt = 0
	NoteOnSave NotePrompt = 1 // on save, layby, account and return
	NoteAlways NotePrompt = 2
)

// Register is a place that goods are sold from. Fields that the server left out, or wrote in a way that can't be read,
// are zero.
type Register struct {
	// ID is a UUID in form, but not always in its version digit: compare it as text.
	ID string
	// Name is unique within an outlet at best: show it with the outlet's.
	Name     string
	OutletID string

	IsOpen bool
	// OpenTime and CloseTime are in UTC. Zero means never, or not known.
	OpenTime, CloseTime time.Time
	// OpenSequenceID is internal to the vendor.
	OpenSequenceID string
	// DeletedAt is in UTC. Zero means that the register isn't deleted.
	DeletedAt time.Time
	// Version grows with each change.
	Version int64

	InvoicePrefix, InvoiceSuffix string
	InvoiceSequence              int64
	AskForNoteOnSave             NotePrompt
	AskForUserOnSale             bool
	PrintNoteOnReceipt           bool
	ShowDiscountsOnReceipts      bool
	PrintReceipt, EmailReceipt   bool
	IsQuickKeysEnabled           bool
	ReceiptTemplateID            string
	ButtonLayoutID               string
	// CashManagedPaymentTypeID is internal to the vendor.
	CashManagedPaymentTypeID string
	// Attributes is not in the vendor's schema. It is kept as it came.
	Attributes json.RawMessage
}

// errNoTotal is a summary that nobody could rely on.
var errNoTotal = errors.New("the summary has payments without a total that can be read, or none at all")

// errNoID is an item that nobody could refer to.
var errNoID = errors.New("an item has no id")

// UnmarshalJSON reads a register as the API sends it.
func (r *Register) UnmarshalJSON(data []byte) error {
	if err := wire.CheckObject[Register](data, ""); err != nil {
		return err
	}
	var read Register
	for m := wire.Members(data); m.Next(); {
		switch {
		case m.Is("id"):
			read.ID = m.Text()
		case m.Is("name"):
			read.Name = m.Text()
		case m.Is("outlet_id"):
			read.OutletID = m.Text()
		case m.Is("is_open"):
			read.IsOpen = m.Bool()
		case m.Is("register_open_time"):
			read.OpenTime = m.Time()
		case m.Is("register_close_time"):
			read.CloseTime = m.Time()
		case m.Is("register_open_sequence_id"):
			read.OpenSequenceID = m.Text()
		case m.Is("deleted_at"):
			read.DeletedAt = m.Time()
		case m.Is("version"):
			read.Version = m.Int()
		case m.Is("invoice_prefix"):
			read.InvoicePrefix = m.Text()
		case m.Is("invoice_suffix"):
			read.InvoiceSuffix = m.Text()
		case m.Is("invoice_sequence"):
			read.InvoiceSequence = m.Int()
		case m.Is("ask_for_note_on_save"):
			read.AskForNoteOnSave = NotePrompt(m.Int())
		case m.Is("ask_for_user_on_sale"):
			read.AskForUserOnSale = m.Bool()
		case m.Is("print_note_on_receipt"):
			read.PrintNoteOnReceipt = m.Bool()
		case m.Is("show_discounts_on_receipts"):
			read.ShowDiscountsOnReceipts = m.Bool()
		case m.Is("print_receipt"):
			read.PrintReceipt = m.Bool()
		case m.Is("email_receipt"):
			read.EmailReceipt = m.Bool()
		case m.Is("is_quick_keys_enabled"):
			read.IsQuickKeysEnabled = m.Bool()
		case m.Is("receipt_template_id"):
			read.ReceiptTemplateID = m.Text()
		case m.Is("button_layout_id"):
			read.ButtonLayoutID = m.Text()
		case m.Is("cash_managed_payment_type_id"):
			read.CashManagedPaymentTypeID = m.Text()
		case m.Is("attributes"):
			read.Attributes = m.Raw()
		}
	}
	if read.ID == "" {
		return errNoID
	}
	*r = read
	return nil
}
