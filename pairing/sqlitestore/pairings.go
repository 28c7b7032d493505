package sqlitestore

import (
	"context"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

const pairingColumns = "system, account, register, provider, serial, register_name, terminal_name, identity, version, paired_at"

func scanPairing(r *row) (p pairing.Pairing) {
	p.Register.System = r.text()
	p.Register.Account = r.text()
	p.Register.ID = r.text()
	p.Terminal.Provider = r.text()
	p.Terminal.Serial = r.text()
	p.RegisterName = r.text()
	p.TerminalName = r.text()
	p.Identity = r.secret()
	p.Version = r.int()
	p.PairedAt = r.time()
	return p
}

// Pairing returns the register's pairing.
func (s *Store) Pairing(ctx context.Context, r pairing.Register) (p pairing.Pairing, err error) {
	n, err := s.read(ctx, func(r *row) { p = scanPairing(r) },
		"SELECT "+pairingColumns+" FROM pairings"+
			" WHERE system = ? AND account = ? AND register = ? AND unpaired_at IS NULL",
		r.System, r.Account, r.ID)
	if err == nil && n == 0 {
		err = notPaired(r)
	}
	return p, err
}

// PutPairing pairs p.Register with p.Terminal.
func (s *Store) PutPairing(ctx context.Context, p pairing.Pairing, ifVersion int64) (pairing.Pairing, error) {
	return write(ctx, s, func(ctx context.Context, c *conn) (pairing.Pairing, error) { return putPairing(ctx, c, p, ifVersion) })
}

func putPairing(ctx context.Context, c *conn, p pairing.Pairing, ifVersion int64) (stored pairing.Pairing, err error) {
	scan := func(r *row) { stored = scanPairing(r) }
	var ok bool
	if ifVersion > 0 {
		ok, err = c.one(ctx, scan, "UPDATE pairings"+
			" SET provider = ?, serial = ?, register_name = ?, terminal_name = ?, identity = ?,"+
			" version = version + 1, paired_at = "+sqlTime+
			" WHERE system = ? AND account = ? AND register = ? AND unpaired_at IS NULL AND version = ?"+
			" RETURNING "+pairingColumns,
			p.Terminal.Provider, p.Terminal.Serial, p.RegisterName, p.TerminalName, p.Identity.Reveal(),
			p.Register.System, p.Register.Account, p.Register.ID, ifVersion)
	} else {
		ok, err = c.one(ctx, scan, "INSERT INTO pairings"+
			" (system, account, register, provider, serial, register_name, terminal_name, identity, paired_at)"+
			" VALUES (?, ?, ?, ?, ?, ?, ?, ?, "+sqlTime+")"+
			" ON CONFLICT DO UPDATE SET provider = excluded.provider, serial = excluded.serial,"+
			" register_name = excluded.register_name, terminal_name = excluded.terminal_name,"+
			" identity = excluded.identity, version = version + 1, paired_at = excluded.paired_at, unpaired_at = NULL"+
			" WHERE unpaired_at IS NOT NULL OR ?"+
			" RETURNING "+pairingColumns,
			p.Register.System, p.Register.Account, p.Register.ID,
			p.Terminal.Provider, p.Terminal.Serial, p.RegisterName, p.TerminalName, p.Identity.Reveal(),
			ifVersion < 0)
	}
	if err == nil && !ok {
		err = otherVersion(ctx, c, p.Register, ifVersion)
	}
	return stored, err
}

// DeletePairing unpairs the register if its pairing has that version.
func (s *Store) DeletePairing(ctx context.Context, r pairing.Register, ifVersion int64) error {
	return s.group.write(ctx, func(ctx context.Context, c *conn) error {
		ok, err := c.one(ctx, nil, "UPDATE pairings SET unpaired_at = "+sqlTime+", identity = ''"+
			" WHERE system = ? AND account = ? AND register = ? AND unpaired_at IS NULL AND version = ?"+
			" RETURNING 1",
			r.System, r.Account, r.ID, ifVersion)
		if err != nil || ok {
			return err
		}
		paired, _, err := pairingVersion(ctx, c, r)
		if err == nil && !paired {
			return notPaired(r)
		}
		if err == nil {
			err = otherVersion(ctx, c, r, ifVersion)
		}
		return err
	})
}

// ListPairings returns up to limit pairings whose registers follow after.
func (s *Store) ListPairings(ctx context.Context, after pairing.Register, limit int) (list []pairing.Pairing, err error) {
	_, err = s.read(ctx, func(r *row) { list = append(list, scanPairing(r)) },
		"SELECT "+pairingColumns+" FROM pairings"+
			" WHERE (system, account, register) > (?, ?, ?) AND unpaired_at IS NULL"+
			" ORDER BY system, account, register LIMIT ?",
		after.System, after.Account, after.ID, int64(max(limit, 0)))
	return list, err
}

// MoveRegister pairs the register with to and moves its queued payments there, if it is paired with from.
func (s *Store) MoveRegister(ctx context.Context, r pairing.Register, from, to pairing.Terminal) error {
	if from == to {
		return s.group.write(ctx, func(context.Context, *conn) error { return nil })
	}
	return s.group.write(ctx, func(ctx context.Context, c *conn) error {
		ok, err := c.one(ctx, nil, "UPDATE pairings SET provider = ?, serial = ?, version = version + 1"+
			" WHERE system = ? AND account = ? AND register = ? AND unpaired_at IS NULL"+
			" AND provider = ? AND serial = ? RETURNING 1",
			to.Provider, to.Serial, r.System, r.Account, r.ID, from.Provider, from.Serial)
		if err != nil || !ok {
			return err
		}
		return moveQueued(ctx, c, r, from, to)
	})
}

// otherVersion returns why a pairing can't be changed that was expected at ifVersion.
func otherVersion(ctx context.Context, c *conn, r pairing.Register, ifVersion int64) error {
	paired, version, err := pairingVersion(ctx, c, r)
	switch {
	case err != nil:
		return err
	case !paired:
		return pairing.Errorf(tillroute.KindConflict, nil,
			"register %s is not paired, expected version %d", r, ifVersion)
	case ifVersion == 0:
		return pairing.Errorf(tillroute.KindConflict, nil, "register %s is already paired, at version %d", r, version)
	default:
		return pairing.Errorf(tillroute.KindConflict, nil,
			"the pairing of register %s is at version %d, expected %d", r, version, ifVersion)
	}
}

func pairingVersion(ctx context.Context, c *conn, r pairing.Register) (paired bool, version int64, err error) {
	paired, err = c.one(ctx, func(r *row) { version = r.int() }, "SELECT version FROM pairings"+
		" WHERE system = ? AND account = ? AND register = ? AND unpaired_at IS NULL", r.System, r.Account, r.ID)
	return paired, version, err
}

func notPaired(r pairing.Register) error {
	return pairing.Errorf(tillroute.KindNotFound, pairing.ErrNotPaired, "register %s", r)
}
