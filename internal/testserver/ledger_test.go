package testserver

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLedgerHasEveryMovementInOrder(t *testing.T) {
	r, device := vendorRig(t, Options{})
	device.SetExtras(15, 100)
	posted := []envelope{
		r.post(vendorRegister, "Card.Purchase", "AmountTotal", "500"),
		r.post(vendorRegister, "Card.Refund", "AmountTotal", "300"),
		r.post(vendorRegister, "Card.Purchase", "AmountTotal", "700"),
	}
	require.NoError(t, device.Approve())
	require.NoError(t, device.Approve())
	require.NoError(t, device.Decline())
	charges, err := r.SmartConnect.WaitCharges(t.Context(), 2)
	require.NoError(t, err)
	require.Equal(t, []Charge{
		{r.clock.now(), device.ID(), vendorRegister, "Card.Purchase", 615, 500, posted[0].TransactionID, "OK-ACCEPTED"},
		{r.clock.now(), device.ID(), vendorRegister, "Card.Refund", 300, 300, posted[1].TransactionID, "OK-ACCEPTED"},
	}, charges)
	overlaps := r.SmartConnect.Overlaps()
	require.Len(t, overlaps, 2)
	require.False(t, overlaps[0].Refused)
	require.Equal(t, posted[0].TransactionID, overlaps[1].Running)
}
