package smartconnecttest

import (
	"context"

	"github.com/shopspring/decimal"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/testserver"
	"github.com/tillroute/tillroute/smartconnect"
)

// Terminal is a simulated terminal, and the people who stand at it.
type Terminal struct{ device *testserver.Device }

// Serial returns the terminal's serial number, which SmartConnect calls its device ID.
func (t *Terminal) Serial() string { return t.device.ID() }

// ShowCode has the terminal show a new pairing code, and returns it. It is good for one register and two minutes. A terminal that
// is unplugged shows none: that is an error.
func (t *Terminal) ShowCode() (string, error) { return t.device.ShowCode() }

// Unpair ends the pairing of a register at the terminal, which is the only place where that can be done. It is an error if the
// register isn't paired with this terminal.
func (t *Terminal) Unpair(registerID tillroute.Secret) error {
	return t.device.Unpair(registerID.Reveal())
}

// Shown is a transaction on a terminal's screen.
type Shown struct {
	// ID is that of [smartconnect.Transaction], and RegisterID the register's that asks.
	ID         string
	RegisterID tillroute.Secret
	Type       smartconnect.Type
	// Amount is what the register asks for. It is zero if the type has none.
	Amount decimal.Decimal
}

// Wait waits until a transaction is on the screen, and returns it. It returns an error when ctx ends, or the server is closed.
func (t *Terminal) Wait(ctx context.Context) (Shown, error) {
	shown, err := t.device.WaitTransaction(ctx)
	if err != nil {
		return Shown{}, err
	}
	return Shown{
		ID: shown.ID, RegisterID: tillroute.Secret(shown.RegisterID), Type: smartconnect.Type(shown.Type),
		Amount: decimal.New(shown.Cents, -centDigits),
	}, nil
}

// Approve is the customer paying. It is an error if nothing is on the screen.
func (t *Terminal) Approve() error { return t.device.Approve() }

// Decline is the bank refusing. It is an error if nothing is on the screen.
func (t *Terminal) Decline() error { return t.device.Decline() }

// Cancel is somebody pressing the cancel button. It is an error if nothing is on the screen.
func (t *Terminal) Cancel() error { return t.device.Cancel() }

// Finish ends what is on the screen with any of the vendor's two results, documented or not, whether or not the money has moved. It
// is an error if nothing is on the screen.
func (t *Terminal) Finish(transactionResult, result string, charged bool) error {
	return t.device.Finish(transactionResult, result, charged)
}

// Answer is what a terminal does with its transactions.
type Answer string

// The answers.
const (
	// ByHand waits for somebody to press a button: [Terminal.Approve], and so on. Terminals begin like that.
	ByHand Answer = "manual"
	// Approves, Declines and Cancels need nobody.
	Approves Answer = "approve"
	Declines Answer = "decline"
	Cancels  Answer = "cancel"
)

// SetAnswer says what the terminal does with the transaction on its screen and those to come.
func (t *Terminal) SetAnswer(a Answer) { t.device.SetAuto(testserver.Auto(a), 0) }

// SetExtras adds a surcharge and a tip to the purchases that are approved from now on. What is less than a cent is dropped.
func (t *Terminal) SetExtras(surcharge, tip decimal.Decimal) {
	t.device.SetExtras(surcharge.Shift(centDigits).IntPart(), tip.Shift(centDigits).IntPart())
}

// SetBusy says whether the terminal refuses transactions while it has one, which is an error of kind Busy, or has them wait for their
// turn, as terminals do at first. The vendor promises both.
func (t *Terminal) SetBusy(refuses bool) {
	busy := testserver.BusyQueue
	if refuses {
		busy = testserver.BusyRefuse
	}
	t.device.SetBusy(busy)
}

// Unplug takes the terminal's connection away. What is on its screen goes on there, and can be approved; the result comes when the
// terminal is back. What is started meanwhile fails.
func (t *Terminal) Unplug() { t.device.Unplug() }

// Plug gives the terminal its connection back.
func (t *Terminal) Plug() { t.device.Plug() }
