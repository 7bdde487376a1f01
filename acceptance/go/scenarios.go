package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/structpb"

	"example.com/app/gen/scalekit/v1/connected_accounts"
	"example.com/app/gen/scalekit/v1/connections"
	"example.com/app/gen/scalekit/v1/organizations"
)

// What the tests do. Assertions are made by the caller.
var scenarios = map[string]func(context.Context, *client, arguments) (any, error){
	"organizations":       manageOrganizations,
	"create_organization": createOrganization,
	"get_organization":    getOrganization,
	"account":             useAccount,
	"get_account":         getAccount,
	"proxy":               proxy,
}

type method[Q, A any] = func(context.Context, *connect.Request[Q]) (*connect.Response[A], error)

// call makes one call; callers need no header of the answer.
func call[Q, A any](ctx context.Context, method method[Q, A], ask *Q) (*A, error) {
	answer, err := method(ctx, connect.NewRequest(ask))
	if err != nil {
		return nil, err
	}
	return answer.Msg, nil
}

func createOrganization(ctx context.Context, c *client, in arguments) (any, error) {
	new := &organizations.CreateOrganization{DisplayName: in.Name, Metadata: map[string]string{"plan": "gold"}}
	if in.ExternalID != "" {
		new.ExternalId = &in.ExternalID
	}
	made, err := call(ctx, c.organizations.CreateOrganization, &organizations.CreateOrganizationRequest{Organization: new})
	if err != nil {
		return nil, err
	}
	return made.Organization.Id, nil
}

func getOrganization(ctx context.Context, c *client, in arguments) (any, error) {
	by := &organizations.GetOrganizationRequest{Identities: &organizations.GetOrganizationRequest_Id{Id: in.ID}}
	found, err := call(ctx, c.organizations.GetOrganization, by)
	if err != nil {
		return nil, err
	}
	return found.Organization.DisplayName, nil
}

func manageOrganizations(ctx context.Context, c *client, in arguments) (any, error) {
	made := []string{}
	for number := range 3 {
		id, err := createOrganization(ctx, c, arguments{Name: in.Name, ExternalID: fmt.Sprint(in.ExternalID, number)})
		if err != nil {
			return nil, err
		}
		made = append(made, id.(string))
	}
	found, err := call(ctx, c.organizations.GetOrganizationByExternalId, &organizations.GetOrganizationRequest{
		Identities: &organizations.GetOrganizationRequest_ExternalId{ExternalId: in.ExternalID + "0"},
	})
	if err != nil {
		return nil, err
	}
	listed, pages := []string{}, 0
	for next := ""; pages == 0 || next != ""; pages++ {
		page, err := call(ctx, c.organizations.ListOrganization, &organizations.ListOrganizationsRequest{PageSize: 2, PageToken: next})
		if err != nil {
			return nil, err
		}
		for _, row := range page.Organizations {
			listed = append(listed, row.Id)
		}
		next = page.NextPageToken
	}
	changed := in.Name + " Ltd"
	_, err = call(ctx, c.organizations.UpdateOrganization, &organizations.UpdateOrganizationRequest{
		Identities:   &organizations.UpdateOrganizationRequest_Id{Id: made[0]},
		Organization: &organizations.UpdateOrganization{DisplayName: &changed},
	})
	if err != nil {
		return nil, err
	}
	search := &organizations.SearchOrganizationsRequest{Query: changed, PageSize: 10}
	hits, err := call(ctx, c.organizations.SearchOrganization, search)
	if err != nil {
		return nil, err
	}
	searched := []string{}
	for _, row := range hits.Organizations {
		searched = append(searched, row.Id)
	}
	name, err := getOrganization(ctx, c, arguments{ID: made[0]})
	if err != nil {
		return nil, err
	}
	for _, id := range made {
		gone := &organizations.DeleteOrganizationRequest{Identities: &organizations.DeleteOrganizationRequest_Id{Id: id}}
		if _, err := call(ctx, c.organizations.DeleteOrganization, gone); err != nil {
			return nil, err
		}
	}
	return result{
		"made": made, "by_external_id": found.Organization.Id, "metadata": found.Organization.Metadata,
		"listed": listed, "pages": pages, "searched": searched, "name": name,
	}, nil
}

// useAccount makes a connection and an account on it, and goes from the link for the user to a call of the provider.
func useAccount(ctx context.Context, c *client, in arguments) (any, error) {
	made, err := call(ctx, c.connections.CreateEnvironmentConnection, &connections.CreateEnvironmentConnectionRequest{
		Connection: &connections.CreateConnection{
			ProviderKey: in.Provider, Type: connections.ConnectionType_BEARER, KeyId: &in.Connection,
		},
	})
	if err != nil {
		return nil, err
	}
	id := made.Connection.Id
	enable := &connections.ToggleEnvironmentConnectionRequest{ConnectionId: id}
	if _, err = call(ctx, c.connections.EnableEnvironmentConnection, enable); err != nil {
		return nil, err
	}
	get := &connections.GetEnvironmentConnectionRequest{ConnectionId: id}
	connection, err := call(ctx, c.connections.GetEnvironmentConnection, get)
	if err != nil {
		return nil, err
	}
	list := &connections.ListAppConnectionsRequest{PageSize: 10, Query: &in.Connection}
	listed, err := call(ctx, c.connections.ListAppConnections, list)
	if err != nil {
		return nil, err
	}
	names := []string{}
	for _, row := range listed.Connections {
		names = append(names, row.KeyId)
	}

	created, err := call(ctx, c.accounts.CreateConnectedAccount, &connected_accounts.CreateConnectedAccountRequest{
		Connector: &in.Connection, Identifier: &in.Identifier, ConnectedAccount: &connected_accounts.CreateConnectedAccount{},
	})
	if err != nil {
		return nil, err
	}
	link, err := call(ctx, c.accounts.GetMagicLinkForConnectedAccount, &connected_accounts.GetMagicLinkForConnectedAccountRequest{
		Connector: &in.Connection, Identifier: &in.Identifier,
	})
	if err != nil {
		return nil, err
	}
	credential, err := structpb.NewStruct(map[string]any{"token": in.Credential})
	if err != nil {
		return nil, err
	}
	static := &connected_accounts.AuthorizationDetails_StaticAuth{StaticAuth: &connected_accounts.StaticAuth{Details: credential}}
	updated, err := call(ctx, c.accounts.UpdateConnectedAccount, &connected_accounts.UpdateConnectedAccountRequest{
		Connector: &in.Connection, Identifier: &in.Identifier,
		ConnectedAccount: &connected_accounts.UpdateConnectedAccount{
			AuthorizationDetails: &connected_accounts.AuthorizationDetails{Details: static},
		},
	})
	if err != nil {
		return nil, err
	}
	stored, err := getAccount(ctx, c, in)
	if err != nil {
		return nil, err
	}
	answer, err := proxy(ctx, c, in)
	if err != nil {
		return nil, err
	}
	_, err = call(ctx, c.accounts.DeleteConnectedAccount, &connected_accounts.DeleteConnectedAccountRequest{
		Connector: &in.Connection, Identifier: &in.Identifier,
	})
	return result{
		"enabled": connection.Connection.Enabled, "connections": names,
		"created": created.ConnectedAccount.Status.String(), "link": link.Link, "expires": link.Expiry.AsTime().Unix(),
		"updated": updated.ConnectedAccount.Status.String(), "stored": stored, "answer": answer,
	}, err
}

func getAccount(ctx context.Context, c *client, in arguments) (any, error) {
	found, err := call(ctx, c.accounts.GetConnectedAccountAuth, &connected_accounts.GetConnectedAccountByIdentifierRequest{
		Connector: &in.Connection, Identifier: &in.Identifier,
	})
	if err != nil {
		return nil, err
	}
	return found.ConnectedAccount.AuthorizationDetails.GetStaticAuth().GetDetails().AsMap(), nil
}

// proxy calls the provider with the account's credential: plain REST, which needs no stub.
func proxy(ctx context.Context, c *client, in arguments) (any, error) {
	if c.token == "" {
		if err := c.signIn(ctx); err != nil {
			return nil, err
		}
	}
	header := http.Header{"Connection_name": {in.Connection}, "Identifier": {in.Identifier}, "Content-Type": {"application/json"}}
	answer, err := c.send(ctx, http.MethodPost, "/proxy/anything/a%20b?n=1&n=2", strings.NewReader(`{"n":1}`), header)
	if err != nil {
		return nil, err
	}
	var body any
	if err := json.Unmarshal(answer.body, &body); err != nil {
		return nil, err
	}
	return result{"status": answer.status, "source": answer.header.Get("X-Scalekit-Source"), "body": body}, nil
}
