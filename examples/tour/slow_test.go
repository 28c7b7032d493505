package main

import (
	"testing"

	"github.com/tillroute/tillroute/internal/slowtest"
)

func TestSlowClients(t *testing.T) {
	slowtest.Requests(t, watch{}.server)
	slowtest.Answers(t, watch{}.server)
}
