"""Connectors of the developer over REST: what is sent comes back, what is wrong is refused with its place."""

import pytest

from harness import catalogue
from harness.catalogue import BEARER, unique

FIELD = {
    "field_name": "region",
    "label": "Region",
    "input_type": "select",
    "hint": "Where your data is",
    "required": True,
    "is_path_param": True,
    "options": [
        {"value": "eu", "display_name": "Europe", "description": "Frankfurt", "default": True, "later": 1},
        {"value": "us", "display_name": "America", "description": "Ohio", "default": False},
    ],
    "header_name": "X-Region",
    "later": {"deep": [1, None]},
}
STATIC = {
    "type": "API_KEY",
    "display_name": "Key & region",
    "description": "A key and the region it is for",
    "fields": [FIELD, {**catalogue.field("note", "Note"), "input_type": "a kind of tomorrow"}],
    "account_fields": [catalogue.field("domain", "Domain")],
    "auth_header_key_override": "X-Key",
    "auth_field_mutations": {"api_key": {"prefix": "Key ", "suffix": "!", "default": "none", "later": 3}},
    "allowed_proxy_domains": ["*.desk.example.test"],
    "later": "kept",
}
OAUTH = {
    "type": "OAUTH",
    "display_name": "OAuth 2.1/DCR",
    "description": "",
    "fields": [],
    "is_mcp": True,
    "oauth_config": {
        "authorize_uri": "https://desk.example.test/authorize",
        "token_uri": "https://desk.example.test/token",
        "user_info_uri": "https://desk.example.test/me",
        "pkce_enabled": True,
        "available_scopes": [
            {"scope": "read", "display_name": "Read", "description": "Reads", "required": True, "later": 2},
        ],
        "custom_scope_name": "user_scope",
        "allow_use_scalekit_credentials": False,
        "later": [{}],
    },
}


def connector(**changes) -> dict:
    body = {
        "display_name": unique("Desk"),
        "description": "Tickets",
        "auth_patterns": [STATIC, OAUTH],
        "proxy_url": "https://{{domain}}/api/{{version}}",
        "proxy_enabled": True,
        "icon_src": "https://desk.example.test/icon.svg",
        "metadata": {"team": "core"},
        **changes,
    }
    return {name: value for name, value in body.items() if value is not None}


def assert_holds(shown, sent, place=""):
    """Everything that was sent is there; the server may add keys of its own."""
    if isinstance(sent, dict):
        for name, value in sent.items():
            assert name in shown, f"{place}.{name} is gone"
            assert_holds(shown[name], value, f"{place}.{name}")
    elif isinstance(sent, list):
        assert len(shown) == len(sent), place
        for number, value in enumerate(sent):
            assert_holds(shown[number], value, f"{place}[{number}]")
    else:
        assert shown == sent, place


def test_a_connector_comes_back_with_everything_that_was_sent(rest):
    """AK-006, AK-007, AK-008, AK-009: top level, patterns, fields, options and OAuth settings, with unknown keys."""
    sent = connector()

    made = rest.ok("POST", "/custom-providers", sent)["provider"]

    assert_holds(made, sent)
    assert made["is_custom"] and made["is_custom_mcp"]
    listed = rest.ok("GET", "/providers", params={"filter.provider_type": "CUSTOM", "page_size": 1000})["providers"]
    assert_holds([row for row in listed if row["identifier"] == made["identifier"]], [sent])


def test_an_oauth_pattern_always_has_settings(rest):
    """AK-009: also when none were sent."""
    pattern = {"type": "OAUTH", "display_name": "OAuth", "fields": []}

    made = rest.ok("POST", "/custom-providers", connector(auth_patterns=[pattern]))["provider"]

    assert made["auth_patterns"][0]["oauth_config"] is not None and made["auth_patterns"][0]["fields"] == []


@pytest.mark.parametrize("is_mcp", [True, False])
def test_nobody_is_asked_when_a_connector_is_made(rest, httpbin, is_mcp):
    """AK-018: the address answers nobody, and the connector is there at once."""
    patterns = [{**BEARER, "is_mcp": is_mcp}]

    made = rest.ok("POST", "/custom-providers", connector(auth_patterns=patterns, proxy_url="https://server.example.com/mcp"))

    assert made["provider"]["is_custom"]
    assert made["provider"].get("is_custom_mcp", False) == is_mcp


def test_connectors_are_found_by_identifier(scalekit, rest):
    """AK-015"""
    from scalekit.actions.types import ListProvidersRequest

    made = rest.ok("POST", "/custom-providers", connector())["provider"]["identifier"]
    found = lambda **filters: [
        row.identifier for row in scalekit.actions.providers.list_providers(ListProvidersRequest(**filters)).providers
    ]

    assert found(identifier=made, provider_type=2) == [made]
    assert found(identifier="GMAIL") == ["GMAIL"]
    assert found(identifier=made) == []
    page = rest.ok("GET", "/providers", params={"filter.provider_type": "ALL", "page_size": 5})
    assert len(page["providers"]) == 5 and page["total_size"] > 84
    after = rest.ok("GET", "/providers", params={"filter.provider_type": "ALL", "page_size": 5, "page_token": page["next_page_token"]})
    back = rest.ok("GET", "/providers", params={"filter.provider_type": "ALL", "page_size": 5, "page_token": after["prev_page_token"]})
    assert back["providers"] == page["providers"]
    assert rest.call("GET", "/providers", params={"filter.provider_type": 7}).status_code == 400


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"display_name": ""}, "display_name"),
        ({"display_name": "x" * 201}, "display_name"),
        ({"display_name": "A/B"}, "display_name"),
        ({"display_name": "   "}, "display_name"),
        ({"proxy_url": None}, "proxy_url"),
        ({"proxy_url": "http://desk.example.test"}, "proxy_url"),
        ({"proxy_url": "https://desk.example.test/" + "x" * 2048}, "proxy_url"),
        ({"icon_src": "http://desk.example.test/icon.svg"}, "icon_src"),
        ({"icon_src": "https://desk.example.test/" + "x" * 2048}, "icon_src"),
        ({"auth_patterns": None}, "auth_patterns"),
        ({"metadata": {f"key{number}": "x" for number in range(21)}}, "metadata"),
        ({"metadata": {"ab": "x"}}, "metadata"),
        ({"metadata": {"k" * 26: "x"}}, "metadata"),
        ({"metadata": {"key": ""}}, "metadata"),
        ({"metadata": {"key": "x" * 257}}, "metadata"),
    ],
)
def test_bad_connectors_are_refused_with_the_field(rest, changes, field):
    """AK-016"""
    answer = rest.call("POST", "/custom-providers", connector(**changes))

    assert answer.status_code == 400, answer.text
    violations = answer.json()["details"][0]["validation_error_info"]["field_violations"]
    assert field in violations[0]["field"], violations


def test_the_widest_connector_is_taken(rest):
    """AK-016: the limits themselves are allowed."""
    name = (unique("Desk") + " ").ljust(200, "x")
    metadata = {f"key{number}".ljust(25, "k"): "x" * 256 for number in range(20)}

    made = rest.ok("POST", "/custom-providers", connector(display_name=name, metadata=metadata, icon_src=""))["provider"]

    assert made["display_name"] == name and made["metadata"] == metadata
