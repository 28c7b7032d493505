package xseries_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/wire"
	"github.com/tillroute/tillroute/xseries"
)

func TestRegistersList(t *testing.T) {
	s := newServer(t, answer(http.StatusOK, fixture(t, "rest20_registers_list.json")))
	page, err := s.client(t).Registers.List(t.Context(), xseries.ListOptions{After: 5, Before: 9, PageSize: 50, Deleted: true})
	require.NoError(t, err)
	require.Len(t, page.Items, 3)
	require.Equal(t, int64(3391483933), page.Next)
	require.Equal(t, xseries.Register{
		ID:                       "b1e198a9-f019-11e3-a0f5-b8ca3a64f8f4",
		Name:                     "Main Register",
		OutletID:                 "b1e04bd8-f019-11e3-a0f5-b8ca3a64f8f4",
		IsOpen:                   true,
		OpenTime:                 time.Date(2017, 5, 5, 5, 58, 53, 0, time.UTC),
		OpenSequenceID:           "06bf537b-c783-11e7-ff13-3157eb615f96",
		Version:                  3391483933,
		InvoicePrefix:            "MR-",
		InvoiceSuffix:            "-NZ",
		InvoiceSequence:          1708,
		AskForNoteOnSave:         xseries.NoteOnSave,
		ShowDiscountsOnReceipts:  true,
		PrintReceipt:             true,
		EmailReceipt:             true,
		IsQuickKeysEnabled:       true,
		ReceiptTemplateID:        "0242ac11-0002-11ea-e96b-69ae6c24a799",
		ButtonLayoutID:           "d656e8e1-7be7-11e4-9bb5-b8ca3a65011c",
		CashManagedPaymentTypeID: "b1e1d70e-f019-11e3-a0f5-b8ca3a64f8f4",
	}, page.Items[0])
	got := s.got()[0]
	require.Equal(t, http.MethodGet, got.method)
	require.Equal(t, "/base/api/2026-07/registers", got.path)
	require.Equal(t, "after=5&before=9&deleted=true&page_size=50", got.query.Encode())
	require.Equal(t, "Bearer "+personalToken.Reveal(), got.header.Get("Authorization"))
	require.Equal(t, "application/json", got.header.Get("Accept"))
}

func TestRegistersGet(t *testing.T) {
	s := newServer(t, answer(http.StatusOK, fixture(t, "rest20_register_get.json")))
	client := s.client(t, func(c *xseries.Config) { c.APIVersion = "2.0" })
	register, err := client.Registers.Get(t.Context(), "b8ca3a65-0183-11e4-fbb5-2816e25ffc51")
	require.NoError(t, err)
	require.Equal(t, "Second Register", register.Name)
	require.Equal(t, int64(709083), register.Version)
	require.Equal(t, "/base/api/2.0/registers/b8ca3a65-0183-11e4-fbb5-2816e25ffc51", s.got()[0].path)

	_, err = client.Registers.Get(t.Context(), "")
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	require.Len(t, s.got(), 1)
}

func TestRegisterIsReadTolerantly(t *testing.T) {
	s := newServer(t, answer(http.StatusOK, `{"data":{"id":17,"name":null,"is_open":"1","register_open_time":"2026-01-02 03:04:05",
		"register_close_time":"2026-01-02T16:04:05+13:00","deleted_at":"soon","version":"6220894162","invoice_sequence":12.0,
		"ask_for_note_on_save":7,"email_receipt":0,"print_receipt":1,"outlet_id":{},"attributes":[{"x":1}],"new_field":[1]}}`))
	r, err := s.client(t).Registers.Get(t.Context(), "17")
	require.NoError(t, err)
	require.Equal(t, "17", r.ID)
	require.Empty(t, r.Name)
	require.Empty(t, r.OutletID)
	require.True(t, r.IsOpen)
	require.True(t, r.PrintReceipt)
	require.False(t, r.EmailReceipt)
	require.Equal(t, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), r.OpenTime)
	require.Equal(t, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), r.CloseTime)
	require.True(t, r.DeletedAt.IsZero())
	require.Equal(t, int64(6220894162), r.Version)
	require.Equal(t, int64(12), r.InvoiceSequence)
	require.Equal(t, xseries.NotePrompt(7), r.AskForNoteOnSave, "what isn't known is kept")
	require.JSONEq(t, `[{"x":1}]`, string(r.Attributes))
}

func TestErrorsOfREST(t *testing.T) {
	tests := map[string]struct {
		answer http.HandlerFunc
		is     error
		says   string
	}{
		"401":       {answer(http.StatusUnauthorized, fixture(t, "error_401.json")), tillroute.ErrUnauthorized, "Access token is not valid"},
		"403":       {answer(http.StatusForbidden, fixture(t, "error_403.json")), tillroute.ErrForbidden, "permission denied: the access token needs the scope registers:read"},
		"404":       {answer(http.StatusNotFound, fixture(t, "error_404.json")), tillroute.ErrNotFound, "not found"},
		"object":    {answer(http.StatusUnprocessableEntity, `{"error":{"code":17,"message":"no"}}`), tillroute.ErrInvalid, "code 17"},
		"502":       {answer(http.StatusBadGateway, "<html>"), tillroute.ErrUnavailable, "not JSON"},
		"lost":      {lost, tillroute.ErrUnavailable, "EOF"},
		"html":      {answer(http.StatusOK, "<html>"), tillroute.ErrDecode, "not complete JSON"},
		"truncated": {answer(http.StatusOK, `{"data":[{"id":"1"}`), tillroute.ErrDecode, "not complete JSON"},
		"no data":   {answer(http.StatusOK, `{"registers":[]}`), tillroute.ErrDecode, "no data"},
		"no id":     {answer(http.StatusOK, `{"data":[{"name":"x"}]}`), tillroute.ErrDecode, "no id"},
		"an object": {answer(http.StatusOK, `{"data":{"id":"x"}}`), tillroute.ErrDecode, "another form"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, test.answer)
			_, err := s.client(t).Registers.List(t.Context(), xseries.ListOptions{})
			require.ErrorIs(t, err, test.is)
			require.ErrorContains(t, err, test.says)
			require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown, "reading has no effect")
		})
	}
}

func TestRetryAfterAsDate(t *testing.T) {
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		now := time.Now().UTC().Truncate(time.Second)
		w.Header().Set("Date", now.Format(http.TimeFormat))
		w.Header().Set("Retry-After", now.Add(4*time.Minute).Format(http.TimeFormat))
		answer(http.StatusTooManyRequests, `{"error":"Too Many Requests","message":"Rate limiting enforced"}`)(w, r)
	})
	_, err := s.client(t).Registers.List(t.Context(), xseries.ListOptions{})
	require.ErrorIs(t, err, tillroute.ErrRateLimited)
	var e *tillroute.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, 4*time.Minute, e.RetryAfter)
}

// plainRegister reads a register as encoding/json does.
func plainRegister(data []byte, r *xseries.Register) error {
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
		return errors.New("no id")
	}
	*r = xseries.Register{
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
		AskForNoteOnSave:         xseries.NotePrompt(w.AskForNoteOnSave),
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

// FuzzRegister compares how a register is read with what encoding/json makes of it.
func FuzzRegister(f *testing.F) {
	for _, text := range []string{
		fixture(f, "rest20_register_get.json"), `{"id":7,"name":null,"is_open":"1","version":"12","deleted_at":"2026-01-02 03:04:05","attributes":null}`,
		`{"ID":"a","Id":"b","n\u0061me":"x","NAME":[],"attributes":{"a":[1]},"print_receipt":1,"i\u017f_open":true}`, `{"id":"a","id":null}`,
		"{\"id\":\"\xff\",\"attributes\":\"\xff\",\"ask_for_note_on_save\":2.0}", `{}`, `null`, `[]`, `5`, `"x"`, `{"id":"a"`,
	} {
		var whole struct {
			Data json.RawMessage `json:"data"`
		}
		if json.Unmarshal([]byte(text), &whole) == nil && whole.Data != nil {
			text = string(whole.Data)
		}
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var got, want xseries.Register
		err := json.Unmarshal(text, &got)
		wantErr := plainRegister(text, &want)
		require.Equal(t, wantErr == nil, err == nil, "%v, %v", wantErr, err)
		require.Equal(t, want, got)
	})
}

// TestOddPages has answers that aren't quite what is documented.
func TestOddPages(t *testing.T) {
	for text, want := range map[string]string{
		`{"data":[],"version":null}`: "0", `{"data":null,"version":{"max":7}}`: "0", `{"DATA":[{"id":"a"}],"Version":{"MAX":"7"}}`: "1 7",
		`{"data":[{"id":"a"}]}`: "1 0", `{"data":[{"id":"a"},{"id":"b"}],"data":[{"id":"c"}],"version":{"max":7},"version":{}}`: "1 7",
		`null`: "no data", `{}`: "no data", `{"version":{"max":7}}`: "no data", `{"data":{}}`: "another form", `{"data":"x"}`: "another form",
		`{"data":[5]}`: "another form", `{"data":[null]}`: "another form", `[]`: "another form", `{"data":[{}]}`: "an item has no id",
		`{"data":[],"version":5}`: "another form", `{"data":[{"id":"a"}],"version":[]}`: "another form", `{"data":[],}`: "not complete JSON",
		`{"data":[]}{}`: "not complete JSON",
	} {
		s := newServer(t, answer(http.StatusOK, text))
		page, err := s.client(t).Registers.List(t.Context(), xseries.ListOptions{})
		got := fmt.Sprint(len(page.Items))
		if len(page.Items) > 0 {
			got += fmt.Sprint(" ", page.Next)
		}
		if err != nil {
			require.ErrorContains(t, err, want, text)
			require.NotErrorIs(t, err, tillroute.ErrOutcomeUnknown)
			continue
		}
		require.Equal(t, want, got, text)
	}
}
