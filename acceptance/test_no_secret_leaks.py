"""Secrets are where they belong and nowhere else: not in logs, tables, backups, metrics or errors."""

import base64
import gzip
import os
import secrets
import sqlite3
from urllib.parse import parse_qs, quote, urlsplit

import pytest
import requests

from harness import catalogue, dashboard, leaks, postgres
from harness.catalogue import BASIC, BEARER, api_key
from harness.process import free_port
from harness.rest import Rest
from harness.serve import command


def canary(word: str) -> str:
    """A secret of a kind that looks different in every encoding."""
    return f"{word}/{secrets.token_urlsafe(18)}+{secrets.token_hex(4)}~ !"


class Recorder:
    """Keeps what the platform answered to requests that it refused."""

    def __init__(self):
        self.refusals: list[bytes] = []

    def __call__(self, answer: requests.Response, **_):
        own = answer.headers.get("x-scalekit-source") != "upstream"
        if own and answer.status_code >= 400:
            head = "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
            self.refusals.append(head.encode() + b"\n\n" + answer.content)


class Story:
    """A life with every kind of secret, in which much goes wrong."""

    def __init__(self, server, upstream, httpbin):
        self.server, self.upstream, self.httpbin = server, upstream, httpbin
        self.recorder = Recorder()
        self.rest = Rest(server)
        self.rest.session.hooks["response"].append(self.recorder)
        self.secrets = {"API client secret": server.env["SCALEKIT_CLIENT_SECRET"], "bearer": self.rest.bearer()}
        self.since = len(upstream.journal())

    def secret(self, name: str) -> str:
        name = f"{name} #{len(self.secrets)}"
        self.secrets[name] = canary("k")
        return self.secrets[name]

    def tell(self):
        self.connect_with_tokens()
        self.connect_with_typed_credentials()
        self.fill_the_hosted_form()
        self.send_nonsense()
        session = dashboard.sign_in(self.server)
        self.secrets |= {f"cookie {cookie.name}": cookie.value for cookie in session.cookies if len(cookie.value) > 20}
        for row in self.upstream.journal("token_issued", since=self.since):
            for kind in ("access_token", "refresh_token"):
                if row.get(kind):
                    self.secrets[f"{kind} {len(self.secrets)}"] = row[kind]

    def connect_with_tokens(self):
        connection = catalogue.oauth_connection(self.rest, self.upstream)
        self.secrets["OAuth client secret"] = connection["client"]["client_secret"]
        key = {"connector": connection["key_id"], "identifier": "ada"}
        self.rest.ok("POST", "/connected_accounts", {**key, "connected_account": {}})

        def authorize():
            tokens = self.upstream.authorize(connection["client"], connection["redirect_uri"])
            token = {name: tokens[name] for name in ("access_token", "refresh_token")}
            account = {"authorization_details": {"oauth_token": token}}
            self.rest.ok("PUT", "/connected_accounts", {**key, "connected_account": account})

        def call():
            self.upstream.control(endAccessTokens=True)
            return self.rest.proxy(connection["key_id"], "ada", "/api/notes?api_key=" + quote(self.secret("query")))

        for trouble, repaired in (
            ({}, {}),
            ({"tokenStatus": 500}, {"tokenStatus": 0}),
            ({"tokenEcho": True}, {"tokenEcho": False}),
            ({"revokeAll": True}, {}),
        ):
            authorize()
            self.upstream.control(**trouble)
            status = call().status_code
            assert (status == 200) == (not trouble), (trouble, status)
            self.upstream.control(**repaired)
        details = self.rest.call("GET", "/connected_accounts/details", params=key)
        assert details.json()["connected_account"]["status"] == "EXPIRED"
        self.recorder.refusals.append(details.content)  # may say why it expired, in our words

    def connect_with_typed_credentials(self):
        for pattern, fields in ((BEARER, ["token"]), (BASIC, ["username", "password"]), (api_key("X-Key"), ["api_key"])):
            name = catalogue.static_connection(self.rest, "Typed", pattern, self.httpbin.url)
            details = {field: self.secret(f"{pattern['type']} {field}") for field in fields}
            account = {"authorization_details": {"static_auth": {"details": details}}}
            key = {"connector": name, "identifier": "ada"}
            self.rest.ok("POST", "/connected_accounts", {**key, "connected_account": account})
            assert self.rest.proxy(name, "ada", "/status/204").status_code == 204
            assert self.rest.proxy(name, "ada", "/status/500").status_code == 500
            self.rest.call("POST", "/connected_accounts", {**key, "connected_account": account})  # exists already
            unknown = {"authorization_details": {"static_auth": {"details": {"nothing": self.secret("unknown field")}}}}
            self.rest.call("PUT", "/connected_accounts", {**key, "connected_account": unknown})
        closed = catalogue.static_connection(self.rest, "Closed", BEARER, f"http://127.0.0.1:{free_port()}")
        account = {"authorization_details": {"static_auth": {"details": {"token": self.secret("unsent token")}}}}
        self.rest.ok("POST", "/connected_accounts", {"connector": closed, "identifier": "ada", "connected_account": account})
        assert self.rest.proxy(closed, "ada", "/get").status_code == 502

    def record_page(self, answer: requests.Response, **_):
        """Whoever has a link gets a form that posts to it again, so there its token is no leak."""
        count = len(self.recorder.refusals)
        self.recorder(answer)
        own = self.secrets["link token"].encode()
        self.recorder.refusals[count:] = [page.replace(own, b"") for page in self.recorder.refusals[count:]]

    def fill_the_hosted_form(self):
        name = catalogue.static_connection(self.rest, "Form", BASIC, self.httpbin.url)
        link = self.rest.ok("POST", "/connected_accounts/magic_link", {"connector": name, "identifier": "ada"})["link"]
        self.secrets["link token"] = parse_qs(urlsplit(link).query)["token"][0]
        visitor = requests.Session()
        visitor.verify, visitor.trust_env = str(self.server.ca), False
        visitor.hooks["response"].append(self.record_page)
        page = visitor.get(link, timeout=10)
        forged = {"field.username": self.secret("forged user"), "field.password": self.secret("forged password")}
        visitor.post(page.url, data=forged, timeout=10)
        dashboard.submit(visitor, page, **{"field.username": "", "field.password": self.secret("password beside an empty user")})
        typed = {"field.username": self.secret("typed user"), "field.password": self.secret("typed password")}
        done = dashboard.submit(visitor, page, **typed)
        assert done.status_code == 200, done.text[:300]
        details = {"connector": name, "identifier": "ada"}
        account = self.rest.ok("GET", "/connected_accounts/details", params=details)["connected_account"]
        assert account["status"] == "ACTIVE", "the form was not taken"
        visitor.get(link, timeout=10)  # spent
        self.secrets |= {f"cookie {cookie.name}": cookie.value for cookie in visitor.cookies if len(cookie.value) > 20}

    def send_nonsense(self):
        """Secrets in the wrong place, whose first destination is an error message."""
        rest, url = self.rest, self.server.url
        rest.token(client_secret=self.secret("wrong client secret"))
        rest.token(grant_type=self.secret("grant type"))
        key = {"connector": "none", "identifier": "ada"}
        for details in (
            self.secret("details as text"),
            {"oauth_token": self.secret("token as text")},
            {"oauth_token": {"access_token": {"value": self.secret("token as object")}}},
            {"oauth_token": {"expires_at": self.secret("token as time")}},
            {"static_auth": {"details": [self.secret("details as list")]}},
            {self.secret("name of a field"): 1},
        ):
            body = {**key, "connected_account": {"authorization_details": details}}
            assert rest.call("PUT", "/connected_accounts", body).status_code in (400, 404)
        broken = b'{"client_secret": "' + self.secret("broken JSON").encode() + b'"'
        assert rest.session.put(
            f"{url}/api/v1/connected_accounts", data=broken, headers=rest.credentials(), timeout=10
        ).status_code == 400
        bearer, basic, cookie = self.secret("bearer that never was"), self.secret("basic"), secrets.token_hex(30)
        self.secrets["cookie that never was"] = cookie
        for headers in (
            {"authorization": f"Bearer {bearer}"},
            {"authorization": "Basic " + base64.b64encode(basic.encode()).decode()},
            {"cookie": f"__Host-keystead_session={cookie}", "sec-fetch-site": "same-origin"},
        ):
            assert rest.session.get(f"{url}/api/v1/organizations", headers=headers, timeout=10).status_code == 401
        rest.session.get(f"{url}/oauth/connect?token={quote(self.secret('wrong link'))}", timeout=10)
        code, state = quote(self.secret("code")), quote(self.secret("state"))
        rest.session.get(f"{url}/sso/v1/oauth/conn_1/callback?code={code}&state={state}", timeout=10)
        rest.session.get(f"{url}/dashboard/{quote(self.secret('path'), safe='')}", timeout=10, allow_redirects=False)


def everything_left_behind(story, folder) -> dict[str, bytes]:
    """All places to search, by name."""
    server = story.server
    left = {"log": server.log.read_bytes()}
    left["metrics"] = requests.get(f"{server.admin_url}/metrics", timeout=10).content
    left |= {f"refusal {number}": body for number, body in enumerate(story.recorder.refusals)}
    if server.database_url:
        left["database"] = postgres.dump(server.database_url)
        url = server.database_url
    else:
        path = server.data / "keystead.db"
        url = f"sqlite:{path}"
        left |= {file.name: file.read_bytes() for file in server.data.glob("keystead.db*")}
        assert "keystead.db-wal" in left
        # In the file a text may be spread over pages.
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
            left["database"] = "\n".join(database.iterdump()).encode()
    config, backup = folder / "backup.toml", folder / f"{secrets.token_hex(4)}.ksb"
    config.write_text(
        f'[server]\npublic_url = "{server.url}"\n[database]\nurl = "{url}"\n'
        f'[root_key]\nfile = "{server.data / "root.key"}"\n'
    )
    done = command("backup", "--config", config, "--to", backup)
    assert done.returncode == 0, done.stderr
    left["backup"] = backup.read_bytes()
    left["output of the backup"] = (done.stdout + done.stderr).encode()
    return left


def hits(left: dict[str, bytes], wanted: dict[str, str]) -> dict[str, list[str]]:
    found = {place: leaks.search(content, wanted) for place, content in left.items()}
    return {place: names for place, names in found.items() if names}


@pytest.mark.timeout(240)
def test_no_secret_is_left_behind(extra_server, upstream, httpbin, tmp_path):
    """AK-750, DB-230, part of AK-606"""
    story = Story(extra_server(KEYSTEAD_LOG="debug"), upstream, httpbin)
    story.tell()
    assert len(story.secrets) > 40 and all(len(value) >= 16 for value in story.secrets.values())

    left = everything_left_behind(story, tmp_path)

    # The places are the right ones: they hold what is no secret.
    assert b" DEBUG " in left["log"] and b"ConnectedAccountService/" in left["log"]
    assert b"connected_account" in left["database"] and b"Typed" in left["backup"]
    assert len(story.recorder.refusals) > 15 and b"keystead_" in left["metrics"]
    # A planted secret is found in each of them.
    planted = {"planted": canary("p")}
    story.rest.ok("POST", "/organizations", {"display_name": planted["planted"]})
    again = everything_left_behind(story, tmp_path)
    assert hits({place: again[place] for place in ("database", "backup")}, planted).keys() == {"database", "backup"}
    if not story.server.database_url:
        assert "keystead.db-wal" in hits(again, planted) or "keystead.db" in hits(again, planted)

    assert not hits(left, story.secrets)


SECRET = "k/Zm9vYmFy+c2VjcmV0~ !x"


@pytest.mark.parametrize(
    "encode",
    [
        lambda raw: raw,
        lambda raw: raw.hex().encode(),
        lambda raw: raw.hex().upper().encode(),
        lambda raw: quote(raw, safe="").encode(),
        lambda raw: quote(raw, safe="").lower().encode().replace(raw.lower(), b""),
        lambda raw: raw.replace(b" ", b"+").replace(b"/", b"%2F").replace(b"+c2", b"%2Bc2").replace(b"!", b"%21"),
        lambda raw: base64.b64encode(b"tail" + raw),
        lambda raw: base64.b64encode(b"a" + raw + b"z"),
        lambda raw: base64.b64encode(b"ab" + raw + b"yz"),
        lambda raw: base64.b64encode(raw + b"xyz"),
        lambda raw: base64.urlsafe_b64encode(b"\xff\xfe" + raw + b"\xff\xfe"),
        lambda raw: gzip.compress(b"before " + raw + b" after"),
        lambda raw: gzip.compress(base64.b64encode(b"x" + raw + b"y")),
    ],
)
def test_the_search_finds_what_was_planted(encode):
    noise = os.urandom(5000).replace(b"k/", b"..")
    wanted = {"it": SECRET, "other": "never-planted-0123456789"}

    assert not leaks.search(noise + noise, wanted)
    found = leaks.search(noise + encode(SECRET.encode()) + noise, wanted)
    assert found and all(name.startswith("it") for name in found)
