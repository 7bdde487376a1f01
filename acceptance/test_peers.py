"""The outside software itself: a test that connects to it proves something only if it refuses strangers."""

import requests


def test_radicale_wants_the_password(radicale):
    url = f"{radicale.url}/{radicale.user}/"
    assert requests.request("PROPFIND", url, timeout=10).status_code == 401
    assert requests.request("PROPFIND", url, auth=(radicale.user, "wrong"), timeout=10).status_code == 401
    assert requests.request("PROPFIND", url, auth=(radicale.user, radicale.password), timeout=10).status_code == 207


def test_powerdns_wants_the_api_key(powerdns):
    url = f"{powerdns.url}/api/v1/servers/localhost"
    assert requests.get(url, timeout=10).status_code == 401
    assert requests.get(url, headers={"x-api-key": powerdns.api_key}, timeout=10).json()["id"] == "localhost"


def test_the_registry_wants_a_signed_token(registry):
    url = f"{registry.url}/v2/_catalog"
    refused = requests.get(url, timeout=10)
    assert refused.status_code == 401 and refused.headers["www-authenticate"].startswith("Bearer ")
    assert requests.get(url, headers={"authorization": "Bearer nonsense"}, timeout=10).status_code == 401
    answer = requests.get(url, headers={"authorization": f"Bearer {registry.token()}"}, timeout=10)
    assert answer.json() == {"repositories": []}


def test_the_upstream_provider_wants_a_token_and_pkce(upstream):
    assert requests.get(f"{upstream.url}/api/notes", timeout=10).status_code == 401
    client = upstream.register("https://localhost:1/callback")
    query = {"client_id": client["client_id"], "response_type": "code", "redirect_uri": "https://localhost:1/callback"}
    answer = requests.get(f"{upstream.url}/auth", params={**query, "scope": "openid"}, timeout=10, allow_redirects=False)
    assert "error=invalid_request" in answer.headers["location"]


def test_the_upstream_provider_rotates_refresh_tokens_and_revokes_on_reuse(upstream):
    since = len(upstream.journal())
    client = upstream.register("https://localhost:1/callback")
    first = upstream.authorize(client, "https://localhost:1/callback")
    token = lambda **form: upstream.token(client, **form)
    second = token(grant_type="refresh_token", refresh_token=first["refresh_token"]).json()
    assert second["refresh_token"] != first["refresh_token"]
    api = lambda: requests.get(f"{upstream.url}/api/notes", headers={"authorization": f"Bearer {second['access_token']}"}, timeout=10)
    assert api().json()["sub"] == "ada"

    assert token(grant_type="refresh_token", refresh_token=first["refresh_token"]).json()["error"] == "invalid_grant"
    assert api().status_code == 401, "reuse ends the whole family"
    events = [row["event"] for row in upstream.journal(since=since)]
    assert events.count("token_issued") == 2
    assert events.count("refresh_token_reuse") == 1 and "grant_revoked" in events


def test_httpbin_tells_what_arrived(httpbin):
    assert requests.get(f"{httpbin.url}/headers", headers={"x-probe": "1"}, timeout=10).json()["headers"]["X-Probe"] == "1"
