"""Tokens of API clients, the keys that verify them and the documents that say where both are."""

import base64

import pytest

from harness import dashboard


def test_a_token_is_kept_by_nobody(rest):
    """MC-151, LG-074"""
    answer = rest.token()

    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers["cache-control"] == "no-store" and answer.headers["pragma"] == "no-cache"
    assert answer.json()["token_type"] == "Bearer"


def test_scopes_of_the_samples_are_tolerated(rest):
    """MC-280"""
    answer = rest.token(scope="openid profile email")

    assert answer.status_code == 200 and answer.json()["expires_in"] == 86_400


def test_a_client_may_use_basic_in_both_readings(rest):
    """part of LG-061"""
    env = rest.server.env
    pair = f"{env['SCALEKIT_CLIENT_ID']}:{env['SCALEKIT_CLIENT_SECRET']}"
    headers = {"authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
    form = {"grant_type": "client_credentials"}

    answer = rest.session.post(f"{rest.server.url}/oauth/token", data=form, headers=headers, timeout=20)

    assert answer.status_code == 200, answer.text


def test_keys_are_public_and_have_a_validator(rest):
    """LG-004, MC-310, MC-314"""
    url = f"{rest.server.url}/keys"

    answer = rest.session.get(url, timeout=10)

    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cache-control"] == "public, max-age=300"
    keys = answer.json()["keys"]
    assert len(keys) >= 2, "the next key is published before it signs"
    for key in keys:
        assert (key["use"], key["kty"], key["alg"], key["e"]) == ("sig", "RSA", "RS256", "AQAB")
        assert key["kid"].startswith("snk_") and set(key) == {"use", "kty", "alg", "kid", "n", "e"}
    again = rest.session.get(url, headers={"if-none-match": answer.headers["etag"]}, timeout=10)
    assert again.status_code == 304 and not again.content


def test_discovery_names_this_server(rest):
    """Part of LG-001, part of LG-005, part of LG-009, MC-040"""
    documents = [
        rest.session.get(f"{rest.server.url}/.well-known/{name}", timeout=10)
        for name in ("openid-configuration", "oauth-authorization-server")
    ]

    assert documents[0].json() == documents[1].json()
    document = documents[0].json()
    assert document["issuer"] == rest.server.url
    assert document["token_endpoint"] == f"{rest.server.url}/oauth/token"
    assert document["jwks_uri"] == f"{rest.server.url}/keys"
    assert "registration_endpoint" not in document
    assert documents[0].headers["cache-control"].startswith("public")


@pytest.mark.parametrize(("environment", "prefix"), [("Development", "test_"), ("Production", "live_")])
def test_a_secret_says_what_kind_of_environment_it_opens(server, environment, prefix):
    """MC-283"""
    session = dashboard.sign_in(server)
    anywhere = dashboard.Member(server, session, server.url.split("//")[1])
    domains = {row["display_name"]: row["domain"] for row in anywhere.ok("GET", "/environments")["environments"]}
    member = dashboard.Member(server, session, domains[environment])
    client = member.ok("POST", "/clients", {"name": "Prefix", "client_type": "WEB_APP"})["client"]

    made = member.ok("POST", f"/clients/{client['id']}/secrets")

    assert made["plain_secret"].startswith(prefix), made["plain_secret"][:6]
