package pgstore

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/internal/refusal"
)

const pairingColumns = "system, account, register, provider, serial, register_name, terminal_name, identity, version, paired_at"

func readPairing(rows pgx.Rows) (pairing.Pairing, error) {
	d := decode(rows)
	// In the order in which they are written here.
	p := pairing.Pairing{
		Register:     pairing.Register{System: d.text(), Account: d.text(), ID: d.text()},
		Terminal:     pairing.Terminal{Provider: d.text(), Serial: d.text()},
		RegisterName: d.text(), TerminalName: d.text(), Identity: tillroute.Secret(d.text()),
		Version: d.integer(), PairedAt: d.time(),
	}
	return p, d.err
}

const selectPairing = "SELECT " + pairingColumns + " FROM @pairings" +
	" WHERE system = $1 AND account = $2 AND register = $3 AND unpaired_at IS NULL"

// Pairing returns the register's pairing.
func (s *Store) Pairing(ctx context.Context, r pairing.Register) (pairing.Pairing, error) {
	p, ok, err := first(ctx, s, readPairing, selectPairing, r.System, r.Account, r.ID)
	if err == nil && !ok {
		err = refusal.NotPaired(r)
	}
	return p, err
}

// lockPairing returns the register's pairing, if it has one, which nobody else changes until the transaction ends.
func lockPairing(ctx context.Context, t *tx, r pairing.Register) (p pairing.Pairing, ok bool, err error) {
	rows, err := t.Query(ctx, t.store.sql(selectPairing+" FOR UPDATE"), r.System, r.Account, r.ID)
	if err != nil {
		return p, false, err
	}
	return firstOf(rows, readPairing)
}

// PutPairing pairs p.Register with p.Terminal.
func (s *Store) PutPairing(ctx context.Context, p pairing.Pairing, ifVersion int64) (pairing.Pairing, error) {
	return transact(ctx, s, func(ctx context.Context, t *tx) (pairing.Pairing, error) {
		if err := t.lock(ctx, "register", p.Register.String()); err != nil {
			return pairing.Pairing{}, err
		}
		old, _, err := lockPairing(ctx, t, p.Register)
		if err != nil {
			return pairing.Pairing{}, err
		}
		if err := refusal.Version(p.Register, old.Version, ifVersion); err != nil {
			return pairing.Pairing{}, err
		}
		return pair(ctx, t, p)
	})
}

// pair replaces whatever pairing the register has.
func pair(ctx context.Context, t *tx, p pairing.Pairing) (stored pairing.Pairing, err error) {
	rows, err := t.Query(ctx, t.store.sql("INSERT INTO @pairings AS old"+
		" (system, account, register, provider, serial, register_name, terminal_name, identity, paired_at)"+
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now())"+
		" ON CONFLICT (system, account, register) DO UPDATE SET provider = excluded.provider, serial = excluded.serial,"+
		" register_name = excluded.register_name, terminal_name = excluded.terminal_name,"+
		" identity = excluded.identity, version = old.version + 1, paired_at = excluded.paired_at, unpaired_at = NULL"+
		" RETURNING "+pairingColumns),
		p.Register.System, p.Register.Account, p.Register.ID,
		p.Terminal.Provider, p.Terminal.Serial, p.RegisterName, p.TerminalName, p.Identity.Reveal())
	if err != nil {
		return stored, err
	}
	stored, _, err = firstOf(rows, readPairing)
	return stored, err
}

// DeletePairing unpairs the register if its pairing has that version.
func (s *Store) DeletePairing(ctx context.Context, r pairing.Register, ifVersion int64) error {
	_, err := transact(ctx, s, func(ctx context.Context, t *tx) (int64, error) {
		p, paired, err := lockPairing(ctx, t, r)
		switch {
		case err != nil:
			return 0, err
		case !paired:
			return 0, refusal.NotPaired(r)
		case p.Version != ifVersion:
			return 0, refusal.OtherVersion(r, p.Version, ifVersion)
		}
		return t.exec(ctx, "UPDATE @pairings SET unpaired_at = now(), identity = ''"+
			" WHERE system = $1 AND account = $2 AND register = $3", r.System, r.Account, r.ID)
	})
	return err
}

// ListPairings returns up to limit pairings whose registers follow after.
func (s *Store) ListPairings(ctx context.Context, after pairing.Register, limit int) ([]pairing.Pairing, error) {
	return list(ctx, s, readPairing, "SELECT "+pairingColumns+" FROM @pairings"+
		" WHERE (system, account, register) > ($1, $2, $3) AND unpaired_at IS NULL"+
		" ORDER BY system, account, register LIMIT $4",
		after.System, after.Account, after.ID, int64(max(limit, 0)))
}

// MoveRegister pairs the register with to and moves its queued payments there, if it is paired with from.
func (s *Store) MoveRegister(ctx context.Context, r pairing.Register, from, to pairing.Terminal) error {
	moved, err := transact(ctx, s, func(ctx context.Context, t *tx) (bool, error) {
		p, paired, err := lockPairing(ctx, t, r)
		if err != nil || !paired || p.Terminal != from || from == to {
			return false, err
		}
		if _, err := t.exec(ctx, "UPDATE @pairings SET provider = $1, serial = $2, version = version + 1"+
			" WHERE system = $3 AND account = $4 AND register = $5",
			to.Provider, to.Serial, r.System, r.Account, r.ID); err != nil {
			return false, err
		}
		// In the order of seq, or two moves could wait for each other.
		_, err = t.exec(ctx, moveQueued, to.Provider, to.Serial, from.Provider, from.Serial, r.System, r.Account, r.ID)
		return true, err
	})
	if moved {
		s.news.tell(from, s.alone())
		s.news.tell(to, s.alone())
	}
	return err
}

const moveQueued = "WITH moving AS MATERIALIZED (SELECT seq FROM @payments" +
	" WHERE provider = $3 AND serial = $4 AND " + isOpen + " AND state = 'queued'" +
	" AND system = $5 AND account = $6 AND register = $7 ORDER BY seq FOR UPDATE)" +
	" UPDATE @payments p SET provider = $1, serial = $2, not_before = NULL FROM moving WHERE p.seq = moving.seq"
