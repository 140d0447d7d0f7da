"""The keyword options for the API: keys of the configuration, and hooks that only code can give."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, TypedDict, cast

if TYPE_CHECKING:
    from datetime import timedelta

Authenticate: TypeAlias = Callable[[dict[str, object]], "tuple[str, str] | None"]
"""Gets the WSGI environment, returns name and role of the caller, or ``None`` for nobody."""
Redact: TypeAlias = Callable[[str, str, object], object]
"""Gets role, field and value; returns what is shown instead."""


class ApiOptions(TypedDict, total=False):
    """Keywords for the API; those that have a key in the configuration are named like it."""

    auth_enabled: bool
    auth_users: Sequence[Mapping[str, object]]
    api_keys: Sequence[Mapping[str, object]]
    session_ttl: float | str | timedelta
    rate_limit: int
    trust_proxy: bool
    trusted_proxies: Sequence[str]
    cookie_secure: bool
    metrics_public: bool
    dashboard: bool
    path_prefix: str
    custom_dir: str


class HookOptions(TypedDict, total=False):
    """What only code can give."""

    authenticate: Authenticate | None
    redact: Redact | None
    enqueue_types: Sequence[str] | None
    sse: bool


class AppOptions(ApiOptions, HookOptions, total=False):
    """Keyword options of `app`."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """What only code can give."""

    authenticate: Authenticate | None = None
    redact: Redact | None = None
    enqueue_types: Sequence[str] | None = None
    """Types that may be enqueued over HTTP; one that ends in ``*`` is a prefix; ``None`` = all."""
    sse: bool = True


_HOOKS = frozenset(HookOptions.__annotations__)


def split_hooks(options: Mapping[str, object]) -> tuple[Hooks, dict[str, object]]:
    """Return the hooks among options, and the others."""
    hooks = {name: value for name, value in options.items() if name in _HOOKS}
    others = {name: value for name, value in options.items() if name not in _HOOKS}
    return Hooks(**cast("HookOptions", hooks)), others
