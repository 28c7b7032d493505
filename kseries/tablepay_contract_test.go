package kseries_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute/internal/testserver"
	"github.com/tillroute/tillroute/kseries"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/memstore"
)

// TestContractTablePayments has guests pay at the simulated restaurant while things go wrong. Each check is 21.40.
func TestContractTablePayments(t *testing.T) {
	v := newVenue(t, testserver.KSeriesOptions{})
	router, err := pairing.New(pairing.Config{
		Store: memstore.New(memstore.Config{}), Drivers: map[string]pairing.Driver{"card": &card{}}, PollInterval: 10 * time.Millisecond,
	})
	require.NoError(t, err)
	table := kseries.RegisterKey(location, "table-1")
	_, err = router.PairTerminal(t.Context(), pairing.Pairing{Register: table, Terminal: pairing.Terminal{Provider: "card", Serial: "1"}})
	require.NoError(t, err)
	payments, err := kseries.NewPayments(kseries.PaymentsConfig{
		Client: v.with(func(c *kseries.Config) { c.HTTP.Retries = -1 }), Router: router, EndpointID: "app", Method: "OOPAYMENT", TTL: time.Minute,
		RetryPause: time.Second, CheckInterval: time.Second, Interval: 10 * time.Millisecond,
	})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	defer group.Wait()
	defer stop()
	group.Go(func() { _ = router.Run(ctx) })
	group.Go(func() { _ = payments.Run(ctx) })
	group.Go(func() {
		for {
			select {
			case n := <-v.got:
				if err := payments.Notification(context.WithoutCancel(ctx), n); err != nil {
					t.Errorf("a notification was not taken in: %v", err)
				}
			case <-ctx.Done():
				return
			}
		}
	})
	pay := testserver.On("kseries", http.MethodPost, "/o/op/1/pay")
	applied := 0
	for name, c := range map[string]struct {
		wrong  func(check testserver.KSeriesCheck)
		amount string
		stage  kseries.Stage
		closed bool
	}{
		"nothing goes wrong":             {func(testserver.KSeriesCheck) {}, "21.40", kseries.StagePaid, true},
		"a part":                         {func(testserver.KSeriesCheck) {}, "10.00", kseries.StagePaid, false},
		"too much":                       {func(testserver.KSeriesCheck) {}, "21.41", kseries.StageRefused, false},
		"the answer is lost":             {func(testserver.KSeriesCheck) { v.Fault(pay, testserver.LoseReply()) }, "21.40", kseries.StagePaid, true},
		"the request is lost":            {func(testserver.KSeriesCheck) { v.Fault(pay, testserver.RefuseBefore()) }, "21.40", kseries.StagePaid, true},
		"the notification comes twice":   {func(testserver.KSeriesCheck) { v.KSeries.DuplicateNotifications(3) }, "21.40", kseries.StagePaid, true},
		"the notification is lost":       {func(testserver.KSeriesCheck) { v.KSeries.LoseNotifications(3) }, "5.00", kseries.StagePaid, false},
		"the point of sale is busy once": {func(testserver.KSeriesCheck) { v.KSeries.FailNext(1, "UPDATE_FAILED", "busy") }, "21.40", kseries.StagePaid, true},
		"the check is closed meanwhile": {func(check testserver.KSeriesCheck) {
			_, err := v.KSeries.PayAtPOS(check.Account, "CASH", check.Total)
			require.NoError(t, err)
		}, "21.40", kseries.StageRefused, true},
	} {
		check := v.table(1)
		c.wrong(check)
		request := kseries.PaymentRequest{ID: name, Register: table, AccountIdentifier: check.Account, Amount: d(c.amount), Currency: "EUR"}
		patient, cancel := context.WithTimeout(t.Context(), patience)
		paid, err := payments.Pay(patient, request)
		cancel()
		v.KSeries.LoseNotifications(0)
		require.NoError(t, err, "%s: %s", name, paid.Payment.Mark)
		require.Equal(t, c.stage, paid.Stage, "%s: %s", name, paid.Reason)
		now, ok := v.KSeries.Check(check.Account)
		require.True(t, ok)
		require.Equal(t, c.closed, now.Closed, name)
		if c.stage == kseries.StagePaid {
			applied++
			require.Equal(t, paid.Reference, now.Entries[0].Reference, name)
		}
	}
	require.Len(t, v.KSeries.Applied(), applied, "each was applied once")
	v.clean()
}
