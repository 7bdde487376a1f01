"""Connected accounts in all their states."""

import time

import pytest
import requests
from scalekit.common.exceptions import ScalekitConflictException

from harness import catalogue
from harness.catalogue import BASIC, BEARER, api_key, oauth_connection
from harness.flows import consent, link_for


@pytest.fixture(scope="module")
def connection(rest, upstream):
    return oauth_connection(rest, upstream)


def status(scalekit, name, identifier):
    return scalekit.actions.get_connected_account_details(name, identifier).connected_account.status


def test_creating_answers_201_and_a_second_time_409(scalekit, rest, httpbin, identifier):
    """AK-201"""
    name = catalogue.static_connection(rest, "Bin", BEARER, httpbin.url)
    body = {"connector": name, "identifier": identifier, "connected_account": {"api_config": {"version": "v1"}}}

    made = rest.call("POST", "/connected_accounts", body)
    again = rest.call("POST", "/connected_accounts", body)

    assert made.status_code == 201 and made.json()["connected_account"]["status"] == "PENDING_AUTH"
    assert again.status_code == 409 and again.json()["details"][0]["error_code"] == "ALREADY_EXISTS"
    with pytest.raises(ScalekitConflictException):
        scalekit.actions.create_connected_account(name, identifier)


@pytest.mark.parametrize("pattern", [BEARER, BASIC, api_key("X-Key")], ids=lambda pattern: pattern["type"])
def test_an_empty_token_is_no_credential_on_any_connection(rest, httpbin, identifier, pattern):
    """AK-202: the Node client sends it whatever the connection is."""
    name = catalogue.static_connection(rest, "Bin", pattern, httpbin.url)
    nothing = {"authorization_details": {"oauth_token": {}}}

    made = rest.call("POST", "/connected_accounts", {"connector": name, "identifier": identifier, "connected_account": nothing})

    assert made.status_code == 201 and made.json()["connected_account"]["status"] == "PENDING_AUTH"


def test_the_official_get_or_create_makes_an_account_once(scalekit, rest, httpbin, identifier):
    """AK-212"""
    name = catalogue.static_connection(rest, "Bin", BEARER, httpbin.url)
    ids = {scalekit.actions.get_or_create_connected_account(name, identifier).connected_account.id for _ in range(2)}

    assert len(ids) == 1
    assert rest.call("GET", "/connected_accounts/auth", params={"connector": "none", "identifier": identifier}).status_code == 404
    missing = rest.call("POST", "/connected_accounts", {"connector": "none", "identifier": identifier, "connected_account": {}})
    assert missing.status_code == 404 and "connection not found" in missing.json()["message"]


def test_a_link_is_given_in_every_state(scalekit, rest, page, browser, app, connection, upstream, identifier):
    """AK-300"""
    name, seen = connection["key_id"], []

    def link():
        seen.append(status(scalekit, name, identifier))
        return link_for(scalekit, name, identifier, app)

    link_for(scalekit, name, identifier, app)
    consent(page, link())
    page.wait_for_url(f"{app.verify_url}**")
    request = app.visit()["auth_request_id"]
    link()
    scalekit.actions.verify_connected_account_user(request, identifier)
    link()
    upstream.control(revokeAll=True)
    assert rest.proxy(name, identifier, "/api/notes").status_code == 401
    link()
    account = rest.ok("GET", "/connected_accounts/details", params={"connector": name, "identifier": identifier})
    rest.ok("POST", f"/connected_accounts/{account['connected_account']['id']}:disconnect", {})
    context = browser.new_context()  # the provider remembers the first one
    elsewhere = context.new_page()
    consent(elsewhere, link())
    elsewhere.wait_for_url(f"{app.verify_url}**")
    scalekit.actions.verify_connected_account_user(app.visit()["auth_request_id"], identifier)
    context.close()

    assert seen == ["PENDING_AUTH", "PENDING_VERIFICATION", "ACTIVE", "EXPIRED", "DISCONNECTED"]
    assert status(scalekit, name, identifier) == "ACTIVE"


def test_a_link_without_state_brings_none_back(scalekit, page, app, connection, identifier):
    """AK-321: the query of the application's own address stays."""
    own = f"{app.verify_url}?tenant=7"
    link = scalekit.actions.get_authorization_link(identifier, connection["key_id"], user_verify_url=own).link
    consent(page, link)
    page.wait_for_url(f"{app.verify_url}**")

    visit = app.visit()

    assert visit.keys() == {"tenant", "auth_request_id"} and visit["tenant"] == "7"


def test_accounts_of_one_user_are_independent(scalekit, rest, httpbin, identifier):
    """AK-330: what one connection lacks does not keep the other from working."""
    ready, waiting = (catalogue.static_connection(rest, "Bin", BEARER, httpbin.url) for _ in range(2))
    scalekit.actions.create_connected_account(ready, identifier, {"static_auth": {"token": "one"}})
    scalekit.actions.create_connected_account(waiting, identifier)

    assert [status(scalekit, name, identifier) for name in (ready, waiting)] == ["ACTIVE", "PENDING_AUTH"]
    answers = [scalekit.actions.request(name, identifier, "/get").status_code for name in (ready, waiting)]
    assert answers == [200, 400]
    scalekit.actions.delete_connected_account(waiting, identifier)
    assert scalekit.actions.request(ready, identifier, "/get").status_code == 200


def test_a_handed_out_token_works_at_the_provider(scalekit, rest, connection, upstream, identifier):
    """AK-802, AK-205: without the proxy in between."""
    tokens = upstream.authorize(connection["client"], connection["redirect_uri"])
    token = {name: tokens[name] for name in ("access_token", "refresh_token")}
    scalekit.actions.create_connected_account(connection["key_id"], identifier, {"oauth_token": token})

    stored = scalekit.actions.get_connected_account(connection["key_id"], identifier).connected_account
    bearer = stored.authorization_details["oauth_token"]["access_token"]

    answer = requests.get(f"{upstream.url}/api/notes", headers={"authorization": f"Bearer {bearer}"}, timeout=10)
    assert answer.status_code == 200 and answer.json()["sub"] == "ada"


def test_accounts_go_with_their_organization(rest, httpbin, identifier):
    """DR-010: they are cut off at once, and a job of the running server removes them."""
    name = catalogue.static_connection(rest, "Bin", BEARER, httpbin.url)
    organization = rest.ok("POST", "/organizations", {"display_name": "Short lived"})["organization"]["id"]
    details = {"authorization_details": {"static_auth": {"details": {"token": "t0ken"}}}}
    body = {"connector": name, "identifier": identifier, "organization_id": organization, "connected_account": details}
    account = rest.ok("POST", "/connected_accounts", body)["connected_account"]["id"]
    assert rest.proxy(name, identifier, "/get").status_code == 200

    rest.ok("DELETE", f"/organizations/{organization}")

    assert rest.proxy(name, identifier, "/get").status_code in (400, 404)
    gone, deadline = False, time.monotonic() + 30
    while not gone and time.monotonic() < deadline:
        listed = rest.ok("GET", "/connected_accounts", params={"identifier": identifier})["connected_accounts"]
        gone = not any(row["id"] == account for row in listed)
    assert gone
