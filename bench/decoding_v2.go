//go:build goexperiment.jsonv2

package main

import "encoding/json/v2"

// unmarshalV2 is encoding/json/v2, where there is one.
var unmarshalV2 = func(data []byte, into any) error { return json.Unmarshal(data, into) } //nolint:gochecknoglobals // the build decides.
