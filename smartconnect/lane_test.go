package smartconnect_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/smartconnect"
)

func TestLane(t *testing.T) {
	s := newServer(t, answer(http.StatusOK, `{"result":"success"}`))
	lane, err := s.client(t).Lane(
		smartconnect.Virtual{Name: "window", ID: "id-2"},
		smartconnect.Virtual{Name: "counter", ID: "id-1"},
	)
	require.NoError(t, err)
	require.Equal(t, []string{"window", "counter"}, lane.Names(), "in the order in which they were given")
	lane.Names()[0] = "changed"
	require.Equal(t, []string{"window", "counter"}, lane.Names())
	for _, name := range lane.Names() {
		till, err := lane.Select(name)
		require.NoError(t, err)
		require.NoError(t, till.Pair(t.Context(), "1", name, smartconnect.Contact{}))
	}
	require.Equal(t, "id-2", s.got()[0].form.Get("POSRegisterID"))
	require.Equal(t, "id-1", s.got()[1].form.Get("POSRegisterID"))

	till, err := lane.Select("Counter")
	require.ErrorIs(t, err, tillroute.ErrInvalid)
	require.ErrorContains(t, err, `["window" "counter"]`)
	_, err = till.Status(t.Context(), nil)
	require.ErrorIs(t, err, tillroute.ErrInvalid, "nothing was selected")
	_, err = smartconnect.Lane{}.Select("counter")
	require.ErrorIs(t, err, tillroute.ErrInvalid)
}

func TestLaneRefuses(t *testing.T) {
	client := newServer(t, lost).client(t)
	for name, virtual := range map[string][]smartconnect.Virtual{
		"no name":    {{ID: "id-1"}},
		"blank name": {{Name: " ", ID: "id-1"}},
		"same name":  {{Name: "counter", ID: "id-1"}, {Name: "counter", ID: "id-2"}},
		"no ID":      {{Name: "counter"}},
		"same ID":    {{Name: "counter", ID: "id-1"}, {Name: "window", ID: "id-1"}},
	} {
		_, err := client.Lane(virtual...)
		require.ErrorIs(t, err, tillroute.ErrInvalid, name)
		require.NotContains(t, err.Error(), "id-1", name)
	}
	_, err := new(smartconnect.Client).Lane()
	require.ErrorIs(t, err, tillroute.ErrInvalid)
}
