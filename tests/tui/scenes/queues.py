"""Pictures of the Queues tab."""

from __future__ import annotations

from tests.support.tui import FakeClient, minutes, queue
from tests.support.tui_app import Scene, both

QUEUES = [
    queue(
        "billing",
        ready=31_204,
        processing=32,
        scheduled=18,
        retry=41,
        dead_letter=391,
        oldest_age_ms=842_000,
        in_per_min=2_460.0,
        out_per_min=2_292.0,
        failed_per_min=94.0,
        drain_ms=None,
    ),
    queue(
        "emails",
        paused=True,
        ready=7_127,
        dead_letter=27,
        oldest_age_ms=580_000,
        in_per_min=498.0,
        out_per_min=0.0,
        failed_per_min=0.0,
        drain_ms=None,
    ),
]


def ok(client: FakeClient) -> None:
    client.route("GET", "/queues", QUEUES)
    client.route("GET", "/stats/minutes", [minutes(item["name"], 15) for item in QUEUES])
    for item in QUEUES:
        client.route(
            "GET",
            f"/queues/{item['name']}",
            {**item, "by_type": [{"type": "smtp.send", "ready": 772}, {"type": "invoice.pdf", "ready": 220}]},
        )


SCENES: dict[str, Scene] = {**both("queues-ok", routes=ok)}
