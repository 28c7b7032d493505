package smartconnect_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLastTransactionIsEvidence(t *testing.T) {
	s := newServer(t, started(t), answer(http.StatusOK, completed(`{"Function":"Journal.GetTransResult","ReferenceId":"T0",
		"TransactionResult":"OK-ACCEPTED","Result":"OK","AmountTotal":"615","AmountSurcharge":15,"AmountTip":"100","AuthId":"PIN147",
		"CardPan":"....0138","Receipt":"ACCEPTED"}`)))
	evidence, err := s.client(t).Register(registerID).LastTransaction(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, "T0", evidence.Subject)
	require.Equal(t, "T1", evidence.TransactionID, "the question's own")
	require.Equal(t, "6.15", evidence.Amount.StringFixed(2))
	require.Equal(t, "0.15", evidence.Surcharge.StringFixed(2))
	require.Equal(t, "1.00", evidence.Tip.StringFixed(2))
	require.Equal(t, "OK-ACCEPTED", evidence.TransactionResult)
	require.Equal(t, "PIN147", evidence.AuthID)
	require.Equal(t, "ACCEPTED", evidence.Receipt)
	require.Contains(t, string(evidence.Body), "ReferenceId")

	s = newServer(t, started(t), answer(http.StatusOK, completed(`{"TransactionResult":"FAILED","Result":"FAILED","AmountTotal":"-1"}`)))
	evidence, err = s.client(t).Register(registerID).LastTransaction(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, evidence.Subject)
	require.True(t, evidence.Amount.IsZero())
	require.Equal(t, "FAILED", evidence.Result)
}
