"""Wherever it is served from: another path, below another application, from a folder of one's own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import expect
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import make_server
from werkzeug.wrappers import Response

import gqm
import gqm.monitor
from gqm_cli.dashboard import export
from tests.api.support import SIGN_IN, serve
from tests.dashboard.browser import Visit

Visitor = Callable[..., Visit]
EXAMPLE = Path(__file__).parents[2] / "examples" / "custom-dashboard" / "site"


def works(browser: Visit, root: str) -> None:
    """A list, a link, a call that changes something and a reload; all that is asked for is below `root`."""
    page = browser.page
    browser.go("#/queues")
    page.get_by_role("link", name="billing").click()
    expect(page.locator("#jobs")).to_contain_text("j-1")
    browser.button("Pause billing").click()
    browser.button("Pause").click()
    expect(page.locator(".toast").first).to_contain_text("billing is paused")
    page.reload()
    expect(page.locator("#title .badge")).to_contain_text("paused")
    below = page.evaluate("location.origin") + root
    assert all(line.split()[1].startswith(below) for line in browser.requests), browser.requests


def test_a_path_of_several_segments(visit: Visitor, redis_socket: str, prefix: str) -> None:
    """B31: `path_prefix` /a/b, with a sign-in, whose place is told by config.json."""
    options = {**SIGN_IN, "path_prefix": "/a/b", "dashboard": True, "rate_limit": -1}
    with serve(f"unix:{redis_socket}", prefix, **options) as api:
        api.client.enqueue("t", queue="billing", job_id="j-1")
        browser = visit(api.port, path="/a/b/", at="#/queues")
        browser.sign_in()
        expect(browser.page.locator("#queues")).to_contain_text("billing")
        works(browser, "/")
        assert not [line for line in browser.requests if "/dashboard" in line]


def test_below_another_application(visit: Visitor, redis_socket: str, prefix: str) -> None:
    """B31: mounted at /jobs of a WSGI application; nothing is asked for outside of it."""
    client = gqm.Client(f"unix:{redis_socket}", prefix=prefix)
    client.enqueue("t", queue="billing", job_id="j-1")
    jobs = gqm.monitor.app(client, authenticate=lambda _: ("ana", "admin"), dashboard=True, sse=False)
    whole = DispatcherMiddleware(Response("home"), {"/jobs": jobs})
    server = make_server("127.0.0.1", 0, whole, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        works(visit(server.server_port, path="/jobs/dashboard/", at=None), "/jobs/")
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
        jobs.close()
        client.close()


def test_the_exported_files_work_the_same(
    visit: Visitor, redis_socket: str, prefix: str, tmp_path: Path
) -> None:
    """B31: `gqm dashboard export` and `custom_dir`: the same pages under the other policy."""
    export(str(tmp_path / "mine"))
    index = tmp_path / "mine" / "index.html"
    index.write_text(index.read_text("utf-8").replace("<b>GQM</b>", "<b>Ours</b>"), "utf-8")
    with serve(
        f"unix:{redis_socket}", prefix, dashboard=True, custom_dir=str(tmp_path / "mine"), rate_limit=-1
    ) as api:
        api.client.enqueue("t", queue="billing", job_id="j-1")
        browser = visit(api.port)
        expect(browser.page.locator(".side .brand")).to_have_text("Ours")
        browser.drawn()
        expect(browser.page.locator(".plot svg").first).to_be_visible()
        works(browser, "/")


def test_the_example_of_a_dashboard_of_ones_own(visit: Visitor, redis_socket: str, prefix: str) -> None:
    """B31: the example draws its table, and the policy has nothing to stop in it."""
    options = {"dashboard": True, "custom_dir": str(EXAMPLE), "path_prefix": "/panel"}
    with serve(f"unix:{redis_socket}", prefix, **options) as api:
        api.client.enqueue("t", queue="billing")
        page = visit(api.port, path="/panel/").page
        expect(page.locator("#queues tr")).to_have_text(["billing100"])
        assert page.evaluate("getComputedStyle(document.body).fontFamily") != "initial"
        assert page.evaluate("document.styleSheets.length") == 1
