"""Event streams: one listener and one watcher for all of them, a bounded buffer for each client."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import msgspec

from gqm.errors import GQMError, RedisUnavailable
from gqm.monitor.answers import Stream
from gqm.monitor.changes import Event, JobChanges, Watch
from gqm.monitor.limits import MAX_STREAMS, SLOW_S
from gqm.monitor.problems import Problem
from gqm.monitor.queries import Names

if TYPE_CHECKING:
    from gqm.monitor.backend import Backend
    from gqm.monitor.context import Context
    from gqm.monitor.request import Request

log = logging.getLogger("gqm.api")

MAX_BUFFER = 1000
MAX_PER_S = 200
"""Job events a second, over all streams."""
WATCH_EVERY_S = 2.0
STATS_EVERY_S = 5.0
COMMENT_EVERY_S = 15.0
CHECK_EVERY_S = 15.0
"""How often the credential of a stream is checked again."""
MAX_AGE_S = 3600.0
RECONNECT_S = 1.0


class EventsQuery(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Which events; all without a parameter."""

    queue: Names = ()
    """Only job and queue events of these queues."""
    type: Names = ()
    """Only job events of these types."""
    events: Names = ()
    """Only events of these kinds; `dropped` and `redis` come always."""


class Client:
    """One stream, and what waits to be sent on it."""

    def __init__(self, wanted: EventsQuery) -> None:
        self._wanted = wanted
        self._ready = threading.Condition()
        self._events: deque[Event] = deque()
        self._dropped = 0
        self.writing_since: float | None = None
        """On the monotonic clock, while a piece is being sent."""
        self.bye = ""
        """Why it ends; empty while it goes on."""

    def wants(self, kind: str) -> bool:
        """Whether events of a kind are asked for."""
        return not self._wanted.events or kind in self._wanted.events

    def _fits(self, event: Event) -> bool:
        if not self.wants(event.kind) and event.kind not in ("dropped", "redis"):
            return False
        queue, job_type = event.data.get("queue"), event.data.get("type")
        if event.kind in ("job", "queue") and self._wanted.queue and queue not in self._wanted.queue:
            return False
        return event.kind != "job" or not self._wanted.type or job_type in self._wanted.type

    def put(self, event: Event) -> None:
        """Hand an event over; if the client is too slow, it is only counted."""
        if not self._fits(event):
            return
        with self._ready:
            since = self.writing_since
            if since is not None and time.monotonic() - since > SLOW_S:
                self.bye = self.bye or "slow_client"
            if len(self._events) >= MAX_BUFFER:
                self._dropped += 1
                return
            self._events.append(event)
            self._ready.notify()

    def end(self, reason: str) -> None:
        """Make the stream say good-bye and end."""
        with self._ready:
            self.bye = self.bye or reason
            self._ready.notify()

    def take(self, limit_s: float) -> tuple[list[Event], int]:
        """Return what waits, after at most ``limit_s`` seconds, and how much was dropped."""
        with self._ready:
            if not self._events and not self.bye:
                self._ready.wait(limit_s)
            events = list(self._events)
            self._events.clear()
            dropped, self._dropped = self._dropped, 0
            return events, dropped


class Hub:
    """All streams of one API. Its threads run only while there is one."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._lock = threading.Lock()
        self._clients: set[Client] = set()
        self._nudged = threading.Event()
        self._stopping = threading.Event()
        self._generation = 0
        self._up = True
        self._context: Context | None = None
        self._clock_ahead_s = 0.0
        self._second = 0
        self._sent = 0
        self._over = 0

    @property
    def clients(self) -> int:
        """Number of open streams."""
        return len(self._clients)

    def open(self, context: Context, request: Request) -> Stream:
        """Begin a stream. Raises `Problem`, `RedisUnavailable`."""
        if self._stopping.is_set():
            raise Problem("NOT_READY", "the server is stopping")
        now = self._backend.now()
        client = Client(request.params)
        self._clock_ahead_s = now - time.monotonic()
        with self._lock:
            if len(self._clients) >= MAX_STREAMS:
                raise Problem("SERVER_BUSY", f"there are {MAX_STREAMS} event streams already")
            self._clients.add(client)
            self._context = context
            if len(self._clients) == 1:
                self._generation += 1
                for work in (self._listen, self._watch):
                    name = f"gqm events {work.__name__}"
                    threading.Thread(target=work, args=(self._generation,), name=name, daemon=True).start()
        return Stream(_Pieces(self, client, context, request, now), "text/event-stream")

    def now(self) -> float:
        """Return the clock of Redis, as far as it was seen."""
        return round(time.monotonic() + self._clock_ahead_s, 3)

    def leave(self, client: Client) -> None:
        """Forget a stream that has ended."""
        with self._lock:
            self._clients.discard(client)
        self._nudged.set()

    def close(self) -> None:
        """End all streams."""
        self._stopping.set()
        self._nudged.set()
        for client in self._all():
            client.end("shutdown")

    def nudge(self, data: dict[str, object]) -> None:
        """Look for changes at once, since something was changed here; ``data`` is an event that tells it."""
        if not self._clients:
            return
        if data:
            self.tell("cron" if "cron_id" in data else "queue", {"ts": self.now(), **data})
        self._nudged.set()

    def tell(self, kind: str, data: Mapping[str, object]) -> None:
        """Send an event to all who want it."""
        event = Event(kind, data)
        for client in self._all():
            client.put(event)

    def _all(self) -> list[Client]:
        with self._lock:
            return list(self._clients)

    def _alive(self, generation: int) -> bool:
        return bool(self._clients) and generation == self._generation and not self._stopping.is_set()

    def _set_up(self, up: bool) -> None:
        if up != self._up:
            self._up = up
            self.tell("redis", {"ts": self.now(), "up": up})

    # -------------------------------------------------------------------------------- two threads

    def _listen(self, generation: int) -> None:
        changes = JobChanges(self._backend)
        while self._alive(generation):
            try:
                for message in self._backend.subscribe(self._backend.keys.events, subscribed=lambda: None):
                    if not self._alive(generation):
                        return
                    if message is not None:
                        self._pass_on(changes, message)
                    self._tell_dropped()
            except GQMError as exc:
                log.debug("event streams: %s", exc)
            except Exception:
                log.exception("event streams: a message could not be passed on")
            self._stopping.wait(RECONNECT_S)

    def _pass_on(self, changes: JobChanges, message: bytes) -> None:
        if not any(client.wants("job") for client in self._all()):
            return
        found = changes.read(message, self._room)
        for event in found:
            for client in self._all():
                client.put(event)

    def _room(self, count: int) -> int:
        """Return how many of so many job events may be sent in this second; the rest is counted."""
        second = int(time.monotonic())
        if second != self._second:
            self._tell_dropped()
            self._second, self._sent = second, 0
        allowed = max(0, min(count, MAX_PER_S - self._sent))
        self._sent += allowed
        self._over += count - allowed
        return allowed

    def _tell_dropped(self) -> None:
        if self._over and int(time.monotonic()) != self._second:
            over, self._over = self._over, 0
            self.tell("dropped", {"ts": self.now(), "count": over})

    def _watch(self, generation: int) -> None:
        watch = Watch()
        stats_at = 0.0
        while self._alive(generation):
            context = self._context
            assert context is not None
            try:
                for event in watch.look(context):
                    self.tell(event.kind, event.data)
                if time.monotonic() >= stats_at:
                    stats_at = time.monotonic() + STATS_EVERY_S
                    self.tell("stats", watch.stats(context))
                self._set_up(True)
            except RedisUnavailable:
                self._set_up(False)
            except Exception:
                log.exception("event streams: the state could not be compared")
            self._nudged.wait(WATCH_EVERY_S)
            self._nudged.clear()


class _Pieces:
    """The bytes of one stream; it is left when the server is done with it, also before the first byte."""

    def __init__(self, hub: Hub, client: Client, context: Context, request: Request, now: float) -> None:
        self._hub, self._client, self._context, self._request = hub, client, context, request
        self._now = now
        self._number = 0

    def __iter__(self) -> Iterator[bytes]:
        from gqm import __version__

        client = self._client
        hello = self._piece("hello", {"server_time": self._now, "version": __version__})
        yield b"retry: 3000\n\n" + hello
        begun = checked = spoken = time.monotonic()
        while not client.bye:
            wait_s = max(0.0, spoken + COMMENT_EVERY_S - time.monotonic())
            events, dropped = client.take(min(wait_s, CHECK_EVERY_S))
            now = time.monotonic()
            if now - checked >= CHECK_EVERY_S:
                checked = now
                self._check()
            if now - begun >= MAX_AGE_S:
                client.end("max_age")
            text = b"".join(self._piece(event.kind, self._shown(event)) for event in events)
            if dropped:
                text += self._piece("dropped", {"ts": self._hub.now(), "count": dropped})
            if not text and now - spoken >= COMMENT_EVERY_S:
                text = b":\n\n"
            if text:
                spoken = client.writing_since = now
                yield text
                client.writing_since = None
        yield self._piece("bye", {"reason": client.bye})

    def _check(self) -> None:
        try:
            caller = self._context.auth.look(self._request)
        except RedisUnavailable:
            return  # nobody is signed out by that
        except Problem:
            caller = None
        if caller is None:
            self._client.end("signed_out")

    def _shown(self, event: Event) -> Mapping[str, object]:
        hook = self._context.settings.hooks.redact
        error = event.data.get("error")
        if hook is None or error is None:
            return event.data
        return {**event.data, "error": hook(self._request.who.role, "error", error)}

    def _piece(self, kind: str, data: object) -> bytes:
        self._number += 1
        return b"id: %d\nevent: %s\ndata: %s\n\n" % (self._number, kind.encode(), msgspec.json.encode(data))

    def close(self) -> None:
        """End the stream."""
        self._hub.leave(self._client)


def events(context: Context, request: Request) -> Stream:
    """Answer with a stream of events."""
    if not context.settings.hooks.sse:
        raise Problem("NOT_FOUND", "event streams are turned off here")
    return context.hub.open(context, request)
