package testserver

import (
	"testing"

	"github.com/tillroute/tillroute/internal/slowtest"
)

func TestSlowClients(t *testing.T) {
	slowtest.Requests(t, newServer)
}
