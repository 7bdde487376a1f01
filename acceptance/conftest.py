"""Fixtures: the real binary on both storage engines, outside services, a browser, client libraries."""

from __future__ import annotations

import secrets

import pytest

from harness import browser as chromium
from harness import peers, postgres
from harness.app import App
from harness.node import NodeClient
from harness.rest import Rest
from harness.server import Server
from harness.trust import trust

ENGINES = ("sqlite", "postgres")


def pytest_addoption(parser):
    parser.addoption("--engine", choices=ENGINES, action="append", help="run on this storage engine only")


def pytest_generate_tests(metafunc):
    if "engine" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--engine") or ENGINES
        metafunc.parametrize("engine", chosen, scope="session")


@pytest.fixture(scope="session")
def servers(request, tmp_path_factory):
    """One server per chosen engine, started before the first gRPC channel of this process (see harness.trust)."""
    root = tmp_path_factory.mktemp("servers")
    started: dict[str, Server] = {}
    try:
        for name in request.config.getoption("--engine") or ENGINES:
            url = postgres.create_database() if name == "postgres" else None
            started[name] = Server(root / name, url)
            started[name].start()
        trust(list(started.values()), root / "roots.pem")
        yield started
    finally:
        for server in started.values():
            server.stop()


@pytest.fixture(scope="session")
def server(engine, servers) -> Server:
    """The server under test; a test with this fixture runs once per engine."""
    return servers[engine]


@pytest.fixture
def extra_server(engine, tmp_path):
    """A function that starts a server of the test's own, for tests that stop or break it."""
    started = []

    def start(**env: str) -> Server:
        url = postgres.create_database() if engine == "postgres" else None
        started.append(Server(tmp_path / f"server-{len(started)}", url))
        return started[-1].start(**env)

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="session")
def rest(server) -> Rest:
    return Rest(server)


@pytest.fixture(scope="session")
def scalekit(server):
    """The official Python client, unmodified, with the settings of dev.env."""
    from scalekit import ScalekitClient

    return ScalekitClient(
        server.env["SCALEKIT_ENV_URL"], server.env["SCALEKIT_CLIENT_ID"], server.env["SCALEKIT_CLIENT_SECRET"]
    )


@pytest.fixture(scope="session")
def node(server, tmp_path_factory) -> NodeClient:
    """The official Node client, unmodified, with the settings of dev.env."""
    return NodeClient(server, tmp_path_factory.mktemp("node") / "client")


@pytest.fixture(scope="session")
def start_peer(tmp_path_factory):
    """A function that starts outside software; everything ends with the session."""
    started: list[peers.Peer] = []

    def start(kind, **settings):
        started.append(kind(tmp_path_factory.mktemp(kind.__name__.lower()) / "peer", **settings))
        return started[-1]

    yield start
    for peer in reversed(started):
        peer.stop()


@pytest.fixture(scope="session")
def upstream(start_peer) -> peers.OidcUpstream:
    return start_peer(peers.OidcUpstream)


@pytest.fixture(scope="session")
def radicale(start_peer) -> peers.Radicale:
    return start_peer(peers.Radicale)


@pytest.fixture(scope="session")
def powerdns(start_peer) -> peers.PowerDns:
    return start_peer(peers.PowerDns)


@pytest.fixture(scope="session")
def httpbin(start_peer) -> peers.Httpbin:
    return start_peer(peers.Httpbin)


@pytest.fixture(scope="session")
def registry(start_peer) -> peers.Registry:
    return start_peer(peers.Registry)


@pytest.fixture
def app():
    """The developer's application; one for each test, so that no visit is left over from another."""
    app = App()
    yield app
    app.stop()


@pytest.fixture(scope="session")
def browser(servers):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = chromium.launch(playwright, list(servers.values()))
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    """A page of a fresh profile: no cookie of another test."""
    context = browser.new_context()
    context.set_default_timeout(15_000)
    yield context.new_page()
    context.close()


@pytest.fixture
def identifier() -> str:
    """A user of the developer's application whom no other test knows."""
    return f"user-{secrets.token_hex(6)}"
