"""A person's browser at the dashboard: what it asks for, what it complains of, and words for common steps."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request

from tests.api.support import PASSWORD

QUIET = re.compile(r"Failed to load resource: (the server responded with a status of|net::ERR_)")
"""What a browser logs by itself about answers that are no success; a test expects those or looks at them."""


class Visit:
    """One browser context with one page."""

    def __init__(
        self, browser: Browser, port: int, *, at: str = "", width: int = 1280, **options: Any
    ) -> None:
        self.base = f"http://127.0.0.1:{port}/dashboard/"
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.context = browser.new_context(viewport={"width": width, "height": 800}, **options)
        self.context.set_default_timeout(8000)
        self.page: Page = self.context.new_page()
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._count)
        self.page.goto(self.base + at)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not QUIET.match(message.text):
            self.complaints.append(message.text)

    def _count(self, request: Request) -> None:
        self.requests.append(f"{request.method} {request.url}")

    def close(self) -> None:
        self.context.close()

    def sign_in(self, user: str = "ana", password: str = PASSWORD) -> None:
        """Fill the form in and send it."""
        self.page.get_by_label("User name").fill(user)
        self.page.get_by_label("Password", exact=True).fill(password)
        self.page.get_by_role("button", name="Sign in").click()

    def go(self, route: str) -> None:
        """Open a route, as a link would."""
        self.page.evaluate("route => { location.hash = route }", route)

    def api(self) -> Sequence[str]:
        """The requests for data so far."""
        return [line for line in self.requests if "/api/" in line or "/auth/" in line]

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def text(self, selector: str) -> str:
        return self.page.locator(selector).inner_text()
