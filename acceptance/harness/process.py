"""Child processes that announce themselves, log to a file and are stopped without being asked twice."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import threading
import time
from pathlib import Path


class StartError(RuntimeError):
    """The child ended or stayed silent; the message has the end of its log."""


def free_port() -> int:
    """Returns a loopback port that nobody listens on. Only for software that cannot pick one itself."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Process:
    """One child in its own process group; standard output and error go to `log`."""

    def __init__(self, argv: list[str | Path], log: Path, env: dict[str, str] | None = None, cwd: Path | None = None):
        self.argv = [str(part) for part in argv]
        self.log = log
        self._lines: list[str] = []
        self._news = threading.Condition()
        self.child = subprocess.Popen(
            self.argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with self.log.open("a") as log:
            for line in self.child.stdout:
                log.write(line)
                log.flush()
                with self._news:
                    self._lines.append(line)
                    self._news.notify_all()
        with self._news:
            self._news.notify_all()

    def wait_for_line(self, pattern: str, timeout: float = 30.0) -> re.Match:
        """Waits until a line matches; raises `StartError` when the child ends or `timeout` (seconds) passes."""
        deadline = time.monotonic() + timeout
        seen = 0
        with self._news:
            while True:
                while seen < len(self._lines):
                    if found := re.search(pattern, self._lines[seen]):
                        return found
                    seen += 1
                left = deadline - time.monotonic()
                if left <= 0 or (self.child.poll() is not None and not self._reader.is_alive()):
                    raise StartError(f"{self.argv[0]} did not say {pattern!r}\n{self.tail()}")
                self._news.wait(min(left, 0.2))

    def wait_for_port(self, port: int, timeout: float = 30.0) -> None:
        """Waits until the child accepts connections on a loopback port."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if self.child.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise StartError(f"{self.argv[0]} does not listen on {port}\n{self.tail()}")

    def tail(self, lines: int = 40) -> str:
        """The end of what the child printed."""
        return "".join(self._lines[-lines:])

    def stop(self, timeout: float = 15.0) -> int:
        """Asks the child to end (SIGTERM) and returns its exit code; kills it after `timeout` seconds."""
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
        self._reader.join(5)
        return self.child.returncode

    def kill(self) -> None:
        """Ends the child as a power cut would (SIGKILL)."""
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait(10)
