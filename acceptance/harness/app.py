"""The developer's own application: it owns the users' sessions and the page that verifies them."""

from __future__ import annotations

import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class App:
    """Answers every path with a page and remembers the queries that arrived at `/user/verify`."""

    def __init__(self):
        visits: queue.Queue[dict[str, str]] = queue.Queue()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                parts = urlsplit(self.path)
                if parts.path == "/user/verify":
                    visits.put({name: values[0] for name, values in parse_qs(parts.query).items()})
                body = b"<!doctype html><title>App</title><h1>Back in the app</h1>"
                self.send_response(200)
                self.send_header("content-type", "text/html")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args):
                pass

        self.visits = visits
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://localhost:{self._server.server_port}"
        self.verify_url = f"{self.url}/user/verify"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def visit(self, timeout: float = 10.0) -> dict[str, str]:
        """The query of the next browser that was sent back for verification."""
        return self.visits.get(timeout=timeout)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
