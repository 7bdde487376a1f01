"""Debian's Chromium, trusting exactly the certificates of the servers under test."""

from __future__ import annotations

import base64
import hashlib
import ssl

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from .server import Server

CHROMIUM = "/usr/bin/chromium"


def key_pin(server: Server) -> str:
    """The hash of the server's public key in the form that Chromium's command line takes."""
    pem = ssl.get_server_certificate(("localhost", server.port))
    key = x509.load_pem_x509_certificate(pem.encode()).public_key()
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(der).digest()).decode()


def launch(playwright, servers: list[Server]):
    """Starts Chromium. Playwright's own download is never used."""
    pins = ",".join(key_pin(server) for server in servers)
    return playwright.chromium.launch(
        executable_path=CHROMIUM,
        args=[f"--ignore-certificate-errors-spki-list={pins}", "--disable-gpu", "--disable-dev-shm-usage"],
    )
