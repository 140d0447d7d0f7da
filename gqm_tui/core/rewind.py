"""The last minutes of a view, held in memory so that a screen that stands still can go back through them."""

from bisect import bisect_right
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace

import msgspec

from gqm_tui.core.store import Part, View

SPAN_S = 300.0
"""How far back it goes, in seconds."""
MOST_BYTES = 8 << 20
"""What the changes of that time may take, roughly; a view that changes faster is held for less long."""
LEAST_STEP_S = 0.5
"""Replies that come within this time are one moment: the parts of a view answer one after the other."""
_ITEM_BYTES = 500
_IDENTITIES = ("id", "name", "fingerprint", "job_id", "queue")


@dataclass(frozen=True, slots=True)
class Moment:
    """A view as it stood at one time."""

    at: float
    """Monotonic seconds."""
    server_time: float | None
    parts: Mapping[str, Part[object]]
    extra: object
    """What the pane had made of it and cannot make again."""
    size: int


class Past(View):
    """A view as it stood: its clock stands still, and nothing in it is late or fails."""

    def __init__(self, live: View, moment: Moment) -> None:
        super().__init__(live.tag.context, live.tag.view, live.tag.query)
        self.tag, self.main, self.skew_ms = live.tag, live.main, live.skew_ms
        self.parts = dict(moment.parts)
        self.moment = moment

    def server_now(self, now: float) -> float | None:
        """Return the server's time of that moment, whatever the time is now."""
        return self.moment.server_time

    def age(self, now: float) -> float | None:
        """Return how old the rows were at that moment."""
        return super().age(self.moment.at)


class History:
    """The moments of one view, oldest first. What did not change from one to the next is held once."""

    def __init__(self) -> None:
        self._moments: deque[Moment] = deque()
        self._size = 0

    def __len__(self) -> int:
        return len(self._moments)

    def note(self, view: View, now: float, extra: object = None) -> None:
        """Hold what a view has now, if a good reply came since the last time. ``now`` is monotonic."""
        last = self._moments[-1] if self._moments else None
        known = {name: part for name, part in view.parts.items() if part.value is not None}
        if not known or (last is not None and _times(last.parts) == _times(known)):
            return
        parts: dict[str, Part[object]] = {}
        size = 0
        for name, part in known.items():
            before = None if last is None else last.parts.get(name)
            value, more = _shared(None if before is None else before.value, part.value)
            parts[name] = replace(part, value=value, error=None, in_flight=False)
            size += more
        at = now
        if last is not None and now - last.at < LEAST_STEP_S:
            at, size = last.at, size + last.size
            self._moments.pop()
            self._size -= last.size
        self._moments.append(Moment(at, view.server_now(now), parts, extra, size))
        self._size += size
        self._trim(now)

    def _trim(self, now: float) -> None:
        while len(self._moments) > 1 and (self._moments[0].at < now - SPAN_S or self._size > MOST_BYTES):
            self._size -= self._moments.popleft().size

    def step(self, at: float, step: int) -> Moment | None:
        """Return the moment that many steps from the one that is shown at a time; None beyond the ends."""
        here = bisect_right(self._moments, at, key=lambda moment: moment.at) - 1
        if here < 0 and step <= 0:
            return None
        wanted = here + step
        return self._moments[wanted] if 0 <= wanted < len(self._moments) else None


def _times(parts: Mapping[str, Part[object]]) -> dict[str, float | None]:
    return {name: part.at for name, part in parts.items()}


def _shared(old: object, new: object) -> tuple[object, int]:
    """Give a value made of as much of an old equal one as there is, and the size of the rest in bytes."""
    if old == new:
        return old, 0
    if not isinstance(new, list):
        return new, _bytes(new)
    known = {_identity(item): item for item in old} if isinstance(old, list) else {}
    size = 0
    items: list[object] = []
    for item in new:
        same = known.get(_identity(item))
        if same is not None and same == item:
            items.append(same)
        else:
            items.append(item)
            size += _bytes(item)
    return items, size


def _identity(item: object) -> object:
    return next((found for name in _IDENTITIES if (found := getattr(item, name, None)) is not None), None)


def _bytes(value: object) -> int:
    # Twice the length of the JSON is near what the objects take, and is found quickly.
    return _ITEM_BYTES + 2 * len(msgspec.json.encode(value))
