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
from textual.worker import WorkerState

from gqm_tui import keymap
from gqm_tui.core import fmt
from gqm_tui.core.alerts import BURIED_WARN, Alert, Facts, Severity
from gqm_tui.core.client import path
from gqm_tui.core.model import CronEntry, MinutesSeries, Queue, Runtime, Server, Stats, Worker
from gqm_tui.core.poll import PartSpec
from gqm_tui.core.store import PaneState
from gqm_tui.core.table import CellText, Column, Row, Tone
from gqm_tui.core.text import fit
from gqm_tui.screens.frame import TABS
from gqm_tui.screens.panes.base import Pane, reason
from gqm_tui.screens.panes.stream import EventStream
from gqm_tui.widgets.chart import Chart
from gqm_tui.widgets.event_log import EventLog
from gqm_tui.widgets.line import Line
from gqm_tui.widgets.live_table import LiveTable
from gqm_tui.widgets.state_view import SPINNER, StateView
from gqm_tui.widgets.tiles import Tile, Tiles

COLUMNS = (
    Column("what", "", 16, 16),
    Column("text", "", 30, 40, star=True),
    Column("where", "", 10, 10),
)
MINUTES = 15
SUM = {"sum": True, "minutes": MINUTES}
LOOKED_AT = ("queues", "servers", "workers", "cron", "runtime")
"""The parts that the rules look at; before all of them are known nothing is said to be well."""
_MINUTE_S = 60
_LATE_RULES = frozenset({"oldest", "unread", "paused"})


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


def _per_minute(rate: float | None) -> CellText:
    text = fmt.rate(rate)
    return CellText(text if text in (fmt.ZERO, fmt.UNKNOWN) else f"{text}/m")


class OverviewPane(Pane):
    """The only pane that follows the event stream."""

    BINDINGS: ClassVar[list[BindingType]] = keymap.scope("overview")
    scopes = ("overview",)
    name_of_view = "overview"
    DEFAULT_CSS = """
    OverviewPane .tiles { height: 1; }
    OverviewPane .upper { height: 50%; min-height: 5; }
    OverviewPane .attention { width: 1fr; height: 1fr; layers: base over; }
    OverviewPane Chart { width: 46; height: 1fr; border-left: solid $gqm-rule; }
    OverviewPane.-dimmed LiveTable { tint: $surface 45%; }
    OverviewPane.-dimmed Tiles, OverviewPane.-dimmed Chart { tint: $surface 45%; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.tiles = Tiles(classes="tiles")
        self._title = Line(classes="tiles")
        self.table = LiveTable(COLUMNS, id="table")
        self.table.show_header = False
        self._state = StateView()
        self._chart = Chart()
        self._head = Line(classes="tiles")
        self.events = EventLog()
        self.stream = EventStream(self, self.events)
        self._alerts: dict[str, Alert] = {}
        self._found: list[Alert] = []
        self._spin = 0

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
        yield self.tiles
        with Horizontal(classes="upper"):
            with Vertical(classes="attention"):
                yield self._title
                yield self.table
                yield self._state
            yield self._chart
        yield self._head
        yield self.events

    def focus_main(self) -> None:
        """Give the list of problems the focus."""
        self.screen.set_focus(self.table)

    def start(self) -> None:
        """Come into sight: poll, and follow the events."""
        super().start()
        self.stream.start()

    def stop(self) -> None:
        """Leave the screen: the stream is closed too."""
        super().stop()
        self.stream.stop()

    # What is shown.

    def paint(self) -> None:
        """Everything but the lines of the log, which come by themselves."""
        if not self.is_mounted:
            return
        state = self.state_now()
        # The rules remember what they saw, so that they are never shown the past.
        self._found = self.gqm.attention.look(self._facts())
        found = self._found if self.moment is None else self._found_then
        self._chart.display = not self.narrow
        if not self.holds:
            self._alerts = {alert.id: alert for alert in found}
            self.table.sync([row(alert) for alert in found])
            self._paint_tiles(found)
            self._paint_chart()
        if not self.gqm.frozen:
            self.stream.catch_up()
        self._paint_title(state)
        self._paint_state(state)
        self.paint_head()
        self.gqm.footer_changed(self)

    def extra(self) -> object:
        """What needed attention."""
        return tuple(self._found)

    @property
    def _found_then(self) -> list[Alert]:
        extra = None if self.moment is None else self.moment.extra
        return [item for item in extra if isinstance(item, Alert)] if isinstance(extra, tuple) else []

    def _facts(self) -> Facts:
        view = self.live
        runtime = view.value("runtime", Runtime)
        return Facts(
            now=view.server_now(self.gqm.clock.monotonic()) or self.gqm.clock.wall(),
            queues=view.value("queues", list[Queue]),
            workers=view.value("workers", list[Worker]),
            servers=view.value("servers", list[Server]),
            cron=view.value("cron", list[CronEntry]),
            redis=None if runtime is None else runtime.redis,
            skew_ms=view.skew_ms,
        )

    def _paint_title(self, state: PaneState) -> None:
        title = Text()
        title.append("NEEDS ATTENTION", "bold")
        if self._alerts:
            title.append(f" {len(self._alerts)}", "bold")
        if state is PaneState.PARTIAL:
            for name, error in self.view.problems():
                title.append(f"  ! {name}: {reason(error)}", self.tone(Tone.WARN))
        self._title.show(title)

    def _unknown(self) -> list[str]:
        """The parts that the rules look at and that never came."""
        parts = self.view.parts
        return [name for name in LOOKED_AT if name not in parts or parts[name].value is None]

    def _paint_state(self, state: PaneState) -> None:
        self.set_class(state in (PaneState.DOWN, PaneState.STALE), "-dimmed")
        error = self.view.error()
        if state is PaneState.UNAUTHORIZED and error is not None:
            self._state.show(*self.gqm.unauthorized_text(error), "error")
        elif state is PaneState.FORBIDDEN and error is not None:
            self._state.show(error.sentence, self.gqm.identity_text, "error")
        elif self._alerts:
            self._state.hide()
        elif error is not None:
            # Rules without their facts are silent, and silence is not calm.
            unknown = ", ".join(name for name, _ in self.view.problems())
            self._state.show(error.sentence, f"Not known: {unknown}. Trying again; F5 tries now.", "error")
        elif self._unknown():
            self._spin += 1
            self._state.show(f"{SPINNER[self._spin % len(SPINNER)]} waiting for figures")
        else:
            self._state.show("Nothing needs attention.", self._watched())

    def _watched(self) -> str:
        """What the calm rests on."""
        told = []
        for name, kind, word in (
            ("queues", list[Queue], "queue"),
            ("servers", list[Server], "server"),
            ("workers", list[Worker], "worker"),
        ):
            count = len(self.view.value(name, kind) or ())
            told.append(f"{count:,} {word}{'' if count == 1 else 's'}")
        return f"{', '.join(told)} and every cron entry are well."

    def _minutes(self) -> tuple[list[float], list[float]]:
        """What was done and what failed in each whole minute, oldest first."""
        series = self.view.value("minutes", list[MinutesSeries]) or []
        now = self.server_now
        # A minute that is under way would always look like a fall.
        whole = [
            item
            for item in reversed(series[0].minutes if series else ())
            if now is None or item.minute + _MINUTE_S <= now
        ]
        return [float(item.processed) for item in whole], [float(item.failed) for item in whole]

    def _paint_tiles(self, found: Sequence[Alert]) -> None:
        stats = self.view.value("stats", Stats)
        if stats is None:
            return
        processed, failed = self._minutes()
        oldest = None if stats.oldest_age_ms is None else stats.oldest_age_ms / 1_000
        late = any(alert.rule in _LATE_RULES and "oldest" in alert.text for alert in found)
        buried = self.gqm.attention.buried()
        spark, cells = self.gqm.signs.spark, 5 if self.narrow else 7
        course = CellText(spark(processed, cells).strip(), Tone.ACTIVE)
        failures = CellText(spark(failed, cells).strip(), Tone.BAD)
        dead_tone = Tone.BAD if buried >= BURIED_WARN else Tone.WARN if stats.dead_letter else Tone.DIM
        self.tiles.show_tiles(
            [
                Tile("READY", CellText(fmt.count(stats.ready), Tone.STRONG)),
                Tile("IN", _per_minute(stats.in_per_min), spare=2),
                Tile("OUT", _per_minute(stats.out_per_min), course, spare=1),
                Tile("FAIL", _per_minute(stats.failed_per_min), failures),
                Tile(
                    "OLDEST",
                    CellText(
                        fmt.ZERO if oldest is None else fmt.age(oldest), Tone.BAD if late else Tone.PLAIN
                    ),
                ),
                Tile(
                    "DLQ",
                    CellText(fmt.count(stats.dead_letter), dead_tone),
                    more=CellText(f"+{buried:,}/5m", dead_tone) if buried else None,
                ),
            ],
            narrow=self.narrow,
        )

    def _paint_chart(self) -> None:
        processed, failed = self._minutes()
        styles = (self.tone(Tone.ACTIVE), self.tone(Tone.BAD), self.tone(Tone.DIM))
        title = f"DONE, FAILED PER MINUTE, {MINUTES} MIN"
        self._chart.draw(title, processed, failed, styles, ascii_only=self.gqm.signs.ascii)

    def paint_head(self) -> None:
        """Write the line above the log: whether it follows, how much is new, how much happens."""
        if self.is_mounted:
            self._head.show(*self.stream.head())

    # Keys.

    def footer(self) -> tuple[str, tuple[str, ...] | None, dict[str, str]]:
        """Name what enter does, in the list and in the log."""
        if self.events.has_focus:
            only = ("table.open", "table.last", "app.region", "app.freeze", "app.help")
            return "", only, {"table.open": "Job", "table.last": "Follow", "app.region": "Problems"}
        only = ("table.open", "app.problem", "app.region", "app.freeze", "app.help")
        labels = {"table.open": "Go there", "app.problem": "Next problem", "app.region": "Events"}
        return "", only, labels

    def on_descendant_focus(self) -> None:
        """The footer tells the keys of the part that has the focus."""
        self.gqm.footer_changed(self)

    @on(Task.StateChanged)
    def _worker_changed(self, event: Task.StateChanged) -> None:
        if event.state is WorkerState.ERROR and self.stream.broke(event.worker):
            event.stop()
            self.gqm.report_fault(event.worker.error)
            self.set_timer(1.0, self.stream.start)

    @on(DataTable.RowSelected)
    async def _selected(self, event: DataTable.RowSelected) -> None:
        event.stop()
        await self.action_open_problem()

    async def action_open_problem(self) -> None:
        """Go to the tab and the row of the problem under the cursor."""
        alert = self._alerts.get(self.table.cursor_key or "")
        if alert is not None:
            await self.gqm.attention.go_to(alert)

    @on(EventLog.Opened)
    def _opened(self, event: EventLog.Opened) -> None:
        event.stop()
        self.gqm.doors.job(event.key)

    @on(EventLog.Moved)
    def _moved(self, event: EventLog.Moved) -> None:
        event.stop()
        self.paint_head()
