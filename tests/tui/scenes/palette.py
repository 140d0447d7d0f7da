"""Pictures of the palette: everything, a search, and what a viewer may not take."""

from __future__ import annotations

from gqm_tui.core.state import State
from tests.support.tui_app import Scene, both
from tests.tui.scenes.queues import ok

_LAST = State(palette=("queues.pause", "queue billing", "app.freeze"))

SCENES: dict[str, Scene] = {
    **both("palette-ok", routes=ok, keys=("colon",), state=_LAST),
    "palette-search-120x36": Scene(ok, keys=("colon", *"queue web")),
    "palette-viewer-120x36": Scene(ok, keys=("colon", *"em"), role="viewer"),
}
