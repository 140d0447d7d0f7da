"""The last runs of one cron entry: when, how late, by whom, which job, and how it ended."""

from collections.abc import Sequence
from typing import ClassVar

from gqm_tui.core import fmt
from gqm_tui.core.client import path
from gqm_tui.core.errors import Kind
from gqm_tui.core.model import CronEntry, CronRun
from gqm_tui.core.poll import PartSpec
from gqm_tui.core.signs import Signs
from gqm_tui.core.table import CellText, Column, Row, Sort, Tone
from gqm_tui.core.text import fit, fit_middle
from gqm_tui.screens.panes.cron import CronKeys, until
from gqm_tui.screens.panes.table_pane import PAGE, drill_down

COLUMNS = (
    Column("fired", "FIRED", 20, 20, "fired"),
    Column("late", "LATE", 8, 6, "late", right=True),
    Column("by", "BY", 10, 8, "by"),
    Column("id", "JOB ID", 50, 14, "id", star=True),
    Column("outcome", "OUTCOME", 12, 12, "outcome"),
    Column("took", "TOOK", 6, 6, "took", right=True),
)
_WIDTHS = {column.key: (column.wide, column.narrow) for column in COLUMNS}
_LATE_S = 60


def row(run: CronRun, signs: Signs, *, narrow: bool, local: bool) -> Row:
    """Make the row of a run."""
    widths = {key: both[narrow] for key, both in _WIDTHS.items()}
    late = None if run.slot is None else max(0, run.triggered_at - run.slot)
    by = "manual" if run.slot is None else "schedule"
    tone = Tone.DIM if not late else Tone.BAD if late > _LATE_S else Tone.PLAIN
    return Row(
        f"{run.job_id} {run.triggered_at}",
        {
            "fired": CellText(fmt.stamp(run.triggered_at, local=local)),
            "late": CellText(fmt.ZERO if late is None else fmt.age(late), tone),
            "by": CellText(by, Tone.WARN if run.slot is None else Tone.PLAIN),
            "id": CellText(fit_middle(run.job_id, 80 if not narrow else widths["id"])),
            "outcome": signs.job(run.outcome),
            "took": CellText(fmt.ZERO if run.duration_ms is None else fmt.short(run.duration_ms)),
        },
        {
            "fired": run.triggered_at,
            "late": late,
            "by": by,
            "id": run.job_id,
            "outcome": run.outcome,
            "took": None if run.duration_ms is None else run.duration_ms / 1_000,
        },
    )


class CronHistoryPane(CronKeys):
    """The newest hundred runs of an entry."""

    name_of_view = "cron-history"
    awaited = "runs"
    default_sort: ClassVar[Sort] = Sort("fired", True)

    def __init__(self, entry_id: str) -> None:
        super().__init__()
        self.entry_id = entry_id

    @property
    def crumb(self) -> str:
        """The entry."""
        return f"{fit(self.entry_id, 40)} › history"

    def query_text(self) -> str:
        """The entry."""
        return self.entry_id

    def columns(self) -> Sequence[Column]:
        """The columns of the table."""
        return COLUMNS

    def specs(self) -> Sequence[PartSpec]:
        """The runs, and the entry."""
        return [
            PartSpec("history", path("cron", self.entry_id, "history"), {"limit": PAGE}, list[CronRun]),
            PartSpec("entry", path("cron", self.entry_id), {}, CronEntry),
        ]

    @property
    def entry(self) -> CronEntry | None:
        """The entry, once it is known."""
        return self.view.value("entry", CronEntry)

    def build(self) -> Sequence[Row]:
        """One row a run."""
        found = self.view.value("history", list[CronRun]) or []
        local = self.gqm.settings.local_time
        return [row(run, self.gqm.signs, narrow=self.narrow, local=local) for run in found]

    def summary(self, total: int, shown: int) -> str:
        """The entry, and whether it is gone."""
        part = self.part("entry")
        gone = part is not None and part.error is not None and part.error.kind is Kind.NOT_FOUND
        matching = f" · {shown} of {total} match" if self.filter_text else ""
        return f"{self.crumb}{matching}{' · gone' if gone else ''}"

    def title_right(self, total: int, shown: int) -> str:
        """The schedule, the next run, and how many of the kept runs are shown."""
        entry = self.entry
        if entry is None:
            return fmt.UNKNOWN
        following = f"next {until(entry, self.server_now).text}" if entry.enabled else "disabled"
        if self.narrow:
            return following
        meta = self.view.meta("history")
        kept = total if meta is None or meta.total is None else meta.total
        rows = f"1-{total} of {kept}" if total else "none"
        return f"{fit(entry.cron_expr, 30)} {fit(entry.timezone, 20)} · {following} · {rows}"

    def empty_text(self) -> tuple[str, str]:
        """It never ran."""
        entry = self.entry
        if entry is None or entry.next_run is None or not entry.enabled:
            return "It has not run yet.", "t runs it now."
        return (
            "It has not run yet.",
            f"The first run comes in {until(entry, self.server_now).text}; t runs it now.",
        )

    def footer(self) -> tuple[str, tuple[str, ...] | None, dict[str, str]]:
        """Name what enter opens, and what `e` would do."""
        labels = {"table.open": "Job", "cron.enable": self.switch_label(), "list.back": "Back"}
        return "", drill_down(("cron.trigger", "cron.enable"), narrow=self.narrow), labels

    def open(self, row: Row) -> None:
        """Show the job of the run."""
        self.gqm.doors.job(str(row.values["id"]))
