// Package metrics tells Prometheus what a [pairing.Router] does, and what waits in its store:
//
//	counts, err := metrics.New(metrics.Config{Counter: store, Providers: []string{smartconnect.Provider}})
//	if err != nil {
//		return err
//	}
//	router, err := pairing.New(pairing.Config{Store: store, Drivers: drivers, Observer: counts.Observe})
//	…
//	registry := prometheus.NewRegistry()
//	registry.MustRegister(counts)
//	http.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
//
// # Of the store
//
// These are asked when Prometheus asks, and are the same on every node: take the maximum over the nodes, not the sum.
//
//	tillroute_payments{provider,state}            payments that are queued, sending, sent or unknown (parked for a person)
//	tillroute_payments_oldest_seconds{provider,state}
//	                                              how long ago the oldest of them was accepted; 0 if there is none
//	tillroute_store_up                            whether the store has answered; if not, the two above are missing
//
// # Of this node
//
//	tillroute_payments_ended_total{provider,kind,outcome}
//	                                              payments whose end this node wrote down; unknown ones were parked
//	tillroute_payment_steps_total{provider,step}  what else was done, by the values of [pairing.Step]: "handed
//	                                              over", "requeued", "taken up", "withdrawn", "resolved", "fenced"
//	tillroute_payment_wait_seconds{provider}      from a payment's acceptance until the terminal's side has taken it
//	tillroute_payment_terminal_seconds{provider}  from then until it ended
//
// The wait is measured from a time by the store's clock to one by the node's: where the two differ it is wrong by that.
//
// # How many series
//
// Labels take few values: the providers, the kinds that [Config] names, outcomes, states, steps. Nothing is labelled with a
// payment, a register or a merchant. [Config.Terminals] adds terminals to the first two.
package metrics

import (
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

// Config says what to tell. The zero value is ready to use, and tells of the node alone.
type Config struct {
	// Counter is the router's store: memstore, sqlitestore and pgstore can count. Nil leaves out what comes from it.
	Counter pairing.Counter
	// Limit is how many open payments, and how many parked ones, the store looks at; what lies beyond isn't told.
	// Defaults to 100 000, at least 1.
	Limit int
	// Timeout is how long the store may take. Defaults to 2 s, at least 1 ms. The store is asked by one caller at a time and at
	// most once a second; who asks meanwhile gets the same answer.
	Timeout time.Duration
	// Providers are those of the terminals that are served: their series are there from the beginning, at 0. Those of
	// other providers are added when they first have a payment.
	Providers []string
	// Kinds are the kinds of payments to tell apart besides Purchase and Refund; all others are "other".
	Kinds []pairing.Kind
	// Terminals has tillroute_payments and tillroute_payments_oldest_seconds tell terminals apart, by their serials. That
	// is a few series for each terminal that has open or parked payments, and none for the others.
	Terminals bool
}

// Collector is a [prometheus.Collector]. It is safe for concurrent use, also by several routers. [New] makes one.
type Collector struct {
	config Config
	kinds  []pairing.Kind
	ended  *prometheus.CounterVec
	steps  *prometheus.CounterVec
	wait   *prometheus.HistogramVec
	served *prometheus.HistogramVec

	backlog backlog
}

var _ prometheus.Collector = (*Collector)(nil)

const other = "other"

// New checks the configuration and returns a collector. It asks nothing of the store yet. Its error, of kind Invalid, names every
// field that is wrong.
func New(c Config) (*Collector, error) {
	var problems []string
	if c.Limit == 0 {
		c.Limit = 100_000
	}
	if c.Timeout == 0 {
		c.Timeout = 2 * time.Second
	}
	if c.Limit < 1 {
		problems = append(problems, "Limit must be at least 1")
	}
	if c.Timeout < time.Millisecond {
		problems = append(problems, "Timeout must be at least 1ms")
	}
	if slices.Contains(c.Providers, "") {
		problems = append(problems, "Providers has one without a name")
	}
	if len(problems) > 0 {
		return nil, tillroute.Invalid("metrics", "New", "%s", strings.Join(problems, "; "))
	}
	m := &Collector{
		config: c,
		kinds:  append([]pairing.Kind{pairing.Purchase, pairing.Refund, other}, c.Kinds...),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tillroute_payments_ended_total",
			Help: "Payments whose end was written down, by outcome; unknown ones wait for a person.",
		}, []string{"provider", "kind", "outcome"}),
		steps: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tillroute_payment_steps_total",
			Help: "Other steps of payments: fenced ones tell of a lost lease, requeued ones of a busy terminal.",
		}, []string{"provider", "step"}),
		wait: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "tillroute_payment_wait_seconds",
			Help:    "Time from a payment's acceptance until the terminal's side has taken it.",
			Buckets: []float64{.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600},
		}, []string{"provider"}),
		served: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "tillroute_payment_terminal_seconds",
			Help:    "Time from when the terminal's side has taken a payment until it ended.",
			Buckets: []float64{1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600},
		}, []string{"provider"}),
	}
	m.backlog.init(c)
	for _, provider := range c.Providers {
		m.begin(provider)
	}
	return m, nil
}

// begin adds the series of a provider. A counter that appears with its first event looks as if nothing had happened.
func (m *Collector) begin(provider string) {
	if !m.backlog.meet(provider) {
		return
	}
	for o := tillroute.Unknown; o <= tillroute.Failed; o++ {
		for _, kind := range m.kinds {
			m.ended.WithLabelValues(provider, string(kind), o.String())
		}
	}
	for _, step := range []pairing.Step{
		pairing.HandedOver, pairing.Requeued, pairing.TakenUp, pairing.Withdrawn, pairing.Resolved, pairing.Fenced,
	} {
		m.steps.WithLabelValues(provider, string(step))
	}
	m.wait.WithLabelValues(provider)
	m.served.WithLabelValues(provider)
}

// Observe counts a step. It is for the Observer of [pairing.Config], and returns at once.
func (m *Collector) Observe(e pairing.Event) {
	provider := e.Payment.Terminal.Provider
	m.begin(provider)
	if e.Step == pairing.Ended {
		if e.Took > 0 {
			m.served.WithLabelValues(provider).Observe(e.Took.Seconds())
		}
		m.ended.WithLabelValues(provider, m.kind(e.Payment.Kind), e.Payment.Outcome().String()).Inc()
		return
	}
	if e.Step == pairing.HandedOver {
		m.wait.WithLabelValues(provider).Observe(e.Took.Seconds())
	}
	m.steps.WithLabelValues(provider, string(e.Step)).Inc()
}

func (m *Collector) kind(k pairing.Kind) string {
	if slices.Contains(m.kinds, k) {
		return string(k)
	}
	return other
}

// Describe tells which metrics there are.
func (m *Collector) Describe(ch chan<- *prometheus.Desc) {
	m.ended.Describe(ch)
	m.steps.Describe(ch)
	m.wait.Describe(ch)
	m.served.Describe(ch)
	m.backlog.describe(ch)
}

// Collect tells what they are now. It asks the store, unless that has answered within the last second, and takes no longer than
// [Config.Timeout] then.
func (m *Collector) Collect(ch chan<- prometheus.Metric) {
	m.ended.Collect(ch)
	m.steps.Collect(ch)
	m.wait.Collect(ch)
	m.served.Collect(ch)
	m.backlog.collect(ch)
}
