"""A person's browser at the dashboard: what it asks for, what it complains of, and words for common steps."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request, expect

from tests.api.support import PASSWORD

QUIET = re.compile(r"Failed to load resource: (the server responded with a status of|net::ERR_)")
"""What a browser logs by itself about answers that are no success; a test expects those or looks at them."""


GO = """route => route !== location.hash && new Promise((done) => {
    addEventListener('hashchange', () => setTimeout(done), {once: true});
    location.hash = route;
})"""

WATCH = """addEventListener('securitypolicyviolation', (event) => console.error(
    `CSP: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));"""
"""What the page's own policy had to stop is a complaint."""

FASTER = """{
    const {setTimeout: later, setInterval: every} = window, now = performance.now.bind(performance);
    performance.now = () => now() * PACE;
    window.setTimeout = (work, ms = 0, ...args) => later(work, ms / PACE, ...args);
    window.setInterval = (work, ms = 0, ...args) => every(work, ms / PACE, ...args);
}"""


class Visit:
    """One browser context with one page."""

    def __init__(
        self,
        browser: Browser,
        port: int,
        *,
        at: str | None = "",
        path: str = "/dashboard/",
        width: int = 1280,
        pace: int = 1,
        **options: Any,
    ) -> None:
        """``at=None`` loads nothing yet; with ``pace=10`` the page's clock runs ten times as fast."""
        self.base = f"http://127.0.0.1:{port}{path}"
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.context = browser.new_context(viewport={"width": width, "height": 800}, **options)
        self.context.set_default_timeout(30_000)
        self.page: Page = self.context.new_page()
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._count)
        self.context.add_init_script(WATCH)
        if pace > 1:
            self.context.add_init_script(FASTER.replace("PACE", str(pace)))
        if at is not None:
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
        """Open a route, as a link would; the first one loads the dashboard."""
        if self.page.url == "about:blank":
            self.page.goto(self.base + route)
        else:
            self.page.evaluate(GO, route)

    def drawn(self) -> None:
        """Wait until the page of the address shows its data, not the last page nor what is coming."""
        page, _, thing = self.page.url.partition("#/")[2].partition("?")[0].partition("/")
        entry = self.page.locator(f'[data-page="{page or "overview"}"]')
        expect(entry).to_have_attribute("aria-current", "page")
        where = unquote(thing) or entry.locator("span").inner_text()
        expect(self.page.locator("#crumbs li").last).to_have_text(where)
        expect(self.page.locator("#content .panel").first).to_be_visible()
        expect(self.page.locator("#content :is(.skeleton, [aria-busy=true])")).to_have_count(0)

    def api(self) -> Sequence[str]:
        """The requests for data so far."""
        return [line for line in self.requests if "/api/" in line or "/auth/" in line]

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def text(self, selector: str) -> str:
        return self.page.locator(selector).inner_text()
