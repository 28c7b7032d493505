package program_test

import (
	"testing"

	"github.com/tillroute/tillroute/examples/internal/program"
	"github.com/tillroute/tillroute/internal/slowtest"
)

func TestSlowClients(t *testing.T) {
	slowtest.Requests(t, program.NewServer)
	slowtest.Answers(t, program.NewServer)
}
