"""The pictures to take, by area; each module has a `SCENES` by name, and every one of them is compared."""

from tests.support.tui_app import Scene
from tests.tui.scenes import (
    confirm,
    dag,
    dialogs,
    failed,
    job,
    jobs,
    machinery,
    overview,
    palette,
    queues,
    signing,
)

ALL: dict[str, Scene] = {
    **confirm.SCENES,
    **queues.SCENES,
    **jobs.SCENES,
    **job.SCENES,
    **machinery.SCENES,
    **overview.SCENES,
    **failed.SCENES,
    **dag.SCENES,
    **signing.SCENES,
    **palette.SCENES,
    **dialogs.SCENES,
}
