package smartconnect //nolint:testpackage // what is kept can't be seen from outside.

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
)

func TestPacesAreForgotten(t *testing.T) {
	all := turns{of: map[tillroute.Secret]*turn{}}
	one, leave := all.join("a")
	again, leaveAgain := all.join("a")
	require.Same(t, one, again)
	require.Zero(t, one.take(time.Minute))
	require.Positive(t, again.take(time.Minute))
	leave()
	require.Len(t, all.of, 1, "somebody still waits")
	leaveAgain()
	require.Empty(t, all.of)
}
