"""Looks at a page as different visitors do: light and dark, wide and narrow, with a screen reader."""

from __future__ import annotations

from . import axe

WIDE = {"width": 1280, "height": 850}
NARROW = {"width": 390, "height": 844}


def complaints(page) -> list[str]:
    """Everything that is wrong with the page as it is shown now."""
    wrong = []
    for scheme in ("light", "dark"):
        # Without motion, so that no colour is caught halfway between the schemes.
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        wrong += [f"{scheme}: {text}" for text in axe.violations(page)]
    page.set_viewport_size(NARROW)
    wrong += [f"narrow: {text}" for text in axe.violations(page)]
    if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
        wrong.append("narrow: the page scrolls sideways")
    page.set_viewport_size(WIDE)
    return wrong


def policy_complaints(answer) -> list[str]:
    """What is wrong with the headers of a page."""
    headers = answer.headers
    policy = headers.get("content-security-policy", "")
    wrong = []
    for part in ("default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"):
        if part not in policy:
            wrong.append(f"policy lacks {part}: {policy}")
    if "script-src" in policy or "unsafe" in policy:
        wrong.append(f"policy allows script: {policy}")
    for name, value in {
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "cache-control": "no-store",
    }.items():
        if headers.get(name) != value:
            wrong.append(f"{name} is {headers.get(name)}")
    return wrong
