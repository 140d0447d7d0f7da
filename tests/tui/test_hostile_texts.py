"""Sixty nasty texts in every field that a server fills: none reaches the terminal, none moves a column."""

from __future__ import annotations

from typing import Any

import pytest
from textual.pilot import Pilot

from gqm_tui.core.client import path
from tests.support.tui import FakeClient, attempt, edge, graph, job, listed, me, minutes, node, queue
from tests.support.tui_app import NARROW, WIDE, Scene, World
from tests.support.tui_hostile import TEXTS, harmful
from tests.support.tui_screen import drive, lines, table, toasts
from tests.tui.scenes.job import detail

pytestmark = pytest.mark.fault(19)
SIZES = pytest.mark.parametrize("size", [WIDE, NARROW])


def filled(shape: dict[str, Any], text: str, *kept: str) -> dict[str, Any]:
    """Put a text into every field of an object that holds text."""
    return {
        name: text if isinstance(value, str) and name not in kept else value for name, value in shape.items()
    }


def check(made: World) -> None:
    # `lines` also sees that every line is exactly as wide as the terminal.
    for line in lines(made):
        assert harmful(line) == [], line
    for told in toasts(made):
        assert harmful(told) == [], told


async def walk(made: World, pilot: Pilot[Any]) -> None:
    """Look at every row, so that the strip and the footer tell of each of them too."""
    check(made)
    for _ in range(3):
        await made.press(pilot, "ctrl+d")
        await made.tick(pilot)
        check(made)


@SIZES
def test_queues(size: tuple[int, int]) -> None:
    def fill(client: FakeClient) -> None:
        client.route("GET", "/queues", [queue(text, pools=[text]) for text in TEXTS])
        client.route("GET", "/stats/minutes", [minutes(text) for text in TEXTS])
        client.route("GET", "/auth/me", me(username=TEXTS[3]))
        for text in TEXTS:
            shape = {**queue(text), "by_type": [{"type": text, "ready": 3}]}
            client.route("GET", path("queues", text), shape)

    async def act(made: World, pilot: Pilot[Any]) -> None:
        assert len(table(made).table.keys) == len(TEXTS)
        await walk(made, pilot)

    drive(Scene(fill), act, size)


@SIZES
def test_jobs(size: tuple[int, int]) -> None:
    rows = [{**filled(job(), text, "status"), "id": f"{at}{text}"} for at, text in enumerate(TEXTS)]

    def fill(client: FakeClient) -> None:
        client.route("GET", "/queues", [queue(TEXTS[1])])
        client.route("GET", path("queues", TEXTS[1]), {**queue(TEXTS[1]), "by_type": []})
        client.route("GET", "/stats/minutes", [])
        client.route("GET", "/jobs", listed(rows))

    async def act(made: World, pilot: Pilot[Any]) -> None:
        assert len(table(made).table.keys) == len(TEXTS)
        await walk(made, pilot)
        await made.press(pilot, "y")
        check(made)

    drive(Scene(fill, ("enter",)), act, size)


def job_routes(client: FakeClient, job_id: str, text: str) -> None:
    """One job whose fields, attempts and neighbours all hold the text."""
    shape = filled(detail(), text, "status", "id")
    inside = {text: [text, {text: text}], "password": text}
    shape |= {"id": job_id, "payload": inside, "meta": inside, "result": inside, "children": [text]}
    shape |= {"cron_id": text, "cancel_reason": text, "depends_on": [f"p{text}"], "pending_deps": [text]}
    client.route("GET", path("jobs", job_id), shape)
    tries = [filled(attempt(number), text, "outcome") for number in (3, 2, 1)]
    client.route("GET", path("jobs", job_id, "attempts"), tries)
    nodes = [node(f"p{text}"), node(job_id, 1), node(text, 2)]
    around = graph(job_id, nodes, [edge(f"p{text}", job_id), edge(job_id, text)])
    client.route("GET", path("dag", job_id, "graph"), around)


@SIZES
def test_job(size: tuple[int, int]) -> None:
    def fill(client: FakeClient) -> None:
        client.route("GET", "/queues", [])
        client.route("GET", "/stats/minutes", [])

    async def act(made: World, pilot: Pilot[Any]) -> None:
        # The narrow screen has the same fields with less room: a third of the texts shows whether they fit.
        for at, text in list(enumerate(TEXTS))[:: 1 if size == WIDE else 3]:
            job_routes(made.client, f"{at}{text}", text)
            made.app.doors.job(f"{at}{text}")
            await made.settle(pilot)
            await made.settle(pilot)
            # Every text is looked at in two sections, and all six are looked at many times over the corpus.
            await made.press(pilot, *["right_square_bracket"] * (at % 6))
            check(made)
            await made.press(pilot, "left_square_bracket", "w")
            check(made)
            made.app.pop_screen()

    drive(Scene(fill), act, size)
