package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// cluster keeps a number of nodes running, whatever happens to them.
type cluster struct {
	recorder *recorder
	// config returns what the node of that number is started with.
	config func(number int) nodeConfig
	client *http.Client

	mu sync.Mutex
	// command returns the command of the node of that number.
	command func(ctx context.Context, number int) *exec.Cmd
	members []*member
	closing bool
	group   sync.WaitGroup
}

// member is a place in the cluster, in which one process follows another.
type member struct {
	number     int
	generation int
	name       string
	url        string // empty unless it is ready
	process    *os.Process
	frozen     bool
	// killed is why the present process is going to end.
	killed string
}

// self is the command that runs this program as a node.
func self(ctx context.Context, _ int) *exec.Cmd {
	path, err := os.Executable()
	if err != nil {
		path = os.Args[0]
	}
	return exec.CommandContext(ctx, path, "node") //nolint:gosec // it is this program.
}

func newCluster(r *recorder, config func(int) nodeConfig) *cluster {
	transport := &http.Transport{MaxIdleConnsPerHost: 128}
	return &cluster{
		recorder: r, config: config, command: self,
		client: &http.Client{Transport: transport, Timeout: 2 * waitTime},
	}
}

// start starts n nodes and keeps them running until stop.
func (c *cluster) start(ctx context.Context, n int) {
	for i := range n {
		m := &member{number: i}
		c.members = append(c.members, m)
		c.group.Go(func() {
			for c.more(ctx) {
				if err := c.run(ctx, m); err != nil {
					c.recorder.problem(err.Error())
					pause(ctx, time.Second)
				}
			}
		})
	}
}

// useCommand has the nodes that are started from now on be started in another way.
func (c *cluster) useCommand(command func(ctx context.Context, number int) *exec.Cmd) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.command = command
}

func (c *cluster) more(ctx context.Context) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.closing && ctx.Err() == nil
}

// stop ends all nodes.
func (c *cluster) stop() {
	c.mu.Lock()
	c.closing = true
	for _, m := range c.members {
		if m.process != nil {
			m.killed = "stop"
			_ = m.process.Kill()
		}
	}
	c.mu.Unlock()
	c.group.Wait()
	c.client.CloseIdleConnections()
}

// run starts one process and returns when it has ended.
func (c *cluster) run(ctx context.Context, m *member) error {
	m.generation++
	config := c.config(m.number)
	config.Name = fmt.Sprintf("n%d.%d", m.number, m.generation)
	first, err := json.Marshal(config) //nolint:musttag // both ends are this program.
	if err != nil {
		return err
	}
	c.mu.Lock()
	cmd := c.command(ctx, m.number)
	c.mu.Unlock()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stderr := &tail{}
	cmd.Stderr = stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	c.mu.Lock()
	if c.closing {
		c.mu.Unlock()
		return nil
	}
	if err := cmd.Start(); err != nil {
		c.mu.Unlock()
		return err
	}
	m.name, m.process, m.frozen, m.killed = config.Name, cmd.Process, false, ""
	c.mu.Unlock()
	if _, err := in.Write(append(first, '\n')); err != nil {
		stderr.add("its configuration can't be written: " + err.Error())
	}
	c.listen(m, out)
	err = cmd.Wait()
	_ = in.Close()
	c.mu.Lock()
	killed := m.killed
	m.url, m.process = "", nil
	c.mu.Unlock()
	if killed != "stop" {
		c.recorder.fault("down", config.Name, killed)
	}
	if killed == "" {
		return fmt.Errorf("node %s ended by itself: %w\n%s", config.Name, err, stderr.text())
	}
	return nil
}

// listen takes what a node says until it says no more.
func (c *cluster) listen(m *member, out io.Reader) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var s said
		if json.Unmarshal(lines.Bytes(), &s) != nil { //nolint:musttag // both ends are this program.
			continue // A line that was cut off by a kill.
		}
		if s.Ready != "" {
			c.mu.Lock()
			m.url = s.Ready
			c.mu.Unlock()
			up := Fault{What: "up", Node: m.name, At: now(), Skew: time.Until(s.Time)}
			c.recorder.with(func(h *History) { h.Faults = append(h.Faults, up) })
		}
		if s.Stall != nil {
			c.recorder.with(func(h *History) { h.Stalls = append(h.Stalls, *s.Stall) })
		}
		if s.Event != nil {
			c.recorder.with(func(h *History) { h.Events = append(h.Events, *s.Event) })
		}
	}
}

// victim is a node that something can be done to.
type victim struct {
	member  *member
	process *os.Process
	name    string
	url     string
}

// pick returns a random node that is ready, unless there is none.
func (c *cluster) pick() (victim, bool) {
	return c.pickIf(func(*member) bool { return true })
}

// pickHealthy returns a random node that is ready and that nothing was done to.
func (c *cluster) pickHealthy() (victim, bool) {
	return c.pickIf(func(m *member) bool { return !m.frozen && m.killed == "" })
}

func (c *cluster) pickIf(fit func(*member) bool) (victim, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var ready []*member
	for _, m := range c.members {
		if m.url != "" && fit(m) {
			ready = append(ready, m)
		}
	}
	if len(ready) == 0 {
		return victim{}, false
	}
	m := ready[rand.IntN(len(ready))] //nolint:gosec // nothing depends on it being secret.
	return victim{m, m.process, m.name, m.url}, true
}

// kill kills a node, unless it has ended meanwhile.
func (c *cluster) kill(v victim, point string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v.member.process != v.process || v.member.killed != "" {
		return false
	}
	v.member.killed = point
	return v.process.Kill() == nil
}

// killAt has a node kill itself when it next comes to a point.
func (c *cluster) killAt(ctx context.Context, v victim, point string) bool {
	c.mu.Lock()
	if v.member.process != v.process || v.member.killed != "" {
		c.mu.Unlock()
		return false
	}
	v.member.killed = point
	c.mu.Unlock()
	if c.order(ctx, v, order{Point: point, Do: doKill}) == nil {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// It may have got the order: then it ends, and that was us.
	return v.member.process != v.process
}

// insist kills a node that has not come to its point.
func (c *cluster) insist(v victim) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v.member.process != v.process {
		return false
	}
	v.member.killed = "late"
	return v.process.Kill() == nil
}

// gone reports whether the process has ended.
func (c *cluster) gone(v victim) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return v.member.process != v.process
}

// freeze stops a node in its tracks.
func (c *cluster) freeze(v victim) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v.member.process != v.process || v.process.Signal(syscall.SIGSTOP) != nil {
		return false
	}
	v.member.frozen = true
	c.recorder.fault("freeze", v.name, "")
	return true
}

// thaw has it go on.
func (c *cluster) thaw(v victim) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v.member.process == v.process {
		c.recorder.fault("thaw", v.name, "")
		_ = v.process.Signal(syscall.SIGCONT)
		v.member.frozen = false
	}
}

// order gives a node an order.
func (c *cluster) order(ctx context.Context, v victim, o order) error {
	_, err := c.call(ctx, v.url+"/orders", http.MethodPost, o, nil)
	return err
}

var errNoNode = errors.New("no node is ready")

// ask asks some node.
func (c *cluster) ask(ctx context.Context, method, path string, in any, out *submitReply) (int, error) {
	v, ok := c.pick()
	if !ok {
		return 0, errNoNode
	}
	return c.call(ctx, v.url+path, method, in, out)
}

func (c *cluster) call(ctx context.Context, url, method string, in any, out *submitReply) (int, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return 0, err
	}
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	response, err := c.client.Do(request)
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }()
	if out == nil {
		_, err := io.Copy(io.Discard, response.Body)
		return response.StatusCode, err
	}
	return response.StatusCode, json.NewDecoder(response.Body).Decode(out) //nolint:musttag // both ends are this program.
}

// tail keeps the end of what a node complains about.
type tail struct {
	mu    sync.Mutex
	lines []byte
}

const tailSize = 8 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, b...)
	if len(t.lines) > 2*tailSize {
		t.lines = bytes.Clone(t.lines[len(t.lines)-tailSize:])
	}
	return len(b), nil
}

func (t *tail) add(line string) { _, _ = t.Write([]byte(line + "\n")) }

func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.lines))
}
