package pairingtest_test

import (
	"cmp"
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
	"github.com/tillroute/tillroute/pairing/pairingtest"
)

// chosen is the environment variable that says which broken store TestChosen tests.
const chosen = "TILLROUTE_BROKEN_STORE"

// fault is a store with one fault, and the test that must find it.
type fault struct {
	test string
	wrap func(*timed) pairing.Store
}

func faults() map[string]fault {
	return map[string]fault{
		"none": {"", func(s *timed) pairing.Store { return s }},

		"accepts twice":                                  {"Payments/SameAgain", func(s *timed) pairing.Store { return &acceptsTwice{timed: s} }},
		"ignores conflict":                               {"Payments/OtherBodyConflicts", func(s *timed) pairing.Store { return ignoresConflict{s} }},
		"compares text of amounts":                       {"Payments/SameAmount", func(s *timed) pairing.Store { return comparesText{s} }},
		"asks the pairing first":                         {"Payments/SameAgainWhateverThePairing", func(s *timed) pairing.Store { return asksPairingFirst{s} }},
		"accepts unpaired":                               {"Payments/NotPaired", func(s *timed) pairing.Store { return acceptsUnpaired{s} }},
		"looks up the pairing late":                      {"Payments/PairingAtAcceptanceCounts", func(s *timed) pairing.Store { return looksUpLate{s} }},
		"shares slices":                                  {"Payments/Copies", func(s *timed) pairing.Store { return &sharesSlices{timed: s, data: map[string][]byte{}} }},
		"lists unordered":                                {"Payments/ListFilters", func(s *timed) pairing.Store { return listsUnordered{s} }},
		"counts itself":                                  {"Payments/CountAhead", func(s *timed) pairing.Store { return countsItself{s} }},
		"withdraws sent ones":                            {"Payments/WithdrawOnlyQueued", func(s *timed) pairing.Store { return withdrawsSent{s} }},
		"withdraws once":                                 {"Payments/Withdraw", func(s *timed) pairing.Store { return withdrawsOnce{s} }},
		"resolves done ones":                             {"Payments/ResolveOnlyParked", func(s *timed) pairing.Store { return resolvesDone{s} }},
		"forgets the router's reason":                    {"Payments/ResolveKeepsReason", func(s *timed) pairing.Store { return forgetsReason{s} }},
		"shares slices when marking":                     {"Payments/Copies", func(s *timed) pairing.Store { return &sharesWhenMarking{timed: s} }},
		"changes marks":                                  {"Marks/RoundTrip", func(s *timed) pairing.Store { return changesMarks{s} }},
		"marks what is not there":                        {"Marks/NotFound", func(s *timed) pairing.Store { return marksNothing{s} }},
		"marks whatever the mark is":                     {"Marks/OnlyIfFrom", func(s *timed) pairing.Store { return marksAnyway{s} }},
		"hides the mark":                                 {"Marks/ConflictTellsTheMark", func(s *timed) pairing.Store { return hidesMark{s} }},
		"marks once":                                     {"Marks/SameAgain", func(s *timed) pairing.Store { return marksOnce{s} }},
		"lets everybody mark":                            {"Marks/OneOfManyWins", func(s *timed) pairing.Store { return marksAnyway{s} }},
		"marks done ones alone":                          {"Marks/EveryState", func(s *timed) pairing.Store { return marksDone{s} }},
		"marking notes":                                  {"Marks/EveryState", func(s *timed) pairing.Store { return &markingNotes{claims: newClaims(s)} }},
		"marking ends the lease":                         {"Marks/DisturbsNoClaim", func(s *timed) pairing.Store { return &markingReleases{claims: newClaims(s)} }},
		"marking extends the lease":                      {"Marks/DisturbsNoClaim", func(s *timed) pairing.Store { return &markingRenews{claims: newClaims(s)} }},
		"marking fences":                                 {"Marks/DisturbsNoClaim", func(s *timed) pairing.Store { return markingFences{s} }},
		"marking lets go":                                {"Marks/DisturbsNoQueue", func(s *timed) pairing.Store { return &markingLetsGo{timed: s} }},
		"finishing ends the mark":                        {"Marks/Stays", func(s *timed) pairing.Store { return finishEndsMark{s} }},
		"claims without marks":                           {"Marks/ComesWithClaims", func(s *timed) pairing.Store { return claimsWithoutMark{s} }},
		"no mark is any mark":                            {"Marks/ListFilters", func(s *timed) pairing.Store { return noMarkIsAny{s} }},
		"lists any outcome":                              {"Marks/ListFilters", func(s *timed) pairing.Store { return listsAnyOutcome{s} }},
		"finishing ends the mark, seen by the model":     {"Model/RandomOperations", func(s *timed) pairing.Store { return finishEndsMark{s} }},
		"marks whatever the mark is, seen by the model":  {"Model/RandomOperations", func(s *timed) pairing.Store { return marksAnyway{s} }},
		"forgets the router's reason, seen by the model": {"Model/RandomOperations", func(s *timed) pairing.Store { return forgetsReason{s} }},
		"loses order":                                    {"Claims/WorkersTogether", func(s *timed) pairing.Store { return &losesOrder{timed: s} }},
		"claims over the head":                           {"Claims/HeadIsNeverOvertaken", func(s *timed) pairing.Store { return claimsOver{s} }},
		"two in flight":                                  {"Claims/OneInFlight", func(s *timed) pairing.Store { return claimsOver{s} }},
		"no fence":                                       {"Claims/StaleClaimIsFenced", func(s *timed) pairing.Store { return &noFence{timed: s, latest: map[string]pairing.Claim{}} }},
		"never answers again":                            {"Claims/AskAgain", func(s *timed) pairing.Store { return &neverAgain{newClaims(s)} }},
		"forgets that it was fresh":                      {"Claims/AskAgain", func(s *timed) pairing.Store { return &forgetsFresh{newClaims(s)} }},
		"next belongs to nobody":                         {"Claims/AskAgainForTheNext", func(s *timed) pairing.Store { return nextToNobody{s} }},
		"does not hold back for the owner":               {"Claims/AskAgainInVain", func(s *timed) pairing.Store { return noHold{s} }},
		"never answers again, seen by the model":         {"Model/RandomOperations", func(s *timed) pairing.Store { return &neverAgain{newClaims(s)} }},
		"takes over for fresh":                           {"Claims/AskAgain", func(s *timed) pairing.Store { return resends{s} }},
		"resends":                                        {"Claims/TakeOver", func(s *timed) pairing.Store { return resends{s} }},
		"forgets the handle":                             {"Claims/SaveHandle", func(s *timed) pairing.Store { return forgetsHandle{s} }},
		"replaces the handle":                            {"Claims/SaveHandleOnce", func(s *timed) pairing.Store { return replacesHandle{s} }},
		"fences late ones":                               {"Claims/LateClaimHolds", func(s *timed) pairing.Store { return &fencesLate{timed: s, ends: map[string]time.Time{}} }},
		"does not hold back":                             {"Claims/RequeueHoldsBack", func(s *timed) pairing.Store { return noHold{s} }},
		"never claims next":                              {"Claims/FinishClaimsNext", func(s *timed) pairing.Store { return noNext{s} }},
		"always claims next":                             {"Claims/FinishClaimsNothing", func(s *timed) pairing.Store { return alwaysNext{s} }},
		"parks as done":                                  {"Claims/FinishUnknownParks", func(s *timed) pairing.Store { return parksAsDone{s} }},
		"counts what is done":                            {"Backlog/OnlyWhatIsOpenOrParked", func(s *timed) pairing.Store { return countsDone{s} }},
		"counts without end":                             {"Backlog/Limit", func(s *timed) pairing.Store { return countsAll{s} }},
		"counts by state alone":                          {"Backlog/ByTerminalAndState", func(s *timed) pairing.Store { return countsTogether{s} }},
		"counts the youngest":                            {"Backlog/Age", func(s *timed) pairing.Store { return countsYoungest{s} }},
		"everything is ready":                            {"Claims/Ready", func(s *timed) pairing.Store { return allReady{s} }},
		"rename loses order":                             {"Pairings/MoveKeepsOrder", func(s *timed) pairing.Store { return &renameLosesOrder{timed: s} }},
		"moves everything":                               {"Pairings/MoveLeavesOtherRegisters", func(s *timed) pairing.Store { return movesAll{s} }},
		"reuses versions":                                {"Pairings/VersionIsNeverUsedTwice", func(s *timed) pairing.Store { return &reusesVersions{timed: s, off: map[pairing.Register]int64{}} }},
		"ignores versions":                               {"Pairings/VersionMustMatch", func(s *timed) pairing.Store { return ignoresVersions{s} }},
		"lists by dictionary":                            {"Pairings/ListInOrder", func(s *timed) pairing.Store { return listsByDictionary{s} }},
		"local times":                                    {"Pairings/RoundTrip", func(s *timed) pairing.Store { return localTimes{s} }},
		"code redeemable twice":                          {"Codes/UsedCode", func(s *timed) pairing.Store { return &redeemsTwice{timed: s, codes: map[string]pairing.Code{}} }},
		"tries not counted":                              {"Codes/TriesAreLimited", func(s *timed) pairing.Store { return triesNotCounted{s} }},
		"tries counted together":                         {"Codes/TriesAreCountedPerKey", func(s *timed) pairing.Store { return triesTogether{s} }},
		"keeps earlier codes":                            {"Codes/NewCodeEndsEarlierOnes", func(s *timed) pairing.Store { return &keepsEarlierCodes{timed: s} }},
		"delivery answered twice":                        {"Deliveries/OneOfMany", func(s *timed) pairing.Store { return answersTwice{s} }},
		"ignores hashes":                                 {"Deliveries/OtherHashConflicts", func(s *timed) pairing.Store { return ignoresHashes{s} }},
		"purges too much":                                {"Deliveries/Purge", func(s *timed) pairing.Store { return purgesTooMuch{s} }},
		"two refresh":                                    {"Tokens/RefreshByOneOwner", func(s *timed) pairing.Store { return twoRefresh{s} }},
		"reuses versions of grants":                      {"Tokens/Delete", func(s *timed) pairing.Store { return reusesGrants{s} }},
		"unlimited":                                      {"Rules/NoLimitGivesNothing", func(s *timed) pairing.Store { return unlimited{s} }},
		"leaves a trace":                                 {"Rules/EndedContextLeavesNoTrace", func(s *timed) pairing.Store { return leavesTrace{s} }},
		"notices late":                                   {"Rules/EndedContextLeavesNoTrace", func(s *timed) pairing.Store { return noticesLate{s} }},
		"works after close":                              {"Rules/NothingAfterClose", func(s *timed) pairing.Store { return worksAfterClose{s} }},
		"plain errors":                                   {"Payments/NotFound", func(s *timed) pairing.Store { return plainErrors{s} }},
		"resends, seen by the model":                     {"Model/RandomOperations", func(s *timed) pairing.Store { return resends{s} }},
		"no hold, seen by the model":                     {"Model/RandomOperations", func(s *timed) pairing.Store { return noHold{s} }},
		"fence ends with the lease, seen by the model": {"Model/RandomOperations", func(s *timed) pairing.Store {
			return &fencesLate{timed: s, ends: map[string]time.Time{}}
		}},
	}
}

// TestChosen runs the suite on a broken store. TestBrokenStores calls it in a process of its own.
func TestChosen(t *testing.T) {
	f, ok := faults()[os.Getenv(chosen)]
	if !ok {
		t.Skip("only for TestBrokenStores")
	}
	pairingtest.TestStore(t, pairingtest.Harness{
		Open:  func(*testing.T) pairing.Store { return f.wrap(open()) },
		Sleep: func(s pairing.Store, d time.Duration) { s.(interface{ sleep(d time.Duration) }).sleep(d) },
	})
}

// TestBrokenStores makes sure that the suite finds the faults that stores have.
func TestBrokenStores(t *testing.T) {
	t.Parallel()
	for name, f := range faults() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pattern := "^TestChosen$"
			if f.test != "" {
				pattern += "/^" + strings.ReplaceAll(f.test, "/", "$/^") + "$"
			}
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run="+pattern, "-test.v")
			cmd.Env = append(os.Environ(), chosen+"="+name)
			out, err := cmd.CombinedOutput()
			if f.test == "" {
				require.NoError(t, err, "the suite fails a store that has no fault:\n%s", out)
				return
			}
			require.Error(t, err, "the suite passes a store with a fault:\n%s", out)
			require.Contains(t, string(out), "--- FAIL: TestChosen/"+f.test, "another test failed than the one that should")
			require.Contains(t, string(out), "broken rule:", "the failure doesn't say what is wrong")
		})
	}
}

func (s *timed) sleep(d time.Duration) { s.clock.Sleep(d) }

type countsDone struct{ *timed }

func (s countsDone) CountPayments(ctx context.Context, limit int) ([]pairing.Backlog, error) {
	list, err := s.timed.CountPayments(ctx, limit)
	done, _ := s.ListPayments(ctx, pairing.Filter{States: []pairing.State{pairing.Done}}, limit)
	for _, p := range done {
		list = append(list, pairing.Backlog{Terminal: p.Terminal, State: p.State, Count: 1})
	}
	return list, err
}

type countsAll struct{ *timed }

func (s countsAll) CountPayments(ctx context.Context, _ int) ([]pairing.Backlog, error) {
	return s.timed.CountPayments(ctx, 1000)
}

type countsTogether struct{ *timed }

func (s countsTogether) CountPayments(ctx context.Context, limit int) ([]pairing.Backlog, error) {
	list, err := s.timed.CountPayments(ctx, limit)
	if len(list) > 1 {
		list[0].Count += len(list) - 1
		list = list[:1]
	}
	return list, err
}

type countsYoungest struct{ *timed }

func (s countsYoungest) CountPayments(ctx context.Context, limit int) ([]pairing.Backlog, error) {
	list, err := s.timed.CountPayments(ctx, limit)
	for i := range list {
		list[i].Age = 0
	}
	return list, err
}

type acceptsTwice struct {
	*timed

	mu sync.Mutex
	n  int
}

func (s *acceptsTwice) AcceptPayment(ctx context.Context, r pairing.Request) (pairing.Payment, error) {
	p, err := s.timed.AcceptPayment(ctx, r)
	if err == nil && p.State == pairing.Done {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.n++
		r.ID += strings.Repeat("'", s.n)
		return s.timed.AcceptPayment(ctx, r)
	}
	return p, err
}

type ignoresConflict struct{ *timed }

func (s ignoresConflict) AcceptPayment(ctx context.Context, r pairing.Request) (pairing.Payment, error) {
	p, err := s.timed.AcceptPayment(ctx, r)
	if errors.Is(err, tillroute.ErrConflict) {
		return s.Payment(ctx, r.ID)
	}
	return p, err
}

type comparesText struct{ *timed }

func (s comparesText) AcceptPayment(ctx context.Context, r pairing.Request) (pairing.Payment, error) {
	p, err := s.timed.AcceptPayment(ctx, r)
	if err == nil && p.Amount.Exponent() != r.Amount.Exponent() {
		return pairing.Payment{}, pairing.Errorf(tillroute.KindConflict, nil, "%s is not %s", r.Amount, p.Amount)
	}
	return p, err
}

type asksPairingFirst struct{ *timed }

func (s asksPairingFirst) AcceptPayment(ctx context.Context, r pairing.Request) (pairing.Payment, error) {
	if _, err := s.Pairing(ctx, r.Register); err != nil {
		return pairing.Payment{}, err
	}
	return s.timed.AcceptPayment(ctx, r)
}

type acceptsUnpaired struct{ *timed }

func (s acceptsUnpaired) AcceptPayment(ctx context.Context, r pairing.Request) (pairing.Payment, error) {
	p, err := s.timed.AcceptPayment(ctx, r)
	if errors.Is(err, pairing.ErrNotPaired) {
		return pairing.Payment{Request: r, State: pairing.Queued}, nil
	}
	return p, err
}

type looksUpLate struct{ *timed }

func (s looksUpLate) Payment(ctx context.Context, id string) (pairing.Payment, error) {
	p, err := s.timed.Payment(ctx, id)
	if at, err := s.Pairing(ctx, p.Register); err == nil {
		p.Terminal = at.Terminal
	}
	return p, err
}

type sharesSlices struct {
	*timed

	mu   sync.Mutex
	data map[string][]byte
}

func (s *sharesSlices) Payment(ctx context.Context, id string) (pairing.Payment, error) {
	p, err := s.timed.Payment(ctx, id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.data[id] == nil {
		s.data[id] = p.Data
	}
	p.Data = s.data[id]
	return p, err
}

type listsUnordered struct{ *timed }

func (s listsUnordered) ListPayments(ctx context.Context, f pairing.Filter, limit int) ([]pairing.Payment, error) {
	list, err := s.timed.ListPayments(ctx, f, limit)
	slices.Reverse(list)
	return list, err
}

type countsItself struct{ *timed }

func (s countsItself) CountAhead(ctx context.Context, id string) (int, error) {
	n, err := s.timed.CountAhead(ctx, id)
	return n + 1, err
}

type withdrawsSent struct{ *timed }

func (s withdrawsSent) WithdrawPayment(ctx context.Context, id, reason string) (pairing.Payment, error) {
	p, err := s.timed.WithdrawPayment(ctx, id, reason)
	if errors.Is(err, tillroute.ErrConflict) {
		return s.Payment(ctx, id)
	}
	return p, err
}

type withdrawsOnce struct{ *timed }

func (s withdrawsOnce) WithdrawPayment(ctx context.Context, id, reason string) (pairing.Payment, error) {
	if p, err := s.Payment(ctx, id); err == nil && p.State == pairing.Done {
		return pairing.Payment{}, pairing.Errorf(tillroute.KindConflict, nil, "it is done")
	}
	return s.timed.WithdrawPayment(ctx, id, reason)
}

type resolvesDone struct{ *timed }

func (s resolvesDone) ResolvePayment(ctx context.Context, id string, r pairing.Resolution) (pairing.Payment, error) {
	p, err := s.timed.ResolvePayment(ctx, id, r)
	if errors.Is(err, tillroute.ErrConflict) {
		return s.Payment(ctx, id)
	}
	return p, err
}

type forgetsReason struct{ *timed }

func (s forgetsReason) ResolvePayment(ctx context.Context, id string, r pairing.Resolution) (pairing.Payment, error) {
	p, err := s.timed.ResolvePayment(ctx, id, r)
	p.Result.Reason = "resolved by " + r.By + ": " + r.Reason
	return p, err
}

// sharesWhenMarking spoils what a caller of MarkPayment got before when it is called again.
type sharesWhenMarking struct {
	*timed

	mu   sync.Mutex
	data []byte
}

func (s *sharesWhenMarking) MarkPayment(ctx context.Context, id, from, to string) (pairing.Payment, error) {
	p, err := s.timed.MarkPayment(ctx, id, from, to)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.data = p.Data
	return p, err
}

func (s *sharesWhenMarking) Payment(ctx context.Context, id string) (pairing.Payment, error) {
	p, err := s.timed.Payment(ctx, id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.data != nil {
		p.Data = s.data
	}
	return p, err
}

type changesMarks struct{ *timed }

func (s changesMarks) MarkPayment(ctx context.Context, id, from, to string) (pairing.Payment, error) {
	return s.timed.MarkPayment(ctx, id, from, strings.TrimSpace(to))
}

type marksNothing struct{ *timed }

func (s marksNothing) MarkPayment(ctx context.Context, id, from, to string) (pairing.Payment, error) {
	p, err := s.timed.MarkPayment(ctx, id, from, to)
	if errors.Is(err, tillroute.ErrNotFound) {
		return pairing.Payment{}, nil
	}
	return p, err
}

// marksAnyway marks whatever the mark was.
type marksAnyway struct{ *timed }

func (s marksAnyway) MarkPayment(ctx context.Context, id, from, to string) (pairing.Payment, error) {
	for {
		p, err := s.timed.MarkPayment(ctx, id, from, to)
		if !errors.Is(err, tillroute.ErrConflict) {
			return p, err
		}
		if p, err = s.Payment(ctx, id); err != nil {
			return p, err
		}
		from = p.Mark
	}
}

type hidesMark struct{ *timed }

func (s hidesMark) MarkPayment(ctx context.Context, id, from, to string) (pairing.Payment, error) {
	p, err := s.timed.MarkPayment(ctx, id, from, to)
	if errors.Is(err, tillroute.ErrConflict) {
		err = pairing.Errorf(tillroute.KindConflict, nil, "payment %q is marked otherwise", id)
	}
	return p, err
}

type marksOnce struct{ *timed }

func (s marksOnce) MarkPayment(ctx context.Context, id, from, to string) (pairing.Payment, error) {
	if p, err := s.Payment(ctx, id); err == nil && p.Mark != from {
		return pairing.Payment{}, pairing.Errorf(tillroute.KindConflict, nil, "it is marked %q", p.Mark)
	}
	return s.timed.MarkPayment(ctx, id, from, to)
}

type marksDone struct{ *timed }

func (s marksDone) MarkPayment(ctx context.Context, id, from, to string) (pairing.Payment, error) {
	if p, err := s.Payment(ctx, id); err == nil && p.State != pairing.Done {
		return pairing.Payment{}, pairing.Errorf(tillroute.KindConflict, nil, "it is %s", p.State)
	}
	return s.timed.MarkPayment(ctx, id, from, to)
}

// claims knows the latest claim of each payment.
type claims struct {
	*timed

	mu     sync.Mutex
	latest map[string]pairing.Claim
}

func newClaims(s *timed) *claims { return &claims{timed: s, latest: map[string]pairing.Claim{}} }

func (s *claims) ClaimPayment(ctx context.Context, t pairing.Terminal, owner string, lease time.Duration) (pairing.Claim, bool, error) {
	c, ok, err := s.timed.ClaimPayment(ctx, t, owner, lease)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.latest[c.Payment.ID] = c
	return c, ok, err
}

func (s *claims) of(id string) pairing.Claim {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.latest[id]
}

type markingNotes struct{ *claims }

func (s *markingNotes) MarkPayment(ctx context.Context, id, from, to string) (pairing.Payment, error) {
	_ = s.RenewClaim(ctx, s.of(id), time.Hour, to)
	return s.claims.MarkPayment(ctx, id, from, to)
}

type markingReleases struct{ *claims }

func (s *markingReleases) MarkPayment(ctx context.Context, id, from, to string) (pairing.Payment, error) {
	_ = s.ReleaseClaim(ctx, s.of(id))
	return s.claims.MarkPayment(ctx, id, from, to)
}

type markingRenews struct{ *claims }

func (s *markingRenews) MarkPayment(ctx context.Context, id, from, to string) (pairing.Payment, error) {
	if p, err := s.Payment(ctx, id); err == nil {
		_ = s.RenewClaim(ctx, s.of(id), time.Hour, p.Note)
	}
	return s.claims.MarkPayment(ctx, id, from, to)
}

// markingFences takes a claim of what is under way away from its worker.
type markingFences struct{ *timed }

func (s markingFences) MarkPayment(ctx context.Context, id, from, to string) (pairing.Payment, error) {
	p, err := s.timed.MarkPayment(ctx, id, from, to)
	if err == nil && (p.State == pairing.Sending || p.State == pairing.Sent) {
		s.sleep(2 * time.Hour)
		_, _, err = s.ClaimPayment(ctx, p.Terminal, "marker", time.Hour)
	}
	return p, err
}

// markingLetsGo no longer holds the queue of what is marked back.
type markingLetsGo struct {
	*timed

	mu sync.Mutex
	at map[pairing.Terminal]bool
}

func (s *markingLetsGo) MarkPayment(ctx context.Context, id, from, to string) (pairing.Payment, error) {
	p, err := s.timed.MarkPayment(ctx, id, from, to)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil && p.State == pairing.Queued {
		s.at = map[pairing.Terminal]bool{p.Terminal: true}
	}
	return p, err
}

func (s *markingLetsGo) ClaimPayment(ctx context.Context, t pairing.Terminal, owner string, lease time.Duration) (pairing.Claim, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at[t] {
		s.sleep(2 * time.Hour)
	}
	return s.timed.ClaimPayment(ctx, t, owner, lease)
}

type finishEndsMark struct{ *timed }

func (s finishEndsMark) FinishPayment(ctx context.Context, c pairing.Claim, r pairing.Result, lease time.Duration) (pairing.Claim, bool, error) {
	next, ok, err := s.timed.FinishPayment(ctx, c, r, lease)
	if p, readErr := s.Payment(ctx, c.Payment.ID); err == nil && readErr == nil {
		_, err = s.MarkPayment(ctx, p.ID, p.Mark, "")
	}
	return next, ok, err
}

type claimsWithoutMark struct{ *timed }

func (s claimsWithoutMark) ClaimPayment(ctx context.Context, t pairing.Terminal, owner string, lease time.Duration) (pairing.Claim, bool, error) {
	c, ok, err := s.timed.ClaimPayment(ctx, t, owner, lease)
	c.Payment.Mark = ""
	return c, ok, err
}

type noMarkIsAny struct{ *timed }

func (s noMarkIsAny) ListPayments(ctx context.Context, f pairing.Filter, limit int) ([]pairing.Payment, error) {
	if slices.Equal(f.Marks, []string{""}) {
		f.Marks = nil
	}
	return s.timed.ListPayments(ctx, f, limit)
}

type listsAnyOutcome struct{ *timed }

func (s listsAnyOutcome) ListPayments(ctx context.Context, f pairing.Filter, limit int) ([]pairing.Payment, error) {
	f.Outcomes = nil
	return s.timed.ListPayments(ctx, f, limit)
}

// losesOrder sometimes takes the second payment of a queue.
type losesOrder struct {
	*timed

	mu sync.Mutex
	n  int
}

func (s *losesOrder) ClaimPayment(ctx context.Context, t pairing.Terminal, owner string, lease time.Duration) (pairing.Claim, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok, err := s.timed.ClaimPayment(ctx, t, owner, lease)
	if s.n++; !ok || s.n%2 == 0 {
		return c, ok, err
	}
	next, more, err := s.FinishPayment(ctx, c, pairing.Result{Outcome: tillroute.Failed}, lease)
	if !more {
		return c, ok, err
	}
	return next, true, err
}

// claimsOver gives out what stands behind a head that is leased.
type claimsOver struct{ *timed }

func (s claimsOver) ClaimPayment(ctx context.Context, t pairing.Terminal, owner string, lease time.Duration) (pairing.Claim, bool, error) {
	c, ok, err := s.timed.ClaimPayment(ctx, t, owner, lease)
	if err != nil || ok {
		return c, ok, err
	}
	list, err := s.ListPayments(ctx, pairing.Filter{Terminal: t, States: []pairing.State{pairing.Queued}}, 1)
	if err != nil || len(list) == 0 {
		return c, false, err
	}
	return pairing.Claim{Payment: list[0], Owner: owner, Fence: 1, Fresh: true}, true, nil
}

// noFence lets stale claims do what only the latest may.
type noFence struct {
	*timed

	mu     sync.Mutex
	latest map[string]pairing.Claim
}

func (s *noFence) ClaimPayment(ctx context.Context, t pairing.Terminal, owner string, lease time.Duration) (pairing.Claim, bool, error) {
	c, ok, err := s.timed.ClaimPayment(ctx, t, owner, lease)
	s.mu.Lock()
	defer s.mu.Unlock()
	if ok {
		s.latest[c.Payment.ID] = c
	}
	return c, ok, err
}

func (s *noFence) FinishPayment(ctx context.Context, c pairing.Claim, r pairing.Result, lease time.Duration) (pairing.Claim, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.timed.FinishPayment(ctx, s.latest[c.Payment.ID], r, lease)
}

type resends struct{ *timed }

func (s resends) ClaimPayment(ctx context.Context, t pairing.Terminal, owner string, lease time.Duration) (pairing.Claim, bool, error) {
	c, ok, err := s.timed.ClaimPayment(ctx, t, owner, lease)
	c.Fresh = ok && c.Payment.State == pairing.Sending
	return c, ok, err
}

// had returns the claim of what is in flight at the terminal.
func (s *claims) had(ctx context.Context, t pairing.Terminal) (pairing.Claim, bool) {
	list, err := s.ListPayments(ctx, pairing.Filter{Terminal: t, States: []pairing.State{pairing.Sending, pairing.Sent}}, 1)
	if err != nil || len(list) == 0 {
		return pairing.Claim{}, false
	}
	return s.of(list[0].ID), true
}

// nextToNobody claims what is next for somebody else.
type nextToNobody struct{ *timed }

func (s nextToNobody) FinishPayment(ctx context.Context, c pairing.Claim, r pairing.Result, lease time.Duration) (pairing.Claim, bool, error) {
	owner := c.Owner
	c.Owner = "nobody"
	next, ok, err := s.timed.FinishPayment(ctx, c, r, lease)
	next.Owner = owner
	return next, ok, err
}

// neverAgain doesn't give an owner what it has.
type neverAgain struct{ *claims }

func (s *neverAgain) ClaimPayment(ctx context.Context, t pairing.Terminal, owner string, lease time.Duration) (pairing.Claim, bool, error) {
	if had, ok := s.had(ctx, t); ok && had.Owner == owner {
		return pairing.Claim{}, false, nil
	}
	return s.claims.ClaimPayment(ctx, t, owner, lease)
}

// forgetsFresh gives an owner what it has as if somebody else had sent it.
type forgetsFresh struct{ *claims }

func (s *forgetsFresh) ClaimPayment(ctx context.Context, t pairing.Terminal, owner string, lease time.Duration) (pairing.Claim, bool, error) {
	had, again := s.had(ctx, t)
	c, ok, err := s.claims.ClaimPayment(ctx, t, owner, lease)
	c.Fresh = c.Fresh && (!again || had.Payment.ID != c.Payment.ID || had.Fence != c.Fence)
	return c, ok, err
}

type forgetsHandle struct{ *timed }

func (s forgetsHandle) SavePaymentHandle(ctx context.Context, c pairing.Claim, h pairing.Handle) error {
	h.Token = ""
	return s.timed.SavePaymentHandle(ctx, c, h)
}

type replacesHandle struct{ *timed }

func (s replacesHandle) SavePaymentHandle(ctx context.Context, c pairing.Claim, h pairing.Handle) error {
	err := s.timed.SavePaymentHandle(ctx, c, h)
	if errors.Is(err, pairing.ErrFenced) {
		return err
	}
	return nil
}

// fencesLate refuses claims whose lease has ended.
type fencesLate struct {
	*timed

	mu   sync.Mutex
	ends map[string]time.Time
}

func (s *fencesLate) ClaimPayment(ctx context.Context, t pairing.Terminal, owner string, lease time.Duration) (pairing.Claim, bool, error) {
	c, ok, err := s.timed.ClaimPayment(ctx, t, owner, lease)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ends[c.Payment.ID] = s.clock.Now().Add(lease)
	return c, ok, err
}

func (s *fencesLate) SavePaymentHandle(ctx context.Context, c pairing.Claim, h pairing.Handle) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clock.Now().After(s.ends[c.Payment.ID]) {
		return pairing.Errorf(tillroute.KindConflict, pairing.ErrFenced, "too late")
	}
	return s.timed.SavePaymentHandle(ctx, c, h)
}

type noHold struct{ *timed }

func (s noHold) RequeuePayment(ctx context.Context, c pairing.Claim, _ time.Duration, note string) error {
	return s.timed.RequeuePayment(ctx, c, 0, note)
}

type noNext struct{ *timed }

func (s noNext) FinishPayment(ctx context.Context, c pairing.Claim, r pairing.Result, _ time.Duration) (pairing.Claim, bool, error) {
	return s.timed.FinishPayment(ctx, c, r, 0)
}

type alwaysNext struct{ *timed }

func (s alwaysNext) FinishPayment(ctx context.Context, c pairing.Claim, r pairing.Result, lease time.Duration) (pairing.Claim, bool, error) {
	return s.timed.FinishPayment(ctx, c, r, max(lease, time.Hour))
}

type parksAsDone struct{ *timed }

func (s parksAsDone) FinishPayment(ctx context.Context, c pairing.Claim, r pairing.Result, lease time.Duration) (pairing.Claim, bool, error) {
	if r.Outcome == tillroute.Unknown {
		r.Outcome = tillroute.Failed
	}
	return s.timed.FinishPayment(ctx, c, r, lease)
}

type allReady struct{ *timed }

func (s allReady) ReadyTerminals(ctx context.Context, providers []string, limit int) ([]pairing.Terminal, error) {
	list, err := s.timed.ReadyTerminals(ctx, providers, limit)
	payments, _ := s.ListPayments(ctx, pairing.Filter{States: []pairing.State{pairing.Queued, pairing.Sending}}, 1000)
	for _, p := range payments {
		if len(list) < limit && !slices.Contains(list, p.Terminal) && slices.Contains(providers, p.Terminal.Provider) {
			list = append(list, p.Terminal)
		}
	}
	return list, err
}

// renameLosesOrder serves what has moved after what was there.
type renameLosesOrder struct {
	*timed

	mu    sync.Mutex
	moved []string
}

func (s *renameLosesOrder) MoveRegister(ctx context.Context, r pairing.Register, from, to pairing.Terminal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	list, _ := s.ListPayments(ctx, pairing.Filter{Register: r, Terminal: from, States: []pairing.State{pairing.Queued}}, 1000)
	for _, p := range list {
		s.moved = append(s.moved, p.ID)
	}
	return s.timed.MoveRegister(ctx, r, from, to)
}

func (s *renameLosesOrder) CountAhead(ctx context.Context, id string) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.timed.CountAhead(ctx, id)
	if slices.Contains(s.moved, id) {
		n += 3
	}
	return n, err
}

type movesAll struct{ *timed }

func (s movesAll) MoveRegister(ctx context.Context, r pairing.Register, from, to pairing.Terminal) error {
	if err := s.timed.MoveRegister(ctx, r, from, to); err != nil {
		return err
	}
	list, err := s.ListPairings(ctx, pairing.Register{}, 1000)
	for _, p := range list {
		err = cmp.Or(err, s.timed.MoveRegister(ctx, p.Register, from, to))
	}
	return err
}

// reusesVersions begins at 1 again when a register was unpaired.
type reusesVersions struct {
	*timed

	mu  sync.Mutex
	off map[pairing.Register]int64
}

func (s *reusesVersions) PutPairing(ctx context.Context, p pairing.Pairing, ifVersion int64) (pairing.Pairing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ifVersion > 0 {
		ifVersion += s.off[p.Register]
	}
	stored, err := s.timed.PutPairing(ctx, p, ifVersion)
	stored.Version -= s.off[p.Register]
	return stored, err
}

func (s *reusesVersions) DeletePairing(ctx context.Context, r pairing.Register, ifVersion int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.timed.DeletePairing(ctx, r, ifVersion+s.off[r])
	if err == nil {
		s.off[r] += ifVersion
	}
	return err
}

type ignoresVersions struct{ *timed }

func (s ignoresVersions) PutPairing(ctx context.Context, p pairing.Pairing, ifVersion int64) (pairing.Pairing, error) {
	if ifVersion > 0 {
		ifVersion = -1
	}
	return s.timed.PutPairing(ctx, p, ifVersion)
}

type listsByDictionary struct{ *timed }

func (s listsByDictionary) ListPairings(ctx context.Context, after pairing.Register, limit int) ([]pairing.Pairing, error) {
	list, err := s.timed.ListPairings(ctx, after, limit)
	slices.SortFunc(list, func(a, b pairing.Pairing) int {
		return strings.Compare(strings.ToLower(a.Register.String()), strings.ToLower(b.Register.String()))
	})
	return list, err
}

type localTimes struct{ *timed }

func (s localTimes) Pairing(ctx context.Context, r pairing.Register) (pairing.Pairing, error) {
	p, err := s.timed.Pairing(ctx, r)
	p.PairedAt = p.PairedAt.In(time.FixedZone("here", 3600))
	return p, err
}

type redeemsTwice struct {
	*timed

	mu    sync.Mutex
	codes map[string]pairing.Code
}

func (s *redeemsTwice) PutCode(ctx context.Context, c pairing.Code, ttl time.Duration) (pairing.Code, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.codes[c.Text] = c
	return s.timed.PutCode(ctx, c, ttl)
}

func (s *redeemsTwice) RedeemCode(ctx context.Context, text string, p pairing.Pairing, tries pairing.Tries) (pairing.Pairing, error) {
	stored, err := s.timed.RedeemCode(ctx, text, p, tries)
	if errors.Is(err, pairing.ErrCodeUsed) {
		s.mu.Lock()
		defer s.mu.Unlock()
		p.Terminal = s.codes[text].Terminal
		return s.PutPairing(ctx, p, -1)
	}
	return stored, err
}

type triesNotCounted struct{ *timed }

func (s triesNotCounted) RedeemCode(ctx context.Context, text string, p pairing.Pairing, tries pairing.Tries) (pairing.Pairing, error) {
	tries.Max = 1 << 30
	return s.timed.RedeemCode(ctx, text, p, tries)
}

type triesTogether struct{ *timed }

func (s triesTogether) RedeemCode(ctx context.Context, text string, p pairing.Pairing, tries pairing.Tries) (pairing.Pairing, error) {
	tries.Key = "everybody"
	return s.timed.RedeemCode(ctx, text, p, tries)
}

// keepsEarlierCodes has each code shown by a terminal of its own.
type keepsEarlierCodes struct {
	*timed
}

func (s *keepsEarlierCodes) PutCode(ctx context.Context, c pairing.Code, ttl time.Duration) (pairing.Code, error) {
	c.Terminal.Serial += c.Text
	return s.timed.PutCode(ctx, c, ttl)
}

type answersTwice struct{ *timed }

func (s answersTwice) BeginDelivery(ctx context.Context, source, key string, hash []byte, lease time.Duration) (pairing.Delivery, error) {
	d, err := s.timed.BeginDelivery(ctx, source, key, hash, lease)
	if errors.Is(err, tillroute.ErrBusy) {
		return pairing.Delivery{Source: source, Key: key, Hash: hash, Fence: 1}, nil
	}
	return d, err
}

type ignoresHashes struct{ *timed }

func (s ignoresHashes) BeginDelivery(ctx context.Context, source, key string, _ []byte, lease time.Duration) (pairing.Delivery, error) {
	return s.timed.BeginDelivery(ctx, source, key, nil, lease)
}

type purgesTooMuch struct{ *timed }

func (s purgesTooMuch) PurgeDeliveries(ctx context.Context, _ time.Duration) (int, error) {
	return s.timed.PurgeDeliveries(ctx, 0)
}

type twoRefresh struct{ *timed }

func (s twoRefresh) ClaimRefresh(ctx context.Context, system, account, _ string, lease time.Duration) (pairing.Grant, error) {
	return s.timed.ClaimRefresh(ctx, system, account, "anybody", lease)
}

// leavesTrace notices only afterwards that the context has ended.
type leavesTrace struct{ *timed }

func (s leavesTrace) AcceptPayment(ctx context.Context, r pairing.Request) (pairing.Payment, error) {
	p, err := s.timed.AcceptPayment(context.WithoutCancel(ctx), r)
	if ctx.Err() != nil {
		return pairing.Payment{}, pairing.Errorf(tillroute.KindCanceled, ctx.Err(), "given up")
	}
	return p, err
}

// noticesLate looks whether the context has ended when it has waited for something.
type noticesLate struct{ *timed }

func (s noticesLate) Payment(ctx context.Context, id string) (pairing.Payment, error) {
	if ctx.Err() != nil {
		<-time.After(time.Second)
	}
	return s.timed.Payment(ctx, id)
}

type worksAfterClose struct{ *timed }

func (worksAfterClose) Close() error { return nil }

type plainErrors struct{ *timed }

func (s plainErrors) Payment(ctx context.Context, id string) (pairing.Payment, error) {
	p, err := s.timed.Payment(ctx, id)
	if err != nil {
		return p, tillroute.ErrNotFound
	}
	return p, nil
}

type reusesGrants struct{ *timed }

func (s reusesGrants) PutGrant(ctx context.Context, g pairing.Grant, ifVersion int64) (pairing.Grant, error) {
	stored, err := s.timed.PutGrant(ctx, g, ifVersion)
	if ifVersion == 0 {
		stored.Version = 1
	}
	return stored, err
}

type unlimited struct{ *timed }

func (s unlimited) ListPayments(ctx context.Context, f pairing.Filter, limit int) ([]pairing.Payment, error) {
	if limit <= 0 {
		limit = 1000
	}
	return s.timed.ListPayments(ctx, f, limit)
}
