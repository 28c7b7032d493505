package testserver

import "net/http"

func (s *Systems) simHandler() http.Handler { return http.NotFoundHandler() }
