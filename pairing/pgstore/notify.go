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
	store *Store

	mu      sync.Mutex
	running bool
	pending map[pairing.Terminal]struct{}
	runs    sync.WaitGroup
}

// maxMessage is how long a message may be; PostgreSQL takes less than 8000 bytes.
const maxMessage = 7900

// tell has other nodes told, soon.
func (n *news) tell(t pairing.Terminal) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.pending == nil {
		n.pending = map[pairing.Terminal]struct{}{}
	}
	n.pending[t] = struct{}{}
	if !n.running {
		n.running = true
		n.runs.Go(n.run)
	}
}

// wait returns when everything was told.
func (n *news) wait() { n.runs.Wait() }

// run tells until nothing is left. What can't be told is found by polling.
func (n *news) run() {
	ctx := context.Background()
	for {
		n.mu.Lock()
		changed := n.pending
		if n.pending = nil; len(changed) == 0 {
			n.running = false
			n.mu.Unlock()
			return
		}
		n.mu.Unlock()
		n.send(ctx, messages(changed))
	}
}

func (n *news) send(ctx context.Context, messages []string) {
	ctx, cancel := context.WithTimeout(ctx, n.store.timeout)
	defer cancel()
	b := &pgx.Batch{}
	// Nothing is lost if a crash loses it: no flush of the disk.
	b.Queue("SELECT set_config('synchronous_commit', 'off', true)")
	for _, m := range messages {
		b.Queue("SELECT pg_notify($1, $2)", n.store.channel, m)
	}
	_ = n.store.pool.SendBatch(ctx, b).Close()
}

// messages are the texts that say which terminals have changed: lists of provider and serial, as JSON. An empty list
// says that any may have.
func messages(changed map[pairing.Terminal]struct{}) (texts []string) {
	const everything = "[]"
	if len(changed) > 1000 {
		return []string{everything}
	}
	text := []byte{'['}
	for t := range changed {
		next, err := json.Marshal([2]string{t.Provider, t.Serial})
		if err != nil || len(next) > maxMessage-2 {
			return []string{everything}
		}
		if len(text)+len(next)+2 > maxMessage {
			texts = append(texts, string(append(text, ']')))
			text = []byte{'['}
		}
		if len(text) > 1 {
			text = append(text, ',')
		}
		text = append(text, next...)
	}
	return append(texts, string(append(text, ']')))
}

// silence is after how long a connection that says nothing is asked whether it is still there.
const silence = 10 * time.Second

// Notify calls changed for every terminal that this or another node has changed. It has a connection of its own.
func (s *Store) Notify(ctx context.Context, changed func(pairing.Terminal)) error {
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

func (s *Store) hear(ctx context.Context, changed func(pairing.Terminal)) error {
	start, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(start, s.listen)
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
	changed(pairing.Terminal{}) // what happened before is not told
	for {
		wait, cancel := context.WithTimeout(ctx, silence)
		note, err := conn.WaitForNotification(wait)
		cancel()
		switch {
		case err == nil:
			hear(note.Payload, changed)
		case ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded):
			return err
		default:
			ping, cancel := context.WithTimeout(ctx, s.timeout)
			err := conn.Ping(ping)
			cancel()
			if err != nil {
				return err
			}
		}
	}
}

func hear(message string, changed func(pairing.Terminal)) {
	var terminals [][2]string
	if err := json.Unmarshal([]byte(message), &terminals); err != nil || len(terminals) == 0 {
		changed(pairing.Terminal{})
		return
	}
	for _, t := range terminals {
		changed(pairing.Terminal{Provider: t[0], Serial: t[1]})
	}
}
