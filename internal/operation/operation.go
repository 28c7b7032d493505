// Package operation carries the client operation that a request belongs to in a context.
package operation

import "context"

type key struct{}

// Operation is a call that has a name.
type Operation interface{ OperationName() string }

// With returns a context that carries o.
func With(ctx context.Context, o Operation) context.Context {
	return context.WithValue(ctx, key{}, o)
}

// Of returns what ctx carries, or nil.
func Of(ctx context.Context) Operation {
	o, _ := ctx.Value(key{}).(Operation)
	return o
}

// Name returns the name of what ctx carries, or "".
func Name(ctx context.Context) string {
	if o := Of(ctx); o != nil {
		return o.OperationName()
	}
	return ""
}
