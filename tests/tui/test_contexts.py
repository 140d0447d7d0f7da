"""Going from one server to another: what leaves, what comes, and that no key strays."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from gqm_tui.core.config import ContextConfig
from gqm_tui.core.credentials import KeySource
from gqm_tui.core.errors import ApiError, Kind
from gqm_tui.core.session import Session, standing
from gqm_tui.core.signs import Signs
from gqm_tui.screens.context import ContextScreen
from gqm_tui.screens.login import LoginScreen
from gqm_tui.start import connect
from tests.support.tui import FakeClient, FakeClock, job, me, queue
from tests.support.tui_app import WIDE, World, world
from tests.support.tui_http import answer, pretended

A = ContextConfig(name="a", url="https://a.example", key=KeySource(given="key-of-a"))
B = ContextConfig(name="b", url="https://b.example", key=KeySource(given="key-of-b"))
OPEN = ContextConfig(name="open", url="http://open.example")
SETTINGS = {"context": A, "contexts": (A, B, OPEN)}
REFUSED = ApiError(Kind.UNAUTHORIZED, 401, "UNAUTHORIZED", "sign in, or send an API key")


def with_queue(name: str) -> Callable[[FakeClient], None]:
    def routes(client: FakeClient) -> None:
        client.origin = f"https://{name}.example"
        client.route("GET", "/queues", [queue(f"queue-of-{name}")])
        client.route("GET", "/stats/minutes", [])
        client.route("GET", f"/queues/queue-of-{name}", {**queue(f"queue-of-{name}"), "by_type": []})
        client.route("GET", "/jobs", [job("job-1")])
        place = f"/queues/queue-of-{name}/pause"
        client.route("POST", place, {"queue": f"queue-of-{name}", "status": "paused", "changed": True})

    return routes


def drive(act: Callable[[World, Pilot[Any]], Awaitable[None]], **given: Any) -> None:
    async def run() -> None:
        given.setdefault("settings", SETTINGS)
        given.setdefault("others", {"b": with_queue("b"), "open": with_queue("open")})
        made = world(given.pop("routes", with_queue("a")), **given)
        async with made.app.run_test(size=WIDE, notifications=True) as pilot:
            await made.settle(pilot)
            await made.tick(pilot)
            await act(made, pilot)

    asyncio.run(run())


def shown(made: World) -> str:
    return "\n".join(
        "".join(segment.text for segment in strip) for strip in made.app.screen._compositor.render_strips()
    )


def listed(made: World) -> bool:
    """Whether the list of contexts is open."""
    return isinstance(made.app.screen, ContextScreen)


def closed_clients(made: World) -> list[str]:
    """The contexts whose clients are closed."""
    clients = {"a": made.client, **made.others}
    return [name for name, client in clients.items() if client.closed]


async def type_in(made: World, pilot: Pilot[Any], text: str) -> None:
    await pilot.press(*text)
    await made.press(pilot, "enter")


async def go_to_b(made: World, pilot: Pilot[Any]) -> None:
    await made.press(pilot, "at", "j", "enter")
    await made.settle(pilot)
    await made.tick(pilot)


def test_another_context_begins_empty_with_a_client_of_its_own() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        assert "queue-of-a" in shown(made)
        await made.press(pilot, "enter", "f")
        asked = len(made.client.asked)
        await go_to_b(made, pilot)
        assert not listed(made)
        assert "queue-of-b" in shown(made)
        assert "queue-of-a" not in shown(made)
        assert "LIVE b" in shown(made)
        assert "b.example" in shown(made)
        assert closed_clients(made) == ["a"]
        await made.tick(pilot, 5)
        assert len(made.client.asked) == asked
        # Of the drill-down nothing was asked there: it stayed behind with its server.
        assert made.others["b"].count("/jobs") == 0
        assert made.app.state.context == "b"

    drive(act)


@pytest.mark.fault(15)
def test_a_late_answer_of_the_server_that_was_left_is_dropped() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        gates = [made.client.hold(place) for place in ("/queues", "/stats", "/auth/me")]
        made.client.route("GET", "/auth/me", me(username="of-a"))
        await made.press(pilot, "f5")
        blocked = made.others["b"].hold("/queues")
        await made.press(pilot, "at", "j", "enter")
        await made.settle(pilot)
        for gate in gates:
            gate.set()
        await made.settle(pilot)
        assert "queue-of-a" not in shown(made)
        assert "of-a" not in made.app.session.identity
        assert "waiting for queues" in shown(made)
        blocked.set()
        await made.tick(pilot)
        assert "queue-of-b" in shown(made)

    drive(act)


@pytest.mark.fault(15)
def test_the_same_context_with_another_key_takes_no_answer_given_to_the_old_one() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        gate = made.client.hold("/queues")
        await made.press(pilot, "f5")
        left = made.app.visible_pane
        await made.press(pilot, "at", "a", *"fresh", "enter")
        await made.settle(pilot)
        assert left is not None
        assert made.app.visible_pane is not left
        assert made.connected[-1].key == KeySource(given="fresh")
        assert made.connected[-1].url == A.url
        gate.set()
        await made.tick(pilot)
        assert not left.is_attached

    drive(act)


def test_a_server_that_is_away_is_opened_all_the_same_and_told_in_the_list() -> None:
    def away(client: FakeClient) -> None:
        client.down = ApiError(Kind.REFUSED, text="b.example:443: connection refused")

    async def act(made: World, pilot: Pilot[Any]) -> None:
        await go_to_b(made, pilot)
        assert "DOWN b" in shown(made)
        await made.tick(pilot, 60)
        await made.press(pilot, "at", "k", "enter")
        await made.tick(pilot)
        assert "LIVE a" in shown(made)
        assert "queue-of-a" in shown(made)
        await made.press(pilot, "at")
        assert "✗ b     down 1m02s, refused" in shown(made)
        assert "● a     admin" in shown(made)
        assert "· open  not opened yet" in shown(made)

    drive(act, others={"b": away})


def test_a_context_without_a_key_asks_for_one_and_opens_without() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "at", "j", "j", "enter")
        assert "API key" in shown(made)
        assert "others on the way can read the key" in shown(made)
        await made.press(pilot, *"s3cret")
        assert "s3cret" not in shown(made)
        await made.press(pilot, "escape")
        assert listed(made)
        await made.press(pilot, "enter", "enter")
        await made.settle(pilot)
        assert made.connected[-1].name == "open"
        assert not made.connected[-1].key
        assert made.app.context_name == "open"

    drive(act)


def test_a_server_that_wants_a_sign_in_is_asked_for_after_it_was_opened() -> None:
    def closed(client: FakeClient) -> None:
        for place in ("/auth/me", "/stats", "/queues", "/stats/minutes"):
            client.route("GET", place, REFUSED)

    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "at", "j", "j", "enter", "enter")
        await made.settle(pilot)
        await made.tick(pilot)
        assert isinstance(made.app.screen, LoginScreen)

    drive(act, others={"open": closed})


def test_a_refused_key_leads_to_another_one() -> None:
    def refusing(client: FakeClient) -> None:
        for place in ("/auth/me", "/stats", "/queues", "/stats/minutes"):
            client.route("GET", place, REFUSED)

    async def act(made: World, pilot: Pilot[Any]) -> None:
        assert "key refused for a" in shown(made)
        assert "Press @ to give another key." in shown(made)
        await made.press(pilot, "at")
        assert "✗ a     key refused" in shown(made)
        await made.press(pilot, "enter", *"better", "enter")
        await made.settle(pilot)
        assert made.connected[-1].key == KeySource(given="better")
        assert made.app.context_name == "a"

    drive(act, routes=refusing)


def test_another_address_is_checked_and_opened_for_this_run_only(tmp_path: Path) -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "at", "plus")
        await type_in(made, pilot, "ftp://c.example")
        assert "must begin with http:// or https://" in shown(made)
        await made.press(pilot, "escape", "plus")
        await type_in(made, pilot, "https://c.example/")
        await type_in(made, pilot, "key-of-c")
        await made.settle(pilot)
        opened = made.connected[-1]
        assert (opened.name, opened.url) == ("c.example", "https://c.example")
        assert opened.key == KeySource(given="key-of-c")
        assert not opened.saved
        assert made.app.state.context is None
        kept = tmp_path / "state.json"
        assert not kept.exists() or "key-of-c" not in kept.read_text()
        await made.tick(pilot)
        await made.press(pilot, "at")
        assert "c.example" in shown(made)

    drive(act, state_path=tmp_path / "state.json")


def test_an_address_that_is_known_is_opened_under_its_name_with_its_own_key() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "at", "plus")
        await type_in(made, pilot, "https://b.example/")
        await made.settle(pilot)
        assert made.connected[-1] == B

    drive(act)


def test_a_run_that_changes_nothing_changes_nothing_at_a_typed_address_either() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "at", "plus")
        await type_in(made, pilot, "https://c.example")
        await made.press(pilot, "enter")
        await made.settle(pilot)
        await made.tick(pilot)
        assert made.connected[-1].read_only
        assert made.app.locked == "context c.example is read-only"

    drive(act, settings={**SETTINGS, "read_only": True})


def test_a_key_that_cannot_be_had_is_told_and_the_screen_stays_where_it_is() -> None:
    wrong = ContextConfig(name="b", url="https://b.example", key=KeySource(variable="GQM_NO_SUCH_KEY"))

    async def act(made: World, pilot: Pilot[Any]) -> None:
        made.app.connect = connect
        await made.press(pilot, "at", "j", "enter")
        await made.settle(pilot)
        assert listed(made)
        assert "✗ GQM_NO_SUCH_KEY, which should hold the API key," in shown(made)
        await made.press(pilot, "escape")
        assert made.app.context_name == "a"
        assert closed_clients(made) == []

    drive(act, settings={"context": A, "contexts": (A, wrong)})


def test_a_program_that_gives_the_key_does_not_stop_the_screen() -> None:
    slow = ContextConfig(name="b", url="https://b.example", key=KeySource(command=("pass", "show", "b")))

    async def act(made: World, pilot: Pilot[Any]) -> None:
        asked, given = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()

        def read(context: ContextConfig) -> FakeClient:
            loop.call_soon_threadsafe(asked.set)
            asyncio.run_coroutine_threadsafe(given.wait(), loop).result(60)
            return made.others[context.name]

        made.app.connect = read
        await made.press(pilot, "at", "j", "enter")
        await asyncio.wait_for(asked.wait(), 60)
        await made.settle(pilot)
        assert "opening b…" in shown(made)
        given.set()
        async with asyncio.timeout(60):
            while made.app.context_name != "b":
                await pilot.pause()

    drive(act, settings={"context": A, "contexts": (A, slow)})


def test_a_change_under_way_is_sent_once_and_logged_for_the_server_it_went_to() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        gate = made.client.hold("/queues/queue-of-a/pause")
        await made.press(pilot, "p")
        await go_to_b(made, pilot)
        assert closed_clients(made) == []
        gate.set()
        await made.settle(pilot)
        (entry,) = made.app.acting.log
        assert (entry.context, entry.origin, entry.result) == ("a", "https://a.example", "done")
        await made.settle(pilot)
        assert closed_clients(made) == ["a"]
        assert made.others["b"].written == []
        # What was done there is not undone here.
        await made.press(pilot, "u")
        assert made.others["b"].written == []

    drive(act)


def test_the_dialog_takes_its_own_keys_only() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "at", "q", "2", "p")
        assert listed(made)
        assert made.client.written == []
        await made.press(pilot, "G", "enter", "q", "2")
        assert "q2" in shown(made)
        await made.press(pilot, "escape", "escape")
        assert not listed(made)
        await made.press(pilot, "at")
        await pilot.click(offset=(2, 2))
        await made.settle(pilot)
        assert not listed(made)

    drive(act)


def test_a_click_opens_a_context() -> None:
    async def act(made: World, pilot: Pilot[Any]) -> None:
        await made.press(pilot, "at")
        region = made.app.screen.query_one("#lines").region
        await pilot.click(offset=(region.x + 4, region.y + 1))
        await made.settle(pilot)
        assert made.app.context_name == "b"

    drive(act)


@pytest.mark.parametrize(
    ("session", "said"),
    [
        (None, "· not opened yet"),
        (Session(A, FakeClient(FakeClock())), "… no answer yet"),
        (Session(A, FakeClient(FakeClock()), down=True, down_at=40.0), "✗ down 1m00s"),
        (Session(A, FakeClient(FakeClock()), key_given=True, me_error=REFUSED), "✗ key refused"),
        (Session(A, FakeClient(FakeClock()), me_error=REFUSED, left_at=70.0), "✗ not signed in, 30s ago"),
    ],
)
def test_the_standing_of_a_context_in_words(session: Session | None, said: str) -> None:
    sign, words = standing(session, 100.0, Signs())
    assert f"{sign.text} {words.text}" == said


REDIRECTED = "307 Temporary Redirect"


def test_a_key_reaches_its_own_address_and_no_other() -> None:
    """Over real connections: the second server sends every request on to the first, and gets no key."""

    async def until(made: World, pilot: Pilot[Any], met: Callable[[], object]) -> None:
        async with asyncio.timeout(60):
            while not met():
                await made.tick(pilot, 0.1)

    async def run() -> None:
        refusal = answer(b'{"error":"sign in","code":"UNAUTHORIZED"}', "401 Unauthorized")
        async with pretended(refusal) as first, pretended(refusal) as second:
            to = f"http://127.0.0.1:{first.port}/api/v1/queues"
            second.answers = [answer(b"", REDIRECTED, f"Location: {to}")]
            with_key = ContextConfig(
                name="first", url=f"http://127.0.0.1:{first.port}", key=KeySource(given="key-of-first")
            )
            bare = ContextConfig(name="second", url=f"http://127.0.0.1:{second.port}")
            made = world(settings={"context": with_key, "contexts": (with_key, bare)})
            made.app.connect = connect
            async with made.app.run_test(size=WIDE) as pilot:
                await made.press(pilot, "at", "enter")
                made.app.contexts.open_named("second")
                await until(made, pilot, lambda: len(second.heads) >= 3)
                met = len(first.heads)
                await until(made, pilot, lambda: "PROTOCOL" in shown(made).upper())
                assert len(first.heads) == met
                made.app.contexts.open_named("first")
                await until(made, pilot, lambda: len(first.heads) >= met + 3)
                await made.app.action_quit()
            keys = {first.field("X-API-Key", at) for at in range(len(first.heads))}
            assert keys == {"key-of-first"}
            sent = [
                second.field(name, at) for at in range(len(second.heads)) for name in ("X-API-Key", "Cookie")
            ]
            assert set(sent) == {None}

    asyncio.run(run())
