"""The two tables of the Failed tab: what they fetch, how they are titled, and their strip."""

from collections.abc import Sequence
from typing import ClassVar

import msgspec
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.message import Message

from gqm_tui import keymap
from gqm_tui.core import fmt
from gqm_tui.core.client import Param, path
from gqm_tui.core.errors import Kind
from gqm_tui.core.failures import (
    GROUP_COLUMNS,
    STATES,
    Stop,
    group_row,
    job_columns,
    job_row,
    ring,
    ring_text,
    sample_lines,
)
from gqm_tui.core.jobstate import SHORT
from gqm_tui.core.model import FailedGroup, Job, Queue
from gqm_tui.core.poll import PartSpec
from gqm_tui.core.query import QueryError
from gqm_tui.core.table import Column, Row, Sort, Tone
from gqm_tui.core.text import fit, fit_middle
from gqm_tui.core.views import Look
from gqm_tui.screens.panes.base import SUBJECT_CELLS, rule
from gqm_tui.screens.panes.table_pane import PAGE, TablePane
from gqm_tui.widgets.live_table import LiveTable

TIME = "time"
CRUMB_CELLS = 40
_SAMPLE_LINES = {True: 2, False: 3}
NAMES = {"dead_letter": "dead letters", "retry": "jobs that wait for a retry", "failed": "failed jobs"}


class FailedTable(LiveTable):
    """A table in which left and right choose the queue, also while it could scroll sideways."""

    BINDINGS: ClassVar[list[BindingType]] = [
        binding
        for binding in keymap.scope("failed")
        if isinstance(binding, Binding) and binding.id in ("failed.previous", "failed.next")
    ]

    class Turned(Message):
        """The next or the previous queue is wanted."""

        def __init__(self, step: int) -> None:
            super().__init__()
            self.step = step

    def action_queue(self, step: int) -> None:
        """Tell the pane."""
        self.post_message(self.Turned(step))


class FailedList(TablePane):
    """Both views of what failed in one place; with a group, only the jobs that failed in its way."""

    name_of_view = "failed"
    awaited = "failed jobs"
    paged = True
    markable = True
    table_class: ClassVar[type[LiveTable]] = FailedTable

    def __init__(
        self,
        group: FailedGroup | None = None,
        status: str = STATES[0],
        queue: str | None = None,
        filter_text: str = "",
    ) -> None:
        self.group = group
        self.status = status
        self.queue = queue
        self.wants_groups = group is None
        super().__init__()
        self.filter_text = filter_text

    def on_mount(self) -> None:
        """Show the view that the settings name."""
        if self.group is None and not self.gqm.settings.failed_grouped:
            self.wants_groups = False
        self.carry_filter()
        self.change_table()

    @property
    def grouped(self) -> bool:
        """Whether groups are shown. A queue with a comma in its name cannot be asked for groups of."""
        return self.wants_groups and "," not in (self.queue or "")

    @property
    def crumb(self) -> str:
        """The tab's name, or the error of the group."""
        return "Failed" if self.group is None else fit(self.group.error, CRUMB_CELLS)

    def row_name(self, row: Row) -> str:
        """The error of a group, the id of a job."""
        group = next((group for group in self.groups if group.fingerprint == row.key), None)
        return super().row_name(row) if group is None else fit(group.error, SUBJECT_CELLS)

    def look(self) -> Look:
        """Besides filter and order: the queue and the state."""
        state = "" if self.status == STATES[0] else self.status
        return msgspec.structs.replace(super().look(), queue=self.queue or "", status=state)

    def take_look(self, look: Look) -> None:
        """Show the groups or the jobs, whichever the view was saved in or its filter can be read by."""
        if self.table_name not in look.tables and look.tables:
            self.wants_groups = look.tables[0] == "failed-groups"
        self.queue = look.queue or None
        self.status = look.status if look.status in STATES else STATES[0]
        self.filter_text = ""
        self.carry_filter()
        self.change_table()
        super().take_look(look)

    # The table in sight.

    @property
    def table_name(self) -> str:
        """Groups or jobs."""
        return "failed-groups" if self.grouped else "failed-flat"

    @property
    def first_sort(self) -> Sort:
        """The largest group first; the newest job first."""
        return Sort("count" if self.grouped else TIME, True)

    @property
    def takes_marks(self) -> bool:
        """Jobs can be marked, groups cannot."""
        return not self.grouped

    def columns(self) -> Sequence[Column]:
        """The columns of the table in sight."""
        return GROUP_COLUMNS if self.grouped else job_columns(self.status)

    def change_table(self) -> None:
        """Show other columns; page, marks and order belonged to the old table."""
        self.page, self.until = 1, None
        self.marks, self.all_matching = {}, False
        self.take_sort()
        self.table.set_columns(self.columns())
        if self.running:
            self.reload()
        self.screen.refresh_bindings()

    def carry_filter(self) -> None:
        """Keep the filter over a change of the view, where it means the same there."""
        # A word without a field means the error of a group, but the id of a job.
        terms = [f"error:{term}" if self._is_word(term) else term for term in self.filter_text.split()]
        text = " ".join(terms) if not self.grouped else self.filter_text
        try:
            self.filter, self.params = self.fields.read(text)
        except QueryError as error:
            self.app.notify(f"filter dropped: {error}", severity="warning", markup=False)
            text = ""
            self.filter, self.params = self.fields.read(text)
        self.filter_text = text

    @staticmethod
    def _is_word(term: str) -> bool:
        return not any(sign in term for sign in ':=<>"') and not term.startswith("-")

    # What it fetches.

    def query_text(self) -> str:
        """All that makes this list another one."""
        group = self.group.fingerprint if self.group is not None else ""
        return repr((self.grouped, group, self.queue, self.status, self.page, self.sort, self.filter_text))

    def specs(self) -> Sequence[PartSpec]:
        """The page, all queues for their counts, and the sample of the group under the cursor."""
        columns = {column.key: column.sort for column in self.columns()}
        params: dict[str, Param] = {
            "status": self.status,
            **self.params,
            "page": self.page,
            "limit": PAGE,
            "sort": columns.get(self.sort.column) or self.first_sort.column,
            "order": "desc" if self.sort.descending else "asc",
        }
        # What waits for a retry is listed by the time it comes, which lies ahead of any bound of now.
        if self.until is not None and "until" not in self.params and (self.grouped or self.status != "retry"):
            params["until"] = self.until
        if self.group is not None:
            params["fingerprint"] = self.group.fingerprint
        whole = self.queue is not None and "," in self.queue
        if self.queue is not None and not whole:
            params["queue"] = self.queue
        main = (
            PartSpec("groups", path("failed", "groups"), params, list[FailedGroup])
            if self.grouped
            # A comma would split the name of one queue into two.
            else PartSpec(
                "jobs", path("queues", self.queue or "", "jobs") if whole else path("jobs"), params, list[Job]
            )
        )
        specs = [main, PartSpec("queues", path("queues"), {}, list[Queue])]
        group = self.group_here
        return specs if group is None else [*specs, self._sample_of(group)]

    @staticmethod
    def _sample_of(group: FailedGroup) -> PartSpec:
        return PartSpec("sample", path("jobs", group.sample_id), {}, Job)

    @property
    def groups(self) -> list[FailedGroup]:
        """The groups of the page; none while jobs are listed."""
        return (self.view.value("groups", list[FailedGroup]) or []) if self.grouped else []

    @property
    def group_here(self) -> FailedGroup | None:
        """The group under the cursor."""
        key = self.table.cursor_key
        return next((group for group in self.groups if group.fingerprint == key), None)

    def build(self) -> Sequence[Row]:
        """One row a group, or a job of the page."""
        now = self.view.server_now(self.gqm.clock.monotonic())
        if self.grouped:
            signs, local = self.gqm.signs, self.gqm.settings.local_time
            return [group_row(group, signs, now, narrow=self.narrow, local=local) for group in self.groups]
        jobs = self.view.value("jobs", list[Job]) or []
        return [job_row(job, self.mark_cell(job.id), now, narrow=self.narrow) for job in jobs]

    def total(self, rows: Sequence[Row]) -> int:
        """How many groups or jobs the server counts."""
        meta = self.view.meta("groups" if self.grouped else "jobs")
        return 0 if meta is None or meta.total is None else meta.total

    def whole(self, total: int) -> int | None:
        """How many there are without the filter; nobody counts groups without it."""
        if not self.filter.terms:
            return total
        stop = next((stop for stop in self.stops if stop.queue == self.queue), None)
        return None if self.grouped or stop is None or self.group is not None else stop.count

    # Title, states, strip.

    @property
    def stops(self) -> list[Stop]:
        """The ring of queues."""
        if self.group is not None:
            return [Stop(None), *(Stop(name) for name in self.group.queues)]
        return ring(self.view.value("queues", list[Queue]) or [], self.status, self.queue)

    def summary(self, total: int, shown: int) -> str:
        """State, ring, and what is listed in which order."""
        if self.grouped:
            what = f" · {self.bound}{total:,} group{'' if total == 1 else 's'}" if self._known else ""
            tail = what if self.narrow else f"{what} · {self._order()}"
        else:
            tail = "" if self.narrow else f" · {self._order()}"
            tail += f" · / {fit(self.filter_text, 40)}" if self.filter_text else ""
        state = "" if self.status == STATES[0] else f"{SHORT[self.status]} "
        if self.group is not None:
            where = f"{state}{self.crumb}"
            if len(self.group.queues) > 1:
                where += f" · {ring_text(self.stops, self.queue, 40, narrow=self.narrow)}"
            return f"{where}{tail}"
        room = self.size.width - len(tail) - len(state) - (20 if self.narrow else 26)
        return f"{state}{ring_text(self.stops, self.queue, max(20, room), narrow=self.narrow)}{tail}"

    @property
    def _known(self) -> bool:
        return self.view.meta("groups" if self.grouped else "jobs") is not None

    def title_right(self, total: int, shown: int) -> str:
        """The filter of the groups, or which jobs of how many."""
        filtered = f"/ {self.filter_text}" if self.filter_text else "/ filter"
        if self.grouped:
            return f"{self.range_text} · {filtered}" if total > PAGE else filtered
        if not self._known:
            return fmt.UNKNOWN
        return self.range_text if total else "none"

    def _order(self) -> str:
        column = next((item for item in self.columns() if item.key == self.sort.column), None)
        if self.sort.column == TIME and self.status != "retry":
            return "newest first" if self.sort.descending else "oldest first"
        if self.sort.column == TIME:
            return "due last first" if self.sort.descending else "due first"
        return f"{self.sort.column if column is None else column.label} {self.sort.arrow}"

    def empty_text(self) -> tuple[str, str]:
        """Say that nothing is in this state, with what the queues are known for."""
        where = "" if self.queue is None else f" in {fit(self.queue, 40)}"
        queues = self.view.value("queues", list[Queue]) or []
        mine = [queue for queue in queues if self.queue in (None, queue.name)]
        done, failed = (
            sum(queue.processed_total for queue in mine),
            sum(queue.failed_total for queue in mine),
        )
        so_far = f"{done:,} done and {failed:,} failed so far; " if mine else ""
        return f"No {NAMES[self.status]}{where}.", f"{so_far}[ ] shows the other states."

    def highlighted(self, row: Row | None) -> None:
        """Ask for the sample of the group under the cursor."""
        self._ask_sample()

    def paint(self) -> None:
        """Everything; a group can have another sample than before."""
        super().paint()
        self._ask_sample()

    def _ask_sample(self) -> None:
        group = self.group_here
        if group is not None:
            self.ask_also(self._sample_of(group))

    def strip(self, row: Row | None) -> Text | None:
        """The end of the traceback of the group's sample."""
        group = self.group_here
        if row is None or group is None:
            return None
        job, part = self.view.value("sample", Job) if self.part("sample") else None, self.part("sample")
        if job is not None and job.id != group.sample_id:
            job = None
        title = Text(f"sample {fit_middle(group.sample_id, 18)}")
        if job is not None:
            title.append(f" · {job.retry_count}/{job.max_retry}")
            title.append(f" · {fit_middle(job.worker_id, 30)}" if job.worker_id else "")
        title.append(" ── ", self.tone(Tone.DIM))
        title.append(f"enter {group.count:,} job{'' if group.count == 1 else 's'}")
        text = rule(title, self.size.width - 2, self.tone(Tone.DIM))
        most, cells = _SAMPLE_LINES[self.narrow], self.size.width - 4
        lines = sample_lines(job, most, cells)
        if job is None and part is not None and part.error is not None:
            gone = part.error.kind is Kind.NOT_FOUND
            lines = ["the sample is gone" if gone else part.error.sentence]
        # Always as many lines, so that the table does not move with the cursor.
        for line in [*lines, *[""] * (most - len(lines))]:
            text.append(f"\n  {line}")
        return text
