"""The official Python client, unmodified, against the real binary."""

import base64
import secrets

import pytest
from scalekit.common.exceptions import (
    ScalekitBadRequestException,
    ScalekitConflictException,
    ScalekitNotFoundException,
    ScalekitUnauthorizedException,
)
from scalekit.common.scalekit import TokenValidationOptions
from scalekit.core import CoreClient
from scalekit.organization import OrganizationClient
from scalekit.v1.connections.connections_pb2 import ConnectionType, CreateConnection
from scalekit.v1.organizations.organizations_pb2 import CreateOrganization, UpdateOrganization

from harness import catalogue
from harness.catalogue import BASIC, BEARER, api_key, unique


def test_the_client_token_verifies_with_the_published_keys(scalekit, server):
    """MC-170, MC-310, MC-312"""
    token = scalekit.get_client_access_token()

    claims = scalekit.validate_access_token_and_get_claims(token, TokenValidationOptions(issuer=server.url))

    assert claims["iss"] == server.url
    assert claims["exp"] > claims["iat"]
    assert not scalekit.validate_access_token(token, TokenValidationOptions(issuer="https://elsewhere.test"))
    head, body, signature = token.split(".")
    other = "A" if signature[10] != "A" else "B"
    forged = ".".join([head, body, signature[:10] + other + signature[11:]])
    assert not scalekit.validate_access_token(forged)


def test_wrong_client_secrets_are_refused(server, scalekit):
    with pytest.raises(ScalekitUnauthorizedException):
        scalekit.generate_client_token(server.env["SCALEKIT_CLIENT_ID"], "wrong")
    with pytest.raises(ScalekitUnauthorizedException):
        scalekit.generate_client_token("skc_1", server.env["SCALEKIT_CLIENT_SECRET"])


def test_a_client_with_a_dead_token_signs_in_again(server):
    """The channel keeps the first token for ever and sends it beside the current one."""

    class DeadOnArrival(CoreClient):
        def authenticate(self, data):
            answer = super().authenticate(data)
            if self.access_token is None:  # only the first token, which the channel is made with
                answer._content = b'{"access_token": "dead"}'
            return answer

    env = server.env
    core = DeadOnArrival(env["SCALEKIT_ENV_URL"], env["SCALEKIT_CLIENT_ID"], env["SCALEKIT_CLIENT_SECRET"])
    assert core.access_token == "dead"

    OrganizationClient(core).list_organizations(page_size=1)

    assert core.access_token.count(".") == 2


def test_organizations_are_created_read_changed_listed_and_deleted(scalekit):
    """DR-001, DR-006, DR-007, DR-008"""
    name, external_id = unique("Acme"), secrets.token_hex(8)
    new = CreateOrganization(display_name=name, external_id=external_id, metadata={"plan": "gold"})
    created = scalekit.organization.create_organization(new)[0].organization
    assert created.id.startswith("org_") and created.metadata["plan"] == "gold"

    assert scalekit.organization.get_organization_by_external_id(external_id)[0].organization.id == created.id
    scalekit.organization.update_organization(created.id, UpdateOrganization(display_name=f"{name} Ltd"))
    assert scalekit.organization.get_organization(created.id)[0].organization.display_name == f"{name} Ltd"

    assert created.id in _all_organizations(scalekit)
    scalekit.organization.delete_organization(created.id)
    assert created.id not in _all_organizations(scalekit)
    with pytest.raises(ScalekitNotFoundException) as caught:
        scalekit.organization.get_organization(created.id)
    assert caught.value.error_code


def _all_organizations(scalekit) -> list[str]:
    ids, token = [], None
    while True:
        page = scalekit.organization.list_organizations(page_size=2, page_token=token)[0]
        assert len(page.organizations) <= 2
        ids += [organization.id for organization in page.organizations]
        token = page.next_page_token
        if not token:
            assert len(ids) == len(set(ids))
            return ids


def test_bad_organizations_are_refused_with_the_reason(scalekit):
    with pytest.raises(ScalekitBadRequestException) as caught:
        scalekit.organization.create_organization(CreateOrganization(display_name=""))
    violations = [row for detail in caught.value._unpacked_details for row in detail.validation_error_info.field_violations]
    assert violations, str(caught.value)

    external_id = secrets.token_hex(8)
    scalekit.organization.create_organization(CreateOrganization(display_name="One", external_id=external_id))
    # DR-002: a taken external id is bad input, not a conflict.
    with pytest.raises(ScalekitBadRequestException, match="already exists"):
        scalekit.organization.create_organization(CreateOrganization(display_name="Two", external_id=external_id))


def test_providers_of_the_environment_are_managed(scalekit):
    """AK-014, AK-017, AK-019"""
    from scalekit.actions.models.custom_provider import AuthField, AuthPattern
    from scalekit.actions.types import (
        CreateCustomProviderRequest,
        DeleteCustomProviderRequest,
        ListProvidersRequest,
        UpdateCustomProviderRequest,
    )

    providers = scalekit.actions.providers
    secret = AuthField(field_name="token", label="Token", input_type="password", required=True)
    pattern = AuthPattern(type="BEARER", display_name="Token", fields=[secret])
    name, url = unique("Desk"), "https://desk.example.test/api"
    new = CreateCustomProviderRequest(display_name=name, proxy_url=url, auth_patterns=[pattern])
    created = providers.create_custom_provider(new).provider
    assert ":" in created.identifier and created.is_custom and created.auth_patterns[0].fields[0].field_name == "token"

    with pytest.raises(ScalekitConflictException):
        providers.create_custom_provider(new)

    change = UpdateCustomProviderRequest(identifier=created.identifier, display_name=name, proxy_url=url, description="Tickets")
    changed = providers.update_custom_provider(change).provider
    assert changed.description == "Tickets" and changed.proxy_enabled and changed.auth_patterns == created.auth_patterns

    custom = ListProvidersRequest(provider_type=1, page_size=1000)
    assert created.identifier in [row.identifier for row in providers.list_providers(custom).providers]
    providers.delete_custom_provider(DeleteCustomProviderRequest(identifier=created.identifier))
    assert created.identifier not in [row.identifier for row in providers.list_providers(custom).providers]
    with pytest.raises(ScalekitNotFoundException):
        providers.delete_custom_provider(DeleteCustomProviderRequest(identifier=created.identifier))


def test_the_built_in_catalogue_has_all_providers(scalekit):
    from scalekit.actions.types import ListProvidersRequest

    rows = scalekit.actions.providers.list_providers(ListProvidersRequest(page_size=1000)).providers

    assert len(rows) >= 84  # part of AK-001
    assert not any(row.is_custom for row in rows)
    assert all(row.auth_patterns and row.display_name for row in rows)


def test_connections_are_created_and_listed(scalekit, rest, httpbin):
    """AK-104"""
    provider = catalogue.create_provider(rest, "Bin", BEARER, httpbin.url)
    new = CreateConnection(provider_key=provider["identifier"], type=ConnectionType.BEARER)
    created = scalekit.connection.create_environment_connection(new)[0].connection
    assert created.id.startswith("conn_") and created.key_id

    assert scalekit.connection.get_environment_connection(created.id)[0].connection.key_id == created.key_id
    page = scalekit.connection.list_app_connections(page_size=30, query=created.key_id)[0]
    assert [row.id for row in page.connections] == [created.id]
    with pytest.raises(ScalekitNotFoundException):
        scalekit.connection.get_environment_connection("conn_1")


@pytest.mark.parametrize(
    ("pattern", "details", "header", "value"),
    [
        (BEARER, {"token": "t0ken"}, "Authorization", "Bearer t0ken"),
        (BASIC, {"username": "ada", "password": "pa:ss"}, "Authorization", "Basic " + base64.b64encode(b"ada:pa:ss").decode()),
        (api_key("X-Api-Key"), {"api_key": "k3y"}, "X-Api-Key", "k3y"),
    ],
    ids=["bearer", "basic", "api-key"],
)
def test_static_accounts_carry_their_credential_to_the_provider(
    scalekit, rest, httpbin, identifier, pattern, details, header, value
):
    """AK-010, AK-202, AK-205, AK-206, AK-211, AK-456"""
    name = catalogue.static_connection(rest, "Bin", pattern, httpbin.url)
    account = scalekit.actions.get_or_create_connected_account(name, identifier).connected_account
    assert account.status == "PENDING_AUTH"

    details = {"static_auth": details}
    account = scalekit.actions.update_connected_account(name, identifier, details).connected_account
    assert account.status == "ACTIVE"

    seen = scalekit.actions.request(name, identifier, "/headers", headers={"x-mine": "1"}).json()["headers"]
    assert seen[header] == value
    assert seen["X-Mine"] == "1"
    ours = {"connection-name", "connection_name", "identifier", "x-sdk-version", "x-api-version"}
    assert not ours & {name.lower() for name in seen}
    assert scalekit.core_client.access_token not in str(seen)

    stored = scalekit.actions.get_connected_account(name, identifier).connected_account
    assert stored.authorization_details == details
    public = scalekit.actions.get_connected_account_details(name, identifier).connected_account
    assert not (public.authorization_details or {}).get("static_auth")


def test_requests_reach_the_provider_unchanged(scalekit, rest, httpbin, identifier):
    """AK-451, AK-452, AK-453"""
    name = catalogue.static_connection(rest, "Bin", BEARER, httpbin.url)
    scalekit.actions.create_connected_account(name, identifier, {"static_auth": {"token": "t0ken"}})
    request = lambda *args, **kwargs: scalekit.actions.request(name, identifier, *args, **kwargs)

    answer = request("/anything/a%20b?z=1&a=2&z=3", "POST", body={"n": 1})
    assert answer.json()["json"] == {"n": 1} and answer.json()["method"] == "POST"
    assert answer.json()["url"].endswith("/anything/a%20b?z=1&a=2&z=3")
    assert request("/anything", "PUT", form_data={"n": "ä"}).json()["form"] == {"n": "ä"}
    xml = {"Content-Type": "text/xml", "SOAPAction": "read"}
    answer = request("/anything", "POST", raw_body="<a/>", headers=xml).json()
    assert answer["data"] == "<a/>" and answer["headers"]["Soapaction"] == "read"
    for status in (404, 418, 429, 500):
        answer = request(f"/status/{status}")
        assert answer.status_code == status and answer.headers["x-scalekit-source"] == "upstream"
    blob = secrets.token_bytes(300_000)
    assert len(request("/bytes/100000?seed=1").content) == 100_000
    assert base64.b64decode(request("/post", "POST", raw_body=blob, headers={"Content-Type": "application/octet-stream"}).json()["data"].split(",")[1]) == blob


def test_requests_without_a_usable_account_are_refused_by_the_platform(scalekit, rest, httpbin, identifier):
    """AK-454"""
    name = catalogue.static_connection(rest, "Bin", BEARER, httpbin.url)

    missing = scalekit.actions.request(name, identifier, "/get")
    assert missing.status_code == 404 and missing.headers["x-scalekit-source"] == "platform"
    scalekit.actions.create_connected_account(name, identifier)
    pending = scalekit.actions.request(name, identifier, "/get")
    assert pending.status_code == 400 and "CONNECTED_ACCOUNT_NOT_ACTIVE" in pending.text
    unknown = scalekit.actions.request("no-such-connection", identifier, "/get")
    assert unknown.status_code == 404


def test_accounts_are_listed_and_deleted(scalekit, rest, httpbin, identifier):
    """AK-201, AK-209, part of AK-213"""
    name = catalogue.static_connection(rest, "Bin", BEARER, httpbin.url)
    scalekit.actions.create_connected_account(name, identifier, {"static_auth": {"token": "t"}})
    with pytest.raises(ScalekitConflictException):
        scalekit.actions.create_connected_account(name, identifier)

    listed = scalekit.actions.list_connected_accounts(connection_names=[name], identifier=identifier)
    # This client's list model has no id.
    assert [(row.identifier, row.status) for row in listed.connected_accounts] == [(identifier, "ACTIVE")]
    scalekit.actions.delete_connected_account(name, identifier)
    with pytest.raises(ScalekitNotFoundException):
        scalekit.actions.get_connected_account(name, identifier)
    with pytest.raises(ScalekitNotFoundException):
        scalekit.actions.delete_connected_account(name, identifier)


def test_authorization_links_point_at_this_server(scalekit, rest, server, httpbin, identifier):
    """AK-300, part of AK-303"""
    name = catalogue.static_connection(rest, "Bin", BEARER, httpbin.url)

    link = scalekit.actions.get_authorization_link(identifier, name)

    assert link.link.startswith(f"{server.url}/oauth/connect?token=") and "state=" in link.link
    assert link.expiry.year > 2000
    assert scalekit.actions.get_connected_account(name, identifier).connected_account.status == "PENDING_AUTH"


def test_bad_accounts_are_refused(scalekit, rest, httpbin, identifier):
    name = catalogue.static_connection(rest, "Bin", BASIC, httpbin.url)
    with pytest.raises(ScalekitBadRequestException):  # AK-204
        scalekit.actions.create_connected_account(name, identifier, {"static_auth": {"username": "ada"}})
    with pytest.raises(ScalekitNotFoundException, match="(?i)connection not found"):
        scalekit.actions.create_connected_account("no-such-connection", identifier)
    with pytest.raises(ScalekitBadRequestException):
        scalekit.actions.get_connected_account()
    with pytest.raises(ScalekitNotFoundException, match="(?i)auth request not found or no longer valid"):
        scalekit.actions.verify_connected_account_user("bm90LWEtcmVxdWVzdA", identifier)


@pytest.mark.parametrize(
    ("metadata", "taken"),
    [
        ({f"key{number}": "x" for number in range(10)}, True),
        ({f"key{number}": "x" for number in range(11)}, False),
        ({"abc": "x" * 256, "k" * 25: "x"}, True),
        ({"ab": "x"}, False),
        ({"k" * 26: "x"}, False),
        ({"key": ""}, False),
        ({"key": "x" * 257}, False),
    ],
)
def test_metadata_of_an_organization_has_limits(scalekit, metadata, taken):
    """DR-003"""
    new = CreateOrganization(display_name=unique("Acme"), metadata=metadata)
    if taken:
        assert dict(scalekit.organization.create_organization(new)[0].organization.metadata) == metadata
    else:
        with pytest.raises(ScalekitBadRequestException):
            scalekit.organization.create_organization(new)
