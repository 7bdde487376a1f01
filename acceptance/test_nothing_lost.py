"""What was acknowledged is there: after a crash, in a backup, after a restore."""

import random
import secrets
import sqlite3
import threading
import time

import pytest
import requests

from harness import postgres
from harness.authority import Authority
from harness.rest import Rest
from harness.serve import Installation, Node, command

WRITERS = 6


class Writers:
    """Threads that create organizations until told to stop; `acknowledged` grows with every answer 201 or 200."""

    def __init__(self, server):
        self.acknowledged: dict[str, str] = {}
        self.tried: set[str] = set()
        self.unexpected: list[str] = []
        self._stop = threading.Event()
        bearer = Rest(server).bearer()
        self._threads = [threading.Thread(target=self._write, args=(server, bearer)) for _ in range(WRITERS)]
        for thread in self._threads:
            thread.start()

    def _write(self, server, bearer):
        rest = Rest(server)
        rest._bearer = bearer
        while not self._stop.is_set():
            external_id = secrets.token_hex(12)
            self.tried.add(external_id)
            try:
                answer = rest.call("POST", "/organizations", {"display_name": "Load", "external_id": external_id})
            except requests.RequestException:
                return  # the server was killed
            if answer.ok:
                self.acknowledged[external_id] = answer.json()["organization"]["id"]
            else:
                self.unexpected.append(f"{answer.status_code} {answer.text[:200]}")

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join()
        assert not self.unexpected, self.unexpected[:3]


def organizations(server) -> dict[str, str]:
    """Id by external id, of all."""
    rest, found, token = Rest(server), {}, ""
    while True:
        page = rest.ok("GET", "/organizations", params={"page_size": 100, "page_token": token})
        rows = page.get("organizations", [])
        assert not found.keys() & {row["external_id"] for row in rows}, "a row is on two pages"
        found |= {row["external_id"]: row["id"] for row in rows}
        token = page.get("next_page_token", "")
        if not token:
            return found


def count(server, sql: str) -> int:
    if server.database_url:
        return int(postgres.query(server.database_url, sql)[0])
    with sqlite3.connect(f"file:{server.data / 'keystead.db'}?mode=ro", uri=True) as database:
        return database.execute(sql).fetchone()[0]


def test_acknowledged_writes_survive_kill_9(extra_server):
    server = extra_server()
    acknowledged, tried = {}, set()
    for _ in range(4):
        writers = Writers(server)
        time.sleep(random.uniform(0.5, 2.0))
        server.process.kill()
        writers.stop()
        assert writers.acknowledged, "the load never got through"
        acknowledged |= writers.acknowledged
        tried |= writers.tried
        server.start(server.port)

        found = organizations(server)
        missing = {name: id for name, id in acknowledged.items() if found.get(name) != id}
        assert not missing, f"{len(missing)} of {len(acknowledged)} acknowledged writes are gone"
        assert found.keys() <= tried
    # A row and its event are one transaction: neither is there without the other.
    events = count(server, "SELECT count(DISTINCT organization_id) FROM events WHERE kind = 'organization.created'")
    assert events == count(server, "SELECT count(*) FROM organizations") == len(found)


@pytest.fixture
def installation(engine, tmp_path):
    url = postgres.create_database() if engine == "postgres" else None
    return Installation(tmp_path, Authority(tmp_path / "authority"), url)


def empty_place(installation, engine, name):
    """The configuration of a node with a fresh database of its own."""
    folder = installation.folder / name
    url = postgres.create_database() if engine == "postgres" else f"sqlite:{folder / 'restored.db'}"
    return installation.configuration(name, url)


def test_a_backup_under_load_restores_to_a_consistent_whole(installation, engine, tmp_path):
    node = installation.node("live").start()
    backup = tmp_path / "backup.ksb"
    writers = Writers(node)
    try:
        time.sleep(1)
        before = dict(writers.acknowledged)
        done = command("backup", "--config", node.config, "--to", backup)
        assert done.returncode == 0, done.stderr
        after = set(writers.tried)
        time.sleep(0.3)
    finally:
        writers.stop()
        node.stop()
    assert before and len(writers.acknowledged) > len(before)
    again = command("backup", "--config", node.config, "--to", backup)
    assert again.returncode != 0, "a backup must not be overwritten"

    place = empty_place(installation, engine, "fresh")
    done = command("restore", "--config", place, "--from", backup)
    assert done.returncode == 0, done.stderr
    twice = command("restore", "--config", place, "--from", backup)
    assert twice.returncode != 0, "only an empty database can take a backup"

    restored = Node(installation, "fresh").start()
    try:
        found = organizations(restored)  # with the same API client and secret
        assert before.items() <= found.items() and found.keys() <= after
        new = secrets.token_hex(8)
        Rest(restored).ok("POST", "/organizations", {"display_name": "New", "external_id": new})
        assert organizations(restored).keys() == found.keys() | {new}
    finally:
        restored.stop()


def test_a_damaged_backup_is_refused_and_nothing_is_written(installation, engine, tmp_path):
    node = installation.node("live").start()
    Rest(node).ok("POST", "/organizations", {"display_name": "Kept", "external_id": "kept"})
    node.stop()
    backup, damaged = tmp_path / "backup.ksb", tmp_path / "damaged.ksb"
    assert command("backup", "--config", node.config, "--to", backup).returncode == 0
    place = empty_place(installation, engine, "fresh")
    whole = backup.read_bytes()

    dice = random.Random(secrets.randbits(32))
    positions = [0, len(whole) // 2, len(whole) - 2, *(dice.randrange(len(whole) - 1) for _ in range(12))]
    for position in positions:
        flipped = bytearray(whole)
        flipped[position] ^= 1 << dice.randrange(8)
        damaged.write_bytes(flipped)
        done = command("restore", "--config", place, "--from", damaged)
        assert done.returncode != 0, f"bit flipped in byte {position} of {len(whole)}"
    for length in (0, len(whole) // 2, len(whole) - 40):
        damaged.write_bytes(whole[:length])
        assert command("restore", "--config", place, "--from", damaged).returncode != 0, f"cut to {length} bytes"

    # The place is still empty, so the whole backup fits.
    done = command("restore", "--config", place, "--from", backup)
    assert done.returncode == 0, done.stderr
    restored = Node(installation, "fresh").start()
    assert organizations(restored).keys() == {"kept"}
    restored.stop()
