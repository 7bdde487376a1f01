"""Third-party services for users to connect: real software on free loopback ports, one folder each."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import sqlite3
import subprocess
import time
from pathlib import Path
from urllib.parse import parse_qs, urljoin, urlsplit

import jwt
import requests

from .authority import Authority
from .node import node_workspace
from .process import Process, free_port


class Peer:
    """A started service: where it answers and how to stop it."""

    process: Process
    url: str

    def stop(self) -> None:
        self.process.stop()


class OidcUpstream(Peer):
    """npm oidc-provider: an OAuth provider with rotating refresh tokens, a journal and a protected resource."""

    def __init__(self, folder: Path, access_token_ttl: int = 3600, authority: Authority | None = None):
        workspace = node_workspace(folder, "peers/oidc-upstream")
        self.journal_file = folder / "journal.jsonl"
        self.journal_file.touch()
        env = {
            "ACCESS_TOKEN_TTL": str(access_token_ttl),
            "JOURNAL": str(self.journal_file),
            # Our local authority is of no use to it, and a warning on start about the file would be noise.
            "NODE_EXTRA_CA_CERTS": "",
        }
        self.http = requests.Session()
        self.http.trust_env = False
        if authority:
            certificate, key = authority.issue(folder / "tls")
            env |= {"TLS_CERT": str(certificate), "TLS_KEY": str(key)}
            self.http.verify = str(authority.certificate)
        script = workspace / "peers/oidc-upstream/server.mjs"
        self.process = Process(["node", script], folder / "oidc.log", env=env, cwd=workspace)
        self.url = self.process.wait_for_line(r"^ready (https?://127\.0\.0\.1:\d+)$").group(1)

    def register(self, redirect_uri: str, **extra) -> dict:
        """Registers a client (RFC 7591) and returns its `client_id` and `client_secret`."""
        answer = self.http.post(f"{self.url}/reg", json={"redirect_uris": [redirect_uri], **extra}, timeout=10)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def control(self, **settings) -> None:
        """Changes behaviour: tokenStatus, tokenDelayMs, tokenAnswerDelayMs, tokenEcho, apiStatus, revokeAll, endAccessTokens."""
        answer = self.http.post(f"{self.url}/_control", json=settings, timeout=10)
        assert answer.ok, answer.text

    def authorize(self, client: dict, callback: str, scope: str = "openid offline_access", user: str = "ada") -> dict:
        """Signs a user in, consents and exchanges the code, all without a browser; returns the token response."""
        verifier = secrets.token_urlsafe(43)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "client_id": client["client_id"],
            "response_type": "code",
            "redirect_uri": callback,
            "scope": scope,
            "prompt": "consent",
            "code_challenge_method": "S256",
            "code_challenge": challenge,
        }
        browser = requests.Session()
        browser.trust_env, browser.verify = False, self.http.verify
        answer = browser.get(f"{self.url}/auth", params=query, timeout=10)
        for form in ({"login": user, "choice": "allow"}, {"choice": "allow"}):
            answer = browser.post(answer.url, data=form, timeout=10, allow_redirects=False)
            while answer.is_redirect and answer.headers["location"].startswith((self.url, "/")):
                target = urljoin(self.url, answer.headers["location"])
                answer = browser.get(target, timeout=10, allow_redirects=False)
        code = parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": callback, "code_verifier": verifier}
        answer = self.token(client, **form)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def token(self, client: dict, **form: str) -> requests.Response:
        """Asks the token endpoint as `client`."""
        credentials = {"client_id": client["client_id"], "client_secret": client["client_secret"]}
        return self.http.post(f"{self.url}/token", data={**credentials, **form}, timeout=10)

    def journal(self, *events: str, since: int = 0) -> list[dict]:
        """The recorded events of the named kinds (all when none is named), from line `since` on."""
        whole, _, _ = self.journal_file.read_text().rpartition("\n")  # the last line may still be on its way
        rows = [json.loads(line) for line in whole.split("\n")[since:] if line]
        return [row for row in rows if not events or row["event"] in events]


class Radicale(Peer):
    """Debian's CalDAV server behind HTTP Basic with one user."""

    def __init__(self, folder: Path):
        folder.mkdir(parents=True)
        self.user, self.password = "ada", secrets.token_urlsafe(18)
        (folder / "users").write_text(f"{self.user}:{self.password}\n")
        port = free_port()
        (folder / "config").write_text(
            f"[server]\nhosts = 127.0.0.1:{port}\n"
            f"[auth]\ntype = htpasswd\nhtpasswd_filename = {folder / 'users'}\nhtpasswd_encryption = plain\ndelay = 0\n"
            f"[storage]\nfilesystem_folder = {folder / 'collections'}\n[rights]\ntype = owner_only\n"
        )
        # Debian's package belongs to Debian's Python, not to the one of the virtual environment.
        argv = ["/usr/bin/python3", "/usr/bin/radicale", "--config", folder / "config"]
        self.process = Process(argv, folder / "radicale.log")
        self.process.wait_for_port(port)
        self.url = f"http://127.0.0.1:{port}"


class PowerDns(Peer):
    """Debian's authoritative name server; its HTTP API takes the key in `X-API-Key`."""

    def __init__(self, folder: Path):
        folder.mkdir(parents=True)
        self.api_key = secrets.token_urlsafe(24)
        database = folder / "zones.sqlite3"
        schema = Path("/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql")
        with sqlite3.connect(database) as connection:
            connection.executescript(schema.read_text())
        port, dns_port = free_port(), free_port()
        (folder / "pdns.conf").write_text(
            "\n".join(
                [
                    "launch=gsqlite3",
                    f"gsqlite3-database={database}",
                    "local-address=127.0.0.1",
                    f"local-port={dns_port}",
                    f"socket-dir={folder}",
                    "api=yes",
                    f"api-key={self.api_key}",
                    "webserver=yes",
                    "webserver-address=127.0.0.1",
                    f"webserver-port={port}",
                    "daemon=no",
                    "guardian=no",
                    "",
                ]
            )
        )
        self.process = Process(["/usr/sbin/pdns_server", f"--config-dir={folder}"], folder / "pdns.log")
        self.process.wait_for_port(port)
        self.url = f"http://127.0.0.1:{port}"


class Httpbin(Peer):
    """Debian's httpbin: tells what arrived."""

    def __init__(self, folder: Path):
        folder.mkdir(parents=True)
        port = free_port()
        program = f"import httpbin; httpbin.app.run(host='127.0.0.1', port={port}, threaded=True)"
        self.process = Process(["/usr/bin/python3", "-c", program], folder / "httpbin.log", cwd=folder)
        self.process.wait_for_port(port)
        self.url = f"http://127.0.0.1:{port}"


class Registry(Peer):
    """Debian's container registry with token authentication: a bearer is a JWT signed by a key that it trusts."""

    SERVICE, ISSUER = "acceptance-registry", "acceptance-issuer"

    def __init__(self, folder: Path):
        folder.mkdir(parents=True)
        self._key, self._certificate = folder / "token.key", folder / "token.crt"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=acceptance"]
            + ["-keyout", self._key, "-out", self._certificate],
            check=True,
            capture_output=True,
        )
        port = free_port()
        (folder / "config.yml").write_text(
            "version: 0.1\n"
            f"storage:\n  filesystem:\n    rootdirectory: {folder / 'images'}\n"
            f"http:\n  addr: 127.0.0.1:{port}\n"
            "auth:\n  token:\n"
            f"    realm: http://127.0.0.1:{port}/nobody-answers-here\n"
            f"    service: {self.SERVICE}\n    issuer: {self.ISSUER}\n    rootcertbundle: {self._certificate}\n"
        )
        self.process = Process(["/usr/bin/docker-registry", "serve", folder / "config.yml"], folder / "registry.log")
        self.process.wait_for_port(port)
        self.url = f"http://127.0.0.1:{port}"

    def token(self) -> str:
        """A bearer that may list the catalogue."""
        now = int(time.time())
        claims = {
            "iss": self.ISSUER,
            "aud": self.SERVICE,
            "sub": "ada",
            "jti": secrets.token_hex(8),
            "iat": now,
            "nbf": now - 5,
            "exp": now + 3600,
            "access": [{"type": "registry", "name": "catalog", "actions": ["*"]}],
        }
        pem = self._certificate.read_text().split("-----")[2]
        return jwt.encode(claims, self._key.read_text(), algorithm="RS256", headers={"x5c": ["".join(pem.split())]})
