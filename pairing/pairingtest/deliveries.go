package pairingtest

import (
	"errors"
	"fmt"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

func deliveryTests() []test {
	return []test{
		{"FinishAndRepeat", deliveryFinish},
		{"KeysAndSourcesAreIndependent", deliveryKeys},
		{"BusyWhileLeased", deliveryBusy},
		{"OtherHashConflicts", deliveryConflict},
		{"FailForgets", deliveryFail},
		{"AbandonedIsBegunAnew", deliveryAbandoned},
		{"StaleAttemptIsFenced", deliveryFenced},
		{"FenceIsNeverUsedTwice", deliveryFences},
		{"OneOfMany", deliveryRace},
		{"Copies", deliveryCopies},
		{"Purge", deliveryPurge},
	}
}

func (k *kit) begin(source, key, hash string, lease time.Duration) pairing.Delivery {
	k.Helper()
	d, err := k.store.BeginDelivery(k.Context(), source, key, []byte(hash), lease)
	k.ok(err, "beginning a delivery")
	return d
}

func deliveryFinish(k *kit) {
	for i, answer := range []string{"ans\x00wer\xff", "", `{"long":"` + string(make([]byte, 5000)) + `"}`} {
		key := fmt.Sprintf("LS1_ü_%d", i)
		d := k.begin("pms", key, "hash\x00", long)
		k.same(d, pairing.Delivery{Source: "pms", Key: key, Hash: []byte("hash\x00")}, "a delivery that is new is to be handled")
		k.ok(k.store.FinishDelivery(k.Context(), d, []byte(answer)), "finishing a delivery")
		for range 2 {
			again := k.begin("pms", key, "hash\x00", long)
			k.same(again, pairing.Delivery{
				Source: "pms", Key: key, Hash: []byte("hash\x00"), Answered: true, Answer: []byte(answer),
			}, "a delivery that was finished is answered as it was before")
		}
	}
}

func deliveryKeys(k *kit) {
	k.ok(k.store.FinishDelivery(k.Context(), k.begin("a", "1", "h", long), []byte("x")), "finishing a delivery")
	for _, at := range [][2]string{{"a", "2"}, {"b", "1"}, {"", "1"}, {"a", ""}} {
		d := k.begin(at[0], at[1], "other", long)
		k.rule(!d.Answered, "a delivery is of its own source and key", "%s", show(d))
	}
}

func deliveryBusy(k *kit) {
	d := k.begin("s", "k", "h", long)
	_, err := k.store.BeginDelivery(k.Context(), "s", "k", []byte("h"), long)
	k.fails(err, tillroute.ErrBusy, "a delivery that is being handled is Busy")
	k.ok(k.store.FinishDelivery(k.Context(), d, nil), "who was first finishes")
}

func deliveryConflict(k *kit) {
	d := k.begin("s", "k", "h", long)
	refused := func(when string) {
		k.Helper()
		for _, hash := range []string{"H", "", "h\x00"} {
			_, err := k.store.BeginDelivery(k.Context(), "s", "k", []byte(hash), long)
			k.fails(err, tillroute.ErrConflict, "a key that was "+when+" with another hash is a Conflict")
		}
	}
	refused("begun")
	k.ok(k.store.FinishDelivery(k.Context(), d, []byte("answer")), "a conflict changes nothing")
	refused("finished")
	again := k.begin("s", "k", "h", long)
	k.rule(again.Answered && string(again.Answer) == "answer", "a conflict changes nothing", "%s", show(again))
}

func deliveryFail(k *kit) {
	d := k.begin("s", "k", "h", long)
	k.ok(k.store.FailDelivery(k.Context(), d), "failing a delivery")
	again := k.begin("s", "k", "other", long)
	k.rule(!again.Answered, "a failed delivery is forgotten and handled anew, whatever the hash", "%s", show(again))
	k.fails(k.store.FailDelivery(k.Context(), d), pairing.ErrFenced, "an attempt that has failed has no say any more")
	k.ok(k.store.FinishDelivery(k.Context(), again, nil), "finishing a delivery")
	k.fails(k.store.FailDelivery(k.Context(), again), pairing.ErrFenced, "a delivery that was finished can't fail")
	k.rule(k.begin("s", "k", "other", long).Answered, "a delivery that was finished can't fail", "it is handled anew")
}

func deliveryAbandoned(k *kit) {
	first := k.begin("s", "k", "h", short)
	k.pass(short)
	_, err := k.store.BeginDelivery(k.Context(), "s", "k", []byte("other"), long)
	k.fails(err, tillroute.ErrConflict, "a key that was begun with another hash is a Conflict, also when its lease has ended")
	second := k.begin("s", "k", "h", long)
	k.rule(!second.Answered && second.Fence != first.Fence, "a delivery whose lease has ended is begun anew", "%s", show(second))
	_, err = k.store.BeginDelivery(k.Context(), "s", "k", []byte("h"), long)
	k.fails(err, tillroute.ErrBusy, "a delivery that was begun anew is Busy")
}

func deliveryFenced(k *kit) {
	stale := k.begin("s", "k", "h", short)
	k.pass(short)
	latest := k.begin("s", "k", "h", long)
	k.fails(k.store.FinishDelivery(k.Context(), stale, []byte("stale")), pairing.ErrFenced, "who was overtaken can't finish")
	k.fails(k.store.FailDelivery(k.Context(), stale), pairing.ErrFenced, "who was overtaken can't fail")
	_, err := k.store.BeginDelivery(k.Context(), "s", "k", []byte("h"), long)
	k.fails(err, tillroute.ErrBusy, "a fenced attempt changes nothing")
	k.ok(k.store.FinishDelivery(k.Context(), latest, []byte("latest")), "finishing a delivery")
	k.fails(k.store.FinishDelivery(k.Context(), stale, []byte("stale")), pairing.ErrFenced, "who was overtaken can't finish")
	d := k.begin("s", "k", "h", long)
	k.rule(string(d.Answer) == "latest", "a fenced attempt changes nothing", "%s", show(d))
	none := pairing.Delivery{Source: "s", Key: "never", Hash: []byte("h"), Fence: latest.Fence}
	k.fails(k.store.FinishDelivery(k.Context(), none, nil), pairing.ErrFenced, "what was never begun can't be finished")

	late := k.begin("s", "late", "h", short)
	k.pass(short)
	k.ok(k.store.FinishDelivery(k.Context(), late, []byte("late")), "who is late but not overtaken finishes")
}

func deliveryFences(k *kit) {
	seen := map[int64]bool{}
	fresh := func(d pairing.Delivery) {
		k.Helper()
		k.rule(!seen[d.Fence], "a fence tells an attempt to handle a delivery from all others", "fence %d came twice", d.Fence)
		seen[d.Fence] = true
	}
	for range 3 {
		abandoned := k.begin("s", "k", "h", short)
		fresh(abandoned)
		k.pass(short)
		failed := k.begin("s", "k", "h", short)
		fresh(failed)
		k.ok(k.store.FailDelivery(k.Context(), failed), "failing a delivery")
		purged := k.begin("s", "k", "h", short)
		fresh(purged)
		k.fails(k.store.FinishDelivery(k.Context(), abandoned, nil), pairing.ErrFenced, "who was overtaken can't finish")
		k.pass(2 * short)
		n, err := k.store.PurgeDeliveries(k.Context(), short)
		k.ok(err, "purging")
		k.rule(n == 1, "PurgeDeliveries forgets what was abandoned", "%d forgotten", n)
	}
}

func deliveryRace(k *kit) {
	errs := together(100, func(int) error {
		_, err := k.store.BeginDelivery(k.Context(), "s", "k", []byte("h"), long)
		return err
	})
	k.oneWins(errs, tillroute.ErrBusy, "of many deliveries with one key at once, one is handled")

	for _, err := range together(50, func(i int) error {
		d, err := k.store.BeginDelivery(k.Context(), "s", fmt.Sprint(i%5), []byte("h"), long)
		switch {
		case errors.Is(err, tillroute.ErrBusy):
			return nil
		case err != nil:
			return err
		case d.Answered && string(d.Answer) != fmt.Sprint(i%5):
			return fmt.Errorf("the answer to %d is %q", i%5, d.Answer)
		case d.Answered:
			return nil
		}
		return k.store.FinishDelivery(k.Context(), d, fmt.Append(nil, i%5))
	}) {
		k.ok(err, "handling many deliveries at once")
	}
}

func deliveryCopies(k *kit) {
	hash, answer := []byte("hash"), []byte("answer")
	d, err := k.store.BeginDelivery(k.Context(), "s", "k", hash, long)
	k.ok(err, "beginning a delivery")
	k.ok(k.store.FinishDelivery(k.Context(), d, answer), "finishing a delivery")
	clear(hash)
	clear(answer)
	clear(d.Hash)
	for range 2 {
		d := k.begin("s", "k", "hash", long)
		k.rule(string(d.Answer) == "answer", "what a store keeps is a copy", "%s", show(d))
		clear(d.Hash)
		clear(d.Answer)
	}
}

func deliveryPurge(k *kit) {
	k.ok(k.store.FinishDelivery(k.Context(), k.begin("s", "finished", "h", long), []byte("x")), "finishing a delivery")
	k.begin("s", "abandoned", "h", short)
	k.begin("s", "being handled", "h", long)
	purge := func(age time.Duration, want int, rule string) {
		k.Helper()
		n, err := k.store.PurgeDeliveries(k.Context(), age)
		k.ok(err, "purging")
		k.rule(n == want, rule, "%d forgotten, want %d", n, want)
	}
	k.pass(10 * time.Millisecond)
	purge(time.Hour, 0, "PurgeDeliveries keeps what is younger than age")
	k.rule(k.begin("s", "finished", "h", long).Answered, "PurgeDeliveries keeps what is younger than age", "it is handled anew")
	purge(2*time.Millisecond, 2, "PurgeDeliveries forgets what was finished or abandoned more than age ago, and returns how many")
	for _, key := range []string{"finished", "abandoned"} {
		k.rule(!k.begin("s", key, "another", long).Answered, "what was purged is forgotten", "%s is not", key)
	}
	_, err := k.store.BeginDelivery(k.Context(), "s", "being handled", []byte("h"), long)
	k.fails(err, tillroute.ErrBusy, "PurgeDeliveries keeps what is being handled")
	purge(2*time.Millisecond, 0, "PurgeDeliveries keeps what is being handled")
}
