"""A member looks after a connected account in the dashboard, in a real browser; the provider is npm oidc-provider."""

import pytest

from harness.catalogue import oauth_connection
from harness.dashboard import sign_in_page
from harness.eyes import complaints
from harness.flows import connect


@pytest.fixture(scope="session")
def connection(rest, upstream):
    return oauth_connection(rest, upstream, word="Desk")


def test_an_account_is_found_refreshed_disconnected_and_deleted(
    server, scalekit, page, app, connection, upstream, identifier
):
    """AK-214, AK-225, part of AK-213 and part of AK-219."""
    connect(scalekit, page, app, connection["key_id"], identifier)
    sign_in_page(server, page)
    accounts = f"{page.url}/accounts"
    page.goto(f"{accounts}?status=ACTIVE&connection={connection['key_id']}&identifier={identifier}")
    assert page.get_by_text("1 account", exact=True).is_visible()
    page.get_by_role("link", name=identifier).click()
    history = page.get_by_role("table", name="History")
    assert history.get_by_text("Permission given").is_visible()
    assert not complaints(page)

    since = len(upstream.journal())
    page.get_by_role("button", name="Refresh now").click()
    page.wait_for_url("**?done=account-refreshed")
    assert history.get_by_text("Token refreshed").count() == 1
    assert len(upstream.journal("token_issued", since=since)) == 1

    page.get_by_role("button", name="Link to authorize again").click()
    assert "/oauth/connect?token=" in page.get_by_role("status").inner_text()

    page.get_by_role("link", name="Disconnect…").click()
    page.get_by_role("link", name="Cancel").click()
    assert page.get_by_text("Active", exact=True).first.is_visible()
    page.get_by_role("link", name="Disconnect…").click()
    page.get_by_role("button", name="Disconnect account").click()
    page.wait_for_url("**?done=account-disconnected")
    assert history.get_by_text("Active → Disconnected").is_visible()
    assert not page.get_by_role("button", name="Refresh now").is_visible()

    page.get_by_role("link", name="Delete…").click()
    page.get_by_role("button", name="Delete account").click()
    page.wait_for_url("**?done=account-deleted")
    page.goto(f"{accounts}?identifier={identifier}")
    assert page.get_by_role("heading", name="No account matches").is_visible()
