//go:build race

package paysera_test

// raceDetector says that pools forget things on purpose.
const raceDetector = true
