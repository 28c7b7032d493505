package pairingtest

import (
	"errors"
	"fmt"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

func codeTests() []test {
	return []test{
		{"PutReturnsIt", putCode},
		{"TextOfTheLastDayIsTaken", putCodeConflict},
		{"TextOfAValidCodeIsTaken", putCodeValid},
		{"NewCodeEndsEarlierOnes", putCodeReplaces},
		{"RedeemPairs", redeemPairs},
		{"RedeemPairsAnew", redeemAnew},
		{"WrongCode", redeemWrong},
		{"ExpiredCode", redeemExpired},
		{"UsedCode", redeemUsed},
		{"RedeemOnceOfMany", redeemOnce},
		{"FailureChangesNothing", redeemFailure},
		{"TriesAreLimited", triesLimited},
		{"EveryFailureCounts", triesCount},
		{"SuccessDoesNotResetTries", triesSuccess},
		{"TriesAreCountedPerKey", triesPerKey},
		{"TriesEndWithTheirWindow", triesWindow},
		{"TriesAreLimitedAtOnce", triesRace},
		{"TriesAreDurable", triesDurable},
	}
}

// generous lets the tests that aren't about the limit guess.
func generous() pairing.Tries { return pairing.Tries{Key: "somebody", Max: 1000, Window: long} }

func (k *kit) code(text, serial string, ttl time.Duration) pairing.Code {
	k.Helper()
	c, err := k.store.PutCode(k.Context(), pairing.Code{Text: text, Terminal: terminal(serial), TerminalName: "terminal " + serial}, ttl)
	k.ok(err, "issuing a code")
	return c
}

func (k *kit) redeem(text, id string, tries pairing.Tries) (pairing.Pairing, error) {
	return k.store.RedeemCode(k.Context(), text, pairing.Pairing{
		Register: register(id), RegisterName: "register " + id, Identity: tillroute.Secret("identity " + id),
		Terminal: terminal("ignored"), TerminalName: "ignored",
	}, tries)
}

func putCode(k *kit) {
	before := k.pair(register("clock"), terminal("clock")).PairedAt
	got := k.code("ABCDEFGH", "1", 10*time.Minute)
	k.utc(got.ExpiresAt, "ExpiresAt")
	k.same(got, pairing.Code{
		Text: "ABCDEFGH", Terminal: terminal("1"), TerminalName: "terminal 1", ExpiresAt: got.ExpiresAt,
	}, "PutCode returns the code as stored")
	left := got.ExpiresAt.Sub(before)
	k.rule(left > 9*time.Minute && left < 11*time.Minute, "a code is valid for ttl from now, by the store's clock", "it is valid for %s", left)
}

func putCodeConflict(k *kit) {
	k.code("LIVECODE", "1", long)
	k.code("USEDCODE", "2", long)
	_, err := k.redeem("USEDCODE", "2", generous())
	k.ok(err, "redeeming a code")
	k.code("PASTCODE", "3", short)
	k.code("REPLACED", "4", long)
	k.code("NEWERONE", "4", long)
	k.pass(short)
	for _, text := range []string{"LIVECODE", "USEDCODE", "PASTCODE", "REPLACED", "NEWERONE"} {
		for _, serial := range []string{"1", "2", "3", "4", "5"} {
			_, err := k.store.PutCode(k.Context(), pairing.Code{Text: text, Terminal: terminal(serial)}, long)
			k.fails(err, tillroute.ErrConflict, "a text that was issued in the last day is not issued again")
		}
	}
	p, err := k.redeem("LIVECODE", "1", generous())
	k.ok(err, "a refused code leaves the others as they are")
	k.rule(p.Terminal == terminal("1"), "a refused code leaves the others as they are", "%s", show(p))
	_, err = k.redeem("NEWERONE", "4", generous())
	k.ok(err, "a refused code doesn't end the codes of its terminal")
}

func putCodeValid(k *kit) {
	if k.harness.Sleep == nil {
		k.Skip("it takes days on a real clock (Harness.Sleep is nil)")
	}
	k.code("LONGCODE", "1", 100*time.Hour)
	k.pass(50 * time.Hour)
	_, err := k.store.PutCode(k.Context(), pairing.Code{Text: "LONGCODE", Terminal: terminal("2")}, long)
	k.fails(err, tillroute.ErrConflict, "the text of a code that is valid still is not issued again")
	p, err := k.redeem("LONGCODE", "1", generous())
	k.ok(err, "redeeming a code")
	k.rule(p.Terminal == terminal("1"), "a code pairs with the terminal that shows it", "%s", show(p))
}

func putCodeReplaces(k *kit) {
	k.code("EARLIER1", "1", long)
	k.code("ANOTHER1", "2", long)
	k.code("NEWCODE1", "1", long)
	_, err := k.redeem("EARLIER1", "1", generous())
	k.fails(err, pairing.ErrCodeExpired, "a terminal's new code ends its earlier ones")
	_, err = k.redeem("ANOTHER1", "2", generous())
	k.ok(err, "a new code leaves the codes of other terminals alone")
	_, err = k.redeem("NEWCODE1", "1", generous())
	k.ok(err, "redeeming the new code")
}

func redeemPairs(k *kit) {
	k.code("ABCDEFGH", "1", long)
	got, err := k.redeem("ABCDEFGH", "1", generous())
	k.ok(err, "redeeming a code")
	k.utc(got.PairedAt, "PairedAt")
	want := pairing.Pairing{
		Register: register("1"), RegisterName: "register 1", Identity: "identity 1",
		Terminal: terminal("1"), TerminalName: "terminal 1", Version: 1, PairedAt: got.PairedAt,
	}
	k.same(got, want, "the register, its name and identity are the caller's, the terminal and its name the code's")
	k.pairingIs(want, "RedeemCode pairs the register")
}

func redeemAnew(k *kit) {
	before := k.pair(register("1"), terminal("old"))
	k.code("ABCDEFGH", "new", long)
	after, err := k.redeem("ABCDEFGH", "1", generous())
	k.ok(err, "a register that is paired already is paired anew")
	k.rule(after.Terminal == terminal("new") && after.Version == before.Version+1,
		"a register that is paired already is paired anew, one version up", "%s after %s", show(after), show(before))
	k.ok(k.store.DeletePairing(k.Context(), register("1"), after.Version), "unpairing")
	k.code("HGFEDCBA", "new", long)
	again, err := k.redeem("HGFEDCBA", "1", generous())
	k.ok(err, "redeeming a code after an unpairing")
	k.rule(again.Version > after.Version, "a version is never used twice for a register", "%d after %d", again.Version, after.Version)
}

func redeemWrong(k *kit) {
	k.code("ABCDEFGH", "1", long)
	for _, text := range []string{"ABCDEFGX", "abcdefgh", "ABCDEFG", "ABCDEFGH ", ""} {
		_, err := k.redeem(text, "1", generous())
		k.fails(err, pairing.ErrWrongCode, fmt.Sprintf("%q is no code and is answered by ErrWrongCode", text))
	}
}

func redeemExpired(k *kit) {
	k.code("ABCDEFGH", "1", short)
	k.pass(short)
	_, err := k.redeem("ABCDEFGH", "1", generous())
	k.fails(err, pairing.ErrCodeExpired, "a code that is too old is answered by ErrCodeExpired")
	_, err = k.store.Pairing(k.Context(), register("1"))
	k.fails(err, tillroute.ErrNotFound, "an expired code pairs nothing")
}

func redeemUsed(k *kit) {
	k.code("ABCDEFGH", "1", long)
	first, err := k.redeem("ABCDEFGH", "1", generous())
	k.ok(err, "redeeming a code")
	for _, id := range []string{"1", "2"} {
		_, err := k.redeem("ABCDEFGH", id, generous())
		k.fails(err, pairing.ErrCodeUsed, "a code that was used is answered by ErrCodeUsed")
	}
	k.pairingIs(first, "a used code pairs nothing")
	k.code("HGFEDCBA", "1", long)
	_, err = k.redeem("ABCDEFGH", "1", generous())
	k.fails(err, pairing.ErrCodeUsed, "a code that was used stays used when its terminal shows a new one")
}

func redeemOnce(k *kit) {
	k.code("ABCDEFGH", "1", long)
	errs := together(50, func(i int) error {
		_, err := k.redeem("ABCDEFGH", fmt.Sprint(i), generous())
		return err
	})
	k.oneWins(errs, pairing.ErrCodeUsed, "of several that redeem one code at once, one succeeds")
	list, err := k.store.ListPairings(k.Context(), pairing.Register{}, 100)
	k.ok(err, "listing pairings")
	k.rule(len(list) == 1, "of several that redeem one code at once, one is paired", "%s", show(list))
}

func redeemFailure(k *kit) {
	before := k.pair(register("1"), terminal("old"))
	k.code("PASTCODE", "1", short)
	k.pass(short)
	k.code("LIVECODE", "2", long)
	for _, text := range []string{"WRONG", "PASTCODE"} {
		_, err := k.redeem(text, "1", generous())
		k.rule(err != nil, "a bad code pairs nothing", "no error for %q", text)
		k.pairingIs(before, "a failure changes nothing")
	}
	_, err := k.redeem("LIVECODE", "1", generous())
	k.ok(err, "a failure leaves the codes as they are")
}

func triesLimited(k *kit) {
	before := k.pair(register("1"), terminal("old"))
	k.code("ABCDEFGH", "1", long)
	tries := pairing.Tries{Key: "guesser", Max: 3, Window: long}
	for range 3 {
		_, err := k.redeem("WRONG", "1", tries)
		k.fails(err, pairing.ErrWrongCode, "Max wrong tries are allowed within Window")
	}
	for _, text := range []string{"WRONG", "ABCDEFGH"} {
		_, err := k.redeem(text, "1", tries)
		k.fails(err, pairing.ErrTooManyTries, "after Max wrong tries the answer is ErrTooManyTries, also for a right code")
	}
	_, err := k.redeem("WRONG", "1", tries)
	e, _ := errors.AsType[*tillroute.Error](err)
	k.rule(e != nil && e.RetryAfter > long-time.Minute && e.RetryAfter <= long,
		"ErrTooManyTries comes with RetryAfter, the rest of the window", "%+v", e)
	k.pairingIs(before, "who has guessed too often pairs nothing")
	_, err = k.redeem("ABCDEFGH", "1", generous())
	k.ok(err, "a code is not used up by one who has guessed too often")
}

func triesSuccess(k *kit) {
	k.code("ABCDEFGH", "1", long)
	tries := pairing.Tries{Key: "guesser", Max: 2, Window: long}
	for i, text := range []string{"WRONG", "ABCDEFGH", "WRONG", "WRONG"} {
		_, err := k.redeem(text, "1", tries)
		want := []error{pairing.ErrWrongCode, nil, pairing.ErrWrongCode, pairing.ErrTooManyTries}[i]
		k.rule(errors.Is(err, want), "a success does not reset the count of wrong tries", "try %d: %s", i+1, wanted(err, want))
	}
}

func wanted(got, want error) string { return fmt.Sprintf("%s, want %s", text(got), text(want)) }

func triesCount(k *kit) {
	k.code("PASTCODE", "1", short)
	k.code("USEDCODE", "2", long)
	_, err := k.redeem("USEDCODE", "2", generous())
	k.ok(err, "redeeming a code")
	k.pass(short)
	tries := pairing.Tries{Key: "guesser", Max: 3, Window: long}
	for text, want := range map[string]error{
		"WRONG": pairing.ErrWrongCode, "PASTCODE": pairing.ErrCodeExpired, "USEDCODE": pairing.ErrCodeUsed,
	} {
		_, err := k.redeem(text, "1", tries)
		k.fails(err, want, "each kind of bad code has its own answer")
	}
	_, err = k.redeem("WRONG", "1", tries)
	k.fails(err, pairing.ErrTooManyTries, "wrong, expired and used codes all count as tries")
}

func triesPerKey(k *kit) {
	k.code("ABCDEFGH", "1", long)
	_, err := k.redeem("WRONG", "1", pairing.Tries{Key: "guesser", Max: 1, Window: long})
	k.fails(err, pairing.ErrWrongCode, "the first wrong try is allowed")
	_, err = k.redeem("ABCDEFGH", "1", pairing.Tries{Key: "guesser", Max: 1, Window: long})
	k.fails(err, pairing.ErrTooManyTries, "after Max wrong tries the answer is ErrTooManyTries")
	_, err = k.redeem("ABCDEFGH", "1", pairing.Tries{Key: "another", Max: 1, Window: long})
	k.ok(err, "tries are counted against their key alone")
}

func triesWindow(k *kit) {
	k.code("ABCDEFGH", "1", long)
	tries := pairing.Tries{Key: "guesser", Max: 2, Window: 40 * time.Millisecond}
	_, err := k.redeem("WRONG", "1", tries)
	k.fails(err, pairing.ErrWrongCode, "the first wrong try is allowed")
	k.pass(tries.Window)
	for range 2 {
		_, err := k.redeem("WRONG", "1", pairing.Tries{Key: tries.Key, Max: tries.Max, Window: long})
		k.fails(err, pairing.ErrWrongCode, "what was counted ends with the window, which begins with the first wrong try")
	}
	_, err = k.redeem("ABCDEFGH", "1", tries)
	k.fails(err, pairing.ErrTooManyTries, "a new window counts anew")

	tries.Key = "waiter"
	for range 2 {
		_, _ = k.redeem("WRONG", "1", tries)
	}
	k.pass(tries.Window)
	_, err = k.redeem("ABCDEFGH", "1", tries)
	k.ok(err, "who has guessed too often may try again when the window has passed")
}

func triesRace(k *kit) {
	tries := pairing.Tries{Key: "guesser", Max: 5, Window: long}
	errs := together(30, func(int) error {
		_, err := k.redeem("WRONG", "1", tries)
		return err
	})
	wrong := 0
	for _, err := range errs {
		if errors.Is(err, pairing.ErrWrongCode) {
			wrong++
			continue
		}
		k.fails(err, pairing.ErrTooManyTries, "of many who guess at once, Max get an answer")
	}
	k.rule(wrong == tries.Max, "of many who guess at once, Max get an answer", "%d guesses were answered, Max is %d", wrong, tries.Max)
}

func triesDurable(k *kit) {
	tries := pairing.Tries{Key: "guesser", Max: 1, Window: long}
	k.code("ABCDEFGH", "1", long)
	_, err := k.redeem("WRONG", "1", tries)
	k.fails(err, pairing.ErrWrongCode, "the first wrong try is allowed")
	k.reopen()
	_, err = k.redeem("ABCDEFGH", "1", tries)
	k.fails(err, pairing.ErrTooManyTries, "tries are counted durably")
	_, err = k.redeem("ABCDEFGH", "1", generous())
	k.ok(err, "codes are kept")
}
