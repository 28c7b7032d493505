package gateway

import "net/http"

// pairingRoutes declares the pages on which a merchant pairs terminals.
func (h *Handler) pairingRoutes(_ func(pattern string, serve http.HandlerFunc)) {}
