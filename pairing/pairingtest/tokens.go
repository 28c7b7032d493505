package pairingtest

import (
	"fmt"
	"strings"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/pairing"
)

func tokenTests() []test {
	return []test{
		{"RoundTrip", grantRoundTrip},
		{"NotFound", grantNotFound},
		{"VersionMustMatch", grantVersion},
		{"OneOfManyWins", grantRace},
		{"Delete", grantDelete},
		{"RefreshByOneOwner", refreshOwner},
		{"RefreshLeaseEnds", refreshEnds},
		{"PutEndsRefresh", refreshPut},
		{"RefreshOneOfMany", refreshRace},
	}
}

func grant(access string) pairing.Grant {
	return pairing.Grant{System: "xseries", Account: "acme", AccessToken: tillroute.Secret(access), RefreshToken: "refresh " + tillroute.Secret(access)}
}

func (k *kit) grantIs(want pairing.Grant, rule string) {
	k.Helper()
	got, err := k.store.Grant(k.Context(), want.System, want.Account)
	k.ok(err, "looking up a grant")
	k.same(got, want, rule)
}

func grantRoundTrip(k *kit) {
	for _, g := range []pairing.Grant{
		{
			System: "kseries", Account: "Käse", AccessToken: "s3cret/ü", RefreshToken: "r3fresh", TokenType: "Bearer",
			Scope: "a b:c", Expiry: time.Date(2031, 2, 3, 4, 5, 6, 789_000_000, time.FixedZone("", 13*60*60)), Extra: `{"key":"s3cret"}`,
		},
		{System: "paysera", Account: ""},
		{System: "xseries", Account: "long", AccessToken: tillroute.Secret(strings.Repeat("é", 8000))},
		{System: "xseries", Account: "far", Expiry: time.Date(9999, 12, 31, 23, 59, 59, 999_000_000, time.UTC)},
	} {
		stored, err := k.store.PutGrant(k.Context(), g, 0)
		k.ok(err, "storing a grant")
		g.Version = 1
		if !g.Expiry.IsZero() {
			k.utc(stored.Expiry, "Expiry")
			g.Expiry = g.Expiry.UTC()
		}
		k.same(stored, g, "PutGrant returns the grant as stored, at version 1")
		k.grantIs(g, "Grant returns what PutGrant stored")
	}
}

func grantNotFound(k *kit) {
	_, err := k.store.PutGrant(k.Context(), grant("1"), 0)
	k.ok(err, "storing a grant")
	for _, at := range [][2]string{{"xseries", "other"}, {"other", "acme"}, {"", ""}} {
		_, err := k.store.Grant(k.Context(), at[0], at[1])
		k.fails(err, tillroute.ErrNotFound, "Grant of an account that has none is NotFound")
		k.fails(k.store.DeleteGrant(k.Context(), at[0], at[1]), tillroute.ErrNotFound, "DeleteGrant of an account that has none is NotFound")
		_, err = k.store.ClaimRefresh(k.Context(), at[0], at[1], "me", long)
		k.fails(err, tillroute.ErrNotFound, "ClaimRefresh of an account that has none is NotFound")
	}
}

func grantVersion(k *kit) {
	_, err := k.store.PutGrant(k.Context(), grant("1"), 1)
	k.fails(err, tillroute.ErrConflict, "an account without a grant has no version")
	first, err := k.store.PutGrant(k.Context(), grant("1"), 0)
	k.ok(err, "storing a grant")
	for _, wrong := range []int64{0, first.Version + 1} {
		_, err := k.store.PutGrant(k.Context(), grant("2"), wrong)
		k.fails(err, tillroute.ErrConflict, "a grant is replaced only at the version that ifVersion names")
	}
	k.grantIs(first, "a refused PutGrant changes nothing")
	for i, ifVersion := range []int64{first.Version, -1, -1} {
		g, err := k.store.PutGrant(k.Context(), grant(fmt.Sprint(i)), ifVersion)
		k.ok(err, "storing a grant")
		k.rule(g.Version == first.Version+int64(i)+1, "the version is one above the one it replaces", "%d", g.Version)
		k.grantIs(g, "PutGrant replaces the grant")
	}
	g := grant("1")
	g.Account = "another"
	g, err = k.store.PutGrant(k.Context(), g, -1)
	k.ok(err, "a negative ifVersion replaces whatever is there, also nothing")
	k.grantIs(g, "PutGrant stores the grant")
}

func grantRace(k *kit) {
	for _, ifVersion := range []int64{0, 1} {
		errs := together(20, func(i int) error {
			_, err := k.store.PutGrant(k.Context(), grant(fmt.Sprint(i)), ifVersion)
			return err
		})
		k.oneWins(errs, tillroute.ErrConflict, "of several that store a grant at one version, one succeeds")
	}
}

func grantDelete(k *kit) {
	old, err := k.store.PutGrant(k.Context(), grant("1"), 0)
	k.ok(err, "storing a grant")
	k.ok(k.store.DeleteGrant(k.Context(), "xseries", "acme"), "deleting a grant")
	_, err = k.store.Grant(k.Context(), "xseries", "acme")
	k.fails(err, tillroute.ErrNotFound, "a grant that was deleted is gone")
	k.fails(k.store.DeleteGrant(k.Context(), "xseries", "acme"), tillroute.ErrNotFound, "a grant that was deleted is gone")
	_, err = k.store.ClaimRefresh(k.Context(), "xseries", "acme", "me", long)
	k.fails(err, tillroute.ErrNotFound, "a grant that was deleted is gone")
	_, err = k.store.PutGrant(k.Context(), grant("2"), old.Version)
	k.fails(err, tillroute.ErrConflict, "a grant that was deleted has no version")
	again, err := k.store.PutGrant(k.Context(), grant("3"), 0)
	k.ok(err, "storing a grant where one was deleted")
	k.rule(again.Version > old.Version, "a version is never used twice for an account", "version %d after %d", again.Version, old.Version)
	_, err = k.store.PutGrant(k.Context(), grant("4"), old.Version)
	k.fails(err, tillroute.ErrConflict, "who still holds an old version can't overwrite a new grant")
	k.grantIs(again, "PutGrant stores the grant")
}

func (k *kit) refresh(owner string, lease time.Duration) error {
	_, err := k.store.ClaimRefresh(k.Context(), "xseries", "acme", owner, lease)
	return err
}

func refreshOwner(k *kit) {
	want, err := k.store.PutGrant(k.Context(), grant("1"), 0)
	k.ok(err, "storing a grant")
	got, err := k.store.ClaimRefresh(k.Context(), "xseries", "acme", "me", long)
	k.ok(err, "claiming a refresh")
	k.same(got, want, "ClaimRefresh returns the grant")
	k.fails(k.refresh("you", long), tillroute.ErrBusy, "one owner refreshes at a time")
	k.ok(k.refresh("me", long), "who has the refresh may claim it again")
	k.fails(k.refresh("you", long), tillroute.ErrBusy, "one owner refreshes at a time")
	k.grantIs(want, "a claimed grant can be read")
}

func refreshEnds(k *kit) {
	_, err := k.store.PutGrant(k.Context(), grant("1"), 0)
	k.ok(err, "storing a grant")
	k.ok(k.refresh("me", short), "claiming a refresh")
	k.pass(short)
	k.ok(k.refresh("you", long), "another owner may refresh when the lease has ended")
	k.fails(k.refresh("me", long), tillroute.ErrBusy, "one owner refreshes at a time")
}

func refreshPut(k *kit) {
	g, err := k.store.PutGrant(k.Context(), grant("1"), 0)
	k.ok(err, "storing a grant")
	for _, ifVersion := range []int64{g.Version, -1} {
		k.ok(k.refresh("me", long), "claiming a refresh")
		_, err = k.store.PutGrant(k.Context(), grant("2"), ifVersion)
		k.ok(err, "storing the new grant")
		k.ok(k.refresh("you", long), "PutGrant ends the refresh lease")
		_, err = k.store.PutGrant(k.Context(), grant("3"), -1)
		k.ok(err, "storing the new grant")
	}
	k.ok(k.refresh("me", long), "claiming a refresh")
	_, err = k.store.PutGrant(k.Context(), grant("4"), 0)
	k.fails(err, tillroute.ErrConflict, "a grant is replaced only at the version that ifVersion names")
	k.fails(k.refresh("you", long), tillroute.ErrBusy, "a refused PutGrant changes nothing")
}

func refreshRace(k *kit) {
	_, err := k.store.PutGrant(k.Context(), grant("1"), 0)
	k.ok(err, "storing a grant")
	errs := together(50, func(i int) error { return k.refresh(fmt.Sprint(i), long) })
	k.oneWins(errs, tillroute.ErrBusy, "of many that claim a refresh at once, one gets it")
}
