package pairingtest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

func modelTests() []test {
	return []test{{"RandomOperations", randomOperations}}
}

const (
	scripts    = 200 // how many random scripts TestStore runs
	scriptSize = 90  // bytes of each: about 30 operations
)

// randomOperations runs scripts from fixed seeds, all on one store, in which each has names of its own.
func randomOperations(k *kit) {
	for seed := range uint64(scripts) {
		k.run(noise(scriptSize, seed), fmt.Sprintf("seed-%d", seed))
	}
}

// noise returns n bytes, the same for the same seed.
func noise(n int, seed uint64) []byte {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	bytes := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(bytes)
	return bytes
}

// FuzzStore lets the fuzzer find a sequence of operations in which a store and the model differ:
//
//	func FuzzStore(f *testing.F) { pairingtest.FuzzStore(f, harness) }
func FuzzStore(f *testing.F, h Harness) {
	f.Helper()
	for seed := range byte(8) {
		f.Add(slices.Repeat([]byte{seed, 7 * seed, 31, 2}, 20))
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		newKit(t, h).run(script[:min(len(script), 1000)], "fuzz")
	})
}

// script is a sequence of choices.
type script struct {
	*kit

	model  *model
	name   string // in all names, so that scripts don't meet
	bytes  []byte
	log    []string
	seq    int64
	claims []claimPair
	begun  []begunPair
}

// claimPair is a claim as the store and as the model gave it.
type claimPair struct{ store, model pairing.Claim }

type begunPair struct {
	store   pairing.Delivery
	attempt int
}

// run does what the script says with the store and with the model, and compares the answers.
func (k *kit) run(bytes []byte, name string) {
	k.Helper()
	s := &script{kit: k, model: newModel(), name: name, bytes: bytes}
	steps := []func(){
		s.put, s.put, s.deletePairing, s.move,
		s.accept, s.accept, s.accept, s.accept, s.accept,
		s.claim, s.claim, s.claim, s.renew, s.save, s.save, s.requeue, s.release, s.finish, s.finish, s.finish,
		s.withdraw, s.resolve, s.mark, s.mark, s.issue, s.redeem, s.redeem, s.begin, s.begin, s.finishDelivery, s.failDelivery,
		s.putGrant, s.deleteGrant, s.refresh, s.look,
	}
	for i := range 3 { // so that not all payments are refused
		s.pairAt(pairing.Register{System: name, Account: "a", ID: fmt.Sprint(i)}, pairing.Terminal{Provider: name, Serial: fmt.Sprint(i / 2)}, -1)
	}
	for len(s.bytes) > 0 {
		steps[s.choose(len(steps))]()
	}
	s.audit()
}

// choose returns a number below n.
func (s *script) choose(n int) int {
	if len(s.bytes) == 0 {
		return 0
	}
	b := s.bytes[0]
	s.bytes = s.bytes[1:]
	return int(b) % n
}

func (s *script) register() pairing.Register {
	return pairing.Register{System: s.name, Account: "a", ID: fmt.Sprint(s.choose(4))}
}

func (s *script) terminal() pairing.Terminal {
	return pairing.Terminal{Provider: s.name, Serial: fmt.Sprint(s.choose(3))}
}

func (s *script) paymentID() string { return fmt.Sprintf("%s-%d", s.name, s.choose(12)) }

// lease returns a lease that is long, or so short that it has ended after settle.
func (s *script) lease() (lease time.Duration, lasts bool) {
	if s.choose(4) == 0 {
		return time.Millisecond, false
	}
	return long, true
}

func (s *script) settle(lasts bool) {
	if !lasts {
		s.pass(time.Millisecond)
	}
}

// did logs an operation and ends the test unless the store's answer is the model's.
func (s *script) did(operation, got, want string, err, wantErr error) {
	s.Helper()
	s.log = append(s.log, operation)
	s.rule(wantErr == nil && err == nil || wantErr != nil && errors.Is(err, wantErr),
		"a store answers as the model does", "%s\nerror %q, want %q\n%s", operation, text(err), text(wantErr), s.history())
	if err != nil {
		s.typed(err)
		return
	}
	s.rule(got == want, "a store answers as the model does", "%s\n got %s\nwant %s\n%s", operation, got, want, s.history())
}

func (s *script) history() string { return "after\n  " + strings.Join(s.log, "\n  ") }

// timeless takes out of a payment what the model doesn't know.
func timeless(p pairing.Payment) pairing.Payment {
	p.Seq = 0
	p.AcceptedAt, p.SentAt, p.EndedAt = time.Time{}, time.Time{}, time.Time{}
	return p
}

func showTimeless(p pairing.Payment) string { return show(timeless(p)) }

func showPair(p pairing.Pairing) string {
	p.PairedAt = time.Time{}
	return show(p)
}

func (s *script) put() {
	r := s.register()
	version := s.pairingVersion(r)
	s.pairAt(r, s.terminal(), []int64{-1, version, version, 0, version + 1, 1}[s.choose(6)])
}

func (s *script) pairingVersion(r pairing.Register) int64 {
	if at := s.model.paired(r); at != nil {
		return at.Version
	}
	return 0
}

func (s *script) pairAt(r pairing.Register, t pairing.Terminal, ifVersion int64) {
	s.Helper()
	p := pairing.Pairing{Register: r, Terminal: t, Identity: tillroute.Secret(fmt.Sprint("identity", s.choose(3)))}
	version := s.pairingVersion(r)
	got, err := s.store.PutPairing(s.Context(), p, ifVersion)
	var want pairing.Pairing
	var wantErr error
	if ifVersion < 0 || ifVersion == version {
		want = s.model.put(p)
	} else {
		wantErr = tillroute.ErrConflict
	}
	s.did(fmt.Sprintf("PutPairing %s at %s if %d", p.Register, p.Terminal, ifVersion), showPair(got), showPair(want), err, wantErr)
}

func (s *script) deletePairing() {
	r := s.register()
	at := s.model.paired(r)
	ifVersion := int64(s.choose(4))
	var wantErr error
	switch {
	case at == nil:
		wantErr = tillroute.ErrNotFound
	case ifVersion > 1:
		ifVersion = at.Version
		at.paired = false
	case ifVersion != at.Version:
		wantErr = tillroute.ErrConflict
	default:
		at.paired = false
	}
	err := s.store.DeletePairing(s.Context(), r, ifVersion)
	s.did(fmt.Sprintf("DeletePairing %s if %d", r, ifVersion), "", "", err, wantErr)
}

func (s *script) move() {
	r, from, to := s.register(), s.terminal(), s.terminal()
	if at := s.model.paired(r); at != nil && s.choose(4) > 0 {
		from = at.Terminal
	}
	if from == to {
		return
	}
	err := s.store.MoveRegister(s.Context(), r, from, to)
	s.model.move(r, from, to)
	s.did(fmt.Sprintf("MoveRegister %s from %s to %s", r, from, to), "", "", err, nil)
}

func (s *script) accept() {
	r := request(s.paymentID(), s.register())
	if p := s.model.find(r.ID); p != nil && s.choose(3) > 0 {
		r = p.Request
	}
	known := s.model.find(r.ID) != nil
	got, err := s.store.AcceptPayment(s.Context(), r)
	want, wantErr := s.model.accept(r)
	s.did(fmt.Sprintf("AcceptPayment %s of %s", r.ID, r.Register), showTimeless(got), showTimeless(want), err, wantErr)
	if err == nil && !known {
		s.rule(got.Seq > s.seq, "Seq orders payments by when they were accepted", "%d after %d\n%s", got.Seq, s.seq, s.history())
		s.seq = got.Seq
	}
}

func (s *script) claim() {
	t := s.terminal()
	lease, lasts := s.lease()
	owner := fmt.Sprint("owner", s.choose(2))
	got, ok, err := s.store.ClaimPayment(s.Context(), t, owner, lease)
	s.settle(lasts)
	want, wantOK := s.model.claim(t, owner, lasts)
	s.did(fmt.Sprintf("ClaimPayment at %s by %s, lasting %t", t, owner, lasts), s.showClaim(got, ok), s.showClaim(want, wantOK), err, nil)
	s.keep(got, want, ok)
}

func (s *script) showClaim(c pairing.Claim, ok bool) string {
	if !ok {
		return "nothing"
	}
	c.Payment = timeless(c.Payment)
	return show(c)
}

func (s *script) keep(store, model pairing.Claim, ok bool) {
	s.Helper()
	if !ok {
		return
	}
	for _, c := range s.claims {
		if c.store.Payment.ID != store.Payment.ID {
			continue
		}
		s.rule(c.store.Fence <= store.Fence, "a later claim has a higher fence", "%d after %d\n%s", store.Fence, c.store.Fence, s.history())
		s.rule((c.store.Fence == store.Fence) == (c.model.Fence == model.Fence), "a fence tells a claim from all others of its payment",
			"%d after %d\n%s", store.Fence, c.store.Fence, s.history())
	}
	s.claims = append(s.claims, claimPair{store, model})
}

// held returns one of the last claims, and the model's payment if it is still good.
func (s *script) held() (claimPair, *modelPayment, bool) {
	if len(s.claims) == 0 {
		return claimPair{}, nil, false
	}
	c := s.claims[len(s.claims)-1-s.choose(min(len(s.claims), 4))]
	return c, s.model.holds(c.model), true
}

func fencedIf(p *modelPayment) error {
	if p == nil {
		return pairing.ErrFenced
	}
	return nil
}

func (s *script) renew() {
	c, p, ok := s.held()
	if !ok {
		return
	}
	lease, lasts := s.lease()
	note := fmt.Sprint("note", s.choose(3))
	err := s.store.RenewClaim(s.Context(), c.store, lease, note)
	s.settle(lasts)
	if p != nil {
		p.leased, p.Note = lasts, note
	}
	s.did(fmt.Sprintf("RenewClaim of %s, lasting %t", c.store.Payment.ID, lasts), "", "", err, fencedIf(p))
}

func (s *script) save() {
	c, p, ok := s.held()
	if !ok {
		return
	}
	h := pairing.Handle{TransactionID: fmt.Sprint("t", len(s.log)), Token: tillroute.Secret(s.name)}
	err := s.store.SavePaymentHandle(s.Context(), c.store, h)
	wantErr := fencedIf(p)
	switch {
	case p == nil:
	case p.State == pairing.Sent:
		wantErr = tillroute.ErrConflict
	default:
		p.State, p.Handle, p.Note = pairing.Sent, h, ""
	}
	s.did("SavePaymentHandle of "+c.store.Payment.ID, "", "", err, wantErr)
}

func (s *script) requeue() {
	c, p, ok := s.held()
	if !ok {
		return
	}
	delay := []time.Duration{0, long, time.Millisecond}[s.choose(3)]
	err := s.store.RequeuePayment(s.Context(), c.store, delay, "busy")
	s.settle(delay != time.Millisecond)
	wantErr := fencedIf(p)
	switch {
	case p == nil:
	case p.State != pairing.Sending:
		wantErr = tillroute.ErrConflict
	default:
		p.State, p.Note, p.leased, p.held = pairing.Queued, "busy", false, delay == long
	}
	s.did(fmt.Sprintf("RequeuePayment of %s for %s", c.store.Payment.ID, delay), "", "", err, wantErr)
}

func (s *script) release() {
	c, p, ok := s.held()
	if !ok {
		return
	}
	err := s.store.ReleaseClaim(s.Context(), c.store)
	if p != nil {
		p.leased, p.owner = false, ""
	}
	s.did("ReleaseClaim of "+c.store.Payment.ID, "", "", err, fencedIf(p))
}

func (s *script) finish() {
	c, p, ok := s.held()
	if !ok {
		return
	}
	r := pairing.Result{Outcome: tillroute.Outcome(s.choose(5)), Reason: fmt.Sprint("reason", len(s.log))} //nolint:gosec // below 5
	if r.Outcome == tillroute.Approved {
		r.Amount = c.store.Payment.Amount
	}
	lease, lasts := s.lease()
	if s.choose(3) == 0 {
		lease = 0
	}
	next, more, err := s.store.FinishPayment(s.Context(), c.store, r, lease)
	s.settle(lasts)
	var wantNext pairing.Claim
	var wantMore bool
	if p != nil {
		want := s.model.end(p, r)
		if lease > 0 {
			wantNext, wantMore = s.model.claim(want.Terminal, c.store.Owner, lasts)
		}
	}
	s.did(fmt.Sprintf("FinishPayment of %s: %s, and next for %s", c.store.Payment.ID, r.Outcome, lease),
		s.showClaim(next, more), s.showClaim(wantNext, wantMore), err, fencedIf(p))
	s.keep(next, wantNext, more)
}

func (s *script) withdraw() {
	id := s.paymentID()
	got, err := s.store.WithdrawPayment(s.Context(), id, "reason")
	want, wantErr := s.model.withdraw(id, "reason")
	s.did("WithdrawPayment "+id, showTimeless(got), showTimeless(want), err, wantErr)
}

func (s *script) resolve() {
	id := s.paymentID()
	for _, p := range s.model.payments {
		if p.State == pairing.Parked {
			id = p.ID
		}
	}
	r := pairing.Resolution{Outcome: tillroute.Outcome(1 + s.choose(4)), By: "somebody", Reason: "because"} //nolint:gosec // below 5
	got, err := s.store.ResolvePayment(s.Context(), id, r)
	want, wantErr := s.model.resolve(id, r)
	s.did(fmt.Sprintf("ResolvePayment %s: %s", id, r.Outcome), showTimeless(got), showTimeless(want), err, wantErr)
}

func (s *script) mark() {
	id := s.paymentID()
	if n := len(s.model.payments); n > 0 && s.choose(4) > 0 {
		id = s.model.payments[s.choose(n)].ID
	}
	marks := []string{"", "telling", "told"}
	from, to := marks[s.choose(len(marks))], marks[s.choose(len(marks))]
	got, err := s.store.MarkPayment(s.Context(), id, from, to)
	want, wantErr := s.model.mark(id, from, to)
	s.did(fmt.Sprintf("MarkPayment %s from %q to %q", id, from, to), showTimeless(got), showTimeless(want), err, wantErr)
}

func (s *script) codeText() string { return fmt.Sprintf("%s/%d", s.name, s.choose(5)) }

func (s *script) issue() {
	c := pairing.Code{Text: s.codeText(), Terminal: s.terminal()}
	_, err := s.store.PutCode(s.Context(), c, long)
	s.did(fmt.Sprintf("PutCode %s of %s", c.Text, c.Terminal), "", "", err, s.model.issue(c.Text, c.Terminal))
}

func (s *script) redeem() {
	code := s.codeText()
	p := pairing.Pairing{Register: s.register(), Identity: "redeemed"}
	tries := pairing.Tries{Key: fmt.Sprintf("%s/%d", s.name, s.choose(2)), Max: 3, Window: long}
	got, err := s.store.RedeemCode(s.Context(), code, p, tries)
	want, wantErr := s.model.redeem(code, p, tries)
	s.did(fmt.Sprintf("RedeemCode %s for %s by %s", code, p.Register, tries.Key), showPair(got), showPair(want), err, wantErr)
}

func (s *script) begin() {
	key, hash := fmt.Sprint(s.choose(3)), fmt.Sprint("hash", s.choose(4)/3)
	lease, lasts := s.lease()
	got, err := s.store.BeginDelivery(s.Context(), s.name, key, []byte(hash), lease)
	s.settle(lasts)
	answer, answered, wantErr := s.model.begin(key, hash, lasts)
	s.did(fmt.Sprintf("BeginDelivery %s %s, lasting %t", key, hash, lasts),
		fmt.Sprintf("%t %q", got.Answered, got.Answer), fmt.Sprintf("%t %q", answered, answer), err, wantErr)
	if err == nil && !answered {
		s.begun = append(s.begun, begunPair{got, s.model.deliveries[key].attempt})
	}
}

// attempt returns one of the last attempts to handle a delivery, and the model's delivery if it is still good.
func (s *script) attempt() (pairing.Delivery, *modelDelivery, bool) {
	if len(s.begun) == 0 {
		return pairing.Delivery{}, nil, false
	}
	b := s.begun[len(s.begun)-1-s.choose(min(len(s.begun), 4))]
	d := s.model.deliveries[b.store.Key]
	if d == nil || d.finished || d.hash == "" || d.attempt != b.attempt {
		return b.store, nil, true
	}
	return b.store, d, true
}

func (s *script) finishDelivery() {
	d, good, ok := s.attempt()
	if !ok {
		return
	}
	answer := fmt.Sprint("answer", len(s.log))
	err := s.store.FinishDelivery(s.Context(), d, []byte(answer))
	var wantErr error
	if good == nil {
		wantErr = pairing.ErrFenced
	} else {
		good.finished, good.answer = true, answer
	}
	s.did("FinishDelivery "+d.Key, "", "", err, wantErr)
}

func (s *script) failDelivery() {
	d, good, ok := s.attempt()
	if !ok {
		return
	}
	err := s.store.FailDelivery(s.Context(), d)
	var wantErr error
	if good == nil {
		wantErr = pairing.ErrFenced
	} else {
		good.attempt++ // forgotten, but no attempt is like another
		good.hash, good.leased = "", false
	}
	s.did("FailDelivery "+d.Key, "", "", err, wantErr)
}

func (s *script) grantVersion() (string, int64) {
	account := fmt.Sprint(s.choose(2))
	if g := s.model.grants[account]; g != nil {
		return account, g.Version
	}
	return account, 0
}

func (s *script) putGrant() {
	account, version := s.grantVersion()
	g := pairing.Grant{System: s.name, Account: account, AccessToken: tillroute.Secret(fmt.Sprint(len(s.log)))}
	ifVersion := []int64{-1, version, version, version + 1}[s.choose(4)]
	got, err := s.store.PutGrant(s.Context(), g, ifVersion)
	var wantErr error
	if ifVersion >= 0 && ifVersion != version {
		wantErr = tillroute.ErrConflict
	} else {
		s.model.granted[account]++
		g.Version = s.model.granted[account]
		s.model.grants[account] = &modelGrant{Grant: g}
	}
	s.did(fmt.Sprintf("PutGrant %s if %d", account, ifVersion), show(got), show(g), err, wantErr)
}

func (s *script) deleteGrant() {
	account, version := s.grantVersion()
	err := s.store.DeleteGrant(s.Context(), s.name, account)
	var wantErr error
	if version == 0 {
		wantErr = tillroute.ErrNotFound
	}
	delete(s.model.grants, account)
	s.did("DeleteGrant "+account, "", "", err, wantErr)
}

func (s *script) refresh() {
	account, version := s.grantVersion()
	owner := fmt.Sprint("owner", s.choose(2))
	lease, lasts := s.lease()
	got, err := s.store.ClaimRefresh(s.Context(), s.name, account, owner, lease)
	s.settle(lasts)
	var want pairing.Grant
	var wantErr error
	g := s.model.grants[account]
	switch {
	case version == 0:
		wantErr = tillroute.ErrNotFound
	case g.owner != "" && g.owner != owner:
		wantErr = tillroute.ErrBusy
	default:
		want = g.Grant
		if g.owner = owner; !lasts {
			g.owner = ""
		}
	}
	s.did(fmt.Sprintf("ClaimRefresh %s by %s, lasting %t", account, owner, lasts), show(got), show(want), err, wantErr)
}

// look compares one payment, and what is ahead of it.
func (s *script) look() {
	id := s.paymentID()
	p := s.model.find(id)
	got, err := s.store.Payment(s.Context(), id)
	if p == nil {
		s.did("Payment "+id, "", "", err, tillroute.ErrNotFound)
		return
	}
	s.did("Payment "+id, showTimeless(got), showTimeless(p.Payment), err, nil)
	ahead, err := s.store.CountAhead(s.Context(), id)
	s.did("CountAhead "+id, fmt.Sprint(ahead), fmt.Sprint(s.model.ahead(p)), err, nil)
}

// list compares what matches the filter, whose After is zero.
func (s *script) list(f pairing.Filter) {
	s.Helper()
	list, err := s.store.ListPayments(s.Context(), f, 100)
	var got, want []string
	for _, p := range list {
		got = append(got, showTimeless(p))
	}
	for _, p := range s.model.payments {
		p := p.Payment
		p.Seq = 1 // which the model doesn't know
		if matches(f, p) {
			want = append(want, showTimeless(p))
		}
	}
	s.did(fmt.Sprintf("ListPayments %+v", f), strings.Join(got, "\n"), strings.Join(want, "\n"), err, nil)
}

// audit compares everything.
func (s *script) audit() {
	s.Helper()
	var ready, wantReady []string
	for serial := range 3 {
		t := pairing.Terminal{Provider: s.name, Serial: fmt.Sprint(serial)}
		if s.model.ready(t) != nil {
			wantReady = append(wantReady, t.String())
		}
		s.list(pairing.Filter{Terminal: t})
		s.list(pairing.Filter{Terminal: t, States: []pairing.State{pairing.Done}, Outcomes: []tillroute.Outcome{tillroute.Approved}, Marks: []string{""}})
	}
	list, err := s.store.ReadyTerminals(s.Context(), []string{s.name}, 100)
	for _, t := range list {
		ready = append(ready, t.String())
	}
	slices.Sort(ready)
	s.did("ReadyTerminals", fmt.Sprint(ready), fmt.Sprint(wantReady), err, nil)
	for _, p := range s.model.payments {
		ahead, err := s.store.CountAhead(s.Context(), p.ID)
		s.did("CountAhead "+p.ID, fmt.Sprint(ahead), fmt.Sprint(s.model.ahead(p)), err, nil)
	}
	for id := range 4 {
		r := pairing.Register{System: s.name, Account: "a", ID: fmt.Sprint(id)}
		got, err := s.store.Pairing(s.Context(), r)
		if want := s.model.paired(r); want != nil {
			s.did("Pairing "+r.String(), showPair(got), showPair(want.Pairing), err, nil)
		} else {
			s.did("Pairing "+r.String(), "", "", err, tillroute.ErrNotFound)
		}
	}
}
