"""The page about the API is current, and says everything."""

from __future__ import annotations

import re
from pathlib import Path

from gqm.monitor import reference
from gqm.monitor.problems import STATUS
from tests.api.support import SIGN_IN, Api
from tests.api.world import world

PAGE = Path(__file__).parents[2] / "docs" / "rest.md"


def test_its_tables_are_current() -> None:
    assert reference.page(PAGE.read_text()) == PAGE.read_text(), "run: python -m gqm.monitor.reference"


def test_a_changed_table_is_noticed() -> None:
    text = PAGE.read_text()
    assert reference.page(text.replace("| POST `/api/v1/jobs` |", "| PUT `/api/v1/jobs` |")) == text


def test_its_links_lead_somewhere() -> None:
    text = PAGE.read_text()
    anchors = {
        re.sub(r"[^\w -]", "", title).replace(" ", "-").lower()
        for title in re.findall(r"^#+ (.*)$", text, re.M)
    }
    assert {link for link in re.findall(r"\]\(#([^)]*)\)", text)} <= anchors


def test_every_call_code_and_action_is_named(api: Api) -> None:
    text = PAGE.read_text()
    for row in api.app.context.router.rows:
        assert f"| {row.method} `{row.path.replace('*', '…')}` |" in text
        assert not row.action or f"`{row.action}`" in text
    for code in STATUS:
        assert text.count(f"`{code}`") >= 2, code


def test_every_metric_is_named(redis_socket: str, prefix: str) -> None:
    with world(redis_socket, prefix, **SIGN_IN, rate_limit=-1) as found:
        told = set(re.findall(r"^# TYPE (\w+) (\w+)$", found.api.get("/metrics").raw.decode(), re.M))
    text = PAGE.read_text()
    rows = [line for line in text.splitlines() if re.match(r"\| `(gqm|process)_", line)]
    named = {name: line for line in rows for name in re.findall(r"`((?:gqm|process)_\w+)`", line)}
    assert named.keys() == {name for name, _ in told}
    for name, kind in told:
        assert kind in named[name] or "standard" in named[name], name


def test_every_event_is_named() -> None:
    for word in ("hello", "job", "queue", "cron", "server", "stats", "dropped", "redis", "bye"):
        assert f"| `{word}` |" in PAGE.read_text()
