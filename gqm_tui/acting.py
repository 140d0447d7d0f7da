"""From a plan to its result: asked, sent once, told in words, kept in the action log, undone."""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Literal

from gqm_tui.core.actionlog import ActionLog, Entry
from gqm_tui.core.actions import Care, Plan
from gqm_tui.core.clock import Clock
from gqm_tui.core.perform import PressGuard, Progress, Result, Survey, run_bulk, run_one, survey
from gqm_tui.core.text import fit
from gqm_tui.messages import ActionDone

if TYPE_CHECKING:
    from gqm_tui.app import GqmApp

Severity = Literal["information", "warning", "error"]


class Acting:
    """What panes hand their plans to. Every request that changes something goes through here."""

    def __init__(self, app: "GqmApp", clock: Clock) -> None:
        self._app = app
        self._clock = clock
        self._guard = PressGuard(clock)
        self.log = ActionLog()

    def perform(self, plan: Plan) -> None:
        """Run a plan that can be undone; ask first for every other one."""
        if self._app.visible_pane is not None:
            self._app.visible_pane.reveal()
        reason = self._app.locked
        if reason is not None:
            self.tell(reason, "warning")
            return
        if not self._guard.accepts(f"{plan.action} {plan.target}"):
            return
        if plan.care is Care.UNDO:
            self._app.run_worker(self.run(plan), group="act", exit_on_error=False)
            return
        from gqm_tui.screens.confirm import ConfirmScreen

        self._app.push_screen(ConfirmScreen(plan, self))

    @property
    def place(self) -> str:
        """The context as a dialog names it."""
        context = self._app.session.context
        return f"{context.name} · PRODUCTION" if context.production else context.name

    @property
    def production(self) -> bool:
        """Whether a number has to be typed before anything happens to many jobs."""
        return self._app.session.context.production

    async def run(self, plan: Plan) -> Result:
        """Carry out a plan with one call, tell how it went, and fetch anew."""
        # Another server may be on the screen when the answer comes.
        context, client = self._app.context_name, self._app.client
        result = await run_one(client, plan, self._clock)
        entry = self.log.note(plan, result, at=self._clock.wall(), context=context, origin=client.origin)
        hint = " · u undoes it" if entry.undoable else ""
        self.tell(result.text + hint, "information" if result.ok else "error")
        self._done()
        return result

    async def survey(self, plan: Plan) -> Survey:
        """Ask what a plan for many jobs would do. Raises ApiError."""
        return await survey(self._app.client, plan)

    async def run_many(self, plan: Plan, as_of: float | None, stop: asyncio.Event) -> AsyncIterator[Progress]:
        """Carry out a plan for many jobs, and tell how far it is."""
        context, client = self._app.context_name, self._app.client
        async for progress in run_bulk(client, plan, as_of, stop):
            if progress.ended:
                self.log.note_bulk(
                    plan, progress, at=self._clock.wall(), context=context, origin=client.origin
                )
                self._done(marks_done=progress.result == "done")
            yield progress

    def undo(self, entry: Entry | None = None) -> None:
        """Take an action back, without one the newest of this context that can be."""
        chosen, entry = entry, entry or self.log.to_undo(self._app.context_name)
        if entry is None or entry.plan.undo is None or not entry.undoable:
            self.tell("nothing to undo" if chosen is None else "this cannot be taken back", "information")
            return
        if entry.context != self._app.context_name:
            self.tell(f"that was done at {fit(entry.context, 40)}", "warning")
            return
        if (reason := self._app.locked) is not None:
            self.tell(reason, "warning")
            return
        self.log.undone(entry)
        self._app.run_worker(self.run(entry.plan.undo), group="act", exit_on_error=False)

    def tell(self, text: str, severity: Severity) -> None:
        """Show a toast."""
        self._app.notify(
            text, severity=severity, markup=False, timeout=None if severity == "information" else 10
        )

    def _done(self, *, marks_done: bool = False) -> None:
        self._app.action_refresh_now()
        frame = self._app.visible_frame
        if frame is not None:
            frame.post_message(ActionDone(marks_done=marks_done))
