package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/memstore"
	"github.com/tillroute/tillroute/pairing/pgstore"
	"github.com/tillroute/tillroute/pairing/sqlitestore"
	"github.com/tillroute/tillroute/pms"
)

func receiverQuestion() question {
	return question{
		"receiver", "What does receiving cost?",
		"Charges a second through `pms.NewHandler`, each one another, posted over connections that are kept by a client that does next to nothing.\n" +
			"Each handler is a process of its own. The bare handler decodes the same JSON with encoding/json into a plain struct with exact amounts and\n" +
			"answers: it checks no key, remembers nothing, and posts a repeated charge again. Another decodes with ours, and one only reads.",
		"12 rows, of slices of 150 ms",
		3 * time.Minute,
		receiver,
	}
}

// The sides of the rows of which one explains another.
const (
	inMemory       = "in memory"
	bareHandler    = "a bare handler that decodes"
	parsingHandler = "a bare handler that decodes with `pms.ParseCharge`"
)

const pmsKey = "quickbooks-key-345"

func receiver(ctx context.Context, b *bench, a *answer) error {
	before, after, err := chargeAround(b.root)
	if err != nil {
		return err
	}
	t := a.table(perSecond())
	var number atomic.Int64
	var children []*child
	open := func(name, kind, dsn string) (func(callers int) side, error) {
		folder, err := os.MkdirTemp(b.folder, "receiver-")
		if err != nil {
			return nil, err
		}
		c, first, err := b.start(ctx, b.program, childConfig{Role: "receiver", Kind: kind, Folder: folder, DSN: dsn})
		if err != nil {
			return nil, err
		}
		children = append(children, c)
		return func(callers int) side { return poster(name, first.Values["address"], callers, &number, before, after) }, nil
	}
	bare, err := open(bareHandler, "bare", "")
	if err != nil {
		return err
	}
	reads, err := open("a handler that reads", "reads", "")
	if err != nil {
		return err
	}
	parses, err := open(parsingHandler, "parses", "")
	if err != nil {
		return err
	}
	memory, err := open(inMemory, "memory", "")
	if err != nil {
		return err
	}
	sqlite, err := open("durable, SQLite", "sqlite", "")
	if err != nil {
		return err
	}
	const (
		goal = 0.95
		why  = "the delivery and its bill are claimed and answered in the store, and the key is compared"
	)
	ways := []struct {
		side  func(int) side
		rival func(int) side
		goal  float64
		why   string
	}{
		{memory, bare, goal, why},
		{memory, parses, goal, why},
		{memory, reads, 0, ""},
		{parses, bare, 0, ""},
		{sqlite, bare, 0, ""},
	}
	if cluster, err := b.postgres(ctx); err == nil {
		dsn, err := cluster.database(ctx, "receiver")
		if err != nil {
			return err
		}
		postgres, err := open("durable, PostgreSQL", "postgres", dsn)
		if err != nil {
			return err
		}
		last := ways[len(ways)-1]
		last.side = postgres
		ways = append(ways, last)
	} else {
		a.note("PostgreSQL: left out: %s", err)
	}
	for _, callers := range []int{1, 64} {
		for _, w := range ways {
			r := row{What: fmt.Sprintf("%d callers", callers), Goal: w.goal, Why: w.why}
			if callers == 1 {
				r = row{What: "1 caller"}
			}
			if err := b.add(ctx, t, r, b.rounds, b.slice(150*time.Millisecond), w.side(callers), w.rival(callers)); err != nil {
				return err
			}
		}
		what := t.Rows[len(t.Rows)-1].What
		judged, limit := t.find(what, inMemory, bareHandler), t.find(what, parsingHandler, bareHandler)
		judged.because("the limit is a handler that only decodes as ours does, which reaches %s", showRatio(limit.Comparison.ratio(rate).median))
	}
	a.note("What ours does above the bare handler: the API key in constant time, the form that a field has to have, fields that are there twice, two " +
		"claims and two answers (of the delivery, and of the bill) in the store, and the body kept without its key.")
	a.note("A durable charge is four writes. They are made durable together with those of the other callers; a single caller waits for each.")
	var errs []error
	for _, c := range children {
		errs = append(errs, c.stop())
	}
	return errors.Join(errs...)
}

// digits is how long the number of a charge is.
const digits = 12

// chargeAround returns the vendor's example, before and after the number that each charge has for itself.
func chargeAround(root string) (before, after []byte, err error) {
	text, err := os.ReadFile(filepath.Join(root, "pms", "testdata", "pms_charge_reference.json")) //nolint:gosec // it is a file of the repository.
	if err != nil {
		return nil, nil, err
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		return nil, nil, err
	}
	before, after, ok := bytes.Cut(compact.Bytes(), []byte(`"fiscId":"A1234.5"`))
	if !ok {
		return nil, nil, errors.New("the example of a charge has no fiscId any more")
	}
	before = append(bytes.Clone(before), `"fiscId":"A1234.`...)
	return before, append([]byte(`"`), after...), nil
}

// poster returns a side that posts charges, each caller over a connection of its own.
func poster(name, address string, callers int, number *atomic.Int64, before, after []byte) side {
	head := fmt.Sprintf("POST /pms/charge HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"+
		"X-Lightspeed-Idempotency-Key: LS1_123e4567-e89b-12d3-a456-", address, len(before)+digits+len(after))
	var template []byte
	template = append(template, head...)
	key := len(template)
	template = append(template, "000000000000\r\n\r\n"...)
	template = append(template, before...)
	bill := len(template)
	template = append(append(template, "000000000000"...), after...)
	type line struct {
		conn    net.Conn
		answers *bufio.Reader
		request []byte
	}
	lines := make([]line, callers)
	return calls(name, callers, func(ctx context.Context, caller int) error {
		l := &lines[caller]
		if l.conn == nil {
			conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
			if err != nil {
				return err
			}
			*l = line{conn, bufio.NewReader(conn), bytes.Clone(template)}
		}
		text := strconv.AppendInt(make([]byte, 0, digits), 1e11+number.Add(1), 10)
		copy(l.request[key:], text)
		copy(l.request[bill:], text)
		if _, err := l.conn.Write(l.request); err != nil {
			return err
		}
		return readAnswer(l.answers)
	})
}

// readAnswer reads an answer and throws it away, unless it isn't 200.
func readAnswer(r *bufio.Reader) error {
	length := 0
	for n := 0; ; n++ {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		line = bytes.TrimRight(line, "\r\n")
		switch {
		case n == 0 && !bytes.HasPrefix(line, []byte("HTTP/1.1 200")):
			return fmt.Errorf("the answer is %s", line)
		case len(line) == 0:
			_, err := r.Discard(length)
			return err
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(value)); err != nil {
				return err
			}
		}
	}
}

// nowhere posts nothing.
type nowhere struct{ pms.Unimplemented }

func (nowhere) Charge(context.Context, pms.Charge) error { return nil }

func receiverChild(ctx context.Context, config childConfig) error {
	var handler http.Handler
	var err error
	switch config.Kind {
	case "reads":
		handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(w, "{}")
		})
	case "parses":
		handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err == nil {
				_, err = pms.ParseCharge(body)
			}
			if err != nil {
				http.Error(w, "bad", http.StatusBadRequest)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, "{}")
		})
	case "bare":
		handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var c plainCharge
			if err := json.NewDecoder(r.Body).Decode(&c); err != nil {
				http.Error(w, "bad", http.StatusBadRequest)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, "{}")
		})
	default:
		var store pairing.Store
		switch config.Kind {
		case "memory":
			store = memstore.New(memstore.Config{})
		case "sqlite":
			store, err = sqlitestore.Open(ctx, sqlitestore.Config{Path: filepath.Join(config.Folder, "bench.db")})
		default:
			store, err = pgstore.Open(ctx, pgstore.Config{DSN: dsnOf(config)})
		}
		if err != nil {
			return err
		}
		defer func() { _ = store.Close() }()
		if handler, err = pms.NewHandler(pms.Config{Backend: nowhere{}, Keys: []pms.Key{{APIKey: pmsKey}}, Deliveries: store}); err != nil {
			return err
		}
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	defer func() { _ = server.Close() }()
	return serve(told{Values: map[string]string{"address": listener.Addr().String()}}, func(asked) (told, error) { return told{}, nil })
}
