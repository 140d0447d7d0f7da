"""What outlives a reload, Back and a copied address: filters, sort, page, scroll, theme; and the keyboard."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import expect

from tests.api.support import Api, serve
from tests.dashboard.browser import Visit
from tests.dashboard.seed import Engine

Visitor = Callable[..., Visit]


@pytest.fixture
def api(redis_socket: str, prefix: str) -> Iterator[Api]:
    with serve(f"unix:{redis_socket}", prefix, dashboard=True, rate_limit=-1) as api:
        for n in range(45):
            api.client.enqueue("mail.send", queue="mail", job_id=f"m-{n:02}")
        api.client.enqueue("other", queue="mail", job_id="o-1")
        yield api


@pytest.mark.fault(10)
def test_filters_sort_and_page_are_in_the_address(visit: Visitor, api: Api) -> None:
    """B10: by reload, Back, and in another browser; typing makes no entries, choosing does."""
    browser = visit(api.port, at="#/jobs")
    page = browser.page
    depth = page.evaluate("history.length")
    page.get_by_label("Type").press_sequentially("mail.*")
    expect(page.locator("caption")).to_have_text("Jobs 1–20 of 45")
    expect(page).to_have_url(re.compile(r"#/jobs\?type=mail\.\*$"))
    assert page.evaluate("history.length") == depth
    page.get_by_role("button", name="Job", exact=True).click()
    page.get_by_role("button", name="Next").click()
    expect(page.locator("tbody tr").first).to_contain_text("m-20")
    address = page.url
    assert page.evaluate("history.length") == depth + 2
    page.reload()
    expect(page.locator("tbody tr").first).to_contain_text("m-20")
    expect(page.get_by_label("Type")).to_have_value("mail.*")
    page.evaluate("scrollTo(0, 400)")
    page.get_by_role("link", name="m-25").click()
    expect(page.locator("h1")).to_contain_text("m-25")
    expect(page.locator("h1")).to_be_focused()
    page.go_back()
    expect(page.get_by_role("link", name="m-25")).to_be_focused()
    assert page.evaluate("scrollY") == 400
    page.go_back()
    expect(page.locator("tbody tr").first).to_contain_text("m-00")
    other = visit(api.port, at="#" + address.partition("#")[2])
    expect(other.page.locator("tbody tr").first).to_contain_text("m-20")
    expect(other.page.get_by_role("columnheader", name="Job", exact=True)).to_have_attribute(
        "aria-sort", "ascending"
    )


def test_tabs_are_in_the_address_and_work_by_keys(visit: Visitor, api: Api) -> None:
    browser = visit(api.port, at="#/queues/mail")
    page = browser.page
    page.get_by_role("tab", name="ready").focus()
    page.keyboard.press("ArrowRight")
    expect(page).to_have_url(re.compile(r"\?status=scheduled$"))
    expect(page.get_by_role("tab", name="scheduled")).to_be_focused()
    expect(page.get_by_text("No scheduled jobs in this queue.")).to_be_visible()
    page.reload()
    expect(page.get_by_role("tab", name="scheduled")).to_have_attribute("aria-selected", "true")


@pytest.mark.fault(1)
def test_a_theme_is_kept_and_set_before_the_first_paint(visit: Visitor, open_shop: Engine) -> None:
    """B17: saved, there before anything is drawn, and the system's is followed."""
    browser = visit(open_shop, at="#/queues", color_scheme="light")
    page = browser.page
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(ground)
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(ground)
    assert (light, dark) == ("rgb(246, 247, 249)", "rgb(18, 22, 28)")
    page.get_by_label(re.compile("^Account")).click()
    page.get_by_label("Theme").select_option("light")
    assert page.evaluate(ground) == light
    page.route("**/js/main.js", lambda route: route.abort())
    page.reload(wait_until="domcontentloaded")
    assert page.evaluate(ground) == light
    assert page.evaluate("Object.keys(localStorage)") == ["gqm-theme"]


def test_shortcuts_and_their_help(visit: Visitor, api: Api) -> None:
    browser = visit(api.port, at="#/jobs")
    page = browser.page
    expect(page.locator("tbody tr")).to_have_count(20)
    page.keyboard.press("/")
    page.keyboard.press("x")
    page.keyboard.press("Escape")
    page.keyboard.press("]")
    expect(page).to_have_url(re.compile("page=2"))
    page.get_by_role("link", name="m-20").focus()
    page.keyboard.press("x")
    expect(page.get_by_text("1 selected on 1 page")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_text("1 selected on 1 page")).to_be_hidden()
    page.keyboard.press("?")
    help_ = page.get_by_role("dialog")
    for text in ("Open Queues", "Refresh", "Previous page", "Mark the row"):
        expect(help_).to_contain_text(text)
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("q")
    expect(page.locator("h1")).to_have_text("Queues")
