"""What a test expects to have been enqueued, compared with what was, and how the difference is told."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gqm.job import NewJob, Options, decode_json, delay_ms, due_ms, new_job

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from gqm.store.commands.enqueue import Mode

MAX_SHOWN = 10
"""So many jobs are shown in the text of a failure."""
LONGEST_VALUE = 200


class Anything(enum.Enum):
    """Stands for a value that does not matter."""

    ANYTHING = "anything"


ANYTHING = Anything.ANYTHING

_STORED_AS = {"job_id": "id"}


@dataclass(frozen=True, slots=True)
class Produced:
    """One job as it was enqueued."""

    job: NewJob
    mode: Mode
    when_ms: int
    now_ms: int

    @property
    def due_ms(self) -> int:
        """When it was to run, unix milliseconds; the time of the call if it was to run at once."""
        if self.mode == "now":
            return self.now_ms
        return self.when_ms if self.mode == "at" else self.now_ms + self.when_ms

    def facts(self) -> dict[str, object]:
        """Return what the producer gave, by the names of the options."""
        words = iter(self.job.fields)
        found: dict[str, object] = {}
        for name, value in zip(words, words, strict=True):
            found[str(name)] = value
        facts: dict[str, object] = {"payload": _value(found["payload"]), "queue": self.job.queue}
        for option in Options.__annotations__:
            stored = found.get(_STORED_AS.get(option, option))
            if stored is not None and option != "queue":
                facts[option] = _value(stored)
        facts["depends_on"] = list(self.job.parents)
        facts["unique"] = self.job.unique
        facts["enqueue_at_front"] = self.job.front
        facts["allow_failure"] = self.job.allow_failure
        if "max_retry_set" not in found:
            del facts["max_retry"]
        return facts


@dataclass(frozen=True, slots=True)
class Expected:
    """What a test looks for. Only what it names is compared."""

    type: str
    facts: dict[str, object]
    due_ms: int | None = None
    delay_ms: int | None = None

    @classmethod
    def make(
        cls,
        type_: str,
        payload: object,
        options: Options,
        at: datetime | float | None,
        delay: float | timedelta | None,
    ) -> Expected:
        """Check and encode it as if it were to be enqueued. Raises `InvalidJob` for what no job could be."""
        job = new_job(type_, None if payload is ANYTHING else payload, options)
        given = Produced(job, "now", 0, 0).facts()
        facts = {name: given.get(name) for name in options}
        if payload is not ANYTHING:
            facts = {"payload": given["payload"], **facts}
        return cls(
            type_,
            facts,
            None if at is None else due_ms(at),
            None if delay is None else delay_ms(delay),
        )

    def differences(self, produced: Produced) -> list[str]:
        """Return the names of what differs; empty if it is such a job."""
        facts = produced.facts()
        found = [
            path for name, value in self.facts.items() for path in _differences(name, value, facts.get(name))
        ]
        if self.due_ms is not None and produced.due_ms != self.due_ms:
            found.append("at")
        if self.delay_ms is not None and produced.due_ms - produced.now_ms != self.delay_ms:
            found.append("delay")
        return found

    def fits(self, produced: Produced) -> bool:
        """Whether it is such a job."""
        return produced.job.type == self.type and not self.differences(produced)

    def __str__(self) -> str:
        times = {
            name: f"{value / 1000:g}"
            for name, value in (("at", self.due_ms), ("delay", self.delay_ms))
            if value is not None
        }
        return _line(self.type, {**self.facts, **times})


def told(expected: Expected, wanted: str, produced: Sequence[Produced]) -> str:
    """Return the text of a failure: what was wanted, and what there is instead."""
    lines = [f"{wanted}:", f"    {expected}"]
    same = [item for item in produced if item.job.type == expected.type]
    others = sorted({item.job.type for item in produced} - {expected.type})
    if same:
        lines.append(f"enqueued of that type ({len(same)}):")
        lines += [
            f"    {_line(item.job.type, _shown(item))}{_mark(expected, item)}" for item in same[:MAX_SHOWN]
        ]
        if len(same) > MAX_SHOWN:
            lines.append(f"    … and {len(same) - MAX_SHOWN} more")
    else:
        lines.append("nothing of that type was enqueued")
    if others:
        lines.append(f"other types that were enqueued: {', '.join(others)}")
    return "\n".join(lines)


def _mark(expected: Expected, item: Produced) -> str:
    differences = expected.differences(item)
    return f"   <- differs in {', '.join(differences)}" if differences else "   <- fits"


def _shown(item: Produced) -> dict[str, object]:
    """Return the facts worth showing: those that are not what they are without a word."""
    facts = {name: value for name, value in item.facts().items() if value or name == "payload"}
    facts.pop("job_id", None) if not item.job.nonce else None
    if item.mode != "now":
        facts["delay"] = f"{(item.due_ms - item.now_ms) / 1000:g}"
    return facts


def _line(type_: str, facts: dict[str, object]) -> str:
    parts = [
        f"{name}={_cut(value if name in ('at', 'delay') else repr(value))}" for name, value in facts.items()
    ]
    return "  ".join([type_, *parts])


def _cut(value: object) -> str:
    text = str(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def _value(stored: object) -> object:
    """Return a stored word as a value: JSON is read, numbers are numbers."""
    if isinstance(stored, bytes):
        return decode_json(stored)
    return stored


def _differences(path: str, wanted: object, found: object) -> list[str]:
    if isinstance(wanted, dict) and isinstance(found, dict):
        names = dict.fromkeys((*wanted, *found))
        return [
            deeper
            for name in names
            for deeper in (
                _differences(f"{path}.{name}", wanted[name], found[name])
                if name in wanted and name in found
                else [f"{path}.{name}"]
            )
        ]
    return [] if wanted == found and type(wanted) is type(found) else [path]
