"""Tab 2: every pool on every server, how busy it is, what takes longest, and which one is silent."""

from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

from rich.style import Style
from rich.text import Text

from gqm_tui.core import fmt
from gqm_tui.core.client import path
from gqm_tui.core.model import Worker, WorkerDetail
from gqm_tui.core.poll import PartSpec
from gqm_tui.core.signs import Signs
from gqm_tui.core.table import CellText, Column, Row, Sort, Tone
from gqm_tui.core.text import fit, fit_middle
from gqm_tui.screens.panes.base import rule
from gqm_tui.screens.panes.table_pane import TablePane

COLUMNS = (
    Column("worker", "WORKER", 25, 21, "worker", star=True),
    Column("state", "STATE", 10, 8, "state"),
    Column("slots", "SLOTS", 13, 11, "slots"),
    Column("ahead", "AHEAD", 5, 0, "ahead", right=True),
    Column("queues", "QUEUES", 18, 11, "queues"),
    Column("longest", "LONGEST", 12, 10, "longest"),
    Column("aband", "ABAND", 5, 0, "aband", right=True),
    Column("beat", "BEAT", 5, 5, "beat", right=True),
    Column("up", "UP", 7, 0, "up", right=True),
)
_WIDTHS = {column.key: (column.wide, column.narrow) for column in COLUMNS}
_BEAT_STEP_S = 5


def beat_rank(age: float | None) -> float | None:
    """The age of a heartbeat as rows are sorted by it: in steps, so that live ones do not change places."""
    return None if age is None else float(max(0.0, age) // _BEAT_STEP_S * _BEAT_STEP_S)


def slots(busy: int, of: int, cells: int, signs: Signs) -> CellText:
    """Busy slots of all slots, as a bar and as numbers."""
    text = f"{busy}/{of}"
    bar = signs.bar(busy / of if of else 0.0, max(1, cells - len(text) - 1))
    full = of > 0 and busy >= of
    return CellText(f"{bar} {text}", Tone.WARN if full else Tone.ACTIVE if busy else Tone.DIM)


def listed(names: Sequence[str], cells: int) -> str:
    """Names with commas, cut at the end."""
    return fit(", ".join(names), cells) if names else fmt.ZERO


def longest(worker: Worker) -> CellText:
    """How long the oldest running job has been at it, and whether it is over its deadline."""
    job = worker.longest
    if job is None:
        return CellText(fmt.ZERO, Tone.DIM)
    took = fmt.short(job.elapsed_ms)
    return CellText(f"{took} over", Tone.BAD) if job.over_deadline else CellText(took)


def optional(value: int | None, tone: Tone = Tone.PLAIN) -> CellText:
    """A count that older peers do not tell."""
    return CellText(fmt.count(value), tone if value else Tone.DIM)


def row(worker: Worker, now: float | None, signs: Signs, *, narrow: bool) -> Row:
    """Make the row of a worker; `now` is the server's clock."""
    widths = {key: both[narrow] for key, both in _WIDTHS.items()}
    beat = None if now is None else now - worker.last_heartbeat
    up = None if now is None else now - worker.started_at
    silent = worker.status == "stale"
    return Row(
        worker.id,
        {
            "worker": CellText(fit_middle(worker.id, 80)),
            "state": signs.other(worker.status),
            "slots": slots(worker.active_jobs, worker.concurrency, widths["slots"], signs),
            "ahead": optional(worker.ahead),
            "queues": CellText(listed(worker.queues, widths["queues"])),
            "longest": longest(worker),
            "aband": optional(worker.abandoned, Tone.WARN),
            "beat": CellText(fmt.age(beat), Tone.BAD if silent else Tone.PLAIN),
            "up": CellText(fmt.age(up)),
        },
        {
            "worker": worker.id,
            "state": worker.status,
            "slots": worker.active_jobs,
            "ahead": worker.ahead,
            "queues": ", ".join(worker.queues),
            "longest": None if worker.longest is None else worker.longest.elapsed_ms / 1_000,
            "aband": worker.abandoned,
            "beat": beat_rank(beat),
            "up": up,
        },
    )


class WorkersPane(TablePane):
    """All workers, the silent ones first."""

    name_of_view = "workers"
    awaited = "workers"
    default_sort: ClassVar[Sort] = Sort("beat", True)

    def __init__(self, server_id: str = "") -> None:
        super().__init__()
        self.server_id = server_id

    @property
    def crumb(self) -> str:
        """The tab's name, or the server whose workers these are."""
        return fit_middle(self.server_id, 40) or "Workers"

    def query_text(self) -> str:
        """The server that the list is limited to."""
        return self.server_id

    def columns(self) -> Sequence[Column]:
        """The columns of the table."""
        return COLUMNS

    def specs(self) -> Sequence[PartSpec]:
        """All workers, and the jobs of the highlighted one."""
        params = {"server_id": self.server_id} if self.server_id else {}
        found = [PartSpec("workers", path("workers"), params, list[Worker])]
        key = self.table.cursor_key
        return found if key is None else [*found, self._detail(key)]

    @staticmethod
    def _detail(worker_id: str) -> PartSpec:
        return PartSpec("jobs", path("workers", worker_id), {}, WorkerDetail, every=5.0)

    def highlighted(self, row: Row | None) -> None:
        """Ask what the worker under the cursor runs."""
        if row is not None:
            self.ask_also(self._detail(row.key))

    @property
    def shown_workers(self) -> Sequence[Worker]:
        """What the server told last."""
        return self.view.value("workers", list[Worker]) or []

    def build(self) -> Sequence[Row]:
        """One row a worker."""
        now, signs, narrow = self.server_now, self.gqm.signs, self.narrow
        return [row(worker, now, signs, narrow=narrow) for worker in self.shown_workers]

    def summary(self, total: int, shown: int) -> str:
        """How many are alive, and how busy they are."""
        live = [worker for worker in self.shown_workers if worker.status != "stale"]
        busy, of = sum(worker.active_jobs for worker in live), sum(worker.concurrency for worker in live)
        matching = f"{shown} of {total} match · " if self.filter_text else ""
        unit = "busy" if self.narrow else "slots busy"
        where = f"{self.crumb} · " if self.server_id else ""
        return f"{where}{matching}{len(live)} of {total} alive · {busy} of {of} {unit}"

    def empty_text(self) -> tuple[str, str]:
        """What is missing."""
        return "No workers.", 'No job runs until a server is started: "gqm run".'

    def footer(self) -> tuple[str, tuple[str, ...] | None, dict[str, str]]:
        """Name what enter opens."""
        return "", None, {"table.open": "Jobs"}

    def strip(self, row: Row | None) -> Text | None:
        """What the worker under the cursor is at."""
        worker = next((one for one in self.shown_workers if row is not None and one.id == row.key), None)
        if worker is None:
            return None
        dim = self.tone(Tone.DIM)
        line = Text()
        line.append(fit_middle(worker.id, 40), "bold")
        line.append(" ── ", dim)
        line.append(*self._health(worker))
        if at := self._at(worker):
            line.append(" ── ", dim)
            line.append(at)
        return rule(line, self.size.width - 2, dim)

    def _at(self, worker: Worker) -> str:
        """What it has been running longest, and what else it runs."""
        job = worker.longest
        if job is None:
            return ""
        over = ", over" if job.over_deadline else ""
        text = f"longest {fit_middle(job.id, 18)} {fit(job.type, 30)} {fmt.short(job.elapsed_ms)}{over}"
        detail = self.view.value("jobs", WorkerDetail)
        if detail is None or detail.id != worker.id:
            return text
        others = Counter(fit(other.type, 20) for other in detail.jobs if other.id != job.id)
        more = ", ".join(f"{count} {name}" if count > 1 else name for name, count in others.most_common(3))
        return f"{text}; also {more}" if more else text

    def _health(self, worker: Worker) -> tuple[str, Style]:
        held = f"{worker.active_jobs} {'job' if worker.active_jobs == 1 else 'jobs'}"
        if worker.status == "stale":
            now = self.server_now
            age = fmt.age(None if now is None else now - worker.last_heartbeat)
            return f"no heartbeat for {age}, {held} held", self.tone(Tone.BAD)
        isolation = f"{worker.isolation} pool" if worker.isolation else "pool"
        return f"{isolation} {fit(worker.pool, 20)}, {held} running", self.tone(Tone.PLAIN)

    def open(self, row: Row) -> None:
        """Show what the worker runs."""
        self.gqm.doors.worker(row.key)
