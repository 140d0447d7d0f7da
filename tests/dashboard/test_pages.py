"""Every page: with data, without, filtered to nothing, for viewers, narrow, readable by everyone."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from gqm.monitor.static import built_in_folder
from tests.dashboard.browser import Visit
from tests.dashboard.desk import Desk
from tests.dashboard.seed import Engine

Visitor = Callable[..., Visit]
PAGES = sorted(
    path.stem
    for path in (built_in_folder() / "js" / "pages").iterdir()
    if path.stem not in ("login", "queue", "job")
)
"""The pages of the navigation."""
DETAILS = (
    "queues/billing",
    "queues/video%3A4k.main?status=canceled",
    "jobs/inv-990",
    "jobs/img-0",
    "jobs/led-1",
    "failed?tab=all&queue=billing",
    "scheduler/tidy",
    "dag/ingest-7?node=scan-7",
    "dag/ingest-7?view=list&node=scan-7",
)
STATUSES = ("scheduled", "retry", "deferred", "canceled", "stopped", "failed")

AXE_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
AXE_RUN = """async (runOnly) => (await axe.run(document, {resultTypes: ['violations'], runOnly}))
    .violations.flatMap(({id, nodes}) => nodes.map(({html, any, all, none}) =>
        `${id}: ${html.slice(0, 160)} ${[...any, ...all, ...none].map(({message}) => message).join()}`))"""


OUTSIDE = """() => [...document.querySelectorAll('a[href], button, input, select, summary')].filter((el) => {
    if (!el.checkVisibility() || el.closest('.unseen, .skip, .tabs, pre, .numbers, dialog')) return false;
    const {left, right} = el.getBoundingClientRect();
    return left < 0 || right > innerWidth;
}).map((el) => el.outerHTML.slice(0, 160))"""
"""The controls that no scrolling brings into view."""


@pytest.fixture(scope="module")
def axe() -> str:
    """The script of axe-core, from the package that carries it; without it tests skip, in CI they fail."""
    found = importlib.util.find_spec("axe_playwright_python")
    if found is None or found.origin is None:
        if os.environ.get("CI"):
            pytest.fail("axe-playwright-python is not installed, and CI must test accessibility")
        pytest.skip("axe-playwright-python is not installed")
    return Path(found.origin).with_name("axe.min.js").read_text("utf-8")


def audit(page: Page) -> list[str]:
    """What axe has against the page."""
    found: list[str] = page.evaluate(AXE_RUN, AXE_RULES)
    return found


def sideways(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > innerWidth"))


@pytest.mark.fault(18)
@pytest.mark.fault(20)
@pytest.mark.fault(22)
@pytest.mark.parametrize("third", range(3))
def test_every_page_shows_its_data_and_can_be_read_by_everyone(
    visit: Visitor, open_shop: Engine, axe: str, third: int
) -> None:
    """B4, B18, B20: with data, in both themes, at three widths; axe finds nothing, nothing sticks out."""
    browser = visit(open_shop, at="#/queues", color_scheme="light")
    page = browser.page
    page.evaluate(axe)
    for route in (*PAGES, *DETAILS)[third::3]:
        browser.go(f"#/{route}")
        shown = page.locator("#content").get_by_text("could not be shown")
        browser.drawn()
        expect(page).to_have_title(page.locator("#title").inner_text().split("\n")[0] + " · GQM")
        assert shown.count() == 0, route
        if (toggler := page.locator(".toggler[aria-expanded=false]:visible")).count():
            toggler.first.press("Enter")
            expect(page.locator(".opened")).to_have_count(1)
            browser.drawn()
        assert audit(page) == [], route
        page.emulate_media(color_scheme="dark")
        page.set_viewport_size({"width": 768, "height": 800})
        assert not sideways(page), (route, 768)
        page.set_viewport_size({"width": 360, "height": 800})
        assert not sideways(page), (route, 360)
        assert page.evaluate(OUTSIDE) == [], (route, 360)
        assert audit(page) == [], (route, "dark and narrow")
        page.set_viewport_size({"width": 1280, "height": 800})
        page.emulate_media(color_scheme="light")
        assert not sideways(page), (route, 1280)


@pytest.mark.fault(18)
@pytest.mark.fault(20)
def test_every_status_can_be_seen_and_dialogs_can_be_read(
    visit: Visitor, open_shop: Engine, axe: str
) -> None:
    """B4, B18: lists of each status; a modal dialog has a name, begins on Cancel, and Esc closes it."""
    browser = visit(open_shop, at="#/jobs?status=retry")
    page = browser.page
    page.get_by_label("Select this page").check()
    browser.button("Delete").click()
    dialog = page.get_by_role("dialog", name="Delete: 4 selected jobs")
    expect(dialog).to_contain_text("4 of 4 jobs can be changed.")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    assert dialog.evaluate("el => el.matches(':modal')")
    page.evaluate(axe)
    assert audit(page) == []
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    for status in STATUSES:
        browser.go(f"#/jobs?status={status}")
        expect(page.locator("#jobs tbody .badge").first).to_contain_text(status)


REDRAW = """async () => {
    const {update} = await import('./js/dom.js');
    const quiet = '#content .quiet', find = () => [...document.querySelectorAll(quiet)];
    const places = () => String(find().map((el) => el.parentElement.className));
    const before = find(), were = places();
    for (let i = 0; i < 3; i += 1) { update(); await new Promise(setTimeout); }
    return before.length === 2 && find().every((el, i) => el === before[i]) && places() === were;
}"""


def test_pages_without_data_say_so(desk: Desk) -> None:
    """B4: no data, and a filter that matches nothing; no redraw puts another button below the pointer."""
    page = desk.page
    for route, text in (
        ("audit", "No entry yet"),
        ("audit", "No API key"),
        ("dag", "No chain yet"),
        ("dag", "No deferred jobs"),
        ("failed", "No dead letter jobs"),
        ("jobs", "No job yet"),
        ("overview", "Nothing needs attention."),
        ("queues", "No queue yet"),
        ("scheduler", "No schedule yet"),
        ("servers", "No server is running"),
        ("workers", "No worker is running"),
    ):
        desk.go(route)
        expect(page.locator("#content")).to_contain_text(text)
        assert page.get_by_text("could not be shown").count() == 0
    desk.api.client.enqueue("t")
    desk.beat(crons='["tidy"]')
    for route, said in (
        ("queues?q=nothing", "0 of 1 match"),
        ("jobs?q=nothing", "0 of 0 match"),
        ("servers?q=nothing", "0 of 1 match"),
        ("workers?pool=nothing", "0 of 1 match"),
        ("failed?error=nothing", "0 of 0 match"),
        ("audit?actor=nobody", "0 of 0 match"),
    ):
        desk.go(route)
        expect(page.locator(".state-title").first, route).to_have_text(said)
    desk.go("queues?q=nothing")
    expect(page.locator("#queues-list .state-title")).to_have_text("0 of 1 match")
    assert page.evaluate(REDRAW), "a redraw moved the buttons"
    page.locator(".panel").get_by_role("button", name="Clear filters").click()
    expect(page.locator("#queues tbody tr")).to_have_count(1)
    expect(page.get_by_role("button", name="Clear filters")).to_have_count(0)


BETWEEN = """async () => {
    const {h, render} = await import('./js/dom.js'), box = document.createElement('div');
    document.body.append(box);
    const actions = () => h('div.actions', h('button', 'Retry'));
    const draw = (more) => render(box, h('p', 'a'), more && h('div.code', 'late'), actions());
    draw(false);
    const button = box.querySelector('button');
    button.focus();
    draw(true);
    const kept = box.querySelector('button') === button && document.activeElement === button;
    const order = [...box.children].map((el) => el.className).join();
    box.remove();
    return [kept, order];
}"""


def test_what_comes_between_two_parts_moves_neither(visit: Visitor, open_shop: Engine) -> None:
    """A part that is drawn later, as a traceback is, leaves the buttons behind it as they are."""
    browser = visit(open_shop, at="#/queues")
    browser.drawn()
    assert browser.page.evaluate(BETWEEN) == [True, ",code,actions"]


def test_unknown_pages_objects_and_queries_are_told(visit: Visitor, open_shop: Engine) -> None:
    browser = visit(open_shop, at="#/nowhere")
    page = browser.page
    expect(page.locator("h1")).to_have_text("Page not found")
    for route, said in (
        ("jobs/no-such-job", "Job no-such-job does not exist or has expired"),
        ("queues/no-such-queue", "There is no queue no-such-queue"),
        ("workers/none@nowhere", "Worker none@nowhere is not there any more"),
        ("scheduler/never", "There is no cron entry never"),
        ("dag/nobody", "Job nobody does not exist or has expired"),
    ):
        browser.go(f"#/{route}")
        expect(page.get_by_text(said)).to_be_visible()
    browser.go("#/jobs?size=7&sort=oops&nonsense=1&status=retry")
    expect(page.locator(".banner")).to_contain_text("size, sort, nonsense")
    expect(page.locator("tbody tr")).to_have_count(4)


BANNED = {
    *("Pause", "Resume", "Empty", "Retry", "Run now", "Cancel", "Delete", "Enqueue job", "Enqueue copy"),
    *("Trigger", "Enable", "Disable", "Forget", "Retry group", "Delete group", "Retry all", "Clear all"),
    *("Retry dead letter", "Retry all dead letter", "Clear dead letter"),
}


@pytest.mark.fault(7)
def test_a_viewer_meets_no_control(visit: Visitor, guarded_shop: Engine) -> None:
    """B5: no admin control, no box, no Audit link, in opened rows neither; #/audit is forbidden."""
    browser = visit(guarded_shop)
    browser.sign_in("vic")
    page = browser.page
    expect(page.locator("#title")).to_have_text("Overview")
    for route in (*PAGES, *DETAILS, "workers?pool=images"):
        if route == "audit":
            continue
        browser.go(f"#/{route}")
        browser.drawn()
        if (toggler := page.locator(".toggler[aria-expanded=false]:visible")).count() and route != "jobs":
            toggler.first.click()
            expect(page.locator(".opened").first).to_be_visible()
            browser.drawn()
        names = {name.strip() for name in page.locator("main button:not(.sort)").all_inner_texts()}
        assert not names & BANNED, route
        assert not page.locator("main tbody input[type=checkbox]").count(), route
    browser.go("#/audit")
    expect(page.locator("#content")).to_contain_text("Your role is viewer; this needs the role admin.")
    expect(page.locator("table, .filters")).to_have_count(0)
    expect(page.get_by_role("link", name="Audit")).to_be_hidden()
    page.get_by_label("Account: vic").click()
    expect(page.get_by_text("viewer · read only")).to_be_visible()


@pytest.mark.fault(17)
def test_odd_names_reach_the_right_object(desk: Desk) -> None:
    """B22: links and calls of queues with `:` and `.`, ids with `.` and `_`."""
    page, client = desk.page, desk.api.client
    client.enqueue("t", queue="video:4k.main", job_id="a.b_c-1")
    client.enqueue("t", queue="video:4k", job_id="a.b_c-2")
    desk.go("queues")
    page.get_by_role("link", name="video:4k.main").click()
    expect(page).to_have_url(desk.browser.base + "#/queues/video%3A4k.main")
    expect(page.locator("#jobs")).to_contain_text("a.b_c-1")
    page.get_by_role("link", name="a.b_c-1").click()
    expect(page.locator("h1")).to_contain_text("a.b_c-1")
    desk.button("Cancel").click()
    desk.button("Cancel job").click()
    desk.told("a.b_c-1 is canceled")
    ended = [client.get(name).status for name in ("a.b_c-1", "a.b_c-2")]  # type: ignore[union-attr]
    assert ended == ["canceled", "ready"]


def test_an_export_is_no_formula(desk: Desk) -> None:
    """B30: what a spreadsheet would compute is told to be text."""
    page = desk.page
    for number, text in enumerate(("=1+1", "+1", "-1", "@x", "plain, with comma")):
        desk.api.client.enqueue("t", job_id=f"j-{number}")
        desk.space.raw.hset(desk.space.keys.job(f"j-{number}"), "type", text)
    desk.go("jobs")
    expect(page.locator("tbody tr")).to_have_count(5)

    def save(label: str) -> str:
        page.locator("summary", has_text="Export").click()
        with page.expect_download() as found:
            desk.button(label).click()
        return Path(found.value.path()).read_text("utf-8")

    rows = save("This page as CSV").splitlines()
    assert rows[0].startswith("Job,Type,Queue,Status")
    types = {row.partition(",")[2].rpartition(",default")[0] for row in rows[1:]}
    assert types == {"'=1+1", "'+1", "'-1", "'@x", '"plain, with comma"'}
    found: list[Any] = json.loads(save("This page as JSON"))
    assert len(found) == 5


def test_an_error_that_comes_late_is_not_about_the_page_that_is_shown(
    visit: Visitor, open_shop: Engine
) -> None:
    """A module that cannot be loaded tells so on its page, and only there."""
    browser = visit(open_shop, at="#/queues")
    page = browser.page
    browser.drawn()
    held: list[Any] = []
    page.route("**/pages/scheduler.js", lambda route: held.append(route))
    with page.expect_request("**/pages/scheduler.js"):
        browser.go("#/scheduler")
    browser.go("#/servers")
    expect(page.locator("#servers")).to_be_visible()
    with page.expect_event("requestfailed"):
        held.pop().abort()
    page.evaluate("import('./js/dom.js').then(({update}) => update())")
    expect(page.locator("#servers")).to_be_visible()
    assert page.get_by_text("could not be shown").count() == 0
    page.unroute("**/pages/scheduler.js")
    page.route("**/pages/scheduler.js", lambda route: route.abort())
    browser.go("#/scheduler")
    expect(page.get_by_text("This page could not be shown")).to_be_visible()
    page.unroute("**/pages/scheduler.js")
    browser.button("Try again").click()
    expect(page.locator("#cron")).to_be_visible()
