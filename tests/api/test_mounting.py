"""The API inside a Flask and a Django application: through their test clients, and behind a real server."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest

FOLDER = Path(__file__).parents[2] / "examples" / "mounting"
CSRF = {"X-GQM-CSRF": "1"}
PAUSE = "/jobs/api/v1/queues/reports/pause"

Answer = tuple[int, dict[str, str], bytes]
Ask = Callable[..., Answer]


def load(name: str) -> ModuleType:
    """Import a file of the example under its own name."""
    spec = util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def flask_app(redis_socket: str, prefix: str) -> Any:
    return load("flask_app").create_app(f"unix:{redis_socket}", prefix)


@pytest.fixture
def django_app(redis_socket: str, prefix: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    from django.conf import settings

    monkeypatch.setenv("GQM_REDIS", f"unix:{redis_socket}")
    monkeypatch.setenv("GQM_PREFIX", prefix)
    module = sys.modules.get("django_app") or load("django_app")
    settings.GQM_REDIS, settings.GQM_PREFIX = f"unix:{redis_socket}", prefix
    module.client.cache_clear()  # type: ignore[attr-defined]
    module.api.cache_clear()  # type: ignore[attr-defined]
    return module


def check(ask: Ask) -> None:
    """A visitor, an admin and a viewer; redirects, paths and cookies below the mount."""
    assert ask("GET", "/jobs/api/v1/queues")[0] == 401
    assert ask("GET", "/jobs/health")[2] == b'{"status":"ok"}'
    assert ask("POST", "/reports?month=2026-11")[0] == 202
    assert ask("GET", "/login?name=ana")[0] == 302
    status, fields, body = ask("GET", "/jobs/api/v1/queues")
    assert status == 200
    assert [queue["name"] for queue in json.loads(body)["data"]] == ["reports"]
    assert fields["X-Content-Type-Options"] == "nosniff"
    assert json.loads(ask("GET", "/jobs/auth/me")[2])["data"]["auth"] == "external"
    assert json.loads(ask("POST", PAUSE)[2])["code"] == "CSRF_REQUIRED"
    assert ask("POST", PAUSE, headers=CSRF)[0] == 200
    job = json.dumps({"type": "a", "queue": "a b".replace(" ", ":")}).encode()
    json_type = {**CSRF, "Content-Type": "application/json"}
    assert ask("POST", "/jobs/api/v1/jobs", body=job, headers=json_type)[0] == 200
    assert ask("GET", "/jobs/api/v1/queues/a%3Ab")[0] == 200
    status, fields, _ = ask("GET", "/jobs/dashboard?tab=1")
    assert (status, fields["Location"]) == (302, "/jobs/dashboard/?tab=1")
    assert json.loads(ask("GET", "/jobs/dashboard/config.json")[2])["api"] == "/jobs/api/v1"
    assert ask("GET", "/jobs/dashboard/")[0] == 200
    ask("GET", "/login?name=vic")
    assert json.loads(ask("POST", PAUSE, headers=CSRF)[2])["code"] == "FORBIDDEN"


def test_in_flask(flask_app: Any) -> None:
    browser = flask_app.test_client()

    def ask(method: str, path: str, body: bytes = b"", headers: Any = None) -> Answer:
        answer = browser.open(path, method=method, data=body, headers=headers)
        return answer.status_code, dict(answer.headers), answer.data

    check(ask)


def test_in_django(django_app: ModuleType) -> None:
    from django.test import Client

    browser = Client()

    def ask(method: str, path: str, body: bytes = b"", headers: Any = None) -> Answer:
        kind = (headers or {}).get("Content-Type", "application/octet-stream")
        answer = browser.generic(method, path, body, content_type=kind, headers=headers)
        return answer.status_code, dict(answer.headers), answer.getvalue()

    check(ask)


class Quiet(WSGIRequestHandler):
    """Logs nothing."""

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def served(application: Any) -> Iterator[Ask]:
    """Serve a WSGI application with a server of the standard library."""
    server = make_server("127.0.0.1", 0, application, handler_class=Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    cookies: dict[str, str] = {}

    def ask(method: str, path: str, body: bytes = b"", headers: Any = None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=15)
        cookie = (
            {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())} if cookies else {}
        )
        connection.request(method, path, body, {**cookie, **(headers or {})})
        answer = connection.getresponse()
        data = answer.read()
        for value in answer.headers.get_all("Set-Cookie", []):
            name, _, rest = value.partition("=")
            cookies[name] = rest.partition(";")[0]
        connection.close()
        return answer.status, dict(answer.getheaders()), data

    try:
        yield ask
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_flask_behind_a_real_server(flask_app: Any) -> None:
    with served(flask_app) as ask:
        check(ask)


def test_django_behind_a_real_server(django_app: ModuleType) -> None:
    with served(django_app.application) as ask:
        check(ask)


@pytest.mark.parametrize("name", ["flask_app", "django_app"])
def test_the_programs_show_something_and_end(name: str, tmp_path: Path) -> None:
    copy = tmp_path / f"{name}.py"
    copy.write_text((FOLDER / f"{name}.py").read_text())
    environment = {**os.environ, "PYTHONPATH": str(FOLDER.parents[1])}
    done = subprocess.run(
        [sys.executable, str(copy)], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].split()[:2] == ["nobody", "401"]
    assert "pause as ana   {'queue': 'reports', 'status': 'paused', 'changed': True}" in done.stdout
    assert "'code': 'FORBIDDEN'" in done.stdout
