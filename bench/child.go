package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A child is this program once more, in a process of its own: with a garbage collector of its own, built in another way, or with a
// slow disk. It is asked one thing at a time, in a line of JSON each way, and ends when its standard input does.
type child struct {
	command *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Scanner
	mu      sync.Mutex
	// givenUp says that the run was given up, and the child with it.
	givenUp atomic.Bool
}

// childConfig is what a child is started with.
type childConfig struct {
	// Role says what it does: see roles.
	Role string `json:"role"`
	// Folder is where it may write, and Root the root of the repository.
	Folder string `json:"folder"`
	Root   string `json:"root"`
	// DSN is the database, Kind and Number say which of several it is.
	DSN    string `json:"dsn"`
	Kind   string `json:"kind"`
	Number int    `json:"number"`
	// Tuned has a queue that is not ours answer as quickly as it can.
	Tuned bool `json:"tuned"`
}

// asked is what a child is asked, and told what it answers.
type asked struct {
	Side    string        `json:"side"`
	Callers int           `json:"callers"`
	For     time.Duration `json:"for"`
}

type told struct {
	Sample sample            `json:"sample"`
	Values map[string]string `json:"values"`
	Error  string            `json:"error"`
}

const (
	// longestLine is what a child may say at once.
	longestLine = 1 << 20
	// goodbye is how long a child has to end.
	goodbye = 10 * time.Second
)

// start starts a child. wrap is what it is run by, if anything. It returns what the child says of itself.
func (b *bench) start(ctx context.Context, program string, config childConfig, wrap ...string) (*child, told, error) {
	config.Root = b.root
	text, err := json.Marshal(config)
	if err != nil {
		return nil, told{}, err
	}
	words := slices.Concat(wrap, []string{program, "-child", string(text)})
	c := &child{command: exec.CommandContext(ctx, words[0], words[1:]...)} //nolint:gosec // it is this program.
	c.command.Stderr = os.Stderr
	c.command.Cancel = func() error {
		c.givenUp.Store(true)
		return c.command.Process.Kill()
	}
	if c.in, err = c.command.StdinPipe(); err != nil {
		return nil, told{}, err
	}
	out, err := c.command.StdoutPipe()
	if err != nil {
		return nil, told{}, err
	}
	// What runs it may have children of its own, which outlive it and hold the other end.
	context.AfterFunc(ctx, func() { _ = out.Close() })
	c.out = bufio.NewScanner(out)
	c.out.Buffer(nil, longestLine)
	if err := c.command.Start(); err != nil {
		return nil, told{}, err
	}
	answer, err := c.read()
	if err != nil {
		return nil, told{}, errors.Join(fmt.Errorf("the child %s did not start: %w", config.Role, err), c.stop())
	}
	return c, answer, nil
}

func (c *child) read() (told, error) {
	var answer told
	if !c.out.Scan() {
		return answer, errors.Join(io.ErrUnexpectedEOF, c.out.Err())
	}
	if err := json.Unmarshal(c.out.Bytes(), &answer); err != nil {
		return answer, err
	}
	if answer.Error != "" {
		return answer, errors.New(answer.Error)
	}
	return answer, nil
}

// ask asks the child, and waits for its answer.
func (c *child) ask(question asked) (told, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := json.NewEncoder(c.in).Encode(question); err != nil {
		return told{}, err
	}
	return c.read()
}

// stop ends the child.
func (c *child) stop() error {
	_ = c.in.Close()
	timer := time.AfterFunc(goodbye, func() { _ = c.command.Process.Kill() })
	defer timer.Stop()
	if err := c.command.Wait(); !c.givenUp.Load() {
		return err
	}
	return nil
}

// side returns a side that works in the child.
func (c *child) side(name, of string, callers int) side {
	return side{name, func(_ context.Context, d time.Duration) (sample, error) {
		answer, err := c.ask(asked{Side: of, Callers: callers, For: d})
		return answer.Sample, err
	}}
}

// serve answers what the parent asks until there is nothing more.
func serve(first told, answer func(asked) (told, error)) error {
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(first); err != nil {
		return err
	}
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		var question asked
		var reply told
		err := json.Unmarshal(in.Bytes(), &question)
		if err == nil {
			reply, err = answer(question)
		}
		if err != nil {
			reply = told{Error: err.Error()}
		}
		if err := out.Encode(reply); err != nil {
			return err
		}
	}
	return in.Err()
}

// sides serves sides by their names.
func sides(ctx context.Context, of func(name string, callers int) (side, error)) error {
	type key struct {
		name    string
		callers int
	}
	known := map[key]side{}
	return serve(told{}, func(question asked) (told, error) {
		k := key{question.Side, question.Callers}
		s, ok := known[k]
		if !ok {
			var err error
			if s, err = of(k.name, k.callers); err != nil {
				return told{}, err
			}
			known[k] = s
		}
		got, err := s.slice(ctx, question.For)
		return told{Sample: got}, err
	})
}

// child does what the parent started this process for.
func runChild(ctx context.Context, text string) error {
	var config childConfig
	if err := json.Unmarshal([]byte(text), &config); err != nil {
		return err
	}
	switch config.Role {
	case "decoding":
		return decodingChild(ctx, config)
	case "vendor":
		return vendorChild(ctx, config)
	case "receiver":
		return receiverChild(ctx, config)
	case "node":
		return nodeChild(ctx, config)
	case "inside":
		return insideChild(ctx, config)
	case "nats":
		return natsChild(ctx, config)
	default:
		return fmt.Errorf("there is no child %q", config.Role)
	}
}
