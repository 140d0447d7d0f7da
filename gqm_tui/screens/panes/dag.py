"""Tab 5: the roots of job graphs with how far what hangs on them is, or every job that waits for others."""

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from textual.binding import BindingType

from gqm_tui import keymap
from gqm_tui.core import fmt
from gqm_tui.core.client import Param, path
from gqm_tui.core.graphwords import counts_text
from gqm_tui.core.jobtext import age_cell, state_cell
from gqm_tui.core.model import Job
from gqm_tui.core.poll import PartSpec
from gqm_tui.core.signs import Signs
from gqm_tui.core.table import CellText, Column, Row, Sort, Tone
from gqm_tui.core.text import fit, fit_middle
from gqm_tui.core.views import Look
from gqm_tui.screens.panes.table_pane import PAGE, TablePane

ROOT_COLUMNS = (
    Column("id", "ROOT", 18, 14, "id"),
    Column("type", "TYPE", 31, 18, "type", star=True),
    Column("queue", "QUEUE", 14, 0),
    Column("state", "STATE", 11, 11),
    Column("jobs", "JOBS", 24, 18),
    Column("age", "AGE", 8, 7, "created_at", right=True),
)
DEFERRED_COLUMNS = (
    Column("id", "JOB ID", 18, 14, "id"),
    Column("type", "TYPE", 24, 18, "type"),
    Column("queue", "QUEUE", 14, 0),
    Column("waits", "WAITS ON", 44, 31, star=True),
    Column("age", "AGE", 8, 7, "created_at", right=True),
)
TIME = "time"
SECTIONS = ("roots", "deferred")
_BAR = 8
_LEAST_BAR = 4
_BAD = frozenset({"dead_letter", "failed"})


def rollup_cell(job: Job, signs: Signs, cells: int) -> CellText:
    """Say how what hangs on a root stands: counts by state, and the share that is done as a bar."""
    counts = job.rollup
    if counts is None:
        return CellText(fmt.UNKNOWN, Tone.DIM)
    whole = sum(counts.values())
    text = ("≥ " if job.rollup_truncated else "") + counts_text(counts, signs)
    room = min(_BAR, cells - cell_len(text) - 1)
    if whole and room >= _LEAST_BAR:
        text = f"{text} {signs.bar(counts.get('completed', 0) / whole, room)}"
    done = counts.get("completed", 0) == whole
    bad = any(counts.get(status) for status in _BAD)
    active = bool(counts.get("processing"))
    tone = Tone.BAD if bad else Tone.GOOD if done else Tone.ACTIVE if active else Tone.PLAIN
    return CellText(fit(text, cells), tone if whole else Tone.DIM)


def root_row(job: Job, signs: Signs, now: float | None, *, narrow: bool) -> Row:
    """Make the row of a root; `now` is the server's clock."""
    cells = {column.key: column.narrow if narrow else column.wide for column in ROOT_COLUMNS}
    return Row(
        job.id,
        {
            "id": CellText(fit_middle(job.id, cells["id"])),
            "type": CellText(fit(job.type, 60)),
            "queue": CellText(fit(job.queue, cells["queue"] or 14)),
            "state": state_cell(job.status, signs, cells["state"]),
            "jobs": rollup_cell(job, signs, cells["jobs"]),
            "age": age_cell(now, job.created_at, cells["age"]),
        },
        {"id": job.id, "type": job.type, "queue": job.queue, "state": job.status},
    )


def deferred_row(job: Job, now: float | None, *, narrow: bool) -> Row:
    """Make the row of a job that waits for others; `now` is the server's clock."""
    cells = {column.key: column.narrow if narrow else column.wide for column in DEFERRED_COLUMNS}
    return Row(
        job.id,
        {
            "id": CellText(fit_middle(job.id, cells["id"])),
            "type": CellText(fit(job.type, cells["type"])),
            "queue": CellText(fit(job.queue, cells["queue"] or 14)),
            "waits": waits_cell(job, 18 if not narrow else 14),
            "age": age_cell(now, job.created_at, cells["age"]),
        },
        {"id": job.id, "type": job.type, "queue": job.queue},
    )


def waits_cell(job: Job, cells: int) -> CellText:
    """Name the first job that is waited for, and how many more there are."""
    if job.pending_deps is None:
        return CellText(fmt.UNKNOWN, Tone.DIM)
    if not job.pending_deps:
        return CellText("nothing any more", Tone.DIM)
    more = len(job.pending_deps) - 1
    first = fit_middle(job.pending_deps[0], cells)
    return CellText(f"{first} +{more}" if more else first)


class DagPane(TablePane):
    """Two lists in one place; enter draws the graph."""

    BINDINGS: ClassVar[list[BindingType]] = keymap.scope("dag")
    scopes = ("dag",)
    name_of_view = "dag"
    awaited = "graphs"
    paged = True
    default_sort: ClassVar[Sort] = Sort(TIME, True)

    def __init__(self) -> None:
        self.section = SECTIONS[0]
        self._seen: dict[str, int] = {}
        super().__init__()

    @property
    def crumb(self) -> str:
        """The tab's name."""
        return "DAG"

    @property
    def table_name(self) -> str:
        """The list in sight."""
        return f"dag-{self.section}"

    def columns(self) -> Sequence[Column]:
        """The columns of the list in sight."""
        return ROOT_COLUMNS if self.section == SECTIONS[0] else DEFERRED_COLUMNS

    def query_text(self) -> str:
        """All that makes this list another one."""
        return repr((self.section, self.page, self.sort, self.filter_text))

    def specs(self) -> Sequence[PartSpec]:
        """The page of the list in sight."""
        columns = {column.key: column.sort for column in self.columns()}
        params: dict[str, Param] = {
            **self.params,
            "page": self.page,
            "limit": PAGE,
            "sort": columns.get(self.sort.column) or TIME,
            "order": "desc" if self.sort.descending else "asc",
        }
        if self.section == SECTIONS[0]:
            params["rollup"] = True
        if self.until is not None and "until" not in self.params:
            params["until"] = self.until
        return (PartSpec("jobs", path("dag", self.section), params, list[Job]),)

    def build(self) -> Sequence[Row]:
        """One row a root, or a job that waits."""
        jobs = self.view.value("jobs", list[Job]) or []
        now = self.view.server_now(self.gqm.clock.monotonic())
        if self.section == SECTIONS[0]:
            return [root_row(job, self.gqm.signs, now, narrow=self.narrow) for job in jobs]
        return [deferred_row(job, now, narrow=self.narrow) for job in jobs]

    def total(self, rows: Sequence[Row]) -> int:
        """How many the server counts."""
        meta = self.view.meta("jobs")
        return 0 if meta is None or meta.total is None else meta.total

    # Title and states.

    def summary(self, total: int, shown: int) -> str:
        """Both lists with their counts, and the filter."""
        if self.view.meta("jobs") is not None and not self.filter.terms:
            self._seen[self.section] = total
        stats = self.gqm.session.stats
        counts = {**({} if stats is None else {"deferred": stats.deferred}), **self._seen}
        parts = []
        for name in SECTIONS:
            bound = self.bound if name == self.section else ""
            text = f"{name} {bound}{counts[name]:,}" if name in counts else name
            parts.append(f"[{text}]" if name == self.section else text)
        told = f" · / {fit(self.filter_text, 40)}" if self.filter_text else ""
        return f"{'  '.join(parts)}{told}"

    def title_right(self, total: int, shown: int) -> str:
        """The order, and which rows where they are not all."""
        if self.view.meta("jobs") is None:
            return fmt.UNKNOWN
        parts = [self.range_text] if total > PAGE or self.filter_text else []
        if not self.narrow:
            parts = ["[ ] view", *parts, self._order()]
        return " · ".join(parts)

    def _order(self) -> str:
        if self.sort.column in (TIME, "age"):
            return "newest first" if self.sort.descending else "oldest first"
        column = next((item for item in self.columns() if item.key == self.sort.column), None)
        return f"{self.sort.column if column is None else column.label} {self.sort.arrow}"

    def empty_text(self) -> tuple[str, str]:
        """Say what would be listed."""
        if self.section == SECTIONS[0]:
            return (
                "No job graphs.",
                "A root is listed while it is kept: a job that others depend on and that depends on none.",
            )
        return "No job waits for others.", "A deferred job starts as soon as the jobs it depends on are done."

    def footer(self) -> tuple[str, tuple[str, ...] | None, dict[str, str]]:
        """Name what enter draws."""
        labels = {
            "table.open": "Graph",
            "section.next": "Deferred" if self.section == SECTIONS[0] else "Roots",
        }
        return "", None, labels

    def take_look(self, look: Look) -> None:
        """Show the list that the view was saved in."""
        if look.table:
            self._change_section(SECTIONS["deferred" in look.table])
        super().take_look(look)

    # Keys.

    def action_section(self, step: int) -> None:
        """Go to the other list."""
        self._change_section(SECTIONS[(SECTIONS.index(self.section) + step) % len(SECTIONS)])

    def _change_section(self, section: str) -> None:
        self.section = section
        self.page, self.until = 1, None
        self.take_sort()
        self.table.set_columns(self.columns())
        if self.running:
            self.reload()
        self.screen.refresh_bindings()

    def open(self, row: Row) -> None:
        """Draw the graph around the job."""
        self.gqm.doors.graph(row.key)
