"""Tab 1: every queue with what waits, runs, failed, how old it is, and whether it drains."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from rich.text import Text
from textual.binding import BindingType

from gqm_tui import keymap
from gqm_tui.core import fmt
from gqm_tui.core.actions import Action, empty_plan, queue_plan
from gqm_tui.core.client import path
from gqm_tui.core.model import MinutesSeries, Queue, QueueDetail
from gqm_tui.core.poll import PartSpec
from gqm_tui.core.signs import Signs
from gqm_tui.core.table import CellText, Column, Row, Sort, Tone
from gqm_tui.core.text import fit
from gqm_tui.screens.panes.base import rule
from gqm_tui.screens.panes.table_pane import TablePane

COLUMNS = (
    Column("queue", "QUEUE", 14, 18, "name", star=True),
    Column("state", "STATE", 8, 8, "state"),
    Column("ready", "READY", 7, 7, "ready", right=True),
    Column("act", "ACT", 4, 4, "act", right=True),
    Column("sched", "SCHED", 5, 0, "sched", right=True),
    Column("retry", "RETRY", 5, 0, "retry", right=True),
    Column("dlq", "DLQ", 5, 5, "dlq", right=True),
    Column("oldest", "OLDEST", 7, 7, "oldest", right=True),
    Column("in", "IN/m", 6, 0, "in", right=True),
    Column("out", "OUT/m", 6, 0, "out", right=True),
    Column("fail", "FAIL/m", 6, 0, "fail", right=True),
    Column("drain", "DRAIN", 7, 7, "drain", right=True),
    Column("minutes", "15 MIN", 12, 6),
)
MINUTES = 15
_Inputs = tuple[Queue, Sequence[float | None], tuple[int, int] | None, Signs, float, int]


def rate(value: float | None) -> str:
    """Jobs a minute, as a whole number."""
    return fmt.count(None if value is None else round(value))


def drain(queue: Queue) -> CellText:
    """How long until the queue is empty at its present pace."""
    if queue.paused:
        return CellText("paused" if queue.ready else fmt.ZERO, Tone.WARN if queue.ready else Tone.DIM)
    if queue.ready == 0:
        return CellText(fmt.ZERO, Tone.DIM)
    if queue.drain_ms is not None:
        return CellText(fmt.age(queue.drain_ms / 1_000))
    known = queue.in_per_min is not None and queue.out_per_min is not None
    return CellText("never", Tone.BAD) if known else CellText(fmt.UNKNOWN, Tone.DIM)


def number(value: int, tone: Tone = Tone.PLAIN) -> CellText:
    """A count; zero is a quiet dot."""
    return CellText(fmt.count(value), tone if value else Tone.DIM)


def row(
    queue: Queue,
    minutes: Sequence[float | None],
    before: tuple[int, int] | None,
    signs: Signs,
    oldest_slo_s: float,
    spark_cells: int,
) -> Row:
    """Make the row of a queue. `before` are its ready and dead-letter counts of the last painting."""
    state = signs.other("paused" if queue.paused else "run")
    oldest_s = None if queue.oldest_age_ms is None else queue.oldest_age_ms / 1_000
    late = oldest_s is not None and oldest_s > oldest_slo_s
    trend = _trend(queue.ready, before[0] if before else None)
    dead = _trend(queue.dead_letter, before[1] if before else None)
    return Row(
        queue.name,
        {
            "queue": CellText(fit(queue.name, 60)),
            "state": state,
            "ready": CellText(fmt.count(queue.ready) + trend, Tone.PLAIN if queue.ready else Tone.DIM),
            "act": number(queue.processing, Tone.ACTIVE),
            "sched": number(queue.scheduled, Tone.PLANNED),
            "retry": number(queue.retry, Tone.WARN),
            "dlq": CellText(fmt.count(queue.dead_letter) + dead, Tone.BAD if queue.dead_letter else Tone.DIM),
            "oldest": CellText(
                fmt.ZERO if oldest_s is None else fmt.age(oldest_s),
                Tone.BAD if late else Tone.DIM if oldest_s is None else Tone.PLAIN,
            ),
            "in": CellText(rate(queue.in_per_min), _quiet(queue.in_per_min)),
            "out": CellText(rate(queue.out_per_min), _quiet(queue.out_per_min)),
            "fail": CellText(rate(queue.failed_per_min), _quiet(queue.failed_per_min, Tone.BAD)),
            "drain": drain(queue),
            "minutes": CellText(signs.spark(minutes, spark_cells), Tone.ACTIVE),
        },
        {
            "name": queue.name,
            "state": "paused" if queue.paused else "run",
            "ready": queue.ready,
            "act": queue.processing,
            "sched": queue.scheduled,
            "retry": queue.retry,
            "dlq": queue.dead_letter,
            "oldest": oldest_s,
            "in": queue.in_per_min,
            "out": queue.out_per_min,
            "fail": queue.failed_per_min,
            "drain": None if queue.drain_ms is None else queue.drain_ms / 1_000,
        },
    )


def _quiet(value: float | None, tone: Tone = Tone.PLAIN) -> Tone:
    return tone if value is not None and round(value) else Tone.DIM


def _trend(now: int, before: int | None) -> str:
    if before is None or now == before:
        return ""
    return "↑" if now > before else "↓"


class QueuesPane(TablePane):
    """The first thing an operator looks at."""

    BINDINGS: ClassVar[list[BindingType]] = keymap.scope("queues")
    scopes = ("queues",)
    name_of_view = "queues"
    awaited = "queues"
    default_sort: ClassVar[Sort] = Sort("ready", True)

    def __init__(self) -> None:
        super().__init__()
        self._counts: dict[str, tuple[int, int]] = {}
        self._counted: dict[str, tuple[int, int]] = {}
        self._counted_at: float | None = None
        self._made: dict[str, tuple[_Inputs, Row]] = {}

    @property
    def crumb(self) -> str:
        """The tab's name."""
        return "Queues"

    def columns(self) -> Sequence[Column]:
        """The columns of the table."""
        return COLUMNS

    def specs(self) -> Sequence[PartSpec]:
        """All queues, their minutes, and the types of the highlighted one."""
        found: list[PartSpec] = [
            PartSpec("queues", path("queues"), {}, list[Queue]),
            PartSpec(
                "minutes", path("stats", "minutes"), {"minutes": MINUTES}, list[MinutesSeries], every=10.0
            ),
        ]
        key = self.table.cursor_key
        return found if key is None else [*found, self._types(key)]

    @staticmethod
    def _types(name: str) -> PartSpec:
        return PartSpec("types", path("queues", name), {}, QueueDetail, every=5.0)

    def build(self) -> Sequence[Row]:
        """One row a queue."""
        queues = self.view.value("queues", list[Queue]) or []
        series = self._series()
        before = self._before(queues)
        signs, slo = self.gqm.signs, self.gqm.settings.slo_of
        cells = COLUMNS[-1].narrow if self.narrow else COLUMNS[-1].wide
        made: dict[str, tuple[_Inputs, Row]] = {}
        for queue in queues:
            inputs = (
                queue,
                series.get(queue.name, ()),
                before.get(queue.name),
                signs,
                slo(queue.name).oldest_s,
                cells,
            )
            known = self._made.get(queue.name)
            # Most queues stand still from one second to the next; their rows are the same objects then.
            made[queue.name] = known if known is not None and known[0] == inputs else (inputs, row(*inputs))
        self._made = made
        return [each for _, each in made.values()]

    def _series(self) -> Mapping[str, list[float | None]]:
        found = self.view.value("minutes", list[MinutesSeries]) or []
        return {
            item.queue: [float(minute.processed) for minute in reversed(item.minutes)]
            for item in found
            if item.queue is not None
        }

    def _before(self, queues: Sequence[Queue]) -> Mapping[str, tuple[int, int]]:
        # The arrows stand for one interval, so the counts move on only when a new reply came.
        part = self.part("queues")
        at = None if part is None else part.at
        if at != self._counted_at:
            self._counted_at, self._counted = at, self._counts
            self._counts = {queue.name: (queue.ready, queue.dead_letter) for queue in queues}
        return self._counted

    def footer(self) -> tuple[str, tuple[str, ...] | None, dict[str, str]]:
        """Name what enter opens, and what `p` would do."""
        if self.current is None:
            back = ("list.filter", "list.back") if self.filter_text else ("app.refresh",)
            return "", (*back, "app.refresh", "app.help"), {"list.back": "Clear"}
        paused = self.current.values["state"] == "paused"
        return "", None, {"table.open": "Jobs", "queues.pause": "Resume" if paused else "Pause"}

    def summary(self, total: int, shown: int) -> str:
        """How many queues there are."""
        meta = self.view.meta()
        if meta is not None and meta.truncated and meta.total is not None:
            total = max(total, meta.total)
        return f"{shown} of {self.bound}{total:,}{'' if self.narrow else ' queues'}"

    def empty_text(self) -> tuple[str, str]:
        """What fills the table."""
        return "No queues yet.", "A queue shows as soon as a job was enqueued or a server reads it."

    def highlighted(self, row: Row | None) -> None:
        """Ask for the types of the queue under the cursor."""
        if row is not None:
            self.ask_also(self._types(row.key))

    def strip(self, row: Row | None) -> Text | None:
        """What the next jobs of the queue under the cursor are."""
        detail = self.view.value("types", QueueDetail)
        if row is None or detail is None or detail.name != row.key or not detail.by_type:
            return None
        title = Text()
        title.append(fit(detail.name, 30), "bold")
        title.append(f", next {min(1_000, detail.ready):,} by type")
        title.append(" ── ", self.tone(Tone.DIM))
        title.append(" · ".join(f"{fit(item.type, 30)} {item.ready:,}" for item in detail.by_type))
        return rule(title, self.size.width - 2, self.tone(Tone.DIM))

    def action_pause(self) -> None:
        """Pause the queue under the cursor, or resume it."""
        queue = self._queue()
        if queue is not None:
            action = Action.RESUME if queue.paused else Action.PAUSE
            self.gqm.perform(queue_plan(action, queue, production=self.gqm.acting.production))

    def action_empty(self) -> None:
        """Cancel all ready jobs of the queue under the cursor."""
        queue = self._queue()
        if queue is not None:
            self.gqm.perform(empty_plan(queue))

    def _queue(self) -> Queue | None:
        key = self.table.cursor_key
        queues = self.view.value("queues", list[Queue]) or []
        return next((queue for queue in queues if queue.name == key), None)

    def open(self, row: Row) -> None:
        """Show the queue's jobs."""
        self.gqm.doors.jobs(row.key)
