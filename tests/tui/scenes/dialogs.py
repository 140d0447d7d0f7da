"""Pictures of the dialogs that open over any screen."""

from __future__ import annotations

from tests.support.tui_app import Scene, both
from tests.tui.scenes.queues import ok

SCENES = {
    **both("help-ok", routes=ok, keys=("question_mark",)),
    "help-viewer-120x36": Scene(ok, keys=("question_mark",), role="viewer"),
}
