"""The description of the API in OpenAPI 3.1, made from the table of routes."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from gqm.monitor.problems import STATUS
from gqm.monitor.static import tagged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gqm.monitor.answers import Plain
    from gqm.monitor.context import Context
    from gqm.monitor.request import Request
    from gqm.monitor.table import Row

_REF = "#/components/schemas/{name}"
_COMMON = ("400", "405", "429", "500", "503")


def description(context: Context, request: Request) -> Plain:
    """Answer with the description of this API."""
    body = msgspec.json.encode(describe(context.router.rows, request.mount))
    return tagged(request, body, "application/json", hashlib.sha256(body).hexdigest()[:32])


def describe(rows: Sequence[Row], mount: str = "") -> dict[str, Any]:
    """Return the description of rows."""
    from gqm import __version__

    models = [model for row in rows for model in (row.answer, row.body) if model is not None]
    queries = [row.query for row in rows if row.query is not None]
    schemas, components = msgspec.json.schema_components([*models, *queries], ref_template=_REF)
    of_model = {id(model): schema for model, schema in zip([*models, *queries], schemas, strict=True)}
    components["Error"] = {
        "type": "object",
        "required": ["error", "code"],
        "properties": {
            "error": {"type": "string"},
            "code": {"type": "string", "enum": sorted(STATUS)},
        },
    }
    paths: dict[str, dict[str, Any]] = {}
    for row in rows:
        path = row.path.replace("*", "{path}")
        paths.setdefault(path, {})[row.method.lower()] = _operation(row, of_model, components)
    return {
        "openapi": "3.1.0",
        "info": {"title": "GQM", "version": __version__, "license": {"name": "MIT", "identifier": "MIT"}},
        "servers": [{"url": mount or "/"}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "bearer": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "gqm_session"},
            },
        },
    }


def _operation(row: Row, of_model: dict[int, Any], components: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": row.summary,
        "operationId": _name(row),
        "parameters": [*_path_parameters(row), *_query_parameters(row, components)],
        "responses": {"200": _success(row, of_model)},
        "x-role": row.access,
    }
    for status in _refusals(row):
        operation["responses"][status] = {
            "description": "refused",
            "content": {"application/json": {"schema": {"$ref": _REF.format(name="Error")}}},
        }
    if row.body is not None:
        content = {"application/json": {"schema": of_model[id(row.body)]}}
        operation["requestBody"] = {"required": not row.body_optional, "content": content}
    if row.access != "none":
        operation["security"] = [{"key": []}, {"bearer": []}, {"session": []}]
    return operation


def _name(row: Row) -> str:
    words = [word for word in row.path.replace("*", "path").split("/") if word not in ("", "api", "v1")]
    return "_".join([row.method.lower(), *(word.strip("{}").replace("-", "_") for word in words)])


def _path_parameters(row: Row) -> list[dict[str, Any]]:
    names = [part[1:-1] for part in row.path.replace("*", "{path}").split("/") if part.startswith("{")]
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in names
    ]


def _query_parameters(row: Row, components: dict[str, Any]) -> list[dict[str, Any]]:
    if row.query is None:
        return []
    properties = components[row.query.__name__]["properties"]
    return [
        {"name": name, "in": "query", "required": False, "style": "form", "explode": False, "schema": schema}
        for name, schema in properties.items()
    ]


def _refusals(row: Row) -> list[str]:
    found = [*_COMMON]
    if row.access != "none":
        found += ["401", "403"]
    if row.names is not None or row.path.endswith("*"):
        found.append("404")
    if row.method != "GET":
        found += ["409", "413", "415"]
    return sorted(set(found))


def _success(row: Row, of_model: dict[int, Any]) -> dict[str, Any]:
    if row.answer is None:
        return {"description": "success"}
    meta: dict[str, Any] = {
        "type": "object",
        "required": ["server_time"],
        "properties": {"server_time": {"type": "number"}},
    }
    if row.lists:
        meta["required"] += ["page", "limit", "total", "truncated"]
        for name in ("page", "limit", "total", "scanned"):
            meta["properties"][name] = {"type": "integer"}
        meta["properties"]["truncated"] = {"type": "boolean"}
    schema = {
        "type": "object",
        "required": ["data", "meta"],
        "properties": {"data": of_model[id(row.answer)], "meta": meta},
    }
    return {"description": "success", "content": {"application/json": {"schema": schema}}}
