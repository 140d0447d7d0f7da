"""What callers of a role may see: the hook that code can give, applied to everything that jobs carry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from msgspec import UNSET

if TYPE_CHECKING:
    from gqm.monitor.context import Context

T = TypeVar("T", bound=msgspec.Struct)

FIELDS = ("payload", "result", "meta", "error", "traceback", "progress")


def redacted(context: Context, role: str, view: T) -> T:
    """Return a view as the role may see it."""
    hook = context.settings.hooks.redact
    if hook is None:
        return view
    changed: dict[str, Any] = {}
    for name in FIELDS:
        value = getattr(view, name, UNSET)
        if value is not UNSET:
            plain = msgspec.json.decode(bytes(value)) if isinstance(value, msgspec.Raw) else value
            changed[name] = hook(role, name, msgspec.to_builtins(plain))
    return msgspec.structs.replace(view, **changed) if changed else view


def all_redacted(context: Context, role: str, views: Sequence[T]) -> Sequence[T]:
    """Return views as the role may see them."""
    if context.settings.hooks.redact is None:
        return views
    return [redacted(context, role, view) for view in views]
