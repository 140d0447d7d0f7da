"""Controls: what they call, what they ask before, what they tell after, and what they never do."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.sync_api import expect

import gqm
from tests.dashboard.desk import Desk
from tests.support.crontab import entry
from tests.support.states import MAKE


@pytest.mark.fault(2)
def test_queue_controls_call_and_quote_the_answer(desk: Desk) -> None:
    """B6, B8: pause, resume, undo, empty, retry and clear of dead letters; typed names."""
    page, button = desk.page, desk.button
    for n in range(14):
        desk.space.enqueue(queue="billing", job_id=f"r-{n}")
    desk.go("queues/billing")
    button("Pause billing").click()
    button("Pause").click()
    desk.told("billing is paused")
    assert desk.sent() == [("POST", "/queues/billing/pause")]
    button("Undo").click()
    desk.told("billing is active")
    button("Empty billing").click()
    expect(page.get_by_text("14 jobs would be canceled.")).to_be_visible()
    expect(button("Cancel")).to_be_focused()
    expect(button("Empty queue")).to_be_disabled()
    page.get_by_role("textbox").last.fill("Billing")
    expect(button("Empty queue")).to_be_disabled()
    page.get_by_role("textbox").last.fill("billing")
    button("Empty queue").click()
    desk.told("billing: 14 removed, 0 remaining")
    for _ in range(2):
        MAKE[gqm.Status.DEAD_LETTER](desk.space, queue="billing")
    button("Refresh").click()
    button("Retry all dead letter billing").click()
    button("Retry all").click()
    desk.told("billing: 2 retried, 0 remaining")
    assert desk.sent()[-2:] == [
        ("DELETE", "/queues/billing/empty"),
        ("POST", "/queues/billing/dead-letter/retry-all"),
    ]


@pytest.mark.fault(6)
def test_each_status_offers_what_the_api_accepts(desk: Desk) -> None:
    """B27: exactly the controls that fit, on the page of the job."""
    offered = {
        "retry": {"dead_letter", "failed", "canceled", "stopped"},
        "run now": {"scheduled", "retry"},
        "cancel": {"ready", "scheduled", "retry", "deferred", "processing"},
        "delete": set(map(str, MAKE)) - {"processing"},
        "enqueue copy": set(map(str, MAKE)),
    }
    for status, make in MAKE.items():
        desk.go(f"jobs/{make(desk.space)}")
        badge = desk.page.locator("#title .badge").first
        expect(badge).to_have_text(re.compile(rf"\W{status.value.replace('_', ' ')}$"))
        wanted = {name for name, statuses in offered.items() if status.value in statuses}
        found = desk.page.locator("#actions button").all_inner_texts()
        assert {name.lower() for name in found} == wanted, status


def test_job_controls_call_once_and_ask_first(desk: Desk) -> None:
    """B6, B7: cancel asks, Esc and a click outside send nothing, a double click sends one call."""
    page, button = desk.page, desk.button
    job = desk.space.enqueue(job_id="j-1")
    desk.go(f"jobs/{job}")
    for leave in ("Escape", "outside", "button"):
        button("Cancel").click()
        expect(page.get_by_role("dialog")).to_be_visible()
        if leave == "Escape":
            page.keyboard.press("Escape")
        elif leave == "outside":
            page.mouse.click(5, 5)
        else:
            page.get_by_role("dialog").get_by_role("button", name="Cancel", exact=True).click()
        expect(page.get_by_role("dialog")).to_have_count(0)
        expect(button("Cancel")).to_be_focused()
    assert desk.sent() == []
    button("Cancel").click()
    button("Cancel job").dblclick()
    desk.told("j-1 is canceled")
    assert desk.sent() == [("POST", "/jobs/j-1/cancel")]
    button("Retry").dblclick()
    desk.told("j-1 is ready")
    assert desk.sent()[1:] == [("POST", "/jobs/j-1/retry")]
    desk.go("jobs?queue=default")
    page.get_by_role("link", name="j-1").click()
    button("Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    desk.told("j-1 is deleted")
    expect(page).to_have_url(re.compile(r"#/jobs\?queue=default$"))


def test_a_conflict_is_told_and_read_anew(desk: Desk) -> None:
    job = desk.space.enqueue(job_id="j-1")
    desk.go(f"jobs/{job}")
    desk.button("Cancel").click()
    desk.api.post(f"/api/v1/jobs/{job}/cancel", key=None, headers={"X-GQM-CSRF": "1"})
    desk.button("Cancel job").click()
    expect(desk.page.locator(".toast.bad")).to_contain_text("canceled")
    expect(desk.page.locator("#title .badge")).to_contain_text("canceled")


def test_enqueue_checks_the_json_and_keeps_every_digit(desk: Desk) -> None:
    """B6, B27: the form is the confirmation; a wrong payload is not sent; big integers stay exact."""
    page, button = desk.page, desk.button
    desk.go("jobs")
    button("Enqueue job").click()
    page.get_by_label("Job type").fill("invoice.pdf")
    page.get_by_label("Payload").fill("{broken")
    button("Enqueue").click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("Payload")
    assert desk.sent() == []
    page.get_by_label("Payload").fill('{"n": 12345678901234567890, "f": -98765432109876543210}')
    page.get_by_label("Job id").fill("big-1")
    button("Enqueue").click()
    desk.told("big-1 is ready in default")
    assert "12345678901234567890" in (desk.writes[-1].post_data or "")
    desk.go("jobs/big-1")
    expect(page.locator("#payload pre")).to_contain_text("12345678901234567890")
    expect(page.locator("#payload pre")).to_contain_text("-98765432109876543210")
    button("Enqueue copy").click()
    expect(page.get_by_label("Payload (JSON object)")).to_have_value(re.compile("12345678901234567890"))
    expect(page.get_by_label("Job id")).to_have_value("")


@pytest.mark.fault(11)
def test_a_selection_outlives_paging_and_tells_refusals(desk: Desk) -> None:
    """B9, first half: 250 selected over pages, one of them refused."""
    page, button = desk.page, desk.button
    desk.api.client.enqueue_batch([gqm.Item("t", {}, {"job_id": f"s-{n:03}"}) for n in range(249)])
    (running,) = [MAKE[gqm.Status.PROCESSING](desk.space, queue="other", job_id="running")]
    desk.go("jobs?size=100&sort=id&order=asc")
    for number in range(1, 4):
        expect(page.locator(".pager span").first).to_have_text(f"Page {number} of 3")
        expect(page.locator("#jobs")).not_to_have_attribute("aria-busy", "true")
        expect(page.locator("tbody tr").first).to_contain_text({1: "running", 2: "s-099", 3: "s-199"}[number])
        page.get_by_label("Select this page").check()
        if number < 3:
            button("Next").click()
    expect(page.get_by_text("250 selected on 3 pages")).to_be_visible()
    page.get_by_role("region", name="Selection").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("249 of 250 jobs can be changed.")).to_be_visible()
    expect(page.get_by_text("1 job would be skipped: CONFLICT")).to_be_visible()
    confirm = page.get_by_role("dialog").get_by_role("button", name="Delete")
    expect(confirm).to_be_disabled()
    page.get_by_label("to confirm").fill("249")
    confirm.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Delete: 249 done, 1 refused")
    expect(dialog.get_by_role("link", name=running)).to_be_visible()
    button("Close").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    ids = [json.loads(item.post_data or "{}")["job_ids"] for item in desk.acted()]
    assert sum(map(len, ids)) == 250
    assert len({name for part in ids for name in part}) == 250


@pytest.mark.fault(19)
def test_all_that_match_are_done_to_the_end_or_until_stopped(desk: Desk) -> None:
    """B9, second half: 1,200 matching, by filter, with the moment of the dry run; then Stop."""
    page, button = desk.page, desk.button
    list(desk.api.client.enqueue_many(gqm.Item("t", {}, {"queue": "many"}) for _ in range(1200)))
    desk.go("jobs?queue=many&status=ready")
    expect(page.locator("tbody tr")).to_have_count(20)
    page.get_by_label("Select this page").check()
    button("Select all 1,200 matching").click()
    expect(page.get_by_text("All 1,200 matching")).to_be_visible()
    button("Cancel jobs").click()
    page.get_by_label("to confirm").fill("1200")
    page.get_by_role("dialog").get_by_role("button", name="Cancel jobs").click()
    desk.told("Cancel jobs: 1,200 done, 0 refused")
    bodies: list[Any] = [json.loads(item.post_data or "{}") for item in desk.acted()]
    assert len(bodies) == 6
    assert all(
        body["filter"]["queue"] == ["many"] and body["filter"]["status"] == ["ready"] for body in bodies
    )
    assert isinstance(bodies[0]["filter"]["until"], float)
    desk.go("jobs?queue=many&status=canceled")
    expect(page.locator("tbody tr")).to_have_count(20)
    page.get_by_label("Select this page").check()
    button("Select all 1,200 matching").click()
    page.get_by_role("region", name="Selection").get_by_role("button", name="Delete").click()
    page.get_by_label("to confirm").fill("1200")
    seen: list[str] = []

    def slow(route: Any) -> None:
        seen.append(route.request.post_data)
        if len(seen) == 2:
            button("Stop").click(no_wait_after=True)
        route.continue_()

    page.route("**/batch/delete", slow)
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    desk.told(re.compile(r"Delete: [24]00 done, 0 refused, stopped"))


BILLING = [
    ("queues/billing", "Pause billing", "Pause"),
    ("queues/billing", "Empty billing", "Empty queue"),
    ("queues/billing", "Retry all dead letter billing", "Retry all"),
    ("queues/billing", "Clear dead letter billing", "Clear dead letter"),
    ("jobs/r-1", "Cancel", "Cancel job"),
    ("jobs/r-1", "Delete", "Delete"),
    ("failed", "Retry group", "Retry group"),
    ("failed", "Delete group", "Delete group"),
    ("scheduler/tidy", "Trigger tidy", "Trigger"),
    ("scheduler/tidy", "Disable tidy", "Disable"),
    ("scheduler/gone", "Forget gone", "Forget"),
]
"""Page, control, and what confirms it."""


@pytest.mark.fault(19)
@pytest.mark.fault(20)
def test_no_dialog_that_is_left_sends_anything(desk: Desk) -> None:
    """B7: Cancel, Esc and a click outside, in every dialog; the focus returns to what opened it."""
    page = desk.page
    desk.fail("ValueError: x", queue="billing", job_id="d-1")
    desk.space.enqueue(queue="billing", job_id="r-1")
    for name in ("tidy", "gone"):
        desk.cron.put(entry(name))
    desk.beat(crons='["tidy"]')
    dialog, last = page.get_by_role("dialog"), ""
    for route, opener, label in BILLING:
        if route != last:
            desk.go(route)
            desk.browser.drawn()
            if route == "failed":
                page.locator(".toggler").click()
        last = route
        for leave in ("Cancel", "Escape", "outside"):
            desk.button(opener).click()
            expect(dialog.get_by_role("button", name=label, exact=True)).to_be_visible()
            if leave == "Cancel":
                desk.confirm("Cancel")
            elif leave == "Escape":
                page.keyboard.press("Escape")
            else:
                page.mouse.click(5, 5)
            expect(dialog).to_have_count(0)
            expect(desk.button(opener)).to_be_focused()
    assert desk.sent() == []


@pytest.mark.fault(2)
def test_run_now_and_clear_and_bulk_cancel_quote_the_answer(desk: Desk) -> None:
    """B6, B8: the controls of scheduled jobs and of dead letters, and Cancel for several jobs."""
    page, space = desk.page, desk.space
    job = MAKE[gqm.Status.SCHEDULED](space)
    for n in range(2):
        desk.fail("ValueError: x", queue="billing", job_id=f"d-{n}")
        space.enqueue(queue="mail", job_id=f"r-{n}")
    desk.go(f"jobs/{job}")
    desk.button("Run now").click()
    desk.told(f"{job} is ready")
    desk.go("queues/billing")
    desk.button("Clear dead letter billing").click()
    expect(page.get_by_text("2 jobs would be deleted.")).to_be_visible()
    page.get_by_label("to confirm").fill("billing")
    desk.confirm("Clear dead letter")
    desk.told("billing: 2 cleared, 0 remaining")
    desk.go("jobs?queue=mail")
    page.get_by_label("Select this page").check()
    desk.button("Cancel jobs").click()
    expect(page.get_by_text("2 of 2 jobs can be changed.")).to_be_visible()
    desk.confirm("Cancel jobs")
    desk.told("Cancel jobs: 2 done, 0 refused")
    assert desk.sent() == [
        ("POST", f"/jobs/{job}/retry"),
        ("DELETE", "/queues/billing/dead-letter/clear"),
        ("POST", "/jobs/batch/cancel"),
    ]
