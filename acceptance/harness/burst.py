"""Many concurrent requests from one thread: plain HTTP/1.1, one connection each."""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass


@dataclass
class Answer:
    """What became of one request; status 0 when the connection broke."""

    target: str
    status: int
    head: str
    body: bytes


async def _one(target: str, request: bytes, timeout: float) -> Answer:
    host, port = target.split(":")
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection(host, int(port))
            try:
                writer.write(request)
                await writer.drain()
                raw = await reader.read()
            finally:
                writer.close()
    except TimeoutError:  # an OSError too, but this caller hung
        raise
    except OSError as error:
        return Answer(target, 0, repr(error), b"")
    head, end, rest = raw.partition(b"\r\n\r\n")
    body = _body(head.lower(), rest) if end else None
    parts = head.split(b" ", 2)
    whole = body is not None and len(parts) == 3 and parts[1].isdigit()
    return Answer(target, int(parts[1]) if whole else 0, head.decode("latin-1"), body or b"")


def _body(head: bytes, rest: bytes) -> bytes | None:
    """The body after a head in lower case; `None` when it was cut off."""
    if b"\r\ntransfer-encoding: chunked" in head:
        return _joined(rest)
    length = re.search(rb"\r\ncontent-length: (\d+)", head)
    return rest if length is None or len(rest) == int(length[1]) else None


def _joined(chunks: bytes) -> bytes | None:
    """The content of a chunked body; `None` when it was cut off."""
    content = b""
    while chunks:
        size, _, chunks = chunks.partition(b"\r\n")
        length = int(size, 16)
        if length == 0:
            return content
        if len(chunks) < length + 2:
            return None
        content, chunks = content + chunks[:length], chunks[length + 2 :]
    return None


def burst(targets: list[str], path: str, headers: dict[str, str], *, timeout: float = 90.0) -> list[Answer]:
    """Sends one GET to each target (`host:port`), all at once, and waits for all answers.

    Raises `TimeoutError` when one takes longer than `timeout` seconds: a caller must never hang.
    """
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "connection: close"]
    request = ("\r\n".join(lines) + "\r\n\r\n").encode()

    async def all_of_them() -> list[Answer]:
        return list(await asyncio.gather(*(_one(target, request, timeout) for target in targets)))

    # A thread of its own: Playwright's event loop may be running in this one.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, all_of_them()).result()
