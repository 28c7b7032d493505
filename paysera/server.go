package paysera

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"time"

	"github.com/tillroute/tillroute"
	"github.com/tillroute/tillroute/internal/rest"
	"github.com/tillroute/tillroute/internal/wire"
)

// ServerTime returns what time it is at the server, in UTC, to the second, or the zero time if the answer doesn't say. Calls that are
// refused because of the clock ask for it by themselves, once, and are signed with the server's time from then on.
//
// API reference: GET /rest/v1/server, https://developers.paysera.com/guides/wallet/authentication
func (c *Client) ServerTime(ctx context.Context, opts ...tillroute.CallOption) (time.Time, error) {
	if c == nil {
		return time.Time{}, tillroute.Invalid(System, "ServerTime", "this client was not made by New")
	}
	return c.c.serverTime(ctx, opts)
}

func (c *core) serverTime(ctx context.Context, opts []tillroute.CallOption) (time.Time, error) {
	var answer struct {
		Time unixTime `json:"time"`
	}
	err := c.do(ctx, serverTime, rest.Request{Anonymous: true}, &answer, opts)
	return answer.Time.time(), err
}

// PublicKey returns the key that callbacks are signed with. What isn't an RSA key of 2048 bits at least is an error of kind Decode.
//
// API reference: GET /publickey, https://developers.paysera.com/en/wallet/payment/callbacks
func (c *Client) PublicKey(ctx context.Context, opts ...tillroute.CallOption) (*rsa.PublicKey, error) {
	if c == nil {
		return nil, tillroute.Invalid(System, "PublicKey", "this client was not made by New")
	}
	var answer tillroute.Response
	if err := c.c.do(ctx, publicKey, rest.Request{Anonymous: true}, nil, append(opts, tillroute.WithResponse(&answer))); err != nil {
		return nil, err
	}
	key, err := parsePublicKey(answer.Body)
	if err != nil {
		return nil, &tillroute.Error{
			System: System, Operation: "PublicKey", Kind: tillroute.KindDecode, Outcome: tillroute.Failed, Status: answer.Status,
			Attempts: answer.Attempts, Message: err.Error(),
		}
	}
	return key, nil
}

// minKeyBits is less than the vendor's key has, and as much as can be trusted.
const minKeyBits = 2048

func parsePublicKey(text []byte) (*rsa.PublicKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("the public key is not PEM")
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, errors.New("the public key can't be read")
	}
	key, ok := parsed.(*rsa.PublicKey)
	if !ok || key.N.BitLen() < minKeyBits {
		return nil, errors.New("the public key is not one of RSA with 2048 bits at least")
	}
	return key, nil
}

// Info is what the server knows of the client.
type Info struct {
	// Title is the client's name.
	Title string
	// Permissions are in the vendor's words, such as accept_with_pin.
	Permissions []string
	// Type is private_client, application, app_client, or another.
	Type string
}

// Info returns what the server knows of the client that signs.
//
// API reference: GET /rest/v1/client, https://developers.paysera.com/guides/wallet/projects/clients
func (c *Client) Info(ctx context.Context, opts ...tillroute.CallOption) (Info, error) {
	if c == nil {
		return Info{}, tillroute.Invalid(System, "Info", "this client was not made by New")
	}
	var answer struct {
		Title       wire.Text       `json:"title"`
		Permissions list[wire.Text] `json:"permissions"`
		Type        wire.Text       `json:"type"`
	}
	if err := c.c.do(ctx, clientInfo, rest.Request{}, &answer, opts); err != nil {
		return Info{}, err
	}
	info := Info{Title: string(answer.Title), Type: string(answer.Type)}
	for _, permission := range answer.Permissions {
		info.Permissions = append(info.Permissions, string(permission))
	}
	return info, nil
}
