"""What keeps pages fresh: polling, the stream, outages, refusals, pauses; nothing is lost."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from gqm.monitor.options import Hooks
from gqm.monitor.server import HTTPServer
from tests.api.support import Api, serve
from tests.dashboard.browser import Visit
from tests.support.servers import ServerFactory
from tests.support.wait import eventually, throughout

Visitor = Callable[..., Visit]


@pytest.fixture
def api(redis_socket: str, prefix: str) -> Iterator[Api]:
    with serve(f"unix:{redis_socket}", prefix, dashboard=True, rate_limit=-1) as api:
        yield api


@pytest.fixture
def polled(redis_socket: str, prefix: str) -> Iterator[Api]:
    """An API without an event stream."""
    with serve(f"unix:{redis_socket}", prefix, hooks=Hooks(sse=False), dashboard=True, rate_limit=-1) as api:
        yield api


def pill(page: Page) -> str:
    return page.locator("#pill").inner_text()


def rows(page: Page) -> Any:
    return page.locator("tbody tr:not(.opened)")


@pytest.mark.fault(13)
@pytest.mark.fault(12)
def test_a_poll_leaves_everything_where_it_was(visit: Visitor, api: Api) -> None:
    """B11: focus, selection, scroll, page, open rows and typed text stay over polls and theme changes."""
    for n in range(60):
        api.client.enqueue("t", job_id=f"j-{n:02}")
    browser = visit(api.port, at="#/jobs?sort=id&order=asc", width=1000)
    page = browser.page
    page.get_by_role("button", name="Next").click()
    expect(rows(page).first).to_contain_text("j-20")
    page.get_by_label("Select j-21").check()
    page.get_by_label("Details of j-22").click()
    box = page.get_by_label("Worker")
    box.evaluate("el => { el.value = 'half typ'; el.focus(); el.setSelectionRange(2, 4); }")
    page.evaluate("scrollTo(0, 300)")
    page.evaluate("document.querySelectorAll('tbody tr').forEach((row, i) => { row.mark = i; })")
    before = len(browser.api())
    api.client.enqueue("t", job_id="j-60")
    expect(page.locator("caption")).to_have_text("Jobs 21–40 of 61")
    page.evaluate("import('./js/dom.js').then(({update}) => update())")
    browser.page.emulate_media(color_scheme="dark")
    assert len(browser.api()) > before
    expect(page.get_by_label("Select j-21")).to_be_checked()
    expect(page.get_by_label("Details of j-22")).to_have_attribute("aria-expanded", "true")
    expect(box).to_have_value("half typ")
    expect(box).to_be_focused()
    assert box.evaluate("el => [el.selectionStart, el.selectionEnd]") == [2, 4]
    assert page.evaluate("[scrollY, document.querySelector('tbody tr').mark]") == [300, 0]
    assert page.url.endswith("page=2")


NOTE_STATES = """() => {
    window.seen = [];
    const pill = document.getElementById('pill'), note = () => {
        const state = pill.querySelector('[role=status]').textContent;
        if (state !== seen.at(-1)) seen.push(state);
    };
    new MutationObserver(note).observe(pill, {subtree: true, childList: true, characterData: true});
}"""


@pytest.mark.fault(14)
def test_a_stopped_server_is_stale_then_offline_and_comes_back(visit: Visitor, polled: Api) -> None:
    """B12, first half."""
    polled.client.enqueue("t", job_id="j-1")
    browser = visit(polled.port, at="#/jobs/j-1", pace=4)
    page = browser.page
    expect(page.locator("#pill")).to_have_text("Live")
    page.evaluate(NOTE_STATES)
    polled.server.stop(0.1)
    expect(page.locator("#pill")).to_contain_text("Offline: the server does not answer, retry in")
    assert page.evaluate("seen.filter((name) => name !== 'Live')")[:2] == ["Stale", "Offline"]
    expect(page.locator("#details")).to_contain_text("j-1")
    again = HTTPServer(polled.app, f"127.0.0.1:{polled.port}")
    again.start()
    expect(page.locator("#pill")).to_have_text("Live")
    again.stop(0.1)


def test_without_redis_the_last_data_stay_under_a_banner(
    visit: Visitor, start_server: ServerFactory, prefix: str
) -> None:
    """B12, second half: no zeros, controls off, and all is well again without a reload."""
    server = start_server()
    with serve(f"unix:{server.socket}", prefix, dashboard=True, rate_limit=-1) as api:
        for n in range(7):
            api.client.enqueue("t", queue="billing", job_id=f"j-{n}")
        browser = visit(api.port, at="#/queues/billing", pace=3)
        page = browser.page
        expect(page.locator("#sizes .stat").first).to_contain_text("7")
        server.stop()
        expect(page.locator(".banner")).to_contain_text("Redis is away since")
        expect(page.locator("#sizes .stat").first).to_contain_text("7")
        expect(rows(page)).to_have_count(7)
        expect(page.get_by_role("button", name="Pause billing")).to_be_disabled()
        server.start()
        expect(page.locator(".banner")).to_have_count(0)
        expect(page.locator("#pill")).to_have_text("Live")


def test_too_many_requests_are_waited_out(visit: Visitor, polled: Api) -> None:
    """B13: Retry-After is obeyed, the pill says Slowed."""
    browser = visit(polled.port, at="#/queues", pace=4)
    page = browser.page
    expect(page.locator("#pill")).to_have_text("Live")
    asked: list[float] = []

    def refuse(route: Route) -> None:
        asked.append(time.monotonic())
        answer = {"error": "too many requests", "code": "RATE_LIMITED"}
        route.fulfill(status=429, headers={"Retry-After": "4"}, json=answer)

    page.route("**/api/v1/queues", refuse)
    browser.button("Refresh").click()
    expect(page.locator("#pill")).to_contain_text("Slowed")
    expect(page.locator("#queues-list .late")).to_be_visible()
    eventually(lambda: (page.wait_for_timeout(100), len(asked) > 1)[1], timeout=30)
    assert asked[1] - asked[0] >= 0.95
    page.unroute("**/api/v1/queues")
    expect(page.locator("#pill")).to_have_text("Live")


@pytest.mark.fault(24)
def test_a_late_answer_is_not_shown(visit: Visitor, polled: Api) -> None:
    """B14: the answer about queue A comes when B is open."""
    for name in ("aaa", "bbb"):
        polled.client.enqueue("t", queue=name, job_id=f"of-{name}")
    browser = visit(polled.port, at="#/jobs")
    page = browser.page
    expect(rows(page)).to_have_count(2)
    held: list[Route] = []
    page.route("**/queues/aaa/jobs*", lambda route: held.append(route))
    browser.go("#/queues/aaa")
    eventually(lambda: (page.wait_for_timeout(50), held)[1])
    browser.go("#/queues/bbb")
    expect(page.locator("#jobs")).to_contain_text("of-bbb")
    for route in held:
        route.continue_()
    page.wait_for_load_state("networkidle")
    expect(page.locator("#jobs")).to_contain_text("of-bbb")
    assert "of-aaa" not in page.inner_text("#content")


def test_an_event_shows_within_moments(visit: Visitor, api: Api) -> None:
    """B15, first half: by the stream, much earlier than the safety poll."""
    api.client.enqueue("t", job_id="j-1")
    browser = visit(api.port, at="#/jobs/j-1")
    expect(browser.page.locator("#title .badge")).to_contain_text("ready")
    eventually(
        lambda: (browser.page.wait_for_timeout(50), any("/events" in line for line in browser.api()))[1]
    )
    browser.page.wait_for_timeout(300)  # the stream has to be open before the change
    api.post("/api/v1/jobs/j-1/cancel", key=None, headers={"X-GQM-CSRF": "1"})
    expect(browser.page.locator("#title .badge")).to_contain_text("canceled", timeout=15_000)


def test_without_a_stream_polling_shows_it(visit: Visitor, api: Api) -> None:
    """B15, second half: the stream is refused; the page is read once an interval."""
    api.client.enqueue("t", job_id="j-1")
    browser = visit(api.port, at=None, pace=2)
    refusal = {"error": "too many streams", "code": "SERVER_BUSY"}
    browser.page.route("**/api/v1/events*", lambda route: route.fulfill(status=503, json=refusal))
    browser.go("#/jobs/j-1")
    expect(browser.page.locator("#title .badge")).to_contain_text("ready")
    api.post("/api/v1/jobs/j-1/cancel", key=None, headers={"X-GQM-CSRF": "1"})
    expect(browser.page.locator("#title .badge")).to_contain_text("canceled", timeout=10_000)
    expect(browser.page.locator("#pill")).to_have_text("Live")


HIDE = """hidden => {
    Object.defineProperty(document, 'hidden', {get: () => hidden, configurable: true});
    document.dispatchEvent(new Event('visibilitychange'));
}"""


@pytest.mark.parametrize("way", ["hidden", "paused"])
def test_a_tab_that_nobody_sees_asks_for_nothing(visit: Visitor, polled: Api, way: str) -> None:
    """B16: no request for half a minute while hidden or paused, one round on return, in place."""
    polled.client.enqueue("t", job_id="j-1")
    browser = visit(polled.port, at="#/jobs/j-1", pace=20)
    page = browser.page
    expect(page.locator("#details")).to_be_visible()
    if way == "hidden":
        page.evaluate(HIDE, True)
    else:
        browser.button("Pause updates").click()
        expect(page.locator("#pill")).to_have_text("Paused")
    page.wait_for_timeout(100)  # what was under way is told a moment later
    before = len(browser.api())
    throughout(lambda: (page.wait_for_timeout(100), len(browser.api()) == before)[1], 1.6)
    if way == "hidden":
        page.evaluate(HIDE, False)
    else:
        page.keyboard.press("p")
    expect(page.locator("#pill")).to_have_text("Live")
    eventually(lambda: (page.wait_for_timeout(50), len(browser.api()) > before)[1])
    paths = [re.sub(r".*/api/v1|\?.*", "", line) for line in browser.api()[before:]]
    assert sorted(paths[:3]) == ["/jobs/j-1", "/jobs/j-1/attempts", "/stats"]


def test_after_a_refresh_the_page_goes_on_by_itself(visit: Visitor, polled: Api) -> None:
    """What is asked for in between, by Refresh or after an action, ends no loop."""
    polled.client.enqueue("t", job_id="j-1")
    browser = visit(polled.port, at="#/jobs/j-1", pace=5)
    page = browser.page
    browser.drawn()
    for _ in range(2):
        browser.button("Refresh").click()
    before = len(browser.api())
    eventually(lambda: (page.wait_for_timeout(50), len(browser.api()) >= before + 9)[1], timeout=30)
    polled.post("/api/v1/jobs/j-1/cancel", key=None, headers={"X-GQM-CSRF": "1"})
    expect(page.locator("#title .badge")).to_contain_text("canceled")


def test_an_idle_page_asks_at_most_once_a_second(visit: Visitor, polled: Api) -> None:
    """B32: the overview, which asks for the most."""
    browser = visit(polled.port, at="#/overview", pace=10)
    expect(browser.page.locator("#runtime dd").first).to_be_visible()
    browser.drawn()
    before = len(browser.api())
    start = browser.page.evaluate("performance.now()")
    browser.page.wait_for_timeout(2000)
    seconds = (browser.page.evaluate("performance.now()") - start) / 1000
    assert 1 <= len(browser.api()) - before <= seconds + 2
