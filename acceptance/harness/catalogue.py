"""Providers and connections of a test: created over REST, named so that tests do not meet."""

from __future__ import annotations

import itertools
import os

from .rest import Rest

_numbers = itertools.count(1)


def unique(word: str) -> str:
    """A display name that no other test uses: letters, digits and spaces only."""
    return f"{word} {os.getpid()} {next(_numbers)}"


def field(name: str, label: str, *, secret: bool = False, required: bool = True, **extra) -> dict:
    """One input of a credential form."""
    kind = "password" if secret else "text"
    return {"field_name": name, "label": label, "input_type": kind, "required": required, **extra}


BASIC = {
    "type": "BASIC",
    "display_name": "User name and password",
    "fields": [field("username", "User name"), field("password", "Password", secret=True)],
}
BEARER = {"type": "BEARER", "display_name": "Token", "fields": [field("token", "Access token", secret=True)]}


def api_key(header: str) -> dict:
    """An API key that travels in the named header."""
    return {
        "type": "API_KEY",
        "display_name": "API key",
        "fields": [field("api_key", "API key", secret=True, hint="Ask your administrator")],
        "auth_header_key_override": header,
    }


def oauth(upstream_url: str, **config) -> dict:
    """OAuth at the upstream provider of the tests."""
    return {
        "type": "OAUTH",
        "display_name": "OAuth 2",
        "fields": [],
        "oauth_config": {
            "authorize_uri": f"{upstream_url}/auth",
            "token_uri": f"{upstream_url}/token",
            "user_info_uri": f"{upstream_url}/me",
            "pkce_enabled": True,
            "available_scopes": [
                {"scope": "openid", "display_name": "Identity", "description": "Who you are", "required": True},
                {"scope": "notes:read", "display_name": "Read", "description": "Read notes", "required": False},
            ],
            **config,
        },
    }


def create_provider(rest: Rest, word: str, pattern: dict, proxy_url: str) -> dict:
    """Registers a custom provider and returns it."""
    body = {
        "display_name": unique(word),
        "description": f"{word} of the acceptance tests",
        "auth_patterns": [pattern],
        "proxy_url": proxy_url,
        "proxy_enabled": True,
    }
    return rest.ok("POST", "/custom-providers", body)["provider"]


def create_connection(rest: Rest, provider: dict, kind: str, name: str | None = None) -> dict:
    """Creates and enables a connection of a custom provider. `kind` is the ConnectionType's name."""
    body = {"provider_key": provider["identifier"], "type": kind, "provider": "CUSTOM"}
    if name:
        body["key_id"] = name
    connection = rest.ok("POST", "/connections", body)["connection"]
    return connection


def enable(rest: Rest, connection: dict) -> None:
    rest.ok("PATCH", f"/connections/{connection['id']}:enable")


def static_connection(rest: Rest, word: str, pattern: dict, proxy_url: str) -> str:
    """A ready connection for credentials that the user types in; returns its name."""
    provider = create_provider(rest, word, pattern, proxy_url)
    connection = create_connection(rest, provider, pattern["type"])
    enable(rest, connection)
    return connection["key_id"]


def oauth_connection(rest: Rest, upstream, word: str = "Notes", scopes: tuple[str, ...] = ("openid", "offline_access", "notes:read")) -> dict:
    """A ready OAuth connection with a client registered at the upstream provider for exactly its redirect URI."""
    provider = create_provider(rest, word, oauth(upstream.url), upstream.url)
    connection = create_connection(rest, provider, "OAUTH")
    redirect_uri = f"{rest.server.public_url}/sso/v1/oauth/{connection['id']}/callback"
    client = upstream.register(redirect_uri, scope=" ".join(scopes))
    settings = {
        "client_id": client["client_id"],
        "client_secret": client["client_secret"],
        "authorize_uri": f"{upstream.url}/auth",
        "token_uri": f"{upstream.url}/token",
        "scopes": list(scopes),
        "pkce_enabled": True,
    }
    body = {"provider_key": provider["identifier"], "type": "OAUTH", "provider": "CUSTOM", "oauth_config": settings}
    rest.ok("PATCH", f"/connections/{connection['id']}", body)
    enable(rest, connection)
    return {**connection, "redirect_uri": redirect_uri, "client": client}
