"""What stands before a handler: client address, rate limit, host, origin and CSRF checks."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from math import ceil
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gqm.monitor.limits import MAX_BUCKETS
from gqm.monitor.problems import Problem
from gqm.monitor.request import Request

if TYPE_CHECKING:
    from gqm.monitor.settings import Network


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.strip().strip("[]").partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def find_client(request: Request, trusted: Sequence[Network]) -> None:
    """Fill in address and scheme: the socket's, or what a trusted proxy says."""
    remote = _parsed(str(request.environ.get("REMOTE_ADDR", "")))
    request.https = request.environ.get("wsgi.url_scheme") == "https"
    if remote is not None and any(remote in network for network in trusted):
        request.https = request.https or (request.header("HTTP_X_FORWARDED_PROTO") or "").strip() == "https"
        for entry in reversed((request.header("HTTP_X_FORWARDED_FOR") or "").split(",")):
            found = _parsed(entry)
            if found is None:
                break
            remote = found
            if not any(found in network for network in trusted):
                break
    request.address = str(remote) if remote is not None else "unknown"


class Buckets:
    """Token buckets by client address: so many requests a second, twice that in a burst."""

    def __init__(self, per_second: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = per_second
        self._burst = 2.0 * per_second
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self.refused = 0

    def take(self, address: str) -> float:
        """Take a token; returns the seconds until there is one, 0 if it was there."""
        if self._rate < 0:
            return 0.0
        name = _bucket_of(address)
        now = self._clock()
        with self._lock:
            tokens, since = self._buckets.pop(name, (self._burst, now))
            tokens = min(self._burst, tokens + (now - since) * self._rate)
            allowed = tokens >= 1.0
            self._buckets[name] = (tokens - 1.0 if allowed else tokens, now)
            if len(self._buckets) > MAX_BUCKETS:
                self._buckets.popitem(last=False)
            if allowed:
                return 0.0
            self.refused += 1
            return (1.0 - tokens) / self._rate


def _bucket_of(address: str) -> str:
    found = _parsed(address)
    if isinstance(found, IPv6Address):
        return str(IPv6Address(int(found) >> 64 << 64)) + "/64"
    return address


class RateLimit:
    """Three separate buckets for each client: API, sign-in, everything else."""

    def __init__(self, per_second: int) -> None:
        self._api, self._auth, self._rest = (Buckets(per_second) for _ in range(3))

    def check(self, request: Request) -> None:
        """Take a token for a request. Raises `Problem`."""
        if request.path == "/health":
            return
        first = request.path.split("/", 2)[1] if "/" in request.path else ""
        buckets = self._api if first == "api" else self._auth if first == "auth" else self._rest
        wait_s = buckets.take(request.address)
        if wait_s:
            seconds = str(max(1, ceil(wait_s)))
            raise Problem("RATE_LIMITED", f"too many requests; wait {seconds} s", ("Retry-After", seconds))

    @property
    def refused(self) -> int:
        """Requests that were turned away so far."""
        return self._api.refused + self._auth.refused + self._rest.refused


def check_host(request: Request) -> None:
    """Raise `Problem` unless the Host is this machine: pages of other sites must not get through to it."""
    host = (request.header("HTTP_HOST") or "").strip().lower()
    name = host[: host.find("]") + 1] if host.startswith("[") else host.partition(":")[0]
    address = _parsed(name)
    if name == "localhost" or (address is not None and address.is_loopback):
        return
    raise Problem("BAD_HOST", "without sign-in and API keys the API answers under localhost only")


def check_origin(request: Request) -> None:
    """Raise `Problem` if a browser says that another site sent this write."""
    site = request.header("HTTP_SEC_FETCH_SITE")
    if site is not None:
        if site not in ("same-origin", "none"):
            raise Problem("BAD_ORIGIN", f"writes from another site are refused (Sec-Fetch-Site: {site[:20]})")
        return
    origin = request.header("HTTP_ORIGIN")
    if origin is None:
        return
    try:
        where = urlsplit(origin).netloc
    except ValueError:
        where = ""
    if not where or where.lower() != (request.header("HTTP_HOST") or "").lower():
        raise Problem("BAD_ORIGIN", f"writes from {origin[:80]} are refused")


def check_csrf(request: Request) -> None:
    """Raise `Problem` without the header that a form of another site cannot send."""
    if request.header("HTTP_X_GQM_CSRF") != "1":
        raise Problem("CSRF_REQUIRED", 'send the header "X-GQM-CSRF: 1" with every write')
