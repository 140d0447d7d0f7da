"""Servers, workers and the scheduler: who lives, what runs where, when entries fire, and their controls."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
from playwright.sync_api import Request, expect

from gqm.store.commands.lease import Beat, heartbeat
from gqm.store.sync import Store
from tests.api.support import Api, serve
from tests.dashboard.browser import Visit
from tests.dashboard.seed import Engine
from tests.support.crontab import Crontab, entry
from tests.support.keyspace import LEASE_MS, Keyspace

Visitor = Callable[..., Visit]
AUDIT = (Path(__file__).parent / "audit.js").read_text()
ONE, TWO = "web1-412-7f3a", "web2-99-0c1d"
HOSTILE = '<img src=x onerror="document.title=1"> \u202e{{7*7}}'


@dataclass
class Desk:
    """An API over a key space that tests bring into any state, and a browser that notes what is sent."""

    api: Api
    space: Keyspace
    cron: Crontab
    browser: Visit
    writes: list[Request]

    def sent(self) -> list[tuple[str, str]]:
        """Method and path of what was sent; every call must carry the header that no other site can send."""
        assert all(item.headers["x-gqm-csrf"] == "1" for item in self.writes)
        return [(item.method, item.url.split("/api/v1")[1]) for item in self.writes]

    def told(self, text: str | re.Pattern[str]) -> None:
        expect(self.browser.page.locator(".toast", has_text=text).first).to_be_visible()

    def confirm(self, label: str) -> None:
        self.browser.page.get_by_role("dialog").get_by_role("button", name=label, exact=True).click()

    def beat(self, server: str = ONE, *, crons: str = "[]", pool: str = "p", **fields: str | int) -> None:
        """A heartbeat of a server with one pool of four slots."""
        record: dict[str, str | int] = {
            "id": server,
            "hostname": "web",
            "pid": 412,
            "runtime": "python",
            "go_version": "python 3.12.4",
            "version": "1.0.0",
            "pools": pool,
            "num_pools": 1,
            "concurrency_total": 4,
            "status": "active",
            "types": '["t"]',
            "cron_ids": crons,
            "scheduler": 1,
            **fields,
        }
        slots: dict[str, str | int] = {
            "queues": "default",
            "concurrency": 4,
            "isolation": "thread",
            "status": "active",
        }
        pools = [(f"{pool}@{server}", {**slots, "pool": pool})]
        self.space.store.run(heartbeat(self.space.keys, Beat(server, LEASE_MS, record, pools, [])))


@pytest.fixture
def desk(visit: Visitor, redis_socket: str, prefix: str) -> Iterator[Desk]:
    with serve(f"unix:{redis_socket}", prefix, dashboard=True, rate_limit=-1) as api:
        raw = redis.Redis(unix_socket_path=redis_socket)
        space = Keyspace(Store(api.client._link), raw)
        browser = visit(api.port, at="#/queues")
        writes: list[Request] = []
        browser.page.on(
            "request", lambda request: writes.append(request) if request.method != "GET" else None
        )
        yield Desk(api, space, Crontab(space), browser, writes)
        raw.close()


# -- servers and workers


@pytest.mark.fault(3)
def test_a_heartbeat_has_its_age_and_a_lost_server_is_stale(desk: Desk) -> None:
    """B28: ages by the server's clock; two servers with one pool name are two rows; a dead one is stale."""
    page, space = desk.browser.page, desk.space
    desk.beat(ONE)
    desk.beat(TWO, version="0.9.0")
    now = int(space.now())
    space.raw.hset(space.keys.server(TWO), "started_at", now - 7300)
    desk.browser.go("#/servers")
    rows = page.locator("#servers tbody tr")
    expect(rows).to_have_text([re.compile(f"{ONE}.*active"), re.compile(f"{TWO}.*active.*0.9.0 differs")])
    expect(rows.first).to_contain_text("0 / 4")
    expect(rows.last.locator("time").last).to_have_text("2 h ago")
    desk.browser.go("#/workers")
    workers = page.locator("#workers tbody tr")
    expect(workers).to_have_text([re.compile(f"p{ONE}.*active"), re.compile(f"p{TWO}.*active")])
    space.raw.hset(space.keys.server(ONE), "last_heartbeat", now - 33)
    space.raw.hset(space.keys.worker(f"p@{ONE}"), "last_heartbeat", (now - 33) * 10**9)
    space.end_lease(ONE)
    desk.browser.button("Refresh").click()
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
    desk.browser.go(f"#/workers/p%40{ONE}")
    desk.browser.button("Cancel long-1").click()
    desk.browser.page.keyboard.press("Escape")
    assert desk.sent() == []
    desk.browser.button("Cancel long-1").click()
    desk.confirm("Cancel job")
    desk.told("long-1 is canceled")
    assert desk.sent() == [("POST", "/jobs/long-1/cancel")]


# -- the scheduler


@pytest.mark.fault(16)
def test_entries_say_when_they_run_in_words(desk: Desk) -> None:
    """B26: words, next and last run for entries of 5 and 6 fields; orphaned, paused, and their filters."""
    cron, page = desk.cron, desk.browser.page
    now = cron.now()
    cron.put(entry("five", cron_expr="30 1 * * *", timezone="Asia/Tokyo", next_run=now + 7201))
    cron.put(
        entry("six", name="Every minute", cron_expr="0 * * * * *", next_run=now + 90, last_run=now - 300)
    )
    cron.put(entry("off", enabled=False))
    cron.put(entry("gone"))
    desk.beat(crons='["five", "six", "off"]')
    desk.browser.go("#/scheduler")
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
    page, button = desk.browser.page, desk.browser.button
    desk.cron.put(
        entry("tidy", cron_expr="0 30 1 * * *", payload=b'{"what": 12345678901234567890}', timeout=90)
    )
    desk.beat(crons='["tidy"]')
    desk.browser.go("#/scheduler/tidy")
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
    desk.browser.go("#/scheduler")
    desk.browser.page.get_by_role("link", name="a.b_c:1").click()
    page = desk.browser.page
    expect(page.locator(".entry .actions button")).to_have_text(["Forget"])
    page.locator(".entry .actions button").click()
    desk.confirm("Forget")
    desk.told("a.b_c:1 is forgotten")
    expect(page).to_have_url(re.compile("#/scheduler$"))
    assert desk.sent() == [("DELETE", "/cron/a.b_c%3A1")]
    desk.browser.go("#/scheduler/a.b_c%3A1")
    expect(page.get_by_text("There is no cron entry a.b_c:1")).to_be_visible()


def test_the_history_is_paged_and_stays_on_its_page(desk: Desk) -> None:
    page, cron = desk.browser.page, desk.cron
    cron.put(entry("tidy"))
    desk.beat(crons='["tidy"]')
    now = cron.now()
    for n in range(25):
        desk.space.raw.zadd(desk.space.keys.cron_history("tidy"), {f"run-{n:02}": now - 25 + n})
    desk.browser.go("#/scheduler/tidy")
    runs = page.locator("#history-tidy tbody tr")
    expect(runs).to_have_count(20)
    expect(runs.first).to_contain_text(re.compile("run-24.*expired"))
    page.locator("#history-tidy").get_by_role("button", name="Next").click()
    expect(page).to_have_url(re.compile(r"page=2$"))
    for _ in range(2):
        expect(runs).to_have_count(5)
        expect(runs.last).to_contain_text("run-00")
        desk.browser.button("Refresh").click()


# -- all three


@pytest.mark.fault(7)
def test_a_viewer_sees_machinery_without_controls(visit: Visitor, guarded_shop: Engine) -> None:
    """B5: opened workers and entries offer nothing."""
    browser = visit(guarded_shop, at="#/workers?pool=images")
    page = browser.page
    browser.sign_in("vic")
    page.locator(".toggler").first.click()
    expect(page.locator(".opened tbody tr")).to_have_count(3)
    expect(page.locator(".opened").get_by_role("button", name="Cancel")).to_have_count(0)
    browser.go("#/scheduler/tidy")
    expect(page.locator(".next li")).to_have_count(5)
    expect(page.locator(".entry .actions")).to_have_count(0)
    browser.go("#/servers")
    expect(page.locator("#servers tbody tr")).to_have_count(1)


@pytest.mark.parametrize("route", ["servers", "workers", "scheduler", "scheduler/tidy"])
def test_the_pages_can_be_read_by_everyone(visit: Visitor, open_shop: Engine, route: str) -> None:
    """B18, B20: names, contrast in both themes, one id once; nothing scrolls sideways, rows open by key."""
    browser = visit(open_shop, at=f"#/{route}", width=360 if route == "servers" else 1280)
    page = browser.page
    toggler = page.locator(".toggler:visible").first
    expect(toggler).to_be_visible()
    toggler.press("Enter")
    if route != "scheduler/tidy":
        expect(page.locator(".opened")).to_have_count(1)
        expect(page.locator("#content .skeleton")).to_have_count(0)
    for width, scheme in ((1280, "light"), (1280, "dark"), (768, "light"), (360, "dark")):
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        assert page.evaluate(AUDIT) == [], (width, scheme)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width


@pytest.mark.security(11)
def test_hostile_texts_stay_texts(desk: Desk) -> None:
    """B21: names of hosts, pools, types, entries and their zones."""
    page = desk.browser.page
    hostile: dict[str, Any] = {"name": HOSTILE, "job_type": HOSTILE, "queue": HOSTILE, "timezone": HOSTILE}
    desk.beat(hostname=HOSTILE, go_version=HOSTILE, version=HOSTILE, pool=HOSTILE)
    desk.space.raw.hset(desk.space.keys.worker(f"{HOSTILE}@{ONE}"), "queues", HOSTILE)
    desk.cron.put(
        entry("x", payload=json.dumps({HOSTILE: HOSTILE}).encode(), next_run=desk.cron.now() + 60, **hostile),
        meta=None,
    )
    for route, where in (("servers", "#servers"), ("workers", "#workers"), ("scheduler", "#cron")):
        desk.browser.go(f"#/{route}")
        expect(page.locator(where)).to_contain_text("<img src=x")
        expect(page.locator(where)).to_contain_text("\\u202e")
        assert page.evaluate("document.querySelectorAll('main img').length") == 0
    page.locator(".toggler").first.click()
    expect(page.locator(".entry pre")).to_contain_text("<img src=x")
    assert "\\u202e" in desk.browser.text("#content")


def test_empty_pages_say_what_would_fill_them(desk: Desk) -> None:
    """B4: no data, and a filter that matches nothing."""
    page = desk.browser.page
    for route, text in (
        ("servers", "No server is running"),
        ("workers", "No worker is running"),
        ("scheduler", "No schedule yet"),
    ):
        desk.browser.go(f"#/{route}")
        expect(page.locator("#content")).to_contain_text(text)
    desk.beat()
    for route in ("servers?q=nothing", "workers?pool=nothing"):
        desk.browser.go(f"#/{route}")
        expect(page.locator(".state-title")).to_have_text("0 of 1 match")
