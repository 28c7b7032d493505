package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/tillroute/tillroute"
)

// till submits the payments of one register, one after the other, to whichever node there is.
type till struct {
	run      *run
	number   int
	random   *rand.Rand
	register string
	terminal string
}

// sell goes on until ctx ends. What was not accepted by then may never be.
func (t *till) sell(ctx context.Context) {
	var again sync.WaitGroup
	defer again.Wait()
	for n := 1; ctx.Err() == nil; n++ {
		s := &Submission{
			ID:       fmt.Sprintf("r%d-%d", t.number, n),
			Terminal: t.terminal,
			Amount:   strconv.Itoa(1+t.random.IntN(90)) + "." + strconv.Itoa(10+t.random.IntN(90)),
		}
		t.run.recorder.with(func(h *History) { h.Submissions = append(h.Submissions, s) })
		dice := t.random.Float64()
		switch {
		case dice < 0.05: // Twice at once.
			again.Go(func() { t.submit(ctx, s) })
		case dice < 0.10: // And once more, later.
			d := time.Duration(t.random.IntN(1000)) * time.Millisecond
			again.Go(func() {
				pause(ctx, d)
				t.submit(ctx, s)
			})
		case dice < 0.15:
			t.submitOnce(ctx, s)
			continue
		}
		if !t.submit(ctx, s) {
			continue
		}
		dice = t.random.Float64()
		if dice < 0.03 {
			t.withdraw(ctx, s)
		}
		if dice < 0.7 {
			t.wait(ctx, s)
		}
		pause(ctx, time.Duration(20+t.random.IntN(180))*time.Millisecond)
	}
}

// submit has a payment accepted, and reports whether it was.
func (t *till) submit(ctx context.Context, s *Submission) bool {
	for ctx.Err() == nil {
		at := now()
		t.run.recorder.with(func(*History) {
			if s.Called == 0 {
				s.Called = at
			}
		})
		var out submitReply
		status, err := t.run.cluster.ask(ctx, http.MethodPost, "/submit", submitRequest{s.ID, t.register, s.Amount}, &out)
		at = now()
		switch {
		case err != nil || status == http.StatusServiceUnavailable:
			pause(ctx, 20*time.Millisecond)
		case status != http.StatusOK:
			t.run.recorder.with(func(*History) { s.Refused = append(s.Refused, out.Error) })
			return false
		default:
			t.run.recorder.with(func(*History) {
				if s.Returned == 0 {
					s.Returned = at
				}
				s.Seqs = append(s.Seqs, out.Seq)
			})
			return true
		}
	}
	return false
}

// submitOnce tries to have a payment accepted a single time.
func (t *till) submitOnce(ctx context.Context, s *Submission) {
	at := now()
	var out submitReply
	status, err := t.run.cluster.ask(ctx, http.MethodPost, "/submit", submitRequest{s.ID, t.register, s.Amount}, &out)
	t.run.recorder.with(func(*History) {
		s.Called = at
		switch {
		case err == nil && status == http.StatusOK:
			s.Returned, s.Seqs = now(), []int64{out.Seq}
		case err == nil && out.Failed:
			s.Denied = true
		}
	})
	pause(ctx, 20*time.Millisecond)
}

// wait learns how a payment ended.
func (t *till) wait(ctx context.Context, s *Submission) {
	for ctx.Err() == nil {
		var out submitReply
		status, err := t.run.cluster.ask(ctx, http.MethodGet, "/wait/"+s.ID, nil, &out)
		switch {
		case err == nil && status == http.StatusOK && out.Final:
			t.run.recorder.with(func(*History) { s.Told = out.Outcome })
			return
		case err == nil && status == http.StatusConflict:
			t.run.recorder.with(func(*History) { s.Refused = append(s.Refused, out.Error) })
			return
		}
		pause(ctx, 20*time.Millisecond)
	}
}

// withdraw tries to stop a payment before it is sent.
func (t *till) withdraw(ctx context.Context, s *Submission) {
	var out submitReply
	status, err := t.run.cluster.ask(ctx, http.MethodPost, "/withdraw/"+s.ID, nil, &out)
	if err == nil && status == http.StatusOK && out.Outcome == tillroute.Cancelled.String() {
		t.run.recorder.with(func(*History) { s.Withdrawn, s.Told = true, out.Outcome })
	}
}
