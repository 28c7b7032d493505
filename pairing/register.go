package pairing

import (
	"time"

	"github.com/tillroute/tillroute"
)

// Register is a place that goods are sold from, as its point-of-sale system knows it. Each part is 1 to 200 printable characters.
type Register struct {
	// System is the point-of-sale system: "xseries", "kseries", "paysera", …
	System string
	// Account is the merchant's account there: a domain prefix, a business location. Never a host name: hosts
	// change.
	Account string
	// ID is the register's identifier within the account.
	ID string
}

// String returns "system/account/id".
func (r Register) String() string { return r.System + "/" + r.Account + "/" + r.ID }

// Terminal is a device that accepts payments.
type Terminal struct {
	// Provider names the driver that moves money on it: its key in [Config].Drivers.
	Provider string
	// Serial is the provider's identifier for it: 1 to 200 printable characters.
	Serial string
}

// String returns "provider/serial".
func (t Terminal) String() string { return t.Provider + "/" + t.Serial }

// Pairing says which terminal a register's payments go to. A register has at most one; a terminal may serve many
// registers.
type Pairing struct {
	// Register and Terminal are what is paired with what. Required.
	Register Register
	Terminal Terminal
	// RegisterName and TerminalName are for people. Optional, up to 200 characters.
	RegisterName, TerminalName string
	// Identity is the name under which the terminal's provider knows the register, where it has such a thing. Who
	// knows it may be able to start payments: it is a secret.
	Identity tillroute.Secret
	// Version counts the changes of this register's pairings, from 1. The store sets it.
	Version int64
	// PairedAt is when it was made or last replaced, in UTC, by the store's clock. The store sets it.
	PairedAt time.Time
}

// Code is a pairing code that a terminal shows and a person types in to pair a register with it.
type Code struct {
	// Text is the code as stored: eight characters without separators. [Code.String] groups them for a screen.
	Text string
	// Terminal is the one that shows it.
	Terminal Terminal
	// TerminalName is for people. Optional, up to 200 characters.
	TerminalName string
	// ExpiresAt is when it stops working, in UTC, by the store's clock.
	ExpiresAt time.Time
}
