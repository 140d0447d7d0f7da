"""Pictures of the Overview tab."""

from __future__ import annotations

from typing import Any

from textual.pilot import Pilot

from gqm_tui.core.errors import ApiError, Kind
from gqm_tui.core.events import Hello, JobEvent, QueueEvent, ServerEvent
from tests.support.tui import NOW, FakeClient, cron, minutes, queue, runtime, server, stats, worker
from tests.support.tui_app import NARROW, WIDE, Scene, World
from tests.tui.scenes import machinery
from tests.tui.scenes.queues import QUEUES

REFUSED = ApiError(Kind.REFUSED, text="connection refused")
EVENTS = (
    Hello(server_time=NOW, version="1.0.0"),
    JobEvent(
        ts=NOW - 3,
        job_id="01943c77-1d2e-7aa0-9b61-77f807be4d1f",
        queue="billing",
        type="invoice.pdf",
        to="completed",
    ),
    JobEvent(
        ts=NOW - 2,
        job_id="01943c77-1d2e-7aa0-9b61-7788f3a2a91c",
        queue="billing",
        type="smtp.send",
        to="dead_letter",
        error="TimeoutError: 30s exceeded",
    ),
    QueueEvent(ts=NOW - 1, queue="emails", action="paused"),
    ServerEvent(ts=NOW, server_id="eu3-18231-7f3a", action="down"),
)


def busy(client: FakeClient) -> None:
    machinery.servers(client)
    machinery.workers(client)
    machinery.entries(client)
    client.route("GET", "/queues", QUEUES)
    client.route("GET", "/stats/minutes", [minutes(None, 15)])


def calm(client: FakeClient) -> None:
    quiet = {"ready": 0, "dead_letter": 0, "oldest_age_ms": None, "drain_ms": None}
    client.route("GET", "/queues", [queue("billing", **quiet), queue("emails", **quiet)])
    client.route("GET", "/servers", [server()])
    client.route("GET", "/workers", [worker()])
    client.route("GET", "/cron", [cron()])
    client.route("GET", "/stats", stats(ready=0, dead_letter=0, oldest_age_ms=None, failed_per_min=0.0))
    client.route("GET", "/stats/minutes", [minutes(None, 15)])
    client.route("GET", "/stats/runtime", runtime())


async def told(made: World, pilot: Pilot[Any]) -> None:
    made.client.emit(*EVENTS)
    await made.tick(pilot)


async def lost(made: World, pilot: Pilot[Any]) -> None:
    await told(made, pilot)
    made.client.down = REFUSED
    made.client.cut(REFUSED)
    for _ in range(5):
        await made.tick(pilot)


SCENES: dict[str, Scene] = {
    "overview-ok-120x36": Scene(busy, tab="overview", act=told, size=WIDE),
    "overview-ok-80x24": Scene(busy, tab="overview", act=told, size=NARROW),
    "overview-light-120x36": Scene(busy, tab="overview", act=told, settings={"theme": "gqm-light"}),
    "overview-calm-120x36": Scene(calm, tab="overview", act=told),
    "overview-down-80x24": Scene(busy, tab="overview", act=lost, size=NARROW),
}
