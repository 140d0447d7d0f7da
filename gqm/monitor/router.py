"""From method and path to a row of the table, and the parameters in the form that the row asks for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar, get_args, get_origin
from urllib.parse import parse_qsl

import msgspec

from gqm.jsontext import NotJSON, check_depth
from gqm.monitor.problems import Problem
from gqm.monitor.request import Request, decoded
from gqm.monitor.table import Kind, Row

T = TypeVar("T", bound=msgspec.Struct)

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
NAME_RULES: dict[Kind, tuple[re.Pattern[str], str]] = {
    "job": (re.compile(r"[A-Za-z0-9._-]{1,256}"), "a job id: [A-Za-z0-9._-]{1,256}"),
    "queue": (re.compile(r"[^\x00-\x1f\x7f-\x9f]{1,128}"), "a queue: 1 to 128 characters but controls"),
    "server": (re.compile(r"[A-Za-z0-9._@:-]{1,256}"), "a server id: [A-Za-z0-9._@:-]{1,256}"),
    "worker": (re.compile(r"[A-Za-z0-9._@:-]{1,256}"), "a worker id: [A-Za-z0-9._@:-]{1,256}"),
    "cron": (re.compile(r"[A-Za-z0-9._@:-]{1,256}"), "a cron id: [A-Za-z0-9._@:-]{1,256}"),
}


class Router:
    """Finds rows. Of two that fit, the one without an object in its path wins."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self.rows = tuple(rows)
        self._exact: dict[int, list[tuple[list[str], Row]]] = {}
        self._rest: list[tuple[str, Row]] = []
        for row in sorted(self.rows, key=lambda row: "{" in row.path):
            if row.path.endswith("*"):
                self._rest.append((row.path[:-1], row))
            else:
                parts = row.path.split("/")
                self._exact.setdefault(len(parts), []).append((parts, row))

    def find(self, request: Request) -> Row:
        """Return the row and note the object in the path. Raises `Problem` (404, 405)."""
        found = self._fitting(request.path)
        method = "GET" if request.method == "HEAD" else request.method
        for row, segment in found:
            if row.method == method:
                request.row, request.name = row, segment
                return row
        if not found:
            raise Problem("NOT_FOUND", f"there is nothing at {request.path[:200]}")
        request.row = found[0][0] if len({row.path for row, _ in found}) == 1 else None
        methods = {str(row.method) for row, _ in found}
        allowed = sorted(methods | {"HEAD"} if "GET" in methods else methods)
        text = f"{request.method[:20]} is not possible here; {', '.join(allowed)} is"
        raise Problem("METHOD_NOT_ALLOWED", text, ("Allow", ", ".join(allowed)))

    def _fitting(self, path: str) -> list[tuple[Row, str]]:
        parts = path.split("/")
        found: list[tuple[Row, str]] = []
        for template, row in self._exact.get(len(parts), ()):
            segment = _match(template, parts)
            if segment is not None and not (found and "{" in row.path and "{" not in found[0][0].path):
                found.append((row, segment))
        if not found:
            found = [(row, path) for start, row in self._rest if path.startswith(start)]
        return found


def _match(template: Sequence[str], parts: Sequence[str]) -> str | None:
    segment = ""
    for wanted, part in zip(template, parts, strict=True):
        if wanted.startswith("{"):
            if not part:
                return None
            segment = part
        elif wanted != part:
            return None
    return segment


def read_parameters(request: Request, row: Row) -> None:
    """Check the object in the path, query and body, and note them. Raises `Problem`."""
    body = read_json(request, row) if row.body is not None else None
    if row.names is not None:
        request.name = _checked_name(request.name, row.names)
    query = read_query(request.query, row.query, free=row.any_query)
    request.params = body if row.body is not None else query


def _checked_name(segment: str, kind: Kind) -> str:
    name = decoded(segment)
    pattern, rule = NAME_RULES[kind]
    if not pattern.fullmatch(name):
        raise Problem("BAD_REQUEST", f"{name[:60]!r} is not {rule}")
    return name


# ------------------------------------------------------------------------------------------- query


def read_query(text: str, model: type[T] | None, *, free: bool = False) -> T | None:
    """Return the query as its model. Raises `Problem` naming what is unknown, doubled or out of range."""
    if free:
        return None
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(model)} if model else {}
    given = _given(text, fields)
    if model is None:
        return None
    try:
        params = msgspec.convert(given, model, strict=False)
    except msgspec.ValidationError as exc:
        raise Problem("BAD_REQUEST", _explained(exc, given)) from None
    for name, value in given.items():
        if getattr(params, name) is None:  # the word null, read as "not given"
            raise Problem("BAD_REQUEST", f"parameter {name} is {value!r}: give a value, or leave it out")
    return params


def _given(text: str, fields: Mapping[str, object]) -> dict[str, Any]:
    """Return what a query says. Raises `Problem` for an unknown or doubled name."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), errors="strict")
    except ValueError:
        raise Problem("BAD_REQUEST", "the query is not of the form name=value&name=value in UTF-8") from None
    given: dict[str, Any] = {}
    for name, value in pairs:
        if name not in fields:
            known = f"there are: {', '.join(sorted(fields))}" if fields else "there are none here"
            raise Problem("BAD_REQUEST", f"unknown parameter {name[:60]!r}; {known}")
        if name in given:
            raise Problem("BAD_REQUEST", f"parameter {name} is given twice")
        if _CONTROLS.search(value):
            raise Problem("BAD_REQUEST", f"parameter {name} holds control characters")
        given[name] = _split(name, value) if _is_list(fields[name]) else value
    return given


def _is_list(kind: object) -> bool:
    return get_origin(kind) is tuple or any(get_origin(item) is tuple for item in get_args(kind))


def _split(name: str, value: str) -> list[str]:
    parts = value.split(",")
    if "" in parts:
        raise Problem("BAD_REQUEST", f"parameter {name} has an empty value")
    return parts


def _explained(exc: msgspec.ValidationError, given: dict[str, Any]) -> str:
    text = str(exc)
    what, _, place = text.rpartition(" - at `$.")
    name = re.split(r"[`.\[]", place)[0] if what else ""
    if not name:
        return text
    value = given.get(name)
    shown = f" is {str(value)[:60]!r}" if isinstance(value, str) else ""
    return f"parameter {name}{shown}: {what[0].lower()}{what[1:]}"


# -------------------------------------------------------------------------------------------- body


def read_json(request: Request, row: Row) -> object:
    """Return the body as the model of the row. Raises `Problem`."""
    assert row.body is not None
    media_type = str(request.environ.get("CONTENT_TYPE") or "").partition(";")[0].strip().lower()
    if row.body_optional and not request.body:
        return row.body()
    if media_type != "application/json":
        raise Problem("UNSUPPORTED_MEDIA_TYPE", "send the body as Content-Type: application/json")
    if not request.body:
        raise Problem("BAD_REQUEST", "the body is empty")
    try:
        request.body.decode("utf-8")
        if request.body.count(b"{") + request.body.count(b"[") > 128:
            check_depth(request.body)
        return msgspec.json.decode(request.body, type=row.body)
    except msgspec.ValidationError as exc:
        raise Problem("BAD_REQUEST", f"body: {exc}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, NotJSON) as exc:
        raise Problem("BAD_REQUEST", f"the body is not JSON: {exc}") from None
