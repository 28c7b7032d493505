package pairing_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

func TestACodePairsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		router, _ := node(t, newStore(t), &park{}, nil)
		terminal := pairing.Terminal{Provider: provider, Serial: "T1"}
		code, err := router.IssueCode(t.Context(), terminal, "Counter")
		require.NoError(t, err)
		require.Len(t, code.Text, 8)
		require.Equal(t, code.Text[:4]+"-"+code.Text[4:], code.String())
		require.Equal(t, 5*time.Minute, time.Until(code.ExpiresAt))

		_, err = router.Pair(t.Context(), pairing.PairRequest{Register: register(1), Code: "ZZZZ-ZZZZ"})
		require.ErrorIs(t, err, pairing.ErrWrongCode)
		_, err = router.Pairing(t.Context(), register(1))
		require.ErrorIs(t, err, tillroute.ErrNotFound)

		typed := " " + strings.ToLower(code.String()[:3]) + " " + strings.ToLower(code.String()[3:])
		p, err := router.Pair(t.Context(), pairing.PairRequest{Register: register(1), RegisterName: "Main", Code: typed})
		require.NoError(t, err)
		require.Equal(t, terminal, p.Terminal)
		require.Equal(t, "Main", p.RegisterName)
		require.Equal(t, "Counter", p.TerminalName)
		_, err = router.Pair(t.Context(), pairing.PairRequest{Register: register(2), Code: code.Text})
		require.ErrorIs(t, err, pairing.ErrCodeUsed)
	})
}

func TestACodeExpiresAndIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		router, _ := node(t, newStore(t), &park{}, nil)
		terminal := pairing.Terminal{Provider: provider, Serial: "T1"}
		first, err := router.IssueCode(t.Context(), terminal, "")
		require.NoError(t, err)
		second, err := router.IssueCode(t.Context(), terminal, "")
		require.NoError(t, err)
		_, err = router.Pair(t.Context(), pairing.PairRequest{Register: register(1), Code: first.Text})
		require.ErrorIs(t, err, pairing.ErrCodeExpired)
		time.Sleep(5*time.Minute + time.Second)
		_, err = router.Pair(t.Context(), pairing.PairRequest{Register: register(1), Code: second.Text})
		require.ErrorIs(t, err, pairing.ErrCodeExpired)
	})
}

func TestGuessingEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		router, _ := node(t, newStore(t), &park{}, nil)
		code, err := router.IssueCode(t.Context(), pairing.Terminal{Provider: provider, Serial: "T1"}, "")
		require.NoError(t, err)
		for range 10 {
			_, err = router.Pair(t.Context(), pairing.PairRequest{Register: register(1), Code: "0000-0000"})
			require.ErrorIs(t, err, pairing.ErrWrongCode)
		}
		for _, text := range []string{"0000-0000", code.Text} {
			// Another register of the account makes no difference.
			_, err = router.Pair(t.Context(), pairing.PairRequest{Register: register(2), Code: text})
			require.ErrorIs(t, err, pairing.ErrTooManyTries)
		}
		elsewhere := pairing.Register{System: "xseries", Account: "other", ID: "1"}
		_, err = router.Pair(t.Context(), pairing.PairRequest{Register: elsewhere, Code: code.Text})
		require.NoError(t, err)
		time.Sleep(10*time.Minute + time.Second)
		_, err = router.Pair(t.Context(), pairing.PairRequest{Register: register(1), Code: "0000-0000"})
		require.ErrorIs(t, err, pairing.ErrWrongCode)
	})
}

func TestAnIdentityIsForItsProviderAlone(t *testing.T) {
	here, elsewhere := &remote{park: &park{}}, &remote{park: &park{}}
	router, err := pairing.New(pairing.Config{Store: newStore(t), Drivers: map[string]pairing.Driver{provider: here, "elsewhere": elsewhere}})
	require.NoError(t, err)
	_, err = router.Pair(t.Context(), pairing.PairRequest{Register: register(1), Provider: provider, Code: "1234"})
	require.NoError(t, err)
	_, _ = router.Pair(t.Context(), pairing.PairRequest{Register: register(1), Provider: "elsewhere", Code: "1234"})
	require.Empty(t, elsewhere.asked[0].Identity)
}

func TestNamesMayBeOfAnyScript(t *testing.T) {
	router, err := pairing.New(pairing.Config{Store: newStore(t), Drivers: map[string]pairing.Driver{provider: &park{}}})
	require.NoError(t, err)
	for _, name := range []string{"Till\u00a01", "می\u200cخواهم", "👩\u200d🍳", "Kas\u00adse"} {
		_, err := router.PairTerminal(t.Context(), pairing.Pairing{
			Register: register(1), Terminal: pairing.Terminal{Provider: provider, Serial: "T1"}, RegisterName: name,
		})
		require.NoError(t, err, "%q", name)
	}
}

func TestPairRefusesNonsense(t *testing.T) {
	router, err := pairing.New(pairing.Config{Store: newStore(t), Drivers: map[string]pairing.Driver{provider: &park{}}})
	require.NoError(t, err)
	for _, r := range []pairing.PairRequest{
		{Register: register(1)},
		{Register: register(1), Code: "  \t"},
		{Code: "x"},
		{Register: register(1), Code: "x", RegisterName: "a\nb"},
		{Register: register(1), Code: "x", Provider: "nobody"},
		{Register: register(1), Code: "x", Provider: provider}, // its driver can't pair
	} {
		_, err := router.Pair(t.Context(), r)
		require.ErrorIs(t, err, tillroute.ErrInvalid)
	}
	_, err = router.Pair(t.Context(), pairing.PairRequest{Register: register(1), Code: strings.Repeat("A", 10<<20)})
	require.ErrorIs(t, err, pairing.ErrWrongCode)
	_, err = router.IssueCode(t.Context(), pairing.Terminal{Provider: "nobody", Serial: "1"}, "")
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	_, err = router.PairTerminal(t.Context(), pairing.Pairing{Register: register(1), Terminal: pairing.Terminal{Provider: provider}})
	require.ErrorIs(t, err, tillroute.ErrInvalid)
}

// remote is a provider that pairs on its own side.
type remote struct {
	*park

	asked []pairing.PairRequest
}

func (r *remote) Pair(_ context.Context, request pairing.PairRequest) (pairing.Link, error) {
	r.asked = append(r.asked, request)
	if request.Code == "garbage" {
		return pairing.Link{}, nil
	}
	if request.Code != "1234" {
		return pairing.Link{}, &tillroute.Error{System: provider, Kind: tillroute.KindInvalid, Message: "invalid code", Outcome: tillroute.Failed}
	}
	identity := request.Identity
	if identity == "" {
		identity = "fresh"
	}
	return pairing.Link{Terminal: pairing.Terminal{Provider: provider, Serial: "REMOTE"}, Identity: identity}, nil
}

func TestAProviderThatPairsOnItsOwnSide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &remote{park: &park{}}
		router, _ := node(t, newStore(t), r, nil)
		attempt := pairing.PairRequest{Register: register(1), Provider: provider, Code: " 1234 ", Identity: "forged"}
		p, err := router.Pair(t.Context(), attempt)
		require.NoError(t, err)
		require.Equal(t, "REMOTE", p.Terminal.Serial)
		require.Equal(t, tillroute.Secret("fresh"), p.Identity)

		attempt.Code = "wrong"
		_, err = router.Pair(t.Context(), attempt)
		require.ErrorIs(t, err, tillroute.ErrInvalid)
		kept, err := router.Pairing(t.Context(), register(1))
		require.NoError(t, err)
		require.Equal(t, p, kept, "a failed attempt changes nothing")
		require.Equal(t, tillroute.Secret("fresh"), r.asked[1].Identity, "the provider knows the register by this already")

		attempt.Code = "garbage"
		_, err = router.Pair(t.Context(), attempt)
		require.ErrorIs(t, err, tillroute.ErrDecode)
		kept, err = router.Pairing(t.Context(), register(1))
		require.NoError(t, err)
		require.Equal(t, p, kept)

		attempt.Code = "1234"
		again, err := router.Pair(t.Context(), attempt)
		require.NoError(t, err)
		require.Equal(t, p.Identity, again.Identity)
		require.Greater(t, again.Version, p.Version)

		require.NoError(t, router.Unpair(t.Context(), register(1)))
		require.ErrorIs(t, router.Unpair(t.Context(), register(1)), tillroute.ErrNotFound)
		list, err := router.Pairings(t.Context(), pairing.Register{}, 10)
		require.NoError(t, err)
		require.Empty(t, list)
	})
}

// TestAProviderThatIsNotServedIsNamedWithThoseThatAre is about configurations in which a name is wrong, or is missing.
func TestAProviderThatIsNotServedIsNamedWithThoseThatAre(t *testing.T) {
	ours, both := map[string]pairing.Driver{provider: &park{}}, map[string]pairing.Driver{"own": &park{}, provider: &remote{park: &park{}}}
	for _, c := range []struct {
		drivers map[string]pairing.Driver
		served  string
		hint    string
	}{
		{ours, "but those of " + provider + ": name one of these, or add it to Config.Drivers", ""},
		{both, "but those of own, " + provider + ": name one of these, or add it to Config.Drivers", "a code of " + provider + " needs that as Provider"},
	} {
		router, err := pairing.New(pairing.Config{Store: newStore(t), Drivers: c.drivers})
		require.NoError(t, err)
		elsewhere := pairing.Terminal{Provider: "elsewhere", Serial: "1"}
		_, err1 := router.Pair(t.Context(), pairing.PairRequest{Register: register(1), Provider: "elsewhere", Code: "1234"})
		_, err2 := router.PairTerminal(t.Context(), pairing.Pairing{Register: register(1), Terminal: elsewhere})
		_, err3 := router.IssueCode(t.Context(), elsewhere, "")
		for _, err := range []error{err1, err2, err3} {
			require.ErrorIs(t, err, tillroute.ErrInvalid)
			require.ErrorContains(t, err, `"elsewhere", `+c.served)
		}
		_, err = router.Pair(t.Context(), pairing.PairRequest{Register: register(1), Code: "1234"})
		require.ErrorIs(t, err, pairing.ErrWrongCode)
		require.ErrorIs(t, err, tillroute.ErrNotFound)
		if c.hint != "" {
			require.ErrorContains(t, err, c.hint)
		} else {
			require.NotContains(t, err.Error(), "Provider")
		}
	}
}
