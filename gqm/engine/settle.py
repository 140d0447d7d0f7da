"""Writing outcomes: the first goes at once, what comes meanwhile goes together in the next write."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias, cast

from gqm.engine.outage import Outage
from gqm.errors import StoreError
from gqm.store.command import Command
from gqm.store.commands import settle as commands
from gqm.store.commands.claim import return_unstarted
from gqm.store.commands.settle import MAX_SETTLE, MAX_SETTLE_BYTES, Burial, Completion, RetryLater

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gqm.engine.attempt import Outcome
    from gqm.store.aio import AsyncStore
    from gqm.store.commands.claim import Claim
    from gqm.store.commands.settle import Settled

log = logging.getLogger("gqm.engine")


@dataclass(slots=True)
class Return:
    """The claim goes back to the front of its queue; ``started`` = its handler had begun."""

    claim: Claim
    started: bool


Entry: TypeAlias = "tuple[Outcome | Return, Callable[[bool], None] | None]"


@dataclass(slots=True)
class _Lane:
    """The outcomes of one queue that are still to be written, by kind; one write at a time."""

    queue: str
    outage: Outage
    pending: dict[type, deque[Entry]] = field(
        default_factory=lambda: {Completion: deque(), RetryLater: deque(), Burial: deque(), Return: deque()}
    )
    task: asyncio.Task[None] | None = None


class Settler:
    """Keeps every outcome until Redis has it, for as long as the process lives."""

    def __init__(
        self,
        store: AsyncStore,
        *,
        result_ttl: int | None,
        failure_ttl: int | None,
        settled: Callable[[Claim], None],
    ) -> None:
        """``settled`` is told of each claim that is written, whether it was still ours or not."""
        self._store = store
        self._result_ttl = result_ttl
        self._failure_ttl = failure_ttl
        self._settled = settled
        self._lanes: dict[str, _Lane] = {}
        self.backlog = 0
        """Outcomes not yet written."""
        self.broken: set[str] = set()
        """Queues whose outcomes Redis refuses, because a key has a wrong type."""

    def submit(self, outcome: Outcome | Return, told: Callable[[bool], None] | None = None) -> None:
        """Take an outcome; ``told`` is called once it is written: True if the claim was still ours."""
        queue = outcome.claim.queue
        lane = self._lanes.get(queue)
        if lane is None:
            lane = self._lanes[queue] = _Lane(queue, Outage(f"settling jobs of queue {queue!r}"))
        lane.pending[type(outcome)].append((outcome, told))
        self.backlog += 1
        if lane.task is None:
            lane.task = asyncio.get_running_loop().create_task(self._write(lane))

    async def flush(self) -> None:
        """Wait until everything is written."""
        while tasks := [lane.task for lane in self._lanes.values() if lane.task is not None]:
            await asyncio.wait(tasks)

    def give_up(self) -> int:
        """Stop writing; returns how many outcomes were left (their claims will be recovered)."""
        for lane in self._lanes.values():
            if lane.task is not None:
                lane.task.cancel()
            for items in lane.pending.values():
                _tell_all(items)
                items.clear()
        return self.backlog

    async def _write(self, lane: _Lane) -> None:
        try:
            while kind := next((kind for kind, items in lane.pending.items() if items), None):
                batch = _take(kind, lane.pending[kind])
                try:
                    answers = await self._send(lane, kind, [item for item, _ in batch])
                except asyncio.CancelledError:
                    _tell_all(batch)
                    raise
                self.backlog -= len(batch)
                for (item, told), answer in zip(batch, answers, strict=True):
                    self._tell(item, told, answer)
        finally:
            lane.task = None

    async def _send(self, lane: _Lane, kind: type, items: list[Outcome | Return]) -> list[int]:
        while True:
            try:
                answers = await self._store.run(self._command(lane.queue, kind, items))
            except Exception as exc:  # noqa: BLE001 - nothing else may be done with an outcome than writing it
                if isinstance(exc, StoreError):
                    self.broken.add(lane.queue)
                await lane.outage.pause(exc)
            else:
                lane.outage.over()
                self.broken.discard(lane.queue)
                return answers

    def _command(self, queue: str, kind: type, items: list[Outcome | Return]) -> Command[list[int]]:
        keys = self._store.keys
        if kind is Return:
            returns = cast("list[Return]", items)
            return return_unstarted(keys, queue, [(item.claim, item.started) for item in returns])
        command: Command[Settled]
        if kind is Completion:
            done = cast("list[Completion]", items)
            ttls = {"result_ttl": self._result_ttl, "failure_ttl": self._failure_ttl}
            command = commands.complete(keys, queue, done, **ttls)
        elif kind is RetryLater:
            command = commands.retry(keys, queue, cast("list[RetryLater]", items))
        else:
            dead = cast("list[Burial]", items)
            command = commands.dead_letter(keys, queue, dead, failure_ttl=self._failure_ttl)
        read = command.read
        return Command(command.words, lambda raw: read(raw).answers, command.script, command.again)

    def _tell(self, item: Outcome | Return, told: Callable[[bool], None] | None, answer: int) -> None:
        claim = item.claim
        if answer == 0 and not isinstance(item, Return):
            log.warning(
                "job %s is no longer held by this server; its outcome was dropped",
                claim.id,
                extra={"event": "claim_lost", "job": claim.id, "queue": claim.queue},
            )
        self._settled(claim)
        if told is not None:
            told(answer != 0)


def _tell_all(entries: Iterable[Entry]) -> None:
    """Tell everybody who waits that his outcome will not be written."""
    for _, told in entries:
        if told is not None:
            told(False)


def _take(kind: type, items: deque[Entry]) -> list[Entry]:
    """Take as many as one call may carry, at least one."""
    if kind is Return and len(items) > MAX_SETTLE:
        # They go to the front of the queue: what was claimed first is handed back last.
        return [items.pop() for _ in range(MAX_SETTLE)][::-1]
    if len(items) <= MAX_SETTLE and not any(type(item) is Completion and item.result for item, _ in items):
        batch = list(items)
        items.clear()
        return batch
    batch, size = [], 0
    while items and len(batch) < MAX_SETTLE:
        size += _size(items[0][0])
        if batch and size > MAX_SETTLE_BYTES:
            break
        batch.append(items.popleft())
    return batch


def _size(item: Outcome | Return) -> int:
    if isinstance(item, Completion):
        return len(item.result)
    if isinstance(item, Return):
        return 0
    return len(item.error) + len(item.traceback) + len(item.entry)
