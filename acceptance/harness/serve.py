"""`keystead serve` from a configuration file: one or more nodes of a production installation behind a proxy."""

from __future__ import annotations

import subprocess
from pathlib import Path

from .authority import Authority
from .process import Process, free_port
from .server import BINARY, Server


class Installation:
    """A database with a workspace and an API client, and the root key that opens it.

    The first start is made by `keystead dev`, because it hands out an API client; afterwards only `serve` runs.
    """

    def __init__(self, folder: Path, authority: Authority, database_url: str | None = None):
        self.folder = folder
        self.authority = authority
        first = Server(folder / "first", database_url)
        first.start()
        first.stop()
        self.url, self.env = first.url, first.env
        self.root_key = first.data / "root.key"
        self.sqlite = None if database_url else first.data / "keystead.db"
        self.database_url = database_url or f"sqlite:{self.sqlite}"

    def configuration(self, name: str, database_url: str | None = None) -> Path:
        """Writes the configuration of one node; returns its file."""
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "keystead.toml"
        if path.exists():
            return path
        path.write_text(
            "[server]\n"
            f'public_url = "{self.url}"\nlisten = "127.0.0.1:{free_port()}"\nadmin_listen = "127.0.0.1:{free_port()}"\n'
            'trusted_proxies = ["127.0.0.0/8"]\ndrain_seconds = 5\n'
            f'[database]\nurl = "{database_url or self.database_url}"\n'
            f'[root_key]\nfile = "{self.root_key}"\n'
            f'[outbound]\nallowed_networks = ["127.0.0.0/8"]\nextra_ca = ["{self.authority.certificate}"]\n'
            f'[mail]\nfolder = "{folder / "mail"}"\n'
        )
        path.chmod(0o600)  # the database URL may hold a password
        return path

    def node(self, name: str) -> Node:
        return Node(self, name)


class Node:
    """One process. Callers reach it without TLS, as a proxy in front would."""

    def __init__(self, installation: Installation, name: str):
        self.installation = installation
        self.config = installation.configuration(name)
        self.log = self.config.parent / "server.log"
        self.env = installation.env
        self.ca = installation.authority.certificate
        self.process: Process | None = None
        listen = [line for line in self.config.read_text().splitlines() if line.startswith("listen = ")][0]
        self.address = listen.split('"')[1]
        self.url = f"http://{self.address}"
        self.admin_url = ""
        # What the proxy in front adds.
        self.headers = {"host": installation.url.split("//")[1], "x-forwarded-proto": "https"}

    @property
    def public_url(self) -> str:
        return self.installation.url

    def start(self, **env: str) -> Node:
        self.process = Process([BINARY, "serve", "--config", self.config], self.log, env=env, cwd=self.config.parent)
        self.admin_url = self.process.wait_for_line(r"^admin (http://\S+)$").group(1)
        self.process.wait_for_line(r"^ready ")
        return self

    def kill(self) -> None:
        self.process.kill()

    def stop(self) -> int:
        return self.process.stop() if self.process else 0

    def is_running(self) -> bool:
        return self.process is not None and self.process.child.poll() is None


def command(*argv: str | Path) -> subprocess.CompletedProcess:
    """Runs one of the operators' commands to its end."""
    return subprocess.run([BINARY, *map(str, argv)], capture_output=True, text=True, timeout=120)
