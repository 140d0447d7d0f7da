"""The event log's source: follows the stream while it is in sight, and holds lines back while frozen."""

from collections import deque
from typing import TYPE_CHECKING

from rich.text import Text
from textual.worker import Worker

from gqm_tui.core import fmt
from gqm_tui.core.errors import ApiError
from gqm_tui.core.eventlines import SIGN_CELLS, Told, gap, told
from gqm_tui.core.events import Event, Hello
from gqm_tui.core.follow import Follower
from gqm_tui.core.table import Tone
from gqm_tui.widgets.event_log import MOST_LINES, EventLog

if TYPE_CHECKING:
    from gqm_tui.screens.panes.overview import OverviewPane

RATE_OVER_S = 10.0
"""The span over which events are counted for their rate."""


class EventStream:
    """Turns events into lines of the log, for one pane."""

    def __init__(self, pane: "OverviewPane", log: EventLog) -> None:
        self._pane = pane
        self._log = log
        self._held: deque[Told] = deque(maxlen=MOST_LINES)
        self._came: deque[float] = deque()
        self._open = False
        self._was_lost = False
        self._lost: ApiError | None = None
        self._following: Worker[None] | None = None

    # In and out of sight.

    def start(self) -> None:
        """Open the stream."""
        if self._following is not None:
            return
        self._open, self._lost = False, None
        follower = Follower(
            self._pane.gqm.client, self._pane.gqm.clock, on_event=self._event, on_lost=self._gone
        )
        self._following = self._pane.run_worker(
            follower.run, group="events", exit_on_error=False, name="events"
        )

    def stop(self) -> None:
        """Close the stream; what happens meanwhile is not listed, which the log says afterwards."""
        if self._following is not None:
            self._following.cancel()
            self._following = None
            self._was_lost = self._was_lost or self._open

    def broke(self, worker: object) -> bool:
        """Take note that a worker broke; tell whether it was the one that follows."""
        if worker is not self._following:
            return False
        self._following = None
        return True

    # Events.

    def _event(self, event: Event) -> None:
        if isinstance(event, Hello):
            if self._was_lost:
                self._pane.wake()
                self._add(gap(event.server_time))
            self._open, self._was_lost, self._lost = True, False, None
        elif (line := told(event, self._pane.gqm.signs, narrow=self._pane.narrow)) is not None:
            self._came.append(self._pane.gqm.clock.monotonic())
            self._add(line)
        self._pane.paint_head()

    def _gone(self, error: ApiError) -> None:
        self._open, self._was_lost, self._lost = False, True, error
        self._pane.paint_head()

    def _add(self, line: Told) -> None:
        if self._pane.gqm.frozen:
            self._held.append(line)
        else:
            self._log.add(self._line(line), line.job_id)

    def catch_up(self) -> None:
        """Show what was held back."""
        while self._held:
            line = self._held.popleft()
            self._log.add(self._line(line), line.job_id)

    def _line(self, line: Told) -> Text:
        pane = self._pane
        text = Text(no_wrap=True)
        moment = fmt.clock(line.at, local=pane.gqm.settings.local_time).removesuffix("Z")
        text.append(f"{moment} ", pane.tone(Tone.DIM))
        text.append(f"{line.sign.text:<{SIGN_CELLS}} ", pane.tone(line.sign.tone))
        text.append(line.words)
        return text

    # The line above the log.

    def head(self) -> tuple[Text, Text]:
        """Give both ends of the line: what the log does, and how much happens."""
        pane = self._pane
        left = Text()
        left.append("EVENTS ", "bold")
        if self._lost is not None:
            left.append(f"lost: {self._lost.sentence}, trying again", pane.tone(Tone.WARN))
        elif pane.gqm.frozen:
            left.append(f"frozen, {len(self._held)} held", pane.tone(Tone.WARN))
        elif not self._open:
            left.append("connecting", pane.tone(Tone.DIM))
        elif self._log.at_end:
            left.append("following", pane.tone(Tone.DIM))
        elif self._log.unseen:
            left.append(f"{self._log.unseen:,} new", pane.tone(Tone.PLANNED))
            left.append(" · G follows again", pane.tone(Tone.DIM))
        else:
            left.append("held here · G follows again", pane.tone(Tone.DIM))
        rate = self._rate()
        return left, Text(rate if pane.narrow else f"all states · {rate}", pane.tone(Tone.DIM))

    def _rate(self) -> str:
        now = self._pane.gqm.clock.monotonic()
        while self._came and self._came[0] <= now - RATE_OVER_S:
            self._came.popleft()
        rate = len(self._came) / RATE_OVER_S
        return f"{rate:.0f}/s" if rate >= 1 or rate == 0 else f"{rate:.1f}/s"
