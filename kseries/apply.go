package kseries

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

const (
	// claimTime is how long a try is its node's to send. Two nodes that send it at once do no harm, since they use one reference.
	claimTime = 15 * time.Second
	// longestPause is the longest pause that the vendor can ask for.
	longestPause = 5 * time.Minute
	// deniedPause is the least pause before something is tried again that the merchant's consent doesn't allow: people bring it back.
	deniedPause = time.Minute
	// personInterval is how often a payment is looked at that waits for a person, who may be at another node. If there are many,
	// it is less often: each adds personShare, so that all together cost 100 reads a second at most.
	personInterval = 15 * time.Second
	personShare    = 10 * time.Millisecond
	// terminalShare is the same of payments that are not over at their terminal: 1000 reads a second.
	terminalShare = time.Millisecond
	// Payments of several terminals need not appear in their order: those of shortTail are looked for again at each interval, and
	// those of longTail each longInterval.
	shortTail    = 3 * time.Second
	longTail     = 5 * time.Minute
	longInterval = time.Minute
	// stretch is how many payments are read before something else is done.
	stretch = 2000
	// atOnce is how many payments are worked on at once.
	atOnce = 16
)

// following is a payment that is not settled.
type following struct {
	// next is when to look at it.
	next time.Time
	busy bool
	// waits is what it waits for, as far as was seen.
	waits waits
}

// waits is what an unsettled payment waits for.
type waits int

const (
	forTime waits = iota
	forTerminal
	forPerson
	// forNothing is a payment that is settled.
	forNothing
)

// reader reads the store's payments in their order, and the last of them again.
type reader struct {
	// tail is how long a payment is looked for again.
	tail time.Duration
	// begin is the number before which none is read again, and at how far this reading has come.
	begin, at int64
	recent    []seen
}

type seen struct {
	seq int64
	at  time.Time
}

// newReader returns a reader that begins after a payment.
func newReader(tail time.Duration, after int64) *reader {
	return &reader{tail: tail, begin: after, at: after}
}

// see takes in the next payment.
func (r *reader) see(p pairing.Payment) {
	r.at = p.Seq
	r.recent = append(r.recent, seen{p.Seq, p.AcceptedAt})
	// Both ways: a clock that was set back must not have all be read again for as long.
	for p.AcceptedAt.Sub(r.recent[0].at).Abs() > r.tail {
		r.begin, r.recent = r.recent[0].seq, r.recent[1:]
	}
}

// again begins the next reading.
func (r *reader) again() { r.at, r.recent = r.begin, nil }

// Run applies what has been approved until ctx ends, and returns ctx's error. It takes up what an earlier process left behind: it
// begins by reading the store's payments from the first one on, while it does what there is to do about those that it has read. A
// million take SQLite some 20 s, and newer ones that were submitted at other nodes wait for that. One call runs at a time, and another
// one is an error of kind Invalid; any number of nodes may run on one store. What goes wrong is logged, and tried again.
//
// From then on it reads what is new, and the payments of the last 3 s, at each Interval, and those of the last 5 min each minute: those
// of several terminals need not appear in their order. Of the payments that are not over it reads each by itself, up to some 1000 a
// second while they are at terminals, and 100 a second while they wait for a person.
func (p *Payments) Run(ctx context.Context) error {
	if p.router == nil {
		return tillroute.Invalid(System, "Payments.Run", "this was not made by NewPayments")
	}
	p.mu.Lock()
	if p.running {
		p.mu.Unlock()
		return tillroute.Invalid(System, "Payments.Run", "it runs already: call Run once")
	}
	p.running = true
	p.mu.Unlock()
	var group sync.WaitGroup
	defer func() {
		group.Wait()
		p.mu.Lock()
		defer p.mu.Unlock()
		p.running = false
	}()
	tick := time.NewTicker(p.config.Interval)
	defer tick.Stop()
	slots := make(chan struct{}, atOnce)
	all := newReader(longTail, 0)
	var recent *reader
	var nextLong time.Time
	for look := true; ; {
		var more bool
		var err error
		if look && !time.Now().Before(nextLong) {
			if more, err = p.read(ctx, all); err == nil && !more {
				nextLong = time.Now().Add(longInterval)
				if recent == nil {
					recent = newReader(shortTail, all.begin)
				}
			}
		}
		if look && recent != nil {
			for again := err == nil; again; {
				again, err = p.read(ctx, recent)
			}
		}
		if err != nil && ctx.Err() == nil {
			p.log.LogAttrs(ctx, slog.LevelWarn, "the payments were not read, and will be", slog.Any("error", err))
		}
		for _, id := range p.due(time.Now()) {
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				p.done(id, time.Now(), forTime)
				continue
			}
			group.Go(func() {
				defer func() { <-slots }()
				p.work(ctx, id)
			})
		}
		if more && ctx.Err() == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			look = true
		case <-p.wake:
			look = false
		}
	}
}

// read reads a stretch of the store's payments, and reports whether there may be more to be read now. A reading that failed goes on
// the next time.
func (p *Payments) read(ctx context.Context, r *reader) (more bool, err error) {
	n := 0
	err = p.walk(ctx, r.at, func(payment pairing.Payment) bool {
		if p.unsettled(payment) {
			p.add(payment.ID)
		}
		r.see(payment)
		n++
		return n < stretch
	})
	if err == nil && n < stretch {
		r.again()
	}
	return err == nil && n == stretch, err
}

// unsettled reports whether something may still have to be done about a payment.
func (p *Payments) unsettled(payment pairing.Payment) bool {
	if _, ours := p.applicationOf(payment); !ours {
		return false
	}
	if payment.State == pairing.Done && payment.Outcome() != tillroute.Approved {
		return false
	}
	switch parseMark(payment.Mark).phase {
	case applied, settled, foreign:
		return false
	default:
		return true
	}
}

// add has a payment followed.
func (p *Payments) add(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open[id] == nil {
		p.open[id] = &following{}
	}
}

// follow has a payment looked at, now, if Run runs here, and wakes who watches.
func (p *Payments) follow(payment pairing.Payment) {
	p.mu.Lock()
	if p.running && p.unsettled(payment) {
		if f := p.open[payment.ID]; f != nil {
			f.next = time.Time{}
		} else {
			p.open[payment.ID] = &following{}
		}
	}
	for _, watcher := range p.watchers[payment.ID] {
		select {
		case watcher <- struct{}{}:
		default: // It is awake already.
		}
	}
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// notice has a payment looked at now if it has gone on without Run having seen it: at its terminal, or by a person at another node.
func (p *Payments) notice(payment pairing.Payment) {
	if payment.State != pairing.Done || !p.unsettled(payment) {
		return
	}
	if phase := parseMark(payment.Mark).phase; phase != untouched && phase != waiting {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.open[payment.ID]
	if f == nil || f.busy || f.waits == forTime {
		return
	}
	f.next = time.Time{}
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// watch returns what is told of changes of a payment, and what ends that.
func (p *Payments) watch(id string) (changed <-chan struct{}, leave func()) {
	watcher := make(chan struct{}, 1)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watchers[id] = append(p.watchers[id], watcher)
	return watcher, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		rest := slices.DeleteFunc(p.watchers[id], func(w chan struct{}) bool { return w == watcher })
		if p.watchers[id] = rest; len(rest) == 0 {
			delete(p.watchers, id)
		}
	}
}

// due returns the payments that are to be looked at, which are busy until done is called.
func (p *Payments) due(now time.Time) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var ids []string
	for id, f := range p.open {
		if !f.busy && !f.next.After(now) {
			f.busy, f.next = true, now.Add(p.config.Interval)
			ids = append(ids, id)
		}
	}
	return ids
}

// done says what a payment waits for, and when to look at it again if that is time.
func (p *Payments) done(id string, next time.Time, w waits) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.open[id]
	if f == nil {
		return
	}
	p.waiting[f.waits]--
	p.waiting[w]++
	f.waits, f.busy = w, false
	switch w {
	case forNothing:
		delete(p.open, id)
		return
	case forTerminal:
		next = time.Now().Add(max(p.config.Interval, terminalShare*time.Duration(p.waiting[w])))
	case forPerson:
		next = time.Now().Add(max(personInterval, personShare*time.Duration(p.waiting[w])))
	default:
	}
	// Something may have happened meanwhile.
	if !f.next.IsZero() {
		f.next = next
	}
}

// work does what there is to do about a payment now.
func (p *Payments) work(ctx context.Context, id string) {
	payment, err := p.router.Payment(ctx, id)
	next, w := time.Now().Add(p.config.RetryPause), forTime
	if err == nil {
		next, w, err = p.step(ctx, payment)
	} else {
		payment.ID = id
	}
	switch {
	case err == nil || ctx.Err() != nil:
	case errors.Is(err, tillroute.ErrConflict):
		// Another node, or a notification, was quicker.
		next = time.Now()
	default:
		next = time.Now().Add(p.config.RetryPause)
		p.log.LogAttrs(ctx, slog.LevelWarn, "an approved payment is not yet applied, and is tried again", p.attrs(payment, err)...)
	}
	p.done(id, next, w)
}

func (p *Payments) attrs(payment pairing.Payment, err error) []slog.Attr {
	a, _ := p.applicationOf(payment)
	m := parseMark(payment.Mark)
	list := []slog.Attr{
		slog.String("payment", payment.ID), slog.String("register", payment.Register.String()), slog.String("check", a.Account),
		slog.String("mark", payment.Mark),
	}
	if m.try > 0 {
		list = append(list, slog.String("reference", reference(payment, a, m.try)))
	}
	if err != nil {
		list = append(list, slog.Any("error", err))
	}
	return list
}

// step does what there is to do about a payment as it stands, and says what it waits for then, and when to look again if that is time.
func (p *Payments) step(ctx context.Context, payment pairing.Payment) (next time.Time, w waits, err error) {
	for {
		now := time.Now()
		switch {
		case !p.unsettled(payment):
			return now, forNothing, nil
		case payment.State == pairing.Parked:
			return now, forPerson, nil
		case payment.State != pairing.Done:
			return now, forTerminal, nil
		}
		a, _ := p.applicationOf(payment)
		m := parseMark(payment.Mark)
		switch m.phase {
		case untouched:
			payment, err = p.send(ctx, payment, a, mark{}, p.claim(sending, 1, now, now.Add(p.config.TTL)))
		case waiting:
			if p.ahead(m.at, now) {
				return m.at, forTime, nil
			}
			payment, err = p.again(ctx, payment, a, m)
		case sending, resending:
			if p.ahead(m.at, now) {
				return m.at, forTime, nil
			}
			if now.After(m.giveUp.Add(p.config.Margin)) {
				// Whether any of all these arrived, its time to live will tell.
				payment, err = p.move(ctx, payment, m, mark{phase: submitted, try: m.try, at: now.Add(p.config.TTL), text: m.text})
				break
			}
			claim := p.claim(resending, m.try, now, m.giveUp)
			claim.text = m.text
			payment, err = p.send(ctx, payment, a, m, claim)
		case submitted:
			deadline := m.at.Add(p.config.Margin)
			last := !deadline.After(now)
			if !last && now.Before(m.giveUp) && m.giveUp.Sub(now) <= p.config.CheckInterval+time.Second {
				return m.giveUp, forTime, nil
			}
			payment, err = p.look(ctx, payment, a, m, last)
			if parseMark(payment.Mark).phase == submitted && err == nil {
				next = now.Add(p.config.CheckInterval)
				if next.After(deadline) {
					next = deadline
				}
				return next, forTime, nil
			}
		case unclear:
			if m.word != whyUnreadable {
				return now, forPerson, nil
			}
			// It may be readable again: then the check decides.
			before := payment.Mark
			payment, err = p.look(ctx, payment, a, m, true)
			if err == nil && payment.Mark == before {
				return now.Add(max(deniedPause, p.config.RetryPause)), forTime, nil
			}
		default:
			return now, forPerson, nil
		}
		if err != nil {
			return now, forTime, err
		}
	}
}

// ahead reports whether a time that a payment waits for is to come. One that is too far off was written by a clock that was wrong.
func (p *Payments) ahead(at, now time.Time) bool {
	return at.After(now) && at.Sub(now) <= max(longestPause, p.config.RetryPause)+time.Second
}

// claim is the mark of a try that this node is about to send.
func (p *Payments) claim(as phase, try int, now, giveUp time.Time) mark {
	return mark{phase: as, try: try, at: now.Add(claimTime), giveUp: giveUp, word: p.node}
}

// move replaces a payment's mark.
func (p *Payments) move(ctx context.Context, payment pairing.Payment, from, to mark) (pairing.Payment, error) {
	was := payment.Mark
	if from.phase == untouched {
		was = ""
	}
	moved, err := p.router.Mark(ctx, payment.ID, was, to.String())
	if err != nil {
		return payment, err
	}
	if to.phase == refused || to.phase == unclear || (to.denied() != "" && from.denied() == "") {
		p.log.LogAttrs(ctx, slog.LevelError, "an approved payment waits for a person", p.attrs(moved, nil)...)
	} else {
		p.log.LogAttrs(ctx, slog.LevelInfo, "an approved payment goes on", p.attrs(moved, nil)...)
	}
	p.follow(moved)
	return moved, nil
}

// send claims a try and sends it. It returns the payment as it stands then.
func (p *Payments) send(ctx context.Context, payment pairing.Payment, a application, from, claim mark) (pairing.Payment, error) {
	payment, err := p.move(ctx, payment, from, claim)
	if err != nil {
		return payment, err
	}
	amount, tip := a.due(payment.Result)
	submission, err := p.client.Payments.Apply(ctx, a.payment(p.config, reference(payment, a, claim.try), amount, tip))
	if ctx.Err() != nil && err != nil {
		return payment, err
	}
	now := time.Now()
	to := claim
	switch {
	case err == nil:
		// The first look at the check comes later: most notifications take seconds.
		to = mark{phase: submitted, try: claim.try, at: up(submission.Until), giveUp: up(now.Add(p.config.CheckInterval))}
	case claim.phase == sending && notTaken(err):
		// This was the only time that it was sent, and nothing was taken.
		switch {
		case denied(err) != "":
			to = p.held(claim.try, err)
		case passes(err):
			to = mark{phase: waiting, try: claim.try, at: up(now.Add(p.pause(err))), text: message(err)}
		default:
			to = mark{phase: refused, try: claim.try, word: whyRejected, text: message(err)}
		}
	default:
		to.at, to.phase, to.text = up(now.Add(p.pause(err))), resending, message(err)
	}
	if err != nil {
		p.log.LogAttrs(ctx, slog.LevelWarn, "an approved payment was not taken for its check", p.attrs(payment, err)...)
	}
	return p.move(ctx, payment, claim, to)
}

// up rounds to the next second, so that what is kept is never too early.
func up(t time.Time) time.Time { return t.Add(time.Second - 1).Truncate(time.Second) }

// notTaken reports whether an error says that provably nothing was taken.
func notTaken(err error) bool {
	e, ok := errors.AsType[*tillroute.Error](err)
	return ok && e.Outcome == tillroute.Failed && !errors.Is(err, tillroute.ErrOutcomeUnknown)
}

// passes reports whether an error may be gone at the next time, without anybody correcting the payment.
func passes(err error) bool {
	e, ok := errors.AsType[*tillroute.Error](err)
	if !ok {
		return true
	}
	switch e.Kind {
	case tillroute.KindInvalid, tillroute.KindNotFound, tillroute.KindConflict:
		return false
	default:
		return true
	}
}

// denied returns why an error goes on until somebody brings the merchant's consent back, or corrects how this program proves itself:
// whyUnauthorized or whyForbidden. It is empty for every other error, such as that nobody answers who could renew a token.
func denied(err error) string {
	e, _ := errors.AsType[*tillroute.Error](err)
	switch {
	case e == nil:
		return ""
	case e.Kind == tillroute.KindUnauthorized:
		return whyUnauthorized
	case e.Kind == tillroute.KindForbidden:
		return whyForbidden
	default:
		return ""
	}
}

// held is the mark of a try that is denied, and of which nothing was taken.
func (p *Payments) held(try int, err error) mark {
	return mark{phase: waiting, try: try, at: up(time.Now().Add(max(p.pause(err), deniedPause))), word: denied(err), text: message(err)}
}

// pause is how long to wait after an error.
func (p *Payments) pause(err error) time.Duration {
	if e, ok := errors.AsType[*tillroute.Error](err); ok {
		return max(min(e.RetryAfter, longestPause), p.config.RetryPause)
	}
	return p.config.RetryPause
}

// message is what an error says, for people.
func message(err error) string {
	if e, ok := errors.AsType[*tillroute.Error](err); ok && e.Message != "" {
		return e.Message
	}
	return err.Error()
}

// again sends a try that waits. If there were others before it, it makes sure first that the check has none of these.
func (p *Payments) again(ctx context.Context, payment pairing.Payment, a application, m mark) (pairing.Payment, error) {
	now := time.Now()
	if m.try > 1 {
		before := payment.Mark
		looked, err := p.look(ctx, payment, a, m, false)
		if err != nil || looked.Mark != before {
			return looked, err
		}
	}
	claim := p.claim(sending, m.try, now, now.Add(p.config.TTL))
	claim.text = m.text
	if why := m.denied(); why != "" {
		// A person is needed until it is known that none is.
		claim.word += nodeAndWhy + why
	}
	return p.send(ctx, payment, a, m, claim)
}

// look reads the check, and moves the payment if it has it. last says that no notification is waited for any more.
func (p *Payments) look(ctx context.Context, payment pairing.Payment, a application, m mark, last bool) (pairing.Payment, error) {
	doubt := mark{phase: unclear, try: m.try, word: whySilent}
	check, err := p.client.Checks.Get(ctx, a.location, a.Account)
	switch {
	case err != nil && ctx.Err() != nil:
		return payment, err
	case errors.Is(err, tillroute.ErrNotFound):
		// A check that was paid in full may be found no longer.
		doubt.word = whyGone
	case denied(err) != "" && m.phase == waiting:
		// What must not be sent unseen waits.
		return p.move(ctx, payment, m, p.held(m.try, err))
	case err != nil && passes(err) && denied(err) == "" && !errors.Is(err, tillroute.ErrDecode):
		return payment, err
	case err != nil:
		doubt.word, doubt.text = whyUnreadable, message(err)
	}
	var has []int
	for try := m.try; try > 0; try-- {
		entry, there := check.Payment(reference(payment, a, try))
		switch {
		case there && !entry.Inactive:
			has = append(has, try)
		case there && try == m.try:
			doubt.word = whyInactive
		}
	}
	switch {
	case len(has) > 1, len(has) == 1 && has[0] < m.try && m.phase != waiting:
		// The latest try is under way, and may be applied as well.
		return p.move(ctx, payment, m, mark{phase: unclear, try: m.try, word: whyTwice})
	case len(has) == 1:
		return p.move(ctx, payment, m, mark{phase: applied, try: has[0], word: "check"})
	case last && (m.phase != unclear || m.word != doubt.word):
		return p.move(ctx, payment, m, doubt)
	default:
		return payment, nil
	}
}

// Notification takes in a notification: it is for the Handle of a [NotificationConfig], and may be called for each notification,
// however often and in whatever order. What is about no payment of this component it leaves alone. An error means that
// the store failed, and the notification should be posted again.
func (p *Payments) Notification(ctx context.Context, n Notification) error {
	if (n.Type != AboutPayment && n.Type != "") || (n.Status != Success && n.Status != Failure) {
		return nil
	}
	seq, try, ok := parseReference(n.Reference)
	if !ok {
		return nil
	}
	list, err := p.router.Payments(ctx, pairing.Filter{After: seq - 1}, 1)
	if err != nil || len(list) == 0 {
		return err
	}
	payment := list[0]
	for {
		a, ours := p.applicationOf(payment)
		if !ours || payment.Seq != seq || reference(payment, a, try) != n.Reference || payment.Outcome() != tillroute.Approved {
			return nil
		}
		m := parseMark(payment.Mark)
		to, ok := p.told(m, try, n, time.Now())
		if !ok {
			return nil
		}
		if payment, err = p.move(ctx, payment, m, to); !errors.Is(err, tillroute.ErrConflict) {
			return err
		}
		// It has moved meanwhile.
		if payment, err = p.router.Payment(ctx, payment.ID); err != nil {
			return err
		}
	}
}

// told returns the mark after a notification about a try, and false if nothing changes.
func (p *Payments) told(m mark, try int, n Notification, now time.Time) (mark, bool) {
	// Those that a person has to see to stay until one has.
	if m.phase == foreign || (m.phase == unclear && (m.word == whyTwice || m.word == whyAfterwards)) {
		return m, false
	}
	if m.phase == applied {
		return mark{phase: unclear, try: m.try, word: whyTwice}, n.Status == Success && try != m.try
	}
	if n.Status == Success {
		switch {
		case m.phase == settled && m.word != givenBack: // Whoever settled it knew.
			return m, false
		case m.phase == settled:
			return mark{phase: unclear, try: m.try, word: whyAfterwards, text: m.text}, true
		case m.phase == unclear && m.word == whyInactive && try == m.try: // That it was applied is no news: it was taken off since.
			return m, false
		case try < m.try && m.phase != waiting && m.phase != refused:
			return mark{phase: unclear, try: m.try, word: whyTwice}, true
		default:
			return mark{phase: applied, try: try, word: "notification"}, true
		}
	}
	if m.phase == settled || m.phase == refused || try != m.try {
		return m, false
	}
	why, text := failed(n)
	// What waits for a person already is theirs.
	if passing := why == whyTimeout || why == string(UpdateFailed); passing && try <= p.config.Retries && m.phase != unclear {
		return mark{phase: waiting, try: try + 1, at: up(now.Add(p.config.RetryPause)), text: text}, true
	}
	return mark{phase: refused, try: try, word: word(why), text: text}, true
}

// failed returns why a payment was not applied, in a word and for people.
func failed(n Notification) (why, text string) {
	text = n.Reason
	switch {
	case n.AccountError != "":
		why = string(n.AccountError)
	case n.TimeoutKey == TaskTimeout:
		why = whyTimeout
	default:
		why = string(UnknownAccountError)
	}
	if n.TimeoutMessage != "" && text == "" {
		text = n.TimeoutMessage
	}
	if text == "" {
		text = why
	}
	return why, text
}
