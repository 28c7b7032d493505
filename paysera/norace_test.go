//go:build !race

package paysera_test

const raceDetector = false
