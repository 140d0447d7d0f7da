"""What needs attention, kept app-wide: the rules' memory, and the walk from one problem to the next."""

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from gqm_tui.core.alerts import Alert, Facts, Watch, following
from gqm_tui.core.client import ApiClient, Reply, path
from gqm_tui.core.errors import ApiError
from gqm_tui.core.model import CronEntry, Queue, Runtime, Server, Worker
from gqm_tui.core.store import View
from gqm_tui.core.text import fit
from gqm_tui.screens.panes.table_pane import TablePane

if TYPE_CHECKING:
    from gqm_tui.app import GqmApp

T = TypeVar("T")
FRESH_S = 5.0
"""How old the last complete look may be for the key to walk on without fetching."""
STEP_BACK_S = 5.0
"""From how far back the server's clock counts as set back."""
_TOAST_CELLS = 120


class Attention:
    """One memory for the Overview, which feeds it while it is shown, and for the key that asks on demand.

    Nothing is fetched in the background: a tab that is not shown asks for nothing. What the rules have to
    remember, the sizes of the queues, comes from every pane that gets them anyway. The key fetches the facts
    once, unless they were looked at just now, so that what it walks is as fresh as what the Overview shows.
    """

    def __init__(self, app: "GqmApp") -> None:
        self._app = app
        self._context = ""
        self._watch = Watch(app.settings)
        self._last: str | None = None
        self._latest = float("-inf")
        self._found: list[Alert] = []
        self._found_at = float("-inf")
        self._asking = False

    # Feeding.

    def look(self, facts: Facts) -> list[Alert]:
        """Remember facts, and return what needs attention; another context begins with an empty memory."""
        self._follow_context()
        found = self._watch.look(replace(facts, now=self._moment(facts.now)))
        if None not in (facts.queues, facts.workers, facts.servers, facts.cron, facts.redis):
            self._found, self._found_at = found, self._app.clock.monotonic()
        return found

    def note(self, view: View) -> None:
        """Remember the queues that a pane got."""
        part, now = view.parts.get("queues"), view.server_now(self._app.clock.monotonic())
        if now is None or part is None or part.type != list[Queue] or part.value is None:
            return
        self._follow_context()
        self._watch.history.note_queues(self._moment(now), view.value("queues", list[Queue]) or [])

    def _moment(self, now: float) -> float:
        """Give a moment of the server's clock that does not fall behind the last one by a mere estimate.

        Each pane knows the clock from its own replies, a few milliseconds off; only a real step back counts.
        """
        if now > self._latest or now < self._latest - STEP_BACK_S:
            self._latest = now
        return self._latest

    def buried(self) -> int:
        """How many dead letters came in the last five minutes, as far as they were watched."""
        return self._watch.history.buried_in(self._watch.history.queues)

    def _follow_context(self) -> None:
        if self._app.context_name != self._context:
            self._context, self._last = self._app.context_name, None
            self._watch = Watch(self._app.settings)
            self._latest = float("-inf")
            self._found, self._found_at = [], float("-inf")

    # Walking.

    async def go_on(self) -> None:
        """Go to the problem behind the one that was looked at last; old facts are fetched anew first."""
        self._follow_context()
        if self._app.clock.monotonic() - self._found_at <= FRESH_S:
            await self._walk(self._found, "")
        elif not self._asking:
            self._asking = True
            self._app.run_worker(self._ask(), group="attention", name="attention", exit_on_error=False)

    async def _ask(self) -> None:
        here = self._app.screen, self._app.tab, self._app.context_name
        try:
            gathered = await gather(self._app.client)
            if here != (self._app.screen, self._app.tab, self._app.context_name):
                return  # somebody went elsewhere meanwhile; nobody is pulled away from there
            if gathered.facts is None:
                first = next(iter(gathered.errors.values()))
                self._app.notify(f"problems are not known: {first.sentence}", severity="error", markup=False)
                return
            await self._walk(self.look(gathered.facts), ", ".join(gathered.errors))
        except Exception as error:  # noqa: BLE001 - a worker's error is seen nowhere else
            self._app.report_fault(error)
        finally:
            self._asking = False

    async def _walk(self, found: list[Alert], unknown: str) -> None:
        alert = following(found, self._last)
        if alert is not None:
            await self.go_to(alert)
        elif unknown:
            text = f"nothing else needs attention; not known: {unknown}"
            self._app.notify(text, severity="warning", markup=False)
        else:
            self._app.notify("nothing needs attention", markup=False)

    async def go_to(self, alert: Alert) -> None:
        """Show the tab of a problem and put the cursor on its row as soon as the row is there."""
        self._last = alert.id
        await self._app.action_show_tab(alert.tab)
        pane = self._app.visible_pane
        if isinstance(pane, TablePane) and alert.key:
            pane.seek(alert.key)
        text = fit(f"{alert.subject}: {alert.text}", _TOAST_CELLS)
        self._app.notify(text, severity="warning", markup=False)


@dataclass(frozen=True, slots=True)
class Gathered:
    """What was fetched for the rules: the facts, None when nothing came, and what failed, by part."""

    facts: Facts | None
    errors: dict[str, ApiError]


async def gather(client: ApiClient) -> Gathered:
    """Fetch all facts side by side; a part that fails leaves its rules silent and the others as they are."""
    errors: dict[str, ApiError] = {}

    async def one(name: str, place: str, kind: type[T]) -> Reply[T] | None:
        try:
            return await client.get(place, None, kind)
        except ApiError as error:
            errors[name] = error
            return None

    queues, workers, servers, cron, runtime = await asyncio.gather(
        one("queues", path("queues"), list[Queue]),
        one("workers", path("workers"), list[Worker]),
        one("servers", path("servers"), list[Server]),
        one("cron", path("cron"), list[CronEntry]),
        one("runtime", path("stats", "runtime"), Runtime),
    )
    reply = next((item for item in (queues, workers, servers, cron, runtime) if item is not None), None)
    if reply is None:
        return Gathered(None, errors)
    facts = Facts(
        now=reply.meta.server_time,
        queues=_data(queues),
        workers=_data(workers),
        servers=_data(servers),
        cron=_data(cron),
        redis=None if runtime is None else runtime.data.redis,
        skew_ms=(reply.meta.server_time - reply.local_mid) * 1_000,
    )
    return Gathered(facts, errors)


def _data(reply: Reply[T] | None) -> T | None:
    return None if reply is None else reply.data
