"""Pictures of the question before a change."""

from __future__ import annotations

from typing import Any

import msgspec
from textual.pilot import Pilot

from gqm_tui.core.actions import Action, filter_plan, job_filter, job_plan
from gqm_tui.core.model import Job
from tests.support.tui import FakeClient, job
from tests.support.tui_app import Scene, World, both
from tests.tui.scenes.queues import ok

FOUND = 386
GROUP = 'dead letters · error "TimeoutError: <n>s exceeded"'


def dry_run(_params: Any, body: Any) -> Any:
    if body.get("dry_run"):
        return {
            "dry_run": True,
            "matched": FOUND,
            "eligible": 383,
            "skipped": {"CONFLICT": 3},
            "sample": ["01943c77-1d2e-7aa0-9b61-7788f3a2a91c", "01943c77-1d2e-7aa0-9b61-77f807be4d1f"],
            "truncated": False,
            "as_of": 1_790_000_000.25,
        }
    first = body.get("cursor") is None
    results = [{"job_id": f"j{index}", "ok": True, "status": "ready"} for index in range(100)]
    return {"succeeded": 100, "failed": 0, "results": results, "next": "2" if first else None}


def routes(client: FakeClient) -> None:
    ok(client)
    client.route("POST", "/jobs/batch/retry", dry_run)


async def single(made: World, pilot: Pilot[Any]) -> None:
    one = msgspec.convert(job("01943c77-1d2e-7aa0-9b61-7788f3a2a91c", status="processing"), Job)
    made.app.perform(job_plan(Action.CANCEL, one))
    await made.settle(pilot)


async def many(made: World, pilot: Pilot[Any]) -> None:
    wanted = job_filter(["dead_letter"], {}, 1_790_000_000.0, fingerprint="9f2c41d07be35a18")
    made.app.perform(filter_plan(Action.RETRY, wanted, FOUND, where=GROUP))
    await made.settle(pilot)


async def half_typed(made: World, pilot: Pilot[Any]) -> None:
    await many(made, pilot)
    await made.press(pilot, "3", "8")


async def under_way(made: World, pilot: Pilot[Any]) -> None:
    await many(made, pilot)
    await made.press(pilot, "3", "8", "3")
    gate = made.client.hold("/jobs/batch/retry")
    await pilot.press("enter")
    await made.settle(pilot)
    gate.set()
    made.client.hold("/jobs/batch/retry")
    await made.settle(pilot)


async def finished(made: World, pilot: Pilot[Any]) -> None:
    await many(made, pilot)
    await made.press(pilot, "3", "8", "3", "enter")
    await made.settle(pilot)


PRODUCTION = {"production": True}
SCENES: dict[str, Scene] = {
    **both("confirm-ok", routes=routes, act=single),
    "confirm-typed-120x36": Scene(routes, act=half_typed, context=PRODUCTION),
    "confirm-progress-120x36": Scene(routes, act=under_way),
    "confirm-result-120x36": Scene(routes, act=finished),
}
