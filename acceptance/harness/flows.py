"""What users do in the browser to connect an account."""

from __future__ import annotations


def link_for(scalekit, connection_name: str, identifier: str, app, state: str = "s-123") -> str:
    """A link whose flow ends at the app's verification page."""
    answer = scalekit.actions.get_authorization_link(
        identifier, connection_name, state=state, user_verify_url=app.verify_url
    )
    return answer.link


def sign_in(page, link: str, user: str) -> None:
    """Opens the link and signs in at the provider, up to its consent page."""
    page.goto(link)
    page.get_by_label("User").fill(user)
    page.get_by_role("button", name="Sign in").click()


def consent(page, link: str, user: str = "ada") -> None:
    sign_in(page, link, user)
    page.get_by_role("button", name="Allow").click()


def connect(scalekit, page, app, connection_name: str, identifier: str, user: str = "ada") -> None:
    """The whole flow, to an active account."""
    consent(page, link_for(scalekit, connection_name, identifier, app), user)
    page.wait_for_url(f"{app.verify_url}**")
    scalekit.actions.verify_connected_account_user(app.visit()["auth_request_id"], identifier)
