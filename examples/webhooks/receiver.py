"""The customer's side: an HTTP server that checks signatures and takes so many calls a second."""

from __future__ import annotations

import hashlib
import hmac
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


class Receiver:
    """Listens on a free port of this machine while it is entered."""

    def __init__(self, secret: bytes, per_second: int) -> None:
        self._secret = secret
        self._per_second = per_second
        self._lock = threading.Lock()
        self._second = 0
        self._taken_now = 0
        self._taken: Counter[str] = Counter()
        self.refused = 0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = receiver.take(body, self.headers["X-Signature"], self.headers["X-Event-Id"])
                self.send_response(status)
                if status == 429:
                    self.send_header("Retry-After", "1")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                """Keep the terminal for what the example shows."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}/"

    @property
    def each_once(self) -> bool:
        """Whether no event was taken twice."""
        return set(self._taken.values()) == {1}

    def take(self, body: bytes, signature: str, event_id: str) -> int:
        """Return the status of the answer to a call."""
        expected = f"sha256={hmac.new(self._secret, body, hashlib.sha256).hexdigest()}"
        if not hmac.compare_digest(signature, expected):
            return 401
        with self._lock:
            if self._second != int(time.time()):
                self._second, self._taken_now = int(time.time()), 0
            if self._taken_now >= self._per_second:
                self.refused += 1
                return 429
            self._taken_now += 1
            self._taken[event_id] += 1
        return 204

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
