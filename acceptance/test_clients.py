"""Applications and their secrets over REST, as a member of the workspace manages them."""

import pytest

from harness import dashboard


@pytest.fixture(scope="module")
def member(server):
    session = dashboard.sign_in(server)
    return dashboard.Member(server, session, server.url.split("//")[1])


def create(member, **fields):
    return member.call("POST", "/clients", {"name": "Shop", **fields})


@pytest.mark.parametrize("kind", ["SPA", "NTV"])
def test_a_public_client_has_pkce_for_good_and_nothing_secret(member, kind):
    """LG-280"""
    made = create(member, client_type=kind, enforce_pkce=False).json()["client"]
    assert made["enforce_pkce"] is True and made["disallow_scalekit_api_access"] is True
    assert not made.get("secrets")

    member.call("PATCH", f"/clients/{made['id']}", {"enforce_pkce": False, "disallow_scalekit_api_access": False})
    after = member.ok("GET", f"/clients/{made['id']}")["client"]
    assert after["enforce_pkce"] is True and after["disallow_scalekit_api_access"] is True
    refused = member.call("POST", f"/clients/{made['id']}/secrets")
    assert refused.status_code == 400, refused.text


def test_a_web_application_decides_about_pkce_and_has_secrets(member):
    """LG-280, LG-282"""
    plain = create(member, client_type="WEB_APP").json()["client"]
    strict = create(member, client_type="WEB_APP", enforce_pkce=True).json()["client"]
    assert (plain.get("enforce_pkce", False), strict["enforce_pkce"]) == (False, True)

    secret = member.ok("POST", f"/clients/{plain['id']}/secrets")
    assert secret["plain_secret"].endswith(secret["secret"]["secret_suffix"])
    shown = member.ok("GET", f"/clients/{plain['id']}")
    assert secret["plain_secret"] not in str(shown)


@pytest.mark.parametrize("name", ["", "x" * 129])
def test_a_client_has_a_name(member, name):
    """LG-280"""
    assert create(member, client_type="WEB_APP", name=name).status_code == 400
    assert create(member, client_type="WEB_APP", name="x" * 128).ok
