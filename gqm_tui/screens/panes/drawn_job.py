"""One job, as it is drawn: how it came where it is, what it was given and gave back, why it failed."""

from collections.abc import Sequence
from functools import cached_property

from rich.cells import cell_len
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from gqm_tui.core.client import path
from gqm_tui.core.doc import Doc
from gqm_tui.core.errors import Kind
from gqm_tui.core.jobdetail import (
    Link,
    Moment,
    Spans,
    ended_ago,
    links,
    origin,
    timeline,
)
from gqm_tui.core.jobsections import SECTIONS, Facts, Sections
from gqm_tui.core.model import Attempt, Graph, Job
from gqm_tui.core.poll import PartSpec
from gqm_tui.core.store import PaneState, View
from gqm_tui.core.table import Tone
from gqm_tui.core.text import fit, fit_middle
from gqm_tui.messages import Refreshed
from gqm_tui.screens.panes.base import Pane, reason
from gqm_tui.widgets.json_view import JsonView
from gqm_tui.widgets.line import Line
from gqm_tui.widgets.state_view import SPINNER, StateView

LEFT, RIGHT = SECTIONS[:4], SECTIONS[4:]
LINKS_EVERY_S = 5.0
_ID_CELLS = 14
_DIMMED = frozenset({PaneState.STALE, PaneState.DOWN})


class DrawnJob(Pane):
    """A job by its id. On a wide terminal two sections side by side, on a narrow one all six in one place."""

    name_of_view = "job"

    def __init__(self, job_id: str) -> None:
        super().__init__()
        self.job_id = job_id
        self.section = SECTIONS[0]
        self.held = False
        self._sides = {LEFT: LEFT[0], RIGHT: RIGHT[0]}
        self._attempts_of: tuple[int, str] | None = None
        self._shown_job: Job | None = None
        self._facts: Facts | None = None
        self._named: dict[tuple[str, ...], str] = {}
        self._title = Line(classes="title-line")
        self._story = Line(classes="story")
        self._heads = {LEFT: Line(classes="head"), RIGHT: Line(classes="head")}
        self._views = {LEFT: JsonView(id="left"), RIGHT: JsonView(id="right")}
        self._right = Vertical(self._heads[RIGHT], self._views[RIGHT], classes="right-side")
        self._state = StateView()
        self._spin = 0

    # What it is and what it fetches.

    @property
    def crumb(self) -> str:
        """The id, its middle left out."""
        return fit_middle(self.job_id, _ID_CELLS)

    def query_text(self) -> str:
        """The id."""
        return self.job_id

    def specs(self) -> Sequence[PartSpec]:
        """The job, its attempts when there can be a new one, and the jobs around it."""
        self._attempts_of = None
        return (
            PartSpec("job", path("jobs", self.job_id), {}, Job),
            PartSpec(
                "attempts",
                path("jobs", self.job_id, "attempts"),
                {},
                list[Attempt],
                when=self._attempts_changed,
            ),
            PartSpec("links", path("dag", self.job_id, "graph"), {"depth": 1}, Graph, every=LINKS_EVERY_S),
        )

    def _attempts_due(self, view: View) -> tuple[int, str] | None:
        """What the attempts would be fetched for, None while there can be no new one."""
        job, part, error = view.value("job", Job), view.parts["attempts"], view.parts["job"].error
        # An attempt is written down when it ends, so a change of state can bring one as well as a new start.
        known = None if job is None else (job.attempt, job.status)
        # While the server does not answer, every part has to be tried: one good old reply is no sign of life.
        away = error is not None and error.kind.is_away
        return None if known == self._attempts_of and part.error is None and not away else known

    def _attempts_changed(self, view: View) -> bool:
        due = self._attempts_due(view)
        self._attempts_of = due or self._attempts_of
        return due is not None

    def on_refreshed(self, message: Refreshed) -> None:
        """Fetch the attempts as soon as the job tells of a new one."""
        part = self.part("attempts")
        if self._poller is None or part is None or part.in_flight or part.error is not None:
            return
        if self._attempts_due(self.live) is not None:
            self._poller.wake("attempts")

    @property
    def job(self) -> Job | None:
        """The job as it was last seen."""
        return self.view.value("job", Job)

    @property
    def attempts(self) -> Sequence[Attempt]:
        """The tries that ended without success, newest first."""
        return self.view.value("attempts", list[Attempt]) or []

    @property
    def links(self) -> list[Link]:
        """Parents and children."""
        return [] if self.job is None else links(self.job, self.view.value("links", Graph))

    def state_now(self, *, total: int = 1, shown: int = 1) -> PaneState:
        """As every pane; a job that was never there is no outage."""
        if self.view.gone and self.job is None:
            return PaneState.EMPTY
        return super().state_now(total=total, shown=shown)

    # The screen.

    @cached_property
    def _sections(self) -> Sections:
        return Sections(self.gqm.settings.redact, self.gqm.signs)

    def compose(self) -> ComposeResult:
        """Title, story, sections."""
        yield self._title
        yield self._story
        with Horizontal(classes="sides"):
            yield Vertical(self._heads[LEFT], self._views[LEFT], classes="left-side")
            yield self._right
            yield self._state

    def focus_main(self) -> None:
        """Give the section in hand the focus."""
        self.screen.set_focus(self._views[self._side])

    def on_resize(self) -> None:
        """The section in hand keeps the focus when its place on the screen is another one."""
        self.call_after_refresh(self._keep_focus)

    def _keep_focus(self) -> None:
        focused = self.screen.focused
        if self.screen.is_current and (focused is None or focused in self._views.values()):
            self.focus_main()

    @property
    def _side(self) -> tuple[str, ...]:
        return RIGHT if self.section in RIGHT and not self.narrow else LEFT

    def paint(self) -> None:
        """Everything from what the view holds now."""
        if not self.is_mounted:
            return
        self._right.display = not self.narrow
        state, job = self.state_now(), self.job
        self.set_class(state in _DIMMED, "-dimmed")
        self.held = self.holds and self._shown_job not in (None, job)
        if self.holds and self._shown_job is not None:
            job = self._shown_job
        self._shown_job = job
        self._paint_title(job, state)
        self._paint_state(job, state)
        if job is not None:
            self._facts = Facts(
                job=job,
                attempts=self.attempts,
                links=self.links,
                moment=self._moment(),
                cells=self.size.width - 2 if self.narrow else self.size.width // 2 - 3,
                stacked=not self.narrow,
            )
            self._paint_story(self._facts)
            for side in (LEFT,) if self.narrow else (LEFT, RIGHT):
                self._paint_side(self._facts, side)
        self.gqm.footer_changed(self)

    def _moment(self) -> Moment:
        now = self.view.server_now(self.gqm.clock.monotonic())
        return Moment(now, self.gqm.settings.local_time)

    def _paint_title(self, job: Job | None, state: PaneState) -> None:
        right = Text()
        for words in self._troubles(state):
            right.append(f"{words}  ", self.tone(Tone.WARN))
        if job is not None:
            sign = self.gqm.signs.job(job.status)
            right.append(sign.text, self.tone(sign.tone) + self.tone(Tone.STRONG))
            if not self.narrow:
                tries = f"{job.retry_count}/{job.max_retry}"
                right.append(f" · {fit(job.type, 30)} · {fit(job.queue, 24)} · {tries}")
        before = self.gqm.crumbs_before(self)
        room = self.size.width - 3 - cell_len(before) - right.cell_len
        self._title.show(Text(f"{before}{fit_middle(self.job_id, max(_ID_CELLS, room))}"), right)

    def _troubles(self, state: PaneState) -> list[str]:
        if self.view.gone:
            return ["gone, last data kept" if self.job is not None else "gone"]
        found = ["‖ changes held"] if self.held else []
        if state is PaneState.PARTIAL:
            found += [f"! {name}: {reason(error)}" for name, error in self.view.problems()]
        return found

    def _paint_state(self, job: Job | None, state: PaneState) -> None:
        error = self.view.error()
        if state is PaneState.UNAUTHORIZED and error is not None:
            self._state.show(*self.gqm.unauthorized_text(error), "error")
        elif state is PaneState.FORBIDDEN and error is not None:
            self._state.show(error.sentence, self.gqm.identity_text, "warning")
        elif job is not None:
            self._state.hide()
        elif error is None:
            self._spin += 1
            self._state.show(f"{SPINNER[self._spin % len(SPINNER)]} waiting for the job")
        elif error.kind is Kind.NOT_FOUND:
            what = fit_middle(self.job_id, 60)
            self._state.show(
                f"There is no job {what}.", "It was deleted, or its time was over. esc goes back."
            )
        else:
            self._state.show(error.sentence, "Trying again; F5 tries now.", "error")

    def _paint_story(self, facts: Facts) -> None:
        job = facts.job
        if self.narrow:
            parts = [fit(job.type, 24), fit(job.queue, 16), f"{job.retry_count}/{job.max_retry}"]
            parts += [fit_middle(job.worker_id, 20)] if job.worker_id else []
            self._story.show(Text(" · ".join([*parts, ended_ago(job, facts.moment)])))
            return
        right = origin(job)
        room = self.size.width - 4 - cell_len(right)
        line = self._text(timeline(job, facts.attempts, facts.moment, self.gqm.signs, room))
        self._story.show(line, Text(right, self.tone(Tone.DIM)))

    def _text(self, spans: Spans) -> Text:
        line = Text()
        for text, tone in spans:
            line.append(text, self.tone(tone))
        return line

    # Sections.

    def _paint_side(self, facts: Facts, side: tuple[str, ...]) -> None:
        name = self.section if self.narrow else self._sides[side]
        view, doc = self._views[side], self._sections.doc(name, facts)
        left = Text()
        for each in SECTIONS if self.narrow else side:
            count = 0 if self.narrow else self._sections.count(each, facts)
            label = f"{each} {count:,}" if count else each
            if each == self.section:
                left.append(f"[{label}]", self.tone(Tone.ACTIVE) + self.tone(Tone.STRONG))
            else:
                left.append(f"[{label}]" if each == name else label, self.tone(Tone.DIM))
            left.append("  ")
        left.rstrip()
        self._heads[side].show(left, Text(self._sections.size(name, facts), self.tone(Tone.DIM)))
        view.show(doc, top=self._named.get(side) != name)
        self._named[side] = name

    def doc(self, name: str) -> Doc:
        """What a section shows."""
        return Doc([]) if self._facts is None else self._sections.doc(name, self._facts)
