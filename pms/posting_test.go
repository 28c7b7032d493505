package pms_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/sqlitestore"
	"github.com/tillroute/tillroute/pms"
	"github.com/tillroute/tillroute/pms/pmstest"
)

func TestDuplicateIsAnsweredTheSame(t *testing.T) {
	store := newStore()
	h, other := newHotel(t, store), newHotel(t, store)
	bill := pmstest.NewCharge(apiKey)
	first := h.post(bill)
	for _, node := range []*hotel{h, other, h} {
		w := node.post(bill)
		require.Equal(t, first.Code, w.Code)
		require.Equal(t, first.Body.String(), w.Body.String())
		require.Equal(t, first.Header(), w.Header())
	}
	require.Equal(t, 1, h.Calls())
	require.Zero(t, other.Calls())
}

func TestDuplicateAfterARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hotel.db")
	bill := pmstest.NewCharge(apiKey)
	for i := range 2 {
		store, err := sqlitestore.Open(t.Context(), sqlitestore.Config{Path: path})
		require.NoError(t, err)
		h := newHotel(t, store)
		require.Equal(t, http.StatusOK, h.post(bill).Code)
		require.Equal(t, 1-i, h.Calls())
		require.NoError(t, store.Close())
	}
}

func TestSameKeyWithAnotherBodyIsRefusedAndReported(t *testing.T) {
	h := newHotel(t, newStore())
	bill := pmstest.NewCharge(apiKey)
	require.Equal(t, http.StatusOK, h.post(bill).Code)
	other := pmstest.NewCharge(apiKey)
	other.Key = bill.Key
	for _, changed := range []*pmstest.Charge{bill.Clone().Set("payments.0.amount", 12), other} {
		w := h.post(changed)
		require.Equal(t, http.StatusConflict, w.Code)
		require.Equal(t, "Refused: differs from its first delivery", told(t, w))
	}
	require.Equal(t, 1, h.Calls())
	require.Equal(t, 2, strings.Count(h.log.String(), "level=ERROR"))
	require.Contains(t, h.log.String(), bill.Key)
	require.Equal(t, http.StatusOK, h.post(bill).Code, "the first one stands")
}

func TestSameBillUnderAnotherKey(t *testing.T) {
	for name, drop := range map[string]string{"fiscId": "none", "uuid": "fiscId"} {
		t.Run(name, func(t *testing.T) {
			h := newHotel(t, newStore())
			bill := pmstest.NewCharge(apiKey).Remove(drop)
			require.Equal(t, http.StatusOK, h.post(bill).Code)
			again := bill.Again()
			for range 2 {
				require.Equal(t, http.StatusOK, h.post(again).Code, "it was posted")
			}
			require.Equal(t, 1, h.Calls())
			w := h.post(bill.Again().Set("payments.0.reservationId", "002"))
			require.Equal(t, http.StatusConflict, w.Code)
			require.Equal(t, "Refused: bill was posted with other content", told(t, w))
			require.Equal(t, 1, h.Calls())
			require.Equal(t, 1, strings.Count(h.log.String(), "level=ERROR"))
			require.Equal(t, http.StatusOK, h.post(bill.Void()).Code, "a void is a bill of its own")
			reversal, corrected := bill.TipCorrection("2")
			require.Equal(t, http.StatusOK, h.post(reversal).Code)
			require.Equal(t, http.StatusOK, h.post(corrected).Code)
			require.Equal(t, 4, h.Calls())
		})
	}
	// The key that was refused isn't used up.
	h := newHotel(t, newStore())
	bill := pmstest.NewCharge(apiKey)
	h.post(bill)
	refused := bill.Again().Set("name", "another")
	require.Equal(t, http.StatusConflict, h.post(refused).Code)
	fresh := pmstest.NewCharge(apiKey)
	fresh.Key = refused.Key
	require.Equal(t, http.StatusOK, h.post(fresh).Code)
}

func TestBillsWithoutANameAreKnownByTheirKeys(t *testing.T) {
	h := newHotel(t, newStore())
	bill := pmstest.NewCharge(apiKey).Remove("fiscId").Remove("uuid")
	for _, c := range []*pmstest.Charge{bill, bill, bill.Again()} {
		require.Equal(t, http.StatusOK, h.post(c).Code)
	}
	require.Equal(t, 2, h.Calls())
}

func TestKeysOnly(t *testing.T) {
	h := newHotel(t, newStore(), func(c *pms.Config) { c.KeysOnly = true })
	bill := pmstest.NewCharge(apiKey)
	for _, c := range []*pmstest.Charge{bill, bill, bill.Again(), bill.Again().Set("name", "x")} {
		require.Equal(t, http.StatusOK, h.post(c).Code)
	}
	require.Equal(t, 3, h.Calls())
}

func TestSourcesAreIndependent(t *testing.T) {
	store := newStore()
	one, two := newHotel(t, store), newHotel(t, store, func(c *pms.Config) { c.Source = "annex" })
	bill := pmstest.NewCharge(apiKey)
	require.Equal(t, http.StatusOK, one.post(bill).Code)
	require.Equal(t, http.StatusOK, two.post(bill).Code)
	require.Equal(t, 1, two.Calls())
}

func TestKeysAreForOperators(t *testing.T) {
	var keys []string
	store := &faulty{Store: newStore()}
	store.begin = func(ctx context.Context, source, key string, hash []byte, lease time.Duration) (pairing.Delivery, error) {
		keys = append(keys, source+" "+key)
		return store.Store.BeginDelivery(ctx, source, key, hash, lease)
	}
	h := newHotel(t, store)
	bill := pmstest.NewCharge(apiKey).Set("fiscId", "A1234.5")
	bill.Key = "LS1_123"
	require.Equal(t, http.StatusOK, h.post(bill).Code)
	require.Equal(t, []string{"pms key//LS1_123", "pms bill//hotel/A1234.5"}, keys)
	for _, odd := range []string{"a/b", "a b", strings.Repeat("k", 255), "ü"} {
		keys = nil
		bill := pmstest.NewCharge(apiKey).Set("businessExternalReference", odd)
		bill.Key = odd
		require.Equal(t, http.StatusOK, h.post(bill).Code)
		require.Regexp(t, "^pms key/sha256:[0-9a-f]{64}$", keys[0])
		require.Regexp(t, "^pms bill/sha256:[0-9a-f]{64}$", keys[1])
	}
}

func TestDuplicateWaitsForTheFirst(t *testing.T) {
	for name, again := range map[string]func(*pmstest.Charge) *pmstest.Charge{
		"the same key": (*pmstest.Charge).Clone, "another key": (*pmstest.Charge).Again,
	} {
		for where, node := range map[string]bool{"here": false, "on another node": true} {
			t.Run(name+" "+where, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					store := newStore()
					h := newHotel(t, store)
					h.Before = func(context.Context, pms.Charge) error {
						time.Sleep(3 * time.Second)
						return nil
					}
					second := h
					if node {
						second = newHotel(t, store)
					}
					bill := pmstest.NewCharge(apiKey)
					var all sync.WaitGroup
					all.Go(func() { assert.Equal(t, http.StatusOK, h.post(bill).Code) })
					synctest.Wait()
					start := time.Now()
					for range 20 {
						all.Go(func() { assert.Equal(t, http.StatusOK, second.post(again(bill)).Code) })
					}
					all.Wait()
					require.Less(t, time.Since(start), 4*time.Second)
					require.Equal(t, 1, h.Calls()+(second.Calls()*map[bool]int{true: 1}[node]))
				})
			})
		}
	}
}

func TestDuplicateDoesNotWaitForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore()
		h, other := newHotel(t, store), newHotel(t, store)
		h.Before = func(context.Context, pms.Charge) error {
			time.Sleep(time.Hour) // whatever its context says
			return nil
		}
		bill := pmstest.NewCharge(apiKey)
		var first sync.WaitGroup
		first.Go(func() { assert.Equal(t, http.StatusOK, h.post(bill).Code, "who succeeds late has succeeded") })
		synctest.Wait()
		for _, node := range []*hotel{h, other} {
			start := time.Now()
			w := node.post(bill)
			require.Equal(t, http.StatusServiceUnavailable, w.Code)
			require.Equal(t, "Still being posted: wait and try again", told(t, w))
			require.NotEmpty(t, w.Header().Get("Retry-After"))
			require.Equal(t, 10*time.Second, time.Since(start))
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			node.send(bill.Request(ctx, "/pms"))
			cancel()
			require.Equal(t, 11*time.Second, time.Since(start), "nobody waits any more")
		}
		time.Sleep(30 * time.Minute)
		require.Equal(t, http.StatusServiceUnavailable, h.post(bill).Code, "never two at once in one process, though its claim has ended")
		require.Equal(t, 1, h.Calls())
		first.Wait()
		require.Equal(t, http.StatusOK, h.post(bill).Code)
		require.Equal(t, 1, h.Calls())
	})
}

func TestFailureOfTheFirstIsTheTurnOfTheSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHotel(t, newStore())
		h.Before = func(context.Context, pms.Charge) error {
			time.Sleep(time.Second)
			if h.Calls() == 1 {
				return errors.New("not now")
			}
			return nil
		}
		bill := pmstest.NewCharge(apiKey)
		var all sync.WaitGroup
		all.Go(func() { assert.Equal(t, http.StatusInternalServerError, h.post(bill).Code) })
		synctest.Wait()
		all.Go(func() { assert.Equal(t, http.StatusOK, h.post(bill).Code) })
		all.Wait()
		require.Len(t, h.Posted(), 1)
	})
}

func TestProcessThatDiesWhilePosting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &faulty{Store: newStore()}
		died := newHotel(t, store)
		hotelSystem := &pmstest.Recorder{}
		// What is posted is posted, and then nothing is written down any more.
		died.Before = func(ctx context.Context, c pms.Charge) error {
			if err := hotelSystem.Charge(ctx, c); err != nil {
				t.Error(err)
			}
			runtime.Goexit()
			return nil
		}
		bill := pmstest.NewCharge(apiKey)
		began := time.Now()
		var all sync.WaitGroup
		all.Go(func() { died.post(bill) })
		all.Wait()
		next := newHotel(t, store, func(c *pms.Config) { c.Backend = hotelSystem })
		refusedUntilItsClaimEnds(t, next, bill, began)
		require.Equal(t, 2, hotelSystem.Calls(), "nobody but the backend can know")
		require.Len(t, hotelSystem.Posted(), 1)
	})
}

func TestStoreThatIsDown(t *testing.T) {
	store := &faulty{Store: newStore()}
	h := newHotel(t, store)
	bill := pmstest.NewCharge(apiKey)
	for name, fails := range map[string]string{"at the key": "key/", "at the bill": "bill/"} {
		store.begin = func(ctx context.Context, source, key string, hash []byte, lease time.Duration) (pairing.Delivery, error) {
			if strings.HasPrefix(key, fails) {
				return pairing.Delivery{}, down()
			}
			return store.Store.BeginDelivery(ctx, source, key, hash, lease)
		}
		w := h.post(bill)
		require.Equal(t, http.StatusServiceUnavailable, w.Code, name)
		require.Equal(t, "Not posted, hotel system is down: try again", told(t, w))
	}
	require.Zero(t, h.Calls())
	store.begin = nil
	require.Equal(t, http.StatusOK, h.post(bill).Code, "nothing is left behind")
}

func TestStoreThatIsDownAfterPosting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &faulty{Store: newStore(), finish: func(context.Context, pairing.Delivery) error { return down() }}
		h := newHotel(t, store)
		bill := pmstest.NewCharge(apiKey)
		require.Equal(t, http.StatusOK, h.post(bill).Code, "it was posted")
		require.Contains(t, h.log.String(), "level=ERROR")
		require.Contains(t, h.log.String(), "the disk is gone")
		store.finish = nil
		require.Equal(t, http.StatusServiceUnavailable, h.post(bill).Code)
		time.Sleep(90 * time.Second)
		require.Equal(t, http.StatusOK, h.post(bill).Code)
		require.Len(t, h.Posted(), 1, "the backend knew it")
	})
}

func TestStoreThatIsDownForAMomentAfterPosting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, failures := &faulty{Store: newStore()}, 0
		var mu sync.Mutex
		store.finish = func(context.Context, pairing.Delivery) error {
			mu.Lock()
			defer mu.Unlock()
			if failures++; failures <= 6 {
				return down()
			}
			return nil
		}
		h := newHotel(t, store)
		bill := pmstest.NewCharge(apiKey)
		require.Equal(t, http.StatusOK, h.post(bill).Code)
		require.Empty(t, h.log.String())
		require.Equal(t, http.StatusOK, h.post(bill).Code)
		require.Equal(t, 1, h.Calls())
	})
}

// forgetful is a store whose answers to the first attempts to finish are lost.
type forgetful struct {
	*faulty

	lost atomic.Int32
}

func (f *forgetful) FinishDelivery(ctx context.Context, d pairing.Delivery, answer []byte) error {
	if err := f.Store.FinishDelivery(ctx, d, answer); err != nil {
		return err
	}
	f.lost.Add(1)
	return down()
}

func TestAnswerOfTheStoreThatIsLostAlarmsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &forgetful{faulty: &faulty{Store: newStore()}}
		h := newHotel(t, store)
		bill := pmstest.NewCharge(apiKey)
		for range 2 {
			require.Equal(t, http.StatusOK, h.post(bill).Code)
		}
		require.Equal(t, 1, h.Calls())
		require.EqualValues(t, 2, store.lost.Load(), "of the key and of the bill")
		require.Empty(t, h.log.String(), "it was written down, and posted once")
	})
}

func TestStoreThatPanicsAfterPosting(t *testing.T) {
	for _, name := range []string{"key", "bill"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &faulty{Store: newStore(), finish: func(_ context.Context, d pairing.Delivery) error {
					if strings.HasPrefix(d.Key, name) {
						panic("panic-0001")
					}
					return nil
				}}
				h := newHotel(t, store)
				require.Equal(t, http.StatusOK, h.post(pmstest.NewCharge(apiKey)).Code, "it was posted")
				require.Equal(t, 1, strings.Count(h.log.String(), "level=ERROR"))
				require.Contains(t, h.log.String(), "panic-0001")
			})
		})
	}
}

func TestNodeThatWasOvertakenSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore()
		slow, quick := newHotel(t, store), newHotel(t, store)
		slow.Before = func(context.Context, pms.Charge) error {
			time.Sleep(5 * time.Minute)
			return nil
		}
		bill := pmstest.NewCharge(apiKey)
		var all sync.WaitGroup
		all.Go(func() { assert.Equal(t, http.StatusOK, slow.post(bill).Code) })
		time.Sleep(2 * time.Minute)
		require.Equal(t, http.StatusOK, quick.post(bill).Code)
		all.Wait()
		require.Contains(t, slow.log.String(), "see whether it was posted twice")
		require.Contains(t, slow.log.String(), "level=ERROR")
	})
}

func TestStoreThatIsTooSlowPostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &faulty{Store: newStore()}
		store.begin = func(ctx context.Context, source, key string, hash []byte, lease time.Duration) (pairing.Delivery, error) {
			d, err := store.Store.BeginDelivery(ctx, source, key, hash, lease)
			time.Sleep(11 * time.Second) // whatever the context says
			return d, err
		}
		h := newHotel(t, store, func(c *pms.Config) { c.KeysOnly = true })
		bill := pmstest.NewCharge(apiKey)
		require.Equal(t, http.StatusServiceUnavailable, h.post(bill).Code)
		require.Zero(t, h.Calls(), "who is late may have been overtaken")
		store.begin = nil
		require.Equal(t, http.StatusOK, h.post(bill).Code, "nothing is left behind")
	})
}

func TestFailureThatIsNotWrittenDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &faulty{Store: newStore(), fail: func(context.Context, pairing.Delivery) error { return down() }}
		h := newHotel(t, store)
		h.Before = func(context.Context, pms.Charge) error { return pms.Refuse("No credit") }
		bill := pmstest.NewCharge(apiKey)
		require.Equal(t, "No credit", told(t, h.post(bill)))
		h.Before, store.fail = nil, nil
		refusedUntilItsClaimEnds(t, h, bill, time.Now())
	})
}

// refusedUntilItsClaimEnds checks that a charge, of which nobody knows that it is no longer being posted, is refused for a minute and
// twice the time that the backend has, and not for longer.
func refusedUntilItsClaimEnds(t *testing.T, h *hotel, bill *pmstest.Charge, began time.Time) {
	t.Helper()
	const (
		patience = 10 * time.Second // with which each of them waits
		claim    = time.Minute + 2*patience
	)
	for _, again := range []*pmstest.Charge{bill, bill.Again()} {
		w := h.post(again)
		require.Equal(t, http.StatusServiceUnavailable, w.Code, "the bill is claimed, too")
		require.Equal(t, "Still being posted: wait and try again", told(t, w))
		require.Equal(t, "10", w.Header().Get("Retry-After"))
	}
	time.Sleep(time.Until(began.Add(claim - patience - 100*time.Millisecond)))
	require.Equal(t, http.StatusServiceUnavailable, h.post(bill).Code)
	time.Sleep(time.Until(began.Add(claim)))
	require.Equal(t, http.StatusOK, h.post(bill).Code)
	require.Equal(t, began.Add(claim), time.Now(), "at once")
}

func TestBackendIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for timeout, want := range map[time.Duration]time.Duration{0: 10 * time.Second, time.Second: time.Second} {
			h := newHotel(t, newStore(), func(c *pms.Config) { c.Timeout = timeout })
			h.Before = func(ctx context.Context, _ pms.Charge) error {
				<-ctx.Done()
				return errors.New("given up")
			}
			start := time.Now()
			w := h.post(pmstest.NewCharge(apiKey))
			require.Equal(t, http.StatusGatewayTimeout, w.Code)
			require.Equal(t, "No answer from hotel system: check the folio", told(t, w))
			require.Equal(t, want, time.Since(start))
		}
	})
}

func TestBackendThatPostsAndFails(t *testing.T) {
	h := newHotel(t, newStore())
	h.After = func(context.Context, pms.Charge) error { return errors.New("the answer was lost") }
	bill := pmstest.NewCharge(apiKey)
	require.Equal(t, http.StatusInternalServerError, h.post(bill).Code)
	h.After = nil
	require.Equal(t, http.StatusOK, h.post(bill.Again()).Code)
	require.Len(t, h.Posted(), 1, "a backend knows the bill")
}

func TestChargeIsPostedThoughThePointOfSaleHungUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	h := newHotel(t, newStore())
	h.Before = func(ctx context.Context, _ pms.Charge) error {
		cancel()
		return ctx.Err()
	}
	bill := pmstest.NewCharge(apiKey)
	require.Equal(t, http.StatusOK, h.send(bill.Request(ctx, "/pms")).Code)
	require.Equal(t, http.StatusOK, h.post(bill).Code)
	require.Equal(t, 1, h.Calls())
}

func TestManyAtOnceOnTwoNodes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hotel.db")
	known := &pmstest.Recorder{}
	var nodes []*httptest.Server
	for range 2 {
		// Neither loses its patience with a disk that stands still for a while.
		store, err := sqlitestore.Open(t.Context(), sqlitestore.Config{Path: path, BusyTimeout: 2 * time.Minute})
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, store.Close()) })
		server := httptest.NewServer(newHotel(t, store, func(c *pms.Config) { c.Backend, c.Timeout = known, 2*time.Minute }))
		t.Cleanup(server.Close)
		nodes = append(nodes, server)
	}
	bills := []*pmstest.Charge{pmstest.NewCharge(apiKey), pmstest.NewCharge(apiKey), pmstest.NewCharge(apiKey)}
	var all sync.WaitGroup
	for i := range 60 {
		bill := bills[i%3]
		if i%5 == 0 {
			bill = bill.Again()
		}
		all.Go(func() {
			server := nodes[i%2]
			answer, err := server.Client().Do(bill.Request(t.Context(), server.URL+"/pms"))
			if assert.NoError(t, err) {
				assert.NoError(t, answer.Body.Close())
				assert.Equal(t, http.StatusOK, answer.StatusCode)
			}
		})
	}
	all.Wait()
	require.Equal(t, 3, known.Calls())
	require.Len(t, known.Posted(), 3)
}
