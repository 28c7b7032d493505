package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

// History is all that was seen of one run, by the park, the submitters, the nodes and whoever did the damage. The
// judge needs nothing else, so that a history that was kept can be judged again. Times are of the machine's monotonic
// clock.
type History struct {
	Scenario Scenario
	// Began and Ended enclose the damage; what came after it was undisturbed.
	Began, Ended time.Duration

	Submissions []*Submission
	Charges     []Charge
	Collisions  []Collision
	Events      []Event
	Faults      []Fault
	Rows        []Row
	Stalls      []Stall `json:",omitempty"`
	// Problems are what went wrong with the run itself, such as a node that ended without being killed.
	Problems []string

	// Notes and Findings are of a run that was judged while it went on, because there was too much to keep.
	Notes    []string  `json:",omitempty"`
	Findings []Finding `json:",omitempty"`
}

// Submission is one payment as its register knows it.
type Submission struct {
	ID, Terminal, Amount string
	// Called is when a node was first asked to accept it, Returned when one first said that it had. Zero means never.
	Called, Returned time.Duration
	// Seqs are the places that the nodes told, one for each acknowledgement.
	Seqs []int64
	// Refused are answers that say that it was not and can't be accepted.
	Refused []string
	// Denied says that it was tried once, and that the node said that it certainly was not accepted.
	Denied bool `json:",omitempty"`
	// Told is how it ended, as a node told those who waited for it. Empty if nobody learned.
	Told string
	// Withdrawn says that a node told that it was withdrawn before it was sent.
	Withdrawn bool
}

// Charge is what a terminal did: it was handed a payment, and asked its card holder for money.
type Charge struct {
	ID, Payment, Terminal string
	// Node and Fence are those of the claim under which it was sent.
	Node  string
	Fence int64
	// Began and Ends are when the terminal took it and when it was through.
	Began, Ends time.Duration
	Outcome     tillroute.Outcome
	// Amount is what was charged in the end.
	Amount string
}

// Collision is a payment that came to a terminal while it was still at work on another. The terminal refused it.
type Collision struct {
	Payment, Other, Terminal, Node string
	At                             time.Duration
}

// Event is something that a node did to a payment.
type Event struct {
	// What is "claim", "send", "renew", "save", "requeue", "release" or "finish".
	What    string
	Node    string
	Payment string
	Fence   int64
	// From and To enclose the call.
	From, To time.Duration
	// Error is "", "fenced", or the text of another error.
	Error string `json:",omitempty"`
	// Outcome and Charge are how it ended, for "finish", and the terminal's name for it, also for "save".
	Outcome string `json:",omitempty"`
	Charge  string `json:",omitempty"`
	// State and Fresh are those of the claim.
	State string `json:",omitempty"`
	Fresh bool   `json:",omitempty"`
	// Since is how long before the send the claim was asked for.
	Since time.Duration `json:",omitempty"`
}

// Fault is damage that was done.
type Fault struct {
	// What is "up", "down", "freeze", "thaw" for nodes, and the name of the damage otherwise.
	What string
	// Node is whom it was done to. Empty means all.
	Node string
	// Point is where the node was killed, or what was done to it.
	Point string `json:",omitempty"`
	At    time.Duration
	// Skew is by how much the clock of a node that came up was wrong.
	Skew time.Duration `json:",omitempty"`
}

// Row is a payment as the store had it in the end.
type Row struct {
	ID, Terminal      string
	Seq               int64
	State             pairing.State
	Outcome, Reason   string
	Amount, Requested string
	Charge            string
}

// recorder collects a history. It is safe for concurrent use.
type recorder struct {
	mu      sync.Mutex
	history History
}

func (r *recorder) with(do func(*History)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	do(&r.history)
}

func (r *recorder) fault(what, node, point string) {
	at := now()
	r.with(func(h *History) { h.Faults = append(h.Faults, Fault{What: what, Node: node, Point: point, At: at}) })
}

func (r *recorder) problem(text string) {
	r.with(func(h *History) { h.Problems = append(h.Problems, text) })
}

// keep writes the history to a file in dir and returns its path.
func (h *History) keep(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return "", err
	}
	f, err := os.CreateTemp(dir, h.Scenario.Name+"-*.json")
	if err != nil {
		return "", err
	}
	if err := json.NewEncoder(f).Encode(h); err != nil { //nolint:musttag // only this program reads it.
		_ = f.Close()
		return "", err
	}
	return f.Name(), f.Close()
}

// loadHistory reads a history that was kept.
func loadHistory(path string) (*History, error) {
	text, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		return nil, err
	}
	h := &History{}
	return h, json.Unmarshal(text, h) //nolint:musttag // this program wrote it.
}
