"""Serving the API from a process of GQM: the address is taken first, requests are answered until the stop."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from gqm.errors import StartFailed
from gqm.monitor.build import build
from gqm.monitor.server import HTTPServer

if TYPE_CHECKING:
    from gqm.config import Config
    from gqm.monitor.context import Host
    from gqm.monitor.options import Hooks
    from gqm.store.connect import Link


class Served:
    """An API that listens; `start` makes it answer."""

    def __init__(self, config: Config, link: Link, hooks: Hooks, host: Host) -> None:
        """Listen on the configured address. Raises `StartFailed` if that cannot be, and `ConfigError`."""
        address = config.monitoring.api.addr
        self._app = build(config, link, hooks, host)
        try:
            self._server = HTTPServer(self._app, address)
        except OSError as exc:
            self._app.close()
            reason = os.strerror(exc.errno).lower() if exc.errno and exc.errno > 0 else str(exc)
            raise StartFailed(f"the API cannot listen on {address}: {reason}") from exc
        self._app.context.metrics.connections = lambda: self._server.connections
        self._link = link

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._server.port

    def start(self) -> None:
        """Answer requests, in threads."""
        self._server.start()

    def stop(self) -> None:
        """End streams, let requests end, and close everything."""
        self._app.end_streams()
        self._server.stop()
        self._app.close()
        if self._link.close is not None:
            self._link.close()
