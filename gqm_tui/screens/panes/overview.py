"""Tab 0: is anything wrong? Figures, what needs attention, the last quarter of an hour, what happens now."""

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import DataTable
from textual.worker import Worker as Task

from gqm_tui import keymap
from gqm_tui.core import fmt
from gqm_tui.core.alerts import Alert, Facts, Severity
from gqm_tui.core.client import path
from gqm_tui.core.events import (
    CronEvent,
    Dropped,
    Event,
    Hello,
    JobEvent,
    QueueEvent,
    RedisEvent,
    ServerEvent,
)
from gqm_tui.core.follow import Follower
from gqm_tui.core.model import CronEntry, MinutesSeries, Queue, Runtime, Server, Stats, Worker
from gqm_tui.core.poll import PartSpec
from gqm_tui.core.signs import Signs
from gqm_tui.core.store import PaneState
from gqm_tui.core.table import CellText, Column, Row, Tone
from gqm_tui.core.text import fit, fit_middle
from gqm_tui.screens.frame import TABS
from gqm_tui.screens.panes.base import Pane, rule
from gqm_tui.widgets.chart import Chart
from gqm_tui.widgets.event_log import EventLog
from gqm_tui.widgets.line import Line
from gqm_tui.widgets.live_table import LiveTable
from gqm_tui.widgets.state_view import SPINNER, StateView

COLUMNS = (
    Column("what", "", 16, 16),
    Column("text", "NEEDS ATTENTION", 30, 40, star=True),
    Column("where", "", 10, 10),
)
MINUTES = 15
SUM = {"sum": True, "minutes": MINUTES}


def row(alert: Alert) -> Row:
    """Make the row of a problem."""
    severe = alert.severity is Severity.ERROR
    tone = Tone.BAD if severe else Tone.WARN
    number, label = next((number, label) for name, number, label, _, _ in TABS if name == alert.tab)
    return Row(
        alert.id,
        {
            "what": CellText(f"{'✗' if severe else '!'} {fit(alert.subject, 14)}", tone),
            "text": CellText(fit(alert.text, 200)),
            "where": CellText(f"{number} {label}", Tone.DIM),
        },
    )


def _told_of(event: Event, signs: Signs) -> tuple[float, CellText, str] | None:
    """Say one event: when, what, and the words; None for what nobody needs to read."""
    told: tuple[float, CellText, str] | None = None
    match event:
        case JobEvent():
            told = (event.ts, _became(event, signs), _job_words(event))
        case QueueEvent():
            count = "" if event.count is None else f" {event.count:,}"
            told = (event.ts, CellText("queue", Tone.WARN), f"{fit(event.queue, 40)} {event.action}{count}")
        case CronEvent():
            words = f"{fit(event.cron_id, 40)} {event.action} {fit_middle(event.job_id or '', 18)}"
            told = (event.ts, CellText("cron"), words.rstrip())
        case ServerEvent():
            tone = Tone.BAD if event.action == "down" else Tone.GOOD
            told = (event.ts, CellText("server", tone), f"{fit(event.server_id, 40)} {event.action}")
        case Dropped():
            count = "some" if event.count is None else f"{event.count:,}"
            told = (event.ts, CellText("dropped", Tone.WARN), f"{count} events, too many to show")
        case RedisEvent():
            told = (event.ts, CellText("redis", Tone.BAD), "back" if event.up else "away")
    return told


def _became(event: JobEvent, signs: Signs) -> CellText:
    return CellText("- deleted", Tone.DIM) if event.to == "deleted" else signs.job(event.to)


def _job_words(event: JobEvent) -> str:
    parts = [fit(event.queue, 16).ljust(16), fit_middle(event.job_id, 18).ljust(18)]
    parts += [fit(event.type or "", 18), fit(event.error or "", 120)]
    return "  ".join(part for part in parts if part)


class OverviewPane(Pane):
    """The only pane that follows the event stream."""

    BINDINGS: ClassVar[list[BindingType]] = keymap.scope("overview")
    name_of_view = "overview"
    DEFAULT_CSS = """
    OverviewPane .tiles { height: 1; }
    OverviewPane .upper { height: 50%; min-height: 5; }
    OverviewPane .attention { width: 1fr; height: 1fr; layers: base over; }
    OverviewPane Chart { width: 46; height: 1fr; border-left: solid $gqm-rule; }
    OverviewPane.-dimmed LiveTable { tint: $surface 45%; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._tiles = Line(classes="tiles")
        self.table = LiveTable(COLUMNS, id="table")
        self._state = StateView()
        self._chart = Chart()
        self._head = Line(classes="tiles")
        self.events = EventLog()
        self._following: Task[None] | None = None
        self._follower: Follower | None = None
        self._alerts: dict[str, Alert] = {}
        self._spin = 0
        self._held: list[Text] = []

    @property
    def crumb(self) -> str:
        """The tab's name."""
        return "Overview"

    def specs(self) -> Sequence[PartSpec]:
        """Everything that the rules look at, and the minutes of the chart."""
        return (
            PartSpec("stats", path("stats"), None, Stats),
            PartSpec("queues", path("queues"), None, list[Queue]),
            PartSpec("servers", path("servers"), None, list[Server]),
            PartSpec("workers", path("workers"), None, list[Worker]),
            PartSpec("cron", path("cron"), None, list[CronEntry]),
            PartSpec("minutes", path("stats", "minutes"), SUM, list[MinutesSeries], every=10.0),
            PartSpec("runtime", path("stats", "runtime"), None, Runtime, every=10.0),
        )

    def compose(self) -> ComposeResult:
        """Figures, problems beside the chart, events."""
        yield self._tiles
        with Horizontal(classes="upper"):
            with Vertical(classes="attention"):
                yield self.table
                yield self._state
            yield self._chart
        yield self._head
        yield self.events

    def focus_main(self) -> None:
        """Give the list of problems the focus."""
        self.table.focus()

    def start(self) -> None:
        """Come into sight: poll, and follow the events."""
        super().start()
        if self._following is None:
            self._follower = Follower(
                self.gqm.client,
                self.gqm.clock,
                on_event=self._event,
                on_lost=lambda _error: self._paint_head(),
            )
            self._following = self.run_worker(
                self._follower.run, group="events", exit_on_error=False, name="events"
            )

    def stop(self) -> None:
        """Leave the screen: the stream is closed too."""
        super().stop()
        if self._following is not None:
            self._following.cancel()
            self._following = self._follower = None

    # What is shown.

    def paint(self) -> None:
        """Everything but the events, which come by themselves."""
        if not self.is_mounted:
            return
        found = self.gqm.attention.look(self._facts())
        if not self.gqm.frozen:
            self._alerts = {alert.id: alert for alert in found}
            self.table.sync([row(alert) for alert in found])
            self._paint_tiles()
            self._paint_chart()
            for line in self._held:
                self.events.add(line)
            self._held = []
        self._paint_state()
        self._paint_head()
        self.gqm.footer_changed(self)

    def _facts(self) -> Facts:
        runtime = self.view.value("runtime", Runtime)
        return Facts(
            now=self.server_now or self.gqm.clock.wall(),
            queues=self.view.value("queues", list[Queue]),
            workers=self.view.value("workers", list[Worker]),
            servers=self.view.value("servers", list[Server]),
            cron=self.view.value("cron", list[CronEntry]),
            redis=None if runtime is None else runtime.redis,
            skew_ms=self.view.skew_ms,
        )

    def _paint_state(self) -> None:
        state = self.state_now()
        self.set_class(state in (PaneState.DOWN, PaneState.STALE), "-dimmed")
        error = self.view.error()
        if self._alerts:
            self._state.hide()
        elif state is PaneState.LOADING:
            self._spin += 1
            self._state.show(f"{SPINNER[self._spin % len(SPINNER)]} waiting for figures")
        elif error is not None:
            self._state.show(error.sentence, "Trying again; F5 tries now.", "error")
        else:
            self._state.show("Nothing needs attention.", "All queues drain, all servers answer.")

    def _minutes(self) -> tuple[list[float], list[float]]:
        series = self.view.value("minutes", list[MinutesSeries]) or []
        minutes = list(reversed(series[0].minutes)) if series else []
        # The newest minute is under way, and would always look like a fall.
        done = minutes[:-1]
        return [float(item.processed) for item in done], [float(item.failed) for item in done]

    def _paint_tiles(self) -> None:
        stats = self.view.value("stats", Stats)
        if stats is None:
            return
        processed, failed = self._minutes()
        oldest = None if stats.oldest_age_ms is None else stats.oldest_age_ms / 1_000
        cells = 5 if self.narrow else 7
        tiles = [
            ("READY", fmt.count(stats.ready), "", Tone.STRONG),
            ("IN", f"{fmt.rate(stats.in_per_min)}/m", "", Tone.PLAIN),
            ("OUT", f"{fmt.rate(stats.out_per_min)}/m", self.gqm.signs.spark(processed, cells), Tone.ACTIVE),
            ("FAIL", f"{fmt.rate(stats.failed_per_min)}/m", self.gqm.signs.spark(failed, cells), Tone.BAD),
            ("OLDEST", fmt.ZERO if oldest is None else fmt.age(oldest), "", Tone.PLAIN),
            ("DLQ", fmt.count(stats.dead_letter), "", Tone.BAD if stats.dead_letter else Tone.DIM),
        ]
        line, between = Text(), "  " if self.narrow else " │ "
        for name, value, spark, tone in tiles:
            if self.narrow and name == "IN":
                continue
            if line:
                line.append(between, self.tone(Tone.DIM))
            line.append(f"{name} ", self.tone(Tone.DIM))
            line.append(value, self.tone(tone if not spark else Tone.PLAIN))
            if spark:
                line.append(f" {spark}", self.tone(tone))
        self._tiles.show(line)

    def _paint_chart(self) -> None:
        self._chart.display = not self.narrow
        processed, failed = self._minutes()
        styles = (self.tone(Tone.ACTIVE), self.tone(Tone.BAD))
        self._chart.draw("DONE, FAILED PER MINUTE, 15 MIN", processed, failed, styles)

    # Events.

    def _paint_head(self) -> None:
        if not self.is_mounted:
            return
        dim = self.tone(Tone.DIM)
        title = Text()
        title.append("EVENTS ", "bold")
        lost = None if self._follower is None else self._follower.lost
        if lost is not None:
            title.append(f"lost: {lost.sentence}", self.tone(Tone.WARN))
        elif self.gqm.frozen:
            title.append(f"frozen, {len(self._held)} held", self.tone(Tone.WARN))
        else:
            title.append("following" if self.events.at_end else f"{self.events.unseen} new below", dim)
        self._head.show(rule(title, max(10, self.size.width - 2), dim))

    def _event(self, event: Event) -> None:
        if isinstance(event, Hello):
            self.wake()
        line = self._line(event)
        if line is None:
            return
        if self.gqm.frozen:
            self._held = [*self._held[-499:], line]
        else:
            self.events.add(line)
        self._paint_head()

    def _line(self, event: Event) -> Text | None:
        """Write one event: time, what, where, which, why."""
        told = _told_of(event, self.gqm.signs)
        return None if told is None else self._told(*told)

    def _told(self, moment: float, what: CellText, words: str) -> Text:
        line = Text(no_wrap=True)
        line.append(f"{fmt.clock(moment, local=self.gqm.settings.local_time)} ", self.tone(Tone.DIM))
        line.append(f"{what.text:<10} ", self.tone(what.tone))
        line.append(words)
        return line

    # Keys.

    def footer(self) -> tuple[str, tuple[str, ...] | None, dict[str, str]]:
        """Name what enter does."""
        only = ("table.open", "app.problem", "app.freeze", "app.help")
        return "", only, {"table.open": "Go there", "app.problem": "Next problem"}

    @on(DataTable.RowSelected)
    async def _selected(self, event: DataTable.RowSelected) -> None:
        event.stop()
        await self.action_open_problem()

    async def action_open_problem(self) -> None:
        """Go to the tab and the row of the problem under the cursor."""
        alert = self._alerts.get(self.table.cursor_key or "")
        if alert is not None:
            await self.gqm.attention.go_to(alert)
