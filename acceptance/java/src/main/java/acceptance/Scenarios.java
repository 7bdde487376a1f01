package acceptance;

import com.google.protobuf.ListValue;
import com.google.protobuf.NullValue;
import com.google.protobuf.Struct;
import com.google.protobuf.Value;
import java.net.http.HttpResponse;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import scalekit.v1.connected_accounts.ConnectedAccounts.AuthorizationDetails;
import scalekit.v1.connected_accounts.ConnectedAccounts.ConnectedAccount;
import scalekit.v1.connected_accounts.ConnectedAccounts.CreateConnectedAccount;
import scalekit.v1.connected_accounts.ConnectedAccounts.CreateConnectedAccountRequest;
import scalekit.v1.connected_accounts.ConnectedAccounts.DeleteConnectedAccountRequest;
import scalekit.v1.connected_accounts.ConnectedAccounts.GetConnectedAccountByIdentifierRequest;
import scalekit.v1.connected_accounts.ConnectedAccounts.GetMagicLinkForConnectedAccountRequest;
import scalekit.v1.connected_accounts.ConnectedAccounts.GetMagicLinkForConnectedAccountResponse;
import scalekit.v1.connected_accounts.ConnectedAccounts.StaticAuth;
import scalekit.v1.connected_accounts.ConnectedAccounts.UpdateConnectedAccount;
import scalekit.v1.connected_accounts.ConnectedAccounts.UpdateConnectedAccountRequest;
import scalekit.v1.connections.Connections.Connection;
import scalekit.v1.connections.Connections.ConnectionType;
import scalekit.v1.connections.Connections.CreateConnection;
import scalekit.v1.connections.Connections.CreateEnvironmentConnectionRequest;
import scalekit.v1.connections.Connections.GetEnvironmentConnectionRequest;
import scalekit.v1.connections.Connections.ListAppConnectionsRequest;
import scalekit.v1.connections.Connections.ListConnection;
import scalekit.v1.connections.Connections.ToggleEnvironmentConnectionRequest;
import scalekit.v1.organizations.Organizations.CreateOrganization;
import scalekit.v1.organizations.Organizations.CreateOrganizationRequest;
import scalekit.v1.organizations.Organizations.DeleteOrganizationRequest;
import scalekit.v1.organizations.Organizations.GetOrganizationRequest;
import scalekit.v1.organizations.Organizations.ListOrganizationsRequest;
import scalekit.v1.organizations.Organizations.ListOrganizationsResponse;
import scalekit.v1.organizations.Organizations.Organization;
import scalekit.v1.organizations.Organizations.SearchOrganizationsRequest;
import scalekit.v1.organizations.Organizations.UpdateOrganization;
import scalekit.v1.organizations.Organizations.UpdateOrganizationRequest;

/** What the tests do. Assertions are made by the caller. */
final class Scenarios {
  static Object run(String name, Client client, Struct in) {
    return switch (name) {
      case "organizations" -> manageOrganizations(client, in);
      case "create_organization" -> createOrganization(client, text(in, "name"), text(in, "external_id"));
      case "get_organization" -> getOrganization(client, text(in, "id"));
      case "account" -> useAccount(client, in);
      case "get_account" -> getAccount(client, in);
      case "proxy" -> proxy(client, in);
      default -> throw new IllegalArgumentException(name);
    };
  }

  private static String createOrganization(Client client, String name, String externalId) {
    CreateOrganization.Builder organization = CreateOrganization.newBuilder().setDisplayName(name).putMetadata("plan", "gold");
    if (!externalId.isEmpty()) {
      organization.setExternalId(externalId);
    }
    CreateOrganizationRequest request = CreateOrganizationRequest.newBuilder().setOrganization(organization).build();
    return client.call(() -> client.organizations.createOrganization(request)).getOrganization().getId();
  }

  private static String getOrganization(Client client, String id) {
    GetOrganizationRequest request = GetOrganizationRequest.newBuilder().setId(id).build();
    return client.call(() -> client.organizations.getOrganization(request)).getOrganization().getDisplayName();
  }

  private static Map<String, Object> manageOrganizations(Client client, Struct in) {
    String externalId = text(in, "external_id");
    List<String> made = new ArrayList<>();
    for (int number = 0; number < 3; number++) {
      made.add(createOrganization(client, text(in, "name"), externalId + number));
    }
    GetOrganizationRequest byExternalId = GetOrganizationRequest.newBuilder().setExternalId(externalId + "0").build();
    Organization found = client.call(() -> client.organizations.getOrganizationByExternalId(byExternalId)).getOrganization();
    List<String> listed = new ArrayList<>();
    int pages = 0;
    String next = "";
    do {
      ListOrganizationsRequest request = ListOrganizationsRequest.newBuilder().setPageSize(2).setPageToken(next).build();
      ListOrganizationsResponse page = client.call(() -> client.organizations.listOrganization(request));
      page.getOrganizationsList().forEach(row -> listed.add(row.getId()));
      next = page.getNextPageToken();
      pages++;
    } while (!next.isEmpty());
    String changed = text(in, "name") + " Ltd";
    UpdateOrganizationRequest change = UpdateOrganizationRequest.newBuilder()
        .setId(made.get(0))
        .setOrganization(UpdateOrganization.newBuilder().setDisplayName(changed))
        .build();
    client.call(() -> client.organizations.updateOrganization(change));
    SearchOrganizationsRequest search = SearchOrganizationsRequest.newBuilder().setQuery(changed).setPageSize(10).build();
    List<String> searched = client.call(() -> client.organizations.searchOrganization(search)).getOrganizationsList().stream()
        .map(Organization::getId)
        .toList();
    String name = getOrganization(client, made.get(0));
    for (String id : made) {
      DeleteOrganizationRequest gone = DeleteOrganizationRequest.newBuilder().setId(id).build();
      client.call(() -> client.organizations.deleteOrganization(gone));
    }
    return Map.of("made", made, "by_external_id", found.getId(), "metadata", found.getMetadataMap(),
        "listed", listed, "pages", pages, "searched", searched, "name", name);
  }

  /** Makes a connection and an account on it, and goes from the link for the user to a call of the provider. */
  private static Map<String, Object> useAccount(Client client, Struct in) {
    String connector = text(in, "connection");
    String identifier = text(in, "identifier");
    CreateEnvironmentConnectionRequest connection = CreateEnvironmentConnectionRequest.newBuilder()
        .setConnection(CreateConnection.newBuilder()
            .setProviderKey(text(in, "provider"))
            .setType(ConnectionType.BEARER)
            .setKeyId(connector))
        .build();
    String id = client.call(() -> client.connections.createEnvironmentConnection(connection)).getConnection().getId();
    ToggleEnvironmentConnectionRequest enable = ToggleEnvironmentConnectionRequest.newBuilder().setConnectionId(id).build();
    client.call(() -> client.connections.enableEnvironmentConnection(enable));
    GetEnvironmentConnectionRequest get = GetEnvironmentConnectionRequest.newBuilder().setConnectionId(id).build();
    Connection found = client.call(() -> client.connections.getEnvironmentConnection(get)).getConnection();
    ListAppConnectionsRequest list = ListAppConnectionsRequest.newBuilder().setPageSize(10).setQuery(connector).build();
    List<String> names = client.call(() -> client.connections.listAppConnections(list)).getConnectionsList().stream()
        .map(ListConnection::getKeyId)
        .toList();

    CreateConnectedAccountRequest create = CreateConnectedAccountRequest.newBuilder()
        .setConnector(connector)
        .setIdentifier(identifier)
        .setConnectedAccount(CreateConnectedAccount.getDefaultInstance())
        .build();
    ConnectedAccount created = client.call(() -> client.accounts.createConnectedAccount(create)).getConnectedAccount();
    GetMagicLinkForConnectedAccountRequest ask = GetMagicLinkForConnectedAccountRequest.newBuilder()
        .setConnector(connector)
        .setIdentifier(identifier)
        .build();
    GetMagicLinkForConnectedAccountResponse link = client.call(() -> client.accounts.getMagicLinkForConnectedAccount(ask));
    Struct credential = Struct.newBuilder().putFields("token", value(text(in, "credential"))).build();
    AuthorizationDetails details = AuthorizationDetails.newBuilder()
        .setStaticAuth(StaticAuth.newBuilder().setDetails(credential))
        .build();
    UpdateConnectedAccountRequest update = UpdateConnectedAccountRequest.newBuilder()
        .setConnector(connector)
        .setIdentifier(identifier)
        .setConnectedAccount(UpdateConnectedAccount.newBuilder().setAuthorizationDetails(details))
        .build();
    ConnectedAccount updated = client.call(() -> client.accounts.updateConnectedAccount(update)).getConnectedAccount();
    Struct stored = getAccount(client, in);
    Object answer = proxy(client, in);
    DeleteConnectedAccountRequest delete = DeleteConnectedAccountRequest.newBuilder()
        .setConnector(connector)
        .setIdentifier(identifier)
        .build();
    client.call(() -> client.accounts.deleteConnectedAccount(delete));
    return Map.of("enabled", found.getEnabled(), "connections", names, "created", created.getStatus().name(),
        "link", link.getLink(), "expires", link.getExpiry().getSeconds(), "updated", updated.getStatus().name(),
        "stored", stored, "answer", answer);
  }

  private static Struct getAccount(Client client, Struct in) {
    GetConnectedAccountByIdentifierRequest request = GetConnectedAccountByIdentifierRequest.newBuilder()
        .setConnector(text(in, "connection"))
        .setIdentifier(text(in, "identifier"))
        .build();
    ConnectedAccount found = client.call(() -> client.accounts.getConnectedAccountAuth(request)).getConnectedAccount();
    return found.getAuthorizationDetails().getStaticAuth().getDetails();
  }

  /** Calls the provider with the account's credential: plain REST, which needs no stub. */
  private static Map<String, Object> proxy(Client client, Struct in) {
    if (!client.hasToken()) {
      client.signIn();
    }
    HttpResponse<String> answer = client.send("/proxy/anything/a%20b?n=1&n=2", "{\"n\":1}",
        Map.of("connection_name", text(in, "connection"), "identifier", text(in, "identifier"),
            "content-type", "application/json"));
    return Map.of("status", answer.statusCode(), "body", Client.json(answer.body()),
        "source", answer.headers().firstValue("x-scalekit-source").orElse(""));
  }

  /** An argument; empty when it was not given. */
  static String text(Struct in, String name) {
    return in.getFieldsOrDefault(name, value("")).getStringValue();
  }

  /** The JSON form of maps, lists, texts, numbers and truth values. */
  static Value value(Object object) {
    Value.Builder value = Value.newBuilder();
    if (object instanceof Map<?, ?> map) {
      Struct.Builder fields = Struct.newBuilder();
      map.forEach((name, field) -> fields.putFields((String) name, value(field)));
      return value.setStructValue(fields).build();
    } else if (object instanceof List<?> list) {
      return value.setListValue(ListValue.newBuilder().addAllValues(list.stream().map(Scenarios::value).toList())).build();
    } else if (object instanceof Struct struct) {
      return value.setStructValue(struct).build();
    } else if (object instanceof Number number) {
      return value.setNumberValue(number.doubleValue()).build();
    } else if (object instanceof Boolean truth) {
      return value.setBoolValue(truth).build();
    } else if (object == null) {
      return value.setNullValue(NullValue.NULL_VALUE).build();
    }
    return value.setStringValue((String) object).build();
  }
}
