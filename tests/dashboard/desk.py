"""A key space that tests bring into any state, an API over it, and a browser whose calls are noted."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from playwright.sync_api import Locator, Page, Request, expect

from gqm.store.commands.lease import Beat, heartbeat
from tests.api.support import Api
from tests.dashboard.browser import Visit
from tests.support.crontab import Crontab
from tests.support.keyspace import LEASE_MS, Keyspace
from tests.support.states import dead

ONE, TWO = "web1-412-7f3a", "web2-99-0c1d"
RECORD: dict[str, str | int] = {
    "hostname": "web",
    "pid": 412,
    "runtime": "python",
    "go_version": "python 3.12.4",
    "version": "1.0.0",
    "num_pools": 1,
    "concurrency_total": 4,
    "status": "active",
    "types": '["t"]',
    "scheduler": 1,
}
SLOTS: dict[str, str | int] = {
    "queues": "default",
    "concurrency": 4,
    "isolation": "thread",
    "status": "active",
}


@dataclass
class Desk:
    """What one test works at; nothing is loaded before the first `go`."""

    api: Api
    space: Keyspace
    browser: Visit
    writes: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("request", self._note)

    def _note(self, request: Request) -> None:
        if request.method != "GET":
            self.writes.append(request)

    @property
    def page(self) -> Page:
        return self.browser.page

    @cached_property
    def cron(self) -> Crontab:
        return Crontab(self.space)

    def go(self, route: str) -> None:
        self.browser.go(f"#/{route}")

    def button(self, name: str) -> Locator:
        return self.browser.button(name)

    def confirm(self, label: str) -> None:
        self.page.get_by_role("dialog").get_by_role("button", name=label, exact=True).click()

    def acted(self) -> list[Request]:
        """What was sent, dry runs left out; every call must carry the header that no other site can send."""
        assert all(item.headers["x-gqm-csrf"] == "1" for item in self.writes)
        return [
            item
            for item in self.writes
            if "dry_run=true" not in item.url and '"dry_run":true' not in (item.post_data or "")
        ]

    def sent(self) -> list[tuple[str, str]]:
        """Method and path of what was sent, dry runs left out."""
        return [(item.method, re.sub(r"^.*?/(api/v1|auth)(?=/)", "", item.url)) for item in self.acted()]

    def told(self, text: str | re.Pattern[str]) -> None:
        expect(self.page.locator(".toast", has_text=text).first).to_be_visible()

    def fail(self, error: str, **options: Any) -> str:
        """A dead-lettered job with this error."""
        job = dead(self.space, **options)
        self.space.raw.hset(self.space.keys.job(job), "error", error)
        return job

    def chain(self, parent: str, *children: str, **options: Any) -> None:
        """A job, and jobs that wait for it."""
        self.api.client.enqueue("first.step", job_id=parent)
        for child in children:
            self.api.client.enqueue("next.step", job_id=child, depends_on=parent, **options)

    def beat(self, server: str = ONE, *, crons: str = "[]", pool: str = "p", **fields: str | int) -> None:
        """A heartbeat of a server with one pool of four slots."""
        record = {**RECORD, "id": server, "pools": pool, "cron_ids": crons, **fields}
        pools = [(f"{pool}@{server}", {**SLOTS, "pool": pool})]
        self.space.store.run(heartbeat(self.space.keys, Beat(server, LEASE_MS, record, pools, [])))
