"""HTTP below the API client: addresses, TLS, connections, and failures in words; only here is httpx."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import SplitResult, urlsplit

import msgspec

from gqm_tui.core.errors import ApiError, Kind

if TYPE_CHECKING:
    import httpx

CONNECT_S = 2.0
READ_S = 5.0
LONG_READ_S = 60.0
TOTAL_S = 30.0
"""Longest time for one answer, however steadily it trickles in; twice `LONG_READ_S` for long calls."""
CONNECTIONS = 8
KEEP_ALIVE_S = 4.0
"""The server closes an idle connection after 5 s; reusing it later would be a race."""
MAX_ANSWER = 64 * 1_048_576
_EXAMPLE = ", like https://gqm.example:8080"


class Base(NamedTuple):
    """The one address that a client talks to."""

    origin: str
    mount: str
    """Path under which the API is mounted; empty at the root."""
    host: str

    @classmethod
    def parse(cls, url: str) -> Base:
        """Return the parts of a context's URL. Raises `ApiError` (protocol) for one that is unfit."""
        try:
            parts = urlsplit(url.strip())
            port = parts.port
        except ValueError as exc:
            # Not its own words: they repeat the URL, which may hold a password.
            raise ApiError(Kind.PROTOCOL, text=f"the URL has no proper host and port{_EXAMPLE}") from exc
        if problem := _unfit(parts):
            raise ApiError(Kind.PROTOCOL, text=f"{problem}{_EXAMPLE}")
        host = parts.hostname or ""
        shown = f"[{host}]" if ":" in host else host
        origin = f"{parts.scheme}://{shown}" + ("" if port is None else f":{port}")
        return cls(origin, parts.path.rstrip("/"), host)

    def url(self, path: str) -> str:
        """Return the address of a path whose parts are encoded already."""
        return f"{self.origin}{self.mount}{path}"

    @property
    def is_loopback(self) -> bool:
        """Whether the host is this machine, without asking any resolver."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def insecure(self) -> bool:
        """Whether what is sent can be read on the way."""
        return self.origin.startswith("http:") and not self.is_loopback


def _unfit(parts: SplitResult) -> str:
    """Say what is wrong with a URL, empty if nothing is; not the URL itself, which may hold a password."""
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return "the URL has to begin with http:// or https:// and a host"
    if parts.username is not None or parts.password is not None:
        return "the URL must not carry a user name or password"
    if parts.query or parts.fragment:
        return "the URL must end with its path"
    return ""


class Tls(NamedTuple):
    """Whom to believe that it is the server."""

    ca_file: str | None = None
    """Certificates that replace the usual ones."""
    insecure: bool = False
    """Anybody."""

    def context(self, base: Base) -> ssl.SSLContext | bool:
        """Return what httpx takes. Raises `ApiError` (tls) for a file that cannot be used."""
        if base.origin.startswith("http:"):
            # No handshake will come: without loading certificates the client is there at once.
            return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self.insecure:
            return False
        if self.ca_file is None:
            return True
        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ssl.SSLError) as exc:
            raise ApiError(Kind.TLS, text=f"ca_file {self.ca_file}: {_reason(exc)}") from exc


def checked_key(key: str | None) -> str:
    """Return an API key as a header takes it, empty for none. Raises `ApiError` without telling the key."""
    found = (key or "").strip()
    if not (found.isascii() and found.isprintable()):
        raise ApiError(Kind.PROTOCOL, text="the API key has characters that no header can carry")
    return found


def timeout(read_s: float) -> dict[str, float]:
    """Return the limits of one request, seconds."""
    return {"connect": CONNECT_S, "read": read_s, "write": READ_S, "pool": READ_S}


def open_client(base: Base, tls: Tls) -> httpx.AsyncClient:
    """Return the connection pool of a context; no connection is made yet.

    Raises `ApiError` for a proxy of the environment or a ca_file that cannot be used.
    """
    import httpx

    try:
        return httpx.AsyncClient(
            verify=tls.context(base),
            timeout=httpx.Timeout(READ_S, connect=CONNECT_S),
            limits=httpx.Limits(
                max_connections=CONNECTIONS,
                max_keepalive_connections=CONNECTIONS,
                keepalive_expiry=KEEP_ALIVE_S,
            ),
            follow_redirects=False,
            trust_env=not base.is_loopback,
            headers={"User-Agent": "gqm-tui"},
            # The session is kept by its owner; a jar would file it by host alone, whatever the port.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        )
    except (ImportError, ValueError, httpx.InvalidURL) as exc:
        raise ApiError(Kind.PROTOCOL, text=f"the proxy of the environment cannot be used: {exc}") from exc


def build(
    http: httpx.AsyncClient,
    method: str,
    url: str,
    params: Mapping[str, str],
    headers: Mapping[str, str],
    body: object,
) -> httpx.Request:
    """Return a request; ``body`` goes as JSON unless it is ``None``. Raises `ApiError` for an unfit one."""
    import httpx

    try:
        content = None if body is None else msgspec.json.encode(body)
        more = {} if content is None else {"Content-Type": "application/json"}
        return http.build_request(
            method, url, params=dict(params), headers={**headers, **more}, content=content
        )
    except (httpx.InvalidURL, UnicodeEncodeError) as exc:
        raise ApiError(Kind.PROTOCOL, text=f"this cannot be asked for: {exc}") from exc


@asynccontextmanager
async def opened(
    http: httpx.AsyncClient, request: httpx.Request, silent: str
) -> AsyncIterator[httpx.Response]:
    """Send a request and give its answer before the body. Raises `ApiError`; ``silent`` tells a time-out."""
    with _told(request, silent):
        answer = await http.send(request, stream=True)
        try:
            yield answer
        finally:
            await answer.aclose()


async def exchange(
    http: httpx.AsyncClient, request: httpx.Request, *, long: bool = False
) -> tuple[httpx.Response, bytes]:
    """Send a request once and return its answer with the body. Raises `ApiError` if there is no answer."""
    read_s, total_s = (LONG_READ_S, 2 * LONG_READ_S) if long else (READ_S, TOTAL_S)
    request.extensions["timeout"] = timeout(read_s)
    try:
        async with asyncio.timeout(total_s), opened(http, request, f"no answer in {read_s:g} s") as answer:
            return answer, await read(answer)
    except TimeoutError as exc:
        raise ApiError(Kind.TIMEOUT, text=f"the answer was not complete in {total_s:g} s") from exc


async def read(answer: httpx.Response) -> bytes:
    """Return the whole body. Raises `ApiError` (protocol) for one without end."""
    body = bytearray()
    async for piece in answer.aiter_bytes():
        body += piece
        if len(body) > MAX_ANSWER:
            raise ApiError(Kind.PROTOCOL, text=f"the answer is larger than {MAX_ANSWER >> 20} MiB")
    return bytes(body)


@contextmanager
def _told(request: httpx.Request, silent: str) -> Iterator[None]:
    """Turn what httpx raises into `ApiError`."""
    import httpx

    where = f"{request.url.host}:{request.url.port or ('443' if request.url.scheme == 'https' else '80')}"
    try:
        yield
    except httpx.ConnectTimeout as exc:
        text = f"{where}: no connection in {CONNECT_S:g} s"
        raise ApiError(Kind.TIMEOUT, text=text, sent=False) from exc
    except httpx.PoolTimeout as exc:
        text = f"all {CONNECTIONS} connections are busy"
        raise ApiError(Kind.TIMEOUT, text=text, sent=False) from exc
    except httpx.TimeoutException as exc:
        raise ApiError(Kind.TIMEOUT, text=f"{where}: {silent}") from exc
    except httpx.ConnectError as exc:
        raise _unconnected(where, exc) from exc
    except httpx.RemoteProtocolError as exc:
        text = f"{where}: cut short, or no HTTP: {exc}"
        raise ApiError(Kind.REFUSED, text=text, sent=True) from exc
    except (httpx.NetworkError, httpx.ProxyError) as exc:
        raise ApiError(Kind.REFUSED, text=f"{where}: the connection was cut", sent=True) from exc
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as exc:
        raise ApiError(Kind.PROTOCOL, text=f"{where}: {exc}") from exc


def _unconnected(where: str, error: BaseException) -> ApiError:
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return ApiError(Kind.TLS, text=f"{where}: certificate refused: {cause.verify_message}")
        if isinstance(cause, ssl.SSLError):
            return ApiError(Kind.TLS, text=f"{where}: no TLS: {_reason(cause)}")
    first = next((cause for cause in reversed(causes) if isinstance(cause, OSError)), error)
    return ApiError(Kind.REFUSED, text=f"{where}: {_reason(first)}", sent=False)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):  # one for each address that was tried
            error = error.exceptions[-1]
        else:
            error = error.__cause__ or error.__context__


def _reason(error: BaseException) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).replace("_", " ").lower()
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error)


# -- refusals

_KINDS = {
    401: Kind.UNAUTHORIZED,
    403: Kind.FORBIDDEN,
    404: Kind.NOT_FOUND,
    408: Kind.TIMEOUT,
    409: Kind.CONFLICT,
    429: Kind.LIMITED,
}


class _Refusal(msgspec.Struct):
    error: str = ""
    code: str = ""


def refusal(answer: httpx.Response, raw: bytes) -> ApiError | None:
    """Return what an answer other than a success means."""
    status = answer.status_code
    if 200 <= status < 300:
        return None
    try:
        said = msgspec.json.decode(raw, type=_Refusal)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        said = _Refusal()  # of a proxy, or of another program
    kind = _KINDS.get(status, Kind.UNAVAILABLE if status >= 500 else Kind.PROTOCOL)
    text = said.error or _phrase(answer)
    ref = answer.headers.get("X-Request-ID", "")
    return ApiError(kind, status, said.code, text, _retry_after(answer), ref)


def _phrase(answer: httpx.Response) -> str:
    status = answer.status_code
    if 300 <= status < 400:
        return (
            f"the server sends on to {answer.headers.get('Location', 'another address')}; put that into url"
        )
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"status {status}"


def _retry_after(answer: httpx.Response) -> float | None:
    value = answer.headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdigit() and len(value) < 7 else None
