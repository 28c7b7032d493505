package kseries

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

const (
	// claimTime is how long a try is its node's to send. Two nodes that send it at once do no harm, since they use one reference.
	claimTime = 15 * time.Second
	// personInterval is how often payments are looked at that wait for a person, who may be at another node.
	personInterval = 15 * time.Second
	// tail is how long payments are looked for again: those of several terminals need not appear in their order.
	tail = 5 * time.Minute
	// atOnce is how many payments are worked on at once.
	atOnce = 16
)

// following is a payment that is not settled.
type following struct {
	// next is when to look at it.
	next time.Time
	busy bool
}

// Run applies what has been approved until ctx ends, and returns ctx's error. It takes up what an earlier process left behind, and
// begins by reading the store's payments from the first one on. One call runs at a time; any number of nodes may run on one
// store. What goes wrong is logged, and tried again.
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
	var from int64
	for {
		var err error
		if from, err = p.scan(ctx, from); err != nil && ctx.Err() == nil {
			p.log.LogAttrs(ctx, slog.LevelWarn, "the payments were not read, and will be", slog.Any("error", err))
		}
		for _, id := range p.due(time.Now()) {
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				p.done(id, time.Now(), true)
				continue
			}
			group.Go(func() {
				defer func() { <-slots }()
				p.work(ctx, id)
			})
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		case <-p.wake:
		}
	}
}

// scan looks for payments that follow from, and returns where to begin the next time.
func (p *Payments) scan(ctx context.Context, from int64) (int64, error) {
	next, newest := from, time.Time{}
	type seen struct {
		seq int64
		at  time.Time
	}
	var recent []seen
	err := p.walk(ctx, from, func(payment pairing.Payment) bool {
		if p.unsettled(payment) {
			p.add(payment.ID)
		}
		recent = append(recent, seen{payment.Seq, payment.AcceptedAt})
		if payment.AcceptedAt.After(newest) {
			newest = payment.AcceptedAt
		}
		for len(recent) > 0 && newest.Sub(recent[0].at) > tail {
			next, recent = recent[0].seq, recent[1:]
		}
		return true
	})
	return next, err
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
	close(p.changed)
	p.changed = make(chan struct{})
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// change returns what is closed at the next change.
func (p *Payments) change() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.changed
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

// done says when to look at a payment again, or that it is settled.
func (p *Payments) done(id string, next time.Time, open bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.open[id]
	switch {
	case f == nil:
	case !open:
		delete(p.open, id)
	default:
		f.busy = false
		// Something may have happened meanwhile.
		if !f.next.IsZero() {
			f.next = next
		}
	}
}

// work does what there is to do about a payment now.
func (p *Payments) work(ctx context.Context, id string) {
	payment, err := p.router.Payment(ctx, id)
	next, open := time.Now().Add(p.config.RetryPause), true
	if err == nil {
		next, open, err = p.step(ctx, payment)
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
	p.done(id, next, open)
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

// step does what there is to do about a payment as it stands, and says when to look again, and whether it is to be looked at again
// at all.
func (p *Payments) step(ctx context.Context, payment pairing.Payment) (next time.Time, open bool, err error) {
	for {
		now := time.Now()
		switch {
		case !p.unsettled(payment):
			return now, false, nil
		case payment.State == pairing.Parked:
			return now.Add(personInterval), true, nil
		case payment.State != pairing.Done:
			return now.Add(p.config.Interval), true, nil
		}
		a, _ := p.applicationOf(payment)
		m := parseMark(payment.Mark)
		switch m.phase {
		case untouched:
			payment, err = p.send(ctx, payment, a, mark{}, p.claim(sending, 1, now, now.Add(p.config.TTL)))
		case waiting:
			if m.at.After(now) {
				return m.at, true, nil
			}
			payment, err = p.again(ctx, payment, a, m)
		case sending, resending:
			if m.at.After(now) {
				return m.at, true, nil
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
			if !last && now.Before(m.giveUp) {
				return m.giveUp, true, nil
			}
			payment, err = p.look(ctx, payment, a, m, last)
			if parseMark(payment.Mark).phase == submitted && err == nil {
				next = now.Add(p.config.CheckInterval)
				if next.After(deadline) {
					next = deadline
				}
				return next, true, nil
			}
		default:
			return now.Add(personInterval), true, nil
		}
		if err != nil {
			return now, true, err
		}
	}
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
	if to.phase == refused || to.phase == unclear {
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
		to = mark{phase: waiting, try: claim.try, at: up(now.Add(p.pause(err))), text: message(err)}
		if !passes(err) {
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

// pause is how long to wait after an error.
func (p *Payments) pause(err error) time.Duration {
	if e, ok := errors.AsType[*tillroute.Error](err); ok {
		return max(e.RetryAfter, p.config.RetryPause)
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
	case err != nil && passes(err) && !errors.Is(err, tillroute.ErrForbidden) && !errors.Is(err, tillroute.ErrDecode):
		return payment, err
	case err != nil:
		doubt.word, doubt.text = whyUnreadable, message(err)
	}
	for try := m.try; try > 0; try-- {
		entry, there := check.Payment(reference(payment, a, try))
		switch {
		case there && !entry.Inactive:
			return p.move(ctx, payment, m, mark{phase: applied, try: try, word: "check"})
		case there && try == m.try:
			doubt.word = whyInactive
		}
	}
	if !last {
		return payment, nil
	}
	return p.move(ctx, payment, m, doubt)
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
	if m.phase == applied || m.phase == foreign || (m.phase == unclear && (m.word == whyTwice || m.word == whyAfterwards)) {
		return m, false
	}
	if n.Status == Success {
		switch {
		case m.phase == settled && m.word != givenBack: // Whoever settled it knew.
			return m, false
		case m.phase == settled:
			return mark{phase: unclear, try: m.try, word: whyAfterwards, text: m.text}, true
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
