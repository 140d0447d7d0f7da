"""Charts: the API's own numbers, gaps, ranges, tables and keys; and durations as people read them."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import redis
from playwright.sync_api import expect

from gqm.keys import Keys
from tests.api.support import serve
from tests.dashboard.browser import Visit
from tests.dashboard.seed import Engine

Visitor = Callable[..., Visit]
ASK = "async (path) => (await (await fetch('../api/v1' + path)).json())"


def cells(visit: Visit, chart: str) -> list[list[str]]:
    rows = visit.page.locator(f"#{chart} tbody tr")
    return [row.locator("th, td").all_inner_texts() for row in rows.all()]


def clock(minute: int) -> str:
    return time.strftime("%H:%M", time.gmtime(minute))


def test_tables_hold_what_the_api_says(visit: Visitor, open_shop: Engine) -> None:
    """B23: values, gaps, the running minute left out, other ranges."""
    browser = visit(open_shop, at="#/overview", timezone_id="UTC")
    page = browser.page
    for chart in ("throughput", "times", "days"):
        page.locator(f"#{chart}").get_by_role("button", name="Show as table").click()
    found = page.evaluate(ASK, "/stats/minutes?sum=true&minutes=60")
    minutes = [
        item for item in found["data"][0]["minutes"] if item["minute"] + 60 <= found["meta"]["server_time"]
    ]
    shown = cells(browser, "throughput")
    assert len(shown) == 59
    wanted = [[clock(item["minute"]), f"{item['processed']:,}", f"{item['failed']:,}"] for item in minutes]
    both = {row[0] for row in shown} & {row[0] for row in wanted}
    assert len(both) >= 58, "a minute may have passed between the page's question and ours"
    assert [row for row in shown if row[0] in both] == [row for row in wanted if row[0] in both]
    times = cells(browser, "times")
    assert ["none", "none"] in [row[1:] for row in times]
    assert {item["wait_avg_ms"] is None for item in minutes} == {True, False}
    days = page.evaluate(ASK, "/stats/daily?sum=true&days=30")["data"][0]["days"]
    assert [row[0] for row in cells(browser, "days")] == [day["date"] for day in days]
    assert cells(browser, "days")[1][1:] == [f"{days[1]['processed']:,}", f"{days[1]['failed']:,}"]
    page.get_by_label("Range of Days").select_option("7")
    expect(page.locator("#days tbody tr")).to_have_count(7)
    assert page.url.endswith("days=7")


def test_a_chart_is_read_by_keys_and_has_gaps(visit: Visitor, open_shop: Engine) -> None:
    """B23: Left and Right move a read-out that is announced; a null is a gap, not a zero."""
    browser = visit(open_shop, at="#/overview")
    page = browser.page
    plot = page.locator("#times .plot")
    expect(plot.locator("path.line").first).to_be_visible()
    assert plot.locator("path.line").first.get_attribute("d").count("M") >= 2  # type: ignore[union-attr]
    plot.focus()
    page.keyboard.press("End")
    last = page.locator("#times .when").inner_text()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#times .when")).not_to_have_text(last)
    expect(page.locator("#times [role=status]")).to_contain_text("Wait")
    expect(page.locator("#times .legend b").first).to_contain_text("ms")
    assert len(page.locator("#throughput svg text[text-anchor=end]").all()) <= 6


DURATIONS = {120: "120 ms", 12_400: "12.4 s", 185_000: "3 m 05 s", 7_320_000: "2 h 02 m"}


@pytest.mark.fault(5)
def test_durations_are_right(visit: Visitor, redis_socket: str, prefix: str) -> None:
    """B27: 120 ms is 120 ms."""
    with serve(f"unix:{redis_socket}", prefix, dashboard=True, rate_limit=-1) as api:
        with redis.Redis(unix_socket_path=redis_socket) as raw:
            for ms in DURATIONS:
                api.client.enqueue("t", job_id=f"j-{ms}")
                api.post(f"/api/v1/jobs/j-{ms}/cancel", key=None, headers={"X-GQM-CSRF": "1"})
                times = {"execution_duration": ms, "started_at": 1_790_000_000}
                raw.hset(Keys(prefix).job(f"j-{ms}"), mapping=times)
        browser = visit(api.port, at="#/jobs")
        for ms, text in DURATIONS.items():
            expect(browser.page.locator("tr", has_text=f"j-{ms}")).to_contain_text(text)
        for ms, text in DURATIONS.items():
            browser.go(f"#/jobs/j-{ms}")
            expect(browser.page.locator("#details")).to_contain_text(f"Ran\n{text}", use_inner_text=True)
