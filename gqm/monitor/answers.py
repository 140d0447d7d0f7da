"""Answers: the envelope, plain bodies and streams, and the header fields that every one carries."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TypeAlias

import msgspec

from gqm.monitor.limits import GZIP_FROM
from gqm.monitor.problems import Problem
from gqm.monitor.request import Request

Headers: TypeAlias = "list[tuple[str, str]]"

JSON = "application/json"

_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_TRUSTED_TYPES = "; require-trusted-types-for 'script'; trusted-types 'none'"
_ALWAYS = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "geolocation=(), microphone=(), camera=()"),
    ("Server", "gqm"),
)
_NO_STORE = ("/api", "/auth", "/health", "/ready", "/metrics")


@dataclass(frozen=True, slots=True)
class Data:
    """A success in the envelope."""

    data: object
    server_time: float | None = None
    """The clock of Redis; asked for when it is not given."""
    meta: Mapping[str, object] = field(default_factory=dict)
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Plain:
    """Any other answer with a body that is known."""

    body: bytes
    media_type: str = JSON
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    built_in_page: bool = False
    """A file of the built-in dashboard, which does without strings that become code."""


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer that is sent while it is made."""

    pieces: Iterable[bytes]
    media_type: str


Answer: TypeAlias = "Data | Plain | Stream"


def enveloped(answer: Data, server_time: float) -> Plain:
    """Return the JSON text of a success."""
    meta = {**answer.meta, "server_time": server_time}
    return Plain(msgspec.json.encode({"data": answer.data, "meta": meta}), headers=answer.headers)


def refused(problem: Problem) -> Plain:
    """Return the answer of a refusal."""
    body: dict[str, str] = {"error": problem.text, "code": problem.code}
    return Plain(msgspec.json.encode(body), status=problem.status, headers=problem.headers)


def status_line(status: int) -> str:
    """Return status and its phrase."""
    return f"{status} {HTTPStatus(status).phrase}"


def compressed(request: Request, answer: Plain) -> Plain:
    """Return the answer as the client takes it: long texts compressed if it said that it can read them."""
    zippable = answer.media_type.startswith(("text/", JSON)) or answer.media_type.endswith(("+xml", "+json"))
    if len(answer.body) < GZIP_FROM or answer.status != 200 or not zippable:
        return answer
    vary = ("Vary", "Accept-Encoding")
    if not accepts_gzip(request.header("HTTP_ACCEPT_ENCODING") or ""):
        return Plain(answer.body, answer.media_type, 200, (*answer.headers, vary), answer.built_in_page)
    body = gzip.compress(answer.body, 5, mtime=0)
    headers = (*answer.headers, vary, ("Content-Encoding", "gzip"))
    return Plain(body, answer.media_type, 200, headers, answer.built_in_page)


def accepts_gzip(field_value: str) -> bool:
    """Whether an Accept-Encoding allows gzip."""
    for item in field_value.lower().split(","):
        name, _, weight = item.strip().partition(";")
        if name.strip() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def header_fields(request: Request, answer: Plain | Stream) -> Headers:
    """Return all header fields of an answer."""
    built_in = isinstance(answer, Plain) and answer.built_in_page
    media_type = answer.media_type
    fields: Headers = [("Content-Type", media_type), ("X-Request-ID", request.id), *_ALWAYS]
    fields.append(("Content-Security-Policy", _CSP + _TRUSTED_TYPES if built_in else _CSP))
    if request.https:
        fields.append(("Strict-Transport-Security", "max-age=31536000"))
    if any(request.path == part or request.path.startswith(part + "/") for part in _NO_STORE):
        fields.append(("Cache-Control", "no-store"))
    elif isinstance(answer, Plain) and answer.status >= 400:
        fields.append(("Cache-Control", "no-cache"))
    if isinstance(answer, Plain):
        fields += answer.headers
        if answer.status != 304:
            fields.append(("Content-Length", str(len(answer.body))))
    return fields
