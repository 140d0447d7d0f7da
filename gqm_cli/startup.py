"""What a server should say about itself before it runs: settings that work and are probably not meant."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from gqm.config import format_duration
from gqm.engine.plan import without_pool

if TYPE_CHECKING:
    from gqm.config import Config
    from gqm.engine.handlers import Registry
    from gqm.engine.plan import PoolPlan

_UNPROTECTED = "W6"  # has a banner of its own, which can be acknowledged in code


def config_warnings(config: Config) -> Iterator[str]:
    """Yield what the configuration alone gives reason to warn of."""
    for problem in config.startup_warnings:
        if problem.rule != _UNPROTECTED:
            yield f"{problem.place}: {problem.path}: {problem.text}"
    if config.redis.embedded_folder:
        yield f"embedded server: development and single-machine use; data in {shown_folder(config)}"


def handler_warnings(config: Config, plans: Sequence[PoolPlan], registry: Registry) -> Iterator[str]:
    """Yield what does not fit between pools, queues and handlers."""
    if not len(registry):
        yield "no handlers: no job runs here; name modules with @gqm.handler functions in app.handlers"
        return
    for plan in plans:
        missing = [name for name in plan.types or () if registry.get(name) is None]
        if missing:
            have, jobs = ("has", "its jobs") if len(missing) == 1 else ("have", "their jobs")
            lacking = f'pool "{plan.name}" lists {", ".join(missing)}, which {have} no handler'
            yield f"{lacking}: {jobs} {_fate(config)}"
    homeless = without_pool(plans, registry)
    if homeless:
        yield f'no pool runs {", ".join(homeless)}: add it to a pool\'s job_types, or a pool with ["*"]'
    yield from _unread_queues(config, plans)


def _unread_queues(config: Config, plans: Sequence[PoolPlan]) -> Iterator[str]:
    if config.pools:
        return  # the configuration's own warning names the line
    read = {queue for plan in plans for queue in plan.queues}
    for queue in config.queues:
        if queue.name not in read:
            yield f'no pool reads queue "{queue.name}"'


def _fate(config: Config) -> str:
    ttl_s = config.app.unknown_type_ttl_s
    if not ttl_s:
        return "go to dead_letter at once"
    return f"wait {spaced_duration(ttl_s)}, then go to dead_letter"


def spaced_duration(seconds: float) -> str:
    """Write a duration for reading: ``1 h 30 m``."""
    return re.sub(r"(?<=[a-z])(?=\d)|(?<=\d)(?=[a-z])", " ", format_duration(seconds))


def shown_folder(config: Config) -> str:
    """Return the folder of the embedded server, seen from the working folder if it is below."""
    relative = os.path.relpath(config.redis.embedded_folder)
    return config.redis.embedded_folder if relative.startswith("..") else f"./{relative}"
