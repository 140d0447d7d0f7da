"""The REST API as the terminal UI calls it: one origin, one credential, errors as `ApiError`."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Generic, Protocol, TypeAlias, TypeVar, cast
from urllib.parse import quote

import msgspec

from gqm_tui.core import transport
from gqm_tui.core.answers import LoggedIn, LoggedOut
from gqm_tui.core.clock import Clock, SystemClock
from gqm_tui.core.errors import ApiError, Kind
from gqm_tui.core.events import Event, EventLines, decode_event
from gqm_tui.core.model import Me, Meta

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Param: TypeAlias = "str | int | float | bool | Sequence[str] | None"
Params: TypeAlias = "Mapping[str, Param]"

V1 = "/api/v1"
SILENCE_S = 40.0
"""The server sends at least a comment every 15 s; a stream that is silent for longer than this is lost."""
_COOKIE = re.compile(r"((?:__Host-)?gqm_session)=([0-9a-f]{64})(?:;|$)(.*)")


class Reply(msgspec.Struct, Generic[T_co], frozen=True):
    """A success. ``local_mid`` is the wall time here in the middle of the request, unix seconds."""

    data: T_co
    meta: Meta
    took_ms: float
    local_mid: float


class ApiClient(Protocol):
    """What the rest of the terminal UI knows of the API. Every call raises `ApiError`, and nothing else."""

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        ...

    @property
    def insecure_transport(self) -> bool:
        """Whether anybody on the way can read along: plain http to another machine."""
        ...

    async def get(self, path: str, params: Params | None, type: type[T]) -> Reply[T]:
        """Read something; ``type`` is that of ``data``, like ``list[Queue]``."""
        ...

    async def send(
        self,
        method: str,
        path: str,
        params: Params | None,
        body: object,
        type: type[T],
        *,
        long: bool = False,
    ) -> Reply[T]:
        """Change something; never sent twice. ``long`` waits 60 s instead of 5 s for the answer."""
        ...

    def events(self, params: Params | None = None) -> AsyncIterator[Event]:
        """Follow the event stream until it says `Bye`; a lost or silent one raises `ApiError`."""
        ...

    async def login(self, user: str, password: str) -> Me:
        """Sign in; the session is kept in memory."""
        ...

    async def logout(self) -> None:
        """End the session, here also when the server cannot be told."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


def path(*parts: str) -> str:
    """Return a path below ``/api/v1``, every part percent-encoded: ``path("queues", "a/b", "jobs")``."""
    return "/".join((V1, *map(_segment, parts)))


def _segment(part: str) -> str:
    # Programs on the way resolve "." and "..", so a queue of that name has to hide its dots.
    return part.replace(".", "%2E") if part in {".", ".."} else quote(part, safe="", errors="replace")


def query(params: Params | None) -> dict[str, str]:
    """Return parameters as text: booleans as words, lists with commas, ``None`` left out."""
    return {name: _text(value) for name, value in (params or {}).items() if value is not None}


def _text(value: str | int | float | Sequence[str]) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6f}".rstrip("0").rstrip(".")
    text = str(value) if isinstance(value, str | int) else ",".join(value)
    return text.encode("utf-8", "replace").decode()


class _Envelope(msgspec.Struct, Generic[T]):
    data: T
    meta: Meta


class HttpClient:
    """The API of one context over HTTP.

    The key, or after `login` the session, goes nowhere but to ``url``: redirects are errors and every
    address is made here. A client that is ``read_only`` refuses to change anything. Raises `ApiError`
    (protocol) for a URL or a key that cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        ca_file: str | None = None,
        insecure: bool = False,
        read_only: bool = False,
        clock: Clock | None = None,
        silence_s: float = SILENCE_S,
    ) -> None:
        self._base = transport.Base.parse(url)
        self._tls = transport.Tls(ca_file, insecure)
        self._key = transport.checked_key(api_key)
        self._cookie = ""
        self._read_only = read_only
        self._clock = clock or SystemClock()
        self._silence_s = silence_s
        self._decoders: dict[object, msgspec.json.Decoder[object]] = {}
        self._opened: httpx.AsyncClient | None = None
        self._closed = False

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return self._base.origin

    @property
    def insecure_transport(self) -> bool:
        """Whether anybody on the way can read along."""
        return self._base.insecure

    async def get(self, path: str, params: Params | None, type: type[T]) -> Reply[T]:
        """Read something."""
        return await self._ask("GET", path, params, None, type, long=False)

    async def send(
        self,
        method: str,
        path: str,
        params: Params | None,
        body: object,
        type: type[T],
        *,
        long: bool = False,
    ) -> Reply[T]:
        """Change something; never sent twice."""
        if self._read_only:
            raise ApiError(Kind.FORBIDDEN, code="READ_ONLY", text="this context is read-only")
        return await self._ask(method, path, params, body, type, long=long)

    async def events(self, params: Params | None = None) -> AsyncGenerator[Event, None]:
        """Follow the event stream until it says `Bye`."""
        request = self._request("GET", path("events"), params, None)
        request.extensions["timeout"] = transport.timeout(self._silence_s)
        lines = EventLines()
        async with transport.opened(self._http, request, f"no event for {self._silence_s:g} s") as answer:
            if not answer.is_success:
                self._refuse(answer, await transport.read(answer))
            async for piece in answer.aiter_bytes():
                for name, data in lines.feed(piece):
                    event = decode_event(name, data)
                    if event is not None:
                        yield event
                    if name == "bye":
                        return
        raise ApiError(Kind.REFUSED, text="the event stream was cut")

    async def login(self, user: str, password: str) -> Me:
        """Sign in; from now on the session speaks, not the key."""
        body = {"username": user, "password": password}
        request = self._request("POST", "/auth/login", None, body, credential=False)
        answer, raw = await transport.exchange(self._http, request, long=True)
        self._refuse(answer, raw)
        self._decode(answer, raw, LoggedIn)
        self._cookie = self._session_of(answer)
        self._key = ""
        return (await self.get("/auth/me", None, Me)).data

    async def logout(self) -> None:
        """End the session, here also when the server cannot be told."""
        request = self._request("POST", "/auth/logout", None, None)
        self._cookie = ""
        answer, raw = await transport.exchange(self._http, request)
        self._refuse(answer, raw)
        self._decode(answer, raw, LoggedOut)

    async def close(self) -> None:
        """Close all connections; every later call is refused."""
        self._closed = True
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.aclose()

    # -- inside

    @property
    def _http(self) -> httpx.AsyncClient:
        if self._closed:
            raise ApiError(Kind.REFUSED, text=f"{self.origin}: this context was left")
        if self._opened is None:
            self._opened = transport.open_client(self._base, self._tls)
        return self._opened

    def _request(
        self, method: str, path: str, params: Params | None, body: object, *, credential: bool = True
    ) -> httpx.Request:
        headers = {"Accept": "application/json, text/event-stream"}
        if method != "GET":
            headers["X-GQM-CSRF"] = "1"
        if credential and self._key:
            headers["X-API-Key"] = self._key
        elif credential and self._cookie:
            headers["Cookie"] = self._cookie
        return transport.build(self._http, method, self._base.url(path), query(params), headers, body)

    async def _ask(
        self, method: str, path: str, params: Params | None, body: object, type: type[T], *, long: bool
    ) -> Reply[T]:
        request = self._request(method, path, params, body)
        began, wall = self._clock.monotonic(), self._clock.wall()
        answer, raw = await transport.exchange(self._http, request, long=long)
        took = self._clock.monotonic() - began
        local_mid = wall + took / 2
        self._refuse(answer, raw)
        if raw:
            data, meta = self._decode(answer, raw, type)
        else:
            data, meta = _nothing(type), Meta(server_time=local_mid)
        return Reply(data, meta, took * 1_000, local_mid)

    def _refuse(self, answer: httpx.Response, raw: bytes) -> None:
        error = transport.refusal(answer, raw)
        if error is not None:
            raise error

    def _decode(self, answer: httpx.Response, raw: bytes, type: type[T]) -> tuple[T, Meta]:
        """Return data and meta of a success. Raises `ApiError` (protocol) naming the field that is wrong."""
        decoder = self._decoders.get(type)
        if decoder is None:
            decoder = self._decoders[type] = msgspec.json.Decoder(_Envelope[type])  # type: ignore[valid-type]
        try:
            found = cast("_Envelope[T]", decoder.decode(raw))
        except msgspec.ValidationError as exc:
            raise ApiError(Kind.PROTOCOL, answer.status_code, text=f"answer not understood: {exc}") from exc
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            media = answer.headers.get("Content-Type", "nothing")
            text = f"{self.origin} does not answer as GQM's API does, but with {media}"
            raise ApiError(Kind.PROTOCOL, answer.status_code, text=text) from exc
        return found.data, found.meta

    def _session_of(self, answer: httpx.Response) -> str:
        """Return the session's cookie as it is sent. Raises `ApiError` if there is none to be used."""
        for line in answer.headers.get_list("Set-Cookie"):
            found = _COOKIE.match(line)
            if found is None:
                continue
            if "secure" in found[3].lower().replace(" ", "").split(";") and self.insecure_transport:
                raise ApiError(Kind.PROTOCOL, 200, text="the server signs in over https only")
            return f"{found[1]}={found[2]}"
        raise ApiError(Kind.PROTOCOL, 200, text="the server signed in, but sent no session")


def _nothing(type: type[T]) -> T:
    """Return the value of an answer without a body, such as a 204."""
    try:
        return msgspec.convert({}, type)
    except msgspec.ValidationError as exc:
        raise ApiError(Kind.PROTOCOL, 204, text="the answer is empty") from exc
