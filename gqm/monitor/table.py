"""A row of the table of routes: what a path takes, who may call it, and what answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    import msgspec

    from gqm.monitor.answers import Answer
    from gqm.monitor.context import Context
    from gqm.monitor.request import Request

V1 = "/api/v1"

Handler: TypeAlias = "Callable[[Context, Request], Answer]"
Access: TypeAlias = Literal["none", "viewer", "admin"]
Kind: TypeAlias = Literal["job", "queue", "server", "worker", "cron"]


@dataclass(frozen=True, slots=True)
class Row:
    """One route. A route without a role cannot be written down."""

    method: Literal["GET", "POST", "DELETE"]
    path: str
    """Template with at most one object: ``{id}`` or ``{name}``; ``*`` at the end is any rest."""
    access: Access
    handler: Handler
    summary: str
    names: Kind | None = None
    """Kind of the object in the path."""
    query: type[msgspec.Struct] | None = None
    body: type[msgspec.Struct] | None = None
    body_optional: bool = False
    action: str = ""
    """What the audit calls it; reads have none."""
    one_of: tuple[str, ...] = ()
    """Fields of the body of which exactly one is given."""
    answer: object = None
    """Type of ``data``, for the description of the API."""
    preview: object = None
    """Type of ``data`` for a dry run."""
    enveloped: bool = True
    """Whether the answer comes in the envelope; else it is the whole body."""
    media_type: str = "application/json"
    """Of the answer; empty = it depends, or there is none."""
    refusals: tuple[int, ...] = ()
    """Further statuses than those that all calls of its kind have."""
    session_only: bool = False
    """Only for callers that are signed in."""
    any_query: bool = False
    """Whether the query is for somebody else, and not looked at."""
    lists: bool = False
    """Whether ``data`` is a list, with the place of the page in ``meta``."""
