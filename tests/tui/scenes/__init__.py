"""The pictures to take, by area; each module has a `SCENES` by name, and every one of them is compared."""

from tests.support.tui_app import Scene
from tests.tui.scenes import (
    action_log,
    confirm,
    contexts,
    dag,
    dialogs,
    failed,
    job,
    jobs,
    machinery,
    overview,
    palette,
    queues,
    rewind,
    signing,
)

ALL: dict[str, Scene] = {
    **action_log.SCENES,
    **confirm.SCENES,
    **contexts.SCENES,
    **queues.SCENES,
    **jobs.SCENES,
    **job.SCENES,
    **machinery.SCENES,
    **overview.SCENES,
    **failed.SCENES,
    **dag.SCENES,
    **signing.SCENES,
    **dialogs.SCENES,
    **palette.SCENES,
    **rewind.SCENES,
}
