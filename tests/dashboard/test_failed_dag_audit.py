"""What failed, graphs of jobs, and the audit trail: what they show, what they call, how they are walked."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.api.support import SIGN_IN, serve
from tests.dashboard.browser import Visit
from tests.dashboard.desk import Desk
from tests.support.states import retrying

Visitor = Callable[..., Visit]
TIMEOUT, VALUE = "TimeoutError: took over {} s", "ValueError: no lines in {}"


# -- failed


@pytest.mark.fault(9)
def test_groups_count_open_and_retry_alone(desk: Desk) -> None:
    """B25: counts, the sample of a group, its jobs, and a retry that leaves the other group."""
    page, button = desk.page, desk.button
    for n in range(3):
        desk.fail(TIMEOUT.format(n), job_id=f"t-{n}")
    for n in range(2):
        desk.fail(VALUE.format(n), job_id=f"v-{n}", queue="mail")
    desk.go("failed")
    rows = page.locator("#groups tbody tr:not(.opened)")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("3 jobs")
    expect(rows.first).to_contain_text("TimeoutError: took over <n> s")
    expect(rows.first.locator(".spark")).to_have_attribute("aria-label", re.compile(r": (0, ){11}3$"))
    rows.first.locator(".toggler").click()
    expect(page.locator(".sample")).to_contain_text("trace")
    expect(page.locator(".sample .bad")).to_have_text(re.compile(r"TimeoutError: took over \d s"))
    page.get_by_role("link", name="2 jobs").click()
    expect(page).to_have_url(
        re.compile(r"tab=all&fingerprint=[0-9a-f]{16}$|fingerprint=[0-9a-f]{16}&tab=all$")
    )
    expect(page.locator("#jobs tbody tr")).to_have_count(2)
    expect(page.locator("#jobs")).to_contain_text("v-1")
    page.go_back()
    expect(rows.first.locator(".toggler")).to_have_attribute("aria-expanded", "true")
    button("Retry group").click()
    expect(page.get_by_text("3 of 3 jobs can be changed.")).to_be_visible()
    page.get_by_role("dialog").get_by_role("button", name="Retry group").click()
    desk.told("Retry group: 3 done, 0 refused")
    assert desk.sent() == [("POST", "/jobs/batch/retry")]
    expect(rows).to_have_count(1)
    assert [desk.space.status(name) for name in ("t-0", "t-2", "v-0", "v-1")] == [
        "ready",
        "ready",
        "dead_letter",
        "dead_letter",
    ]
    rows.first.locator(".toggler").click()
    button("Delete group").click()
    page.keyboard.press("Escape")
    button("Delete group").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete group").click()
    desk.told("Delete group: 2 done, 0 refused")
    expect(page.get_by_text("No dead letter jobs")).to_be_visible()
    assert desk.sent()[1:] == [("POST", "/jobs/batch/delete")]


@pytest.mark.fault(9)
def test_the_newest_failure_is_the_first_row(desk: Desk) -> None:
    """B29, B6: newest first, other statuses and queues by choice, retry and clear for one queue."""
    page, button = desk.page, desk.button
    for n in range(25):
        job = desk.fail(VALUE.format(n), job_id=f"d-{n:02}", queue="mail")
        at = int(desk.space.now()) - 1000 + n
        desk.space.raw.hset(desk.space.keys.job(job), "completed_at", at)
        desk.space.raw.zadd(desk.space.keys.dead_letter("mail"), {job: at})
    retrying(desk.space, job_id="r-1")
    desk.go("failed?tab=all")
    rows = page.locator("#jobs tbody tr:not(.opened)")
    expect(rows.first).to_contain_text("d-24")
    expect(page.locator("caption")).to_have_text("Jobs 1–20 of 25")
    page.get_by_label("Status").select_option("retry")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("r-1")
    page.get_by_label("Status").select_option("dead_letter")
    expect(page.get_by_label("Queue").locator("option")).to_have_text(
        ["all queues", "default (0)", "mail (25)"]
    )
    page.get_by_label("Queue").select_option("mail")
    button("Clear dead letter mail").click()
    expect(page.get_by_text("25 jobs would be deleted.")).to_be_visible()
    expect(button("Clear dead letter")).to_be_disabled()
    button("Cancel").click()
    button("Retry all dead letter mail").click()
    button("Retry all").click()
    desk.told("mail: 25 retried, 0 remaining")
    assert desk.sent() == [("POST", "/queues/mail/dead-letter/retry-all")]
    expect(page.get_by_text("No dead letter jobs in mail")).to_be_visible()


@pytest.mark.fault(11)
@pytest.mark.fault(19)
def test_bulk_over_pages_and_over_all_that_match(desk: Desk) -> None:
    """B9 for failures: boxes of two pages, then all of a filter; each to the end."""
    page, button = desk.page, desk.button
    for n in range(45):
        desk.fail(VALUE.format(n), job_id=f"d-{n:02}")
    desk.go("failed?tab=all")
    page.get_by_label("Select this page").check()
    button("Next").click()
    expect(page.locator("caption")).to_have_text("Jobs 21–40 of 45")  # once the rows are those
    page.get_by_label("Select this page").check()
    expect(page.locator(".selection")).to_contain_text("40 selected on 2 pages")
    button("Select all 45 matching").click()
    button("Retry").click()
    expect(page.get_by_text("45 of 45 jobs can be changed.")).to_be_visible()
    page.get_by_role("dialog").get_by_role("button", name="Retry").click()
    desk.told("Retry: 45 done, 0 refused")
    assert desk.space.raw.llen(desk.space.keys.ready("default")) == 45


# -- graphs


def test_a_diamond_is_drawn_walked_and_kept_in_the_address(desk: Desk) -> None:
    """B24: places, keys, the panel on a job, a live change, the list, another root."""
    page, client = desk.page, desk.api.client
    desk.chain("top", "left", "right")
    client.enqueue("last.step", job_id="end", depends_on=["left", "right"], allow_failure=True)
    client.enqueue("after", job_id="far", depends_on="end")
    desk.go("dag/top?depth=2")
    nodes = page.locator("g.node")
    expect(nodes).to_have_count(4)
    boxes = {
        name: page.locator(f'[data-id="{name}"] > rect').first.bounding_box()
        for name in ("top", "left", "right", "end")
    }
    assert boxes["top"]["y"] < boxes["left"]["y"] == boxes["right"]["y"] < boxes["end"]["y"]  # type: ignore[index]
    assert boxes["left"]["x"] < boxes["top"]["x"] < boxes["right"]["x"]  # type: ignore[index]
    expect(page.locator(".edges path")).to_have_count(4)
    expect(page.locator(".inner")).to_have_count(1)
    expect(page.locator('g.node[tabindex="0"]')).to_have_count(1)
    page.locator('[data-id="top"]').focus()
    for key, there in (
        ("ArrowDown", "left"),
        ("ArrowRight", "right"),
        ("ArrowDown", "end"),
        ("ArrowUp", "left"),
    ):
        page.keyboard.press(key)
        expect(page.locator(f'[data-id="{there}"]')).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("node=left"))
    panel = page.locator(".node-panel")
    expect(panel).to_contain_text("next.step")
    page.keyboard.press("Escape")
    expect(panel).to_have_count(0)
    expect(page.locator('[data-id="left"]')).to_be_focused()
    page.locator('[data-id="right"]').click()
    expect(panel).to_contain_text("right")
    before = page.locator("svg.graph > g").get_attribute("transform")
    desk.button("Zoom in").click()
    zoomed = page.locator("svg.graph > g").get_attribute("transform")
    assert zoomed != before
    panel.get_by_role("button", name="Cancel").click()
    desk.button("Cancel job").click()
    desk.told("right is canceled")
    assert desk.sent() == [("POST", "/jobs/right/cancel")]
    expect(page.locator('[data-id="right"]')).to_have_attribute("aria-label", re.compile("canceled"))
    assert page.locator("svg.graph > g").get_attribute("transform") == zoomed
    address = page.url
    page.reload()
    expect(panel).to_contain_text("canceled")
    assert page.url == address
    page.locator('[data-id="end"] .more').click()
    expect(page).to_have_url(re.compile(r"#/dag/end\?depth=2$"))
    desk.go("dag/top?view=list")
    expect(page.locator("#nodes tbody tr")).to_have_count(5)
    expect(page.locator("#nodes tbody tr").first).to_contain_text("top")


@pytest.mark.fault(12)
def test_a_status_changes_in_the_graph_by_itself(desk: Desk) -> None:
    """B24: the graph follows what happens, and stays where it was moved to."""
    page = desk.page
    desk.chain("top", "left")
    desk.go("dag/top")
    expect(page.locator("g.node")).to_have_count(2)
    frame = page.locator("svg.graph").bounding_box()
    assert frame
    page.mouse.move(frame["x"] + 40, frame["y"] + 40)
    page.mouse.down()
    page.mouse.move(frame["x"] + 120, frame["y"] + 90, steps=4)
    page.mouse.up()
    moved = page.locator("svg.graph > g").get_attribute("transform")
    desk.api.ask("POST", "/api/v1/jobs/top/cancel", key=None, headers={"X-GQM-CSRF": "1"})
    expect(page.locator('[data-id="top"]')).to_have_attribute("aria-label", re.compile("canceled"))
    assert page.locator("svg.graph > g").get_attribute("transform") == moved


@pytest.mark.fault(15)
def test_large_cut_and_unknown_graphs(desk: Desk) -> None:
    """B24: what is left out is told and can be had, 500 jobs are drawn soon, an unknown id is said."""
    page, client = desk.page, desk.api.client
    client.enqueue("t", job_id="root")
    for n in range(499):
        client.enqueue("t", job_id=f"n-{n:03}", depends_on="root")
    desk.go("dag/root")
    expect(page.locator("g.node")).to_have_count(50)
    expect(page.locator("#graph .banner")).to_contain_text("450 more jobs are not shown.")
    desk.button("Show more").click()
    expect(page.locator("g.node")).to_have_count(100)
    expect(page).to_have_url(re.compile("limit=100"))
    desk.go("dag/root?limit=500")
    expect(page.locator("g.node")).to_have_count(500)
    expect(page.locator("#graph .banner")).to_have_count(0)
    spent = page.evaluate("""async () => {
        const {update} = await import('./js/dom.js'), start = performance.now();
        for (let i = 0; i < 5; i += 1) { update(); await null; await null; }
        return (performance.now() - start) / 5;
    }""")
    assert spent < 300, spent
    desk.go("dag/nobody")
    expect(page.get_by_text("Job nobody does not exist or has expired")).to_be_visible()
    desk.go("dag")
    page.get_by_label("Job id").fill("root")
    desk.button("Open graph").click()
    expect(page.locator("h1")).to_have_text("Graph of root")


@pytest.mark.fault(12)
def test_the_tables_of_chains_page_on_their_own(desk: Desk) -> None:
    """B29: page 2 stays page 2 over polls, and leaves the other table alone."""
    page = desk.page
    for n in range(25):
        desk.chain(f"c-{n:02}", f"c-{n:02}-b")
    desk.go("dag")
    chains, waiting = page.locator("#chains"), page.locator("#deferred")
    # On a machine that is busy the server may stop counting early, and says so.
    expect(chains.locator("caption")).to_have_text(re.compile(r"^Chains 1–20 of (at least )?25$"))
    expect(chains.locator("tbody tr").first).to_contain_text("1 deferred")
    chains.get_by_role("button", name="Next").click()
    expect(chains.locator("caption")).to_have_text(re.compile(r"^Chains 21–25 of (at least )?25$"))
    expect(waiting.locator("caption")).to_have_text("Waiting jobs 1–20 of 25")
    for _ in range(3):
        with page.expect_response(re.compile("/dag/roots")):
            desk.button("Refresh").click()
    expect(chains.locator("caption")).to_have_text(re.compile(r"^Chains 21–25 of (at least )?25$"))
    waiting.get_by_role("button", name="Next").click()
    expect(waiting.locator("caption")).to_have_text("Waiting jobs 21–25 of 25")
    expect(chains.locator("caption")).to_have_text(re.compile(r"^Chains 21–25 of (at least )?25$"))
    assert page.url.endswith("#/dag?page=2&waiting=2")


# -- audit


def test_the_audit_trail_is_shown_and_filtered(visit: Visitor, redis_socket: str, prefix: str) -> None:
    """Who did what to which thing, refusals too; API keys without the keys."""
    with serve(f"unix:{redis_socket}", prefix, dashboard=True, rate_limit=-1, **SIGN_IN) as api:
        api.client.enqueue("t", job_id="j-1")
        browser = visit(api.port, at="#/audit")
        page = browser.page
        browser.sign_in()
        expect(page.locator("#audit tbody tr").first).to_contain_text("auth.login")
        api.post("/api/v1/jobs/j-1/cancel")
        api.post("/api/v1/jobs/j-1/cancel")
        browser.button("Refresh").click()
        rows = page.locator("#audit tbody tr:not(.opened)")
        expect(rows).to_have_count(3)
        expect(rows.nth(1)).to_contain_text("ready → canceled")
        expect(rows.first).to_contain_text("CONFLICT")
        page.get_by_label("Result").select_option("false")
        expect(rows).to_have_count(1)
        page.get_by_label("Result").select_option("")
        page.get_by_label("Action").fill("job.*")
        expect(rows).to_have_count(2)
        page.get_by_label("Actor").fill("nobody")
        expect(page.get_by_role("button", name="Clear filters").last).to_be_visible()
        expect(page.locator("#audit-list .state-title")).to_contain_text("match")
        page.locator("#audit-list").get_by_role("button", name="Clear filters").click()
        expect(page).to_have_url(re.compile("#/audit$"))
        page.get_by_role("link", name="j-1").first.click()
        expect(page.locator("h1")).to_contain_text("Job j-1")
        page.go_back()
        expect(page.locator("#key-list tbody tr")).to_have_text(
            [re.compile("boss.*admin.*127"), re.compile("grafana.*viewer")]
        )
