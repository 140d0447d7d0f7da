"""Saved views on the screen: what can be saved here, saving it, and opening one again."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gqm_tui.core.palette import Entry
from gqm_tui.core.text import fit
from gqm_tui.core.views import DAMAGED, JOBS, Look, keep_view, read_views
from gqm_tui.screens.main import MainScreen
from gqm_tui.screens.panes.table_pane import TablePane

if TYPE_CHECKING:
    from gqm_tui.app import GqmApp

VIEW, SAVE = "view", "save"
_NAME_CELLS = 30
_WORDS_CELLS = 34


class Views:
    """Views of the configuration file and of the state file; new ones go into the state file."""

    def __init__(self, app: "GqmApp") -> None:
        self._app = app

    def _all(self) -> dict[str, Look | None]:
        return read_views(self._app.state.views, self._app.settings.views)

    def entries(self) -> Iterator[Entry]:
        """Every view by its name; one that is damaged says so and cannot be taken."""
        try:
            found = self._all()
        except ValueError as error:
            yield Entry(f"{VIEW} ", VIEW, "saved views", locked=str(error))
            return
        for name, look in found.items():
            locked = DAMAGED if look is None else None
            words = "" if look is None else fit(look.words, _WORDS_CELLS)
            yield Entry(
                f"{VIEW} {name}", VIEW, fit(name, _NAME_CELLS), words, locked=locked, fill=f"{VIEW} {name}"
            )

    def here(self) -> Look | None:
        """What would be saved at this place; None where there is nothing that a view could open."""
        pane = self._app.visible_pane
        if not isinstance(pane, TablePane):
            return Look(tab=self._app.tab) if isinstance(self._app.visible_frame, MainScreen) else None
        look = pane.look()
        on_tab = isinstance(self._app.visible_frame, MainScreen)
        return look if on_tab or look.table == JOBS else None

    def save_entry(self, name: str) -> Entry:
        """The entry that saves this place under a name, with what it would keep."""
        look = self.here()
        shown = fit(name, _NAME_CELLS)
        if look is None:
            return Entry(f"{SAVE} {name}", SAVE, shown, locked="only tabs and the jobs of a queue are views")
        return Entry(f"{SAVE} {name}", SAVE, shown, fit(look.words, _WORDS_CELLS))

    def save(self, name: str) -> None:
        """Keep this place under a name."""
        look = self.here()
        if look is None:
            return
        try:
            kept = keep_view(self._app.state.views, self._app.settings.views, name, look)
        except ValueError as error:
            self._app.notify(fit(str(error), 160), severity="warning", markup=False)
            return
        self._app.remember(views=kept)
        self._app.notify(f"saved view {fit(name, _NAME_CELLS)}: {fit(look.words, 80)}", markup=False)

    async def open(self, name: str) -> None:
        """Show a view."""
        try:
            look = self._all().get(name)
        except ValueError as error:
            self._app.notify(str(error), severity="warning", markup=False)
            return
        if look is None:
            self._app.notify(f"there is no view {fit(name, _NAME_CELLS)}", severity="warning", markup=False)
            return
        await self._app.action_show_tab(look.tab)
        if look.table == JOBS:
            self._app.doors.jobs(look.queue, look.status or "ready", look)
            return
        pane = self._app.visible_pane
        if isinstance(pane, TablePane):
            pane.take_look(look)
