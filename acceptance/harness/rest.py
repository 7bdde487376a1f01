"""The REST surface as a caller without a client library would use it."""

from __future__ import annotations

import requests

from .server import Server


class Rest:
    """Sends JSON with a bearer of the environment's API client. Paths start after `/api/v1`."""

    def __init__(self, server: Server):
        self.server = server
        self.session = requests.Session()
        # Only our own authority: a certificate of anybody else must not do.
        self.session.verify = str(server.ca)
        self.session.trust_env = False
        # Of a proxy in front, for servers that stand behind one.
        self.session.headers.update(getattr(server, "headers", {}))
        self._bearer = ""

    def token(self, **overrides: str) -> requests.Response:
        """Asks the token endpoint; keyword arguments replace or (as None) drop form fields."""
        form = {
            "grant_type": "client_credentials",
            "client_id": self.server.env["SCALEKIT_CLIENT_ID"],
            "client_secret": self.server.env["SCALEKIT_CLIENT_SECRET"],
            **overrides,
        }
        form = {name: value for name, value in form.items() if value is not None}
        return self.session.post(f"{self.server.url}/oauth/token", data=form, timeout=20)

    def bearer(self) -> str:
        if not self._bearer:
            answer = self.token()
            assert answer.status_code == 200, answer.text
            self._bearer = answer.json()["access_token"]
        return self._bearer

    def credentials(self) -> dict[str, str]:
        """The headers that say who calls."""
        return {"authorization": f"Bearer {self.bearer()}"}

    def call(self, method: str, path: str, json: object = None, **kwargs) -> requests.Response:
        """Sends one request and returns the answer, whatever its status."""
        headers = {**self.credentials(), **kwargs.pop("headers", {})}
        url = f"{self.server.url}/api/v1{path}"
        return self.session.request(method, url, json=json, headers=headers, timeout=30, **kwargs)

    def ok(self, method: str, path: str, json: object = None, **kwargs) -> dict:
        """Like `call`, for requests that must succeed; returns the body."""
        answer = self.call(method, path, json, **kwargs)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else {}

    def proxy(self, connection: str, identifier: str, path: str, method: str = "GET", **kwargs) -> requests.Response:
        """Calls the provider through the proxy on behalf of a connected account."""
        headers = {
            **self.credentials(),
            "connection_name": connection,
            "identifier": identifier,
            **kwargs.pop("headers", {}),
        }
        url = f"{self.server.url}/proxy{path}"
        return self.session.request(method, url, headers=headers, timeout=40, allow_redirects=False, **kwargs)
