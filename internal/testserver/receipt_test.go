package testserver

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestReceiptIsThirtyColumnsWide(t *testing.T) {
	r, device := vendorRig(t, Options{})
	device.SetAuto(AutoApprove, 0)
	device.SetExtras(15, 100)
	receipt := r.poll(r.post(vendorRegister, "Card.Purchase", "AmountTotal", "500")).Data.Receipt
	example := parse[envelope](t, fixture(t, "smartconnect_poll_completed_accepted_200.json")).Data.Receipt
	for _, line := range []string{
		"*-----------EFTPOS-----------*", "TERMINAL              79707014", "EMV TEST CARD", "CARD                  ....0138",
		"PURCHASE              NZ$ 5.00", "SURCHARGE             NZ$ 0.15", "TIP                   NZ$ 1.00",
		"TOTAL                 NZ$ 6.15", "           ACCEPTED           ", "*----------------------------*",
	} {
		require.Contains(t, example, line+"\n")
		require.Contains(t, receipt, line+"\n")
	}
	require.Contains(t, receipt, "TIME             11MAR26 21:08\n", "the terminal's local time, in the vendor's layout")
	for line := range strings.SplitSeq(receipt, "\n") {
		require.LessOrEqual(t, utf8.RuneCountInString(line), 30, line)
	}
	require.NotContains(t, receipt, "\r")

	receipt = r.poll(r.post(vendorRegister, "Card.PurchasePlusCash", "AmountTotal", "6000", "AmountCash", "2000")).Data.Receipt
	require.Contains(t, receipt, "PURCHASE             NZ$ 40.00\nCASH                 NZ$ 20.00\n")
}
