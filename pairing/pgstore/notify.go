package pgstore

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/internal/refusal"
)

// news tells other nodes what changed, outside the transactions in which it did: PostgreSQL lets one transaction that
// notifies commit at a time. What changes while one message is under way goes into the next.
type news struct {
	// send has the others told which terminals have changed, and whether there may be work for them.
	send  func(changed map[pairing.Terminal]bool)
	hurry chan struct{} // has one if what is pending can't wait

	mu      sync.Mutex
	closed  bool
	running bool
	pending map[pairing.Terminal]bool
	runs    sync.WaitGroup
}

func newNews(send func(map[pairing.Terminal]bool)) news {
	return news{send: send, hurry: make(chan struct{}, 1)}
}

// lull is how long the steps of a payment wait to be told together, or with its end. Only people watch them.
const lull = 5 * time.Millisecond

// maxMessage is how long a message may be; PostgreSQL takes less than 8000 bytes.
const maxMessage = 7500

// tell has other nodes told, at once, and whether there may be work for them.
func (n *news) tell(t pairing.Terminal, work bool) {
	n.add(t, work)
	n.hasten()
}

// mention has other nodes told, soon, of a step that has ended no payment and brings nobody work.
func (n *news) mention(t pairing.Terminal) { n.add(t, false) }

func (n *news) add(t pairing.Terminal, work bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return // who comes back from a write that Close has waited for
	}
	if n.pending == nil {
		n.pending = map[pairing.Terminal]bool{}
	}
	n.pending[t] = n.pending[t] || work
	if !n.running {
		n.running = true
		n.runs.Go(n.run)
	}
}

func (n *news) hasten() {
	select {
	case n.hurry <- struct{}{}:
	default:
	}
}

// close returns when everything was told, and has nothing more told.
func (n *news) close() {
	n.mu.Lock()
	n.closed = true
	n.mu.Unlock()
	n.hasten()
	n.runs.Wait()
}

// run tells until nothing is left. What can't be told is found by polling.
func (n *news) run() {
	timer := time.NewTimer(lull)
	defer timer.Stop()
	for {
		select {
		case <-n.hurry:
		case <-timer.C:
		}
		n.mu.Lock()
		changed := n.pending
		n.pending = nil
		if len(changed) == 0 {
			n.running = false
			n.mu.Unlock()
			return
		}
		n.mu.Unlock()
		n.send(changed)
		timer.Reset(lull)
	}
}

// announce has other nodes told which terminals have changed.
func (s *Store) announce(changed map[pairing.Terminal]bool) {
	ctx, cancel := context.WithTimeout(context.Background(), s.timeout)
	defer cancel()
	b := &pgx.Batch{}
	// Nothing is lost if a crash loses it: no flush of the disk.
	b.Queue("SELECT set_config('synchronous_commit', 'off', true)")
	for _, m := range messages(s.id, changed) {
		b.Queue("SELECT pg_notify($1, $2)", s.channel, m)
	}
	_ = s.pool.SendBatch(ctx, b).Close()
}

// message says which terminals have changed. None means that any may have.
type message struct {
	// From is the store that tells.
	From string `json:"from"`
	// Work and News are lists of provider and serial: with and without work for those who hear it.
	Work [][2]string `json:"work,omitempty"`
	News [][2]string `json:"news,omitempty"`
	// Hello says that nothing has changed: a store sees whether it hears itself.
	Hello bool `json:"hello,omitempty"`
}

// messages are the texts for what has changed.
func messages(from string, changed map[pairing.Terminal]bool) (texts []string) {
	m, size := message{From: from}, 0
	flush := func() {
		text, err := json.Marshal(m)
		if err == nil {
			texts = append(texts, string(text))
		}
		m, size = message{From: from}, 0
	}
	for t, work := range changed {
		// Each character may take six in JSON.
		more := 6*(len(t.Provider)+len(t.Serial)) + 6
		if more > maxMessage || len(changed) > 1000 {
			m = message{From: from}
			flush()
			return texts[len(texts)-1:]
		}
		if size += more; size > maxMessage {
			flush()
			size = more
		}
		if work {
			m.Work = append(m.Work, [2]string{t.Provider, t.Serial})
		} else {
			m.News = append(m.News, [2]string{t.Provider, t.Serial})
		}
	}
	flush()
	return texts
}

// alone reports whether nobody listens here who works on what is queued, and so has been told of it.
func (s *Store) alone() bool { return s.listeners.Load() == 0 }

// silence is after how long a connection that says nothing is asked whether it is still there.
const silence = 10 * time.Second

// greeting is how long a store waits to hear itself. It is shorter than silence: behind a proxy that pools transactions, a question
// may by chance bring what would not have come without it.
const greeting = 5 * time.Second

// Notify calls changed for every terminal that another node has changed. It has a connection of its own. If nothing arrives on it,
// because it leads to a proxy that pools transactions, the first call says so in its error, of kind Unavailable, after some 5 s; the
// ones after that stay.
func (s *Store) Notify(ctx context.Context, changed func(t pairing.Terminal, work bool)) error {
	caller := ctx
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-s.closing:
			cancel()
		case <-ctx.Done():
		}
	}()
	err := s.hear(ctx, changed)
	select {
	case <-s.closing:
		return refusal.Closed()
	default:
	}
	if caller.Err() != nil {
		return refusal.Ended(caller.Err(), tillroute.Failed)
	}
	return s.failed(caller, err)
}

func (s *Store) hear(ctx context.Context, changed func(pairing.Terminal, bool)) error {
	start, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	config := s.listen.Copy()
	if s.prepare != nil {
		if err := s.prepare(start, config); err != nil {
			return err
		}
	}
	conn, err := pgx.ConnectConfig(start, config)
	if err != nil {
		return err
	}
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(end)
	}()
	if _, err := conn.Exec(start, "LISTEN "+pgx.Identifier{s.channel}.Sanitize()); err != nil {
		return err
	}
	s.listeners.Add(1)
	defer s.listeners.Add(-1)
	changed(pairing.Terminal{}, true) // what happened before is not told
	// It goes the way that all news go. Anything that arrives will do.
	unheard := s.greet(ctx) == nil
	for {
		patience := silence
		if unheard {
			patience = greeting
		}
		wait, cancel := context.WithTimeout(ctx, patience)
		note, err := conn.WaitForNotification(wait)
		cancel()
		switch {
		case err == nil:
			unheard = false
			s.deaf.Store(false)
			s.heard(note.Payload, changed)
		case ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded):
			return err
		case unheard && s.deaf.CompareAndSwap(false, true):
			return pairing.Errorf(tillroute.KindUnavailable, nil,
				"nothing arrives here of what nodes tell each other: if DSN leads to a proxy that pools transactions, name in ListenDSN the way past it")
		default:
			unheard = false
			ping, cancel := context.WithTimeout(ctx, s.timeout)
			err := conn.Ping(ping)
			cancel()
			if err != nil {
				return err
			}
		}
	}
}

// greet sends what this store should hear.
func (s *Store) greet(ctx context.Context) error {
	text, err := json.Marshal(message{From: s.id, Hello: true})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	_, err = s.pool.Exec(ctx, "SELECT pg_notify($1, $2)", s.channel, string(text))
	return err
}

func (s *Store) heard(text string, changed func(pairing.Terminal, bool)) {
	var m message
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		m = message{} // from a newer program: anything may have changed
	}
	if m.Hello || m.From == s.id && s.listeners.Load() == 1 {
		return // who listens here knows
	}
	if len(m.Work)+len(m.News) == 0 {
		changed(pairing.Terminal{}, true)
	}
	for _, t := range m.News {
		changed(pairing.Terminal{Provider: t[0], Serial: t[1]}, false)
	}
	for _, t := range m.Work {
		changed(pairing.Terminal{Provider: t[0], Serial: t[1]}, true)
	}
}
