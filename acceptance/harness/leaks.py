"""Finds secrets in what a program left behind, also encoded or compressed."""

from __future__ import annotations

import base64
import zlib
from urllib.parse import quote, quote_plus

GZIP = b"\x1f\x8b\x08"


def forms(secret: str) -> dict[str, bytes]:
    """What a secret looks like in a file, by the name of the encoding."""
    raw = secret.encode()
    found = {
        "plain": raw,
        "hex": raw.hex().encode(),
        "hex in capitals": raw.hex().upper().encode(),
        "url": quote(secret, safe="").encode(),
        "url in small letters": quote(secret, safe="").lower().encode(),
        "form": quote_plus(secret).encode(),
    }
    for before in range(3):
        # Inside a longer text the first and last characters depend on the neighbours: they are left out.
        text = base64.b64encode(b"\0" * before + raw)
        start, end = -(-before * 8 // 6), (before + len(raw)) * 8 // 6
        found[f"base64 after {before}"] = text[start:end]
        found[f"base64url after {before}"] = text[start:end].replace(b"+", b"-").replace(b"/", b"_")
    return found


def search(content: bytes, secrets: dict[str, str]) -> list[str]:
    """Names of the secrets that the content holds, each with its encoding; unpacks gzip members inside."""
    small = content.lower()
    hits = []
    for name, secret in secrets.items():
        for encoding, needle in forms(secret).items():
            place = small if encoding == "url in small letters" else content
            if needle in place:
                hits.append(f"{name} ({encoding})")
    start = content.find(GZIP)
    while start >= 0:
        hits += [f"{hit} in gzip" for hit in search(_unpacked(content[start:]), secrets)]
        start = content.find(GZIP, start + 1)
    return hits


def _unpacked(content: bytes) -> bytes:
    """What can be unpacked from the start of the content; a chance match of the magic number gives little or nothing."""
    try:
        return zlib.decompressobj(wbits=31).decompress(content, 64 * 1024 * 1024)
    except zlib.error:
        return b""
