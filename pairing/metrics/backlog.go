package metrics

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tillroute/tillroute/pairing"
)

// maxAge is how long an answer of the store is good for.
const maxAge = time.Second

// backlog tells what the store has to do.
type backlog struct {
	config            Config
	count, oldest, up *prometheus.Desc

	mu    sync.Mutex
	known map[string]bool // providers
	order []string

	asking sync.Mutex // held while the store is asked
	asked  time.Time
	list   []pairing.Backlog
	err    error
}

func (b *backlog) init(c Config) {
	labels := []string{"provider", "state"}
	if c.Terminals {
		labels = []string{"provider", "terminal", "state"}
	}
	b.config, b.known = c, map[string]bool{}
	b.count = prometheus.NewDesc("tillroute_payments", "Payments in the store that are open or wait for a person, by state.", labels, nil)
	b.oldest = prometheus.NewDesc("tillroute_payments_oldest_seconds", "How long ago the oldest of them was accepted.", labels, nil)
	b.up = prometheus.NewDesc("tillroute_store_up", "1 if the store has said what it has, and 0 if not.", nil, nil)
}

// meet reports whether the provider is a new one.
func (b *backlog) meet(provider string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.known[provider] {
		return false
	}
	b.known[provider] = true
	b.order = append(b.order, provider)
	return true
}

func (b *backlog) describe(ch chan<- *prometheus.Desc) {
	if b.config.Counter == nil {
		return
	}
	ch <- b.count
	ch <- b.oldest
	ch <- b.up
}

func (b *backlog) collect(ch chan<- prometheus.Metric) {
	if b.config.Counter == nil {
		return
	}
	list, err := b.ask()
	up := 1.0
	if err != nil {
		up = 0
	}
	ch <- prometheus.MustNewConstMetric(b.up, prometheus.GaugeValue, up)
	if err != nil {
		return // What it was a while ago would look as if it were so now.
	}
	if b.config.Terminals {
		for _, one := range list {
			b.tell(ch, one, one.Terminal.Provider, one.Terminal.Serial, string(one.State))
		}
		return
	}
	type key struct {
		provider string
		state    pairing.State
	}
	sums := map[key]pairing.Backlog{}
	for _, one := range list {
		b.meet(one.Terminal.Provider)
		k := key{one.Terminal.Provider, one.State}
		sum := sums[k]
		sum.Count += one.Count
		sum.Age = max(sum.Age, one.Age)
		sums[k] = sum
	}
	for _, provider := range b.providers() {
		for _, state := range []pairing.State{pairing.Queued, pairing.Sending, pairing.Sent, pairing.Parked} {
			b.tell(ch, sums[key{provider, state}], provider, string(state))
		}
	}
}

func (b *backlog) providers() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.order...)
}

func (b *backlog) tell(ch chan<- prometheus.Metric, one pairing.Backlog, labels ...string) {
	ch <- prometheus.MustNewConstMetric(b.count, prometheus.GaugeValue, float64(one.Count), labels...)
	ch <- prometheus.MustNewConstMetric(b.oldest, prometheus.GaugeValue, one.Age.Seconds(), labels...)
}

// ask asks the store, unless it has just answered.
func (b *backlog) ask() ([]pairing.Backlog, error) {
	b.asking.Lock()
	defer b.asking.Unlock()
	if !b.asked.IsZero() && time.Since(b.asked) < maxAge {
		return b.list, b.err
	}
	ctx, cancel := context.WithTimeout(context.Background(), b.config.Timeout)
	defer cancel()
	b.list, b.err = b.config.Counter.CountPayments(ctx, b.config.Limit)
	b.asked = time.Now()
	return b.list, b.err
}
