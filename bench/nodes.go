package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/pgstore"
	"github.com/tillroute/tillroute/pairing/sqlitestore"
)

// connections is how large the pool of each process is.
const connections = 16

func pooled(dsn string) string { return dsn + "&pool_max_conns=" + strconv.Itoa(connections) }

// openQueue opens a queue for submitting, and makes what it needs.
func openQueue(ctx context.Context, config childConfig) (queue, error) {
	switch config.Kind {
	case kindPostgres:
		store, err := pgstore.Open(ctx, pgstore.Config{DSN: tillroute.Secret(pooled(config.DSN))})
		if err != nil {
			return nil, err
		}
		return newStoreQueue(ctx, store, terminals)
	case kindRiver:
		return newRiverQueue(ctx, config)
	case kindNATS:
		return newStreamQueue(ctx, config)
	case kindPlain:
		return newPlainQueue(ctx, config)
	default:
		return nil, fmt.Errorf("there is no queue %q", config.Kind)
	}
}

// nodeChild works on a queue until standard input ends, and prints what it has done.
func nodeChild(ctx context.Context, config childConfig) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	r := &reporter{out: bufio.NewWriter(os.Stdout)}
	if err := json.NewEncoder(os.Stdout).Encode(told{}); err != nil {
		return err
	}
	go func() {
		// Nothing is asked of a node: its input ends when it is to end.
		_, _ = bufio.NewReader(os.Stdin).ReadByte()
		stop()
	}()
	var group sync.WaitGroup
	group.Go(func() { r.flush(ctx) })
	var err error
	switch config.Kind {
	case kindPostgres:
		err = storeNode(ctx, config, r.finished)
	case kindRiver:
		err = riverNode(ctx, config, r.finished)
	case kindNATS:
		err = streamNode(ctx, config, r.finished)
	case kindPlain:
		err = plainNode(ctx, config, r.finished)
	default:
		err = fmt.Errorf("there is no node for %q", config.Kind)
	}
	stop()
	group.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// storeQueue is a store of ours.
type storeQueue struct {
	store     pairing.Store
	terminals int
}

func newStoreQueue(ctx context.Context, store pairing.Store, terminals int) (storeQueue, error) {
	return storeQueue{store, terminals}, each(ctx, terminals, func(ctx context.Context, n int) error {
		_, err := store.PutPairing(ctx, pairing.Pairing{Register: registerOf(n), Terminal: terminalOf(n)}, -1)
		return err
	})
}

func (q storeQueue) submit(ctx context.Context, n int) error {
	_, err := q.store.AcceptPayment(ctx, requestOf(n%q.terminals, strconv.Itoa(n)))
	return err
}

func (q storeQueue) close() error { return q.store.Close() }

// clerk is a driver whose terminals answer at once. It knows when each payment was begun.
type clerk struct {
	started  sync.Map
	finished func(n int, started, ended int64)
}

func (c *clerk) Start(_ context.Context, p pairing.Payment) (pairing.Handle, error) {
	c.started.Store(p.ID, time.Now().UnixNano())
	return pairing.Handle{TransactionID: p.ID, Token: "a-token-that-nobody-checks"}, nil
}

func (*clerk) Await(_ context.Context, p pairing.Payment, _ func(string)) (pairing.Result, error) {
	return pairing.Result{Outcome: tillroute.Approved, Amount: p.Amount, TransactionID: p.ID, AuthCode: "123456"}, nil
}

// done tells that a payment's outcome is durable.
func (c *clerk) done(id string) {
	began, ok := c.started.LoadAndDelete(id)
	n, err := strconv.Atoi(id)
	if at, isTime := began.(int64); ok && isTime && err == nil {
		c.finished(n, at, time.Now().UnixNano())
	}
}

// watchedPostgres and watchedSQLite are stores that say when an outcome was written. They embed the stores themselves: a router looks
// for what else its store can do.
type (
	watchedPostgres struct {
		*pgstore.Store

		clerk *clerk
	}
	watchedSQLite struct {
		*sqlitestore.Store

		clerk *clerk
	}
)

func (w watchedPostgres) FinishPayment(ctx context.Context, c pairing.Claim, r pairing.Result, lease time.Duration) (pairing.Claim, bool, error) {
	next, ok, err := w.Store.FinishPayment(ctx, c, r, lease)
	if err == nil {
		w.clerk.done(c.Payment.ID)
	}
	return next, ok, err
}

func (w watchedSQLite) FinishPayment(ctx context.Context, c pairing.Claim, r pairing.Result, lease time.Duration) (pairing.Claim, bool, error) {
	next, ok, err := w.Store.FinishPayment(ctx, c, r, lease)
	if err == nil {
		w.clerk.done(c.Payment.ID)
	}
	return next, ok, err
}

func storeNode(ctx context.Context, config childConfig, finished func(int, int64, int64)) error {
	store, err := pgstore.Open(ctx, pgstore.Config{DSN: tillroute.Secret(pooled(config.DSN))})
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	c := &clerk{finished: finished}
	router, err := pairing.New(pairing.Config{Store: watchedPostgres{store, c}, Drivers: map[string]pairing.Driver{provider: c}})
	if err != nil {
		return err
	}
	return router.Run(ctx)
}

// insideQueue is a router that submits and works.
type insideQueue struct {
	router *pairing.Router
	store  *sqlitestore.Store
	stop   context.CancelFunc
	ended  chan struct{}
}

func openInside(ctx context.Context, config childConfig, l *ledger) (queue, error) {
	store, err := sqlitestore.Open(ctx, sqlitestore.Config{Path: filepath.Join(config.Folder, "bench.db")})
	if err != nil {
		return nil, err
	}
	if _, err := newStoreQueue(ctx, store, terminals); err != nil {
		return nil, err
	}
	c := &clerk{finished: l.finished}
	router, err := pairing.New(pairing.Config{Store: watchedSQLite{store, c}, Drivers: map[string]pairing.Driver{provider: c}})
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	q := insideQueue{router, store, stop, make(chan struct{})}
	go func() {
		defer close(q.ended)
		_ = router.Run(ctx)
	}()
	return q, nil
}

func (q insideQueue) submit(ctx context.Context, n int) error {
	_, err := q.router.Submit(ctx, requestOf(n%terminals, strconv.Itoa(n)))
	return err
}

func (q insideQueue) close() error {
	q.stop()
	<-q.ended
	return q.store.Close()
}

// job is a payment in River.
type job struct{ body }

// Kind implements [river.JobArgs].
func (job) Kind() string { return "payment" }

// cooldown is how long a tuned River waits between two looks at its queue.
const cooldown = time.Millisecond

func riverConfig(config childConfig) *river.Config {
	c := &river.Config{}
	if config.Tuned {
		c.FetchCooldown = cooldown
	}
	return c
}

type riverQueue struct {
	client *river.Client[pgx.Tx]
	pool   *pgxpool.Pool
}

func newRiverQueue(ctx context.Context, config childConfig) (queue, error) {
	pool, err := pgxpool.New(ctx, pooled(config.DSN))
	if err != nil {
		return nil, err
	}
	migrator, err := rivermigrate.New(riverpgxv5.New(pool), nil)
	if err != nil {
		return nil, err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return nil, err
	}
	client, err := river.NewClient(riverpgxv5.New(pool), riverConfig(config))
	if err != nil {
		return nil, err
	}
	return riverQueue{client, pool}, nil
}

func (q riverQueue) submit(ctx context.Context, n int) error {
	_, err := q.client.Insert(ctx, job{bodyOf(n)}, nil)
	return err
}

func (q riverQueue) close() error {
	q.pool.Close()
	return nil
}

// riverWorker works at once.
type riverWorker struct {
	river.WorkerDefaults[job]

	started *sync.Map
}

func (w riverWorker) Work(_ context.Context, j *river.Job[job]) error {
	w.started.Store(j.Args.N, time.Now().UnixNano())
	return nil
}

func riverNode(ctx context.Context, config childConfig, finished func(int, int64, int64)) error {
	pool, err := pgxpool.New(ctx, pooled(config.DSN))
	if err != nil {
		return err
	}
	defer pool.Close()
	var started sync.Map
	c := riverConfig(config)
	c.Workers = river.NewWorkers()
	river.AddWorker(c.Workers, riverWorker{started: &started})
	c.Queues = map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: terminals}}
	client, err := river.NewClient(riverpgxv5.New(pool), c)
	if err != nil {
		return err
	}
	const room = 100_000
	events, cancel := client.SubscribeConfig(&river.SubscribeConfig{Kinds: []river.EventKind{river.EventKindJobCompleted}, ChanSize: room})
	defer cancel()
	if err := client.Start(ctx); err != nil {
		return err
	}
	for {
		select {
		case event := <-events:
			now := time.Now().UnixNano()
			var args body
			if err := json.Unmarshal(event.Job.EncodedArgs, &args); err != nil {
				return err
			}
			if at, ok := started.LoadAndDelete(args.N); ok {
				if began, isTime := at.(int64); isTime {
					finished(args.N, began, now)
				}
			}
		case <-ctx.Done():
			stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye/2)
			defer cancel()
			return client.Stop(stopping)
		}
	}
}

// plainQueue is a table.
type plainQueue struct{ pool *pgxpool.Pool }

func newPlainQueue(ctx context.Context, config childConfig) (plainQueue, error) {
	pool, err := pgxpool.New(ctx, pooled(config.DSN))
	if err != nil {
		return plainQueue{}, err
	}
	for _, statement := range []string{
		"CREATE TABLE jobs (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n bigint NOT NULL UNIQUE, payload jsonb NOT NULL, done_at timestamptz)",
		"CREATE INDEX jobs_open ON jobs (id) WHERE done_at IS NULL",
	} {
		if _, err := pool.Exec(ctx, statement); err != nil {
			return plainQueue{}, err
		}
	}
	return plainQueue{pool}, nil
}

func (q plainQueue) submit(ctx context.Context, n int) error {
	payload, err := bodyOf(n).encode()
	if err != nil {
		return err
	}
	_, err = q.pool.Exec(ctx, "INSERT INTO jobs (n, payload) VALUES ($1, $2)", n, payload)
	return err
}

func (q plainQueue) close() error {
	q.pool.Close()
	return nil
}

// insertQueue is a payment that is complete once it is in a table: nothing that is durable takes less.
type insertQueue struct {
	plainQueue

	ledger *ledger
}

func (q insertQueue) submit(ctx context.Context, n int) error {
	began := time.Now()
	err := q.plainQueue.submit(ctx, n)
	if err == nil {
		q.ledger.finished(n, began.UnixNano(), time.Now().UnixNano())
	}
	return err
}

func plainNode(ctx context.Context, config childConfig, finished func(int, int64, int64)) error {
	pool, err := pgxpool.New(ctx, pooled(config.DSN))
	if err != nil {
		return err
	}
	defer pool.Close()
	return each(ctx, connections, func(ctx context.Context, worker int) error {
		const longest = 20 * time.Millisecond
		for wait := cooldown; ctx.Err() == nil; {
			ok, err := plainStep(ctx, pool, finished)
			switch {
			case err != nil && ctx.Err() == nil:
				return err
			case ok:
				wait = cooldown
				continue
			}
			// When there is nothing to do, one looks often, and the others seldom.
			if wait = min(2*wait, longest); worker > 0 {
				wait = 5 * longest
			}
			if err := until(ctx, time.Now().Add(wait)); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
}

// plainStep does a job, if there is one: it is locked as long as that takes.
func plainStep(ctx context.Context, pool *pgxpool.Pool, finished func(int, int64, int64)) (bool, error) {
	tx, err := pool.Begin(ctx)
	if err != nil {
		return false, err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	var id int64
	var n int
	var payload []byte
	err = tx.QueryRow(ctx, "SELECT id, n, payload FROM jobs WHERE done_at IS NULL ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED").Scan(&id, &n, &payload)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	began := time.Now().UnixNano()
	if _, err := tx.Exec(ctx, "UPDATE jobs SET done_at = now() WHERE id = $1", id); err != nil {
		return false, err
	}
	if err := tx.Commit(ctx); err != nil {
		return false, err
	}
	finished(n, began, time.Now().UnixNano())
	return true, nil
}

// natsChild is JetStream's server, in a process of its own so that its disk can be slow.
func natsChild(_ context.Context, config childConfig) error {
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: config.Folder, SyncAlways: true, NoSigs: true, NoLog: true,
	})
	if err != nil {
		return err
	}
	s.Start()
	defer s.Shutdown()
	if !s.ReadyForConnections(goodbye) {
		return errors.New("JetStream did not start")
	}
	return serve(told{Values: map[string]string{"url": s.ClientURL()}}, func(asked) (told, error) { return told{}, nil })
}

const stream = "payments"

type streamQueue struct {
	conn   *nats.Conn
	stream jetstream.JetStream
}

func connectStream(config childConfig) (streamQueue, error) {
	conn, err := nats.Connect(config.DSN)
	if err != nil {
		return streamQueue{}, err
	}
	js, err := jetstream.New(conn)
	return streamQueue{conn, js}, err
}

func newStreamQueue(ctx context.Context, config childConfig) (queue, error) {
	q, err := connectStream(config)
	if err != nil {
		return nil, err
	}
	_, err = q.stream.CreateStream(ctx, jetstream.StreamConfig{
		Name: stream, Subjects: []string{stream + ".*"}, Storage: jetstream.FileStorage, Retention: jetstream.WorkQueuePolicy,
	})
	if err != nil {
		return nil, err
	}
	// A consumer for each terminal, one message at a time: that keeps the order.
	for n := range terminals {
		_, err := q.stream.CreateConsumer(ctx, stream, jetstream.ConsumerConfig{
			Durable: consumerOf(n), FilterSubject: subjectOf(n), AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 1,
		})
		if err != nil {
			return nil, err
		}
	}
	return q, nil
}

func consumerOf(terminal int) string { return "terminal-" + strconv.Itoa(terminal) }
func subjectOf(terminal int) string  { return stream + "." + strconv.Itoa(terminal) }

func (q streamQueue) submit(ctx context.Context, n int) error {
	payload, err := bodyOf(n).encode()
	if err != nil {
		return err
	}
	_, err = q.stream.Publish(ctx, subjectOf(n%terminals), payload)
	return err
}

func (q streamQueue) close() error {
	q.conn.Close()
	return nil
}

func streamNode(ctx context.Context, config childConfig, finished func(int, int64, int64)) error {
	q, err := connectStream(config)
	if err != nil {
		return err
	}
	defer q.conn.Close()
	for n := range terminals {
		consumer, err := q.stream.Consumer(ctx, stream, consumerOf(n))
		if err != nil {
			return err
		}
		running, err := consumer.Consume(func(message jetstream.Msg) {
			began := time.Now().UnixNano()
			var b body
			if err := json.Unmarshal(message.Data(), &b); err != nil {
				return
			}
			// Acknowledged is what the server has confirmed.
			if err := message.DoubleAck(ctx); err == nil {
				finished(b.N, began, time.Now().UnixNano())
			}
		}, jetstream.PullMaxMessages(1))
		if err != nil {
			return err
		}
		defer running.Stop()
	}
	<-ctx.Done()
	return ctx.Err()
}
