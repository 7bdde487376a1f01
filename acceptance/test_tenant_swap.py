"""An id of another environment is as good as no id: the same answer, to the byte, and nothing changes there."""

import re
import secrets

import pytest

from harness import catalogue, dashboard
from harness.catalogue import BEARER, unique

HOME, AWAY = "Development", "Production"


@pytest.fixture(scope="session")
def members(server):
    """The same member in two environments."""
    session = dashboard.sign_in(server)
    anywhere = dashboard.Member(server, session, server.url.split("//")[1])
    rows = anywhere.ok("GET", "/environments")["environments"]
    domains = {row["display_name"]: row["domain"] for row in rows}
    return {name: dashboard.Member(server, session, domains[name]) for name in (HOME, AWAY)}


def make_objects(rest, upstream_url: str) -> dict[str, str]:
    """One object of every kind; returns their names and ids."""
    external_id = secrets.token_hex(8)
    organization = rest.ok("POST", "/organizations", {"display_name": unique("Org"), "external_id": external_id})
    provider = catalogue.create_provider(rest, "Swap", BEARER, upstream_url)
    connection = catalogue.create_connection(rest, provider, "BEARER")
    catalogue.enable(rest, connection)
    identifier = f"user-{secrets.token_hex(6)}"
    key = {"connector": connection["key_id"], "identifier": identifier}
    details = {"authorization_details": {"static_auth": {"details": {"token": "t"}}}}
    account = rest.ok("POST", "/connected_accounts", {**key, "connected_account": details})["connected_account"]
    client = rest.ok("POST", "/clients", {"name": unique("Client"), "client_type": "WEB_APP"})["client"]
    secret = rest.ok("POST", f"/clients/{client['id']}/secrets")
    return {
        "organization": organization["organization"]["id"],
        "external_id": external_id,
        "provider": provider["identifier"],
        "connection": connection["id"],
        "connection_name": connection["key_id"],
        "identifier": identifier,
        "account": account["id"],
        "client": client["id"],
        "secret": secret["secret"]["id"],
    }


@pytest.fixture(scope="session")
def home(members, httpbin):
    return make_objects(members[HOME], httpbin.url)


@pytest.fixture(scope="session")
def away(members, httpbin):
    return make_objects(members[AWAY], httpbin.url)


ACCOUNT = {"connected_account": {}}
# Method, path, body; {x} is the foreign object, {own_x} one of the caller's environment.
SWAPS = [
    ("GET", "/organizations/{organization}", None),
    ("PATCH", "/organizations/{organization}", {"display_name": "Taken"}),
    ("DELETE", "/organizations/{organization}", None),
    ("PATCH", "/organizations/{organization}/settings", {"features": []}),
    ("GET", "/organizations:external/{external_id}", None),
    ("GET", "/connections/{connection}", None),
    ("PATCH", "/connections/{connection}", {"provider": "CUSTOM", "type": "BEARER"}),
    ("DELETE", "/connections/{connection}", None),
    ("PATCH", "/connections/{connection}:enable", None),
    ("PATCH", "/connections/{connection}:disable", None),
    ("GET", "/connections/{connection}/contexts", None),
    ("PUT", "/connections/{connection}/contexts", {}),
    ("POST", "/connections", {"provider_key": "{provider}", "type": "BEARER", "provider": "CUSTOM"}),
    ("PUT", "/custom-providers/{provider}", {"display_name": "Taken", "proxy_url": "https://taken.test", "proxy_enabled": True, "auth_patterns": [BEARER]}),
    ("DELETE", "/custom-providers/{provider}", None),
    ("GET", "/connected_accounts/{account}", None),
    ("POST", "/connected_accounts/{account}:disconnect", {}),
    ("GET", "/connected_accounts/auth?id={account}", None),
    ("GET", "/connected_accounts/details?id={account}", None),
    ("GET", "/connected_accounts/auth?connector={connection_name}&identifier={identifier}", None),
    ("GET", "/connected_accounts/details?connector={own_connection_name}&identifier={identifier}", None),
    ("PUT", "/connected_accounts", {"id": "{account}", **ACCOUNT}),
    ("PUT", "/connected_accounts", {"connector": "{connection_name}", "identifier": "{own_identifier}", **ACCOUNT}),
    ("POST", "/connected_accounts", {"connector": "{connection_name}", "identifier": "x", **ACCOUNT}),
    ("POST", "/connected_accounts:delete", {"id": "{account}"}),
    ("POST", "/connected_accounts:delete", {"connector": "{connection_name}", "identifier": "{identifier}"}),
    ("POST", "/connected_accounts/magic_link", {"id": "{account}"}),
    ("POST", "/connected_accounts/magic_link", {"connector": "{connection_name}", "identifier": "x"}),
    ("GET", "/clients/{client}", None),
    ("PATCH", "/clients/{client}", {"name": "Taken"}),
    ("DELETE", "/clients/{client}", None),
    ("POST", "/clients/{client}/secrets", None),
    ("PATCH", "/clients/{client}/secrets/{secret}", {"status": "INACTIVE"}),
    ("PATCH", "/clients/{own_client}/secrets/{secret}", {"status": "INACTIVE"}),
    ("DELETE", "/clients/{client}/secrets/{secret}", None),
    ("DELETE", "/clients/{own_client}/secrets/{secret}", None),
]


def fill(template, values):
    if isinstance(template, dict):
        return {name: fill(value, values) for name, value in template.items()}
    if isinstance(template, str):
        return re.sub(r"\{(\w+)\}", lambda found: values[found[1]], template)
    return template


def unknown(value: str) -> str:
    """An id of the same form that nobody has."""
    if number := re.fullmatch(r"([a-z]+_)(\d+)", value):
        return f"{number[1]}{int(number[2]) + 977}"
    return value[:-1] + ("a" if value[-1] != "a" else "b")


def answer(rest, swap, values) -> tuple[int, str]:
    """Status and body, with the sent ids and the request's own id blanked out."""
    method, path, body = swap
    got = rest.call(method, fill(path, values), fill(body, values))
    text = re.sub(r"req_[0-9a-f]+", "REQUEST", got.text)
    for name, value in values.items():
        text = text.replace(value, f"<{name.removeprefix('own_')}>")
    return got.status_code, text


@pytest.mark.parametrize("who", ["client", "member"])
@pytest.mark.parametrize("swap", SWAPS, ids=[f"{method} {path}" for method, path, _ in SWAPS])
def test_a_foreign_id_is_an_unknown_id(rest, members, home, away, who, swap):
    caller = rest if who == "client" else members[HOME]
    own = {f"own_{name}": value for name, value in home.items()}

    foreign = answer(caller, swap, {**away, **own})
    nobody = answer(caller, swap, {**{name: unknown(value) for name, value in away.items()}, **own})

    assert foreign == nobody
    # Some methods are for one kind of caller; a provider in a new connection is a field like any other.
    allowed = {404, 403} if who == "client" or ":external" in swap[1] else {404}
    allowed |= {400} if swap[:2] == ("POST", "/connections") else set()
    assert foreign[0] in allowed, foreign


def test_the_swaps_work_at_home(rest, members, home):
    """Otherwise a wrong path would pass for a refusal. The reading ones are enough to show that ids and names fit."""
    values = {**home, **{f"own_{name}": value for name, value in home.items()}}
    for swap in SWAPS:
        if swap[0] == "GET":
            caller = rest if ":external" in swap[1] else members[HOME]
            status, text = answer(caller, swap, values)
            assert status == 200, (swap, status, text)


def test_lists_show_no_foreign_objects(rest, members, home, away):
    for path in ("/organizations", "/connections", "/connected_accounts", "/clients", "/providers"):
        for caller in (rest, members[HOME]):
            listed = caller.call("GET", f"{path}?page_size=30")
            assert listed.status_code in (200, 403), (path, listed.text)
            text = listed.text
            assert not [value for value in away.values() if value in text], path
    for path, params in (
        ("/connected_accounts", {"identifier": away["identifier"]}),
        ("/connected_accounts", {"connector": away["connection_name"]}),
        ("/connected_accounts:search", {"query": away["identifier"]}),
        ("/connections", {"query": away["connection_name"]}),
    ):
        assert not re.search(r'"(conn|ca)_\d+"', members[HOME].call("GET", path, params=params).text), path


def test_the_proxy_reaches_no_foreign_account(rest, away):
    def status(headers):
        return rest.session.get(f"{rest.server.url}/proxy/get", headers={**rest.credentials(), **headers}, timeout=20).status_code

    assert status({"connected_account_id": away["account"]}) == 404
    assert status({"connection_name": away["connection_name"], "identifier": away["identifier"]}) == 404


def test_a_token_of_one_environment_is_nothing_in_another(rest, server, members, away):
    """Nor does naming another environment in a header move an API client there."""
    domain = members[AWAY].credentials()["x-env-domain"]
    refused = rest.call("GET", "/organizations", headers={"host": domain})
    assert refused.status_code == 401, refused.text
    moved = rest.call("GET", f"/organizations/{away['organization']}", headers={"x-env-domain": domain})
    assert moved.status_code in (401, 403, 404), moved.text


def test_nothing_of_the_other_environment_has_changed(members, away):
    """Runs last: everything the swaps tried to change or delete is still there."""
    rest = members[AWAY]
    assert not rest.ok("GET", f"/organizations/{away['organization']}")["organization"]["display_name"].startswith("Taken")
    assert rest.ok("GET", f"/connections/{away['connection']}")["connection"]["enabled"]
    account = rest.ok("GET", f"/connected_accounts/details?id={away['account']}")["connected_account"]
    assert account["status"] == "ACTIVE"
    client = rest.ok("GET", f"/clients/{away['client']}")["client"]
    assert [(row["id"], row["status"]) for row in client["secrets"]] == [(away["secret"], "ACTIVE")]
