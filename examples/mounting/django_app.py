"""A Django site with the API of GQM and its dashboard below ``/jobs``, for whoever is signed in."""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.core.management import execute_from_command_line
from django.core.wsgi import get_wsgi_application
from django.http import (
    HttpRequest,
    HttpResponseBase,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)
from django.urls import path, re_path
from django.views.decorators.csrf import csrf_exempt

import gqm
import gqm.monitor

HERE = Path(__file__).resolve().parent
ADMINS = {"ana"}

if not settings.configured:
    settings.configure(
        SECRET_KEY="only for this example",
        ROOT_URLCONF=__name__,
        ALLOWED_HOSTS=["*"],
        DEBUG=True,
        APPEND_SLASH=False,
        MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
        WSGI_APPLICATION=f"{__name__}.application",
        GQM_REDIS=os.environ.get("GQM_REDIS", f"embedded://{HERE / '.gqm'}"),
        GQM_PREFIX=os.environ.get("GQM_PREFIX", "gqm:"),
    )
    django.setup()

CALLER = "example.caller"


@functools.cache
def client() -> gqm.Client:
    """Return the client of the site; it connects when it is first used."""
    return gqm.Client(settings.GQM_REDIS, prefix=settings.GQM_PREFIX)


@functools.cache
def api() -> Any:
    """Return the WSGI callable of GQM: it asks the site who the caller is."""
    return gqm.monitor.app(client(), authenticate=lambda environ: environ.get(CALLER), dashboard=True)


@csrf_exempt  # the API has a check of its own
def jobs(request: HttpRequest, rest: str) -> HttpResponseBase:
    """Hand a request on to the API, with who is signed in."""
    name = request.session.get("name")
    caller = (name, "admin" if name in ADMINS else "viewer") if name else None
    mount = f"{request.META.get('SCRIPT_NAME', '')}/jobs"
    environ = {**request.META, "SCRIPT_NAME": mount, "PATH_INFO": rest, CALLER: caller}
    head: dict[str, Any] = {}
    pieces = api()(environ, lambda status, fields: head.update(status=status, fields=fields))
    response = StreamingHttpResponse(pieces, status=int(head["status"][:3]))
    for field, value in head["fields"]:
        response[field] = value
    return response


def login(request: HttpRequest) -> HttpResponseBase:
    """Stand where your own sign-in stands: it believes every name."""
    request.session["name"] = request.GET["name"]
    return HttpResponseRedirect("/jobs/dashboard/")


@csrf_exempt
def report(request: HttpRequest) -> HttpResponseBase:
    """Enqueue a job from a view."""
    job = client().enqueue("report.make", {"month": request.GET["month"]}, queue="reports")
    return JsonResponse({"job": job.id}, status=202)


urlpatterns = [
    path("login", login),
    path("reports", report),
    re_path(r"^jobs(?P<rest>/.*)$", jobs),
]
application = get_wsgi_application()


def main() -> None:
    """Show what callers get."""
    from django.test import Client

    browser, csrf = Client(), {"X-GQM-CSRF": "1"}
    print("nobody        ", browser.get("/jobs/api/v1/queues").status_code)
    print("report        ", browser.post("/reports?month=2026-11").json())
    browser.get("/login?name=ana")
    for queue in read(browser.get("/jobs/api/v1/queues"))["data"]:
        print("queue         ", queue["name"], "ready:", queue["ready"])
    pause, resume = ("/jobs/api/v1/queues/reports/pause", "/jobs/api/v1/queues/reports/resume")
    print("pause as ana  ", read(browser.post(pause, headers=csrf))["data"])
    browser.post(resume, headers=csrf)
    browser.get("/login?name=vic")
    print("pause as vic  ", read(browser.post(pause, headers=csrf)))


def read(answer: Any) -> Any:
    """Return the JSON of a streamed answer."""
    import json

    return json.loads(answer.getvalue())


if __name__ == "__main__":
    if len(sys.argv) > 1:
        execute_from_command_line(sys.argv)
    else:
        main()
