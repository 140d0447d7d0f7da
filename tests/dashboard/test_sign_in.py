"""Signing in and out."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.api.support import KEYS, SIGN_IN, serve
from tests.dashboard.browser import Visit
from tests.dashboard.seed import Engine
from tests.support.servers import ServerFactory

Visitor = Callable[..., Visit]


@pytest.mark.fault(8)
def test_signing_in_and_out(visit: Visitor, guarded_shop: Engine) -> None:
    """B1: the counts are there at once, a reload stays signed in, after signing out Back shows nothing."""
    browser = visit(guarded_shop, at="#/overview")
    page = browser.page
    expect(page.get_by_label("User name")).to_be_focused()
    assert page.title() == "Sign in · GQM"
    browser.sign_in()
    expect(page.locator("#navigation .count").first).to_have_text("6")
    browser.go("#/queues")
    expect(page.locator("#queues")).to_contain_text("billing")
    page.reload()
    expect(page.locator("#queues")).to_contain_text("billing")
    page.get_by_label("Account: ana").click()
    browser.button("Sign out").click()
    expect(page.get_by_label("User name")).to_be_visible()
    page.go_back()
    expect(page.get_by_label("User name")).to_be_visible()
    assert "billing" not in page.inner_text("body")


def test_a_wrong_password_is_said_and_too_many_are_counted_down(
    visit: Visitor, redis_socket: str, prefix: str
) -> None:
    """B2, first half."""
    with serve(f"unix:{redis_socket}", prefix, **SIGN_IN, dashboard=True) as api:
        browser = visit(api.port)
        browser.sign_in(password="wrong")
        expect(
            browser.page.get_by_role("alert").filter(has_text="Wrong user name or password")
        ).to_be_visible()
        expect(browser.page.get_by_label("Password", exact=True)).to_be_focused()
        for _ in range(5):
            api.log_in("ana", "wrong")
        browser.sign_in(password="wrong")
        expect(browser.page.get_by_text("You can try again in")).to_be_visible()
        expect(browser.button("Sign in")).to_be_disabled()
        first = browser.page.get_by_text("You can try again in").inner_text()
        expect(browser.page.get_by_text("You can try again in")).not_to_have_text(first)


def test_without_accounts_the_form_says_so(visit: Visitor, redis_socket: str, prefix: str) -> None:
    """B2: AUTH_DISABLED."""
    with serve(f"unix:{redis_socket}", prefix, api_keys=KEYS, dashboard=True) as api:
        browser = visit(api.port)
        browser.sign_in()
        expect(browser.page.get_by_text("No user accounts are configured")).to_be_visible()


def test_without_redis_nobody_signs_in_and_is_told_why(
    visit: Visitor, start_server: ServerFactory, prefix: str
) -> None:
    """B2: Redis away."""
    server = start_server()
    with serve(f"unix:{server.socket}", prefix, **SIGN_IN, dashboard=True) as api:
        browser = visit(api.port)
        expect(browser.page.get_by_label("User name")).to_be_visible()
        server.stop()
        browser.sign_in()
        expect(browser.page.get_by_text("Redis is away")).to_be_visible()


def test_an_ended_session_is_signed_in_again_over_the_page(
    visit: Visitor, redis_socket: str, prefix: str
) -> None:
    """B3: the same page and filters go on."""
    with serve(f"unix:{redis_socket}", prefix, **SIGN_IN, dashboard=True, rate_limit=-1) as api:
        api.client.enqueue("t", queue="billing")
        api.client.enqueue("t", queue="mail")
        browser = visit(api.port, at="#/queues?q=bill&order=desc")
        browser.sign_in()
        expect(browser.page.locator("#queues tbody tr")).to_have_count(1)
        api.log_in("ana")
        api.post("/auth/logout-all", user="ana", body={})
        browser.button("Refresh").click()
        expect(browser.page.get_by_label("User name")).to_be_focused()
        browser.sign_in()
        expect(browser.page.get_by_label("Name", exact=True)).to_have_value("bill")
        expect(browser.page.locator("#queues tbody tr")).to_have_count(1)
        assert browser.page.url.endswith("#/queues?q=bill&order=desc")


def test_sign_out_everywhere_asks_and_ends_every_session(
    visit: Visitor, redis_socket: str, prefix: str
) -> None:
    """B6, B7: left, it sends nothing; confirmed, it ends the sessions of the other browser too."""
    with serve(f"unix:{redis_socket}", prefix, **SIGN_IN, dashboard=True, rate_limit=-1) as api:
        browser = visit(api.port, at="#/queues")
        page = browser.page
        browser.sign_in()
        api.log_in("ana")
        page.get_by_label("Account: ana").click()
        browser.button("My sessions").click()
        expect(page.locator("#sessions tbody tr")).to_have_count(2)
        browser.button("Close").click()
        for confirm in ("Cancel", "Sign out everywhere"):
            page.get_by_label("Account: ana").click()
            page.locator("[data-do=everywhere]").click()
            page.get_by_role("dialog").get_by_role("button", name=confirm, exact=True).click()
        expect(page.get_by_label("User name")).to_be_focused()
        assert [line.rpartition("/auth/")[2] for line in browser.requests if line.startswith("POST")] == [
            "login",
            "logout-all",
        ]
        assert api.get("/auth/me", user="ana").status == 401
