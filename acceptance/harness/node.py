"""Runs Node programs of this folder with the packages that ./test installed outside the checkout."""

from __future__ import annotations

import os
import shutil
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
