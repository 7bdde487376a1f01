"""A grant is refreshed exactly once, however many callers need it. The provider revokes everything on a second use."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.catalogue import oauth_connection
from harness.flows import connect
from harness.peers import OidcUpstream
from harness.rest import Rest

SECONDS = 60
TOKEN_LIFE_SECONDS = 5
CALLERS = 16


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_many_callers_share_each_refresh(scalekit, rest, server, page, app, start_peer, identifier):
    """Acceptance scenario 8 of AK-222: no reuse, no failed call, no more refreshes than token lives."""
    upstream = start_peer(OidcUpstream, access_token_ttl=TOKEN_LIFE_SECONDS)
    name = oauth_connection(rest, upstream)["key_id"]
    connect(scalekit, page, app, name, identifier)
    since = len(upstream.journal())
    end = time.monotonic() + SECONDS
    failures, lock, calls = [], threading.Lock(), [0]

    def caller():
        own = Rest(server)  # a connection pool of its own
        while time.monotonic() < end:
            answer = own.proxy(name, identifier, "/api/notes")
            with lock:
                calls[0] += 1
                if answer.status_code != 200:
                    failures.append((answer.status_code, answer.text[:200]))

    with ThreadPoolExecutor(CALLERS) as pool:
        for done in [pool.submit(caller) for _ in range(CALLERS)]:
            done.result()

    refreshes = [row for row in upstream.journal("token_issued", since=since) if row["grant_type"] == "refresh_token"]
    assert not failures, failures[:5]
    assert not upstream.journal("refresh_token_reuse", "grant_revoked", since=since)
    assert len({row["used_refresh_token"] for row in refreshes}) == len(refreshes)
    assert SECONDS / TOKEN_LIFE_SECONDS / 2 <= len(refreshes), f"{len(refreshes)} refreshes for {calls[0]} calls"
    # Half a life is the earliest that a short-lived token may be renewed.
    assert len(refreshes) <= 2 * SECONDS / TOKEN_LIFE_SECONDS + 1, f"{len(refreshes)} refreshes for {calls[0]} calls"
