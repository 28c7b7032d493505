package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tillroute/tillroute/internal/pgtest"
	"github.com/tillroute/tillroute/pairing"
)

// Scenario says what is done to which cluster.
type Scenario struct {
	// Name is one of those in the table of damages.
	Name string
	// Store is "sqlite" or "postgres".
	Store string
	// Count is how often the damage is done.
	Count                       int
	Nodes, Registers, Terminals int
	Lease                       time.Duration
	Seed                        uint64
	// Most is how long to go on at most, however often the damage was done by then. Zero is for ever.
	Most time.Duration `json:",omitempty"`
	// Slack is how much later than they should recoveries, first writes and sends may be: the machine has other work.
	Slack time.Duration `json:",omitempty"`
	// Break breaks the nodes, so that the judge has something to find.
	Break string `json:",omitempty"`
}

// damage is what a scenario does while payments run. It returns when it was done Count times.
type damage func(context.Context, *run) error

func damages() map[string]damage {
	return map[string]damage{
		"quiet":   quiet,
		"kill":    kills,
		"freeze":  freezes,
		"replies": replies,
		"restart": restarts,
		"toxic":   toxics,
		"disk":    disk,
		"skew":    skews,
	}
}

// run is one run of a scenario.
type run struct {
	Scenario

	dir      string
	dsn      string
	random   *rand.Rand
	recorder *recorder
	park     *park
	parkURL  string
	cluster  *cluster
	postgres *pgtest.Cluster // nil unless it is ours
	links    []links
}

// settleTime is how long the nodes have to finish what was accepted, once the damage is over; broken nodes have less.
const (
	settleTime       = time.Minute
	brokenSettleTime = 5 * time.Second
)

// play runs a scenario and returns its history.
func play(ctx context.Context, s Scenario, progress io.Writer) (*History, error) {
	do := damages()[s.Name]
	if do == nil && s.Name != "deliveries" {
		return nil, fmt.Errorf("there is no scenario %q", s.Name)
	}
	dir, err := os.MkdirTemp("", "chaos-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	r := &run{Scenario: s, dir: dir, recorder: &recorder{}, random: rand.New(rand.NewPCG(s.Seed, 0))} //nolint:gosec // it has to be repeatable.
	r.recorder.history.Scenario = s
	defer func() {
		if r.postgres != nil {
			r.postgres.Remove()
		}
	}()
	if err := r.prepare(ctx); err != nil {
		return nil, err
	}
	if s.Name == "deliveries" {
		return deliveries(ctx, s, r, progress)
	}
	r.park = newPark(s.Seed, r.recorder)
	server := httptest.NewServer(r.park.handler())
	defer server.Close()
	r.parkURL = server.URL
	if err := r.lay(); err != nil {
		return nil, err
	}
	defer r.cut()
	unwatch, err := r.watch(ctx)
	if err != nil {
		return nil, err
	}
	unwatch = sync.OnceFunc(unwatch)
	defer unwatch()
	r.cluster = newCluster(r.recorder, r.nodeConfig)
	if s.Name == "skew" {
		if err := r.skewNodes(ctx); err != nil {
			return nil, err
		}
	}
	r.cluster.start(ctx, s.Nodes)
	defer r.cluster.stop()
	if err := r.work(ctx, do, progress); err != nil {
		return nil, err
	}
	r.cluster.stop()
	unwatch()
	if err := r.readRows(ctx); err != nil {
		return nil, err
	}
	return &r.recorder.history, r.checkFile(ctx)
}

// checkFile has SQLite look for damage in its file.
func (r *run) checkFile(ctx context.Context) error {
	path, ok := strings.CutPrefix(r.dsn, "sqlite:")
	if !ok {
		return nil
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	var answer string
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check").Scan(&answer); err != nil {
		return err
	}
	if answer != "ok" {
		r.recorder.problem("the database is damaged: " + answer)
	}
	return nil
}

// nodeConfig returns what a node is started with.
func (r *run) nodeConfig(number int) nodeConfig {
	c := nodeConfig{DSN: r.dsn, Park: "http://" + r.links[number].park.Listen, Lease: r.Lease, Break: r.Break}
	if r.postgres != nil {
		c.DSN = r.postgres.TCP(r.links[number].database.Listen)
	}
	return c
}

// prepare makes the database and pairs the registers.
func (r *run) prepare(ctx context.Context) error {
	switch r.Store {
	case "sqlite":
		r.dsn = "sqlite:" + filepath.Join(r.dir, "chaos.db")
	case "postgres":
		p, err := pgtest.Start() //nolint:contextcheck // it has a time of its own.
		if err != nil {
			return err
		}
		r.postgres, r.dsn = p, p.TCP(p.Addr())
	default:
		return fmt.Errorf("there is no store %q", r.Store)
	}
	store, err := open(ctx, r.dsn, patient)
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	for i := range r.Registers {
		p := pairing.Pairing{Register: register(fmt.Sprint(i)), Terminal: pairing.Terminal{Provider: asked, Serial: r.terminal(i)}}
		if i%r.Terminals%2 == 1 {
			p.Terminal.Provider = mute
		}
		if _, err := store.PutPairing(ctx, p, -1); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) terminal(register int) string { return fmt.Sprintf("t%d", register%r.Terminals) }

// work does the damage while the tills sell, and waits until all is settled.
func (r *run) work(ctx context.Context, do damage, progress io.Writer) error {
	if !r.ready(ctx) {
		return errors.New("no node came up")
	}
	selling, stop := context.WithCancel(ctx)
	defer stop()
	var tills sync.WaitGroup
	for i := range r.Registers {
		random := rand.New(rand.NewPCG(r.Seed, uint64(i+100))) //nolint:gosec // it has to be repeatable.
		t := &till{run: r, number: i, random: random, register: fmt.Sprint(i), terminal: r.terminal(i)}
		tills.Go(func() { t.sell(selling) })
	}
	began := now()
	err := r.damage(ctx, do)
	pause(ctx, r.Lease) // So that something is sold after the last of it.
	ended := now()
	r.recorder.with(func(h *History) { h.Began, h.Ended = began, ended })
	stop()
	tills.Wait()
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(progress, "  %s: the damage is done, waiting for the rest\n", r.Name)
	return r.settle(ctx)
}

// damage does the damage, for as long as it may take.
func (r *run) damage(ctx context.Context, do damage) error {
	if r.Most == 0 {
		return do(ctx, r)
	}
	bounded, cancel := context.WithTimeout(ctx, r.Most)
	defer cancel()
	if err := do(bounded, r); bounded.Err() == nil || ctx.Err() != nil {
		return err
	}
	return nil // It was stopped in the middle, which is what was asked for.
}

// ready waits until a node is.
func (r *run) ready(ctx context.Context) bool {
	for range 6000 {
		if _, ok := r.cluster.pickHealthy(); ok {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		pause(ctx, 20*time.Millisecond)
	}
	return false
}

// settle waits until no payment is open any more, or gives up.
func (r *run) settle(ctx context.Context) error {
	store, err := patientlyOpen(ctx, r.dsn, patient)
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	open := pairing.Filter{States: []pairing.State{pairing.Queued, pairing.Sending, pairing.Sent}}
	patience := settleTime
	if r.Break != "" {
		patience = brokenSettleTime
	}
	patience += r.Slack
	for end := now() + patience; now() < end && ctx.Err() == nil; pause(ctx, 50*time.Millisecond) {
		left, err := store.ListPayments(ctx, open, 1)
		if err == nil && len(left) == 0 {
			return nil
		}
	}
	return ctx.Err() // What is left is for the judge.
}

// readRows reads what the store has in the end.
func (r *run) readRows(ctx context.Context) error {
	store, err := patientlyOpen(ctx, r.dsn, patient)
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	filter := pairing.Filter{}
	for {
		page, err := store.ListPayments(ctx, filter, 1000)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, p := range page {
			filter.After = p.Seq
			r.recorder.history.Rows = append(r.recorder.history.Rows, Row{
				ID: p.ID, Terminal: p.Terminal.Serial, Seq: p.Seq, State: p.State,
				Outcome: p.Outcome().String(), Reason: p.Result.Reason,
				Amount: p.Result.Amount.String(), Requested: p.Amount.String(), Charge: p.Result.TransactionID,
			})
		}
	}
}

// quiet does nothing, for as many seconds as it is asked to do it.
func quiet(ctx context.Context, r *run) error {
	pause(ctx, time.Duration(r.Count)*time.Second)
	return ctx.Err()
}

// killPoints are where a node may be made to kill itself.
func killPoints() []string {
	var all []string
	for _, name := range []string{"accept", "claim", "send", "save", "renew", "requeue", "finish"} {
		all = append(all, "before:"+name, "after:"+name)
	}
	return all
}

// kills kills nodes: every other time at a random moment, otherwise at one of the points in turn.
func kills(ctx context.Context, r *run) error {
	all := killPoints()
	for done := 0; done < r.Count && ctx.Err() == nil; {
		// A node on its own needs the time to take over what it left behind.
		pause(ctx, time.Duration(r.random.Int64N(int64(2*r.Lease)/int64(r.Nodes))))
		if !r.ready(ctx) {
			return errors.New("no node is ready any more")
		}
		v, ok := r.cluster.pickHealthy()
		if !ok {
			continue
		}
		if done%2 == 0 {
			ok = r.cluster.kill(v, "at random")
		} else {
			ok = r.killAt(ctx, v, all[done/2%len(all)])
		}
		if ok {
			done++
		}
	}
	return ctx.Err()
}

// pointTime is how long a node has to come to a point.
const pointTime = 2 * time.Second

// killAt has a node kill itself at a point, and kills it if it doesn't come there.
func (r *run) killAt(ctx context.Context, v victim, point string) bool {
	if !r.cluster.killAt(ctx, v, point) {
		return false
	}
	for end := now() + pointTime; now() < end && ctx.Err() == nil; pause(ctx, 5*time.Millisecond) {
		if r.cluster.gone(v) {
			return true
		}
	}
	r.cluster.insist(v)
	return true
}

// freezes freezes nodes past their leases, and wakes them.
func freezes(ctx context.Context, r *run) error {
	for done := 0; done < r.Count && ctx.Err() == nil; {
		pause(ctx, time.Duration(r.random.Int64N(int64(r.Lease/2))))
		v, ok := r.cluster.pickHealthy()
		if !ok || !r.cluster.freeze(v) {
			continue
		}
		pause(ctx, r.Lease+time.Duration(r.random.Int64N(int64(r.Lease/2))))
		r.cluster.thaw(v)
		done++
	}
	return ctx.Err()
}

// replies has replies get lost, be late, or come twice, of the store as of the park, and unplugs terminals.
func replies(ctx context.Context, r *run) error {
	r.park.set(0.05, 0.05, 0.2)
	defer r.park.set(0, 0, 0)
	deeds := []string{doError, doLose, doDelay, doTwice}
	for done := 0; done < r.Count && ctx.Err() == nil; done++ {
		pause(ctx, time.Duration(r.random.IntN(20))*time.Millisecond)
		v, ok := r.cluster.pickHealthy()
		if !ok {
			continue
		}
		if r.random.IntN(20) == 0 {
			serial := r.terminal(r.random.IntN(r.Terminals))
			r.park.unplug(serial, time.Duration(r.random.IntN(1000))*time.Millisecond)
			r.recorder.fault("unplugged", "", "")
			continue
		}
		o := order{Do: deeds[r.random.IntN(len(deeds))], For: time.Duration(r.random.Int64N(int64(2 * r.Lease)))}
		names := []string{"accept", "claim", "send", "save", "renew", "requeue", "finish"}
		if o.Do == doTwice {
			names = slices.DeleteFunc(names, func(name string) bool { return name == "send" }) // That would be the node's own fault.
		}
		o.Point = "after:" + names[r.random.IntN(len(names))]
		if o.Do == doError || o.Do == doDelay && r.random.IntN(2) == 0 {
			o.Point = strings.Replace(o.Point, "after:", "before:", 1)
		}
		if r.cluster.order(ctx, v, o) == nil {
			r.recorder.fault(o.Do, v.name, o.Point)
		}
	}
	return ctx.Err()
}
