"""What was done from this screen: kept in memory, in words, and as commands that can be run again."""

import json
import shlex
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from gqm_tui.core.actions import Call, Plan
from gqm_tui.core.client import query
from gqm_tui.core.perform import Progress, Result

MOST_ENTRIES = 500


def curl(origin: str, call: Call) -> str:
    """Write a request as a command for a shell. The key is not in it, but the variable that holds it."""
    url = origin + call.path + (f"?{urlencode(query(call.params))}" if call.params else "")
    words = ["curl", "-sS"]
    if call.method != "GET":
        words += ["-X", call.method, "-H", shlex.quote("X-GQM-CSRF: 1")]
    # In double quotes, so that the shell puts the key in.
    words += ["-H", '"X-API-Key: $GQM_API_KEY"']
    if call.body is not None:
        body = json.dumps(call.body, ensure_ascii=True, separators=(",", ":"))
        words += ["-H", shlex.quote("Content-Type: application/json"), "--data", shlex.quote(body)]
    return " ".join([*words, shlex.quote(url)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One action and how it ended."""

    number: int
    """Rises by one with each entry; the row's key."""
    at: float
    """Unix seconds."""
    context: str
    origin: str
    plan: Plan
    result: str
    """`done`, `failed`, `unknown` or `stopped`."""
    status: int
    """Of HTTP; 0 without an answer."""
    took_ms: float
    text: str
    undoable: bool = False

    @property
    def target(self) -> str:
        """What was done to what."""
        return f"{self.plan.action.value} {self.plan.target}"

    @property
    def request(self) -> str:
        """Method and path."""
        return f"{self.plan.calls[0].method} {self.plan.calls[0].path}"

    @property
    def curl(self) -> str:
        """The request, or for many jobs the first one, as a command."""
        return curl(self.origin, self.plan.calls[0])


class ActionLog:
    """The newest 500 actions of this run, newest first."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=MOST_ENTRIES)
        self._count = 0

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def note(self, plan: Plan, result: Result, *, at: float, context: str, origin: str) -> Entry:
        """Remember an action with one call."""
        word = "done" if result.ok else "unknown" if result.unknown else "failed"
        return self._add(
            Entry(
                number=self._count,
                at=at,
                context=context,
                origin=origin,
                plan=plan,
                result=word,
                status=result.status,
                took_ms=result.took_ms,
                text=result.text,
                undoable=result.ok and result.changed and plan.undo is not None,
            )
        )

    def note_bulk(self, plan: Plan, progress: Progress, *, at: float, context: str, origin: str) -> Entry:
        """Remember an action on many jobs, as one entry however many calls it took."""
        return self._add(
            Entry(
                number=self._count,
                at=at,
                context=context,
                origin=origin,
                plan=plan,
                result=progress.result,
                status=progress.error.status if progress.error is not None else 200 if progress.calls else 0,
                took_ms=progress.took_ms,
                text=progress.sentence(plan.action),
            )
        )

    def _add(self, entry: Entry) -> Entry:
        self._count += 1
        self._entries.appendleft(entry)
        return entry

    def to_undo(self, context: str) -> Entry | None:
        """Return the newest action of a context that can be taken back."""
        return next((one for one in self if one.undoable and one.context == context), None)

    def undone(self, entry: Entry) -> None:
        """Remember that an action was taken back, so that the next undo takes the one before."""
        entries = [replace(one, undoable=False) if one.number == entry.number else one for one in self]
        self._entries = deque(entries, maxlen=MOST_ENTRIES)
