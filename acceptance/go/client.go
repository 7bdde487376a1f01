package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"connectrpc.com/connect"

	"example.com/app/gen/scalekit/v1/connected_accounts/connected_accountsconnect"
	"example.com/app/gen/scalekit/v1/connections/connectionsconnect"
	"example.com/app/gen/scalekit/v1/organizations/organizationsconnect"
)

// client calls one server over gRPC and REST as one API client. It asks for a token when a call is refused for want of
// one, and then makes the call once more.
type client struct {
	url, id, secret string
	token           string
	signIns         int

	organizations organizationsconnect.OrganizationServiceClient
	connections   connectionsconnect.ConnectionServiceClient
	accounts      connected_accountsconnect.ConnectedAccountServiceClient
}

// newClient reads the settings of dev.env. An old token may be given, also one that is no longer good.
func newClient(token string) *client {
	c := &client{
		url:    os.Getenv("SCALEKIT_ENV_URL"),
		id:     os.Getenv("SCALEKIT_CLIENT_ID"),
		secret: os.Getenv("SCALEKIT_CLIENT_SECRET"),
		token:  token,
	}
	options := []connect.ClientOption{connect.WithGRPC(), connect.WithInterceptors(connect.UnaryInterceptorFunc(c.authenticated))}
	c.organizations = organizationsconnect.NewOrganizationServiceClient(http.DefaultClient, c.url, options...)
	c.connections = connectionsconnect.NewConnectionServiceClient(http.DefaultClient, c.url, options...)
	c.accounts = connected_accountsconnect.NewConnectedAccountServiceClient(http.DefaultClient, c.url, options...)
	return c
}

func (c *client) authenticated(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, request connect.AnyRequest) (connect.AnyResponse, error) {
		c.name(request.Header())
		answer, err := next(ctx, request)
		if connect.CodeOf(err) != connect.CodeUnauthenticated {
			return answer, err
		}
		if err := c.signIn(ctx); err != nil {
			return nil, err
		}
		c.name(request.Header())
		return next(ctx, request)
	}
}

// name says who calls and with what, as the official clients do.
func (c *client) name(header http.Header) {
	header.Set("User-Agent", "acceptance-go/1")
	header.Set("X-Sdk-Version", "acceptance-go/1")
	header.Set("X-Api-Version", "20260101")
	if c.token != "" {
		header.Set("Authorization", "Bearer "+c.token)
	}
}

// signIn gets a token. The old one rides along: clients that put it on every request do so.
func (c *client) signIn(ctx context.Context) error {
	c.signIns++
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {c.id}, "client_secret": {c.secret}}
	answer, err := c.send(ctx, http.MethodPost, "/oauth/token", strings.NewReader(form.Encode()),
		http.Header{"Content-Type": {"application/x-www-form-urlencoded"}})
	if err != nil {
		return err
	}
	var token struct {
		AccessToken string `json:"access_token"`
		Error       string `json:"error"`
	}
	if err := json.Unmarshal(answer.body, &token); err != nil {
		return err
	}
	if answer.status != http.StatusOK {
		return &tokenError{answer.status, token.Error}
	}
	c.token = token.AccessToken
	return nil
}

// tokenError is what the token endpoint refused a sign-in with.
type tokenError struct {
	status int
	code   string
}

func (e *tokenError) Error() string { return fmt.Sprintf("no token: %d %s", e.status, e.code) }

// answer is an answer of REST, read to its end.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// send makes one plain HTTP request with the current token, if there is one.
func (c *client) send(ctx context.Context, method, path string, body io.Reader, header http.Header) (*answer, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.url+path, body)
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		request.Header[name] = values
	}
	c.name(request.Header)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	return &answer{response.StatusCode, response.Header, content}, errors.Join(err)
}
