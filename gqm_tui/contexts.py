"""The open context: signing in when its server asks for it."""

from typing import TYPE_CHECKING

from textual.screen import ModalScreen

from gqm_tui.core.model import Me
from gqm_tui.core.text import fit

if TYPE_CHECKING:
    from gqm_tui.app import GqmApp

_NAME_CELLS = 40


class Contexts:
    """Decides when a person is asked for a user name and a password, and what follows."""

    def __init__(self, app: "GqmApp") -> None:
        self._app = app
        self._asked = False

    def refused(self) -> None:
        """The server answered 401: ask once, unless a key was used or another dialog is open."""
        session = self._app.session
        if session.key_given or self._asked or isinstance(self._app.screen, ModalScreen):
            return
        self._asked = True
        from gqm_tui.screens.login import LoginScreen

        self._app.push_screen(LoginScreen(session), self._signed_in)

    def ask_again(self) -> None:
        """Let the next 401 ask again, after the dialog was left."""
        self._asked = False

    def _signed_in(self, me: Me | None) -> None:
        if me is None:
            return
        # A session that ends later is asked for anew.
        self._asked = False
        self._app.notify(f"signed in as {fit(me.username, _NAME_CELLS)}, {me.role}", markup=False)
        self._app.action_refresh_now()
