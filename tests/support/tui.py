"""Stand-ins for the terminal UI's clock and API client; with the builders of data they can answer."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import msgspec

from gqm_tui.core.client import Params, Reply, query
from gqm_tui.core.errors import ApiError, Kind
from gqm_tui.core.events import Event
from gqm_tui.core.model import Me, Meta
from tests.support.tui_data import (
    NOW,
    attempt,
    audit,
    cron,
    cron_run,
    edge,
    graph,
    group,
    job,
    job_detail,
    me,
    minutes,
    node,
    queue,
    runtime,
    server,
    stats,
    worker,
)

T = TypeVar("T")
Json: TypeAlias = Any

__all__ = [
    "NOW",
    "Asked",
    "FakeClient",
    "FakeClock",
    "attempt",
    "audit",
    "cron",
    "cron_run",
    "edge",
    "graph",
    "group",
    "job",
    "job_detail",
    "listed",
    "me",
    "minutes",
    "node",
    "queue",
    "runtime",
    "server",
    "settled",
    "stats",
    "worker",
]


async def settled(rounds: int = 25) -> None:
    """Let everything run that can run without the clock going on."""
    for _ in range(rounds):
        await asyncio.sleep(0)


class FakeClock:
    """A clock that stands still until it is told to go on; nothing is left to chance."""

    def __init__(self, wall: float = NOW) -> None:
        self.now = 1_000.0
        self.factor = 1.0
        """What `jitter` gives."""
        self._wall_ahead = wall - self.now
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now + self._wall_ahead

    def jitter(self, fraction: float) -> float:
        assert abs(self.factor - 1.0) <= fraction
        return self.factor

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (self.now + seconds, woken)
        self._sleepers.append(entry)
        try:
            await woken
        finally:
            self._sleepers.remove(entry)

    def tick(self, seconds: float) -> None:
        """Go on, and wake who has slept long enough."""
        self.now += seconds
        for at, woken in list(self._sleepers):
            # A millionth of a second is rounding, not waiting.
            if at <= self.now + 1e-6 and not woken.done():
                woken.set_result(None)

    async def pass_by(self, seconds: float) -> None:
        """Go on, and let everything that woke have its turn."""
        self.tick(seconds)
        await settled()

    @property
    def next_wake_in(self) -> float | None:
        """Seconds until the next sleeper wakes."""
        return min((at - self.now for at, woken in self._sleepers if not woken.done()), default=None)


@dataclass(frozen=True)
class Asked:
    """A request as it would have been sent."""

    method: str
    path: str
    params: Mapping[str, str]
    body: Json = None
    long: bool = False


@dataclass(frozen=True)
class Listed:
    """Data with what stands beside it."""

    data: Json
    meta: Mapping[str, Json]


def listed(data: list[Json], **meta: Json) -> Listed:
    """Return an answer with its ``meta``: ``listed(rows, total=31_204, truncated=True)``."""
    return Listed(data, meta)


Route: TypeAlias = Any
"""JSON-able data, `Listed`, an `ApiError`, or a callable of (params, body) that returns one of them."""


class FakeClient:
    """An API that answers what it was given, and remembers what it was asked.

    Data goes through JSON and the models, as real answers do. A path without a route is a 404.
    """

    def __init__(self, clock: FakeClock, routes: Mapping[str, Route] | None = None) -> None:
        self.clock = clock
        self.origin = "http://127.0.0.1:8080"
        self.insecure_transport = False
        self.asked: list[Asked] = []
        self.open: Counter[str] = Counter()
        """Requests under way by path."""
        self.most_open: Counter[str] = Counter()
        self.slow: dict[str, float] = {}
        """Seconds that an answer takes, by path."""
        self.server_ahead = 0.0
        """Seconds by which the server's clock is ahead of the fake one."""
        self.down: ApiError | None = None
        """What every call raises."""
        self.closed = False
        self.users: dict[str, tuple[str, str]] = {}
        """Password and role by name."""
        self.streams: list[Mapping[str, str]] = []
        """Parameters of the event streams that were opened."""
        self._stream: asyncio.Queue[Event | ApiError | None] = asyncio.Queue()
        self._routes: dict[tuple[str, str], Route] = {}
        self._held: defaultdict[str, list[asyncio.Event]] = defaultdict(list)
        for path, route in (routes or {}).items():
            self.route("GET", path, route)

    # -- set by the test

    def route(self, method: str, path: str, route: Route) -> None:
        """Answer a path from now on; ``/queues`` is short for ``/api/v1/queues``."""
        self._routes[method, _full(path)] = route

    def hold(self, path: str) -> asyncio.Event:
        """Keep answers of a path back until the event is set; the next ones are not held any more then."""
        gate = asyncio.Event()
        self._held[_full(path)].append(gate)
        return gate

    def emit(self, *events: Event) -> None:
        """Send events on the stream."""
        for event in events:
            self._stream.put_nowait(event)

    def cut(self, error: ApiError | None = None) -> None:
        """End the stream, with an error as if it was lost."""
        self._stream.put_nowait(error)

    def count(self, path: str, method: str = "GET") -> int:
        """How often a path was asked for."""
        return sum(1 for one in self.asked if (one.method, one.path) == (method, _full(path)))

    @property
    def written(self) -> list[Asked]:
        """All that was asked for and is no reading."""
        return [one for one in self.asked if one.method != "GET"]

    # -- the protocol

    async def get(self, path: str, params: Params | None, type: type[T]) -> Reply[T]:
        return await self._answer(Asked("GET", path, query(params)), type)

    async def send(
        self,
        method: str,
        path: str,
        params: Params | None,
        body: object,
        type: type[T],
        *,
        long: bool = False,
    ) -> Reply[T]:
        return await self._answer(Asked(method, path, query(params), body, long), type)

    async def events(self, params: Params | None = None) -> AsyncIterator[Event]:
        self.streams.append(query(params))
        if self.down is not None:
            raise self.down
        while (item := await self._stream.get()) is not None:
            if isinstance(item, ApiError):
                raise item
            yield item

    async def login(self, user: str, password: str) -> Me:
        self.asked.append(Asked("POST", "/auth/login", {}, {"username": user, "password": password}))
        if self.down is not None:
            raise self.down
        if self.users.get(user, ("", ""))[0] != password or not password:
            raise ApiError(Kind.UNAUTHORIZED, 401, "UNAUTHORIZED", "wrong username or password")
        self.route("GET", "/auth/me", me(username=user, role=self.users[user][1], auth="session"))
        return (await self.get("/auth/me", None, Me)).data

    async def logout(self) -> None:
        self.asked.append(Asked("POST", "/auth/logout", {}))

    async def close(self) -> None:
        self.closed = True

    # -- inside

    async def _answer(self, asked: Asked, type: type[T]) -> Reply[T]:
        self.asked.append(asked)
        began = self.clock.monotonic()
        self.open[asked.path] += 1
        self.most_open[asked.path] = max(self.most_open[asked.path], self.open[asked.path])
        try:
            await self._wait(asked.path)
            data, meta = self._found(asked)
        finally:
            self.open[asked.path] -= 1
        took = self.clock.monotonic() - began
        try:
            value = msgspec.json.decode(msgspec.json.encode(data), type=type)
        except msgspec.ValidationError as exc:
            raise ApiError(Kind.PROTOCOL, 200, text=f"answer not understood: {exc}") from exc
        return Reply(value, meta, took * 1_000, self.clock.wall() - took / 2)

    async def _wait(self, path: str) -> None:
        if self._held[path]:
            gate = self._held[path][0]
            await gate.wait()
            if gate in self._held[path]:
                self._held[path].remove(gate)
        if path in self.slow:
            await self.clock.sleep(self.slow[path])
        else:
            await asyncio.sleep(0)

    def _found(self, asked: Asked) -> tuple[Json, Meta]:
        if self.down is not None:
            raise self.down
        route = self._routes.get((asked.method, asked.path))
        if callable(route):
            route = route(dict(asked.params), asked.body)
        if route is None:
            raise ApiError(Kind.NOT_FOUND, 404, "NOT_FOUND", f"there is no {asked.path}")
        if isinstance(route, ApiError):
            raise route
        more: dict[str, Json] = {}
        if isinstance(route, list):
            route = listed(route)
        if isinstance(route, Listed):
            more = {"page": 1, "limit": 100, "total": len(route.data), "truncated": False, **route.meta}
            route = route.data
        return route, Meta(**{"server_time": self.clock.wall() + self.server_ahead, **more})


def _full(path: str) -> str:
    return path if path.startswith(("/api/", "/auth/")) else f"/api/v1{path}"
