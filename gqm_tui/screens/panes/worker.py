"""One worker: the jobs it runs, how long each has been at it, and how near its deadline is."""

from collections.abc import Iterable, Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual.binding import BindingType
from textual.widget import Widget

from gqm_tui import keymap
from gqm_tui.core import fmt
from gqm_tui.core.actions import Action, job_plan
from gqm_tui.core.client import Param, path
from gqm_tui.core.errors import Kind
from gqm_tui.core.jobtext import tries
from gqm_tui.core.model import Job, WorkerDetail
from gqm_tui.core.poll import PartSpec
from gqm_tui.core.signs import Signs
from gqm_tui.core.table import CellText, Column, Row, Sort, Tone
from gqm_tui.core.text import fit, fit_middle
from gqm_tui.screens.panes.table_pane import PAGE, TablePane, drill_down
from gqm_tui.widgets.line import Line

_QUEUES_CELLS = (16, 40)
COLUMNS = (
    Column("id", "JOB ID", 18, 14, "id"),
    Column("type", "TYPE", 18, 16, "type", star=True),
    Column("queue", "QUEUE", 14, 0),
    Column("try", "TRY", 5, 5, "retry_count", right=True),
    Column("started", "STARTED", 9, 9, "time"),
    Column("elapsed", "ELAPSED", 8, 8, right=True),
    Column("deadline", "DEADLINE", 14, 14),
    Column("progress", "PROGRESS", 16, 0),
)
_WIDTHS = {column.key: (column.wide, column.narrow) for column in COLUMNS}
_BAR = 8


def deadline(job: Job, now: float | None, signs: Signs) -> CellText:
    """How much of its time a job has used: a bar and a share, or `over`."""
    if now is None or job.started_at is None or job.processing_deadline is None:
        return CellText(fmt.ZERO, Tone.DIM)
    span = job.processing_deadline - job.started_at
    share = (now - job.started_at) / span if span > 0 else 1.0
    if share >= 1:
        return CellText(f"{signs.bar(1.0, _BAR)} over", Tone.BAD)
    tone = Tone.WARN if share > 0.8 else Tone.ACTIVE
    return CellText(f"{signs.bar(share, _BAR)} {share:.0%}", tone)


def progress(job: Job, cells: int) -> CellText:
    """What the handler last reported."""
    if job.progress is None:
        return CellText("")
    done = f"{job.progress.current:g}/{job.progress.total:g}"
    return CellText(fit(f"{done} {job.progress.message}".rstrip(), cells))


def row(job: Job, now: float | None, signs: Signs, *, narrow: bool, local: bool) -> Row:
    """Make the row of a running job; `now` is the server's clock."""
    widths = {key: both[narrow] for key, both in _WIDTHS.items()}
    elapsed = None if now is None or job.started_at is None else max(0.0, now - job.started_at)
    return Row(
        job.id,
        {
            "id": CellText(fit_middle(job.id, widths["id"])),
            "type": CellText(fit(job.type, 60)),
            "queue": CellText(fit(job.queue, widths["queue"] or 14)),
            "try": tries(job, widths["try"]),
            "started": CellText(fmt.clock(job.started_at, local=local)),
            "elapsed": CellText(fmt.UNKNOWN if elapsed is None else fmt.age(elapsed)),
            "deadline": deadline(job, now, signs),
            "progress": progress(job, widths["progress"] or 16),
        },
        {"id": job.id, "type": job.type, "queue": job.queue},
    )


class WorkerPane(TablePane):
    """The running jobs of one worker, the longest first."""

    BINDINGS: ClassVar[list[BindingType]] = keymap.scope("worker")
    scopes = ("worker",)
    name_of_view = "worker"
    awaited = "jobs"
    paged = True
    default_sort: ClassVar[Sort] = Sort("started", False)

    def __init__(self, worker: str) -> None:
        super().__init__()
        self.worker = worker
        self._facts = Line(classes="facts")

    @property
    def crumb(self) -> str:
        """The worker's id."""
        return fit_middle(self.worker, 40)

    def columns(self) -> Sequence[Column]:
        """The columns of the table."""
        return COLUMNS

    def query_text(self) -> str:
        """All that makes this list another one."""
        return repr((self.worker, self.page, self.sort, self.filter_text))

    def specs(self) -> Sequence[PartSpec]:
        """The jobs it runs, and the worker."""
        columns = {column.key: column.sort for column in COLUMNS}
        params: dict[str, Param] = {
            **self.params,
            "status": "processing",
            "worker": self.worker,
            "page": self.page,
            "limit": PAGE,
            "sort": columns.get(self.sort.column) or "time",
            "order": "desc" if self.sort.descending else "asc",
        }
        return [
            PartSpec("jobs", path("jobs"), params, list[Job]),
            PartSpec("worker", path("workers", self.worker), {}, WorkerDetail),
        ]

    @property
    def about(self) -> WorkerDetail | None:
        """The worker, once it is known."""
        return self.view.value("worker", WorkerDetail)

    @property
    def gone(self) -> bool:
        """Whether the server does not know the worker any more; what was known last stays on the screen."""
        part = self.part("worker")
        return part is not None and part.error is not None and part.error.kind is Kind.NOT_FOUND

    def build(self) -> Sequence[Row]:
        """One row a job."""
        now, signs = self.server_now, self.gqm.signs
        jobs = self.view.value("jobs", list[Job]) or []
        local = self.gqm.settings.local_time
        return [row(job, now, signs, narrow=self.narrow, local=local) for job in jobs]

    def total(self, rows: Sequence[Row]) -> int:
        """How many jobs it runs."""
        meta = self.view.meta("jobs")
        return 0 if meta is None or meta.total is None else meta.total

    def head_lines(self) -> Iterable[Widget]:
        """Server, queues and what else is known of the worker."""
        yield self._facts

    def paint(self) -> None:
        """Table and title, and the line of facts."""
        super().paint()
        if self.is_mounted:
            self._facts.display = not self.narrow
            self._facts.show(Text(self._told(), self.tone(Tone.DIM)))

    def _told(self) -> str:
        worker = self.about
        if worker is None:
            return ""
        since = fmt.stamp(worker.started_at, local=self.gqm.settings.local_time)
        queues = ", ".join(worker.queues)
        facts = [
            f"server {fit(worker.server_id, 30)}",
            f"isolation {worker.isolation or fmt.UNKNOWN}",
            f"ahead {fmt.count(worker.ahead)}",
            f"abandoned {fmt.count(worker.abandoned)}",
            f"since {since}",
        ]
        while (room := self._room_beside(facts)) < min(_QUEUES_CELLS[0], cell_len(queues)):
            facts.pop()  # since when it runs is told by the title as well
        return " · ".join((facts[0], f"queues {fit(queues, min(_QUEUES_CELLS[1], room))}", *facts[1:]))

    def _room_beside(self, facts: Sequence[str]) -> int:
        """Cells that other facts leave for the names of the queues."""
        return self.app.size.width - 3 - cell_len(" · ".join((*facts, "queues ")))

    def summary(self, total: int, shown: int) -> str:
        """The worker, and whether it is gone."""
        told = f" · / {fit(self.filter_text, 40)}" if self.filter_text else ""
        return f"{self.crumb}{told}{' · gone' if self.gone else ''}"

    def title_right(self, total: int, shown: int) -> str:
        """Slots, age and heartbeat."""
        worker, now = self.about, self.server_now
        if worker is None or now is None:
            return fmt.UNKNOWN
        beat = f"beat {fmt.age(now - worker.last_heartbeat)}"
        state = self.gqm.signs.other("stale" if self.gone else worker.status).text
        if self.narrow:
            return f"{worker.active_jobs} of {worker.concurrency} · {beat} · {state}"
        up = fmt.age(now - worker.started_at)
        return f"{worker.active_jobs} of {worker.concurrency} slots · up {up} · {beat} · {state}"

    def empty_text(self) -> tuple[str, str]:
        """Nothing runs."""
        if self.gone:
            return "This worker is gone.", "Its server has ended; what it ran was taken back."
        return "It runs no job now.", ""

    def footer(self) -> tuple[str, tuple[str, ...] | None, dict[str, str]]:
        """Name what enter opens."""
        return (
            "",
            drill_down(("worker.cancel",), narrow=self.narrow),
            {"table.open": "Job", "list.back": "Back"},
        )

    def action_cancel(self) -> None:
        """Cancel the job under the cursor."""
        key = self.table.cursor_key
        jobs = self.view.value("jobs", list[Job]) or []
        job = next((job for job in jobs if job.id == key), None)
        if job is not None:
            self.gqm.perform(job_plan(Action.CANCEL, job))

    def open(self, row: Row) -> None:
        """Show the job."""
        self.gqm.doors.job(row.key)
