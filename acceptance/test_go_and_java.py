"""Callers in Go and Java, which have no client library with connected accounts: stubs generated from `proto/` and plain
REST against the real binary, over TLS that is verified."""

import json
import re
import secrets
import time

import pytest

from harness import catalogue, stubs
from harness.catalogue import BEARER, unique

# The first test of a caller builds it; with cold caches that takes minutes.
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="session", params=[stubs.Go, stubs.Java], ids=lambda kind: kind.name)
def caller(request):
    caller = request.param()
    if reason := caller.missing():
        pytest.skip(reason)
    caller.prepare()
    return caller


@pytest.fixture(scope="module")
def env(caller, server, tmp_path_factory):
    """The settings of dev.env, and trust in the server's authority."""
    return caller.trusting(server, tmp_path_factory.mktemp("trust"))


@pytest.fixture(scope="module")
def run(caller, env):
    """A function that runs a scenario and returns {"ok": …, "sign_ins": n} or {"error": …}."""
    with caller.start(env) as program:
        yield program.run


def test_organizations_are_managed(run):
    """AK-807: generated stubs suffice."""
    name, external_id = unique("Acme"), secrets.token_hex(8)

    done = run("organizations", name=name, external_id=external_id)

    ok = done["ok"]
    assert done["sign_ins"] == 1
    assert ok["by_external_id"] == ok["made"][0] and ok["metadata"] == {"plan": "gold"}
    assert len(set(ok["made"])) == 3 and set(ok["made"]) <= set(ok["listed"])
    assert ok["pages"] >= 2 and len(ok["listed"]) == len(set(ok["listed"]))
    assert ok["searched"] == ok["made"][:1] and ok["name"] == f"{name} Ltd"
    gone = run("get_organization", id=ok["made"][0])["error"]
    assert (gone["code"], gone["error_code"]) == ("NOT_FOUND", "NOT_FOUND"), gone


def test_accounts_work_from_link_to_proxied_call(run, rest, server, httpbin, identifier):
    """AK-807: generated stubs for accounts, REST for the calls of providers."""
    provider = catalogue.create_provider(rest, "Bin", BEARER, httpbin.url)
    connection = f"bin-{secrets.token_hex(6)}"
    user = {"connection": connection, "identifier": identifier}

    ok = run("account", **user, provider=provider["identifier"], credential="t0ken")["ok"]

    assert ok["enabled"] and ok["connections"] == [connection]
    assert (ok["created"], ok["updated"]) == ("PENDING_AUTH", "ACTIVE")
    assert ok["link"].startswith(f"{server.url}/oauth/connect?token=") and ok["expires"] > time.time()
    assert ok["stored"] == {"token": "t0ken"}
    answer, seen = ok["answer"], ok["answer"]["body"]
    assert (answer["status"], answer["source"]) == (200, "upstream")
    assert seen["method"] == "POST" and seen["json"] == {"n": 1}
    assert seen["url"].endswith("/anything/a%20b?n=1&n=2")
    assert seen["headers"]["Authorization"] == "Bearer t0ken"
    assert identifier not in str(seen) and "acceptance-" not in str(seen)

    gone = run("get_account", **user)["error"]
    assert (gone["code"], gone["error_code"]) == ("NOT_FOUND", "CONNECTED_ACCOUNT_NOT_FOUND"), gone
    refused = run("proxy", **user)["ok"]
    assert (refused["status"], refused["source"]) == (404, "platform")
    assert refused["body"]["details"][0]["error_code"] == "CONNECTED_ACCOUNT_NOT_FOUND"


def test_errors_say_what_is_wrong_and_where(run):
    """AK-807: the packed details decode with the generated stub."""
    bad = run("create_organization", name="")["error"]
    assert (bad["code"], bad["error_code"]) == ("INVALID_ARGUMENT", "INVALID_ARGUMENT"), bad
    assert [field.rsplit(".", 1)[-1] for field in bad["fields"]] == ["display_name"] and bad["request_id"]

    external_id = secrets.token_hex(8)
    assert run("create_organization", name=unique("One"), external_id=external_id)["ok"]
    twice = run("create_organization", name=unique("Two"), external_id=external_id)["error"]
    # DR-002: a taken external id is bad input, not a conflict.
    assert twice["code"] == "INVALID_ARGUMENT" and "already exists" in twice["message"], twice


def test_a_client_with_a_dead_token_signs_in_again(run):
    """The dead token rides along to the token endpoint, which must not mind."""
    done = run("create_organization", name=unique("Late"), old_token="eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln")

    assert done["ok"] and done["sign_ins"] == 1


def test_wrong_client_secrets_are_refused(caller, env):
    with caller.start({**env, "SCALEKIT_CLIENT_SECRET": "wrong"}) as program:
        error = program.run("create_organization", name=unique("No"))["error"]

    assert (error["status"], error["error_code"]) == (401, "invalid_client"), error


def test_a_server_that_is_not_trusted_learns_nothing(caller, env, tmp_path):
    """The tests above verify certificates: without the local authority the same programs refuse to talk."""
    with caller.start({**env, **caller.distrusting(tmp_path)}) as program:
        error = program.run("create_organization", name=unique("No"))["error"]

    assert re.search("certificate|PKIX", error["message"]) and error["code"] == "UNAVAILABLE", error


@pytest.fixture
def sandbox(rest):
    """The connection of the README, of bearer tokens: nobody has to click through a consent."""
    made = rest.ok("POST", "/connections", {"provider_key": "SANDBOX", "type": "BEARER", "key_id": "sandbox"})["connection"]
    catalogue.enable(rest, made)
    yield made["key_id"]
    rest.ok("POST", "/connected_accounts:delete", {"connector": made["key_id"], "identifier": "user-1"})
    rest.ok("DELETE", f"/connections/{made['id']}")


def test_the_guides_first_call_works(caller, env, rest, server, sandbox):
    """AK-807: the documented snippets, as they stand in the guide."""
    with caller.start(env, first_call=True) as program:
        line = program.process.stdout.readline()
        assert line.startswith(f"Open: {server.url}/oauth/connect?token="), line
        # What the user does with the link.
        details = {"authorization_details": {"static_auth": {"details": {"token": "sandbox-token"}}}}
        rest.ok("PUT", "/connected_accounts", {"connector": sandbox, "identifier": "user-1", "connected_account": details})
        out, _ = program.process.communicate("\n", timeout=60)

    assert program.process.returncode == 0
    assert json.loads(out)["principal"] == {"kind": "bearer", "subject": "sandbox", "scope": ""}


def test_the_guide_names_the_versions_that_are_tested():
    pinned = dict(re.findall(r"^\s+(\S+/\S+) v(\S+)$", (stubs.ACCEPTANCE / "go" / "go.mod").read_text(), re.MULTILINE))
    named = re.findall(r"((?:google.golang.org/protobuf|connectrpc.com/connect)\S*)@v([\d.]+)", stubs.GUIDE.read_text())

    assert len(named) == 4
    for path, version in named:
        assert version == next(pin for module, pin in pinned.items() if path.startswith(module)), path
