"""The sign-in: user name and password for a server that wants them; what it says stays in the dialog."""

from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from gqm_tui.core.errors import ApiError
from gqm_tui.core.model import Me
from gqm_tui.core.session import Session
from gqm_tui.core.text import fit

_TITLE_CELLS, _HOST_CELLS = 30, 34


class LoginScreen(ModalScreen[Me | None]):
    """Returns who the server says we are, or None when it was left."""

    CSS_PATH = "../styles/login.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Leave", show=False),
        Binding("tab,down", "app.focus_next", "Next field", show=False),
        Binding("shift+tab,up", "app.focus_previous", "Previous field", show=False),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._user = Input(compact=True, id="user")
        self._password = Input(compact=True, password=True, id="password")
        self._user.cursor_blink = self._password.cursor_blink = False
        self._told = Static("", markup=False, id="told")
        self._under_way = False

    def compose(self) -> ComposeResult:
        """A box with two fields, what went wrong, and two buttons."""
        with Vertical(id="box") as box:
            box.border_title = Text(fit(f"Sign in to {self._session.name}", _TITLE_CELLS)).markup
            box.border_subtitle = Text(fit(self._session.host, _HOST_CELLS)).markup
            for label, field in (("user name", self._user), ("password", self._password)):
                with Horizontal(classes="field"):
                    yield Static(label, classes="label", markup=False)
                    yield field
            yield self._told
            with Horizontal(id="answer"):
                yield Button("Cancel", compact=True, id="no")
                yield Button("Sign in", compact=True, id="yes")

    def on_mount(self) -> None:
        """Begin with the user name; a way that others can read along is told before anything is typed."""
        self._user.focus()
        if self._session.client.insecure_transport:
            self._tell("plain http: others on the way can read the password", wrong=False)

    def _tell(self, words: str, *, wrong: bool) -> None:
        self._told.set_class(wrong, "-wrong")
        self._told.update(f"✗ {words}" if wrong else words)

    def action_leave(self) -> None:
        """Stay without a sign-in."""
        self.dismiss(None)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if event.input is self._user:
            self._password.focus()
        else:
            self._go()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        event.stop()
        if event.button.id == "no":
            self.action_leave()
        else:
            self._go()

    def _go(self) -> None:
        if self._under_way:
            return
        if not self._user.value or not self._password.value:
            self._tell("both fields are needed", wrong=True)
            (self._password if self._user.value else self._user).focus()
            return
        self._under_way = True
        self._tell("signing in…", wrong=False)
        self.run_worker(self._sign_in(), group="login", exit_on_error=False)

    async def _sign_in(self) -> None:
        try:
            me = await self._session.client.login(self._user.value, self._password.value)
        except ApiError as error:
            self._tell(error.sentence, wrong=True)
            self._password.value = ""
            self._password.focus()
        else:
            self.dismiss(me)
        finally:
            self._under_way = False
