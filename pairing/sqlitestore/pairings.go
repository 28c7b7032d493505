package sqlitestore

import (
	"context"

	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/internal/refusal"
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

const selectPairing = "SELECT " + pairingColumns + " FROM pairings" +
	" WHERE system = ? AND account = ? AND register = ? AND unpaired_at IS NULL"

// Pairing returns the register's pairing.
func (s *Store) Pairing(ctx context.Context, r pairing.Register) (p pairing.Pairing, err error) {
	n, err := s.read(ctx, func(r *row) { p = scanPairing(r) }, selectPairing, r.System, r.Account, r.ID)
	if err == nil && n == 0 {
		err = refusal.NotPaired(r)
	}
	return p, err
}

func findPairing(ctx context.Context, c *conn, r pairing.Register) (p pairing.Pairing, ok bool, err error) {
	ok, err = c.one(ctx, func(r *row) { p = scanPairing(r) }, selectPairing, r.System, r.Account, r.ID)
	return p, ok, err
}

// PutPairing pairs p.Register with p.Terminal.
func (s *Store) PutPairing(ctx context.Context, p pairing.Pairing, ifVersion int64) (pairing.Pairing, error) {
	return write(ctx, s, func(ctx context.Context, c *conn) (pairing.Pairing, error) {
		old, _, err := findPairing(ctx, c, p.Register)
		if err != nil {
			return pairing.Pairing{}, err
		}
		if err := refusal.Version(p.Register, old.Version, ifVersion); err != nil {
			return pairing.Pairing{}, err
		}
		return pair(ctx, c, p)
	})
}

// pair replaces whatever pairing the register has.
func pair(ctx context.Context, c *conn, p pairing.Pairing) (stored pairing.Pairing, err error) {
	_, err = c.one(ctx, func(r *row) { stored = scanPairing(r) },
		"INSERT INTO pairings"+
			" (system, account, register, provider, serial, register_name, terminal_name, identity, paired_at)"+
			" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"+
			" ON CONFLICT DO UPDATE SET provider = excluded.provider, serial = excluded.serial,"+
			" register_name = excluded.register_name, terminal_name = excluded.terminal_name,"+
			" identity = excluded.identity, version = version + 1, paired_at = excluded.paired_at, unpaired_at = NULL"+
			" RETURNING "+pairingColumns,
		p.Register.System, p.Register.Account, p.Register.ID,
		p.Terminal.Provider, p.Terminal.Serial, p.RegisterName, p.TerminalName, p.Identity.Reveal(), c.timeNow())
	return stored, err
}

// DeletePairing unpairs the register if its pairing has that version.
func (s *Store) DeletePairing(ctx context.Context, r pairing.Register, ifVersion int64) error {
	return s.group.write(ctx, func(ctx context.Context, c *conn) error {
		p, paired, err := findPairing(ctx, c, r)
		switch {
		case err != nil:
			return err
		case !paired:
			return refusal.NotPaired(r)
		case p.Version != ifVersion:
			return refusal.OtherVersion(r, p.Version, ifVersion)
		}
		_, err = c.exec(ctx, "UPDATE pairings SET unpaired_at = ?, identity = ''"+
			" WHERE system = ? AND account = ? AND register = ?", c.timeNow(), r.System, r.Account, r.ID)
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
	return s.group.write(ctx, func(ctx context.Context, c *conn) error {
		p, paired, err := findPairing(ctx, c, r)
		if err != nil || !paired || p.Terminal != from || from == to {
			return err
		}
		if _, err := c.exec(ctx, "UPDATE pairings SET provider = ?, serial = ?, version = version + 1"+
			" WHERE system = ? AND account = ? AND register = ?",
			to.Provider, to.Serial, r.System, r.Account, r.ID); err != nil {
			return err
		}
		return moveQueued(ctx, c, r, from, to)
	})
}
