"""Programs in Go and Java that call the server with stubs they generate from `proto/`, as callers without a client
library do. Sources are copied out of the checkout; what was built is kept for later runs on the same sources."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ACCEPTANCE = Path(__file__).resolve().parent.parent
PROTO = ACCEPTANCE.parent / "proto"
GUIDE = ACCEPTANCE.parent / "docs" / "guides" / "go-and-java.md"
DAY = 24 * 3600


def guide_block(language: str, containing: str) -> str:
    """The one code block of the guide in this language that has the text."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    (block,) = (block for block in blocks if containing in block)
    return block


def _cache() -> Path:
    cache = os.environ.get("KEYSTEAD_CACHE", "")
    if not cache:
        raise RuntimeError("KEYSTEAD_CACHE is not set: run through ./test")
    return Path(cache)


class Caller:
    """A language in which the server is called: its programs, and how they run."""

    name: str

    def missing(self) -> str | None:
        """Why nothing can be built on this machine, if so."""
        raise NotImplementedError

    def build(self, folder: Path) -> None:
        """Builds the scenarios and the guide's first call in an empty folder."""
        raise NotImplementedError

    def program(self, first_call: bool) -> list[str]:
        raise NotImplementedError

    def trusting(self, server, folder: Path) -> dict[str, str]:
        """Environment variables with which a process trusts the server's local authority."""
        raise NotImplementedError

    def distrusting(self, folder: Path) -> dict[str, str]:
        """Environment variables with which it trusts no local authority."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Builds, unless these very sources were built before."""
        sources = [GUIDE, Path(__file__), *(ACCEPTANCE / self.name).rglob("*"), *PROTO.rglob("*.proto")]
        digest = hashlib.sha256()
        for path in sorted(path for path in sources if path.is_file()):
            digest.update(f"{path.relative_to(ACCEPTANCE.parent)}\0".encode() + path.read_bytes() + b"\0")
        self.folder = _cache() / f"stubs-{self.name}-{digest.hexdigest()[:16]}"
        if not self.folder.exists():
            building = Path(tempfile.mkdtemp(prefix=f"stubs-{self.name}-new-", dir=_cache()))
            self.build(building)
            try:
                building.rename(self.folder)
            except OSError:  # another run was faster
                shutil.rmtree(building)
        os.utime(self.folder)
        for old in _cache().glob(f"stubs-{self.name}-*"):
            if time.time() - old.stat().st_mtime > DAY:
                shutil.rmtree(old)

    def start(self, env: dict[str, str], *, first_call: bool = False) -> Program:
        """Starts the scenarios, or the guide's first call."""
        return Program(self.program(first_call), env)


class Program:
    """A running program; ends with the block it is opened for."""

    def __init__(self, argv: list[str], env: dict[str, str]):
        self.process = subprocess.Popen(
            argv, env={**os.environ, **env}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_error) -> None:
        self.process.kill()
        self.process.communicate()

    def run(self, scenario: str, **arguments) -> dict:
        """Runs a scenario; returns {"ok": …, "sign_ins": n} or {"error": …}."""
        self.process.stdin.write(json.dumps({"scenario": scenario, **arguments}) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, f"ended by itself with {self.process.wait()}; its messages are in the captured stderr"
        return json.loads(answer)


class Go(Caller):
    name = "go"

    def missing(self) -> str | None:
        if not shutil.which("go"):
            return "go is not installed: callers in Go were NOT tested"
        wanted = re.search(r"^go (\d+)\.(\d+)", (ACCEPTANCE / "go" / "go.mod").read_text(), re.MULTILINE)
        found = re.search(r"go(\d+)\.(\d+)", subprocess.check_output(["go", "env", "GOVERSION"], text=True, cwd="/"))
        if not found or tuple(map(int, found.groups())) < tuple(map(int, wanted.groups())):
            return f"go is older than {wanted.group()[3:]}: callers in Go were NOT tested"
        return None

    def build(self, folder: Path) -> None:
        shutil.copytree(ACCEPTANCE / "go", folder, dirs_exist_ok=True)
        (folder / "firstcall").mkdir()
        (folder / "firstcall" / "main.go").write_text(guide_block("go", "package main"))
        binaries = folder / "bin"
        binaries.mkdir()
        protoc = binaries / "protoc"
        modules = _cache() / "protoc"
        protoc.write_text(f'#!/bin/sh\nPYTHONPATH="{modules}" exec "{sys.executable}" -m grpc_tools.protoc "$@"\n')
        protoc.chmod(0o755)
        env = {
            **os.environ,
            "PATH": f"{binaries}:{os.environ['PATH']}",
            "GOPATH": str(_cache() / "go"),
            "GOMODCACHE": str(_cache() / "go" / "pkg" / "mod"),
            "GOCACHE": str(_cache() / "go" / "build"),
            # Deletable by their owner, unlike Go's default.
            "GOFLAGS": f"{os.environ.get('GOFLAGS', '')} -mod=readonly -modcacherw -trimpath".strip(),
            "GOWORK": "off",
            "PROTO": str(PROTO),
            "MODULE": "example.com/app",
        }
        plugins = ["google.golang.org/protobuf/cmd/protoc-gen-go", "connectrpc.com/connect/cmd/protoc-gen-connect-go"]
        _must(["go", "build", "-o", "bin/", *plugins], folder, env)
        _must(["sh", "-ec", guide_block("sh", "protoc -I")], folder, env)
        _must(["go", "vet", ".", "./firstcall"], folder, env)
        _must(["go", "build", "-ldflags=-s -w", "-o", "bin/", ".", "./firstcall"], folder, env)

    def program(self, first_call: bool) -> list[str]:
        return [str(self.folder / "bin" / ("firstcall" if first_call else "app"))]

    def trusting(self, server, folder: Path) -> dict[str, str]:
        return server.env

    def distrusting(self, folder: Path) -> dict[str, str]:
        import certifi

        return {"SSL_CERT_FILE": certifi.where(), "SSL_CERT_DIR": str(folder)}


class Java(Caller):
    name = "java"

    def missing(self) -> str | None:
        absent = [tool for tool in ("mvn", "javac", "keytool") if not shutil.which(tool)]
        return f"{' and '.join(absent)} not installed: callers in Java were NOT tested" if absent else None

    def build(self, folder: Path) -> None:
        shutil.copytree(ACCEPTANCE / "java", folder, dirs_exist_ok=True)
        (folder / "src" / "main" / "java" / "FirstCall.java").write_text(guide_block("java", "class FirstCall"))
        command = ["mvn", "-q", "-B", f"-Dmaven.repo.local={_cache() / 'm2'}", f"-Dproto={PROTO}", "compile"]
        _must(command, folder, dict(os.environ))

    def program(self, first_call: bool) -> list[str]:
        libraries = (self.folder / "target" / "classpath").read_text()
        path = f"{self.folder / 'target' / 'classes'}:{libraries}"
        return ["java", "-XX:TieredStopAtLevel=1", "-cp", path, "FirstCall" if first_call else "acceptance.Main"]

    def trusting(self, server, folder: Path) -> dict[str, str]:
        (folder / "keystead-data").symlink_to(server.data, target_is_directory=True)
        steps = guide_block("sh", "keytool").splitlines()
        script = "\n".join([*steps[:-1], 'printf %s "$JDK_JAVA_OPTIONS" >options'])
        _must(["sh", "-ec", script], folder, dict(os.environ))
        return {**server.env, "JDK_JAVA_OPTIONS": (folder / "options").read_text()}

    def distrusting(self, folder: Path) -> dict[str, str]:
        return {"JDK_JAVA_OPTIONS": ""}


def _must(argv: list[str], folder: Path, env: dict[str, str]) -> None:
    done = subprocess.run(argv, cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(argv[:3])}: {done.stdout[-4000:]}\n{done.stderr[-4000:]}"
