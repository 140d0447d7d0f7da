"""What all objects of the API have in common, and what stands beside them in an answer."""

from typing import TypeAlias

import msgspec
from msgspec import Raw

Names: TypeAlias = tuple[str, ...]

NO_JSON = Raw(b"")


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A value that the server sent."""


class Meta(Model, frozen=True, kw_only=True):
    """What stands beside the data of an answer."""

    server_time: float
    """The clock of Redis."""
    page: int | None = None
    limit: int | None = None
    total: int | None = None
    """Length of the whole list; a lower bound when `truncated`."""
    truncated: bool = False
    scanned: int | None = None
