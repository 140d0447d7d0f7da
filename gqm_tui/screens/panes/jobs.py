"""The jobs of one queue in one state: a hundred a page, any of the ten states, marks for many at once."""

from collections.abc import Iterable, Sequence
from typing import ClassVar

import msgspec
from rich.text import Text
from textual.binding import BindingType
from textual.widget import Widget

from gqm_tui import keymap
from gqm_tui.core import fmt
from gqm_tui.core.actions import (
    Action,
    Plan,
    allowed,
    empty_plan,
    filter_plan,
    job_filter,
    job_plan,
    marks_plan,
    queue_plan,
    why_not,
)
from gqm_tui.core.client import Param, path
from gqm_tui.core.errors import Kind
from gqm_tui.core.jobstate import SECTIONS, SHORT, count_of, retry_label
from gqm_tui.core.jobtext import age_cell, error_cell, state_cell, tries, where
from gqm_tui.core.model import Job, QueueDetail
from gqm_tui.core.poll import PartSpec
from gqm_tui.core.signs import Signs
from gqm_tui.core.table import CellText, Column, Row, Sort, Tone
from gqm_tui.core.text import fit, fit_middle
from gqm_tui.core.views import Look
from gqm_tui.screens.panes.base import SUBJECT_CELLS
from gqm_tui.screens.panes.table_pane import PAGE, TablePane
from gqm_tui.widgets.line import Line

COLUMNS = (
    Column("mark", "✓", 1, 1),
    Column("id", "JOB ID", 18, 14, "id"),
    Column("type", "TYPE", 16, 12, "type"),
    Column("state", "STATE", 11, 9),
    Column("try", "TRY", 5, 5, "retry_count", right=True),
    Column("age", "AGE", 7, 6, "created_at", right=True),
    Column("where", "WHERE", 14, 0),
    Column("error", "ERROR", 30, 17, star=True),
)
_WIDTHS = {column.key: (column.wide, column.narrow) for column in COLUMNS}
TIME = "time"
_FULL_BELOW = 1_000_000
_ON_JOBS = (Action.RETRY, Action.CANCEL, Action.DELETE)
# Jobs that wait for their time are listed by it, and it lies ahead: a bound of now would hide them all.
_TIME_AHEAD = frozenset({"scheduled", "retry"})


def row(job: Job, mark: CellText, now: float | None, signs: Signs, *, narrow: bool) -> Row:
    """Make the row of a job; `now` is the server's clock."""
    cells = {key: widths[narrow] for key, widths in _WIDTHS.items()}
    return Row(
        job.id,
        {
            "mark": mark,
            "id": CellText(fit_middle(job.id, cells["id"])),
            "type": CellText(fit(job.type, cells["type"])),
            "state": state_cell(job.status, signs, cells["state"]),
            "try": tries(job, cells["try"]),
            "age": age_cell(now, job.created_at, cells["age"]),
            "where": where(job, now, signs, cells["where"]) if cells["where"] else CellText(""),
            "error": error_cell(job),
        },
        {
            "id": job.id,
            "type": job.type,
            "queue": job.queue,
            "state": job.status,
            "try": job.retry_count,
            "age": None if now is None else now - job.created_at,
            "where": job.worker_id or job.pool,
            "error": job.error,
        },
    )


def section_count(count: int | None, *, short: bool) -> str:
    """Write how many jobs are in a state; nothing where the API does not tell."""
    if count is None:
        return ""
    return f" {count:,}" if 0 < count < _FULL_BELOW and not short else f" {fmt.count(count)}"


class JobsPane(TablePane):
    """One queue, one state, one page."""

    BINDINGS: ClassVar[list[BindingType]] = keymap.scope("jobs")
    scopes = ("jobs",)
    name_of_view = "jobs"
    awaited = "jobs"
    paged = True
    markable = True
    default_sort: ClassVar[Sort] = Sort(TIME, True)

    def __init__(self, queue: str, status: str = "ready", look: Look | None = None) -> None:
        super().__init__()
        self.first_look = look
        self.queue = queue
        self.status = status if status in SECTIONS else SECTIONS[0]
        self._sections = Line(classes="sections")

    def subject(self, key: keymap.Key) -> tuple[str, str]:
        """Some keys act upon the queue, the others upon its jobs."""
        if key.id in ("jobs.pause", "jobs.empty"):
            return self.queue, fit(self.queue, SUBJECT_CELLS)
        return super().subject(key)

    def look(self) -> Look:
        """Besides filter and order: the queue and the state."""
        return msgspec.structs.replace(super().look(), tab="queues", queue=self.queue, status=self.status)

    @property
    def crumb(self) -> str:
        """Queue and state."""
        return f"{fit(self.queue, 40)} › {SHORT[self.status]}"

    def columns(self) -> Sequence[Column]:
        """The columns of the table."""
        return COLUMNS

    def query_text(self) -> str:
        """All that makes this list another one."""
        return repr((self.queue, self.status, self.page, self.sort, self.filter_text))

    def specs(self) -> Sequence[PartSpec]:
        """The page, and the queue for the counts of its states."""
        columns = {column.key: column.sort for column in COLUMNS}
        params: dict[str, Param] = {
            "status": self.status,
            **self.params,
            "page": self.page,
            "limit": PAGE,
            "sort": columns.get(self.sort.column) or TIME,
            "order": "desc" if self.sort.descending else "asc",
        }
        if self.until is not None and "until" not in self.params and self.status not in _TIME_AHEAD:
            params["until"] = self.until
        # A comma would split the name of one queue into two.
        whole = "," in self.queue
        where_from = path("queues", self.queue, "jobs") if whole else path("jobs")
        if not whole:
            params["queue"] = self.queue
        return (
            PartSpec("jobs", where_from, params, list[Job]),
            PartSpec("queue", path("queues", self.queue), {}, QueueDetail),
        )

    def build(self) -> Sequence[Row]:
        """One row a job of the page."""
        jobs = self.view.value("jobs", list[Job]) or []
        now = self.view.server_now(self.gqm.clock.monotonic())
        signs, narrow = self.gqm.signs, self.narrow
        return [row(job, self.mark_cell(job.id), now, signs, narrow=narrow) for job in jobs]

    def total(self, rows: Sequence[Row]) -> int:
        """How many jobs the server counts for this state and filter."""
        meta = self.view.meta("jobs")
        return 0 if meta is None or meta.total is None else meta.total

    def whole(self, total: int) -> int | None:
        """How many jobs are in this state without the filter."""
        if not self.filter.terms:
            return total
        queue = self.about
        return None if queue is None else count_of(queue, self.status)

    @property
    def about(self) -> QueueDetail | None:
        """The queue, once it is known."""
        return self.view.value("queue", QueueDetail)

    # Title and states.

    def head_lines(self) -> Iterable[Widget]:
        """The ten states with their counts."""
        yield self._sections

    def paint(self) -> None:
        """Table and title, and the line of states."""
        super().paint()
        if self.is_mounted:
            self._sections.display = not self.narrow
            self._paint_sections()

    def _paint_sections(self) -> None:
        line = self._section_line(short=False)
        if line.cell_len + 12 > self.size.width:
            line = self._section_line(short=True)
        self._sections.show(line, Text("[ ] state", self.tone(Tone.DIM)))

    def _section_line(self, *, short: bool) -> Text:
        queue, line = self.about, Text()
        for status in SECTIONS:
            count = None if queue is None else count_of(queue, status)
            text = f"{SHORT[status]}{section_count(count, short=short)}"
            if status == self.status:
                line.append(f"[{text}]", self.tone(Tone.ACTIVE) + self.tone(Tone.STRONG))
            else:
                line.append(text, self.tone(Tone.PLAIN if count else Tone.DIM))
            line.append("  ")
        line.rstrip()
        return line

    def summary(self, total: int, shown: int) -> str:
        """Queue, state and filter."""
        told = f" · / {fit(self.filter_text, 60)}" if self.filter_text else ""
        part = self.part("queue")
        gone = part is not None and part.error is not None and part.error.kind is Kind.NOT_FOUND
        return f"{self.crumb}{told}{' · gone' if gone else ''}"

    def title_right(self, total: int, shown: int) -> str:
        """Which rows of how many, and in which order."""
        if self.part("jobs") is None or self.view.meta("jobs") is None:
            return fmt.UNKNOWN
        text = self.range_text
        whole = self.whole(total)
        if self.filter_text and whole is not None:
            shown_range = f" · {text.partition(' of ')[0]}" if total else ""
            text = f"{self.bound}{total:,} of {whole:,} match{shown_range}"
        elif not total:
            text = "none"
        return text if self.narrow else f"{text} · {self._order_words()}"

    def _order_words(self) -> str:
        if self.sort.column == TIME:
            oldest = "next to run first" if self.status == "ready" else "oldest first"
            return "newest first" if self.sort.descending else oldest
        if self.sort.column == "age":
            return "created last first" if self.sort.descending else "created first first"
        return f"{dict((item.key, item.label) for item in COLUMNS)[self.sort.column]} {self.sort.arrow}"

    def empty_text(self) -> tuple[str, str]:
        """Say that nothing is in this state, with what the queue is known for."""
        what = "dead letters" if self.status == "dead_letter" else f"{self.status} jobs"
        queue = self.about
        so_far = ""
        if queue is not None:
            so_far = f"{queue.processed_total:,} done and {queue.failed_total:,} failed so far; "
        return f"No {what} in {fit(self.queue, 40)}.", f"{so_far}[ ] shows the other states."

    # Keys.

    def refusal(self, key: keymap.Key) -> str | None:
        """Besides the role: the state of these jobs."""
        locked = super().refusal(key)
        if locked is not None or key.action not in _ON_JOBS:
            return locked
        action = Action(key.action)
        return None if allowed(self.status, action) else why_not(self.status, action)

    def footer(self) -> tuple[str, tuple[str, ...] | None, dict[str, str]]:
        """With marks: what can be done with them; else what can be done with the row."""
        count = self.total(()) if self.all_matching else len(self.marks)
        labels = {
            "jobs.retry": retry_label(self.status),
            "section.next": "State",
            "list.all": "All matching" if self.narrow else f"All {self.total(()):,} matching",
            "list.next_page": "Next" if self.narrow else "Next page",
            "list.back": "Clear" if count or self.filter_text else "Back",
        }
        acts = [f"jobs.{action}" for action in _ON_JOBS if allowed(self.status, action)]
        if count:
            prefix = f"all {count:,} matching" if self.all_matching else f"{count:,} marked"
            more = () if self.all_matching else ("list.all", "list.next_page")
            return prefix, (*acts, *more, "list.back"), labels
        if not self.table.keys:
            return "", ("section.next", "list.filter", "list.back", "app.help"), labels
        rest: tuple[str, ...] = ("section.next", "list.filter", "list.back", "app.help")
        if self.narrow:
            rest = ("list.filter", "list.back") if len(acts) < len(_ON_JOBS) else ("list.back",)
        return "", ("table.open", *acts, *rest), labels

    def action_section(self, step: int) -> None:
        """Look at the next or the previous state; marks and pages belong to the old one."""
        at = SECTIONS.index(self.status)
        self.status = SECTIONS[(at + step) % len(SECTIONS)]
        self.page, self.until = 1, None
        self.marks, self.all_matching = {}, False
        self.reload()
        self.screen.refresh_bindings()

    # Changes.

    def action_retry(self) -> None:
        """Retry the row, the marked jobs, or all that match; waiting ones run now."""
        self._act(Action.RETRY)

    def action_cancel(self) -> None:
        """Cancel the row, the marked jobs, or all that match."""
        self._act(Action.CANCEL)

    def action_delete(self) -> None:
        """Delete the row, the marked jobs, or all that match."""
        self._act(Action.DELETE)

    def _act(self, action: Action) -> None:
        plan = self._plan(action)
        if plan is not None:
            self.gqm.perform(plan)

    def _plan(self, action: Action) -> Plan | None:
        if self.all_matching:
            now = self.server_time or self.gqm.clock.wall()
            wanted = job_filter((self.status,), self.params, now, queue=self.queue)
            return filter_plan(action, wanted, self.total(()), bound=self.bound)
        if self.marks:
            where = f"marked {SHORT[self.status]} jobs · queue {fit(self.queue, 40)}"
            return marks_plan(action, list(self.marks), where)
        row = self.current
        jobs = self.view.value("jobs", list[Job]) or []
        job = next((job for job in jobs if row is not None and job.id == row.key), None)
        return None if job is None else job_plan(action, job)

    def action_pause(self) -> None:
        """Pause or resume the queue."""
        if (queue := self.about) is not None:
            action = Action.RESUME if queue.paused else Action.PAUSE
            self.gqm.perform(queue_plan(action, queue, production=self.gqm.session.context.production))

    def action_empty(self) -> None:
        """Cancel every ready job of the queue."""
        if (queue := self.about) is not None:
            self.gqm.perform(empty_plan(queue))

    def open(self, row: Row) -> None:
        """Show the job."""
        self.gqm.doors.job(row.key)
