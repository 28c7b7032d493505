package tillroute_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
)

func TestErrorMatchesItsKindAndItsCause(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("while paying: %w", &tillroute.Error{
		System: "smartconnect", Operation: "Purchase", Kind: tillroute.KindTimeout, Err: context.DeadlineExceeded,
	})
	require.ErrorIs(t, err, tillroute.ErrTimeout)
	require.ErrorIs(t, err, tillroute.ErrOutcomeUnknown)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotErrorIs(t, err, tillroute.ErrNotFound)
	require.Contains(t, err.Error(), "do not repeat it")

	refused := &tillroute.Error{Kind: tillroute.KindConflict, Outcome: tillroute.Failed}
	require.NotErrorIs(t, refused, tillroute.ErrOutcomeUnknown)

	var none *tillroute.Error
	require.NotErrorIs(t, none, tillroute.ErrNotFound)
	require.NoError(t, errors.Unwrap(none))

	// An error of no special kind matches no sentinel, not even a nil one.
	require.NotErrorIs(t, &tillroute.Error{Outcome: tillroute.Failed}, nil)
}

func TestErrorIsOneLineWithoutTheBody(t *testing.T) {
	t.Parallel()
	err := &tillroute.Error{
		System: "xseries", Operation: "Registers.Get", Kind: tillroute.KindUnavailable, Status: 502,
		Message: "first\nsecond\x1b[31m", Body: []byte("the body has a token"), Outcome: tillroute.Failed,
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		text := fmt.Sprintf(verb, err)
		require.NotContains(t, text, "token", verb)
		require.NotContains(t, text, "\n", verb)
		require.NotContains(t, text, "\x1b", verb)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		require.NotContains(t, fmt.Sprintf(verb, *err), "116 104 101", verb)
		require.Contains(t, fmt.Sprintf(verb, struct{ E tillroute.Error }{*err}), "[20 bytes]", verb)
	}
	require.Equal(t, "xseries: Registers.Get: unavailable (status 502): first second [31m", err.Error())
	var logged strings.Builder
	slog.New(slog.NewJSONHandler(&logged, nil)).Error("failed", "error", err)
	require.Contains(t, logged.String(), `"status":502`)
	require.NotContains(t, logged.String(), "token")
	encoded, jsonErr := json.Marshal(err) //nolint:musttag // nobody is meant to do this; what it shows must be harmless.
	require.NoError(t, jsonErr)
	require.NotContains(t, string(encoded), "Ym9keQ") // "body" in base64
	require.NotContains(t, string(encoded), "Body")
	err.Message = strings.Repeat("é", 10_000)
	require.Less(t, len(err.Error()), 1000)
}

func TestSecretIsNeverShown(t *testing.T) {
	t.Parallel()
	const text = "s3cr3t-value"
	type holder struct {
		Token   tillroute.Secret
		Pointer *tillroute.Secret
	}
	secret := tillroute.Secret(text)
	for _, value := range []any{secret, &secret, holder{secret, &secret}, &holder{secret, &secret}, []tillroute.Secret{secret}, map[string]tillroute.Secret{"k": secret}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t"} {
			require.NotContains(t, fmt.Sprintf(verb, value), text, "%s of %T", verb, value)
			require.NotContains(t, fmt.Sprintf(verb, value), fmt.Sprintf("%x", text), "%s of %T", verb, value)
		}
		encoded, err := json.Marshal(value)
		require.NoError(t, err)
		require.NotContains(t, string(encoded), text)
	}
	var logged strings.Builder
	slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "secret", secret, "pointer", &secret, "holder", holder{secret, &secret})
	require.NotContains(t, logged.String(), text)
	require.Equal(t, text, secret.Reveal())
	require.Empty(t, tillroute.Secret("").String())
}

func TestOutcomeThatIsNotKnownIsUnknown(t *testing.T) {
	t.Parallel()
	var zero tillroute.Outcome
	require.Equal(t, tillroute.Unknown, zero)
	for _, o := range []tillroute.Outcome{tillroute.Unknown, tillroute.Approved, tillroute.Declined, tillroute.Cancelled, tillroute.Failed} {
		encoded, err := json.Marshal(o)
		require.NoError(t, err)
		var back tillroute.Outcome
		require.NoError(t, json.Unmarshal(encoded, &back))
		require.Equal(t, o, back)
	}
	for _, text := range []string{"", "APPROVED", "approved ", "ok", "5"} {
		require.Equal(t, tillroute.Unknown, tillroute.ParseOutcome(text))
	}
	require.Equal(t, "unknown", tillroute.Outcome(99).String())
}
