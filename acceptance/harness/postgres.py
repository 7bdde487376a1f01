"""Databases on the throw-away cluster that ./test starts."""

from __future__ import annotations

import os
import secrets
import subprocess
from urllib.parse import urlsplit


def create_database() -> str:
    """Creates an empty database and returns its URL. The cluster ends with ./test, so nothing is dropped."""
    admin = os.environ.get("KEYSTEAD_TEST_POSTGRES_URL")
    if not admin:
        raise RuntimeError("KEYSTEAD_TEST_POSTGRES_URL is not set: run through ./test")
    name = f"acceptance_{secrets.token_hex(6)}"
    subprocess.run(
        ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", f"CREATE DATABASE {name}"],
        env={**os.environ, **_libpq(admin)},
        check=True,
    )
    return urlsplit(admin)._replace(path=f"/{name}").geturl()


def query(url: str, sql: str) -> list[str]:
    """Runs one statement with psql and returns its rows as text."""
    done = subprocess.run(
        ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql],
        env={**os.environ, **_libpq(url)},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.splitlines()


def dump(url: str) -> bytes:
    """The whole database as SQL text."""
    done = subprocess.run(["pg_dump", "--inserts"], env={**os.environ, **_libpq(url)}, check=True, capture_output=True)
    return done.stdout


def _libpq(url: str) -> dict[str, str]:
    """The URL as environment variables: a password on a command line shows in the process list."""
    parts = urlsplit(url)
    return {
        "PGHOST": parts.hostname,
        "PGPORT": str(parts.port),
        "PGUSER": parts.username,
        "PGPASSWORD": parts.password,
        "PGDATABASE": parts.path.lstrip("/"),
    }
