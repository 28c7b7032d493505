package smartconnecttest_test

import (
	"context"
	"net/http"
	"sync"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/smartconnect"
	"github.com/tillroute/tillroute/smartconnect/smartconnecttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const registerID = tillroute.Secret("7444ae07-dc63-e49c-33e3-59a7c108cc80")

// paired returns a server, and a register that is paired with its first terminal.
func paired(t *testing.T) (*smartconnecttest.Server, *smartconnect.Client, smartconnect.Register) {
	t.Helper()
	server := smartconnecttest.New(t)
	config := server.Config()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	config.HTTP.Transport = transport
	client, err := smartconnect.New(config)
	require.NoError(t, err)
	code, err := server.Terminal().ShowCode()
	require.NoError(t, err)
	till := client.Register(registerID)
	require.NoError(t, till.Pair(t.Context(), code, "Main", smartconnect.Contact{}))
	return server, client, till
}

func TestATerminalInSomebodysHands(t *testing.T) {
	server, client, till := paired(t)
	terminal := server.Terminal()
	for _, test := range []struct {
		press func() error
		want  tillroute.Outcome
	}{
		{terminal.Approve, tillroute.Approved},
		{terminal.Decline, tillroute.Declined},
		{terminal.Cancel, tillroute.Cancelled},
		{func() error { return terminal.Finish("OK-NEW", "OK", true) }, tillroute.Unknown},
	} {
		require.Error(t, test.press(), "nothing is on the screen")
		started, err := till.Purchase(t.Context(), decimal.RequireFromString("12.50"))
		require.NoError(t, err)
		shown, err := terminal.Wait(t.Context())
		require.NoError(t, err)
		require.Equal(t, started.ID, shown.ID)
		require.Equal(t, registerID, shown.RegisterID)
		require.Equal(t, smartconnect.CardPurchase, shown.Type)
		require.Equal(t, "12.50", shown.Amount.StringFixed(2))
		require.NoError(t, test.press())
		result, err := client.Await(t.Context(), started, nil)
		require.NoError(t, err)
		require.Equal(t, test.want, result.Outcome)
	}
	charges := server.Charges()
	require.Len(t, charges, 2)
	require.Equal(t, terminal.Serial(), charges[0].Serial)
	require.Equal(t, registerID, charges[0].RegisterID)
}

func TestATerminalThatIsLost(t *testing.T) {
	server, client, till := paired(t)
	terminal := server.Terminal()
	started, err := till.Purchase(t.Context(), decimal.NewFromInt(5))
	require.NoError(t, err)
	_, err = terminal.Wait(t.Context())
	require.NoError(t, err)
	terminal.Unplug()
	require.NoError(t, terminal.Approve())
	_, err = server.WaitCharges(t.Context(), 1)
	require.NoError(t, err)
	delayed := make(chan struct{})
	var once sync.Once
	var wait sync.WaitGroup
	wait.Go(func() {
		<-delayed
		terminal.Plug()
	})
	result, err := client.Await(t.Context(), started, func(p smartconnect.Progress) {
		if p == smartconnect.Delayed {
			once.Do(func() { close(delayed) })
		}
	})
	require.NoError(t, err)
	require.Equal(t, tillroute.Approved, result.Outcome)
	wait.Wait()
}

func TestWhatGoesWrong(t *testing.T) {
	server, client, till := paired(t)
	terminal := server.Terminal()
	terminal.SetAnswer(smartconnecttest.Approves)
	amount := decimal.NewFromInt(5)

	server.LoseReply()
	_, err := till.Purchase(t.Context(), amount)
	require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
	_, err = server.WaitCharges(t.Context(), 1)
	require.NoError(t, err)

	server.RefuseNext(http.StatusServiceUnavailable)
	_, err = till.Purchase(t.Context(), amount)
	require.ErrorIs(t, err, tillroute.ErrUnavailable)

	terminal.SetAnswer(smartconnecttest.ByHand)
	terminal.SetBusy(true)
	started, err := till.Purchase(t.Context(), amount)
	require.NoError(t, err)
	_, err = till.Purchase(t.Context(), amount)
	require.ErrorIs(t, err, tillroute.ErrBusy)
	server.ExpirePolling()
	result, err := client.Await(t.Context(), started, nil)
	require.NoError(t, err)
	require.Equal(t, tillroute.Unknown, result.Outcome)
	require.NoError(t, terminal.Cancel())

	require.NoError(t, terminal.Unpair(registerID))
	require.Error(t, terminal.Unpair(registerID))
	_, err = till.Purchase(t.Context(), amount)
	require.ErrorIs(t, err, pairing.ErrNotPaired)
	require.Len(t, server.Charges(), 1)

	code, err := terminal.ShowCode()
	require.NoError(t, err)
	server.LosePairingReply()
	require.ErrorIs(t, till.Pair(t.Context(), code, "Main", smartconnect.Contact{}), tillroute.ErrOutcomeUnknown)
	started, err = till.Purchase(t.Context(), amount)
	require.NoError(t, err)
	require.NotEmpty(t, started.PollingURL)
}

func TestCloseSaysWhatWasWrong(t *testing.T) {
	server, err := smartconnecttest.Start()
	require.NoError(t, err)
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, server.URL()+"/Transaction", http.NoBody)
	require.NoError(t, err)
	response, err := http.DefaultTransport.RoundTrip(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	server.LoseReply()
	err = server.Close()
	require.ErrorContains(t, err, "violation")
	require.ErrorContains(t, err, "never played")
	require.Equal(t, err, server.Close())
}
