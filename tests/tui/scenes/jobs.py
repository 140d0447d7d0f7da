"""Pictures of the jobs of a queue."""

from __future__ import annotations

from typing import Any

from tests.support.tui import NOW, FakeClient, job, listed, queue
from tests.support.tui_app import NARROW, WIDE, Scene, both
from tests.tui.scenes import queues

BILLING = {**queue("billing"), "by_type": [{"type": "smtp.send", "ready": 772}]}

# Type, age in seconds, retries done of allowed, and the error that the last try left.
_READY = (
    ("smtp.send", 842, 2, 5, "TimeoutError: 30s exceeded"),
    ("invoice.pdf", 838, 0, 3, ""),
    ("invoice.pdf", 837, 0, 3, ""),
    (
        "smtp.send",
        801,
        1,
        5,
        "ConnectionRefusedError: [Errno 111] Connection refused to smtp-2.eu.example:587",
    ),
    ("webhook.deliver", 795, 4, 5, "HTTPStatusError: 502 Bad Gateway for https://hooks.acme.example/orders"),
    ("smtp.send", 640, 0, 5, ""),
    ("invoice.pdf", 611, 0, 3, ""),
    ("smtp.send", 598, 0, 5, ""),
    ("ledger.close-month", 402, 1, 1, "LockError: period 2026-10 is being closed by another process"),
    ("smtp.send", 377, 0, 5, ""),
    ("invoice.pdf", 184, 0, 3, ""),
    ("smtp.send", 61, 0, 5, ""),
    ("smtp.send", 12, 0, 5, ""),
    ("invoice.pdf", 2, 0, 3, ""),
)


def job_id(number: int) -> str:
    """An id of version 7: a clock in front, then chance."""
    chance = (0x7788F3A2A91C + 0x2B9D3E57A1F3 * number) % 2**48
    return f"01943c77-{0x1D2E + 977 * number:04x}-7aa0-9b61-{chance:012x}"


def ready_jobs(count: int = 14) -> list[dict[str, Any]]:
    found = []
    for number in range(count):
        type_name, age, done, most, error = _READY[number % len(_READY)]
        age += 900 * (number // len(_READY))
        found.append(
            job(
                job_id(number),
                type=type_name,
                status="ready",
                created_at=int(NOW) - age,
                retry_count=done,
                max_retry=most,
                error=error or None,
                worker_id=None,
            )
        )
    return found


def ok(client: FakeClient) -> None:
    queues.ok(client)
    client.route("GET", "/queues/billing", BILLING)
    client.route("GET", "/jobs", answer)


def answer(params: dict[str, str], _body: object) -> Any:
    """Answer as the server does: by state, nothing where a filter finds nothing."""
    if params["status"] == "deferred":
        return listed([], total=0)
    if "error" in params:
        return listed([], total=0)
    return listed(ready_jobs(100), total=31_204, page=int(params["page"]))


_OPEN = ("enter",)

SCENES: dict[str, Scene] = {
    **both("jobs-ok", routes=ok, keys=_OPEN),
    "jobs-marked-120x36": Scene(ok, (*_OPEN, "space", "j", "space", "j", "v"), WIDE),
    "jobs-empty-80x24": Scene(ok, (*_OPEN, *["right_square_bracket"] * 4), NARROW),
    "jobs-filtered-empty-80x24": Scene(ok, (*_OPEN, "slash", *"error:Foo", "enter"), NARROW),
}
