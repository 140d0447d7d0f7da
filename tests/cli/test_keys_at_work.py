"""A key from the command line in a running server: who has none, or a wrong one, gets nothing."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import pytest

from tests.cli.helpers import Gqm, free_port


def status_of(port: int, path: str, key: str = "") -> int:
    """Ask the API for a path; returns the status of its answer."""
    headers = {"X-API-Key": key} if key else {}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            json.load(answer)
            return int(answer.status)
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code


@pytest.mark.fault(1)
def test_from_init_to_a_closed_api(gqm: Gqm) -> None:
    port = free_port()
    assert gqm("init").code == 0
    key = gqm("add-api-key", "grafana").out.strip()
    path = gqm.folder / "gqm.yaml"
    path.write_text(path.read_text().replace("127.0.0.1:8080", f"127.0.0.1:{port}"))
    server = gqm.start("run")
    server.says("api  ")
    for route in ("/api/v1/queues", "/api/v1/jobs", "/api/v1/stats", "/auth/me", "/metrics"):
        assert status_of(port, route) == 401, route
        assert status_of(port, route, "gqm_ak_" + "0" * 48) == 401, route
    assert status_of(port, "/api/v1/queues", key) == 200
    assert status_of(port, "/health") == 200
    assert key not in server.err


@pytest.mark.fault(16)
def test_the_terminal_ui_tells_a_wrong_key_at_its_first_look(gqm: Gqm) -> None:
    port = free_port()
    gqm.write("gqm.yaml", f"monitoring: {{api: {{enabled: true, addr: '127.0.0.1:{port}'}}}}\n")
    right = gqm("add-api-key", "grafana").out.strip()
    server = gqm.start("run")
    server.says("api  ")
    # With half a minute between two looks, what shows before is what the first one found.
    args = ("tui", "--api-url", f"http://127.0.0.1:{port}", "--interval", "30")
    wrong = gqm.screen(*args, GQM_API_KEY="gqm_ak_" + "0" * 48)
    wrong.shows("NOT SIGNED IN")
    wrong.shows("key refused")
    wrong.type("q")
    assert wrong.ends() == 0
    fine = gqm.screen(*args, GQM_API_KEY=right)
    fine.shows("LIVE")
    fine.type("q")
    assert fine.ends() == 0
