// Package operation carries the name of a client operation in a context.
package operation

import "context"

type key struct{}

// With returns a context that carries name.
func With(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, key{}, name)
}

// Name returns the name that ctx carries, or "".
func Name(ctx context.Context) string {
	name, _ := ctx.Value(key{}).(string)
	return name
}
