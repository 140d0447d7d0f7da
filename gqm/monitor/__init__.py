"""The REST API and what serves it: one WSGI callable, a server for it, and nothing of the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gqm.monitor.build import app

__all__ = ["app"]


def __getattr__(name: str) -> object:
    # Options for the API are part of the server's; only who serves it needs everything behind them.
    if name == "app":
        from gqm.monitor.build import app

        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
