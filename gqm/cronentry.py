"""The cron entry as it is stored: one JSON text per entry, which Go and Python schedulers share."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, replace
from typing import Literal

import msgspec

from gqm.cron import CronSchedule, NeverFires, parse
from gqm.jsontext import decode_object
from gqm.newjob import DEFAULT_QUEUE

__all__ = ["NEVER", "SOURCE", "CronEntry", "CronMeta", "Overlap"]

Overlap = Literal["skip", "allow", "replace"]

NEVER = -1
"""``next_run`` of an entry whose expression fits no time any more."""
SOURCE = "py"
"""Source of the entries that this program registers."""

_TYPES: dict[str, object] = {
    "name": str,
    "cron_expr": str,
    "timezone": str,
    "job_type": str,
    "queue": str,
    "payload": msgspec.Raw,
    "timeout": int,
    "max_retry": int,
    "overlap_policy": Overlap,
    "enabled": bool,
    "last_run": int,
    "last_status": str,
    "next_run": int,
    "created_at": int,
    "updated_at": int,
}
"""The fields behind ``id``, in the order in which they are written."""
_ALWAYS_WRITTEN = ("enabled", "max_retry")

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True, kw_only=True)
class CronEntry:
    """What is enqueued, when, and how that went last. Times are unix seconds, 0 = none."""

    id: str
    name: str = ""
    cron_expr: str = ""
    timezone: str = ""
    """IANA name; entries of Go may have none."""
    job_type: str = ""
    queue: str = DEFAULT_QUEUE
    payload: bytes = b""
    """JSON text of the jobs' payload, empty = none."""
    timeout: int = 0
    """Time-out of the jobs in seconds; 0 = the pool's."""
    max_retry: int | None = None
    """Retries of the jobs; ``None`` = the pool's policy."""
    overlap_policy: Overlap = "skip"
    enabled: bool = False
    last_run: int = 0
    """When a slot was last handled, by a fire or a skip."""
    last_status: str = ""
    """How the last slot went: triggered, skipped, missed or error; empty before the first."""
    next_run: int = 0
    """The next slot; 0 while disabled, `NEVER` if there is none."""
    created_at: int = 0
    updated_at: int = 0
    unknown: dict[str, msgspec.Raw] = field(default_factory=dict)
    """Fields that this version does not know; they are kept."""

    @classmethod
    def read(cls, entry_id: str, text: bytes) -> CronEntry:
        """Read a stored text. The id is the one under which it is stored.

        A field of another type than it should have counts as not given. Raises ``ValueError`` if the text is
        no JSON object.
        """
        try:
            stored = _decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            raise ValueError(f"cron entry {entry_id!r} cannot be read: {exc}") from None
        stored.pop("id", None)
        known = {name: _value(name, stored.pop(name)) for name in _TYPES if name in stored}
        given = {name: value for name, value in known.items() if value is not None}
        return cls(id=entry_id, unknown=stored, **given)  # type: ignore[arg-type]  # typed by _TYPES

    def write(self) -> bytes:
        """Return the text to store: the fields in their fixed order, those that are zero left out."""
        words: dict[str, object] = {"id": self.id}
        for name in _TYPES:
            value = getattr(self, name)
            if value or (name in _ALWAYS_WRITTEN and value is not None):
                words[name] = msgspec.Raw(value) if name == "payload" else value
        return _encode({**words, **self.unknown})

    @property
    def payload_object(self) -> dict[str, object] | None:
        """The payload; ``None`` if there is none. Raises ``ValueError`` if it is not a JSON object."""
        return decode_object(self.payload) if self.payload else None

    def schedule(self) -> CronSchedule:
        """Return when it fires. Raises ``ValueError`` if the expression or the zone cannot be read."""
        return _schedule(self.cron_expr, self.timezone or "UTC")

    def slot_after(self, handled: float) -> int:
        """Return the first slot after the last one that was handled, or `NEVER`. Raises as `schedule`."""
        try:
            return self.schedule().next(handled)
        except NeverFires:
            return NEVER

    # ------------------------------------------------------------------- what becomes of the entry

    def ran(self, slot: int, now: int, status: Literal["triggered", "skipped", "error"]) -> CronEntry:
        """Return the entry after a slot was handled."""
        following = self.slot_after(slot)
        return replace(self, last_run=now, last_status=status, next_run=following, updated_at=now)

    def missed(self, handled: int, now: int) -> CronEntry:
        """Return the entry after all slots up to ``handled`` were given up because they are too old."""
        return replace(self, last_status="missed", next_run=self.slot_after(handled), updated_at=now)

    def switched(self, enabled: bool, now: int) -> CronEntry:
        """Return the entry enabled, with its next slot after now, or disabled."""
        following = self.slot_after(now) if enabled else 0
        return replace(self, enabled=enabled, next_run=following, updated_at=now)


class CronMeta(msgspec.Struct, frozen=True):
    """Where an entry comes from."""

    source: str = ""
    config_enabled: bool = True
    """What the configuration said when ``enabled`` was last taken from it."""
    registered_at: int = 0

    @classmethod
    def read(cls, text: bytes) -> CronMeta | None:
        """Read a stored text; ``None`` if it is none that this program writes."""
        try:
            return msgspec.json.decode(text, type=cls)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None

    def write(self) -> bytes:
        """Return the text to store."""
        return _encode(self)


def _value(name: str, raw: msgspec.Raw) -> object:
    """Return the value of a field; ``None`` if it is null or of another type."""
    if name == "payload":
        text = bytes(raw)
        return None if text in (b"null", b"{}") else text
    try:
        value: object = msgspec.json.decode(raw, type=_TYPES[name])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return None if value == "" and name == "queue" else value


@functools.lru_cache(maxsize=1000)
def _schedule(expression: str, timezone: str) -> CronSchedule:
    return parse(expression, timezone)
