package testserver

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPersonAtTheTerminal(t *testing.T) {
	for name, tt := range map[string]struct {
		press             func(d *Device) error
		result, companion string
		verdict           string
		charged           bool
	}{
		"approve": {(*Device).Approve, "OK-ACCEPTED", "OK", "ACCEPTED", true},
		"decline": {(*Device).Decline, "OK-DECLINED", "OK", "DECLINED", false},
		"cancel":  {(*Device).Cancel, "CANCELLED", "CANCELLED", "CANCELLED", false},
	} {
		t.Run(name, func(t *testing.T) {
			r, device := vendorRig(t, Options{})
			require.ErrorContains(t, tt.press(device), "has no transaction on its screen")
			posted := r.post(vendorRegister, "Card.Purchase", "AmountTotal", "500")
			got, err := device.WaitTransaction(t.Context())
			require.NoError(t, err)
			require.Equal(t, Transaction{
				ID: posted.TransactionID, DeviceID: device.ID(), RegisterID: vendorRegister, Type: "Card.Purchase", Cents: 500,
				State: TransactionRunning, PostedAt: r.clock.now(),
			}, got)
			require.Equal(t, "CARD PURCHASE\nNZ$ 5.00\nPRESENT CARD", device.Screen())
			require.NoError(t, tt.press(device))
			require.Equal(t, "READY", device.Screen())
			done := r.poll(posted)
			require.Equal(t, "COMPLETED", done.Status)
			require.Equal(t, tt.result, done.Data.TransactionResult)
			require.Equal(t, tt.companion, done.Data.Result)
			require.Equal(t, "500", done.Data.AmountTotal)
			require.Contains(t, done.Data.Receipt, tt.verdict)
			require.Equal(t, tt.charged, len(r.SmartConnect.Charges()) == 1)
		})
	}
}

func TestRegistersAreServedInOrderOfArrival(t *testing.T) {
	r, device := vendorRig(t, Options{})
	ids := []string{"r1", "r2", "r3"}
	var posted []envelope
	for _, id := range ids {
		r.pair(id, device.ID())
	}
	for _, id := range ids {
		posted = append(posted, r.post(id, "Card.Purchase", "AmountTotal", "500"))
	}
	require.Len(t, device.State().Queue, 2)
	require.Equal(t, TransactionQueued, device.State().Queue[0].State)
	for i := range ids {
		require.Equal(t, posted[i].TransactionID, device.State().Current.ID)
		for _, later := range posted[i:] {
			require.Equal(t, "PENDING", r.poll(later).Status)
		}
		require.NoError(t, device.Approve())
		require.Equal(t, "COMPLETED", r.poll(posted[i]).Status)
	}
	var served []string
	for _, one := range device.Served() {
		served = append(served, one.RegisterID)
	}
	require.Equal(t, ids, served)
}

func TestBusyTerminalRefuses(t *testing.T) {
	r, device := vendorRig(t, Options{})
	device.SetBusy(BusyRefuse)
	running := r.post(vendorRegister, "Card.Purchase", "AmountTotal", "500")
	a := r.pos(http.MethodPost, "/POS/Transaction", transactionForm(vendorRegister, "Card.Purchase", "AmountTotal", "700"))
	require.Equal(t, http.StatusTooManyRequests, a.status)
	require.JSONEq(t, fixture(t, "smartconnect_transaction_error_429_device_busy.json"), a.body)
	require.Equal(t, []Overlap{{Time: r.clock.now(), Device: device.ID(), RegisterID: vendorRegister, Running: running.TransactionID, Refused: true}},
		r.SmartConnect.Overlaps())
	require.NoError(t, device.Approve())
	r.post(vendorRegister, "Card.Purchase", "AmountTotal", "700")
}

func TestTerminalIsOfflineAtThePost(t *testing.T) {
	r, device := vendorRig(t, Options{})
	device.Unplug()
	require.Equal(t, "NO CONNECTION", device.Screen())
	posted := r.post(vendorRegister, "Card.Purchase", "AmountTotal", "500")
	require.Equal(t, "PENDING", posted.Status)
	device.Plug()
	done := r.poll(posted)
	require.Equal(t, "COMPLETED", done.Status)
	require.Equal(t, "CANCELLED", done.Data.TransactionResult)
	require.Equal(t, "FAILED-INTERFACE", done.Data.Result)
	require.Empty(t, device.Served())
	require.Equal(t, "FAILED-INTERFACE", func() string {
		device.Unplug()
		return r.poll(r.post(vendorRegister, "Terminal.GetStatus")).Data.Result
	}())
}

func TestQueueWaitsForTheConnection(t *testing.T) {
	r, device := vendorRig(t, Options{})
	first := r.post(vendorRegister, "Card.Purchase", "AmountTotal", "500")
	second := r.post(vendorRegister, "Card.Purchase", "AmountTotal", "700")
	device.Unplug()
	require.Contains(t, device.Screen(), "NO CONNECTION")
	third := r.post(vendorRegister, "Card.Purchase", "AmountTotal", "900")
	require.NoError(t, device.Approve())
	require.Nil(t, device.State().Current)
	require.Equal(t, "OK-DELAYED", r.poll(first).Data.TransactionResult)
	require.Empty(t, r.poll(second).Data.TransactionResult)
	require.Equal(t, "FAILED-INTERFACE", r.poll(third).Data.Result)
	device.Plug()
	require.Equal(t, "OK-ACCEPTED", r.poll(first).Data.TransactionResult)
	require.Equal(t, second.TransactionID, device.State().Current.ID)
}

func TestSlowUpload(t *testing.T) {
	r, device := vendorRig(t, Options{})
	device.SetSlow(10 * time.Second)
	posted := r.post(vendorRegister, "Card.Purchase", "AmountTotal", "500")
	require.NoError(t, device.Approve())
	require.Len(t, r.SmartConnect.Charges(), 1)
	require.Equal(t, "PENDING", r.poll(posted).Status)
	r.clock.move(10 * time.Second)
	require.Equal(t, "COMPLETED", r.poll(posted).Status)
}

func TestAutomaticTerminal(t *testing.T) {
	for mode, result := range map[Auto]string{AutoApprove: "OK-ACCEPTED", AutoDecline: "OK-DECLINED", AutoCancel: "CANCELLED"} {
		r, device := vendorRig(t, Options{})
		device.SetAuto(mode, 0)
		first := r.post(vendorRegister, "Card.Purchase", "AmountTotal", "500")
		require.Equal(t, result, r.poll(first).Data.TransactionResult)
		device.SetAuto(Manual, 0)
		second := r.post(vendorRegister, "Card.Purchase", "AmountTotal", "500")
		require.Equal(t, "PENDING", r.poll(second).Status)
		device.SetAuto(mode, 0) // holds for what is on the screen, too
		require.Equal(t, result, r.poll(second).Data.TransactionResult)
	}
}

// paired makes a cloud without HTTP whose register r is paired to its only terminal.
func paired() (*SmartConnect, *Device) {
	s := newSmartConnect(newEngine(time.Now), SmartConnectOptions{Devices: []string{"1"}})
	return s, s.Device("1")
}

// enqueue accepts a purchase on a cloud without HTTP.
func enqueue(d *Device, cents int64) *transaction {
	d.cloud.mu.Lock()
	defer d.cloud.mu.Unlock()
	t := &transaction{id: newID(), typ: "Card.Purchase", cents: cents, device: d, state: TransactionQueued, posted: time.Now()}
	d.accept(t)
	d.cloud.notify()
	return t
}

func TestAutomaticTerminalTakesItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cloud, device := paired()
		device.SetAuto(AutoApprove, 3*time.Second)
		start := time.Now()
		enqueue(device, 100)
		enqueue(device, 200)
		charges, err := cloud.WaitCharges(t.Context(), 2)
		require.NoError(t, err)
		require.Equal(t, 6*time.Second, time.Since(start))
		require.Equal(t, []int64{100, 200}, []int64{charges[0].Cents, charges[1].Cents})

		enqueue(device, 300)
		device.SetAuto(Manual, 0) // a person steps in
		synctest.Wait()
		require.Equal(t, "CARD PURCHASE\nNZ$ 3.00\nPRESENT CARD", device.Screen())
		device.SetAuto(AutoDecline, time.Hour)
		cloud.close()
		time.Sleep(2 * time.Hour)
		require.Len(t, cloud.Charges(), 2)
		require.NotNil(t, device.State().Current)
	})
}

func TestWaitingEnds(t *testing.T) {
	cloud, device := paired()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := device.WaitTransaction(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "no transaction came to terminal 1")
	_, err = cloud.WaitCharges(ctx, 1)
	require.ErrorContains(t, err, "0 charges of 1")
	cloud.close()
	_, err = device.WaitTransaction(t.Context())
	require.ErrorIs(t, err, errClosed)
}

func TestWaitTransactionSeesALaterPost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, device := paired()
		got := make(chan Transaction, 1)
		go func() {
			one, err := device.WaitTransaction(t.Context())
			if err == nil {
				got <- one
			}
			close(got)
		}()
		synctest.Wait()
		posted := enqueue(device, 100)
		require.Equal(t, posted.id, (<-got).ID)
	})
}

func TestFinishWithAnyResult(t *testing.T) {
	r, device := vendorRig(t, Options{})
	require.ErrorContains(t, device.Finish("OK-UNAVAILABLE", "OK", false), "has no transaction")
	posted := r.post(vendorRegister, "Card.Purchase", "AmountTotal", "500")
	require.NoError(t, device.Finish("OK-UNAVAILABLE", "FAILED", false))
	require.Equal(t, "OK-UNAVAILABLE", r.poll(posted).Data.TransactionResult)
	require.Empty(t, r.SmartConnect.Charges())

	posted = r.post(vendorRegister, "Card.Purchase", "AmountTotal", "500")
	require.NoError(t, device.Finish("OK-NEW-WORD", "", true))
	done := r.poll(posted)
	require.Equal(t, "OK-NEW-WORD", done.Data.TransactionResult)
	require.Empty(t, done.Data.Result)
	require.Equal(t, "OK-NEW-WORD", r.SmartConnect.Charges()[0].Result)
}

func TestFinaliseNeedsAnAuthorisation(t *testing.T) {
	r, device := vendorRig(t, Options{})
	device.SetAuto(AutoApprove, 0)
	finalise := func() envelope {
		return r.poll(r.post(vendorRegister, "Card.Finalise", "AmountFinal", "900", "TransactionReference", "a"))
	}
	require.Equal(t, "OK-DECLINED", finalise().Data.TransactionResult)
	r.post(vendorRegister, "Card.Authorise", "AmountAuth", "1000", "TransactionReference", "a")
	require.Equal(t, "OK-ACCEPTED", finalise().Data.TransactionResult)
	again := finalise()
	require.Equal(t, "OK-DECLINED", again.Data.TransactionResult, "once")
	require.Contains(t, again.Data.Receipt, "UNABLE TO PROCESS")
	require.EqualValues(t, 900, device.State().Settlement.Cents)
}

func TestResetForgetsEverything(t *testing.T) {
	r, device := vendorRig(t, Options{})
	device.SetAuto(AutoApprove, 0)
	r.post(vendorRegister, "Card.Purchase", "AmountTotal", "500")
	r.Reset()
	require.Empty(t, r.SmartConnect.Charges())
	require.Empty(t, r.Requests("", "", ""))
	state := device.State()
	require.Equal(t, Manual, state.Settings.Auto)
	require.Empty(t, state.Registers)
	a := r.pos(http.MethodPost, "/POS/Transaction", transactionForm(vendorRegister, "Terminal.GetStatus"))
	require.Contains(t, a.body, "not paired")
}
