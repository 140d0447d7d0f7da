"""Checks of the REST API from outside, without credentials: what does it give to anybody who asks."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gqm_cli.api_address import configured_url
from gqm_cli.doctor.checks import Check, fail, ok, skip, warn

if TYPE_CHECKING:
    from http.client import HTTPConnection, HTTPResponse

    from gqm.config import Config

LIMIT_S = 3.0
_MOST_BYTES = 1_048_576
_REFUSED = (401, 403)


class Unreachable(Exception):
    """The API does not answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: bytes
    took_ms: float
    headers: dict[str, str] = field(default_factory=dict)

    def value(self, name: str) -> str:
        """Return a text of a JSON answer; empty if there is none."""
        try:
            document = json.loads(self.body)
        except ValueError:
            return ""
        found = document.get(name, "") if isinstance(document, dict) else ""
        return found if isinstance(found, str) else ""


def api_url(config: Config | None, given: str | None) -> str:
    """Return where the API is, as it is given or configured; empty if there is none.

    A user and password in it are left out: nothing is asked with them, and they must not show.
    """
    if given:
        scheme, separator, rest = given.rstrip("/").partition("://")
        host, slash, path = rest.partition("/")
        return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}"
    return "" if config is None else configured_url(config)


def check_api(config: Config | None, given: str | None) -> Iterator[Check]:
    """Check the API. Raises `Unreachable` if an address was given and nobody answers there."""
    url = api_url(config, given)
    if not url:
        yield skip("api.reach", "the API is off, and no --api-url is given")
        return
    try:
        health = get(url, "/health")
    except Unreachable as exc:
        if given:
            raise
        yield warn("api.reach", f"nobody answers at {url} ({exc})", 'start a server with "gqm run"')
        return
    yield from _health(url, health)
    if not health.value("status"):
        return
    answer = get(url, "/api/v1/queues?limit=1")
    yield _auth(config, url, answer.status)
    yield from _cookie(config, url, health)
    yield _metrics(url, closed=answer.status in _REFUSED)
    yield from _dashboard(config, url)


def _health(url: str, answer: Answer) -> Iterator[Check]:
    status = answer.value("status")
    if not status:
        yield fail("api.reach", f"what answers at {url} is not GQM's API", "check the address")
    elif status == "ok":
        yield ok("api.reach", f"{url} answers in {answer.took_ms:.0f} ms")
    else:
        text = f"{url} answers, but says it is {status}: {answer.value('error')}".rstrip(": ")
        yield fail("api.reach", text, "look at the log of the server")


def is_local(url: str) -> bool:
    """Whether an address is one of this machine alone."""
    from urllib.parse import urlsplit

    from gqm.config import is_loopback

    return is_loopback(urlsplit(url).hostname or "")


def _auth(config: Config | None, url: str, status: int) -> Check:
    if status in _REFUSED:
        return ok("api.auth", "a call without credentials is refused")
    if status != 200:
        return warn("api.auth", f"a call without credentials is answered with {status}")
    if config is not None and not config.monitoring.anonymous:
        text = "the configuration asks for credentials, and the server does without"
        return fail("api.auth", text, "restart the server")
    if is_local(url):
        return ok("api.auth", "open to everybody on this machine, and to nobody else")
    text = "anybody who reaches it may do everything"
    return fail("api.auth", text, 'run "gqm set-password admin" and restart the server')


def _cookie(config: Config | None, url: str, health: Answer) -> Iterator[Check]:
    if not url.startswith("https:"):
        return
    # The server sends this header exactly where it takes a connection for an encrypted one.
    if "strict-transport-security" in health.headers or (config and config.monitoring.api.cookie_secure):
        yield ok("api.cookie", "the session cookie is sent over https only")
    else:
        text = "the server does not know that it is behind https: its session cookie is not Secure"
        fix = "set monitoring.api.cookie_secure: true, or trust_proxy with trusted_proxies"
        yield fail("api.cookie", text, fix)


def _metrics(url: str, *, closed: bool) -> Check:
    answer = get(url, "/metrics")
    if answer.status in _REFUSED:
        return ok("api.metrics", "/metrics is closed")
    if answer.status != 200:
        return warn("api.metrics", f"/metrics is answered with {answer.status}")
    if is_local(url) and not closed:
        return ok("api.metrics", "/metrics is open to this machine, as all of the API")
    return warn("api.metrics", "/metrics is open to everybody", "set monitoring.api.metrics_public: false")


def _dashboard(config: Config | None, url: str) -> Iterator[Check]:
    from gqm import __version__

    prefix = "/dashboard" if config is None else config.monitoring.dashboard.path_prefix
    answer = get(url, f"{prefix}/config.json")
    files, server = answer.value("dashboard_version"), answer.value("version")
    if answer.status != 200 or not server:
        yield skip("api.dashboard", "the dashboard is off")
        return
    if files != server:
        text = f"the dashboard's files are of version {files}, the server is {server}"
        yield warn("api.dashboard", text, 'write them anew with "gqm dashboard export"')
    elif server != __version__:
        text = f"the server is version {server}, this program is {__version__}"
        yield warn("api.version", text, "use the same version everywhere")
    else:
        yield ok("api.dashboard", f"the dashboard's files are of the server's version, {server}")


# ------------------------------------------------------------------------------------------ asking


def get(url: str, path: str) -> Answer:
    """Send a GET without credentials; redirects are not followed. Raises `Unreachable`."""
    from http.client import HTTPException
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    begun = time.perf_counter()
    try:
        connection = _connection(parts.scheme, parts.hostname, parts.port)
        try:
            connection.request("GET", parts.path + path, headers={"Accept": "application/json"})
            return _read(connection.getresponse(), begun)
        finally:
            connection.close()
    except (OSError, HTTPException, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or str(exc) or type(exc).__name__
        raise Unreachable(reason.lower()) from exc


def _connection(scheme: str, host: str | None, port: int | None) -> HTTPConnection:
    from http.client import HTTPConnection, HTTPSConnection

    if scheme not in ("http", "https") or not host:
        raise ValueError("not an http or https address")
    kind = HTTPSConnection if scheme == "https" else HTTPConnection
    return kind(host, port, timeout=LIMIT_S)


def _read(response: HTTPResponse, begun: float) -> Answer:
    body = response.read(_MOST_BYTES)
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, body, (time.perf_counter() - begun) * 1000, headers)
