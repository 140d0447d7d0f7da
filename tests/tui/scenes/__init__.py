"""The pictures to take, by area; each module has a `SCENES` by name, and every one of them is compared."""

from tests.support.tui_app import Scene
from tests.tui.scenes import queues

ALL: dict[str, Scene] = {**queues.SCENES}
