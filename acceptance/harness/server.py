"""The server under test: the real binary, started as its users start it."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

from .process import Process

BINARY = os.environ.get("KEYSTEAD_BIN", "")


def read_env_file(path: Path) -> dict[str, str]:
    """Reads plain `KEY=value` lines."""
    rows = (line.split("=", 1) for line in path.read_text().splitlines() if "=" in line and not line.startswith("#"))
    return {key.strip(): value.strip() for key, value in rows}


class Server:
    """`keystead dev` on a folder of its own; SQLite unless `database_url` names a PostgreSQL database."""

    def __init__(self, folder: Path, database_url: str | None = None):
        self.folder = folder
        self.data = folder / "data"
        self.log = folder / "server.log"
        self.database_url = database_url
        self.process: Process | None = None
        self.url = ""
        self.admin_url = ""
        self.env: dict[str, str] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def start(self, port: int = 0, **env: str) -> Server:
        """Starts the binary and returns when it serves requests. The port stays the same over `restart`."""
        if not BINARY:
            raise RuntimeError("KEYSTEAD_BIN is not set: run through ./test")
        argv = [BINARY, "dev", "--data", self.data, "--port", str(port)]
        # The URL holds a password, which must not show in the process list.
        if self.database_url:
            env["KEYSTEAD_DATABASE_URL"] = self.database_url
        self.process = Process(argv, self.log, env=env, cwd=self.folder)
        self.admin_url = self.process.wait_for_line(r"^admin (http://\S+)$").group(1)
        self.url = self.process.wait_for_line(r"^ready (https://localhost:\d+)$").group(1)
        self.env = read_env_file(self.data / "dev.env")
        return self

    @property
    def public_url(self) -> str:
        """Where browsers reach it."""
        return self.url

    @property
    def port(self) -> int:
        return urlsplit(self.url).port

    @property
    def ca(self) -> Path:
        """The bundle that makes clients trust the server's local authority."""
        return Path(self.env["SSL_CERT_FILE"])

    def restart(self, *, crash: bool = False) -> None:
        """Stops (or kills) the server and starts it again on the same data and port."""
        port = self.port
        if crash:
            self.process.kill()
        else:
            self.process.stop()
        self.start(port)

    def stop(self) -> int:
        return self.process.stop() if self.process else 0

    def logs(self) -> str:
        """Everything the server printed since the first start."""
        return self.log.read_text()
