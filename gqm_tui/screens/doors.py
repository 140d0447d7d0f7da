"""The ways from one pane to another: every drill-down is opened here, so that panes stay strangers."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gqm_tui.app import GqmApp
    from gqm_tui.screens.main import PaneMaker
    from gqm_tui.screens.panes.base import Pane


class Doors:
    """Opens drill-downs; a pane's module is imported when its door is first used."""

    def __init__(self, app: "GqmApp") -> None:
        self._app = app

    def jobs(self, queue: str, status: str = "ready") -> None:
        """Show the jobs of a queue in one state."""
        from gqm_tui.screens.panes.jobs import JobsPane

        self._app.open(JobsPane(queue, status))


def tab_makers() -> "dict[str, PaneMaker]":
    """How the pane of each tab is made."""

    def queues() -> "Pane":
        from gqm_tui.screens.panes.queues import QueuesPane

        return QueuesPane()

    return {"queues": queues}
