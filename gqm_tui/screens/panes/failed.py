"""Tab 3: what failed, grouped by error or job by job, over all queues or in one of them."""

from dataclasses import replace
from typing import ClassVar

from textual import on
from textual.binding import BindingType

from gqm_tui import keymap
from gqm_tui.core.actions import Action, Plan, describe, filter_plan, job_filter, job_plan, marks_plan
from gqm_tui.core.failures import (
    STATES,
    turned,
)
from gqm_tui.core.jobstate import retry_label
from gqm_tui.core.model import FailedGroup, Job
from gqm_tui.core.table import Row
from gqm_tui.core.text import fit
from gqm_tui.screens.panes.failed_list import CRUMB_CELLS, NAMES, FailedList, FailedTable


class FailedPane(FailedList):
    """The keys of the tab, and what they change."""

    BINDINGS: ClassVar[list[BindingType]] = keymap.scope("failed")
    scopes = ("failed",)

    def footer(self) -> tuple[str, tuple[str, ...] | None, dict[str, str]]:
        """What can be done with the group, the row or the marks."""
        count = self.total(()) if self.all_matching else len(self.marks)
        retry = retry_label(self.status)
        labels = {
            "table.open": "Jobs" if self.grouped else "Job",
            "failed.retry": f"{retry} group" if self.grouped and not self.narrow else retry,
            "failed.retry_all": f"{retry} all",
            "failed.view": "Flat" if self.grouped else "Grouped",
            "list.all": "All matching" if self.narrow else f"All {self.total(()):,} matching",
            "list.next_page": "Next" if self.narrow else "Next page",
            "list.back": "Clear" if count or self.filter_text else "Back",
        }
        acts = ("failed.retry", "failed.delete")
        if count:
            prefix = f"all {count:,} matching" if self.all_matching else f"{count:,} marked"
            more = () if self.all_matching else ("list.all", "list.next_page")
            return prefix, (*acts, *more, "list.back"), labels
        if not self.table.keys:
            return "", ("failed.next", "failed.next_state", "list.filter", "failed.view", "app.help"), labels
        if self.narrow:
            return "", ("table.open", *acts, "failed.view", "app.help"), labels
        last = "app.help" if self.group is None else "list.back"
        return "", ("table.open", *acts, "failed.retry_all", "failed.view", "list.filter", last), labels

    def subject(self, key: keymap.Key) -> tuple[str, str]:
        """All that match are no row."""
        return ("", "") if key.id == "failed.retry_all" else super().subject(key)

    @on(FailedTable.Turned)
    def _turned(self, event: FailedTable.Turned) -> None:
        event.stop()
        self.action_queue(event.step)

    def action_queue(self, step: int) -> None:
        """Look at the next or the previous queue of the ring."""
        stops = self.stops
        if len(stops) < 2:
            self.app.notify("there is no other queue here", markup=False)
            return
        if "queue" in self.params:
            self.app.notify("the filter names the queue; esc clears it", severity="warning", markup=False)
            return
        grouped = self.grouped
        self.queue = turned(stops, self.queue, step)
        if grouped != self.grouped:
            self.change_table()
            return
        self.page, self.until = 1, None
        self.marks, self.all_matching = {}, False
        self.reload()

    def seek(self, key: str) -> None:
        """Look at the dead letters of a queue: here a problem is a queue's, and no row's."""
        if self.group is not None or (self.queue, self.status) == (key, STATES[0]):
            return
        self.filter_text, self.queue, self.status = "", key, STATES[0]
        self.carry_filter()
        self.change_table()

    def refuse_filter(self, text: str) -> str | None:
        """Besides what the server cannot look for: a queue, where one was chosen."""
        refused = super().refuse_filter(text)
        if refused is None and self.queue is not None and "queue" in self.fields.read(text)[1]:
            return f"h l chose queue {fit(self.queue, 40)} already"
        return refused

    def action_toggle_view(self) -> None:
        """Show groups or jobs; from the jobs of one group go back to the groups."""
        if self.group is not None:
            self.gqm.go_back()
            return
        self.wants_groups = not self.wants_groups
        self.carry_filter()
        self.change_table()

    def action_section(self, step: int) -> None:
        """Look at dead letters, at what will be retried, or at what other engines call failed."""
        self.status = STATES[(STATES.index(self.status) + step) % len(STATES)]
        self.change_table()

    def open(self, row: Row) -> None:
        """Show the jobs of the group, or the job."""
        if not self.grouped:
            self.gqm.doors.job(row.key)
        elif (group := self.group_here) is not None:
            self.gqm.doors.failed_group(group, self.status, self.queue, self.filter_text)

    # Changes.

    def action_retry(self) -> None:
        """Retry the group, the row, the marked jobs, or all that match."""
        self._act(Action.RETRY)

    def action_delete(self) -> None:
        """Delete the group, the row, the marked jobs, or all that match."""
        self._act(Action.DELETE)

    def action_retry_all(self) -> None:
        """Retry everything that matches."""
        if self.table.keys:
            self.gqm.perform(self._all_plan(Action.RETRY))

    def _act(self, action: Action) -> None:
        plan = self._plan(action)
        if plan is not None:
            self.gqm.perform(plan)

    def _plan(self, action: Action) -> Plan | None:
        if self.grouped:
            group = self.group_here
            return None if group is None else self._group_plan(action, group)
        if self.all_matching:
            return self._all_plan(action)
        if self.marks:
            where = f"marked {NAMES[self.status]}"
            return marks_plan(action, list(self.marks), where)
        key = self.table.cursor_key
        jobs = self.view.value("jobs", list[Job]) or []
        job = next((job for job in jobs if job.id == key), None)
        return None if job is None else job_plan(action, job)

    def _wanted(self, fingerprint: str | None) -> dict[str, object]:
        now = self.server_time or self.gqm.clock.wall()
        return job_filter((self.status,), self.params, now, queue=self.queue, fingerprint=fingerprint)

    def _group_plan(self, action: Action, group: FailedGroup) -> Plan:
        wanted = self._wanted(group.fingerprint)
        where = describe(wanted, fit(group.error, CRUMB_CELLS))
        count = group.count if self.grouped else self.total(())
        plan = filter_plan(action, wanted, count, where=where, bound=self.bound)
        return replace(plan, key=group.fingerprint)

    def _all_plan(self, action: Action) -> Plan:
        if self.group is not None:
            return self._group_plan(action, self.group)
        wanted = self._wanted(None)
        if not self.grouped:
            return filter_plan(action, wanted, self.total(()), bound=self.bound)
        groups = self.groups
        bound = self.bound or ("≥" if self.total(()) > len(groups) else "")
        return filter_plan(action, wanted, sum(group.count for group in groups), bound=bound)
