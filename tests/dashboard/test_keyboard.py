"""The keyboard alone: from the sign-in to the sign-out, shortcuts and their help, tabs, rows, graphs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import redis
from playwright.sync_api import Page, expect

from gqm.store.sync import Store
from tests.api.support import PASSWORD, SIGN_IN, serve
from tests.dashboard.browser import Visit
from tests.dashboard.desk import Desk
from tests.support.keyspace import Keyspace

Visitor = Callable[..., Visit]


@pytest.fixture
def guarded(visit: Visitor, redis_socket: str, prefix: str) -> Iterator[Desk]:
    """A desk with sign-in: three jobs that failed, and a small graph."""
    with serve(f"unix:{redis_socket}", prefix, dashboard=True, rate_limit=-1, **SIGN_IN) as api:
        raw = redis.Redis(unix_socket_path=redis_socket)
        desk = Desk(api, Keyspace(Store(api.client._link), raw), visit(api.port, at=None))
        for n in range(3):
            desk.fail("ValueError: no lines", job_id=f"d-{n}")
        desk.chain("top", "left", "right")
        yield desk
        raw.close()


HELP = """rows => rows.map(({firstChild: name, lastChild: text}) =>
    [[...name.children].map((key) => key.innerText).join(" "), text.innerText])"""

KNOWN = "import('./js/shell.js').then(({SHORTCUTS}) => SHORTCUTS.map((row) => row.slice(0, 2)))"


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until the focus is on a match, as one must; what has the focus can be seen to have it."""
    for _ in range(120):
        page.keyboard.press("Tab")
        on = page.evaluate(
            "css => [document.activeElement.matches(css), document.activeElement"
            ".matches(':focus-visible, body')]",
            selector,
        )
        assert on[1], "the focus cannot be seen"
        if on[0]:
            return
    raise AssertionError(f"Tab does not reach {selector}")


def jump(page: Page, key: str) -> None:
    page.keyboard.press("g")
    page.keyboard.press(key)


def sign_in_and_filter(desk: Desk) -> None:
    page, keys = desk.page, desk.page.keyboard
    expect(page.get_by_label("User name")).to_be_focused()
    keys.type("ana")
    keys.press("Tab")
    keys.type(PASSWORD)
    keys.press("Enter")
    rows = page.locator("#jobs tbody tr")
    expect(rows).to_have_count(6)
    keys.press("/")
    tab_to(page, "#filter-q")
    keys.type("d-")
    expect(rows).to_have_count(3)


def retry_one(desk: Desk) -> None:
    page, keys = desk.page, desk.page.keyboard
    tab_to(page, 'a[href="#/jobs/d-0"]')
    keys.press("Enter")
    expect(page.locator("h1")).to_contain_text("Job d-0")
    expect(page.locator("h1")).to_be_focused()
    tab_to(page, "#actions button.primary")
    keys.press("Enter")
    desk.told("d-0 is ready")


def delete_two(desk: Desk) -> None:
    page, keys = desk.page, desk.page.keyboard
    jump(page, "j")
    rows, dialog = page.locator("#jobs tbody tr"), page.get_by_role("dialog")
    expect(page.locator("h1")).to_have_text("Jobs")
    expect(rows).to_have_count(6)
    for name in ("d-2", "d-1"):
        tab_to(page, f'a[href="#/jobs/{name}"]')
        keys.press("x")
        expect(page.get_by_label(f"Select {name}")).to_be_checked()
    tab_to(page, ".selection .danger:last-child")
    keys.press("Enter")
    expect(dialog).to_contain_text("2 of 2 jobs can be changed.")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    keys.press("Tab")
    keys.press("Enter")
    desk.told("Delete: 2 done, 0 refused")
    expect(rows).to_have_count(4)


def walk_a_graph(desk: Desk) -> None:
    page, keys = desk.page, desk.page.keyboard
    jump(page, "d")
    expect(page.locator("#chains-list")).to_be_visible()
    tab_to(page, "input[name=job]")
    keys.type("top")
    keys.press("Enter")
    expect(page.locator("g.node")).to_have_count(3)
    tab_to(page, "g.node")
    keys.press("ArrowDown")
    keys.press("ArrowRight")
    expect(page.locator('[data-id="right"]')).to_be_focused()
    keys.press("Enter")
    expect(page.locator(".node-panel")).to_contain_text("right")
    keys.press("Escape")
    expect(page.locator(".node-panel")).to_have_count(0)


def read_the_help(page: Page) -> None:
    page.keyboard.press("?")
    listed = page.get_by_role("dialog").locator("dl > div").evaluate_all(HELP)
    assert listed == page.evaluate(KNOWN)
    assert len(listed) == 17
    page.keyboard.press("Escape")


@pytest.mark.fault(21)
def test_all_of_it_without_a_pointer(guarded: Desk) -> None:
    """B19: sign in, filter, open a job, retry it, delete two, walk a graph, read the help, sign out."""
    page, keys = guarded.page, guarded.page.keyboard
    guarded.go("jobs")
    sign_in_and_filter(guarded)
    retry_one(guarded)
    delete_two(guarded)
    walk_a_graph(guarded)
    read_the_help(page)
    tab_to(page, "#account > summary")
    keys.press("Enter")
    tab_to(page, "[data-do=leave]")
    keys.press("Enter")
    expect(page.get_by_label("User name")).to_be_focused()
    calls = ["/login", "/jobs/d-0/retry", "/jobs/batch/delete", "/logout"]
    assert guarded.sent() == [("POST", call) for call in calls]
