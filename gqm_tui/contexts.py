"""The servers that can be opened: which one is, signing in to it, and leaving it for another."""

import asyncio
import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from textual.screen import ModalScreen
from textual.worker import Worker, WorkerError

from gqm_tui.core.client import ApiClient
from gqm_tui.core.contexts import ContextConfig, open_url
from gqm_tui.core.credentials import KeyUnavailableError
from gqm_tui.core.errors import ApiError, Kind
from gqm_tui.core.model import Me
from gqm_tui.core.session import Session
from gqm_tui.core.text import fit

if TYPE_CHECKING:
    from gqm_tui.app import GqmApp

_NAME_CELLS = 40


@dataclass(frozen=True, slots=True)
class Opened:
    """A context with a client of its own, which nobody uses yet."""

    context: ContextConfig
    client: ApiClient


class Contexts:
    """Decides when a person is asked for a user name and a password, and moves from one server to another.

    A key belongs to one context: it is read for it, given to a client that speaks to its address alone, and
    kept, if it was typed, for this run only.
    """

    def __init__(self, app: "GqmApp") -> None:
        self._app = app
        self._asked = False
        settings = app.settings
        self._known = {one.name: one for one in (*settings.contexts, settings.context)}
        self._left: dict[str, Session] = {}

    # What is known.

    @property
    def known(self) -> tuple[ContextConfig, ...]:
        """All that can be opened, in the order of the file; addresses that were typed come last."""
        return tuple(self._known.values())

    def last(self, context: ContextConfig) -> Session | None:
        """What was last known of a context: the open session, the one it was left with, or None."""
        session = self._app.session
        return session if session.name == context.name else self._left.get(context.name)

    def at(self, url: str) -> ContextConfig:
        """Give the context of an address: the one that is known under it, or a new one without a key.

        Raises ValueError with one sentence.
        """
        url = url.strip().rstrip("/")
        same = next((one for one in self.known if one.url == url), None)
        if same is not None:
            return same
        return replace(open_url(url, self._known), read_only=self._app.settings.read_only)

    def is_open(self, context: ContextConfig) -> bool:
        """Whether this is the context on the screen."""
        return self._app.session.name == context.name

    def refused_by(self, context: ContextConfig) -> bool:
        """Whether the server of the open context did not take its key."""
        error = self._app.session.me_error
        return self.is_open(context) and error is not None and error.kind is Kind.UNAUTHORIZED

    # Signing in.

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

    # Going elsewhere.

    def show(self) -> None:
        """Open the list of contexts."""
        from gqm_tui.screens.context import ContextScreen

        self._app.push_screen(ContextScreen(self), self._chosen)

    def open_named(self, name: str) -> str | None:
        """Open a context by its name; give back why that cannot be, or None."""
        context = self._known.get(name)
        if context is None:
            return f"there is no context {fit(name, _NAME_CELLS)}"
        if not self.is_open(context):
            self._app.run_worker(self._open(context), group="context", exclusive=True, exit_on_error=False)
        return None

    async def connect(self, context: ContextConfig) -> ApiClient:
        """Make the client of a context, with its key. Raises KeyUnavailableError and ApiError."""
        if context.key.command:
            # A program may take its time; the screen goes on meanwhile.
            return await asyncio.to_thread(self._app.connect, context)
        return self._app.connect(context)

    async def _open(self, context: ContextConfig) -> None:
        try:
            client = await self.connect(context)
        except (KeyUnavailableError, ApiError) as error:
            self._app.notify(str(error), severity="error", markup=False)
        else:
            await self.enter(context, client)

    def _chosen(self, opened: Opened | None) -> None:
        if opened is not None:
            entering = self.enter(opened.context, opened.client)
            self._app.run_worker(entering, group="context", exit_on_error=False)

    async def enter(self, context: ContextConfig, client: ApiClient) -> None:
        """Look at another server: what was on the screen leaves, and so do answers that still come for it."""
        left = self._app.session
        left.stats, left.left_at = None, self._app.clock.monotonic()
        self._left[left.name] = left
        self._known[context.name] = context
        self._asked = False
        await self._app.begin(Session(context, client, key_given=bool(context.key)))
        if context.saved:
            self._app.remember(context=context.name)
        self._app.run_worker(self._close(left.client), group="leave", exit_on_error=False)

    async def _close(self, client: ApiClient) -> None:
        """Close a client that nobody asks any more, after the changes that are still under way with it."""
        for worker in [worker for worker in self._app.workers if worker.group == "act"]:
            await _ended(worker)
        await client.close()


async def _ended(worker: "Worker[object]") -> None:
    # How it ended is told by the action itself.
    with contextlib.suppress(WorkerError):
        await worker.wait()
