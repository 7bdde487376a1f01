"""The proxy as a caller without a client library sees it: how an account is named, what is refused and by whom."""

import http.client
import ssl
from urllib.parse import urlsplit

import pytest

from harness import catalogue
from harness.catalogue import BEARER


@pytest.fixture
def account(rest, httpbin, identifier):
    """Name of a connection, identifier and id of an active account on it."""
    name = catalogue.static_connection(rest, "Bin", BEARER, httpbin.url)
    details = {"authorization_details": {"static_auth": {"details": {"token": "t0ken"}}}}
    body = {"connector": name, "identifier": identifier, "connected_account": details}
    made = rest.ok("POST", "/connected_accounts", body)["connected_account"]
    return name, identifier, made["id"]


def call(rest, headers: list[tuple[str, str]], path="/headers", method="GET", length=None, bearer=None):
    """One request with exactly these headers, repeated ones included."""
    address = urlsplit(rest.server.url)
    trust = ssl.create_default_context(cafile=str(rest.server.ca))
    connection = http.client.HTTPSConnection(address.hostname, address.port, context=trust, timeout=20)
    connection.putrequest(method, f"/proxy{path}", skip_accept_encoding=True)
    token = rest.bearer() if bearer is None else bearer
    if token:
        connection.putheader("authorization", f"Bearer {token}")
    for name, value in headers:
        connection.putheader(name, value)
    if length is not None:
        connection.putheader("content-length", str(length))
    connection.endheaders()
    answer = connection.getresponse()
    answer.text = answer.read().decode()
    connection.close()
    return answer


@pytest.mark.parametrize(
    ("connection", "user"),
    [
        ("connection_name", "identifier"),
        ("Connection_Name", "IDENTIFIER"),
        ("connection-name", "identifier"),
        ("x-connection-name", "x-identifier"),
    ],
)
def test_an_account_is_named_by_headers_in_any_spelling(rest, account, connection, user):
    """AK-450"""
    name, identifier, _ = account

    answer = call(rest, [(connection, name), (user, identifier)])

    assert answer.status == 200 and "Bearer t0ken" in answer.text, answer.text
    assert identifier not in answer.text


def test_repeated_headers_must_agree_and_an_id_is_enough(rest, account):
    """AK-450"""
    name, identifier, id = account

    twice = [("connection_name", name), ("Connection_name", name), ("identifier", identifier)]
    assert call(rest, twice).status == 200
    assert call(rest, [("connected_account_id", id)]).status == 200
    differing = call(rest, [*twice, ("CONNECTION_NAME", "another")])
    assert differing.status == 400 and differing.headers["x-scalekit-source"] == "platform"


def test_a_user_is_named_in_ascii_or_by_the_id_of_the_account(rest, account):
    """AK-450: clients spell é in one byte or two, so the same bytes could mean two users."""
    for spelling in ("josé".encode(), "josé".encode("latin-1")):
        answer = call(rest, [("connection_name", account[0]), ("identifier", spelling)])
        assert answer.status == 400 and "connected_account_id" in answer.text, answer.text


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_every_method_goes_through(rest, account, method):
    """AK-450, AK-452"""
    answer = call(rest, [("connected_account_id", account[2])], "/anything", method, length=0)

    assert answer.status == 200 and answer.headers["x-scalekit-source"] == "upstream"


def test_answers_say_where_they_come_from(rest, account):
    """AK-453, AK-454: a 401 of the platform speaks of the caller's own token."""
    upstream = call(rest, [("connected_account_id", account[2])], "/status/401")
    assert (upstream.status, upstream.headers["x-scalekit-source"]) == (401, "upstream")
    assert upstream.headers["x-scalekit-execution-id"]

    for bearer in ("", "nonsense"):
        stranger = call(rest, [("connected_account_id", account[2])], bearer=bearer)
        assert (stranger.status, stranger.headers["x-scalekit-source"]) == (401, "platform")
    for headers in ([], [("connection_name", account[0])], [("identifier", account[1])]):
        nameless = call(rest, headers)
        assert (nameless.status, nameless.headers["x-scalekit-source"]) == (400, "platform")
        assert "INVALID_ARGUMENT" in nameless.text


def test_more_than_100_megabytes_are_refused(rest, account):
    """AK-452: before they are sent."""
    answer = call(rest, [("connected_account_id", account[2])], "/post", "POST", length=100_000_001)

    assert answer.status == 413 and answer.headers["x-scalekit-source"] == "platform"
    assert "REQUEST_TOO_LARGE" in answer.text


def test_the_client_library_is_not_named_to_the_provider(scalekit, account):
    """AK-456: nor its version; the product is."""
    seen = scalekit.actions.request(account[0], account[1], "/headers").json()["headers"]

    assert seen["User-Agent"].startswith("Keystead/")
    assert "scalekit" not in str(seen).lower()


def test_an_account_of_an_organization_serves_all_its_users(scalekit, rest, httpbin, identifier):
    """AK-215: whoever names the organization's identifier calls with its credential."""
    name = catalogue.static_connection(rest, "Bin", BEARER, httpbin.url)
    organization = rest.ok("POST", "/organizations", {"display_name": "Shared"})["organization"]["id"]
    for owner, token in (({}, "by-identifier"), ({"organization_id": organization}, "by-organization")):
        shared = f"{token}-{identifier}"
        details = {"authorization_details": {"static_auth": {"details": {"token": token}}}}
        rest.ok("POST", "/connected_accounts", {"connector": name, "identifier": shared, **owner, "connected_account": details})

        for _user in ("ada", "grace"):
            seen = scalekit.actions.request(name, shared, "/headers").json()["headers"]
            assert seen["Authorization"] == f"Bearer {token}"
