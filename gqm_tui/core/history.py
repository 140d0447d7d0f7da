"""What the attention rules remember of the last minutes: sizes of queues and evictions, as they were."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gqm_tui.core.model import Queue

WINDOW_S = 300.0
"""How far back anything is remembered."""
GROWTH_S = 60.0
_STEP_S = 5.0  # samples closer than this replace each other, so that 1,000 queues at 1 s stay small


@dataclass(frozen=True, slots=True)
class Sample:
    """One queue at one moment. `buried` counts the dead letters that came since the first sample."""

    at: float
    ready: int
    buried: int
    dead_letter: int


class _Series:
    """Samples of one queue, oldest first; the last one is always the newest that was seen."""

    def __init__(self) -> None:
        self.samples: deque[Sample] = deque()

    def add(self, at: float, queue: Queue) -> None:
        buried = 0
        if self.samples:
            last = self.samples[-1]
            # Retried or deleted dead letters must not hide that new ones come: only rises count.
            buried = last.buried + max(0, queue.dead_letter - last.dead_letter)
            if len(self.samples) > 1 and last.at - self.samples[-2].at < _STEP_S:
                self.samples.pop()
        self.samples.append(Sample(at, queue.ready, buried, queue.dead_letter))
        # The first sample stays the newest of those that are a whole window old.
        while len(self.samples) > 1 and self.samples[1].at <= at - WINDOW_S:
            self.samples.popleft()

    def before(self, span_s: float) -> Sample | None:
        """The newest sample that is at least this much older than the last one."""
        edge = self.samples[-1].at - span_s
        return next((sample for sample in reversed(self.samples) if sample.at <= edge), None)


class History:
    """The last five minutes of one context; another context begins with an empty one.

    All times are the server's, in unix seconds.
    """

    def __init__(self) -> None:
        self._queues: dict[str, _Series] = {}
        self._evicted: deque[tuple[float, int]] = deque()

    def note_queues(self, at: float, queues: Sequence[Queue]) -> None:
        """Remember the queues as they are; a reply that was seen before changes nothing."""
        for queue in queues:
            series = self._queues.setdefault(queue.name, _Series())
            if series.samples and at < series.samples[-1].at:
                series.samples.clear()  # the server's clock was set back
            if not series.samples or at > series.samples[-1].at:
                series.add(at, queue)
        for gone in self._queues.keys() - {queue.name for queue in queues}:
            del self._queues[gone]

    def note_evicted(self, at: float, keys: int) -> None:
        """Remember how many keys Redis had evicted."""
        if self._evicted and (at < self._evicted[-1][0] or keys < self._evicted[-1][1]):
            self._evicted.clear()  # the clock was set back, or Redis began to count anew
        if not self._evicted or keys != self._evicted[-1][1]:
            self._evicted.append((at, keys))

    @property
    def queues(self) -> Iterable[str]:
        """The queues that are watched."""
        return self._queues.keys()

    def grown(self, queue: str) -> int | None:
        """How much a queue grew in the last minute; None before it was watched that long."""
        series = self._queues.get(queue)
        start = series.before(GROWTH_S) if series else None
        return None if series is None or start is None else series.samples[-1].ready - start.ready

    def buried(self, queue: str) -> int:
        """How many dead letters came to a queue in the last five minutes, as far as it was watched."""
        series = self._queues.get(queue)
        return series.samples[-1].buried - series.samples[0].buried if series else 0

    def buried_in(self, queues: Iterable[str]) -> int:
        """The same over several queues."""
        return sum(map(self.buried, queues))

    def evicted(self, now: float) -> int:
        """How many keys Redis evicted in the last five minutes, as far as it was watched."""
        rises = zip(self._evicted, list(self._evicted)[1:], strict=False)
        return sum(new - old for (_, old), (at, new) in rises if at > now - WINDOW_S)
