"""Pictures of the Failed tab."""

from __future__ import annotations

from typing import Any

from gqm_tui.core.errors import ApiError, Kind
from tests.support.tui import NOW, FakeClient, group, job, job_detail, listed, queue
from tests.support.tui_app import NARROW, WIDE, Scene, both

QUEUES = [
    queue("billing", dead_letter=391, retry=41),
    queue("default", dead_letter=0, retry=0),
    queue("emails", dead_letter=27, retry=3),
]
GROUPS = [
    group(),
    group(
        "ConnectionError: redis-<n> refused",
        fingerprint="1b20c5d9aa47f3e2",
        count=12,
        recent_5m=2,
        hour=[0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 8, 2],
        first=int(NOW) - 92,
        last=int(NOW) - 3,
        types=["invoice.pdf", "smtp.send", "webhook"],
        types_total=3,
        queues=["billing", "emails"],
        queues_total=2,
        sample_id="01943c77-2e01-7bb0-8c12-5a1f66d0c7e4",
    ),
    group(
        "ValueError: bad invoice <n>",
        fingerprint="77de01aa5b3c9f10",
        count=9,
        recent_5m=0,
        hour=[1, 0, 2, 0, 0, 0, 3, 1, 2, 0, 0, 0],
        first=int(NOW) - 3_420,
        last=int(NOW) - 1_180,
        types=["invoice.pdf"],
        sample_id="01943c77-07be-7d11-9a55-c3b2a17be4d1",
    ),
    group(
        "SMTPRecipientsRefused: <s> is not a mailbox of this server and is not relayed",
        fingerprint="c0ffee5a5a5a0001",
        count=6,
        recent_5m=0,
        hour=[0] * 12,
        first=int(NOW) - 190_000,
        last=int(NOW) - 100_000,
        queues=["emails"],
        sample_id="01943c70-0001-7d11-9a55-c3b2a17be4d1",
    ),
    group(
        "KeyError: <s>",
        fingerprint="c0ffee5a5a5a0002",
        count=5,
        recent_5m=0,
        hour=[0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        first=int(NOW) - 3_300,
        last=int(NOW) - 3_298,
        types=["webhook"],
        queues=["emails"],
        sample_id="01943c70-0002-7d11-9a55-c3b2a17be4d1",
    ),
]

# Queue, type, seconds since it failed, retries done of allowed, error.
_JOBS = (
    ("billing", "smtp.send", 2, 5, 5, "TimeoutError: 30s exceeded"),
    ("billing", "smtp.send", 2, 5, 5, "TimeoutError: 30s exceeded"),
    ("emails", "webhook", 3, 3, 3, "ConnectionError: redis-2 refused"),
    ("billing", "smtp.send", 5, 5, 5, "TimeoutError: 30s exceeded"),
    ("billing", "invoice.pdf", 9, 3, 3, "ConnectionError: redis-1 refused"),
    ("billing", "smtp.send", 14, 5, 5, "TimeoutError: 30s exceeded"),
    ("billing", "smtp.send", 31, 5, 5, "TimeoutError: 30s exceeded"),
    (
        "emails",
        "smtp.send",
        58,
        5,
        5,
        "SMTPRecipientsRefused: 'ana@b.example' is not a mailbox of this server",
    ),
    ("billing", "invoice.pdf", 710, 0, 3, "ValueError: bad invoice 9912"),
    ("billing", "invoice.pdf", 1_180, 0, 3, "ValueError: bad invoice 9907"),
    ("emails", "webhook", 3_298, 3, 3, "KeyError: 'signature'"),
    ("emails", "smtp.send", 100_000, 5, 5, "SMTPRecipientsRefused: 'bo@b.example' is not a mailbox"),
)
JOBS = [
    job(
        f"01943c77-{0x1D2E + place * 977:04x}-7aa0-9b61-{0x7788F3A2A91C + place * 0x13579BDF:012x}",
        queue=name,
        type=kind,
        completed_at=int(NOW) - ago,
        retry_count=tries,
        max_retry=most,
        error=error,
    )
    for place, (name, kind, ago, tries, most, error) in enumerate(_JOBS)
]


def jobs_of(params: dict[str, str], _body: Any) -> Any:
    found = [one for one in JOBS if params.get("queue") in (None, one["queue"])]
    if "type" in params:
        found = [one for one in found if one["type"].startswith(params["type"].rstrip("*"))]
    total = {None: 418, "billing": 391, "emails": 27}.get(params.get("queue"), len(found))
    return listed(found, total=len(found) if "type" in params else total)


def ok(client: FakeClient) -> None:
    client.route("GET", "/queues", QUEUES)
    client.route("GET", "/failed/groups", GROUPS)
    client.route("GET", "/jobs", jobs_of)
    for one in GROUPS:
        client.route("GET", f"/jobs/{one['sample_id']}", job_detail(one["sample_id"]))


def nothing(client: FakeClient) -> None:
    client.route("GET", "/queues", [queue(one["name"], dead_letter=0) for one in QUEUES])
    client.route("GET", "/failed/groups", [])
    client.route("GET", "/jobs", [])


def forbidden(client: FakeClient) -> None:
    ok(client)
    client.route("GET", "/failed/groups", ApiError(Kind.FORBIDDEN, 403, "FORBIDDEN", "needs role viewer"))


async def goes_down(made: Any, pilot: Any) -> None:
    made.client.down = ApiError(Kind.REFUSED, text="connection refused")
    for _ in range(6):
        await made.tick(pilot, 1.0)


FLAT = {"failed_grouped": False}
SCENES: dict[str, Scene] = {
    **both("failed-groups-ok", routes=ok, tab="failed"),
    "failed-groups-forbidden-120x36": Scene(forbidden, tab="failed", size=WIDE),
    "failed-groups-empty-80x24": Scene(nothing, tab="failed", size=NARROW),
    "failed-groups-down-80x24": Scene(ok, tab="failed", size=NARROW, act=goes_down),
    **both("failed-flat-ok", routes=ok, tab="failed", settings=FLAT, keys=("l",)),
    "failed-flat-marked-120x36": Scene(
        ok, tab="failed", size=WIDE, settings=FLAT, keys=("space", "j", "space", "v")
    ),
    "failed-flat-filtered-empty-80x24": Scene(
        ok, tab="failed", size=NARROW, settings=FLAT, keys=("slash", *"type:thumb", "enter")
    ),
}
