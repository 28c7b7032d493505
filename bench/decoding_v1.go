//go:build !goexperiment.jsonv2

package main

// unmarshalV2 is encoding/json/v2, where there is one.
var unmarshalV2 func(data []byte, into any) error //nolint:gochecknoglobals // the build decides.
