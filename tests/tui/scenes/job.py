"""Pictures of one job."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from tests.support.tui import NOW, FakeClient, attempt, edge, graph, job_detail, listed, node
from tests.support.tui_app import NARROW, WIDE, Scene
from tests.tui.scenes import jobs
from tests.tui.scenes.jobs import job_id

ID = job_id(0)
PARENT, CHILDREN = job_id(71), (job_id(72), job_id(73))
PAYLOAD = {
    "to": "ana.lindqvist@acme.example",
    "template": "invoice-reminder",
    "locale": "sv-SE",
    "password": "hunter2",
    "invoice": {"number": 20931, "amount": 1249.5, "currency": "SEK", "overdue_days": 12},
    "attachments": ["s3://acme-invoices/2026/11/20931.pdf"],
    "tracking_id": 340282366920938463463374607431768211455,
    "dry_run": False,
}
TRACEBACK = """Traceback (most recent call last):
  File "/srv/app/billing/mail.py", line 88, in send_reminder
    reply = server.send_message(message, timeout=30)
            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/srv/app/billing/smtp.py", line 41, in send_message
    with self._connection(timeout) as connection:
  File "/usr/lib/python3.12/contextlib.py", line 137, in __enter__
    return next(self.gen)
  File "/srv/app/billing/smtp.py", line 63, in _connection
    raise TimeoutError(f"{timeout}s exceeded")
TimeoutError: 30s exceeded
"""
RESULT = {"sent": 0, "rejected": ["ana.lindqvist@acme.example"], "smtp": {"code": 451, "secret_id": "ab12"}}


def detail(**changes: Any) -> dict[str, Any]:
    base = {
        "status": "dead_letter",
        "created_at": int(NOW) - 842,
        "payload": PAYLOAD,
        "payload_bytes": len(json.dumps(PAYLOAD)),
        "traceback": TRACEBACK,
        "meta": {"tenant": "acme", "trace_id": "7f3a2a91c07be4d1", "api_token": "t-123"},
        "result": RESULT,
        "depends_on": [PARENT],
        "children": list(CHILDREN),
        "child_count": 2,
    }
    return job_detail(ID, **{**base, **changes})


def attempts() -> list[dict[str, Any]]:
    ends = (752, 683, 512, 240, 2)
    found = []
    for number, back in enumerate(ends, 1):
        last = number == len(ends)
        refused = number == 2
        found.append(
            attempt(
                number,
                outcome="dead_letter" if last else "retry",
                started_at=int(NOW) - back - 30,
                ended_at=NOW - back,
                duration_ms=812 if refused else 30_004,
                worker_id="fast@eu3-18231-7f3a" if number > 2 else "fast@eu1-18002-c41e",
                error="ConnectionRefusedError: [Errno 111] smtp-2.eu.example"
                if refused
                else "TimeoutError: 30s exceeded",
                error_type="ConnectionRefusedError" if refused else "TimeoutError",
            )
        )
    return list(reversed(found))


def around() -> dict[str, Any]:
    return graph(
        ID,
        [
            node(PARENT, 0, 0, type="invoice.render", execution_duration=3_100),
            node(ID, 1, 0, type="smtp.send", status="dead_letter"),
            node(CHILDREN[0], 2, 0, type="invoice.archive", status="deferred"),
            node(CHILDREN[1], 2, 1, type="crm.note", status="deferred", allow_failure=True),
        ],
        [edge(PARENT, ID), edge(ID, CHILDREN[0]), edge(ID, CHILDREN[1])],
    )


def routes_for(shown: dict[str, Any], tries: list[dict[str, Any]] | None = None) -> Any:
    def fill(client: FakeClient) -> None:
        jobs.ok(client)
        listing = [{name: value for name, value in shown.items() if name not in _DETAIL_ONLY}]
        client.route("GET", "/jobs", lambda _params, _body: listed(listing, total=391))
        client.route("GET", f"/jobs/{shown['id']}", shown)
        client.route("GET", f"/jobs/{shown['id']}/attempts", attempts() if tries is None else tries)
        client.route("GET", f"/dag/{shown['id']}/graph", around())

    return fill


_DETAIL_ONLY = frozenset(
    ("payload", "result", "meta", "traceback", "retry_intervals", "expires_at", "depends_on", "pending_deps")
) | {"children", "child_count"}
ok = routes_for(detail())


def _big() -> dict[str, Any]:
    """About a megabyte: many lines, and one that is very long."""
    rows = [{"sku": f"A-{number:06}", "qty": number % 90, "price": number * 1.25} for number in range(17_000)]
    payload = {"note": "x" * 20_000, "rows": rows}
    return detail(payload=payload, payload_bytes=len(json.dumps(payload)))


HOSTILE = "\x1b[2J\x1b]0;owned\x07[bold red]x[/]\u202egnp.exe\u200b\x9b31m\r\n\ttab"


def _hostile() -> dict[str, Any]:
    texts = {
        "type": f"smtp.{HOSTILE}",
        "error": f"ValueError: {HOSTILE}",
        "enqueued_by": f"gw-{HOSTILE}",
        "worker_id": f"fast@{HOSTILE}",
        "traceback": TRACEBACK + f"ValueError: {HOSTILE}\n[/bold] 漢字かな🎉 e" + "\u0301" * 12 + "\n",
        "payload": {HOSTILE: [HOSTILE, {"漢字": "🎉" * 40}], "list[int]": "[/x]", "e" + "\u0301" * 12: None},
        "meta": {"a": HOSTILE},
    }
    return detail(**texts)


_OPEN = ("enter", *["left_square_bracket"] * 4, "enter")


def _section(name: int, **scene: Any) -> Scene:
    made = Scene(ok, (*_OPEN, *["right_square_bracket"] * name), NARROW)
    return replace(made, **scene)


SCENES: dict[str, Scene] = {
    "job-ok-120x36": Scene(ok, _OPEN, WIDE),
    "job-light-120x36": Scene(ok, _OPEN, WIDE, settings={"theme": "gqm-light"}),
    "job-big-120x36": Scene(routes_for(_big()), (*_OPEN, "pagedown"), WIDE),
    "job-hostile-120x36": Scene(routes_for(_hostile()), _OPEN, WIDE),
    "job-payload-80x24": _section(0),
    "job-result-80x24": _section(1),
    "job-meta-80x24": _section(2),
    "job-links-80x24": _section(3),
    "job-traceback-80x24": _section(4),
    "job-attempts-80x24": _section(5),
    "job-viewer-80x24": _section(0, role="viewer"),
}
