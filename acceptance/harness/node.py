"""Runs Node programs of this folder with the packages that ./test installed outside the checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

ACCEPTANCE = Path(__file__).resolve().parent.parent


def node_workspace(folder: Path, *sources: str) -> Path:
    """Copies the named source folders next to a link to the packages: ES modules look for them beside the file."""
    modules = os.environ.get("KEYSTEAD_NODE_MODULES", "")
    if not modules:
        raise RuntimeError("KEYSTEAD_NODE_MODULES is not set: run through ./test")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "node_modules").symlink_to(modules, target_is_directory=True)
    for source in sources:
        shutil.copytree(ACCEPTANCE / source, folder / source)
    return folder


class NodeClient:
    """The official Node client against one server: each call is a program of its own."""

    def __init__(self, server, folder: Path):
        self.server = server
        self.workspace = node_workspace(folder, "node")

    def run(self, scenario: str, env: dict[str, str] | None = None, **arguments) -> dict:
        """Runs a scenario of node/scenarios.mjs; returns {"ok": …} or {"error": …}."""
        done = subprocess.run(
            ["node", "node/call.mjs", scenario],
            cwd=self.workspace,
            env={**os.environ, **self.server.env, **(env or {})},
            input=json.dumps(arguments),
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.stdout, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def ok(self, scenario: str, **arguments) -> dict:
        """Like `run`, for scenarios that must succeed; returns the result."""
        outcome = self.run(scenario, **arguments)
        assert "ok" in outcome, outcome
        return outcome["ok"]
