"""The server: register handlers, pools and middleware, then run; everything else is the engine's."""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar, Unpack, overload

from gqm.config import Config, code_options, default_config, load_config, merge
from gqm.engine.core import Engine, Summary
from gqm.engine.handlers import (
    Handler,
    HandlerOptions,
    HandlerSpec,
    Middleware,
    Registry,
    check_middleware,
    make_spec,
    marked,
)
from gqm.engine.plan import plan_pools
from gqm.errors import ConfigIncomplete, RegistrationError
from gqm.loop import run_to_end
from gqm.monitor.options import Hooks, split_hooks
from gqm.protection import warn_unprotected
from gqm.store.connect import open_link

if TYPE_CHECKING:
    from gqm.engine.plan import PoolPlan
    from gqm.monitor.context import EngineState
    from gqm.monitor.serving import Served
    from gqm.server_options import CronOptions, PoolOptions, ServerOptions
    from gqm.store.connect import Link

log = logging.getLogger("gqm")

EXTRA_CONNECTIONS = 8
API_CONNECTIONS = 80
"""Connections to Redis that an API may open: one for each request, and those of the streams."""

H = TypeVar("H", bound=Handler)
M = TypeVar("M", bound=Middleware)


class Server:
    """Runs jobs in this process.

    Without further words it reads the queue ``default`` with as many slots as there are CPUs::

        server = gqm.Server("localhost:6379")

        @server.handle("email.send")
        def send(job: gqm.Job) -> None: ...

        server.run()

    ``redis`` is as for `gqm.Client`; a pair of a sync and an async client of redis-py is possible too.
    """

    def __init__(self, redis: object = None, **options: Unpack[ServerOptions]) -> None:
        """Check the options. Raises `ConfigError` naming each that is wrong."""
        self._client = None if isinstance(redis, str) else redis
        hooks, keys = split_hooks(options)
        self._set_up(default_config(code_options(redis=redis, **keys)), hooks)

    def _set_up(self, config: Config, hooks: Hooks) -> None:
        self._config = config
        self._hooks = hooks
        self._api: Served | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = False
        self._registry = Registry()
        self._middleware: list[Middleware] = []
        self._included: set[str] = set()
        self._engine: Engine | None = None
        self._link: Link | None = None
        self._starting = False
        self._stop_asked = asyncio.Event()

    @classmethod
    def from_config(
        cls, config: Config | str | os.PathLike[str], redis: object = None, **options: Unpack[ServerOptions]
    ) -> Server:
        """Return a server for a configuration file (or one already loaded); options given here beat it.

        Raises `ConfigError`, and `ConfigIncomplete` if the API would start while a secret is still to be
        filled in.
        """
        hooks, keys = split_hooks(options)
        overrides = code_options(redis=redis, **keys)
        if isinstance(config, Config):
            merged = merge(config, overrides) if overrides else config
        else:
            merged = load_config(config, overrides=overrides)
        if merged.incomplete and merged.monitoring.api.enabled:
            raise ConfigIncomplete("", merged.incomplete)
        server = cls.__new__(cls)
        server._client = None if isinstance(redis, str) else redis
        server._set_up(merged, hooks)
        return server

    @property
    def config(self) -> Config:
        """The configuration with all code options in it."""
        return self._config

    @property
    def engine(self) -> Engine | None:
        """The running engine; ``None`` while the server is not running."""
        return self._engine

    @property
    def handlers(self) -> Registry:
        """The registered handlers."""
        return self._registry

    @property
    def hooks(self) -> Hooks:
        """What the API was given that no configuration can hold."""
        return self._hooks

    @property
    def api_port(self) -> int | None:
        """The port that the API listens on; ``None`` while it does not."""
        return self._api.port if self._api is not None else None

    @property
    def middleware(self) -> tuple[Middleware, ...]:
        """What wraps all handlers, the outermost first."""
        return tuple(self._middleware)

    # ------------------------------------------------------------------------------- registration

    @overload
    def handle(self, type_: str, function: H, **options: Unpack[HandlerOptions]) -> H: ...
    @overload
    def handle(self, type_: str, **options: Unpack[HandlerOptions]) -> Callable[[H], H]: ...

    def handle(
        self, type_: str, function: H | None = None, **options: Unpack[HandlerOptions]
    ) -> H | Callable[[H], H]:
        """Register the handler of a job type; also a decorator.

        ``workers=n`` gives the type a pool of its own with n slots. Raises `RegistrationError`.
        """
        if function is None:
            return lambda function: self.handle(type_, function, **options)
        self._register([make_spec(type_, function, options)])
        return function

    def include(self, module: ModuleType | str) -> int:
        """Register every function of a module that `gqm.handler` marks; returns their number.

        Raises `RegistrationError`; then none of the module is registered.
        """
        if isinstance(module, str):
            module = importlib.import_module(module)
        specs = list(marked(module))
        self._register(specs)
        self._included.add(module.__name__)
        return len(specs)

    def _register(self, specs: Sequence[HandlerSpec]) -> None:
        self._refuse_after_start("handle")
        registry = Registry()
        for spec in (*self._registry, *specs):
            registry.add(spec)
        plan_pools(self._config, registry)
        self._registry = registry

    def use(self, middleware: M) -> M:
        """Wrap all handlers in a middleware, ``async def (job, call_next)``; the first is outermost.

        Also a decorator. Raises `RegistrationError`.
        """
        self._refuse_after_start("use")
        check_middleware(middleware)
        self._middleware.append(middleware)
        return middleware

    def pool(self, name: str, job_types: Sequence[str], **options: Unpack[PoolOptions]) -> None:
        """Define a pool: which types it runs, from which queues, with how many slots.

        ``job_types=["*"]`` takes every type that no other pool lists. Queues are declared by naming them.
        Raises `ConfigError` or `RegistrationError`; then nothing is changed.
        """
        self._refuse_after_start("pool")
        pool: Mapping[str, object] = {"name": name, "job_types": job_types, **options}
        config = merge(self._config, {"queues": list(options.get("queues", ())), "pools": [pool]})
        plan_pools(config, self._registry)
        self._config = config

    def schedule(self, id: str, cron_expr: str, job_type: str, **options: Unpack[CronOptions]) -> None:
        """Enqueue a job of a type whenever a cron expression says so, once over all servers.

        ``cron_expr`` is ``sec min hour dom month dow``, or five fields without seconds; its ``timezone`` is
        an IANA name, the server's if none is given. While a job of an earlier time lives, ``overlap_policy``
        skips the time, allows both, or stops the earlier job (``"replace"``). The queue is declared by naming
        it. Raises `ConfigError` or `RegistrationError`; then nothing is changed.
        """
        self._refuse_after_start("schedule")
        entry = {"id": id, "cron_expr": cron_expr, "job_type": job_type, **options}
        queues = [options["queue"]] if "queue" in options else []
        self._config = merge(self._config, {"queues": queues, "scheduler.cron_entries": [entry]})

    def _refuse_after_start(self, what: str) -> None:
        if self._starting or self._engine is not None:
            raise RegistrationError(f"{what}() must be called before the start; the server runs")

    # ------------------------------------------------------------------------------------ running

    async def start(self, *, serve_api: bool = True) -> Engine:
        """Start to run jobs and return. A step that fails undoes the earlier ones; start may be called again.

        The modules of ``app.handlers`` that were not included yet are imported and included first. The API is
        served if the configuration says so, unless ``serve_api`` is false. Raises `RedisUnavailable`,
        `RedisSetupError`, `RegistrationError`, `StartFailed` if the API's port cannot be had, and what such
        an import raises.
        """
        if self._starting or self._engine is not None:
            raise RegistrationError("the server runs already")
        for module in self._config.app.handlers:
            if module not in self._included:
                self.include(module)
        self._starting = True
        link: Link | None = None
        try:
            pools = plan_pools(self._config, self._registry)
            redis = self._config.redis
            link = open_link(redis, client=self._client, pool_size=_connections(pools, redis.pool_size))
            if link.remote and not link.has_password:
                warn_unprotected(link.where)
            self._loop = asyncio.get_running_loop()
            if serve_api and self._config.monitoring.api.enabled:
                self._api = self._serve_api()
            engine = Engine(self._config, self._registry, self._middleware, link)
            await engine.start()
        except BaseException:
            self._end_api()
            if link is not None and link.close is not None:
                link.close()
            raise
        finally:
            self._starting = False
        self._stop_asked = asyncio.Event()
        self._engine, self._link = engine, link
        return engine

    async def stop(self) -> Summary:
        """Claim no more, give running jobs ``shutdown_timeout``, hand back the rest, sign off."""
        engine, link = self._engine, self._link
        if engine is None:
            return Summary(0.0, 0, 0, 0)
        self._stopping = True
        try:
            summary = await engine.stop()
        finally:
            await asyncio.to_thread(self._end_api)
            self._stopping = False
        self._engine = self._link = None
        if link is not None and link.close is not None:
            link.close()
        log.info(
            "stopped in %.1f s: %d finished, %d handed back, %d abandoned",
            summary.seconds,
            summary.finished,
            summary.handed_back,
            summary.abandoned,
            extra={"event": "stopped"},
        )
        return summary

    def _serve_api(self) -> Served:
        from gqm.monitor.serving import Served  # loads the HTTP server, which few programs need

        served = Served(self._config, self.open_link(), self._hooks, self)
        served.start()
        return served

    def _end_api(self) -> None:
        api, self._api = self._api, None
        if api is not None:
            api.stop()

    def open_link(self) -> Link:
        """Return a link to the Redis of this server, for whoever needs connections of their own."""
        return open_link(self._config.redis, client=self._client, pool_size=API_CONNECTIONS)

    def state(self) -> EngineState:
        """Return what the engine is at; ``stalled``: too many handlers of a pool never came back."""
        engine = self._engine
        if self._stopping:
            return "stopping"
        if engine is None:
            return "starting"
        stuck = any(record["status"] == "stuck" for _, record in engine.pool_records())
        return "stalled" if stuck else "running"

    def tasks(self) -> int:
        """Return the number of tasks on the event loop that the server runs on."""
        return len(asyncio.all_tasks(self._loop)) if self._loop is not None else 0

    def ask_stop(self, *, hurry: bool = False) -> None:
        """Make `serve` stop; a second call, or ``hurry``, skips the waits. Call it on the event loop."""
        if (hurry or self._stop_asked.is_set()) and self._engine is not None:
            self._engine.hurry()
        self._stop_asked.set()

    async def wait_stop(self) -> None:
        """Wait until `ask_stop` is called."""
        await self._stop_asked.wait()

    async def serve(self) -> Summary:
        """Start, run until SIGTERM, SIGINT, SIGHUP or `ask_stop`, stop; a second signal skips the waits."""
        await self.start()
        restore = self._take_signals()
        try:
            await self._stop_asked.wait()
        finally:
            summary = await self.stop()
            restore()
        return summary

    def _take_signals(self) -> Callable[[], None]:
        if threading.current_thread() is not threading.main_thread():
            return lambda: None
        loop = asyncio.get_running_loop()
        signals = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        before = [signal.getsignal(number) for number in signals]
        for number in signals:
            loop.add_signal_handler(number, self.ask_stop)

        def restore() -> None:
            for number, handler in zip(signals, before, strict=True):
                loop.remove_signal_handler(number)
                signal.signal(number, handler)

        return restore

    def run(self) -> Summary:
        """Run until a signal ends it: `serve` for programs without a loop. Uses uvloop if installed."""
        return run_to_end(self.serve())


def _connections(pools: Sequence[PoolPlan], configured: int) -> int:
    """Return how many connections the engine may open: as configured, but never fewer than it waits on."""
    queues = {queue for pool in pools for queue in pool.queues}
    # Per queue a waiter and a settle call, per pool a claim; the rest is for the work in the background.
    least = 2 * len(queues) + len(pools) + EXTRA_CONNECTIONS
    return max(configured or sum(pool.slots for pool in pools) + EXTRA_CONNECTIONS, least)
