"""A proxy in front of a Redis that loses answers, hangs, resets or delays on demand."""

from __future__ import annotations

import heapq
import itertools
import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from tests.support.wait import eventually

__all__ = ["Proxy"]

_CHUNK = 65_536
_RESET = struct.pack("ii", 1, 0)  # linger of 0 s: close() sends RST


class _Pair:
    """One connection through the proxy: the caller's side and the server's."""

    def __init__(self, caller: socket.socket, server: socket.socket) -> None:
        self.caller = caller
        self.server = server

    def close(self, *, reset: bool) -> None:
        if reset and self.caller.family != socket.AF_UNIX:
            with suppress(OSError):
                self.caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        for side in (self.caller, self.server):
            with suppress(OSError):
                side.close()


class Proxy:
    """Forwards TCP connections to a Redis; ``proxy.port`` on 127.0.0.1 is its address.

    A fault acts on what passes after it was asked for, so a test asks first and acts then::

        proxy.lose_answers(1)    the server applies the next request, then the line breaks, its answer is lost
        proxy.lose_requests(1)   the line breaks before the server sees the next request
        proxy.hang()             nothing passes any more and no line breaks (half-open); thaw() ends it
        proxy.reset()            all lines break at once
        proxy.refuse()           the same, and new lines are closed at once; accept() ends it
        proxy.latency_s = 0.2    every piece waits so long, in each direction
    """

    def __init__(self, target: str | tuple[str, int]) -> None:
        """``target`` is the path of a unix socket, or host and port."""
        self._target = target
        self.latency_s = 0.0
        self.lost_answers = 0
        """Answers dropped so far."""
        self.lost_requests = 0
        """Requests dropped so far."""
        self.connections = 0
        """Lines that were opened so far."""
        self._lose_answers = 0
        self._lose_requests = 0
        self._only: Callable[[bytes], bool] = lambda request: True
        self._doomed: set[_Pair] = set()
        self._late: list[tuple[float, int, _Pair, socket.socket, bytes]] = []
        self._order = itertools.count()
        self._hanging = False
        self._refusing = False
        self._lock = threading.RLock()
        self._pairs: dict[socket.socket, _Pair] = {}
        self._selector = selectors.DefaultSelector()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._waker, wake_end = socket.socketpair()
        self._selector.register(wake_end, selectors.EVENT_READ)
        self._wake_end = wake_end
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="redis proxy", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- faults

    def lose_answers(self, count: int = 1, *, only: Callable[[bytes], bool] | None = None) -> None:
        """Break the line in place of each of the next ``count`` answers; the server has applied the requests.

        ``only`` chooses the requests (raw bytes as sent) whose answers are lost.
        """
        with self._lock:
            self._lose_answers = count
            self._only = only or (lambda request: True)

    def lose_requests(self, count: int = 1, *, only: Callable[[bytes], bool] | None = None) -> None:
        """Break the line in place of each of the next ``count`` requests; the server sees nothing of them."""
        with self._lock:
            self._lose_requests = count
            self._only = only or (lambda request: True)

    def hang(self) -> None:
        """Let nothing pass any more without breaking a line, also not on new ones."""
        self._hanging = True

    def thaw(self) -> None:
        """Let everything pass again, also what has come meanwhile."""
        self._hanging = False
        self._waker.send(b"!")

    def refuse(self) -> None:
        """Break all lines, and close new ones at once."""
        self._refusing = True
        self.reset()

    def accept(self) -> None:
        """Accept new lines again."""
        self._refusing = False

    def reset(self) -> None:
        """Break all lines at once (RST)."""
        with self._lock:
            for pair in set(self._pairs.values()):
                self._end(pair, reset=True)

    @property
    def open_lines(self) -> int:
        """Number of lines that are open now."""
        return len(set(self._pairs.values()))

    def wait_for_loss(self, answers: int) -> None:
        """Wait until so many answers were lost in all."""
        eventually(lambda: self.lost_answers >= answers, message=f"{answers} answers lost")

    def close(self) -> None:
        """End the proxy and all its lines."""
        self._closed = True
        with suppress(OSError):
            self._waker.send(b"!")
        self._thread.join(timeout=10)
        with self._lock:
            for pair in set(self._pairs.values()):
                self._end(pair, reset=False)
        for item in (self._listener, self._waker, self._wake_end):
            item.close()
        self._selector.close()

    # -- forwarding

    def _serve(self) -> None:
        while not self._closed:
            if self._hanging:
                # Level-triggered: what waits in the sockets is seen again after the thaw.
                self._wake_end.recv(1)
                continue
            for key, _ in self._selector.select(timeout=self._until_next()):
                source = key.fileobj
                if source is self._listener:
                    self._open()
                elif source is self._wake_end:
                    self._wake_end.recv(1)
                elif isinstance(source, socket.socket) and not self._hanging:
                    self._forward(source)
            while self._late and self._late[0][0] <= time.monotonic():
                _, _, pair, side, data = heapq.heappop(self._late)
                self._send(pair, side, data)

    def _until_next(self) -> float:
        return max(0.0, min(0.05, self._late[0][0] - time.monotonic())) if self._late else 0.05

    def _open(self) -> None:
        with suppress(OSError):
            caller, _ = self._listener.accept()
            self.connections += 1
            if self._refusing:
                caller.close()
                return
            server = socket.socket(socket.AF_UNIX if isinstance(self._target, str) else socket.AF_INET)
            try:
                server.connect(self._target)
            except OSError:
                server.close()
                caller.close()
                return
            for side in (caller, server):
                if side.family != socket.AF_UNIX:
                    side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                pair = _Pair(caller, server)
                for side in (caller, server):
                    self._pairs[side] = pair
                    self._selector.register(side, selectors.EVENT_READ)

    def _forward(self, source: socket.socket) -> None:
        with self._lock:
            pair = self._pairs.get(source)
            if pair is None:
                return
            from_caller = source is pair.caller
            try:
                data = source.recv(_CHUNK)
            except OSError:
                data = b""
            if not data:
                self._end(pair, reset=False)
                return
            if self._is_lost(pair, data, from_caller=from_caller):
                return
        side = pair.server if from_caller else pair.caller
        if self.latency_s:
            due = time.monotonic() + self.latency_s
            heapq.heappush(self._late, (due, next(self._order), pair, side, data))
        else:
            self._send(pair, side, data)

    def _send(self, pair: _Pair, side: socket.socket, data: bytes) -> None:
        try:
            side.sendall(data)
        except OSError:
            with self._lock:
                self._end(pair, reset=False)

    def _is_lost(self, pair: _Pair, data: bytes, *, from_caller: bool) -> bool:
        if from_caller:
            if self._lose_requests and self._only(data):
                self._lose_requests -= 1
                self.lost_requests += 1
                self._end(pair, reset=True)
                return True
            if self._lose_answers and pair not in self._doomed and self._only(data):
                self._lose_answers -= 1
                self._doomed.add(pair)
            return False
        if pair in self._doomed:
            # The server answers only after it has done what was asked.
            self.lost_answers += 1
            self._end(pair, reset=True)
            return True
        return False

    def _end(self, pair: _Pair, *, reset: bool) -> None:
        for side in (pair.caller, pair.server):
            if self._pairs.pop(side, None) is not None:
                with suppress(KeyError, ValueError):
                    self._selector.unregister(side)
        self._doomed.discard(pair)
        pair.close(reset=reset)
