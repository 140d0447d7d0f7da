"""What needs attention, kept app-wide: the rules' memory, and the walk from one problem to the next."""

import asyncio
from typing import TYPE_CHECKING

from gqm_tui.core.alerts import Alert, Facts, Watch, following
from gqm_tui.core.client import ApiClient, path
from gqm_tui.core.errors import ApiError
from gqm_tui.core.model import CronEntry, Queue, Runtime, Server, Worker
from gqm_tui.screens.panes.table_pane import TablePane

if TYPE_CHECKING:
    from gqm_tui.app import GqmApp


class Attention:
    """One memory for the Overview, which feeds it while it is shown, and for the key that asks on demand.

    Nothing is fetched in the background: a tab that is not shown asks for nothing. The key fetches the facts
    once, so that what it walks is as fresh as what the Overview shows.
    """

    def __init__(self, app: "GqmApp") -> None:
        self._app = app
        self._context = ""
        self._watch = Watch(app.settings)
        self._last: str | None = None

    def look(self, facts: Facts) -> list[Alert]:
        """Remember facts, and return what needs attention; another context begins with an empty memory."""
        if self._app.context_name != self._context:
            self._context, self._last = self._app.context_name, None
            self._watch = Watch(self._app.settings)
        return self._watch.look(facts)

    async def go_on(self) -> None:
        """Fetch the facts and go to the problem behind the one that was looked at last."""
        try:
            facts = await _facts(self._app.client)
        except ApiError as error:
            self._app.notify(error.sentence, severity="error", markup=False)
            return
        found = self.look(facts)
        alert = following(found, self._last)
        if alert is None:
            self._app.notify("nothing needs attention", markup=False)
            return
        self._last = alert.id
        await self.go_to(alert)

    async def go_to(self, alert: Alert) -> None:
        """Show the tab of a problem and put the cursor on its row as soon as the row is there."""
        self._last = alert.id
        await self._app.action_show_tab(alert.tab)
        pane = self._app.visible_pane
        if isinstance(pane, TablePane) and alert.key:
            pane.wanted = alert.key
            pane.paint()
        self._app.notify(f"{alert.subject}: {alert.text}", severity="warning", markup=False)


async def _facts(client: ApiClient) -> Facts:
    queues, workers, servers, cron, runtime = await asyncio.gather(
        client.get(path("queues"), None, list[Queue]),
        client.get(path("workers"), None, list[Worker]),
        client.get(path("servers"), None, list[Server]),
        client.get(path("cron"), None, list[CronEntry]),
        client.get(path("stats", "runtime"), None, Runtime),
    )
    return Facts(
        now=queues.meta.server_time,
        queues=queues.data,
        workers=workers.data,
        servers=servers.data,
        cron=cron.data,
        redis=runtime.data.redis,
        skew_ms=(queues.meta.server_time - queues.local_mid) * 1_000,
    )
