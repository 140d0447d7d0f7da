"""The question before a change: what, where, how many; then the progress and the result, in the same box."""

import asyncio
from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from gqm_tui.acting import Acting
from gqm_tui.core.actions import Action, Care, Plan, asked
from gqm_tui.core.errors import ApiError
from gqm_tui.core.perform import Progress, Survey
from gqm_tui.core.signs import Signs
from gqm_tui.core.text import fit, fit_middle

_LABEL = 9
_BAR = 12
_SAMPLE_CELLS = 19


class ConfirmScreen(ModalScreen[None]):
    """Only a person closes it: with esc or n before it runs, with any of its keys when it is over."""

    CSS_PATH = "../styles/confirm.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "yes", "Yes", show=False),
        Binding("n", "no", "No", show=False),
        Binding("escape", "escape", "Cancel", show=False),
        Binding("left,right,tab,shift+tab", "other_button", "Other button", show=False),
    ]

    def __init__(self, plan: Plan, acting: Acting) -> None:
        super().__init__()
        self._plan = plan
        self._acting = acting
        self._many = plan.care in (Care.BULK, Care.TYPED)
        self._survey: Survey | None = None
        self._under_way = False
        self._over = False
        self._stop = asyncio.Event()
        self._lines = Static("", markup=False, id="lines")
        self._answer = Input(compact=True, id="typed", restrict=r"[0-9,]*")
        self._answer.cursor_blink = False
        # A button that cancels the question and one that cancels jobs must not read the same.
        cancels = plan.action is Action.CANCEL
        self._no = Button("Keep" if cancels else "Cancel", compact=True, id="no")
        yes = plan.action.value.capitalize()
        self._yes = Button(f"{yes} it" if cancels else yes, compact=True, id="yes", variant="error")
        self._ask = Horizontal(
            Static("", markup=False, id="ask"), self._answer, self._no, self._yes, id="answer"
        )

    def compose(self) -> ComposeResult:
        """A box with the facts and the answer."""
        with Vertical(id="box") as box:
            box.border_title = Text(fit(self._plan.title, 60)).markup
            box.border_subtitle = Text(fit(self._acting.place, 40)).markup
            yield self._lines
            yield self._ask

    def on_mount(self) -> None:
        """Ask at once, or after the dry run has told how many jobs are meant."""
        self._ask.display = False
        if self._many:
            self._show(dry_run="counting…")
            self.run_worker(self._count(), group="survey", exit_on_error=False)
        else:
            self._show()
            self._offer()

    async def _count(self) -> None:
        try:
            self._survey = await self._acting.survey(self._plan)
        except ApiError as error:
            self._end(f"nothing was changed: {error.sentence}")
            return
        self._plan = asked(self._plan, self._survey.eligible, production=self._acting.production)
        self._show(dry_run=self._survey.sentence(self._plan.action))
        if self._survey.eligible == 0:
            self._end("there is nothing to do")
        else:
            self._offer()

    @property
    def _typed(self) -> bool:
        return self._plan.care is Care.TYPED

    def _offer(self) -> None:
        self._ask.display = True
        label = self.query_one("#ask", Static)
        self._answer.display = self._typed
        if self._typed and self._survey is not None:
            label.update(f"type {self._survey.eligible:,} to confirm:")
            self._answer.focus()
        else:
            label.update("y or n")
            self._no.focus()

    # What is written.

    def _show(self, *, dry_run: str = "", running: str = "", result: str = "") -> None:
        facts = [("where", self._plan.where), ("dry run", dry_run or self._counted)]
        if self._survey is not None and self._survey.sample and not running and not result:
            ids = " ".join(fit_middle(job_id, _SAMPLE_CELLS) for job_id in self._survey.sample[:3])
            facts.append(("such as", ids))
        facts += [("note" if index == 0 else "", effect) for index, effect in enumerate(self._plan.effects)]
        facts += [("running", running), ("done", result)]
        table = Table.grid(padding=(0, 1))
        table.add_column(width=_LABEL - 1, style="dim")
        table.add_column(ratio=1)
        for label, words in facts:
            if words:
                table.add_row(Text(label), Text(words))
        self._lines.update(table)

    @property
    def _counted(self) -> str:
        return "" if self._survey is None else self._survey.sentence(self._plan.action)

    def _end(self, words: str) -> None:
        self._over = True
        self._under_way = False
        self._show(result=f"{words} · esc closes")
        self._ask.display = False
        self.set_focus(None)

    # Answers.

    def action_yes(self) -> None:
        """Go, unless a number has to be typed."""
        if self._over:
            self.dismiss()
        elif not self._typed and self._ask.display and not self._under_way:
            self._go()

    def action_no(self) -> None:
        """Leave it."""
        self.action_escape()

    def action_escape(self) -> None:
        """Leave it; while it runs, stop after the call that is under way."""
        if self._under_way:
            self._stop.set()
        else:
            self.dismiss()

    def action_other_button(self) -> None:
        """Move between the answers."""
        order = [widget for widget in (self._answer, self._no, self._yes) if widget.display]
        if self.focused in order:
            order[(order.index(self.focused) + 1) % len(order)].focus()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        event.stop()
        if event.button is self._no:
            self.action_escape()
        elif self._typed:
            self._check()
        else:
            self._go()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._check()

    def _check(self) -> None:
        """Go only if the typed number is the one of the dry run."""
        wanted = 0 if self._survey is None else self._survey.eligible
        typed = self._answer.value.replace(",", "")
        if typed.isdecimal() and int(typed) == wanted:
            self._go()
        else:
            self._answer.add_class("-wrong")
            self._answer.focus()

    def _go(self) -> None:
        if self._under_way or self._over:
            return
        self._under_way = True
        self._ask.display = False
        self.set_focus(None)
        work = self._run_many() if self._many else self._run_one()
        self.run_worker(work, group="run", exit_on_error=False)

    async def _run_one(self) -> None:
        self._show(running="…")
        await self._acting.run(self._plan)
        self.dismiss()

    async def _run_many(self) -> None:
        total = 0 if self._survey is None else self._survey.eligible
        as_of = None if self._survey is None else self._survey.as_of
        self._show(running=f"0 of {total:,} · esc stops after this call")
        async for progress in self._acting.run_many(self._plan, as_of, self._stop):
            if progress.ended:
                self._end(progress.sentence(self._plan.action))
            else:
                self._show(running=self._bar(progress, total))

    def _bar(self, progress: Progress, total: int) -> str:
        signs: Signs = self.app.signs  # type: ignore[attr-defined]  # only ever pushed by the app of this package
        bar = signs.bar(progress.handled / total if total else 1.0, _BAR)
        words = "stopping after this call" if self._stop.is_set() else "esc stops after this call"
        return f"{bar} {progress.handled:,} of {total:,} · {words}"
