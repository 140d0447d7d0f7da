"""A private Redis-compatible server for one folder: started by its first user, ended after its last.

The names resolve on first use, so that the guardian, which lives in this package, starts without them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gqm.embedded.attachment import Attachment, attach
    from gqm.embedded.overview import Status, status

__all__ = ["Attachment", "Status", "attach", "status"]


def __getattr__(name: str) -> object:
    if name in ("Attachment", "attach"):
        return getattr(import_module("gqm.embedded.attachment"), name)
    if name in ("Status", "status"):
        return getattr(import_module("gqm.embedded.overview"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
