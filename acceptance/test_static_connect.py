"""Users type static credentials into the hosted form in a real browser; the providers are real services."""

import re

import pytest

from harness.catalogue import BASIC, BEARER, api_key, static_connection


def entry(page, label):
    """The input with this label. Beside a password there is a second one, which shows what is typed."""
    return page.get_by_label(re.compile(f"^{label}(?!, visible)"))


def submit(page, link, **inputs):
    """Fills the hosted form by its labels and sends it."""
    page.goto(link)
    for label, value in inputs.items():
        entry(page, label.replace("_", " ")).fill(value)
    page.locator("form button[type=submit]").first.click()


def link_for(scalekit, name, identifier):
    return scalekit.actions.get_authorization_link(identifier, name).link


def is_active(scalekit, name, identifier):
    account = scalekit.actions.get_connected_account_details(name, identifier).connected_account
    return account.status == "ACTIVE"


def test_a_basic_account_reads_a_calendar(scalekit, rest, page, radicale, identifier):
    """AK-305, AK-313, part of AK-304"""
    name = static_connection(rest, "Calendar", BASIC, radicale.url)
    link = link_for(scalekit, name, identifier)
    page.goto(link)
    assert entry(page, "Password").get_attribute("type") == "password"
    submit(page, link, User_name=radicale.user, Password=radicale.password)

    page.wait_for_load_state()
    assert radicale.password not in page.content()
    assert is_active(scalekit, name, identifier)
    answer = scalekit.actions.request(name, identifier, f"/{radicale.user}/", "PROPFIND", headers={"Depth": "0"})
    assert answer.status_code == 207 and "multistatus" in answer.text


def test_an_api_key_account_reads_zones(scalekit, rest, page, powerdns, identifier):
    name = static_connection(rest, "Names", api_key("X-API-Key"), powerdns.url)
    page.goto(link_for(scalekit, name, identifier))
    assert page.get_by_text("Ask your administrator").is_visible()
    submit(page, page.url, API_key=powerdns.api_key)

    page.wait_for_load_state()
    assert is_active(scalekit, name, identifier)
    answer = scalekit.actions.request(name, identifier, "/api/v1/servers/localhost")
    assert answer.json()["daemon_type"] == "authoritative"


def test_a_bearer_account_lists_images(scalekit, rest, page, registry, identifier):
    name = static_connection(rest, "Images", BEARER, registry.url)
    submit(page, link_for(scalekit, name, identifier), Access_token=registry.token())

    page.wait_for_load_state()
    assert is_active(scalekit, name, identifier)
    assert scalekit.actions.request(name, identifier, "/v2/_catalog").json() == {"repositories": []}


def test_a_wrong_credential_is_the_providers_to_refuse(scalekit, rest, page, powerdns, identifier):
    """AK-453"""
    name = static_connection(rest, "Names", api_key("X-API-Key"), powerdns.url)
    submit(page, link_for(scalekit, name, identifier), API_key="wrong")

    page.wait_for_load_state()
    answer = scalekit.actions.request(name, identifier, "/api/v1/servers/localhost")
    assert answer.status_code == 401 and answer.headers["x-scalekit-source"] == "upstream"


def test_a_spent_link_shows_no_form(scalekit, rest, page, powerdns, identifier):
    name = static_connection(rest, "Names", api_key("X-API-Key"), powerdns.url)
    link = link_for(scalekit, name, identifier)
    submit(page, link, API_key=powerdns.api_key)
    page.wait_for_load_state()

    page.context.clear_cookies()
    answer = page.goto(link)

    assert answer.status in (400, 404, 410)
    assert entry(page, "API key").count() == 0


def test_the_form_cannot_be_sent_without_its_token(scalekit, rest, page, powerdns, identifier):
    """A page of another site posts the form; it cannot know the CSRF token."""
    name = static_connection(rest, "Names", api_key("X-API-Key"), powerdns.url)
    link = link_for(scalekit, name, identifier)
    page.goto(link)
    hidden = page.locator("form input[type=hidden]")
    assert hidden.count() >= 1
    for index in range(hidden.count()):
        hidden.nth(index).evaluate("input => { input.value = 'forged' }")
    entry(page, "API key").fill(powerdns.api_key)
    with page.expect_response(lambda response: response.request.method == "POST") as sent:
        page.locator("form button[type=submit]").first.click()

    assert sent.value.status in (400, 403)
    assert not is_active(scalekit, name, identifier)


@pytest.mark.parametrize("missing", ["User name", "Password"])
def test_required_inputs_are_checked_by_the_server(scalekit, rest, page, radicale, identifier, missing):
    """AK-305"""
    name = static_connection(rest, "Calendar", BASIC, radicale.url)
    page.goto(link_for(scalekit, name, identifier))
    page.locator("form").first.evaluate("form => { form.noValidate = true }")
    other = {"User name": "Password", "Password": "User name"}[missing]
    entry(page, other).fill("something")
    page.locator("form button[type=submit]").first.click()
    page.wait_for_load_state()

    assert not is_active(scalekit, name, identifier)
    assert entry(page, missing).is_visible()
    assert "something" not in page.content() or other == "User name"
