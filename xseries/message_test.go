package xseries_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/xseries"
)

// messages are the vendor's messages, by fixture.
func messages() map[string]xseries.Message {
	return map[string]xseries.Message{
		"payments_msg_setup_no_close.json": xseries.Setup{},
		"payments_msg_setup_close.json":    xseries.Setup{EnableClose: true},
		"payments_msg_data.json":           xseries.DataRequest{},
		"payments_msg_accept.json":         xseries.Accept{TransactionID: "582170934", ReceiptHTML: "<div>ACCEPTED</div>"},
		"payments_msg_decline.json":        xseries.Decline{Print: true, ReceiptHTML: "<div>DECLINED</div>"},
		"payments_msg_print.json":          xseries.Print{ReceiptHTML: "<div>Signature: ____________</div>"},
		"payments_msg_exit.json":           xseries.Exit{},
	}
}

func TestEncodeMessageWritesTheVendorsBytes(t *testing.T) {
	for name, message := range messages() {
		t.Run(name, func(t *testing.T) {
			var want bytes.Buffer
			require.NoError(t, json.Compact(&want, []byte(fixture(t, name))))
			got, err := xseries.EncodeMessage(message)
			require.NoError(t, err)
			require.Equal(t, want.String(), got)
		})
	}
}

func TestParseMessageReadsTheVendorsMessages(t *testing.T) {
	for name, want := range messages() {
		t.Run(name, func(t *testing.T) {
			got, err := xseries.ParseMessage([]byte(fixture(t, name)))
			require.NoError(t, err)
			require.IsType(t, want, got)
			require.Equal(t, want.Step(), got.Step())
			text, err := xseries.EncodeMessage(got)
			require.NoError(t, err)
			wantText, err := xseries.EncodeMessage(want)
			require.NoError(t, err)
			require.Equal(t, wantText, text)
		})
	}
}

func TestMessagesKeepWhatIsNotKnown(t *testing.T) {
	for _, text := range []string{
		`{"step":"VOID","reason":"<changed mind>","ref":9007199254740993}`,
		`{"step":"ACCEPT","transaction_id":"1","name":"payment","success":true}`,
		`{"step":"SETUP","setup":{"enable_close":true},"version":2}`,
		`{"step":"DECLINE","print":false,"z":null}`,
		`{"step":"PRINT","receipt_html_extra":"x","copies":2}`,
		`{"step":"EXIT","why":{}}`,
		`{"step":"DATA","fields":["totals"]}`,
	} {
		message, err := xseries.ParseMessage([]byte(text))
		require.NoError(t, err)
		again, err := xseries.EncodeMessage(message)
		require.NoError(t, err)
		require.Equal(t, text, again)
	}
}

func TestParseMessageIsTolerant(t *testing.T) {
	message, err := xseries.ParseMessage([]byte(`{"step":"ACCEPT","transaction_id":582170934,"receipt_html_extra":null}`))
	require.NoError(t, err)
	require.Equal(t, "582170934", message.(xseries.Accept).TransactionID)
	message, err = xseries.ParseMessage([]byte(`{"setup":{"enable_close":"1"},"step":"SETUP"}`))
	require.NoError(t, err)
	require.True(t, message.(xseries.Setup).EnableClose)
	message, err = xseries.ParseMessage([]byte(`{"step":"SETUP","setup":7}`))
	require.NoError(t, err)
	require.False(t, message.(xseries.Setup).EnableClose)
}

func TestParseMessageRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"nothing": "", "null": "null", "an array": "[]", "a string": `"DATA"`, "no step": `{}`, "empty step": `{"step":""}`,
		"step is a number": `{"step":1}`, "truncated": `{"step":"DATA"`, "two objects": `{"step":"DATA"}{}`,
		"step twice": `{"step":"ACCEPT","step":"DECLINE"}`, "html": "<html>", "10 MB": `{"step":"` + strings.Repeat("x", 10<<20) + `"}`,
	} {
		_, err := xseries.ParseMessage([]byte(text))
		require.ErrorIs(t, err, tillroute.ErrInvalid, name)
	}
}

func TestEncodeMessageRefusesWhatIsNoJSON(t *testing.T) {
	_, err := xseries.EncodeMessage(xseries.Other{Name: "X", Extra: map[string]json.RawMessage{"a": json.RawMessage("{")}})
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	_, err = xseries.EncodeMessage(nil)
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	text, err := xseries.EncodeMessage(xseries.Exit{Extra: map[string]json.RawMessage{"step": json.RawMessage(`"ACCEPT"`)}})
	require.NoError(t, err)
	require.Equal(t, `{"step":"EXIT"}`, text) //nolint:testifylint // the bytes matter.
}

func FuzzParseMessage(f *testing.F) {
	for name := range messages() {
		f.Add([]byte(fixture(f, name)))
	}
	for _, name := range []string{
		"payments_data_response_pairing_abridged.json", "payments_data_response_docs_partial.json",
	} {
		f.Add([]byte(fixture(f, name)))
	}
	f.Add([]byte(`{"step":"DATA","success":true,"payment":{"register_id":"r","amount":1e2},"payment":{"amount":"9"}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		message, err := xseries.ParseMessage(text)
		if err != nil {
			require.ErrorIs(t, err, tillroute.ErrInvalid)
			return
		}
		if data, ok := message.(xseries.Data); ok {
			charge, err := data.Charge()
			if err == nil {
				require.True(t, charge.Amount.IsPositive())
				require.NotEmpty(t, charge.RegisterID)
			}
		}
		first, err := xseries.EncodeMessage(message)
		require.NoError(t, err)
		again, err := xseries.ParseMessage([]byte(first))
		require.NoError(t, err)
		second, err := xseries.EncodeMessage(again)
		require.NoError(t, err)
		require.Equal(t, first, second)
	})
}
