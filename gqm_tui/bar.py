"""What the first line of a screen says, gathered from the session and the pane that can be seen."""

from typing import TYPE_CHECKING

from gqm_tui.core import fmt
from gqm_tui.core.store import PaneState, View
from gqm_tui.screens.panes.base import Pane, reason
from gqm_tui.widgets.top_bar import BarFacts

if TYPE_CHECKING:
    from gqm_tui.app import GqmApp


def bar_facts(app: "GqmApp", pane: Pane | None) -> BarFacts:
    """Gather the facts; without a pane they are those of the frame's own polling."""
    view = app.frame_view if pane is None else pane.bar_view
    now = app.clock.monotonic()
    state = PaneState.LOADING if pane is None else pane.bar_state
    age, error, server_now = view.age(now), view.error(), view.server_now(now)
    stale = state in (PaneState.DOWN, PaneState.STALE)
    session = app.session
    return BarFacts(
        state=state,
        context=session.name,
        host=session.host,
        badges=session.badges,
        identity=session.identity,
        role=session.role,
        every=f"{app.interval:g}s",
        took=_took(view),
        time="" if server_now is None else fmt.clock(server_now, local=app.settings.local_time),
        reason="" if error is None else reason(error),
        retry="" if pane is None else pane.retry_text(now),
        data_age=fmt.age(age) if stale and age is not None else "",
        moment=_moment(app, pane, server_now),
        production=session.context.production,
        connected=session.me is not None,
    )


def _took(view: View) -> str:
    main = view.parts.get(view.main)
    return "" if main is None or main.took_ms is None else fmt.duration(main.took_ms)


def _moment(app: "GqmApp", pane: Pane | None, server_now: float | None) -> str:
    """Say which moment is shown while time stands still, and how long ago that was."""
    shown = None if pane is None or not app.frozen else pane.shown_at
    if shown is None or server_now is None:
        return ""
    return f"{fmt.clock(shown, local=app.settings.local_time)}, {fmt.age(server_now - shown)} ago"
