package testserver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Auto says what a terminal does with a transaction by itself.
type Auto string

// A terminal waits for a person, or answers by itself after a delay.
const (
	Manual      Auto = "manual"
	AutoApprove Auto = "approve"
	AutoDecline Auto = "decline"
	AutoCancel  Auto = "cancel"
)

// Busy says what the cloud does with a transaction for a terminal that has one already. The vendor promises both
// in different places.
type Busy string

// A transaction for an occupied terminal waits for its turn, or is refused with 429.
const (
	BusyQueue  Busy = "queue"
	BusyRefuse Busy = "refuse"
)

// Device is a simulated terminal together with the person who stands at it.
// Its methods may be called from any goroutine.
type Device struct {
	cloud       *SmartConnect // its mu guards what follows
	id          string
	terminalRef string

	plugged     bool
	code        string // the pairing code on the screen, "" for none
	codeExpires time.Time
	refresh     bool // a code that expires unused is followed by another
	current     *transaction
	queue       []*transaction
	held        []*transaction // finished, not yet uploaded
	served      []*transaction // in the order in which they came on the screen
	last        *transaction   // the last financial transaction that ended on the terminal
	auths       map[string]int64
	batch       int64 // cents since the last settlement

	auto           Auto
	autoDelay      time.Duration
	autoDue        time.Time // when the timer ends, in real time; zero when none runs
	timer          *time.Timer
	slow           time.Duration
	surcharge, tip int64
	busy           Busy
	cutovers       int
}

// DeviceState is what can be seen of a terminal and its settings. Times are UTC, durations in milliseconds, amounts
// in cents.
type DeviceState struct {
	ID                   string           `json:"id"`
	Plugged              bool             `json:"plugged"`
	Screen               string           `json:"screen"`
	PairingCode          string           `json:"pairing_code,omitempty"`
	PairingCodeExpiresAt *time.Time       `json:"pairing_code_expires_at,omitempty"`
	Registers            []PairedRegister `json:"registers"`
	Current              *Transaction     `json:"current"`
	Queue                []Transaction    `json:"queue"`
	Last                 *Transaction     `json:"last"` // the last one that a person or the terminal itself ended
	Settings             DeviceSettings   `json:"settings"`
	Settlement           DeviceSettlement `json:"settlement"`
}

// PairedRegister is a register that is paired to a terminal.
type PairedRegister struct {
	RegisterID   string `json:"register_id"`
	RegisterName string `json:"register_name"`
	BusinessName string `json:"business_name"`
	VendorName   string `json:"vendor_name"`
}

// DeviceSettings are the settings of a terminal.
type DeviceSettings struct {
	Auto           Auto  `json:"auto"`
	AutoDelayMS    int64 `json:"auto_delay_ms"`
	SlowMS         int64 `json:"slow_ms"`
	SurchargeCents int64 `json:"surcharge_cents"`
	TipCents       int64 `json:"tip_cents"`
	Busy           Busy  `json:"busy"`
	RefreshCode    bool  `json:"refresh_code"`
}

// DeviceSettlement is the terminal's batch: purchases less refunds since the last cutover.
type DeviceSettlement struct {
	Cents    int64 `json:"cents"`
	Cutovers int   `json:"cutovers"`
}

func (d *Device) seed() {
	d.stopTimer()
	d.plugged, d.code, d.refresh = true, "", false
	d.current, d.queue, d.held, d.served, d.last = nil, nil, nil, nil, nil
	d.auths, d.batch, d.cutovers = map[string]int64{}, 0, 0
	d.auto, d.autoDelay, d.slow = Manual, 0, 0
	d.surcharge, d.tip, d.busy = 0, 0, BusyQueue
}

// ID is the id of the terminal, which the wire calls deviceId.
func (d *Device) ID() string { return d.id }

// ShowCode starts pairing on the terminal and returns the new code on its screen. A code that was there before is
// dead. A terminal without a connection gets no code.
func (d *Device) ShowCode() (string, error) {
	d.cloud.mu.Lock()
	defer d.cloud.mu.Unlock()
	if !d.plugged {
		return "", fmt.Errorf("testserver: terminal %s has no connection and gets no pairing code: plug it in", d.id)
	}
	if err := d.newCode(); err != nil {
		return "", err
	}
	d.cloud.notify()
	return d.code, nil
}

// newCode puts a new pairing code on the screen. Called with the lock held.
func (d *Device) newCode() error {
	n, err := rand.Int(rand.Reader, big.NewInt(90_000_000))
	if err != nil {
		return fmt.Errorf("testserver: terminal %s: %w", d.id, err)
	}
	d.code = strconv.FormatInt(10_000_000+n.Int64(), 10)
	d.codeExpires = d.cloud.engine.now().Add(d.cloud.opts.CodeTTL)
	return nil
}

// SetRefresh has the terminal follow a pairing code that expires unused by another, as some do, or has it stop.
func (d *Device) SetRefresh(on bool) {
	d.cloud.mu.Lock()
	defer d.cloud.mu.Unlock()
	d.refresh = on
	d.cloud.notify()
}

// refreshCode follows a pairing code that has expired by another, if the terminal does so. Whoever looks at the code comes
// here first. Called with the lock held.
func (d *Device) refreshCode() {
	if d.refresh && d.code != "" && !d.cloud.engine.now().Before(d.codeExpires) {
		_ = d.newCode() // Or the old one stays, expired.
	}
}

// redeem uses up a pairing code. Called with the lock held.
func (d *Device) redeem(code string) bool {
	d.refreshCode()
	if d.code == "" || d.code != code || !d.cloud.engine.now().Before(d.codeExpires) {
		return false
	}
	d.code = ""
	return true
}

// Unpair removes a register at the terminal, the only place where that is possible. It fails for a register that is
// not paired to this terminal.
func (d *Device) Unpair(registerID string) error {
	d.cloud.mu.Lock()
	defer d.cloud.mu.Unlock()
	if p, ok := d.cloud.pairings[registerID]; !ok || p.device != d {
		return fmt.Errorf("testserver: register %q is not paired to terminal %s", registerID, d.id)
	}
	delete(d.cloud.pairings, registerID)
	d.cloud.notify()
	return nil
}

// SetAuto makes the terminal answer by itself, delay after a transaction came on the screen; 0 is at once. It holds
// for the transaction on the screen too.
func (d *Device) SetAuto(auto Auto, delay time.Duration) {
	d.cloud.mu.Lock()
	defer d.cloud.mu.Unlock()
	d.auto, d.autoDelay = auto, delay
	d.stopTimer()
	if d.current != nil {
		d.answerByItself(d.current)
	}
	d.cloud.notify()
}

// SetSlow lets results arrive in the cloud late by delay. The money moves at once.
func (d *Device) SetSlow(delay time.Duration) {
	d.cloud.mu.Lock()
	defer d.cloud.mu.Unlock()
	d.slow = delay
}

// SetExtras adds a surcharge and a tip, in cents, to the purchases that are approved from now on.
func (d *Device) SetExtras(surcharge, tip int64) {
	d.cloud.mu.Lock()
	defer d.cloud.mu.Unlock()
	d.surcharge, d.tip = surcharge, tip
}

// SetBusy says what happens to a transaction for this terminal while it has another one.
func (d *Device) SetBusy(busy Busy) {
	d.cloud.mu.Lock()
	defer d.cloud.mu.Unlock()
	d.busy = busy
}

// Unplug takes the terminal's connection away. What is on its screen goes on there, its result is uploaded when the
// terminal is plugged in again; what is posted meanwhile ends as CANCELLED with FAILED-INTERFACE.
func (d *Device) Unplug() {
	d.cloud.mu.Lock()
	defer d.cloud.mu.Unlock()
	d.plugged, d.code = false, ""
	if d.current != nil {
		d.current.delayed = true
	}
	d.cloud.notify()
}

// Plug gives the terminal its connection back: it uploads its results and goes on with its queue.
func (d *Device) Plug() {
	d.cloud.mu.Lock()
	defer d.cloud.mu.Unlock()
	d.plugged = true
	for _, t := range d.held {
		t.held = false
	}
	d.held = nil
	d.next()
	d.cloud.notify()
}

// Approve is the card holder paying. It fails when there is no transaction on the screen.
func (d *Device) Approve() error { return d.press(AutoApprove) }

// Decline is the bank refusing. It fails when there is no transaction on the screen.
func (d *Device) Decline() error { return d.press(AutoDecline) }

// Cancel is a person pressing the cancel button. It fails when there is no transaction on the screen.
func (d *Device) Cancel() error { return d.press(AutoCancel) }

func (d *Device) press(button Auto) error {
	d.cloud.mu.Lock()
	defer d.cloud.mu.Unlock()
	if d.current == nil {
		return d.nothingOnScreen()
	}
	d.decide(d.current, button)
	d.cloud.notify()
	return nil
}

// Finish ends the transaction on the screen with any TransactionResult and Result, known to the vendor or not, with
// or without the money having moved.
func (d *Device) Finish(transactionResult, result string, charged bool) error {
	d.cloud.mu.Lock()
	defer d.cloud.mu.Unlock()
	if d.current == nil {
		return d.nothingOnScreen()
	}
	t := d.current
	t.result = txData{TransactionResult: transactionResult, Result: result}
	if charged {
		d.charge(t)
		t.result.TransactionResult, t.result.Result = transactionResult, result
		d.cloud.charges[len(d.cloud.charges)-1].Result = transactionResult
	}
	d.end(t)
	d.cloud.notify()
	return nil
}

func (d *Device) nothingOnScreen() error {
	return fmt.Errorf("testserver: terminal %s has no transaction on its screen: post one first", d.id)
}

// errClosed is what waiting for a terminal ends with when the simulation is closed.
var errClosed = errors.New("testserver: the simulation is closed")

// WaitTransaction waits until a transaction is on the screen and returns it.
func (d *Device) WaitTransaction(ctx context.Context) (Transaction, error) {
	var found Transaction
	err := d.cloud.wait(ctx, func() bool {
		if d.current != nil {
			found = d.current.snapshot()
		}
		return d.current != nil
	})
	if err != nil {
		return Transaction{}, fmt.Errorf("testserver: no transaction came to terminal %s: %w", d.id, err)
	}
	return found, nil
}

// wait waits until ready, which is called with the lock held, reports true.
func (s *SmartConnect) wait(ctx context.Context, ready func() bool) error {
	for {
		s.mu.Lock()
		done, closed, changed := ready(), s.closed, s.changed
		s.mu.Unlock()
		if done {
			return nil
		}
		if closed {
			return errClosed
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// accept takes a transaction from the cloud. It reports false when the terminal is busy and refuses.
func (d *Device) accept(t *transaction) bool {
	if !d.plugged {
		// The cloud does not wait for a terminal that is not there.
		t.result = txData{TransactionResult: "CANCELLED", Result: "FAILED-INTERFACE"}
		t.state, t.finished = TransactionDone, t.posted
		return true
	}
	if d.current != nil {
		refused := d.busy == BusyRefuse
		d.cloud.overlaps = append(d.cloud.overlaps, Overlap{
			Time: t.posted.UTC(), Device: d.id, RegisterID: t.register.registerID, Running: d.current.id, Refused: refused,
		})
		if refused {
			return false
		}
	}
	d.queue = append(d.queue, t)
	d.next()
	return true
}

// next puts the head of the queue on the screen, until one of them waits there.
func (d *Device) next() {
	for d.current == nil && d.plugged && len(d.queue) > 0 {
		t := d.queue[0]
		d.queue = d.queue[1:]
		d.current, t.state = t, TransactionRunning
		d.served = append(d.served, t)
		if txTypes()[t.typ].financial() {
			d.answerByItself(t)
		} else {
			d.perform(t)
		}
	}
}

// answerByItself does what the automatic mode says, now or later.
func (d *Device) answerByItself(t *transaction) {
	if d.auto == Manual || d.cloud.closed {
		return
	}
	button := d.auto
	if d.autoDelay <= 0 {
		d.decide(t, button)
		return
	}
	d.answerAt(t, time.Now().Add(d.autoDelay))
}

// answerAt does what the automatic mode says at a time, at once if it is over.
func (d *Device) answerAt(t *transaction, due time.Time) {
	button := d.auto
	d.autoDue = due
	d.timer = time.AfterFunc(time.Until(due), func() {
		d.cloud.mu.Lock()
		defer d.cloud.mu.Unlock()
		if d.current == t && d.auto == button && !d.cloud.closed {
			d.decide(t, button)
			d.cloud.notify()
		}
	})
}

func (d *Device) stopTimer() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.autoDue = time.Time{}
}

// decide ends the transaction on the screen.
func (d *Device) decide(t *transaction, button Auto) {
	switch button {
	case AutoApprove:
		if _, stored := d.auths[t.reference]; t.typ == "Card.Finalise" && !stored {
			d.decline(t, "UNABLE TO PROCESS") // judgment: there is nothing to finalise
			break
		}
		d.charge(t)
	case AutoCancel:
		// Which Result belongs to a cancellation is not attested; CANCELLED is in the vendor's list.
		t.result = txData{TransactionResult: "CANCELLED", Result: "CANCELLED"}
		t.result.Receipt = d.receipt(t, "CANCELLED")
	default:
		d.decline(t, "DECLINED")
	}
	d.end(t)
}

func (d *Device) decline(t *transaction, reason string) {
	t.result = txData{TransactionResult: "OK-DECLINED", Result: "OK"}
	d.card(t)
	t.result.Receipt = d.receipt(t, reason)
}

// charge moves the money.
func (d *Device) charge(t *transaction) {
	total, surcharge, tip := t.cents, int64(0), int64(0)
	if txTypes()[t.typ].purchase {
		surcharge, tip = d.surcharge, d.tip
		total += surcharge + tip
	}
	d.cloud.receipts++
	t.result = txData{
		TransactionResult: "OK-ACCEPTED", Result: "OK", AmountTotal: strconv.FormatInt(total, 10),
		AuthID:          fmt.Sprintf("PIN%03d", d.cloud.receipts),
		AmountSurcharge: strconv.FormatInt(surcharge, 10), AmountTip: strconv.FormatInt(tip, 10),
	}
	d.card(t)
	t.result.Receipt = d.receipt(t, "ACCEPTED")
	switch t.typ {
	case "Card.Authorise":
		d.auths[t.reference] = t.cents
	case "Card.Finalise":
		delete(d.auths, t.reference)
		d.batch += total
	case "Card.Refund", "QR.Refund":
		d.batch -= total
	default:
		d.batch += total
	}
	d.cloud.charges = append(d.cloud.charges, Charge{
		Time: d.cloud.engine.now().UTC(), Device: d.id, RegisterID: t.register.registerID, Type: t.typ,
		Cents: total, AskedCents: t.cents, TransactionID: t.id, Result: t.result.TransactionResult,
	})
}

// card fills in what belongs to the card that was presented.
func (d *Device) card(t *transaction) {
	t.result.AcquirerRef, t.result.TerminalRef = fmt.Sprintf("%06d", len(d.served)), d.terminalRef
	t.result.CardPan, t.result.CardType, t.result.AccountType = "....0138", "EMV TEST CARD", "CREDIT"
	t.result.Timestamp = d.cloud.engine.now().In(terminalZone()).Format("20060102150405")
}

// perform carries out a transaction that needs no person.
func (d *Device) perform(t *transaction) {
	switch t.typ {
	case "Terminal.GetStatus":
		t.result = txData{Result: "OK", Status: "READY"}
	case "Terminal.ReadCard": // judgment: no answer to it is attested
		t.result = txData{Result: "OK", CardPan: "....0138", CardType: "EMV TEST CARD"}
	case "Journal.ReprintReceipt": // judgment: no answer to it is attested
		t.result = txData{Result: "OK"}
		if d.last != nil {
			t.result.Receipt = duplicate(d.last.result.Receipt)
		}
	case "Journal.GetTransResult":
		// The terminal's last transaction, whichever register it belongs to.
		t.result = txData{TransactionResult: "FAILED", Result: "FAILED"} // judgment: an empty journal
		if d.last != nil {
			t.result = d.last.completed()
			t.result.ReferenceID, t.result.ResultText = d.last.id, ""
		}
	default: // Acquirer.*
		t.result = txData{
			TransactionResult: "OK-ACCEPTED", Result: "OK",
			AcquirerRef: fmt.Sprintf("%06d", len(d.served)), TerminalRef: d.terminalRef,
		}
		t.result.Receipt = d.acquirerReceipt(t)
		if t.typ == "Acquirer.Settlement.Cutover" {
			d.batch = 0
			d.cutovers++
		}
	}
	d.end(t)
}

// end takes the transaction off the screen and sends its result to the cloud.
func (d *Device) end(t *transaction) {
	now := d.cloud.engine.now()
	d.stopTimer()
	d.current = nil
	t.state, t.finished, t.visible = TransactionDone, now, now.Add(d.slow)
	if txTypes()[t.typ].financial() {
		d.last = t
	}
	if !d.plugged {
		t.held = true
		d.held = append(d.held, t)
	}
	d.next()
}

// Screen is the text on the terminal's display.
func (d *Device) Screen() string {
	d.cloud.mu.Lock()
	defer d.cloud.mu.Unlock()
	return d.screen()
}

func (d *Device) screen() string {
	d.refreshCode()
	switch {
	case d.current != nil:
		lines := []string{strings.ToUpper(strings.ReplaceAll(d.current.typ, ".", " ")), dollars(d.current.cents), "PRESENT CARD"}
		if !d.plugged {
			lines = append(lines, "NO CONNECTION")
		}
		return strings.Join(lines, "\n")
	case !d.plugged:
		return "NO CONNECTION"
	case d.code != "" && d.cloud.engine.now().Before(d.codeExpires):
		return "PAIRING CODE\n" + d.code
	case d.code != "":
		return "PAIRING CODE EXPIRED"
	default:
		return "READY"
	}
}

// State tells everything that can be seen of the terminal.
func (d *Device) State() DeviceState {
	d.cloud.mu.Lock()
	defer d.cloud.mu.Unlock()
	state := DeviceState{
		ID: d.id, Plugged: d.plugged, Screen: d.screen(), Registers: []PairedRegister{}, Queue: []Transaction{},
		Settings: DeviceSettings{
			Auto: d.auto, AutoDelayMS: d.autoDelay.Milliseconds(), SlowMS: d.slow.Milliseconds(),
			SurchargeCents: d.surcharge, TipCents: d.tip, Busy: d.busy, RefreshCode: d.refresh,
		},
		Settlement: DeviceSettlement{Cents: d.batch, Cutovers: d.cutovers},
	}
	if d.code != "" && d.cloud.engine.now().Before(d.codeExpires) {
		state.PairingCode, state.PairingCodeExpiresAt = d.code, new(d.codeExpires.UTC())
	}
	for _, p := range d.cloud.pairings {
		if p.device == d {
			state.Registers = append(state.Registers, PairedRegister{
				RegisterID: p.registerID, RegisterName: p.registerName, BusinessName: p.business, VendorName: p.vendor,
			})
		}
	}
	slices.SortFunc(state.Registers, func(a, b PairedRegister) int { return strings.Compare(a.RegisterID, b.RegisterID) })
	if d.current != nil {
		state.Current = new(d.current.snapshot())
	}
	if d.last != nil {
		state.Last = new(d.last.snapshot())
	}
	for _, t := range d.queue {
		state.Queue = append(state.Queue, t.snapshot())
	}
	return state
}

// Served returns the transactions that came on the terminal's screen, in that order.
func (d *Device) Served() []Transaction {
	d.cloud.mu.Lock()
	defer d.cloud.mu.Unlock()
	list := make([]Transaction, 0, len(d.served))
	for _, t := range d.served {
		list = append(list, t.snapshot())
	}
	return list
}
