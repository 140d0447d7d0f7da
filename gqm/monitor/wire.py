"""The bytes of HTTP/1.1: a connection that is read against a deadline, and heads that are parsed strictly."""

from __future__ import annotations

import re
import socket
import time
from contextlib import suppress

from gqm.monitor.limits import MAX_BODY, MAX_FIELDS, MAX_HEAD, MAX_TARGET, RECEIVE_S
from gqm.monitor.problems import Problem

_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) ([\x21-\x7e]+) HTTP/1\.([01])")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*?)[ \t]*")
_ONCE = (b"content-length", b"host", b"transfer-encoding", b"content-type", b"authorization", b"x-api-key")
_DRAIN_S = 0.5


class Gone(Exception):
    """The client is gone, or was sent away."""


class Connection:
    """One client, and what its connection is at."""

    def __init__(self, sock: socket.socket, address: str) -> None:
        self.socket = sock
        self.address = address
        self.busy = False
        """Whether a request is being answered; else it may be replaced."""
        self.since = time.monotonic()
        self._buffer = bytearray()

    def wait(self, limit_s: float) -> bool:
        """Wait for the first byte of a request; False if none comes."""
        self.since = time.monotonic()
        try:
            return bool(self._buffer) or self._receive(self.since + limit_s)
        except TimeoutError:
            return False

    def head(self, deadline: float) -> bytes:
        """Read up to the empty line. Raises `Problem`, `Gone`."""
        while self._buffer.startswith(b"\r\n"):  # some clients send one behind a body
            del self._buffer[:2]
        while True:
            end = self._buffer.find(b"\r\n\r\n")
            _check_begin(self._buffer if end < 0 else self._buffer[: end + 2])
            if end >= 0:
                head = bytes(self._buffer[:end])
                del self._buffer[: end + 4]
                return head
            self._more(deadline)

    def body(self, length: int, deadline: float) -> bytes:
        """Read a body. Raises `Problem`, `Gone`."""
        while len(self._buffer) < length:
            self._more(deadline)
        body = bytes(self._buffer[:length])
        del self._buffer[:length]
        return body

    def _more(self, deadline: float) -> None:
        try:
            if not self._receive(deadline):
                raise Gone
        except TimeoutError:
            raise Problem("REQUEST_TIMEOUT", f"the request was not there within {RECEIVE_S:g} s") from None

    def _receive(self, deadline: float) -> bool:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.socket.settimeout(left)
        piece = self.socket.recv(65_536)
        self._buffer += piece
        return bool(piece)

    def send(self, data: bytes, limit_s: float) -> None:
        """Send all. Raises ``OSError`` if the client does not take it in time."""
        self.socket.settimeout(limit_s)
        self.socket.sendall(data)

    def close(self, *, politely: bool = False) -> None:
        """Close; politely = let the client read what was sent, whatever it still sends."""
        with suppress(OSError):
            if politely:
                self.socket.shutdown(socket.SHUT_WR)
                end = time.monotonic() + _DRAIN_S
                while (left := end - time.monotonic()) > 0:
                    self.socket.settimeout(left)
                    if not self.socket.recv(65_536):
                        break
        self.socket.close()

    def cut(self) -> None:
        """End the connection from another thread."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)


def _check_begin(buffer: bytearray) -> None:
    """Refuse what cannot become a request any more. Raises `Problem`."""
    line, end, _ = buffer.partition(b"\r\n")
    if b"\n" in line:
        raise Problem("BAD_REQUEST", "lines end with CR LF")
    if len(line) > MAX_TARGET + 64:
        raise Problem("URI_TOO_LONG", f"the target is longer than {MAX_TARGET:,} bytes")
    if end and not _REQUEST_LINE.fullmatch(line):
        raise Problem("BAD_REQUEST", "this is no HTTP/1.1 request")
    if len(buffer) > MAX_HEAD:
        raise Problem("HEADERS_TOO_LARGE", f"the header fields are larger than {MAX_HEAD:,} bytes")
    if buffer.count(b"\r\n") > MAX_FIELDS + 1:
        raise Problem("HEADERS_TOO_LARGE", f"there are more than {MAX_FIELDS} header fields")


class Head:
    """Request line and header fields."""

    def __init__(self, raw: bytes) -> None:
        line, *fields = raw.split(b"\r\n")
        match = _REQUEST_LINE.fullmatch(line)
        if match is None:
            raise Problem("BAD_REQUEST", "this is no HTTP/1.1 request")
        self.method, self.target = match[1].decode(), match[2].decode()
        self.version = f"HTTP/1.{match[3].decode()}"
        if len(self.target) > MAX_TARGET:
            raise Problem("URI_TOO_LONG", f"the target is longer than {MAX_TARGET:,} bytes")
        self.fields: dict[bytes, bytes] = {}
        for field in fields:
            self._add(field)
        if self.version == "HTTP/1.1" and b"host" not in self.fields:
            raise Problem("BAD_REQUEST", "the Host field is missing")

    def _add(self, field: bytes) -> None:
        match = _FIELD.fullmatch(field)
        if match is None:
            raise Problem("BAD_REQUEST", f"this is no header field: {field[:60]!r}")
        name, value = match[1].lower(), match[2]
        if name not in self.fields:
            self.fields[name] = value
        elif name in _ONCE:
            raise Problem("BAD_REQUEST", f"the field {name.decode()} is there twice")
        else:
            self.fields[name] += (b"; " if name == b"cookie" else b", ") + value

    @property
    def keeps_alive(self) -> bool:
        """Whether the client wants to send another request."""
        tokens = {item.strip().lower() for item in self.fields.get(b"connection", b"").split(b",")}
        if self.version == "HTTP/1.0":
            return b"keep-alive" in tokens
        return b"close" not in tokens

    def length(self) -> int:
        """Return the length of the body. Raises `Problem` for one that cannot be told, or is too large."""
        text = self.fields.get(b"content-length")
        if b"transfer-encoding" in self.fields:
            if text is not None:
                raise Problem("BAD_REQUEST", "Content-Length and Transfer-Encoding exclude each other")
            raise Problem("LENGTH_REQUIRED", "a body needs a Content-Length; chunked bodies are not taken")
        if text is None:
            return 0
        if not re.fullmatch(rb"[0-9]{1,18}", text):
            raise Problem("BAD_REQUEST", f"Content-Length is no number: {text[:40]!r}")
        length = int(text)
        if length > MAX_BODY:
            raise Problem("PAYLOAD_TOO_LARGE", f"the body is {length:,} bytes; the limit is {MAX_BODY:,}")
        return length
