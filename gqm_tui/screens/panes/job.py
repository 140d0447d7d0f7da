"""One job: how it came where it is, what it was given and gave back, why it failed, what hangs on it."""

from collections.abc import Sequence
from functools import cached_property
from typing import ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical

from gqm_tui import keymap
from gqm_tui.core.actionlog import curl
from gqm_tui.core.actions import Action, Call, allowed, job_plan, why_not
from gqm_tui.core.client import path
from gqm_tui.core.doc import Doc, JsonDoc
from gqm_tui.core.errors import Kind
from gqm_tui.core.export import object_json
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
from gqm_tui.core.jobstate import retry_label
from gqm_tui.core.model import Attempt, Graph, Job
from gqm_tui.core.poll import PartSpec
from gqm_tui.core.store import PaneState, View
from gqm_tui.core.table import Tone
from gqm_tui.core.text import fit, fit_middle
from gqm_tui.messages import Refreshed
from gqm_tui.screens.choose import Choice, ChooseScreen
from gqm_tui.screens.panes.base import Pane, reason
from gqm_tui.widgets.json_view import JsonView
from gqm_tui.widgets.line import Line
from gqm_tui.widgets.state_view import SPINNER, StateView

LEFT, RIGHT = SECTIONS[:4], SECTIONS[4:]
LINKS_EVERY_S = 5.0
_ID_CELLS = 14
_ON_JOB = {f"{action}": action for action in (Action.RETRY, Action.CANCEL, Action.DELETE)}
_DIMMED = frozenset({PaneState.STALE, PaneState.DOWN})


class JobPane(Pane):
    """A job by its id. On a wide terminal two sections side by side, on a narrow one all six in one place."""

    BINDINGS: ClassVar[list[BindingType]] = keymap.scope("job")
    scopes = ("job",)
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

    def subject(self, key: keymap.Key) -> tuple[str, str]:
        """The job."""
        return (self.job_id, self.crumb) if key.mutates else ("", "")

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

    # Keys.

    def refusal(self, key: keymap.Key) -> str | None:
        """Besides the role: the state of the job, and that it is there."""
        locked = super().refusal(key)
        if locked is not None or key.action not in _ON_JOB:
            return locked
        if self.job is None or self.view.gone:
            return "this job is gone" if self.view.gone else "the job is not here yet"
        action = _ON_JOB[key.action]
        return None if allowed(self.job.status, action) else why_not(self.job.status, action)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Hide what cannot be done here: no other programs in a browser, no parents of a job without any."""
        if action in ("pager", "editor"):
            return not self.app.is_web
        return super().check_action(action, parameters)

    def footer(self) -> tuple[str, tuple[str, ...] | None, dict[str, str]]:
        """What can be done with this job, and where it leads."""
        job, found = self.job, self.links
        parents = sum(1 for each in found if each.relation == "parent")
        children = len(found) - parents
        labels = {
            "job.retry": retry_label(job.status if job else ""),
            "job.children": f"Children {children}",
            "job.parent": "Parent" if parents == 1 else f"Parents {parents}",
        }
        acts = [
            f"job.{name}"
            for name, action in _ON_JOB.items()
            if job is not None and allowed(job.status, action)
        ]
        if self.narrow:
            return "", (*acts[:2], "job.copy", "section.next", "job.back"), labels
        ways = [*(["job.parent"] if parents else []), *(["job.children"] if children else [])]
        rest = ["job.copy", "job.pager", *ways, "section.next"][: 6 - len(acts)]
        return "", (*acts, *rest, "job.back"), labels

    def action_section(self, step: int) -> None:
        """Show the next or the previous section, and put the focus there."""
        at = SECTIONS.index(self.section)
        self.section = SECTIONS[(at + step) % len(SECTIONS)]
        for side in self._sides:
            if self.section in side:
                self._sides[side] = self.section
        self.paint()
        self.focus_main()

    def action_reveal(self) -> None:
        """Show masked values, or mask them again."""
        self._sections.revealed = not self._sections.revealed
        self.paint()

    def action_wrap(self) -> None:
        """Wrap long lines, or cut them."""
        for view in self._views.values():
            view.set_wrap(not view.wrap)

    def action_pager(self) -> None:
        """Open the section in the pager."""
        self.gqm.outside.page(self.doc(self.section).text, self._file_name, self._suffix)

    def action_editor(self) -> None:
        """Open a copy of the section in the editor."""
        self.gqm.outside.edit(self.doc(self.section).text, self._file_name, self._suffix)

    @property
    def _file_name(self) -> str:
        return f"{self.job_id}-{self.section.lower()}"

    @property
    def _suffix(self) -> str:
        return ".json" if isinstance(self.doc(self.section), JsonDoc) else ".txt"

    def action_copy(self) -> None:
        """Ask what to copy."""
        choices = (
            Choice("id", "Job id", fit_middle(self.job_id, 24), "i"),
            Choice("section", self.section, "as it is shown", "s"),
            Choice("json", "JSON", "the whole job", "j"),
            Choice("curl", "curl command", f"GET {fit_middle(path('jobs', self.job_id), 32)}", "c"),
        )
        self.app.push_screen(ChooseScreen("Copy", choices), self._copy)

    def _copy(self, what: str | None) -> None:
        redact = () if self._sections.revealed else self.gqm.settings.redact
        match what:
            case "id":
                self.gqm.outside.copy(fit(self.job_id, 512), "the job id")
            case "section":
                self.gqm.outside.copy(self.doc(self.section).text, f"the {self.section.lower()}")
            case "json" if self._shown_job is not None:
                self.gqm.outside.copy(object_json(self._shown_job, redact), "the job as JSON")
            case "curl":
                command = curl(self.gqm.client.origin, Call("GET", path("jobs", self.job_id)))
                self.gqm.outside.copy(command, "a curl command")

    def action_parent(self) -> None:
        """Go to the parent, or ask to which."""
        self._go("parent", "Parents")

    def action_children(self) -> None:
        """Go to the child, or ask to which."""
        self._go("child", "Children")

    def _go(self, relation: str, title: str) -> None:
        found = [each for each in self.links if each.relation == relation]
        if not found:
            self.app.notify(f"this job has no {title.lower()}", markup=False)
        elif len(found) == 1:
            self.gqm.doors.job(found[0].id)
        else:
            choices = [
                Choice(
                    each.id,
                    f"{self.gqm.signs.glyph(each.status)} {fit_middle(each.id, 23)}",
                    fit(each.type, 26),
                    tone=self.gqm.signs.tone(each.status),
                )
                for each in found
            ]
            self.app.push_screen(ChooseScreen(title, choices), self._open_link)

    def _open_link(self, job_id: str | None) -> None:
        if job_id is not None:
            self.gqm.doors.job(job_id)

    # Changes.

    def action_retry(self) -> None:
        """Retry the job; a waiting one runs now."""
        self._act(Action.RETRY)

    def action_cancel(self) -> None:
        """Cancel the job."""
        self._act(Action.CANCEL)

    def action_delete(self) -> None:
        """Delete the job; what was seen of it stays on the screen."""
        self._act(Action.DELETE)

    def _act(self, action: Action) -> None:
        if self.job is not None:
            self.gqm.perform(job_plan(action, self.job))
