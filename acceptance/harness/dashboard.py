"""A member of the dashboard who uses the API with the browser's session."""

from __future__ import annotations

import html
import json
import re
import time
from pathlib import Path

import requests

from .rest import Rest
from .server import Server


def sign_in(server: Server, email: str = "dev@keystead.test") -> requests.Session:
    """Signs in with the code from the development mailbox; returns the session with its cookies."""
    session = requests.Session()
    session.verify, session.trust_env = str(server.ca), False
    page = session.get(f"{server.url}/dashboard/sign-in", timeout=10)
    mailbox = server.data / "mailbox"
    before = set(mailbox.glob("*.json"))
    page = submit(session, page, email=email)
    code = re.search(r"\b\d{8}\b", _next_mail(mailbox, before)["text"]).group()
    page = submit(session, page, code=code)
    assert page.status_code == 200 and "/sign-in" not in page.url, page.url
    return session


def sign_in_page(server: Server, page, email: str = "dev@keystead.test") -> None:
    """Signs in as a person does, in the browser."""
    page.goto(f"{server.url}/dashboard/sign-in")
    mailbox = server.data / "mailbox"
    before = set(mailbox.glob("*.json"))
    page.get_by_label("E-mail").fill(email)
    page.get_by_role("button", name="Send code").click()
    page.get_by_label("Code").fill(re.search(r"\b\d{8}\b", _next_mail(mailbox, before)["text"]).group())
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/dashboard/env_*")


def _next_mail(mailbox: Path, before: set[Path]) -> dict:
    """The next message: the page does not wait for the mail, and its file takes a moment to fill."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            return json.loads((set(mailbox.glob("*.json")) - before).pop().read_text())
        except (KeyError, ValueError):
            time.sleep(0.05)
    raise AssertionError("no mail arrived")


def submit(session: requests.Session, page: requests.Response, **inputs: str) -> requests.Response:
    """Sends the page's only form with its hidden inputs, as a browser would."""
    hidden = [tag for tag in re.findall(r"<input[^>]*>", page.text) if 'type="hidden"' in tag]
    form = {html.unescape(_attribute(tag, "name")): html.unescape(_attribute(tag, "value")) for tag in hidden}
    headers = {"origin": "/".join(page.url.split("/")[:3]), "sec-fetch-site": "same-origin"}
    return session.post(page.url, data={**form, **inputs}, headers=headers, timeout=10)


def _attribute(tag: str, name: str) -> str:
    found = re.search(rf'{name}="([^"]*)"', tag)
    return found.group(1) if found else ""


class Member(Rest):
    """Calls an environment as a member of its workspace."""

    def __init__(self, server: Server, session: requests.Session, domain: str):
        super().__init__(server)
        self.session.cookies = session.cookies
        self._domain = domain

    def credentials(self) -> dict[str, str]:
        return {"sec-fetch-site": "same-origin", "x-env-domain": self._domain}
