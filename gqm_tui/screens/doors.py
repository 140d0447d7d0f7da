"""The ways from one pane to another: every drill-down is opened here, so that panes stay strangers."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gqm_tui.app import GqmApp
    from gqm_tui.core.model import FailedGroup
    from gqm_tui.core.views import Look
    from gqm_tui.screens.main import PaneMaker
    from gqm_tui.screens.panes.base import Pane


class Doors:
    """Opens drill-downs; a pane's module is imported when its door is first used."""

    def __init__(self, app: "GqmApp") -> None:
        self._app = app

    def jobs(self, queue: str, status: str = "ready", look: "Look | None" = None) -> None:
        """Show the jobs of a queue in one state, as a saved view does if there is one."""
        from gqm_tui.screens.panes.jobs import JobsPane

        self._app.open(JobsPane(queue, status, look))

    def job(self, job_id: str) -> None:
        """Show one job."""
        from gqm_tui.screens.panes.job import JobPane

        self._app.open(JobPane(job_id))

    def worker(self, worker_id: str) -> None:
        """Show what one worker runs."""
        from gqm_tui.screens.panes.worker import WorkerPane

        self._app.open(WorkerPane(worker_id))

    def cron_history(self, entry_id: str) -> None:
        """Show the runs of one cron entry."""
        from gqm_tui.screens.panes.cron_history import CronHistoryPane

        self._app.open(CronHistoryPane(entry_id))

    def workers_of(self, server_id: str) -> None:
        """Show the workers of one server."""
        from gqm_tui.screens.panes.workers import WorkersPane

        self._app.open(WorkersPane(server_id))

    def failed_group(
        self, group: "FailedGroup", status: str, queue: str | None = None, filter_text: str = ""
    ) -> None:
        """Show the jobs that failed in one way."""
        from gqm_tui.screens.panes.failed import FailedPane

        self._app.open(FailedPane(group, status, queue, filter_text))

    def action_log(self) -> None:
        """Show what was done from here; the key does nothing where that is in sight already."""
        from gqm_tui.screens.panes.action_log import ActionLogPane

        if not isinstance(self._app.visible_pane, ActionLogPane):
            self._app.open(ActionLogPane())

    def graph(self, job_id: str) -> None:
        """Show the jobs around one job, and who waits for whom."""
        from gqm_tui.screens.panes.graph import GraphPane

        self._app.open(GraphPane(job_id))


def tab_makers() -> "dict[str, PaneMaker]":
    """How the pane of each tab is made; its module is imported when the tab is first looked at."""

    def queues() -> "Pane":
        from gqm_tui.screens.panes.queues import QueuesPane

        return QueuesPane()

    def workers() -> "Pane":
        from gqm_tui.screens.panes.workers import WorkersPane

        return WorkersPane()

    def cron() -> "Pane":
        from gqm_tui.screens.panes.cron import CronPane

        return CronPane()

    def servers() -> "Pane":
        from gqm_tui.screens.panes.servers import ServersPane

        return ServersPane()

    def failed() -> "Pane":
        from gqm_tui.screens.panes.failed import FailedPane

        return FailedPane()

    def dag() -> "Pane":
        from gqm_tui.screens.panes.dag import DagPane

        return DagPane()

    def overview() -> "Pane":
        from gqm_tui.screens.panes.overview import OverviewPane

        return OverviewPane()

    return {
        "overview": overview,
        "queues": queues,
        "workers": workers,
        "failed": failed,
        "cron": cron,
        "dag": dag,
        "servers": servers,
    }
