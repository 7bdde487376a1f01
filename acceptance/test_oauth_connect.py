"""Users connect OAuth accounts in a real browser; the provider is npm oidc-provider with rotating refresh tokens."""

import pytest
from scalekit.common.exceptions import ScalekitForbiddenException, ScalekitNotFoundException

from harness.catalogue import oauth_connection
from harness.flows import connect, consent, link_for, sign_in


@pytest.fixture(scope="session")
def connection(rest, upstream):
    return oauth_connection(rest, upstream)


def status(scalekit, connection, identifier):
    return scalekit.actions.get_connected_account_details(connection["key_id"], identifier).connected_account.status


def test_an_account_becomes_active_only_after_the_app_verified_its_user(
    scalekit, page, app, connection, upstream, identifier
):
    """AK-308, AK-321, AK-322, part of AK-309, part of AK-216"""
    since = len(upstream.journal())
    link = link_for(scalekit, connection["key_id"], identifier, app)
    assert status(scalekit, connection, identifier) == "PENDING_AUTH"

    consent(page, link)
    page.wait_for_url(f"{app.verify_url}**")
    visit = app.visit()
    assert visit["state"] == "s-123"
    assert status(scalekit, connection, identifier) == "PENDING_VERIFICATION"

    with pytest.raises(ScalekitForbiddenException):
        scalekit.actions.verify_connected_account_user(visit["auth_request_id"], "somebody-else")
    assert status(scalekit, connection, identifier) == "PENDING_VERIFICATION"
    verified = scalekit.actions.verify_connected_account_user(visit["auth_request_id"], identifier)
    assert verified.post_user_verify_redirect_url
    assert status(scalekit, connection, identifier) == "ACTIVE"
    with pytest.raises(ScalekitNotFoundException):
        scalekit.actions.verify_connected_account_user(visit["auth_request_id"], identifier)
    page.goto(verified.post_user_verify_redirect_url)
    assert page.get_by_role("heading").first.is_visible()

    asked = upstream.journal("authorization", since=since)[-1]
    assert asked["code_challenge_method"] == "S256"
    assert asked["redirect_uri"] == connection["redirect_uri"]
    issued = upstream.journal("token_issued", since=since)[-1]
    stored = scalekit.actions.get_connected_account(connection["key_id"], identifier).connected_account
    assert stored.authorization_details["oauth_token"]["access_token"] == issued["access_token"]
    assert set(stored.authorization_details["oauth_token"]["scopes"]) == set(issued["scope"].split())


def test_the_connected_account_calls_the_provider_as_its_user(scalekit, page, app, connection, identifier):
    connect(scalekit, page, app, connection["key_id"], identifier, user="grace")

    answer = scalekit.actions.request(connection["key_id"], identifier, "/api/notes?tag=a&tag=b")

    assert answer.status_code == 200, answer.text
    assert (answer.json()["sub"], answer.json()["query"]) == ("grace", "?tag=a&tag=b")


def test_a_used_link_does_not_work_again(scalekit, page, app, connection, identifier, browser):
    link = link_for(scalekit, connection["key_id"], identifier, app)
    older = link_for(scalekit, connection["key_id"], identifier, app)
    consent(page, link)
    page.wait_for_url(f"{app.verify_url}**")
    scalekit.actions.verify_connected_account_user(app.visit()["auth_request_id"], identifier)

    for spent in (link, older):  # AK-301
        context = browser.new_context()
        other = context.new_page()
        answer = other.goto(spent)
        assert answer.status in (400, 404, 410), f"{answer.status} {other.url}"
        context.close()


def test_opening_a_link_does_not_spend_it(scalekit, rest, page, app, connection, identifier):
    """AK-301"""
    link = link_for(scalekit, connection["key_id"], identifier, app)
    for _ in range(2):  # what a mail scanner does
        assert rest.session.get(link, allow_redirects=False, timeout=10).status_code == 302

    consent(page, link)
    page.wait_for_url(f"{app.verify_url}**")
    scalekit.actions.verify_connected_account_user(app.visit()["auth_request_id"], identifier)
    assert status(scalekit, connection, identifier) == "ACTIVE"


def test_a_refusal_at_the_provider_leaves_the_account_pending(scalekit, page, app, connection, identifier):
    """AK-310"""
    sign_in(page, link_for(scalekit, connection["key_id"], identifier, app), "ada")
    page.get_by_role("button", name="Deny").click()

    page.wait_for_url("**/callback?**")
    assert "The user said no" not in page.content()  # a provider's text is not ours to show
    assert status(scalekit, connection, identifier) == "PENDING_AUTH"
    assert page.get_by_text("Reference:").is_visible()
    # AK-310: the same link again, until the account is connected.
    page.get_by_role("link", name="Try again").click()
    page.get_by_role("button", name="Allow").click()
    page.wait_for_url(f"{app.verify_url}**")
    scalekit.actions.verify_connected_account_user(app.visit()["auth_request_id"], identifier)
    assert status(scalekit, connection, identifier) == "ACTIVE"


def test_a_callback_in_another_browser_is_refused(
    scalekit, server, page, app, browser, connection, identifier, upstream
):
    """The attacker sends the victim a callback URL of his own flow; the victim's browser lacks the flow's cookie."""
    since = len(upstream.journal())
    sign_in(page, link_for(scalekit, connection["key_id"], identifier, app), "mallory")
    page.get_by_role("button", name="Allow").wait_for()
    http = page.context.request  # with the page's cookies
    answer = http.post(page.url, form={"choice": "allow"}, max_redirects=0)
    while not (callback := answer.headers["location"]).startswith(server.url):
        answer = http.get(callback, max_redirects=0)

    context = browser.new_context()
    answer = context.new_page().goto(callback)
    context.close()

    assert answer.status in (400, 403), answer.status
    assert status(scalekit, connection, identifier) == "PENDING_AUTH"
    assert not upstream.journal("token_issued", since=since)


def test_pages_of_the_flow_are_not_cached_framed_or_referred(rest, scalekit, app, connection, identifier):
    answer = rest.session.get(link_for(scalekit, connection["key_id"], identifier, app), allow_redirects=False, timeout=10)

    assert "no-store" in answer.headers["cache-control"]
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in answer.headers.get("content-security-policy", "") or answer.headers["x-frame-options"] == "DENY"
    cookie = answer.headers["set-cookie"]
    for part in ("__Host-", "Secure", "HttpOnly", "SameSite=Lax", "Path=/"):
        assert part in cookie, cookie
