"""The official Node client, unmodified, against the real binary."""

import secrets

from harness import catalogue
from harness.catalogue import BEARER, unique

# Numbers of ConnectorStatus, as the Node client shows them.
ACTIVE, PENDING_AUTH = 1, 3


def test_the_token_verifies_with_the_published_keys(node, server):
    assert node.ok("validateToken")["issuer"] == server.url


def test_wrong_client_secrets_are_refused(node):
    outcome = node.run("listConnections", env={"SCALEKIT_CLIENT_SECRET": "wrong"}, pageSize=1)
    assert outcome["error"]["status"] == 401, outcome


def test_organizations_are_managed(node):
    name = unique("Acme")
    result = node.ok("organizationLifecycle", name=name, externalId=secrets.token_hex(8))

    assert result["byExternalId"] == result["id"]
    assert result["updatedName"] == f"{name} 2"
    assert result["listed"]
    gone = node.run("getOrganization", id=result["id"])
    assert gone["error"]["class"] == "ScalekitNotFoundException" and gone["error"]["code"]


def test_bad_input_becomes_the_right_exception(node, identifier):
    bad = node.run("createOrganization", name="")
    assert bad["error"]["class"] == "ScalekitBadRequestException", bad
    external_id = secrets.token_hex(8)
    node.ok("createOrganization", name=unique("One"), externalId=external_id)
    twice = node.run("createOrganization", name=unique("Two"), externalId=external_id)
    # DR-002: a taken external id is bad input, not a conflict.
    assert twice["error"]["class"] == "ScalekitBadRequestException" and "already exists" in twice["error"]["message"], twice
    missing = node.run("getAccount", connectionName="no-such-connection", identifier=identifier)
    assert missing["error"]["class"] == "ScalekitNotFoundException", missing
    unknown = node.run("verify", authRequestId="bm90LWEtcmVxdWVzdA", identifier=identifier)
    assert "auth request not found or no longer valid" in unknown["error"]["message"].lower(), unknown


def test_static_accounts_work_from_link_to_proxied_call(node, rest, server, httpbin, identifier):
    name = catalogue.static_connection(rest, "Bin", BEARER, httpbin.url)
    user = {"connectionName": name, "identifier": identifier}

    result = node.ok("staticAccount", **user, details={"token": "t0ken"})
    assert (result["createdStatus"], result["updatedStatus"]) == (PENDING_AUTH, ACTIVE)
    assert result["link"].startswith(f"{server.url}/oauth/connect?token=")
    assert (result["credentialCase"], result["credential"]) == ("staticAuth", {"token": "t0ken"})
    assert result["listed"] == [result["id"]]

    answer = node.ok("request", **user, path="anything?a=1&a=2", method="POST", body={"n": 1})
    assert answer["status"] == 200 and answer["source"] == "upstream"
    assert answer["data"]["json"] == {"n": 1} and answer["data"]["url"].endswith("/anything?a=1&a=2")
    assert answer["data"]["headers"]["Authorization"] == "Bearer t0ken"
    refused = node.run("request", **user, path="/status/403")
    assert refused["error"]["class"] == "ScalekitForbiddenException", refused

    node.ok("deleteAccount", **user)
    assert node.run("getAccount", **user)["error"]["class"] == "ScalekitNotFoundException"


def test_connections_are_listed(node, rest, httpbin):
    names = [catalogue.static_connection(rest, "Bin", BEARER, httpbin.url) for _ in range(3)]

    listed = {row["connectionName"]: row for row in node.ok("listConnections", pageSize=2)}

    assert set(names) <= set(listed)
    assert listed[names[0]]["type"] == "BEARER" and listed[names[0]]["enabled"]
