"""Every page in a real browser: accessible, readable in both colour schemes and on a phone, locked down by its headers."""

import re
from urllib.parse import urlsplit

import pytest

from harness.catalogue import BASIC, BEARER, api_key, create_connection, create_provider, enable, field, static_connection
from harness.dashboard import sign_in_page
from harness.eyes import complaints, policy_complaints
from harness.rest import Rest

MANY_FIELDS = {
    "type": "API_KEY",
    "display_name": "Keys",
    "fields": [
        field("domain", "Address", is_path_param=True, hint="The part before the first dot"),
        field("api_key", "API key", secret=True, header_name="X-Api-Key"),
        field("app_key", "Application key", secret=True, header_name="X-App-Key"),
        {
            **field("site", "Site"),
            "input_type": "select",
            "options": [{"value": "us", "display_name": "United States", "default": True}, {"value": "eu", "display_name": "Europe"}],
        },
        {**field("key_file", "Key file", required=False), "input_type": "textarea"},
    ],
}


@pytest.fixture(scope="module")
def one_server(servers):
    """Pages do not depend on the storage engine."""
    return next(iter(servers.values()))


@pytest.fixture(scope="module")
def one_rest(one_server):
    return Rest(one_server)


def link(rest: Rest, connection: str, identifier: str) -> str:
    return rest.ok("POST", "/connected_accounts/magic_link", {"connector": connection, "identifier": identifier})["link"]


def kind_of(url: str) -> str:
    """The page an address belongs to: one of many connections stands for all."""
    parts = urlsplit(url)
    path = re.sub(r"/(env|conn|ca|skc|sec)_\w+", r"/\1", parts.path)
    path = re.sub(r"/connectors/[A-Z][^/]*", lambda name: "/connectors/" + ("own" if ":" in name.group() else "built-in"), path)
    names = sorted(pair.split("=")[0] + ("=" + pair.split("=")[1] if pair.startswith("auth=") else "") for pair in parts.query.split("&") if pair)
    return f"{path}?{'&'.join(names)}"


@pytest.mark.timeout(600)
def test_every_page_of_the_dashboard_is_accessible_and_fits_a_phone(one_server, one_rest, page, identifier):
    """Part of DB-111: follows every link from the first page on, and looks at one page of each kind."""
    static_connection(one_rest, "Shelf", BASIC, "https://shelf.example.com")
    provider = create_provider(one_rest, "Drawer", api_key("X-Key"), "https://{{domain}}.example.com")
    connection = create_connection(one_rest, provider, "API_KEY")
    enable(one_rest, connection)
    page.goto(link(one_rest, connection["key_id"], identifier))
    link(one_rest, connection["key_id"], f"{identifier}-2")
    one_rest.ok("POST", "/connections", {"provider_key": "GITHUB", "type": "OAUTH", "provider": "CUSTOM", "key_id": f"gh-{identifier}"})

    sign_in_page(one_server, page)
    seen, waiting, wrong = set(), [page.url], []
    while waiting:
        url = waiting.pop(0)
        if kind_of(url) in seen:
            continue
        seen.add(kind_of(url))
        answer = page.goto(url)
        assert answer.ok, f"{url}: {answer.status}"
        wrong += [f"{url} {text}" for text in policy_complaints(answer) + complaints(page)]
        links = page.eval_on_selector_all("a[href]", "links => links.map(link => link.href)")
        waiting += [link for link in links if link.startswith(f"{one_server.url}/dashboard")]
    assert not wrong, "\n".join(wrong)
    for kind in ("/dashboard/env/connections/conn?", "/dashboard/env/accounts/ca/delete?", "/dashboard/env/connectors/own/edit?"):
        assert kind in seen, sorted(seen)
    assert len(seen) > 30, sorted(seen)


def test_sign_in_is_accessible_and_says_what_is_wrong(one_server, page):
    page.goto(f"{one_server.url}/dashboard/sign-in")
    assert not complaints(page)
    page.get_by_label("E-mail").fill("nobody@example.com")
    page.get_by_role("button", name="Send code").click()
    page.get_by_label("Code").fill("000000")
    assert not complaints(page)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("alert").wait_for()
    assert "wrong or has expired" in page.get_by_role("alert").inner_text()
    assert not complaints(page)


@pytest.mark.parametrize("pattern", [BASIC, BEARER, api_key("X-Key"), MANY_FIELDS], ids=["basic", "bearer", "key", "many"])
def test_each_credential_form_is_accessible_empty_wrong_and_reopened(one_rest, page, identifier, pattern):
    """AK-305, part of AK-304: every kind of input, what is missing beside its field, and which fields are stored."""
    host = "https://{{domain}}.example.com" if pattern is MANY_FIELDS else "https://api.example.com"
    name = static_connection(one_rest, "Form", pattern, host)
    assert not policy_complaints(page.goto(link(one_rest, name, identifier)))
    assert not complaints(page)

    page.locator("form button[type=submit]").click()
    assert "This is required." in page.get_by_role("alert").inner_text()
    assert not complaints(page)

    secrets = [spec["label"] for spec in pattern["fields"] if spec["input_type"] == "password"]
    for spec in pattern["fields"]:
        if spec["input_type"] in ("text", "password") and spec["required"]:
            page.locator(f"[id='f-field-{spec['field_name']}']").fill("canary-acme")
    page.locator("form button[type=submit]").click()
    page.wait_for_url("**/connect/success")
    assert page.get_by_role("heading", name="Account connected").is_visible()
    assert not complaints(page)

    page.goto(link(one_rest, name, identifier))
    assert page.get_by_text("Stored.").count() >= len(secrets)
    for spec in pattern["fields"]:
        if spec["input_type"] == "password":
            assert page.locator(f"[id='f-field-{spec['field_name']}']").input_value() == ""
    assert not complaints(page)


def test_a_connection_is_made_with_the_keyboard_alone(one_server, page, identifier):
    """Part of DB-111: from the first link, which skips the navigation, to a connection that exists."""
    sign_in_page(one_server, page)
    page.goto(f"{page.url}/connections/new?connector=GITHUB")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    seen = []
    while page.evaluate("document.activeElement.name") != "key_id":
        seen.append(page.evaluate("document.activeElement.outerHTML"))
        assert len(seen) < 10, seen
        page.keyboard.press("Tab")
    page.keyboard.type(f"keys-{identifier}")
    page.keyboard.press("Enter")
    page.wait_for_url("**/connections/conn_*")
    assert page.get_by_role("heading", name=f"keys-{identifier}").is_visible()


def test_what_a_form_shows_can_be_switched_off_and_cleared(one_server, one_rest, page):
    """AK-019, part of AK-105: through the real pipeline, where a protobuf message cannot tell "off" from "left out"."""
    provider = create_provider(one_rest, "Switch", api_key("X-Key"), "https://switch.example.com")
    sign_in_page(one_server, page)
    base = page.url
    page.goto(f"{base}/connectors/{provider['identifier']}/edit")
    page.get_by_label("Allow direct calls").uncheck()
    page.get_by_label("Description").fill("")
    page.get_by_role("button", name="Save").click()
    page.wait_for_url("**?done=saved")
    assert page.get_by_text("Changes saved").is_visible()
    stored = one_rest.ok("GET", f"/providers?identifier={provider['identifier']}&filter.provider_type=ALL")["providers"][0]
    assert not stored.get("proxy_enabled") and not stored.get("description"), stored

    connection = one_rest.ok("POST", "/connections", {"provider_key": "GITHUB", "type": "OAUTH", "provider": "CUSTOM"})["connection"]
    one_rest.ok("PATCH", f"/connections/{connection['id']}", {"type": "OAUTH", "provider_key": "GITHUB", "oauth_config": {"scopes": ["repo", "gist"]}})
    page.goto(f"{base}/connections/{connection['id']}")
    scopes = page.get_by_label("Permissions", exact=True)
    assert scopes.input_value() == "repo\ngist"
    scopes.fill("")
    page.get_by_role("button", name="Save").click()
    page.wait_for_url("**?done=saved")
    stored = one_rest.ok("GET", f"/connections/{connection['id']}")["connection"]
    assert not stored["oauth_config"].get("scopes"), stored
