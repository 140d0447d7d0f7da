"""The lease: a thread of its own says that this server lives, also while a handler blocks the event loop."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
import traceback
from functools import partial
from typing import TYPE_CHECKING, Protocol

from gqm.engine.recovery import Recovery
from gqm.errors import GQMError
from gqm.store.commands.lease import Beat, Pulse, heartbeat, leave

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gqm.store.sync import Store

log = logging.getLogger("gqm.engine")

SAFE_SHARE = 0.8
"""Share of ``lease_ttl`` after which a process that could not renew stops claiming."""
BLOCKED_AFTER_S = 5.0
LEAVE_LIMIT_S = 0.5
"""How long a stop waits for Redis to take the server out of the registries."""


class Subject(Protocol):
    """The server whose lease it is; its methods are called from the lease's thread."""

    server_id: str

    def server_record(self) -> Mapping[str, str | int]:
        """Return the fields of the server's record."""

    def pool_records(self) -> Sequence[tuple[str, Mapping[str, str | int]]]:
        """Return worker id and fields of each pool."""

    def active_claims(self) -> Sequence[tuple[str, str]]:
        """Return job id and token of every claim that is not settled."""

    def claims_lost(self, lost: Sequence[tuple[str, str]]) -> None:
        """Called on the event loop with claims that are somebody else's by now."""


class Lease:
    """Renews a server's lease every fifth of ``lease_ttl`` and recovers the claims of dead neighbours."""

    def __init__(
        self, subject: Subject, store: Store, loop: asyncio.AbstractEventLoop, ttl_s: float, failure_ttl: int
    ) -> None:
        self._subject = subject
        self._store = store
        self._loop = loop
        self._ttl_s = ttl_s
        self._failure_ttl = failure_ttl
        self._recovery = Recovery(store, subject.server_id, failure_ttl)
        self._begun = time.monotonic()
        self._safe_until = 0.0
        self._ending = threading.Event()
        self._left = asyncio.Event()
        self._loop_thread = 0
        self._asked_at = 0.0
        self._blocked_logged = False
        self._failed_since: float | None = None

    def alive(self) -> bool:
        """Whether the lease is certain to be ours; without it no job may be claimed."""
        return time.monotonic() < self._safe_until

    @property
    def recovered(self) -> int:
        """Jobs of dead servers that this one has recovered."""
        return self._recovery.recovered

    async def start(self) -> None:
        """Register with a first beat, then go on in a thread. Raises what the first beat raises."""
        self._loop_thread = threading.get_ident()
        try:
            await self._loop.run_in_executor(None, self._beat)
        except BaseException:
            self._store.close()
            raise
        threading.Thread(target=self._main, name="gqm heartbeat", daemon=True).start()

    async def stop(self) -> None:
        """End the thread, take the server out of all registries; left-over claims are recovered at once.

        Redis may not answer: then the lease ends by itself, and the stop does not wait for it.
        """
        self._ending.set()
        try:
            async with asyncio.timeout(LEAVE_LIMIT_S):
                await self._left.wait()
        except TimeoutError:
            log.warning("could not sign off in time, others will notice when the lease ends")

    def _main(self) -> None:
        self._beat_until_told()
        if self._ending.is_set():
            self._leave()
        self._store.close()
        self._tell_loop(self._left.set)

    def _beat_until_told(self) -> None:
        interval_s = self._ttl_s / 5
        following = time.monotonic() + interval_s
        while not self._ending.wait(max(0.0, following - time.monotonic())):
            following = max(following + interval_s, time.monotonic())
            if self._loop.is_closed():
                log.error("the event loop ended without a stop of the server; its lease ends too")
                return
            try:
                self._watch_loop()
                pulse = self._beat()
                self._recovery.judge(pulse)
            except GQMError as exc:
                self._failed(exc)
                following = min(following, time.monotonic() + interval_s / 2)
            except Exception:
                log.exception("heartbeat: unexpected error")
            else:
                self._worked()

    def _beat(self) -> Pulse:
        subject = self._subject
        sent = time.monotonic()
        beat = Beat(
            subject.server_id,
            round(self._ttl_s * 1000),
            subject.server_record(),
            subject.pool_records(),
            subject.active_claims(),
            round(sent - self._begun),
        )
        pulse = self._store.run(heartbeat(self._store.keys, beat))
        self._safe_until = sent + SAFE_SHARE * self._ttl_s
        if pulse.lost:
            self._tell_loop(partial(subject.claims_lost, pulse.lost))
        if pulse.returned:
            log.warning(
                "heartbeat: %d claims whose answer was lost went back to their queues", len(pulse.returned)
            )
        return pulse

    def _tell_loop(self, function: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(function)
        except RuntimeError:
            log.debug("the event loop was closed")

    def _leave(self) -> None:
        workers = [worker for worker, _ in self._subject.pool_records()]
        try:
            left = self._store.run(
                leave(self._store.keys, self._subject.server_id, workers, self._failure_ttl)
            )
        except GQMError as exc:
            log.warning("could not sign off, others will notice when the lease ends: %s", exc)
        else:
            if left:
                log.warning("%d claims were left over and have been recovered", left)

    def _failed(self, exc: Exception) -> None:
        if self._failed_since is None:
            self._failed_since = time.monotonic()
            log.error("heartbeat: %s", exc, extra={"event": "redis_away"})

    def _worked(self) -> None:
        if self._failed_since is not None:
            away = time.monotonic() - self._failed_since
            self._failed_since = None
            log.warning("heartbeat: works again after %.1f s", away, extra={"event": "redis_back"})

    # ---------------------------------------------------------------------- is the event loop alive

    def _watch_loop(self) -> None:
        now = time.monotonic()
        if not self._asked_at:
            self._asked_at = now
            self._tell_loop(self._answered)
        elif now - self._asked_at > BLOCKED_AFTER_S and not self._blocked_logged:
            self._blocked_logged = True
            log.warning(
                "the event loop has been blocked for %.0f s by %s; async handlers must not run blocking code",
                now - self._asked_at,
                self._blocker(),
                extra={"event": "loop_blocked"},
            )

    def _answered(self) -> None:
        self._asked_at = 0.0
        self._blocked_logged = False

    def _blocker(self) -> str:
        frame = sys._current_frames().get(self._loop_thread)
        if frame is None:
            return "something unknown"
        stack = traceback.extract_stack(frame)
        # Nearest to the handler: the first frame after the engine's own.
        own = [index for index, item in enumerate(stack) if "/gqm/engine/" in item.filename]
        item = stack[min(own[-1] + 1, len(stack) - 1)] if own else stack[-1]
        return f"{item.name} ({item.filename}:{item.lineno})"
