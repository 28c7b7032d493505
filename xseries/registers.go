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
	var w struct {
		ID                       wire.Text       `json:"id"`
		Name                     wire.Text       `json:"name"`
		OutletID                 wire.Text       `json:"outlet_id"`
		IsOpen                   wire.Bool       `json:"is_open"`
		OpenTime                 wire.Time       `json:"register_open_time"`
		CloseTime                wire.Time       `json:"register_close_time"`
		OpenSequenceID           wire.Text       `json:"register_open_sequence_id"`
		DeletedAt                wire.Time       `json:"deleted_at"`
		Version                  wire.Int        `json:"version"`
		InvoicePrefix            wire.Text       `json:"invoice_prefix"`
		InvoiceSuffix            wire.Text       `json:"invoice_suffix"`
		InvoiceSequence          wire.Int        `json:"invoice_sequence"`
		AskForNoteOnSave         wire.Int        `json:"ask_for_note_on_save"`
		AskForUserOnSale         wire.Bool       `json:"ask_for_user_on_sale"`
		PrintNoteOnReceipt       wire.Bool       `json:"print_note_on_receipt"`
		ShowDiscountsOnReceipts  wire.Bool       `json:"show_discounts_on_receipts"`
		PrintReceipt             wire.Bool       `json:"print_receipt"`
		EmailReceipt             wire.Bool       `json:"email_receipt"`
		IsQuickKeysEnabled       wire.Bool       `json:"is_quick_keys_enabled"`
		ReceiptTemplateID        wire.Text       `json:"receipt_template_id"`
		ButtonLayoutID           wire.Text       `json:"button_layout_id"`
		CashManagedPaymentTypeID wire.Text       `json:"cash_managed_payment_type_id"`
		Attributes               json.RawMessage `json:"attributes"`
	}
	if err := json.Unmarshal(data, &w); err != nil {
		return err
	}
	if w.ID == "" {
		return errNoID
	}
	*r = Register{
		ID:                       string(w.ID),
		Name:                     string(w.Name),
		OutletID:                 string(w.OutletID),
		IsOpen:                   bool(w.IsOpen),
		OpenTime:                 time.Time(w.OpenTime),
		CloseTime:                time.Time(w.CloseTime),
		OpenSequenceID:           string(w.OpenSequenceID),
		DeletedAt:                time.Time(w.DeletedAt),
		Version:                  int64(w.Version),
		InvoicePrefix:            string(w.InvoicePrefix),
		InvoiceSuffix:            string(w.InvoiceSuffix),
		InvoiceSequence:          int64(w.InvoiceSequence),
		AskForNoteOnSave:         NotePrompt(w.AskForNoteOnSave),
		AskForUserOnSale:         bool(w.AskForUserOnSale),
		PrintNoteOnReceipt:       bool(w.PrintNoteOnReceipt),
		ShowDiscountsOnReceipts:  bool(w.ShowDiscountsOnReceipts),
		PrintReceipt:             bool(w.PrintReceipt),
		EmailReceipt:             bool(w.EmailReceipt),
		IsQuickKeysEnabled:       bool(w.IsQuickKeysEnabled),
		ReceiptTemplateID:        string(w.ReceiptTemplateID),
		ButtonLayoutID:           string(w.ButtonLayoutID),
		CashManagedPaymentTypeID: string(w.CashManagedPaymentTypeID),
		Attributes:               w.Attributes,
	}
	return nil
}
