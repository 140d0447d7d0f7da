"""Pictures of the action log."""

from __future__ import annotations

from typing import Any

import msgspec
from textual.pilot import Pilot

from gqm_tui.core.actions import Action, job_plan, queue_plan
from gqm_tui.core.errors import ApiError, Kind
from gqm_tui.core.model import Job, Queue
from tests.support.tui import NOW, FakeClient, audit, job, listed, queue
from tests.support.tui_app import Scene, World, both
from tests.tui.scenes.queues import ok

JOB = "01943c77-1d2e-7aa0-9b61-7788f3a2a91c"
CONFLICT = ApiError(Kind.CONFLICT, 409, "CONFLICT", "job is processing")


def routes(client: FakeClient) -> None:
    ok(client)
    client.origin = "https://q.example:8080"
    client.route("POST", f"/jobs/{JOB}/retry", CONFLICT)
    client.route("POST", "/queues/emails/pause", {"queue": "emails", "status": "paused", "changed": True})
    client.slow = {f"/api/v1/jobs/{JOB}/retry": 0.012, "/api/v1/queues/emails/pause": 0.038}
    client.route(
        "GET",
        "/audit",
        listed(
            [
                audit(
                    id="9-0",
                    ts=NOW - 4,
                    action="queue.pause",
                    target="emails",
                    before="active",
                    after="paused",
                ),
                audit(id="8-0", ts=NOW - 60, ok=False, code="CONFLICT", before="", after=""),
                audit(
                    id="7-0",
                    ts=NOW - 900,
                    action="batch.retry",
                    target="status=dead_letter queue=billing",
                    count=386,
                    before="",
                    after="",
                    actor="apikey:ops",
                    source="key",
                ),
                audit(
                    id="6-0",
                    ts=NOW - 86_400,
                    action="auth.login_failed",
                    target="root",
                    actor="",
                    role="",
                    source="anonymous",
                    address="198.51.100.23",
                    ok=False,
                    code="UNAUTHORIZED",
                    before="",
                    after="",
                ),
                audit(
                    id="5-0",
                    ts=NOW - 90_000,
                    action="cron.disable",
                    target="nightly-report",
                    before="enabled",
                    after="disabled",
                    source="cli",
                    address="",
                ),
            ],
            total=5,
        ),
    )


async def done(made: World, pilot: Pilot[Any]) -> None:
    """Be refused once and succeed once, as slowly as the API is."""
    one = msgspec.convert(job(JOB, status="dead_letter"), Job)
    await perform(made, pilot, job_plan(Action.RETRY, one), 0.012, "y")
    await made.tick(pilot, 5)
    await perform(made, pilot, queue_plan(Action.PAUSE, msgspec.convert(queue("emails"), Queue)), 0.038)


async def perform(made: World, pilot: Pilot[Any], plan: Any, took: float, *keys: str) -> None:
    made.app.perform(plan)
    await made.settle(pilot)
    for key in keys:
        await pilot.press(key)
    await made.settle(pilot)
    await made.tick(pilot, took)
    await made.tick(pilot)


async def mine(made: World, pilot: Pilot[Any]) -> None:
    await done(made, pilot)
    made.app.clear_notifications()
    await made.press(pilot, "L")


async def of_the_server(made: World, pilot: Pilot[Any]) -> None:
    await mine(made, pilot)
    await made.press(pilot, "right_square_bracket")
    await made.tick(pilot)


SCENES: dict[str, Scene] = {
    **both("action-log-ok", routes=routes, act=mine),
    **both("action-log-audit", routes=routes, act=of_the_server),
}
