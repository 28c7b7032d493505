// Package deliverytest holds the tests that every receiver passes whose deliveries are handled by package delivery, and whose
// vendor is told nothing but whether one was.
package deliverytest

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/memstore"
)

// System is a receiver that is tested.
type System struct {
	// Word is what it calls a delivery in its log, and Posted something of Request that must not be there.
	Word, Posted string
	// Handled is the status of a delivery that was handled, and RetryAfter is in the answer to one that wasn't.
	Handled    int
	RetryAfter string
	// Timeout is the one that it has if nobody says another.
	Timeout time.Duration
	// New returns a receiver.
	New func(Config) (http.Handler, error)
	// Request returns a request that delivers: the same each time.
	Request func(context.Context) *http.Request
}

// Config is what all receivers have in their configurations.
type Config struct {
	Deliveries pairing.Deliveries
	Source     string
	Timeout    time.Duration
	Logger     *slog.Logger
	Handle     func(context.Context) error
}

// Run runs the tests.
func Run(t *testing.T, y System) {
	t.Helper()
	for name, test := range map[string]func(*testing.T){
		"DeliveryIsHandledOnce":                      y.testDeliveryIsHandledOnce,
		"SourcesAreIndependent":                      y.testSourcesAreIndependent,
		"FaultsOfOursAskForAnotherDelivery":          y.testFaultsOfOursAskForAnotherDelivery,
		"HandledNeedNotComeAgain":                    y.testHandledNeedNotComeAgain,
		"HandledIsWrittenDownInSpiteOfAMomentsFault": y.testHandledIsWrittenDownInSpiteOfAMomentsFault,
		"LostAnswerOfTheStoreIsNoNews":               y.testLostAnswerOfTheStoreIsNoNews,
		"FreeAgainAfterItsLease":                     y.testFreeAgainAfterItsLease,
		"BeingHandledIsDeliveredAgain":               y.testBeingHandledIsDeliveredAgain,
		"NeverTwiceAtOnceInOneProcess":               y.testNeverTwiceAtOnceInOneProcess,
		"WhoIsLateHandlesNothing":                    y.testWhoIsLateHandlesNothing,
		"HandlerThatDies":                            y.testHandlerThatDies,
		"HandlingIsBounded":                          y.testHandlingIsBounded,
		"BodyIsBounded":                              y.testBodyIsBounded,
		"HandledThoughTheVendorHungUp":               y.testHandledThoughTheVendorHungUp,
	} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
	}
}

// Store is a store whose methods can be replaced.
type Store struct {
	*memstore.Store

	mu sync.Mutex
	// Keys are all that were begun, behind their source.
	Keys []string
	// Begin, Finish and Fail are called in place of the store, unless they are nil.
	Begin  func(ctx context.Context, source, key string, hash []byte, lease time.Duration) (pairing.Delivery, error)
	Finish func(ctx context.Context, d pairing.Delivery, answer []byte) error
	Fail   func(ctx context.Context, d pairing.Delivery) error
}

// NewStore returns a store that works.
func NewStore() *Store { return &Store{Store: memstore.New(memstore.Config{})} }

// BeginDelivery calls Begin.
func (s *Store) BeginDelivery(ctx context.Context, source, key string, hash []byte, lease time.Duration) (pairing.Delivery, error) {
	s.mu.Lock()
	s.Keys = append(s.Keys, source+" "+key)
	s.mu.Unlock()
	if s.Begin != nil {
		return s.Begin(ctx, source, key, hash, lease)
	}
	return s.Store.BeginDelivery(ctx, source, key, hash, lease)
}

// FinishDelivery calls Finish.
func (s *Store) FinishDelivery(ctx context.Context, d pairing.Delivery, answer []byte) error {
	if s.Finish != nil {
		return s.Finish(ctx, d, answer)
	}
	return s.Store.FinishDelivery(ctx, d, answer)
}

// FailDelivery calls Fail.
func (s *Store) FailDelivery(ctx context.Context, d pairing.Delivery) error {
	if s.Fail != nil {
		return s.Fail(ctx, d)
	}
	return s.Store.FailDelivery(ctx, d)
}

// BeginFails has all deliveries fail to begin.
func (s *Store) BeginFails(err error) {
	s.Begin = func(context.Context, string, string, []byte, time.Duration) (pairing.Delivery, error) {
		return pairing.Delivery{}, err
	}
}

// Down is the error of a store that is down.
func Down() error { return pairing.Errorf(tillroute.KindUnavailable, nil, "the disk is gone") }

// receiver is a receiver, how often it was asked to handle something, and what it logged.
type receiver struct {
	http.Handler

	system System
	handle func(context.Context) error
	log    bytes.Buffer

	mu    sync.Mutex
	calls int
}

func (y System) receiver(t *testing.T, store pairing.Deliveries, changes ...func(*Config)) *receiver {
	t.Helper()
	v := &receiver{system: y}
	config := Config{
		Deliveries: store, Logger: slog.New(slog.NewTextHandler(&v.log, nil)),
		Handle: func(ctx context.Context) error {
			v.mu.Lock()
			v.calls++
			v.mu.Unlock()
			if v.handle != nil {
				return v.handle(ctx)
			}
			return nil
		},
	}
	for _, change := range changes {
		change(&config)
	}
	var err error
	v.Handler, err = y.New(config)
	require.NoError(t, err)
	return v
}

func (v *receiver) called() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.calls
}

func (v *receiver) post(ctx context.Context) int {
	w := httptest.NewRecorder()
	v.ServeHTTP(w, v.system.Request(ctx))
	return w.Code
}

// mustComeAgain posts, and checks that the vendor is told to deliver again, and nothing else.
func (v *receiver) mustComeAgain(t *testing.T, why string) {
	t.Helper()
	w := httptest.NewRecorder()
	v.ServeHTTP(w, v.system.Request(t.Context()))
	require.Equal(t, http.StatusServiceUnavailable, w.Code, why)
	require.Equal(t, v.system.RetryAfter, w.Header().Get("Retry-After"), why)
	require.Less(t, w.Body.Len(), 30, why)
}

// mustComeAgainUntilItsClaimEnds checks that a delivery that was begun at this moment, and of which nobody knows that it is no longer
// being handled, must come again until its claim ends, and returns then.
func (v *receiver) mustComeAgainUntilItsClaimEnds(t *testing.T) {
	t.Helper()
	v.mustComeAgain(t, "nobody knows that it failed")
	// What receivers say of it: after Timeout and 10 s.
	time.Sleep(v.system.Timeout + 9*time.Second)
	v.mustComeAgain(t, "its claim has not ended")
	time.Sleep(time.Second)
}

func (y System) testDeliveryIsHandledOnce(t *testing.T) {
	v := y.receiver(t, NewStore())
	for range 3 {
		require.Equal(t, y.Handled, v.post(t.Context()))
	}
	require.Equal(t, 1, v.called())
	require.Empty(t, v.log.String())
}

func (y System) testSourcesAreIndependent(t *testing.T) {
	store := NewStore()
	one := y.receiver(t, store)
	two := y.receiver(t, store, func(c *Config) { c.Source = "another" })
	three := y.receiver(t, store)
	for _, v := range []*receiver{one, two, three} {
		require.Equal(t, y.Handled, v.post(t.Context()))
	}
	require.Equal(t, []int{1, 1, 0}, []int{one.called(), two.called(), three.called()})
}

func (y System) testFaultsOfOursAskForAnotherDelivery(t *testing.T) {
	for name, test := range map[string]struct {
		handle func(context.Context) error
		begin  error
		logged string
	}{
		"an error":             {handle: func(context.Context) error { return errors.New("not now") }, logged: "not now"},
		"busy":                 {handle: func(context.Context) error { return tillroute.ErrBusy }},
		"a panic":              {handle: func(context.Context) error { panic("oh") }, logged: "suite.go"},
		"an aborting panic":    {handle: func(context.Context) error { panic(http.ErrAbortHandler) }, logged: "the handler panicked"},
		"a store that is down": {begin: Down(), logged: "the disk is gone"},
		"a store that says conflict whatever the key": {begin: pairing.Errorf(tillroute.KindConflict, nil, "odd"), logged: "odd"},
	} {
		store := NewStore()
		v := y.receiver(t, store)
		v.handle = test.handle
		if test.begin != nil {
			store.BeginFails(test.begin)
		}
		for range 2 {
			v.mustComeAgain(t, name)
		}
		require.Contains(t, v.log.String(), test.logged, name)
		require.Equal(t, 2, strings.Count(v.log.String(), `level=WARN msg="`+y.Word+` not handled"`), name)
		require.NotContains(t, v.log.String(), y.Posted, name)
		v.handle, store.Begin = nil, nil
		before := v.called()
		require.Equal(t, y.Handled, v.post(t.Context()), name)
		require.Equal(t, before+1, v.called(), name)
	}
}

func (y System) testHandledNeedNotComeAgain(t *testing.T) {
	for name, finish := range map[string]func() error{"an error": Down, "a panic": func() error { panic("the disk is gone") }} {
		store := NewStore()
		v := y.receiver(t, store)
		store.Finish = func(context.Context, pairing.Delivery, []byte) error { return finish() }
		start := time.Now()
		require.Equal(t, y.Handled, v.post(t.Context()), name)
		require.Less(t, time.Since(start), 2*time.Second, name)
		require.Equal(t, 1, v.called(), name)
		require.Contains(t, v.log.String(), `level=WARN msg="`+y.Word+` handled, and that was not written down"`, name)
		require.Contains(t, v.log.String(), "the disk is gone", name)
		require.NotContains(t, v.log.String(), y.Posted, name)
	}
}

func (y System) testHandledIsWrittenDownInSpiteOfAMomentsFault(t *testing.T) {
	store := NewStore()
	v := y.receiver(t, store)
	faults := 3
	store.Finish = func(ctx context.Context, d pairing.Delivery, answer []byte) error {
		if faults--; faults >= 0 {
			return Down()
		}
		return store.Store.FinishDelivery(ctx, d, answer)
	}
	require.Equal(t, y.Handled, v.post(t.Context()))
	time.Sleep(time.Hour)
	require.Equal(t, y.Handled, v.post(t.Context()))
	require.Equal(t, 1, v.called())
	require.Empty(t, v.log.String())
}

func (y System) testLostAnswerOfTheStoreIsNoNews(t *testing.T) {
	store := NewStore()
	v := y.receiver(t, store)
	store.Finish = func(ctx context.Context, d pairing.Delivery, answer []byte) error {
		if err := store.Store.FinishDelivery(ctx, d, answer); err != nil {
			return err
		}
		return Down()
	}
	require.Equal(t, y.Handled, v.post(t.Context()))
	require.Equal(t, y.Handled, v.post(t.Context()))
	require.Equal(t, 1, v.called())
	require.Empty(t, v.log.String())
}

func (y System) testFreeAgainAfterItsLease(t *testing.T) {
	store := NewStore()
	v := y.receiver(t, store)
	store.Fail = func(context.Context, pairing.Delivery) error { return Down() }
	v.handle = func(context.Context) error { return errors.New("not now") }
	v.mustComeAgain(t, "")
	require.Contains(t, v.log.String(), "not now; and that was not written down: ")
	require.NotContains(t, v.log.String(), y.Word+" handled")
	v.handle = nil
	v.mustComeAgainUntilItsClaimEnds(t)
	require.Equal(t, y.Handled, v.post(t.Context()))
	require.Equal(t, 2, v.called())
}

func (y System) testBeingHandledIsDeliveredAgain(t *testing.T) {
	store := NewStore()
	v, other := y.receiver(t, store), y.receiver(t, store)
	proceed := make(chan struct{})
	v.handle = func(context.Context) error {
		<-proceed
		return nil
	}
	var first sync.WaitGroup
	first.Go(func() { assert.Equal(t, y.Handled, v.post(t.Context())) })
	synctest.Wait()
	for _, node := range []*receiver{v, other} {
		node.mustComeAgain(t, "who says that it is handled must know")
		require.Contains(t, node.log.String(), "is being handled")
	}
	close(proceed)
	first.Wait()
	require.Equal(t, y.Handled, v.post(t.Context()))
	require.Equal(t, 1, v.called())
}

func (y System) testNeverTwiceAtOnceInOneProcess(t *testing.T) {
	v := y.receiver(t, NewStore())
	v.handle = func(context.Context) error {
		time.Sleep(time.Hour) // whatever its context says
		return nil
	}
	var first sync.WaitGroup
	first.Go(func() { assert.Equal(t, y.Handled, v.post(t.Context()), "who succeeds late has succeeded") })
	time.Sleep(30 * time.Minute)
	v.mustComeAgain(t, "its claim has ended, and it has not")
	first.Wait()
	require.Equal(t, y.Handled, v.post(t.Context()))
	require.Equal(t, 1, v.called(), "it was written down")
}

// testWhoIsLateHandlesNothing has a process freeze after its claim, until another one has handled the delivery.
func (y System) testWhoIsLateHandlesNothing(t *testing.T) {
	store := NewStore()
	frozen, other := y.receiver(t, store), y.receiver(t, store.Store)
	store.Begin = func(ctx context.Context, source, key string, hash []byte, lease time.Duration) (pairing.Delivery, error) {
		d, err := store.Store.BeginDelivery(ctx, source, key, hash, lease)
		time.Sleep(time.Minute)
		return d, err
	}
	var first sync.WaitGroup
	first.Go(func() { assert.Equal(t, http.StatusServiceUnavailable, frozen.post(t.Context())) })
	time.Sleep(45 * time.Second)
	require.Equal(t, y.Handled, other.post(t.Context()))
	first.Wait()
	require.Zero(t, frozen.called())
	require.Contains(t, frozen.log.String(), "the store of deliveries was too slow")
	store.Begin = nil
	require.Equal(t, y.Handled, frozen.post(t.Context()), "it was handled")
	require.Equal(t, 1, frozen.called()+other.called())
}

func (y System) testHandlerThatDies(t *testing.T) {
	store := NewStore()
	dead, next := y.receiver(t, store), y.receiver(t, store)
	dead.handle = func(context.Context) error {
		runtime.Goexit()
		return nil
	}
	var first sync.WaitGroup
	first.Go(func() { dead.post(t.Context()) })
	first.Wait()
	next.mustComeAgainUntilItsClaimEnds(t)
	dead.handle = nil
	require.Equal(t, y.Handled, dead.post(t.Context()), "nothing is left behind in its process either")
	require.Equal(t, y.Handled, next.post(t.Context()))
	require.Zero(t, next.called())
}

func (y System) testHandlingIsBounded(t *testing.T) {
	for timeout, want := range map[time.Duration]time.Duration{0: y.Timeout, time.Second: time.Second} {
		v := y.receiver(t, NewStore(), func(c *Config) { c.Timeout = timeout })
		v.handle = func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}
		start := time.Now()
		v.mustComeAgain(t, "")
		require.Equal(t, want, time.Since(start))
	}
	// A handler that is too slow for its context and succeeds all the same has succeeded.
	store := NewStore()
	slow, other := y.receiver(t, store), y.receiver(t, store)
	slow.handle = func(context.Context) error {
		time.Sleep(y.Timeout + 5*time.Second)
		return nil
	}
	var first sync.WaitGroup
	first.Go(func() { assert.Equal(t, y.Handled, slow.post(t.Context())) })
	time.Sleep(y.Timeout + 4*time.Second)
	other.mustComeAgain(t, "its claim is longer than that")
	first.Wait()
	start := time.Now()
	require.Equal(t, y.Handled, slow.post(t.Context()))
	require.Zero(t, time.Since(start), "it was written down")
}

// endless is a body that has no end, and counts what is read of it.
type endless struct{ read int64 }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	e.read += int64(len(p))
	return len(p), nil
}

func (*endless) Close() error { return nil }

func (y System) testBodyIsBounded(t *testing.T) {
	const most = 5 << 20 // more than any receiver's default
	for name, change := range map[string]func(*http.Request){
		"unsaid": func(r *http.Request) { r.ContentLength = -1 },
		"said":   func(r *http.Request) { r.ContentLength = 100 << 20 },
		"a lie":  func(r *http.Request) { r.ContentLength = 10 },
		"packed": func(r *http.Request) {
			r.ContentLength = -1
			r.Header.Set("Content-Encoding", "gzip")
		},
	} {
		v, body := y.receiver(t, NewStore()), &endless{}
		r := y.Request(t.Context())
		r.Body = body
		change(r)
		w := httptest.NewRecorder()
		v.ServeHTTP(w, r)
		require.NotEqual(t, y.Handled, w.Code, name)
		require.Zero(t, v.called(), name)
		require.Less(t, body.read, int64(most), name)
		require.NotContains(t, v.log.String(), "xxxx", name)
	}
}

func (y System) testHandledThoughTheVendorHungUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	store := NewStore()
	v := y.receiver(t, store)
	v.handle = func(ctx context.Context) error {
		cancel()
		return ctx.Err()
	}
	require.Equal(t, y.Handled, v.post(ctx))
	require.Equal(t, y.Handled, v.post(t.Context()))
	require.Equal(t, 1, v.called(), "it was written down")
}
