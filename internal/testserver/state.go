package testserver

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
)

// stateFormat and stateVersion are at the head of a state file.
const (
	stateFormat  = "simulated systems of tillroute"
	stateVersion = 1
)

// guard is the mutex of a system whose state may be kept in a file: what was changed under it is written before it is
// unlocked, and so before anybody can have been told.
type guard struct {
	sync.Mutex

	keep func() // writes what has changed; nil when nothing is kept. Called with the lock held.
}

// Unlock writes what has changed and unlocks.
func (g *guard) Unlock() {
	if g.keep != nil {
		g.keep()
	}
	g.Mutex.Unlock()
}

// stateFile is the content of a state file.
type stateFile struct {
	Format       string          `json:"format"`
	Version      int             `json:"version"`
	XSeries      json.RawMessage `json:"xseries"`
	SmartConnect json.RawMessage `json:"smartconnect"`
	Paysera      json.RawMessage `json:"paysera"`
	PMS          json.RawMessage `json:"pms"`
	KSeries      json.RawMessage `json:"kseries"`
}

// keeper writes the state of the systems into a file.
type keeper struct {
	path string

	mu     sync.Mutex
	loaded bool
	file   stateFile
	err    error // why the file is not up to date
}

// put replaces one system's part of the file, if it has changed.
func (k *keeper) put(part *json.RawMessage, state any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	raw, err := json.Marshal(state)
	if err != nil {
		k.err = fmt.Errorf("testserver: the state cannot be encoded: %w", err)
		return
	}
	if k.err == nil && bytes.Equal(*part, raw) {
		return
	}
	*part = raw
	k.err = k.write()
}

// write replaces the file in one step, so that a process that dies at any moment leaves the old one or the new one.
// It is not synced to the disk: the end of a process loses nothing, the end of the machine may.
func (k *keeper) write() error {
	if k.file.XSeries == nil || k.file.SmartConnect == nil || k.file.Paysera == nil || k.file.KSeries == nil ||
		k.file.PMS == nil {
		return nil // still loading
	}
	raw, err := json.Marshal(k.file)
	if err == nil {
		err = os.WriteFile(k.path+".tmp", raw, 0o600) // it holds credentials
	}
	if err == nil {
		err = os.Rename(k.path+".tmp", k.path)
	}
	if err != nil {
		return fmt.Errorf("testserver: the state file cannot be written, so nothing more is answered: %w", err)
	}
	return nil
}

// failed tells why the file is not up to date, nil when it is.
func (k *keeper) failed() error {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.err
}

// Load puts the systems into the state that [Options].StateFile holds and keeps it there from now on: every change is
// in the file before anybody is told of it. A file that does not exist is made. Without a StateFile nothing happens,
// nor at the second call. [Systems.Listen] and [Systems.Serve] call it.
//
// Call it before the systems are used. After an error they must not be.
func (s *Systems) Load() error {
	k := s.keeper
	if k == nil || k.loaded {
		return nil
	}
	raw, err := os.ReadFile(k.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("testserver: the state file cannot be read: %w", err)
	default:
		if err := s.restore(raw); err != nil {
			return fmt.Errorf("testserver: the state file %s cannot be used: %w; delete it to begin with a fresh simulated world", k.path, err)
		}
	}
	k.loaded = true
	k.file = stateFile{Format: stateFormat, Version: stateVersion}
	keep(&s.XSeries.mu, func() { k.put(&k.file.XSeries, s.XSeries.state()) })
	keep(&s.SmartConnect.mu, func() { k.put(&k.file.SmartConnect, s.SmartConnect.state()) })
	keep(&s.Paysera.mu, func() { k.put(&k.file.Paysera, s.Paysera.state()) })
	keep(&s.PMS.mu, func() { k.put(&k.file.PMS, s.PMS.state()) })
	keep(&s.KSeries.mu, func() { k.put(&k.file.KSeries, s.KSeries.state()) })
	s.SmartConnect.resume()
	return k.failed()
}

// keep has everything kept that is done under a guard from now on.
func keep(g *guard, write func()) {
	g.Lock()
	defer g.Unlock()
	g.keep = write
}

// restore puts the systems into the state that a file holds.
func (s *Systems) restore(raw []byte) error {
	var file stateFile
	if err := decodeState(raw, &file); err != nil {
		return err
	}
	switch {
	case file.Format != stateFormat:
		return errors.New("it is not a state of the simulated systems")
	case file.Version != stateVersion:
		return fmt.Errorf("it has the version %d, this program writes %d", file.Version, stateVersion)
	}
	var x xseriesState
	if err := decodeState(file.XSeries, &x); err != nil {
		return fmt.Errorf("xseries: %w", err)
	}
	var c smartconnectState
	if err := decodeState(file.SmartConnect, &c); err != nil {
		return fmt.Errorf("smartconnect: %w", err)
	}
	var p *payseraState // nil in a file of a program that did not have it: it begins fresh
	if file.Paysera != nil {
		if err := decodeState(file.Paysera, &p); err != nil {
			return fmt.Errorf("paysera: %w", err)
		}
	}
	var hotel *pmsState // as Paysera's
	if file.PMS != nil {
		if err := decodeState(file.PMS, &hotel); err != nil {
			return fmt.Errorf("pms: %w", err)
		}
	}
	var r *kseriesState // the same
	if file.KSeries != nil {
		if err := decodeState(file.KSeries, &r); err != nil {
			return fmt.Errorf("kseries: %w", err)
		}
	}
	if err := s.XSeries.restore(x); err != nil {
		return fmt.Errorf("xseries: %w", err)
	}
	if err := s.SmartConnect.restore(c); err != nil {
		return fmt.Errorf("smartconnect: %w", err)
	}
	if p != nil {
		if err := s.Paysera.restore(*p); err != nil {
			return fmt.Errorf("paysera: %w", err)
		}
	}
	if hotel != nil {
		if err := s.PMS.restore(*hotel); err != nil {
			return fmt.Errorf("pms: %w", err)
		}
	}
	if r != nil {
		if err := s.KSeries.restore(*r); err != nil {
			return fmt.Errorf("kseries: %w", err)
		}
	}
	return nil
}

// decodeState reads a part of a state file, in which nothing unknown may be.
func decodeState(raw []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return fmt.Errorf("it is damaged: %w", err)
	}
	if dec.More() {
		return errors.New("it is damaged: there is something after its end")
	}
	return nil
}
