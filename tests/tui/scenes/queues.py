"""Pictures of the Queues tab, and of the frame around it in every state of the connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual.pilot import Pilot

from gqm_tui.core.client import path
from gqm_tui.core.errors import ApiError, Kind
from tests.support.tui import FakeClient, listed, minutes, queue, stats
from tests.support.tui_app import NARROW, WIDE, Scene, World, both

REFUSED = ApiError(Kind.REFUSED, text="connection refused")


def _queue(
    name: str, ready: int, active: int, oldest_s: float | None, rates: tuple[float, float, float], **more: Any
) -> dict[str, Any]:
    into, out, failed = rates
    drains = out > into and ready > 0 and not more.get("paused", False)
    base = {
        "ready": ready,
        "processing": active,
        "scheduled": 0,
        "retry": 0,
        "dead_letter": 0,
        "oldest_age_ms": None if oldest_s is None else int(oldest_s * 1_000),
        "in_per_min": into,
        "out_per_min": out,
        "failed_per_min": failed,
        "drain_ms": int(ready / (out - into) * 60_000) if drains else None,
    }
    return queue(name, **{**base, **more})


QUEUES = [
    _queue("audit-log", 0, 0, None, (4, 4, 0)),
    _queue("billing", 31_204, 32, 842, (2_460, 2_292, 94), scheduled=18, retry=41, dead_letter=391),
    _queue("crm-sync", 418, 4, 48, (61, 74, 1), retry=3),
    _queue("default", 12, 2, 3.2, (812, 816, 0), scheduled=4),
    _queue("emails", 7_127, 0, 580, (498, 0, 0), paused=True, dead_letter=27),
    _queue("etl", 64, 16, 21, (35, 41, 0), scheduled=1),
    _queue("exports", 3, 3, 7, (9, 9, 0)),
    _queue("gdpr-erasure", 0, 0, None, (0, 0, 0), scheduled=112),
    _queue("invoices", 1_940, 24, 205, (1_140, 1_308, 2), retry=12),
    _queue("media-thumbnails", 8_802, 40, 94, (20_400, 22_950, 11), dead_letter=6),
    _queue("reports", 0, 1, None, (1, 1, 0), scheduled=8),
    _queue("search-index", 512, 8, 11, (6_020, 6_400, 0)),
    _queue("webhooks", 240, 12, 9, (3_310, 3_325, 18), retry=77, dead_letter=2),
    _queue("webhooks-bulk", 0, 0, None, (0, 0, 0), paused=True),
]
# Minute by minute, oldest first.
_SHAPES = ("454656765787878", "222345566778899", "987798653434322", "556465545654655", "111212991121431")


def _minutes(number: int, item: dict[str, Any]) -> dict[str, Any]:
    """A quarter of an hour that ends at the pace that the queue has now."""
    series, shape = minutes(item["name"], 15), _SHAPES[number % len(_SHAPES)]
    for minute, part in zip(series["minutes"], reversed(shape), strict=True):
        minute["processed"] = round(item["out_per_min"] * int(part) / int(shape[-1]))
    return series


def routes_for(queues: list[dict[str, Any]]) -> Callable[[FakeClient], None]:
    def fill(client: FakeClient) -> None:
        client.route("GET", "/queues", listed(queues))
        client.route("GET", "/stats", stats(queues=len(queues)))
        series = [_minutes(number, item) for number, item in enumerate(queues)]
        client.route("GET", "/stats/minutes", series)
        types = [
            {"type": "smtp.send", "ready": 772},
            {"type": "invoice.pdf", "ready": 220},
            {"type": "webhook", "ready": 8},
        ]
        for item in queues:
            client.route("GET", path("queues", item["name"]), {**item, "by_type": types})

    return fill


ok = routes_for(QUEUES)
HOSTILE_NAMES = (
    "\x1b[31mred\x1b[0m",
    "\x1b]0;owned\x07title",
    "[bold]markup[/bold] [/x] list[int]",
    "right\u202eleft",
    "zero\u200bwidth\u2060joined",
    "漢字かなカナ한글の長い待ち行列の名前",
    "emoji 🎉👩‍👩‍👧‍👦🏳️‍🌈 queue",
    "z" + "\u0301" * 40 + "algo",
    "x" * 128,
    "tab\tand\nnewline\r",
    "lines\u2028and\u2029paragraphs",
    "c1\x9b31m\x85",
    "=cmd|' /C calc'!A0",
    "a/b c%?#é",
)


def hostile(client: FakeClient) -> None:
    routes_for([_queue(name, 900 - 10 * at, 1, 4.0, (9, 9, 0)) for at, name in enumerate(HOSTILE_NAMES)])(
        client
    )


def held(place: str) -> Callable[[FakeClient], None]:
    """As a server that never answers one call."""

    def fill(client: FakeClient) -> None:
        ok(client)
        client.hold(place)

    return fill


def away(client: FakeClient) -> None:
    client.down = REFUSED


async def wait_long(made: World, pilot: Pilot[Any]) -> None:
    """The server stops answering, and time goes on."""
    for place in ("/queues", "/stats/minutes", "/queues/billing"):
        made.client.hold(place)
    for _ in range(6):
        await made.tick(pilot)


async def one_more(made: World, pilot: Pilot[Any]) -> None:
    """Another poll."""
    await made.tick(pilot)


async def lose(made: World, pilot: Pilot[Any]) -> None:
    """The server goes away, and stays away."""
    away(made.client)
    for _ in range(12):
        await made.tick(pilot)


async def freeze(made: World, pilot: Pilot[Any]) -> None:
    """The picture is held while the numbers go on."""
    await made.press(pilot, "f")
    routes_for([{**item, "ready": item["ready"] * 2} for item in QUEUES])(made.client)
    for _ in range(3):
        await made.tick(pilot)


SCENES: dict[str, Scene] = {
    **both("queues-ok", routes=ok),
    "queues-ok-200x50": Scene(ok, size=(200, 50)),
    "queues-ok-60x15": Scene(ok, size=(60, 15)),
    "queues-light-120x36": Scene(ok, size=WIDE, settings={"theme": "gqm-light"}),
    "queues-hostile-120x36": Scene(hostile, size=WIDE),
    "queues-frozen-120x36": Scene(ok, size=WIDE, act=freeze),
    "queues-stale-120x36": Scene(ok, size=WIDE, act=wait_long),
    "queues-filter-120x36": Scene(ok, ("slash", *"oldest>40s state:run"), WIDE, act=one_more),
    "queues-viewer-120x36": Scene(ok, size=WIDE, role="viewer"),
    "queues-empty-80x24": Scene(routes_for([]), size=NARROW),
    "queues-filtered-empty-80x24": Scene(ok, ("slash", *"name:orders", "enter"), NARROW),
    "queues-loading-80x24": Scene(held("/queues"), size=NARROW),
    "queues-stale-80x24": Scene(ok, size=NARROW, act=wait_long),
    "queues-down-80x24": Scene(ok, size=NARROW, act=lose),
    "queues-no-color-80x24": Scene(ok, size=NARROW, no_color=True),
    "queues-ascii-80x24": Scene(ok, size=NARROW, settings={"ascii_glyphs": True}),
    "too-small-59x14": Scene(ok, size=(59, 14)),
    **both("down-at-start", routes=away, act=lose),
}
