"""Pictures of the DAG tab: its two lists, a graph as boxes and as a tree."""

from __future__ import annotations

from tests.support.tui import NOW, FakeClient, edge, graph, job, listed, node
from tests.support.tui_app import WIDE, Scene, both

ROOT = "01943c77-1d2e-7aa0-9b61-7788f3a2a91c"
SCAN = "01943c78-55aa-7c31-8e02-a4f0c3d09e5a"


def _id(place: int) -> str:
    return f"01943c78-{0x1B00 + place * 613:04x}-7c31-8e02-{0xA4F011AB90C2 + place * 0x2468ACE1:012x}"


# Type, state, roll-up, age in seconds.
_ROOTS = (
    ("import.run", "completed", {"completed": 3, "processing": 2, "dead_letter": 1, "deferred": 3}, 252),
    ("report.nightly", "completed", {"completed": 14}, 4_020),
    ("video.encode", "processing", {"deferred": 4}, 31),
    (
        "billing.close-month",
        "completed",
        {"completed": 120, "processing": 8, "ready": 41, "deferred": 31},
        9_300,
    ),
    ("import.run", "dead_letter", {"canceled": 6}, 90_000),
)
ROOTS = [
    job(
        ROOT if place == 0 else _id(place),
        type=kind,
        queue="etl",
        status=status,
        created_at=int(NOW) - age,
        child_count=3,
        rollup=rollup,
        error=None,
    )
    for place, (kind, status, rollup, age) in enumerate(_ROOTS)
]
DEFERRED = [
    job(
        _id(20 + place),
        type=kind,
        queue="etl",
        status="deferred",
        created_at=int(NOW) - 252 - place,
        pending_deps=[ROOT, *(_id(40 + more) for more in range(waits - 1))],
        error=None,
    )
    for place, (kind, waits) in enumerate(
        (("import.publish", 2), ("notify.customer", 1), ("search.reindex", 3), ("import.cleanup", 1))
    )
]
NODES = [
    node(ROOT, type="import.run", execution_duration=12_000),
    node("parse-7", 1, 0, type="parse", execution_duration=3_100),
    node("thumb-7", 1, 1, type="thumbnail", status="processing", started_at=int(NOW) - 41),
    node(
        SCAN,
        1,
        2,
        type="clam.scan",
        status="dead_letter",
        retry_count=5,
        execution_duration=30_000,
        error="OSError: clamd refused the connection at /run/clamav/clamd.ctl",
    ),
    node("index-7", 2, 0, type="search.index", status="processing", started_at=int(NOW) - 5),
    node("publish-7", 2, 1, type="import.publish", status="deferred"),
    node("notify-7", 2, 2, type="notify.customer", status="deferred", allow_failure=True),
    node("sum-7", 1, 3, type="checksum", execution_duration=812),
    node("clean-7", 3, 0, type="import.cleanup", status="deferred"),
]
EDGES = [
    *(edge(ROOT, name) for name in ("parse-7", "thumb-7", SCAN, "sum-7")),
    edge("parse-7", "index-7"),
    edge("parse-7", "publish-7"),
    edge(SCAN, "publish-7"),
    edge(SCAN, "notify-7"),
    edge("thumb-7", "notify-7"),
    edge("publish-7", "clean-7"),
    edge("sum-7", "clean-7"),
]
CUT = [
    {**one, "hidden_parents": 2 if one["id"] == "publish-7" else 0, "hidden_children": hidden}
    for one, hidden in zip(NODES, (0, 3, 0, 0, 0, 0, 12, 0, 0), strict=True)
]


def lists(client: FakeClient) -> None:
    client.route("GET", "/dag/roots", listed(ROOTS, total=len(ROOTS)))
    client.route("GET", "/dag/deferred", listed(DEFERRED, total=14))
    client.route("GET", f"/dag/{ROOT}/graph", graph(ROOT, NODES, EDGES))


def cut(client: FakeClient) -> None:
    lists(client)
    client.route("GET", f"/dag/{ROOT}/graph", graph(ROOT, CUT, EDGES, truncated=True, hidden=17))


SCENES: dict[str, Scene] = {
    **both("dag-roots-ok", routes=lists, tab="dag"),
    **both("dag-deferred-ok", routes=lists, tab="dag", keys=("right_square_bracket",)),
    **both("dag-graph-ok", routes=lists, tab="dag", keys=("enter", "down", "right")),
    "dag-graph-critical-120x36": Scene(lists, tab="dag", size=WIDE, keys=("enter", "c")),
    "dag-graph-truncated-120x36": Scene(cut, tab="dag", size=WIDE, keys=("enter", "down", "right", "down")),
    **both("dag-tree-ok", routes=lists, tab="dag", keys=("enter", "t", "down", "down")),
}
