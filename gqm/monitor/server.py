"""The HTTP server: the standard library's threaded one with limits on time, bytes and connections."""

from __future__ import annotations

import http.server
import io
import logging
import socket
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Protocol

from gqm.config import split_host_port
from gqm.monitor.limits import (
    ANSWER_S,
    IDLE_S,
    MAX_CONNECTIONS,
    RECEIVE_S,
    STREAM_WRITE_S,
)
from gqm.monitor.problems import Problem
from gqm.monitor.wire import Connection, Gone, Head

if TYPE_CHECKING:
    from gqm.monitor.request import Environ

log = logging.getLogger("gqm.api")


class Application(Protocol):
    """What is served: a WSGI callable."""

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request."""


class HTTPServer(http.server.ThreadingHTTPServer):
    """Serves one WSGI application. It listens from the moment it is made; `start` makes it answer."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, application: Application, address: str, *, most: int = MAX_CONNECTIONS) -> None:
        """``address`` is ``host:port`` or ``:port``. Raises ``OSError`` if it cannot be listened on."""
        parts = split_host_port(address)
        if parts is None:
            raise OSError(f"{address!r} is not an address; use host:port or :port")
        self._application = application
        self._most = most
        self._lock = threading.Lock()
        self._connections: set[Connection] = set()
        self._closing = False
        self._thread: threading.Thread | None = None
        self.address_family, where = _family(*parts)
        super().__init__(where, http.server.BaseHTTPRequestHandler)

    def server_bind(self) -> None:
        """Bind the socket; for all addresses, of both families."""
        if self.address_family == socket.AF_INET6 and self.server_address[0] == "::":
            with suppress(OSError):
                self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        if sys.platform != "win32":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self.server_port

    @property
    def connections(self) -> int:
        """Number of open connections."""
        return len(self._connections)

    def start(self) -> None:
        """Answer requests, in threads."""
        self._thread = threading.Thread(target=self.serve_forever, args=(0.1,), name="gqm api", daemon=True)
        self._thread.start()

    def stop(self, limit_s: float = 2.0) -> None:
        """Take no more requests, let those under way end, then cut what is left."""
        self._closing = True
        if self._thread is not None:
            self.shutdown()
            self._thread.join()
        self.server_close()
        end = time.monotonic() + limit_s
        while self._cut_idle() and time.monotonic() < end:
            time.sleep(0.01)
        with self._lock:
            left = list(self._connections)
        for connection in left:
            connection.cut()

    def _cut_idle(self) -> bool:
        """End connections that wait for a request; returns whether others are busy."""
        with self._lock:
            waiting = [item for item in self._connections if not item.busy]
            busy = len(self._connections) > len(waiting)
        for connection in waiting:
            connection.cut()
        return busy

    # ------------------------------------------------------------------------------- connections

    def process_request(self, request: Any, client_address: Any) -> None:
        """Take a new connection, in the place of the one that waits longest if there are too many."""
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(request, str(client_address[0]))
        with self._lock:
            replaced = None
            if len(self._connections) >= self._most:
                waiting = [item for item in self._connections if not item.busy]
                replaced = min(waiting, key=lambda item: item.since, default=None)
                if replaced is not None:
                    self._connections.discard(replaced)
            full = len(self._connections) >= self._most
            if not full:
                self._connections.add(connection)
        if replaced is not None:
            replaced.cut()
        if full:
            self._refuse(connection)
            return
        thread = threading.Thread(target=self._serve, args=(connection,), name="gqm api request", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no more threads
            self._forget(connection)

    def _refuse(self, connection: Connection) -> None:
        problem = Problem("SERVER_BUSY", "too many connections; try again")
        with suppress(OSError):
            connection.send(self._answer_to(connection, problem), 0.2)
            connection.socket.settimeout(0)
            connection.socket.recv(65_536)  # what is unread would make the client lose the answer
        connection.close()

    def _forget(self, connection: Connection, *, politely: bool = False) -> None:
        connection.close(politely=politely)
        with self._lock:
            self._connections.discard(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what went wrong while a connection was taken."""
        log.exception("connection of %s could not be taken", client_address)

    # ---------------------------------------------------------------------------------- requests

    def _serve(self, connection: Connection) -> None:
        politely = False
        try:
            while connection.wait(IDLE_S) and self._one(connection):
                connection.busy = False
        except _Refused:
            politely = True
        except (Gone, OSError):
            log.debug("%s went away", connection.address)
        except Exception:
            log.exception("a request of %s failed in the server", connection.address)
        finally:
            self._forget(connection, politely=politely)

    def _one(self, connection: Connection) -> bool:
        """Answer one request; returns whether the connection can be used again."""
        deadline = time.monotonic() + RECEIVE_S
        try:
            head = Head(connection.head(deadline))
            length = head.length()
            if length and head.fields.get(b"expect", b"").lower() == b"100-continue":
                connection.send(b"HTTP/1.1 100 Continue\r\n\r\n", RECEIVE_S)
            body = connection.body(length, deadline)
        except Problem as problem:
            connection.busy = True
            connection.send(self._answer_to(connection, problem), ANSWER_S)
            raise _Refused from None
        connection.busy = True
        keep = head.keeps_alive and not self._closing
        exchange = _Exchange(connection, head.method == "HEAD", keep)
        exchange.run(self._application, _environ(self, connection, head, body))
        return exchange.keep

    def _answer_to(self, connection: Connection, problem: Problem) -> bytes:
        """Return what the application answers to a request that never became one."""
        environ = _environ(self, connection, None, b"")
        environ["gqm.problem"] = problem
        exchange = _Exchange(connection, False, False)
        pieces = self._application(environ, exchange.start_response)
        return exchange.head() + b"".join(pieces)


class _Refused(Exception):
    """The request was refused before it was whole; the connection has to be closed."""


class _Exchange:
    """One answer on its way to the client."""

    def __init__(self, connection: Connection, headless: bool, keep: bool) -> None:
        self._connection = connection
        self._without_body = headless
        self.keep = keep
        self._status = ""
        self._fields: list[tuple[str, str]] = []

    def start_response(self, status: str, fields: list[tuple[str, str]], exc_info: object = None) -> None:
        """Take status and header fields, as WSGI has it."""
        self._status, self._fields = status, fields

    def head(self) -> bytes:
        """Return status line and header fields."""
        known = {name.lower() for name, _ in self._fields}
        if "content-length" not in known and not self._status.startswith("304"):
            self.keep = False
        fields = [*self._fields, ("Date", formatdate(usegmt=True))]
        fields.append(("Connection", "keep-alive" if self.keep else "close"))
        lines = [f"HTTP/1.1 {self._status}", *(f"{name}: {value}" for name, value in fields), "", ""]
        return "\r\n".join(lines).encode("latin-1", "replace")

    def run(self, application: Application, environ: Environ) -> None:
        """Let the application answer, and send it. Raises ``OSError`` if the client does not take it."""
        pieces = application(environ, self.start_response)
        try:
            if isinstance(pieces, list):
                self._connection.send(self.head() + b"".join(pieces), ANSWER_S)
                return
            self._connection.send(self.head(), STREAM_WRITE_S)
            for piece in pieces:
                self._connection.send(piece, STREAM_WRITE_S)
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:
                close()


def _family(host: str, port: int) -> tuple[socket.AddressFamily, Any]:
    if not host:
        return (socket.AF_INET6, ("::", port)) if _has_ipv6() else (socket.AF_INET, ("0.0.0.0", port))
    flags = socket.AI_PASSIVE
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    family, _, _, _, where = min(found, key=lambda item: item[0] != socket.AF_INET)
    return family, where


def _has_ipv6() -> bool:
    if not socket.has_ipv6:
        return False
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def _environ(server: HTTPServer, connection: Connection, head: Head | None, body: bytes) -> Environ:
    environ: Environ = {
        "REQUEST_METHOD": head.method if head else "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "",
        "QUERY_STRING": "",
        "REQUEST_URI": head.target if head else "",
        "SERVER_PROTOCOL": head.version if head else "HTTP/1.1",
        "SERVER_NAME": server.server_name,
        "SERVER_PORT": str(server.server_port),
        "REMOTE_ADDR": connection.address,
        "CONTENT_LENGTH": str(len(body)) if body else "",
        "CONTENT_TYPE": "",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    if head is None:
        return environ
    path, _, environ["QUERY_STRING"] = head.target.partition("?")
    environ["PATH_INFO"] = path
    for name, value in head.fields.items():
        text = value.decode("latin-1")
        if name == b"content-type":
            environ["CONTENT_TYPE"] = text
        elif name != b"content-length" and b"_" not in name:
            environ["HTTP_" + name.decode().upper().replace("-", "_")] = text
    return environ
