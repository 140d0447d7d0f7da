"""Puts an API together: for a server of GQM that serves it itself, or for somebody's own WSGI stack."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol, Unpack, cast

from gqm.config import code_options, default_config, merge
from gqm.errors import ConfigError
from gqm.monitor.auth import Authenticator
from gqm.monitor.backend import Backend
from gqm.monitor.context import Context, NoEngine
from gqm.monitor.login import Passwords
from gqm.monitor.machinery import CpuShare
from gqm.monitor.metrics import Metrics
from gqm.monitor.observed import Observed
from gqm.monitor.options import AppOptions, Hooks, split_hooks
from gqm.monitor.pipeline import App
from gqm.monitor.router import Router
from gqm.monitor.routes import rows
from gqm.monitor.settings import make_settings
from gqm.monitor.sse import Hub
from gqm.monitor.static import Files

if TYPE_CHECKING:
    from gqm.client import Client
    from gqm.config import Config
    from gqm.monitor.context import Host
    from gqm.store.connect import Link


class HostedEngine(Protocol):
    """A server of GQM, as far as `app` needs it."""

    @property
    def config(self) -> Config:
        """Its configuration."""

    def open_link(self) -> Link:
        """Return a link to its Redis."""

    def state(self) -> str:
        """Return what its engine is at."""

    def tasks(self) -> int:
        """Return the number of tasks on its event loop."""


_LOOPBACK = "127.0.0.1:8080"


def app(engine: HostedEngine | Client, *, config: Config | None = None, **options: Unpack[AppOptions]) -> App:
    """Return the API as a WSGI callable to be mounted anywhere; ``close()`` it at the end.

    ``engine`` is a `gqm.Server` or a `gqm.Client`. Keywords beat ``config`` (default: the server's).
    ``authenticate(environ)`` returns name and role of a caller, or ``None``, and replaces sessions;
    ``redact(role, field, value)`` returns what is shown of a job's field; ``enqueue_types`` are the types
    that may be enqueued, ``"mail.*"`` is a prefix.

    Raises `ConfigError`, also when anybody could do everything: who reaches a mounted API is not known here,
    so it needs users, keys or ``authenticate``.
    """
    hooks, given = split_hooks(options)
    hosted = None if _is_client(engine) else cast("HostedEngine", engine)
    base = config or (hosted.config if hosted else default_config({}))
    # The address of the configuration is not the one of this API, and must not be judged.
    merged = merge(base, {**code_options(**given), "monitoring.api.addr": _LOOPBACK})
    if merged.monitoring.anonymous and hooks.authenticate is None:
        raise ConfigError("a mounted API needs users, api_keys or authenticate: who reaches it is not known")
    link = hosted.open_link() if hosted else cast("Client", engine)._link
    return build(merged, link, hooks, cast("Host", hosted) if hosted else NoEngine())


def _is_client(engine: object) -> bool:
    from gqm.client import Client

    return isinstance(engine, Client)


def build(config: Config, link: Link, hooks: Hooks | None = None, host: Host | None = None) -> App:
    """Return an API over a link. Raises `ConfigError`."""
    settings = make_settings(config, hooks or Hooks())
    files = Files(settings)
    backend = Backend(link)
    passwords = Passwords(settings.users.values())
    if settings.sign_in:
        passwords.warm_up()
    context = Context(
        settings=settings,
        backend=backend,
        auth=Authenticator(settings, backend),
        passwords=passwords,
        metrics=Metrics(),
        observed=Observed(backend, settings.priorities),
        files=files,
        hub=Hub(backend),
        router=Router(rows(settings)),
        host=host or NoEngine(),
        cpu=CpuShare(),
        began=time.monotonic(),
    )
    return App(context)
