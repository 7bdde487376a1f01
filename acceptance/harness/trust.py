"""Makes the client libraries in this process trust the servers under test.

gRPC's C core reads its root certificates once per process, at the first secure channel. So all servers whose Python
client runs inside pytest are started before, and their bundles are joined here; anything later runs its client in a
process of its own, which is how an application meets the server anyway.
"""

from __future__ import annotations

import os
from pathlib import Path

from .server import Server

VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH")


def trust(servers: list[Server], bundle: Path) -> None:
    """Joins the servers' bundles into `bundle` and points the libraries of this process at it."""
    missing = [name for server in servers for name in VARIABLES if name not in server.env]
    assert not missing, f"dev.env lacks {missing}"
    seen = dict.fromkeys(server.env["GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"] for server in servers)
    bundle.write_text("\n".join(Path(path).read_text() for path in seen))
    for name in VARIABLES:
        os.environ[name] = str(bundle)
