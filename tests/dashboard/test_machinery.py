"""Servers, workers and the scheduler: who lives, what runs where, when entries fire, and their controls."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.dashboard.browser import Visit
from tests.dashboard.desk import ONE, TWO, Desk
from tests.dashboard.seed import Engine
from tests.support.crontab import entry

Visitor = Callable[..., Visit]


# -- servers and workers


@pytest.mark.fault(3)
def test_a_heartbeat_has_its_age_and_a_lost_server_is_stale(desk: Desk) -> None:
    """B28: ages by the server's clock; two servers with one pool name are two rows; a dead one is stale."""
    page, space = desk.page, desk.space
    desk.beat(ONE)
    desk.beat(TWO, version="0.9.0")
    now = int(space.now())
    space.raw.hset(space.keys.server(TWO), "started_at", now - 7300)
    desk.go("servers")
    rows = page.locator("#servers tbody tr")
    expect(rows).to_have_text([re.compile(f"{ONE}.*active"), re.compile(f"{TWO}.*active.*0.9.0 differs")])
    expect(rows.first).to_contain_text("0 / 4")
    expect(rows.last.locator("time").last).to_have_text("2 h ago")
    desk.go("workers")
    workers = page.locator("#workers tbody tr")
    expect(workers).to_have_text([re.compile(f"p{ONE}.*active"), re.compile(f"p{TWO}.*active")])
    space.raw.hset(space.keys.server(ONE), "last_heartbeat", now - 33)
    space.raw.hset(space.keys.worker(f"p@{ONE}"), "last_heartbeat", (now - 33) * 10**9)
    space.end_lease(ONE)
    desk.button("Refresh").click()
    expect(workers.first.locator(".badge")).to_contain_text("stale")
    expect(workers.first.locator("time").first).to_have_text(re.compile(r"^3\d s ago$"))
    page.get_by_label("Status").select_option("stale")
    expect(workers).to_have_count(1)
    workers.get_by_role("link", name=ONE).click()
    expect(page).to_have_url(re.compile(f"#/servers\\?q={ONE}$"))
    expect(rows).to_have_count(1)
    expect(rows.locator(".badge")).to_contain_text("stale")
    rows.get_by_role("link", name="p", exact=True).click()
    expect(page).to_have_url(re.compile(f"#/workers\\?server={ONE}&pool=p$"))
    expect(workers).to_have_count(1)


@pytest.mark.fault(4)
def test_three_running_jobs_are_three(visit: Visitor, open_shop: Engine) -> None:
    """B28: slots, and the opened row with each job's time of its allowance; it stays open over polls."""
    browser = visit(open_shop, at="#/workers?pool=images")
    page = browser.page
    row = page.locator("#workers tbody tr").first
    expect(row).to_contain_text("3 / 3", timeout=15_000)  # told with the next heartbeat
    row.locator(".toggler").click()
    active = page.locator(".opened tbody tr")
    expect(active).to_have_count(3)
    expect(active.first).to_contain_text(re.compile(r"of 30 m 00 s"))
    browser.button("Refresh").click()
    expect(active).to_have_count(3)
    row.get_by_role("link", name="images", exact=True).first.click()
    expect(page.locator("h1")).to_contain_text("Worker images@")
    expect(active).to_have_count(3)
    browser.go("#/workers/none@nowhere")
    expect(page.get_by_text("Worker none@nowhere is not there any more")).to_be_visible()


def test_an_active_job_can_be_canceled(desk: Desk) -> None:
    """B6: the control of an opened worker asks, calls and quotes."""
    desk.space.running(1, server=ONE, job_id="long-1")
    desk.go(f"workers/p%40{ONE}")
    desk.button("Cancel long-1").click()
    desk.page.keyboard.press("Escape")
    assert desk.sent() == []
    desk.button("Cancel long-1").click()
    desk.confirm("Cancel job")
    desk.told("long-1 is canceled")
    assert desk.sent() == [("POST", "/jobs/long-1/cancel")]


# -- the scheduler


@pytest.mark.fault(16)
def test_entries_say_when_they_run_in_words(desk: Desk) -> None:
    """B26: words, next and last run for entries of 5 and 6 fields; orphaned, paused, and their filters."""
    cron, page = desk.cron, desk.page
    now = cron.now()
    cron.put(entry("five", cron_expr="30 1 * * *", timezone="Asia/Tokyo", next_run=now + 9000))
    cron.put(
        entry("six", name="Every minute", cron_expr="0 * * * * *", next_run=now + 115, last_run=now - 300)
    )
    cron.put(entry("off", enabled=False))
    cron.put(entry("gone"))
    desk.beat(crons='["five", "six", "off"]')
    desk.go("scheduler")
    row = {name: page.locator("#cron tbody tr", has_text=name) for name in ("five", "six", "off", "gone")}
    expect(row["five"]).to_contain_text(re.compile(r"30 1 \* \* \*at 01:30.*Asia/Tokyo.*active"))
    expect(row["five"]).to_contain_text(re.compile(r"in 2 h.*GMT\+9.*here .*never"))
    expect(row["six"]).to_contain_text(re.compile(r"Every minute0 \* \* \* \* \*every minute"))
    expect(row["six"]).to_contain_text(re.compile(r"in 1 min.*5 min ago"))
    expect(row["off"]).to_contain_text("paused")
    expect(row["gone"]).to_contain_text("orphaned")
    page.get_by_label("State").select_option("orphaned")
    expect(page.locator("#cron tbody tr")).to_have_count(1)
    page.get_by_label("Entry or job type").fill("nothing")
    expect(page.locator(".state-title")).to_have_text("0 of 4 match")
    page.locator(".panel").get_by_role("button", name="Clear filters").click()
    expect(page.locator("#cron tbody tr")).to_have_count(4)


@pytest.mark.fault(2)
def test_a_trigger_shows_in_the_history(desk: Desk) -> None:
    """B6, B26: trigger, disable, undo, enable: what they call, ask and quote; the history has the job."""
    page, button = desk.page, desk.button
    desk.cron.put(
        entry("tidy", cron_expr="0 30 1 * * *", payload=b'{"what": 12345678901234567890}', timeout=90)
    )
    desk.beat(crons='["tidy"]')
    desk.go("scheduler/tidy")
    expect(page.get_by_text("It has not run yet.")).to_be_visible()
    expect(page.locator(".next li")).to_have_count(5)
    expect(page.locator(".entry")).to_contain_text("1 m 30 s")
    expect(page.locator(".entry pre")).to_contain_text("12345678901234567890")
    button("Trigger tidy").click()
    desk.confirm("Cancel")
    assert desk.sent() == []
    button("Trigger tidy").click()
    desk.confirm("Trigger")
    ((job, _),) = poll_history(desk)
    desk.told(f"tidy was triggered: job {job}")
    history = page.locator("#history-tidy tbody tr")
    expect(history).to_have_count(1)
    expect(history).to_contain_text(re.compile("manual.*ready"))
    expect(history.get_by_role("link")).to_have_attribute("href", f"#/jobs/{job}")
    desk.cron.complete()
    button("Refresh").click()
    expect(history).to_contain_text("completed")
    button("Disable tidy").click()
    desk.confirm("Disable")
    desk.told("tidy is disabled")
    expect(page.locator("#cron tbody tr").first).to_contain_text("paused")
    button("Undo").click()
    desk.told("tidy is enabled, next run")
    button("Disable tidy").click()
    desk.confirm("Disable")
    button("Enable tidy").click()
    expect(button("Disable tidy")).to_be_visible()
    verbs = ("trigger", "disable", "enable", "disable", "enable")
    assert desk.sent() == [("POST", f"/cron/tidy/{verb}") for verb in verbs]


def poll_history(desk: Desk) -> list[tuple[str, int]]:
    """The runs of an entry once the toast tells of one."""
    desk.told("was triggered")
    return desk.cron.history("tidy")


def test_an_orphaned_entry_can_only_be_forgotten(desk: Desk) -> None:
    desk.cron.put(entry("a.b_c:1"))
    desk.beat()
    desk.go("scheduler")
    desk.page.get_by_role("link", name="a.b_c:1").click()
    page = desk.page
    expect(page.locator(".entry .actions button")).to_have_text(["Forget"])
    page.locator(".entry .actions button").click()
    desk.confirm("Forget")
    desk.told("a.b_c:1 is forgotten")
    expect(page).to_have_url(re.compile("#/scheduler$"))
    assert desk.sent() == [("DELETE", "/cron/a.b_c%3A1")]
    desk.go("scheduler/a.b_c%3A1")
    expect(page.get_by_text("There is no cron entry a.b_c:1")).to_be_visible()


def test_the_history_is_paged_and_stays_on_its_page(desk: Desk) -> None:
    page, cron = desk.page, desk.cron
    cron.put(entry("tidy"))
    desk.beat(crons='["tidy"]')
    now = cron.now()
    for n in range(25):
        desk.space.raw.zadd(desk.space.keys.cron_history("tidy"), {f"run-{n:02}": now - 25 + n})
    desk.go("scheduler/tidy")
    runs = page.locator("#history-tidy tbody tr")
    expect(runs).to_have_count(20)
    expect(runs.first).to_contain_text(re.compile("run-24.*expired"))
    page.locator("#history-tidy").get_by_role("button", name="Next").click()
    expect(page).to_have_url(re.compile(r"page=2$"))
    for _ in range(2):
        expect(runs).to_have_count(5)
        expect(runs.last).to_contain_text("run-00")
        desk.button("Refresh").click()
