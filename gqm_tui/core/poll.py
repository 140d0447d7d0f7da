"""The polling loop of one pane: parts side by side, one request in flight each, back-off when all fail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gqm_tui.core.client import ApiClient, Params, query
from gqm_tui.core.clock import Clock
from gqm_tui.core.errors import ApiError
from gqm_tui.core.store import Tag, View

BACK_OFF_S = (1.0, 2.0, 4.0, 8.0, 15.0)
SPREAD = 0.2
"""Back-off is spread by a fifth either way, so that many screens do not come back as one."""
LEAST_PAUSE_S = 0.05
SETTLE_S = 0.15


@dataclass(frozen=True, slots=True)
class PartSpec:
    """One request of a pane, repeated."""

    name: str
    path: str
    params: Params | None
    type: type[object]
    every: float | None = None
    """Seconds; the interval of the pane without one, and never more often than that."""
    when: Callable[[View], bool] | None = None
    """Asked whenever it is due: ``False`` leaves it out until the next time."""

    @property
    def asked(self) -> tuple[str, dict[str, str]]:
        """Return what it asks for."""
        return self.path, query(self.params)


@dataclass(slots=True, eq=False)
class _Slot:
    """A part on its schedule."""

    spec: PartSpec
    due: float
    task: asyncio.Task[None] | None = None
    again: bool = False
    """Ask once more as soon as the present answer is there: it may be older than what is waited for."""


class Poller:
    """Keeps the view of one pane fresh while `run` runs.

    ``on_refreshed`` is called after each part's reply, good or bad; ``on_failed`` after a round in which
    every part failed. Neither may wait.
    """

    def __init__(
        self,
        client: ApiClient,
        clock: Clock,
        interval: float = 1.0,
        *,
        on_refreshed: Callable[[Tag, str], None] | None = None,
        on_failed: Callable[[Tag], None] | None = None,
    ) -> None:
        self._client = client
        self._clock = clock
        self.interval = interval
        self._on_refreshed = on_refreshed or _ignore
        self._on_failed = on_failed or _ignore
        self._view: View | None = None
        self._slots: dict[str, _Slot] = {}
        self._changed = asyncio.Event()
        self._seq = 0

    @property
    def view(self) -> View | None:
        """What is polled now."""
        return self._view

    def show(self, view: View, specs: Sequence[PartSpec]) -> None:
        """Poll for a view from now on, all parts at once; whatever is still under way is dropped.

        A view that was shown before keeps its values; a new one begins empty.
        """
        self.hide()
        self._seq += 1
        view.tag = view.tag._replace(seq=self._seq)
        self._view = view
        view.keep({spec.name for spec in specs})
        for spec in specs:
            self._add(view, spec)
        self._changed.set()

    def hide(self) -> None:
        """Poll for nothing."""
        for name in list(self._slots):
            self._remove(name)
        self._view = None
        self._changed.set()

    def put(self, spec: PartSpec) -> None:
        """Add a part to the view, or replace the one of that name if it asks for something else.

        A replaced part is empty at once, so that one object never shows under another's name, and is asked
        for after a moment: a cursor that runs down a list asks for the row where it stops.
        """
        view, slot = self._view, self._slots.get(spec.name)
        if view is None:
            return
        if slot is not None:
            if slot.spec.asked == spec.asked:
                return
            self._remove(spec.name)
        self._add(view, spec, 0.0 if slot is None else SETTLE_S)
        self._changed.set()

    def drop(self, name: str) -> None:
        """Forget a part of the view."""
        if self._view is not None and name in self._slots:
            self._remove(name)
            self._view.keep(self._slots.keys())

    def wake(self, *names: str) -> None:
        """Ask for the parts of these names now, for all without names; after a running request once more."""
        now = self._clock.monotonic()
        for name, slot in self._slots.items():
            if names and name not in names:
                continue
            slot.due = now
            slot.again = slot.task is not None
        self._changed.set()

    def set_interval(self, seconds: float) -> None:
        """Change the interval, and ask now."""
        self.interval = seconds
        self.wake()

    async def run(self) -> None:
        """Poll until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    self._changed.clear()
                    self._start(group)
                    await self._pause()
        finally:
            for slot in self._slots.values():
                slot.task = None
            for part in self._view.parts.values() if self._view else ():
                part.in_flight = False

    # -- inside

    def _add(self, view: View, spec: PartSpec, after: float = 0.0) -> None:
        view.add(spec.name, spec.type, spec.asked)
        self._slots[spec.name] = _Slot(spec, self._clock.monotonic() + after)

    def _remove(self, name: str) -> None:
        slot = self._slots.pop(name)
        if slot.task is not None:
            slot.task.cancel()
        if self._view is not None and name in self._view.parts:
            self._view.parts[name].in_flight = False

    def _every(self, slot: _Slot) -> float:
        return max(self.interval, slot.spec.every or 0.0)

    def _start(self, group: asyncio.TaskGroup) -> None:
        view, now = self._view, self._clock.monotonic()
        if view is None:
            return
        for slot in self._slots.values():
            if slot.task is not None or slot.due > now:
                continue
            if slot.spec.when is not None and not slot.spec.when(view):
                slot.due = now + self._every(slot)
                continue
            view.parts[slot.spec.name].in_flight = True
            slot.task = group.create_task(self._fetch(view, slot))

    async def _pause(self) -> None:
        """Wait until something is due, or something changed."""
        waiting: list[asyncio.Task[object]] = [asyncio.create_task(self._changed.wait())]
        idle = [slot.due for slot in self._slots.values() if slot.task is None]
        if idle:
            delay = max(0.0, min(idle) - self._clock.monotonic())
            waiting.append(asyncio.create_task(self._clock.sleep(delay)))
        try:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in waiting:
                task.cancel()

    async def _fetch(self, view: View, slot: _Slot) -> None:
        spec, tag = slot.spec, view.tag
        began = self._clock.monotonic()
        error: ApiError | None = None
        try:
            reply = await self._client.get(spec.path, spec.params, spec.type)
        except ApiError as exc:
            error = exc
        if self._view is not view or view.tag != tag or self._slots.get(spec.name) is not slot:
            return
        now = self._clock.monotonic()
        all_failed = False
        slot.task = None
        view.parts[spec.name].in_flight = False
        if error is None:
            view.put(spec.name, reply.data, reply.meta, now, reply.took_ms, reply.local_mid)
            self._after_success(view, slot, began, now)
        else:
            was_good = view.parts[spec.name].error is None
            view.fail(spec.name, error)
            all_failed = self._after_failure(view, slot, error, was_good, now)
        self._changed.set()
        self._on_refreshed(tag, spec.name)
        if all_failed:
            self._on_failed(tag)

    def _after_success(self, view: View, slot: _Slot, began: float, now: float) -> None:
        view.fails, view.retry_at = 0, None
        slot.due = now if slot.again else max(now + LEAST_PAUSE_S, began + self._every(slot))
        slot.again = False

    def _after_failure(self, view: View, slot: _Slot, error: ApiError, was_good: bool, now: float) -> bool:
        """Plan the next try; tell whether it is the back-off after a round in which all failed."""
        slot.due = now + max(self._every(slot), error.retry_after or 0.0)
        if slot.again:
            slot.due, slot.again = now, False
        elif not any(other.task for other in self._slots.values()) and view.all_failed:
            self._back_off(view, now)
            return True
        elif was_good and error.kind.is_away:
            # Is it this part, or the server? Asking for the others too tells soon.
            for other in self._slots.values():
                if other is not slot:
                    other.due = now
        return False

    def _back_off(self, view: View, now: float) -> None:
        level = min(view.fails, len(BACK_OFF_S) - 1)
        asked = max((error.retry_after or 0.0 for _, error in view.problems()), default=0.0)
        delay = asked or BACK_OFF_S[level] * self._clock.jitter(SPREAD)
        view.fails += 1
        view.retry_at = now + delay
        for slot in self._slots.values():
            slot.due = view.retry_at


def _ignore(*_: object) -> None:
    """Do nothing."""
