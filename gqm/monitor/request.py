"""One request as the pipeline sees it, made from a WSGI environment."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from urllib.parse import quote, unquote_to_bytes

from gqm.monitor.limits import MAX_BODY, MAX_TARGET
from gqm.monitor.problems import Problem

if TYPE_CHECKING:
    from gqm.monitor.settings import Role
    from gqm.monitor.table import Row

Environ: TypeAlias = dict[str, Any]
Source: TypeAlias = Literal["session", "key", "anonymous", "external"]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks."""

    name: str
    role: Role
    source: Source
    expires_at: int | None = None
    """End of the session, unix seconds."""
    session: str = ""
    """SHA-256 of the session's token, in hexadecimal."""


@dataclass(slots=True)
class Note:
    """What the audit is told of a write; filled in by the handler."""

    action: str = ""
    target: str = ""
    count: int = 1
    before: str = ""
    after: str = ""
    actor: str = ""
    skip: bool = False
    """Nothing was changed, and nothing is recorded (dry runs)."""


@dataclass(slots=True)
class Request:
    """A request, growing on its way through the pipeline."""

    environ: Environ
    method: str
    mount: str
    """Where the API is mounted, quoted; empty = at the root."""
    path: str
    """The path below the mount as it was sent, still quoted."""
    query: str
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    address: str = ""
    https: bool = False
    body: bytes = b""
    row: Row | None = None
    name: str = ""
    """The object in the path, decoded and checked."""
    params: Any = None
    """Query or body, as the model of the row."""
    caller: Caller | None = None
    note: Note = field(default_factory=Note)

    def header(self, name: str) -> str | None:
        """Return a header field by its name in the environment (``HTTP_…``)."""
        value = self.environ.get(name)
        return value if isinstance(value, str) else None

    @property
    def reads_only(self) -> bool:
        """Whether the method changes nothing."""
        return self.method in ("GET", "HEAD")

    @property
    def who(self) -> Caller:
        """The caller of a row that has one."""
        assert self.caller is not None
        return self.caller


def read_request(environ: Environ) -> Request:
    """Return the request of an environment; nothing is checked yet."""
    mount = quote(str(environ.get("SCRIPT_NAME", "")).rstrip("/"), safe="/:@!$&'()*+,;=~", encoding="latin-1")
    path, query = _target(environ, mount)
    return Request(environ, str(environ.get("REQUEST_METHOD", "GET")), mount, path, query)


def _target(environ: Environ, mount: str) -> tuple[str, str]:
    raw = environ.get("REQUEST_URI") or environ.get("RAW_URI")
    query = str(environ.get("QUERY_STRING", ""))
    if not isinstance(raw, str) or not raw:
        return quote(str(environ.get("PATH_INFO", "")), safe="/:@!$&'()*+,;=~", encoding="latin-1"), query
    if "://" in raw.partition("?")[0].partition("/")[0] + "//" and not raw.startswith("/"):
        raw = "/" + raw.partition("://")[2].partition("/")[2]
    path = raw.partition("?")[0]
    return path.removeprefix(mount) if mount else path, query


def read_body(request: Request) -> bytes:
    """Read the body. Raises `Problem` for one that has no length, is too long, or does not come."""
    environ = request.environ
    problem = environ.get("gqm.problem")
    if isinstance(problem, Problem):
        raise problem
    if len(request.path) + len(request.query) > MAX_TARGET:
        raise Problem("URI_TOO_LONG", f"the target is longer than {MAX_TARGET:,} bytes")
    if environ.get("HTTP_TRANSFER_ENCODING"):
        raise Problem("LENGTH_REQUIRED", "a body needs a Content-Length; chunked bodies are not taken")
    text = str(environ.get("CONTENT_LENGTH") or "0")
    if not (text.isascii() and text.isdigit()):
        raise Problem("BAD_REQUEST", f"Content-Length is no number: {text[:40]!r}")
    length = int(text)
    if length > MAX_BODY:
        raise Problem("PAYLOAD_TOO_LARGE", f"the body is {length:,} bytes; the limit is {MAX_BODY:,}")
    if not length:
        return b""
    body: bytes = environ["wsgi.input"].read(length)
    if len(body) < length:
        raise Problem("REQUEST_TIMEOUT", "the body did not arrive whole")
    return body


def decoded(segment: str) -> str:
    """Decode a segment of a path, once. Raises `Problem` if it is no UTF-8."""
    try:
        return unquote_to_bytes(segment).decode("utf-8")
    except UnicodeDecodeError:
        raise Problem("BAD_REQUEST", f"the path is not UTF-8: {segment[:80]!r}") from None
