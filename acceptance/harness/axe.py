"""axe-core, an accessibility checker, on the page a browser shows."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path


@cache
def _source() -> str:
    modules = os.environ.get("KEYSTEAD_NODE_MODULES", "")
    if not modules:
        raise RuntimeError("KEYSTEAD_NODE_MODULES is not set: run through ./test")
    return (Path(modules) / "axe-core" / "axe.min.js").read_text()


def violations(page) -> list[str]:
    """What the checker is sure about, one line each. Playwright runs it beside the page's policy, which allows no script."""
    page.evaluate(_source())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [
        f"{rule['impact']} {rule['id']} at {' '.join(map(str, node['target']))}: {node['failureSummary']}"
        for rule in found
        for node in rule["nodes"]
    ]
