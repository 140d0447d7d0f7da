"""A Flask application with the API of GQM and its dashboard below ``/jobs``, for whoever is signed in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import Flask, redirect, request, session
from werkzeug.middleware.dispatcher import DispatcherMiddleware

import gqm
import gqm.monitor

HERE = Path(__file__).resolve().parent
ADMINS = {"ana"}


def create_app(redis: str = f"embedded://{HERE / '.gqm'}", prefix: str = "gqm:") -> Flask:
    """Return the application; ``redis`` is any address that `gqm.Client` takes."""
    flask = Flask(__name__)
    flask.secret_key = "only for this example"
    client = gqm.Client(redis, prefix=prefix)

    @flask.get("/login")
    def login() -> Any:
        """Stand where your own sign-in stands: it believes every name."""
        session["name"] = request.args["name"]
        return redirect("/jobs/dashboard/")

    @flask.post("/reports")
    def report() -> Any:
        job = client.enqueue("report.make", {"month": request.args["month"]}, queue="reports")
        return {"job": job.id}, 202

    def who(environ: dict[str, Any]) -> tuple[str, str] | None:
        """Return name and role of the one whose session a request carries."""
        with flask.request_context(environ):
            name = session.get("name")
        return (name, "admin" if name in ADMINS else "viewer") if name else None

    jobs = gqm.monitor.app(client, authenticate=who, dashboard=True)
    flask.wsgi_app = DispatcherMiddleware(flask.wsgi_app, {"/jobs": jobs})
    return flask


def main() -> None:
    """Show what callers get."""
    browser = create_app().test_client()
    print("nobody        ", browser.get("/jobs/api/v1/queues").status)
    print("report        ", browser.post("/reports?month=2026-11").json)
    browser.get("/login?name=ana")
    for queue in browser.get("/jobs/api/v1/queues").json["data"]:
        print("queue         ", queue["name"], "ready:", queue["ready"])
    paused = browser.post("/jobs/api/v1/queues/reports/pause", headers={"X-GQM-CSRF": "1"})
    print("pause as ana  ", paused.json["data"])
    browser.post("/jobs/api/v1/queues/reports/resume", headers={"X-GQM-CSRF": "1"})
    browser.get("/login?name=vic")
    refused = browser.post("/jobs/api/v1/queues/reports/pause", headers={"X-GQM-CSRF": "1"})
    print("pause as vic  ", refused.json)


if __name__ == "__main__":
    main()
