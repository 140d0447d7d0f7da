"""A running API for one test, and a client that says what it got."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import bcrypt

from gqm import Client
from gqm.config import Config, code_options, default_config, merge
from gqm.monitor.build import build
from gqm.monitor.options import Hooks
from gqm.monitor.pipeline import App
from gqm.monitor.server import HTTPServer
from gqm.store.connect import open_link

ADMIN_KEY = "admin-key-" + "a" * 32
VIEWER_KEY = "viewer-key-" + "v" * 32
PASSWORD = "correct horse"
HASH = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
KEYS = [
    {"name": "boss", "key": ADMIN_KEY, "role": "admin"},
    {"name": "grafana", "key": VIEWER_KEY, "role": "viewer"},
]
USERS = [
    {"username": "ana", "password_hash": HASH, "role": "admin"},
    {"username": "vic", "password_hash": HASH},
]
SIGN_IN: dict[str, Any] = {"auth_enabled": True, "auth_users": USERS, "api_keys": KEYS}


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    @property
    def data(self) -> Any:
        assert self.status == 200, self.raw
        return self.json["data"]

    @property
    def code(self) -> str:
        return str(self.json["code"])

    def __str__(self) -> str:
        return f"{self.status} {self.raw[:300]!r}"


@dataclass
class Api:
    """One API that listens, and the key space behind it."""

    app: App
    server: HTTPServer
    client: Client
    cookies: dict[str, str] = field(default_factory=dict)

    @property
    def port(self) -> int:
        return self.server.port

    def ask(
        self,
        method: str,
        path: str,
        *,
        key: str | None = ADMIN_KEY,
        user: str | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        raw: bytes | None = None,
    ) -> Answer:
        """Send one request: with a key, or as a signed-in user, or (``key=None``) as nobody."""
        sent: dict[str, str] = {}
        if user is not None:
            sent = {"Cookie": self.cookies[user], "X-GQM-CSRF": "1"}
        elif key is not None:
            sent = {"X-API-Key": key}
        data = raw
        if body is not None:
            data = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        sent.update(headers or {})
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        try:
            connection.request(method, path, data, sent)
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def get(self, path: str, **options: Any) -> Answer:
        return self.ask("GET", path, **options)

    def post(self, path: str, **options: Any) -> Answer:
        return self.ask("POST", path, **options)

    def delete(self, path: str, **options: Any) -> Answer:
        return self.ask("DELETE", path, **options)

    def log_in(self, name: str, password: str = PASSWORD, **headers: str) -> Answer:
        """Sign in; the cookie is kept for ``user=name``."""
        body = {"username": name, "password": password}
        answer = self.post("/auth/login", key=None, body=body, headers=headers)
        if answer.status == 200:
            self.cookies[name] = answer.headers["Set-Cookie"].partition(";")[0]
        return answer

    def talk(self, data: bytes, timeout: float = 15.0) -> bytes:
        """Send bytes on a connection of their own and return everything that comes until it is closed."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as sock:
            sock.sendall(data)
            return read_all(sock)


def read_all(sock: socket.socket) -> bytes:
    """Read until the connection ends, in whatever way."""
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := sock.recv(65_536):
            found += piece
    return found


def make_config(redis: str, prefix: str, **options: Any) -> Config:
    options.setdefault("api_addr", "127.0.0.1:0")
    queues = options.pop("queues", [])
    config = default_config(code_options(redis=redis, prefix=prefix, api=True, **options), env={})
    return merge(config, {"queues": queues}) if queues else config


@contextmanager
def serve(
    redis: str, prefix: str, *, hooks: Hooks | None = None, most: int = 64, **options: Any
) -> Iterator[Api]:
    """Serve an API over a prefix; options are those of ``Server``."""
    config = make_config(redis, prefix, **options)
    app = build(config, open_link(config.redis), hooks)
    server = HTTPServer(app, "127.0.0.1:0", most=most)
    app.context.metrics.connections = lambda: server.connections
    server.start()
    client = Client(redis, prefix=prefix)
    try:
        yield Api(app, server, client)
    finally:
        app.end_streams()
        server.stop(1.0)
        app.close()
        client.close()


def in_threads(count: int, work: Any) -> list[Any]:
    """Run ``work(index)`` in threads that begin together; return what they returned."""
    results: list[Any] = [None] * count
    gate = threading.Barrier(count)

    def run(index: int) -> None:
        gate.wait()
        results[index] = work(index)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
