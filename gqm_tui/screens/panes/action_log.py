"""What was done: from this screen, with commands to do it again, or by anybody, by the server's audit."""

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import BindingType

from gqm_tui import keymap
from gqm_tui.core.actionlog import Entry
from gqm_tui.core.client import Param, path
from gqm_tui.core.logrows import (
    AUDIT_COLUMNS,
    MINE_COLUMNS,
    audit_row,
    audited_place,
    mine_row,
    place_of,
)
from gqm_tui.core.model import AuditEntry
from gqm_tui.core.poll import PartSpec
from gqm_tui.core.store import PaneState, View
from gqm_tui.core.table import Column, Row, Sort
from gqm_tui.core.text import fit
from gqm_tui.screens.panes.table_pane import PAGE, TablePane

MINE, AUDIT = "mine", "server audit"
EVERY_S = 5.0
_FILTER_CELLS = 40


class ActionLogPane(TablePane):
    """Two lists in one place. The first is held in memory and asks the server for nothing."""

    BINDINGS: ClassVar[list[BindingType]] = keymap.scope("actions")
    scopes = ("actions",)
    name_of_view = "actions"
    awaited = "audit entries"
    default_sort: ClassVar[Sort] = Sort("at", True)

    def __init__(self) -> None:
        self.section = MINE
        super().__init__()
        self.table.show_header = False

    @property
    def crumb(self) -> str:
        """What it is."""
        return "Action log"

    @property
    def crumbs(self) -> str:
        """Nothing: the log belongs to every place alike."""
        return ""

    @property
    def table_name(self) -> str:
        """The list in sight."""
        return "actions" if self.section == MINE else "audit"

    @property
    def first_sort(self) -> Sort:
        """The order of the list in sight; the server gives its own newest first."""
        return self.default_sort if self.section == MINE else Sort("", True)

    def columns(self) -> Sequence[Column]:
        """The columns of the list in sight."""
        return MINE_COLUMNS if self.section == MINE else AUDIT_COLUMNS

    def query_text(self) -> str:
        """All that makes this list another one."""
        return repr((self.section, self.page, self.filter_text)) if self.paged else self.section

    def specs(self) -> Sequence[PartSpec]:
        """The page of the audit; nothing for what is held here."""
        if self.section == MINE:
            return ()
        params: dict[str, Param] = {**self.params, "page": self.page, "limit": PAGE}
        if self.until is not None and "until" not in self.params:
            params["until"] = self.until
        return (PartSpec("audit", path("audit"), params, list[AuditEntry], every=EVERY_S),)

    def build(self) -> Sequence[Row]:
        """One row an action."""
        signs, local = self.gqm.signs, self.gqm.settings.local_time
        if self.section == MINE:
            context = self.gqm.context_name
            return [
                mine_row(entry, context, signs, narrow=self.narrow, local=local)
                for entry in self.gqm.acting.log
            ]
        return [audit_row(entry, signs, narrow=self.narrow, local=local) for entry in self._audited]

    @property
    def _audited(self) -> Sequence[AuditEntry]:
        return self.view.value("audit", list[AuditEntry]) or ()

    def total(self, rows: Sequence[Row]) -> int:
        """How many actions are held here, or how many entries the server counts."""
        if self.section == MINE:
            return len(self.gqm.acting.log)
        meta = self.view.meta("audit")
        return 0 if meta is None or meta.total is None else meta.total

    # Title and states.

    @property
    def known(self) -> bool:
        """What is held here is always known; the sections are named before the server answers."""
        return True

    def summary(self, total: int, shown: int) -> str:
        """Both lists, and the filter."""
        mine = f"{MINE} {len(self.gqm.acting.log)}"
        audit = AUDIT if self._why_no_audit() is None else f"{AUDIT} (admin)"
        lists = f"[{mine}]  {audit}" if self.section == MINE else f"{mine}  [{audit}]"
        return f"{lists} · / {fit(self.filter_text, _FILTER_CELLS)}" if self.filter_text else lists

    def title_right(self, total: int, shown: int) -> str:
        """What can be done with the row, or which rows of the audit are shown."""
        if self.section == MINE:
            return "y Copy as curl  u Undo" if shown else ""
        return "" if self.view.meta("audit") is None else f"{self.range_text} · newest first"

    def _order_text(self) -> str:
        usual = self.paged or self.sort == self.first_sort
        return "" if usual else super()._order_text()

    def empty_text(self) -> tuple[str, str]:
        """Say what would be listed."""
        if self.section == MINE:
            return (
                "Nothing was changed from here yet.",
                "Every change of this run is kept here, newest first.",
            )
        return "The server's audit is empty.", "It holds the newest 10,000 changes and sign-ins."

    def state_now(self, *, total: int = 1, shown: int = 1) -> PaneState:
        """What is held here cannot be late; the audit is fetched less often than other lists."""
        now, every = self.gqm.clock.monotonic(), max(self.gqm.interval, EVERY_S)
        if self.section == AUDIT:
            return self.view.state(now, every, total, shown, self.gqm.frozen)
        if self.gqm.frozen:
            return PaneState.FROZEN
        return PaneState.EMPTY if total == 0 else PaneState.FILTERED_EMPTY if shown == 0 else PaneState.LIVE

    @property
    def bar_view(self) -> View:
        """For what is held here: the frame's own polling, so that the bar still tells of the server."""
        return self.gqm.frame_view if self.section == MINE else self.view

    @property
    def bar_state(self) -> PaneState:
        """The state of the connection, whatever the list."""
        now, every = self.gqm.clock.monotonic(), max(self.gqm.interval, EVERY_S)
        return self.bar_view.state(now, every, 1, 1, self.gqm.frozen)

    def footer(self) -> tuple[str, tuple[str, ...] | None, dict[str, str]]:
        """What can be done with the row is told in the title of the first list."""
        other = "Server audit" if self.section == MINE else "Mine"
        section = () if self.section == MINE and self._why_no_audit() is not None else ("section.next",)
        copy = () if self.section == MINE or self.narrow else ("list.copy",)
        opens = () if self.current is None else ("table.open",)
        only = (*opens, *section, *copy, "list.filter", "list.back", "app.help")
        return "", only, {"section.next": other}

    def wake(self) -> None:
        """Show what was done just now, and fetch."""
        super().wake()
        self.paint()

    # Keys.

    def _why_no_audit(self) -> str | None:
        me = self.gqm.session.me
        return (
            None if me is None or me.role == "admin" else f"needs admin (you are {self.gqm.session.identity})"
        )

    def action_section(self, step: int) -> None:
        """Go to the other list."""
        if self.section == MINE and (reason := self._why_no_audit()) is not None:
            self.app.notify(reason, severity="warning", markup=False)
            return
        self.section = AUDIT if self.section == MINE else MINE
        self.paged = self.section == AUDIT
        self.table.show_header = self.paged
        self.filter_text = ""
        self.filter, self.params = self.fields.read("")
        self.page, self.until = 1, None
        self.take_sort()
        self.table.set_columns(self.columns())
        self.reload()
        self.screen.refresh_bindings()

    @property
    def entry(self) -> Entry | None:
        """The action under the cursor, if it was done from here."""
        key = self.table.cursor_key if self.section == MINE else None
        return next((entry for entry in self.gqm.acting.log if str(entry.number) == key), None)

    def to_undo(self) -> Entry | None:
        """The action under the cursor."""
        return self.entry

    def action_copy(self) -> None:
        """Copy the request as a command without its key; of the audit, what somebody chooses."""
        if self.section == AUDIT:
            super().action_copy()
        elif (entry := self.entry) is not None:
            self.gqm.outside.copy(entry.curl, "a curl command")

    def open(self, row: Row) -> None:
        """Show the job, the queue or the runs of the cron entry that it was done to."""
        if self.section == AUDIT:
            found = next((entry for entry in self._audited if entry.id == row.key), None)
            place = None if found is None else audited_place(found)
        else:
            entry = self.entry
            place = None if entry is None or entry.context != self.gqm.context_name else place_of(entry)
        match place:
            case ("job", name):
                self.gqm.doors.job(name)
            case ("queue", name):
                self.gqm.doors.jobs(name)
            case ("cron", name):
                self.gqm.doors.cron_history(name)
            case _:
                self.app.notify("this names nothing that can be opened", markup=False)
