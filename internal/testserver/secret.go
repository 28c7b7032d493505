package testserver

import (
	"crypto/rand"
	"crypto/subtle"
)

// secret makes a random credential that is plainly a simulated one.
func secret(prefix string) string {
	return prefix + rand.Text()
}

// sameSecret compares in constant time.
func sameSecret(a, b string) bool {
	return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}

// orDefault returns v, or other when v is the zero value.
func orDefault[T comparable](v, other T) T {
	var zero T
	if v == zero {
		return other
	}
	return v
}

// digits reports whether s consists of decimal digits only, at least one.
func digits(s string) bool {
	for _, c := range s {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != ""
}
