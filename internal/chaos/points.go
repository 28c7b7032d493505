package main

import (
	"context"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

// order is damage to be done when a node next comes to a point. The points are "before:" and "after:" followed by
// accept, claim, send, save, renew, requeue and finish.
type order struct {
	Point string
	// Do is one of the words below.
	Do string
	// For is how long to delay.
	For time.Duration
}

const (
	doKill = "kill"
	// doError fails before anything was done, and says so.
	doError = "error"
	// doLose loses the reply of what was done.
	doLose  = "lose"
	doDelay = "delay"
	// doTwice does it again, and returns what that returned.
	doTwice = "twice"
)

// points holds the orders that a node has not come to yet. It is safe for concurrent use.
type points struct {
	mu     sync.Mutex
	orders map[string]order
}

func (p *points) arm(o order) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.orders == nil {
		p.orders = map[string]order{}
	}
	p.orders[o.Point] = o
}

func (p *points) take(point string) order {
	p.mu.Lock()
	defer p.mu.Unlock()
	o := p.orders[point]
	delete(p.orders, point)
	return o
}

// through does something that has a point before it and one after it.
func through[T any](ctx context.Context, p *points, name string, do func() (T, error)) (T, error) {
	var none T
	switch o := p.take("before:" + name); o.Do {
	case doKill:
		die()
	case doDelay:
		pause(ctx, o.For)
	case doError:
		return none, pairing.Errorf(tillroute.KindUnavailable, nil, "%s was made to fail", name)
	}
	got, err := do()
	switch o := p.take("after:" + name); o.Do {
	case doKill:
		die()
	case doDelay:
		pause(ctx, o.For)
	case doLose:
		lost := pairing.Errorf(tillroute.KindUnavailable, err, "the reply of %s was made to get lost", name)
		lost.Outcome = tillroute.Unknown
		return none, lost
	case doTwice:
		return do()
	}
	return got, err
}

// die ends the process as kill -9 does.
func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}
