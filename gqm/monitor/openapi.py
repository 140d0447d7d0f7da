"""The description of the API in OpenAPI 3.1, made from the table of routes."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from gqm.monitor.problems import STATUS
from gqm.monitor.router import NAME_RULES
from gqm.monitor.static import tagged

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gqm.monitor.answers import Plain
    from gqm.monitor.context import Context
    from gqm.monitor.request import Request
    from gqm.monitor.table import Row

Schema = dict[str, Any]

_REF = "#/components/schemas/{name}"
_COMMON = (400, 405, 408, 409, 411, 413, 414, 429, 431, 500, 503)
"""Statuses of refusals that every call can meet."""


def description(context: Context, request: Request) -> Plain:
    """Answer with the description of this API."""
    body = msgspec.json.encode(describe(context.router.rows, request.mount))
    return tagged(request, body, "application/json", hashlib.sha256(body).hexdigest()[:32])


def describe(rows: Sequence[Row], mount: str = "") -> Schema:
    """Return the description of rows."""
    from gqm import __version__

    of_model, components = _schemas(rows)
    components["Error"] = {
        "type": "object",
        "required": ["error", "code"],
        "properties": {
            "error": {"type": "string"},
            "code": {"type": "string", "enum": sorted(STATUS)},
        },
    }
    paths: dict[str, Schema] = {}
    for row in rows:
        path = row.path.replace("*", "{path}")
        paths.setdefault(path, {})[row.method.lower()] = _operation(row, of_model)
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


def _schemas(rows: Sequence[Row]) -> tuple[Mapping[int, Schema], Schema]:
    """Return the schemas of all models, by identity of the model, and what they refer to."""
    models = [model for row in rows for model in (row.answer, row.preview, row.body) if model is not None]
    schemas, components = msgspec.json.schema_components(models, ref_template=_REF)
    return {id(model): schema for model, schema in zip(models, schemas, strict=True)}, components


def _operation(row: Row, of_model: Mapping[int, Schema]) -> Schema:
    operation: Schema = {
        "summary": row.summary,
        "operationId": _name(row),
        "parameters": [*_path_parameters(row), *query_parameters(row)],
        "responses": {_success_status(row): _success(row, of_model)},
        "x-role": row.access,
    }
    for status in refusals(row):
        operation["responses"][str(status)] = {
            "description": "refused",
            "content": {"application/json": {"schema": {"$ref": _REF.format(name="Error")}}},
        }
    if row.body is not None:
        schema = of_model[id(row.body)]
        if row.one_of:
            schema = {"allOf": [schema], "oneOf": [{"required": [name]} for name in row.one_of]}
        content = {"application/json": {"schema": schema}}
        operation["requestBody"] = {"required": not row.body_optional, "content": content}
    if row.access != "none":
        operation["security"] = [{"key": []}, {"bearer": []}, {"session": []}]
    return operation


def _name(row: Row) -> str:
    words = [word for word in row.path.replace("*", "path").split("/") if word not in ("", "api", "v1")]
    return "_".join([row.method.lower(), *(word.strip("{}").replace("-", "_") for word in words)])


def _path_parameters(row: Row) -> list[Schema]:
    names = [part[1:-1] for part in row.path.replace("*", "{path}").split("/") if part.startswith("{")]
    schema: Schema = {"type": "string", "minLength": 1}
    if row.names is not None:
        schema["pattern"] = f"^{NAME_RULES[row.names][0].pattern}$"
    return [{"name": name, "in": "path", "required": True, "schema": schema} for name in names]


def query_parameters(row: Row) -> list[Schema]:
    """Return the parameters of the query of a row."""
    if row.query is None:
        return []
    _, found = msgspec.json.schema_components([row.query], ref_template=_REF)
    properties = found[row.query.__name__]["properties"]
    return [
        {
            "name": name,
            "in": "query",
            "required": False,
            "style": "form",
            "explode": False,
            "schema": _without_null(schema),
        }
        for name, schema in properties.items()
    ]


def _without_null(schema: Schema) -> Schema:
    """Return a schema without ``null``, the default of what is not given: no query can say it."""
    choices = [choice for choice in schema.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        schema = choices[0]
    if None in schema.get("enum", ()):
        schema = {**schema, "enum": [value for value in schema["enum"] if value is not None]}
    return {name: value for name, value in schema.items() if (name, value) != ("default", None)}


def refusals(row: Row) -> list[int]:
    """Return the statuses with which a call can be refused."""
    found = {*_COMMON, *row.refusals}
    if row.access != "none":
        found |= {401, 403}
    if row.names is not None or row.path.endswith("*"):
        found.add(404)
    if row.method != "GET":
        found.add(403)
    if row.body is not None:
        found.add(415)
    return sorted(found)


def _success_status(row: Row) -> str:
    return "302" if row.answer is None and not row.media_type and not row.path.endswith("*") else "200"


def _success(row: Row, of_model: Mapping[int, Schema]) -> Schema:
    if not row.media_type:
        return {"description": "success"}
    if row.answer is None:
        return {"description": "success", "content": {row.media_type: {"schema": {"type": "string"}}}}
    schema = of_model[id(row.answer)]
    if row.preview is not None:
        schema = {"anyOf": [schema, of_model[id(row.preview)]]}
    if row.enveloped:
        schema = _envelope(row, schema)
    return {"description": "success", "content": {row.media_type: {"schema": schema}}}


def _envelope(row: Row, schema: Schema) -> Schema:
    meta: Schema = {
        "type": "object",
        "required": ["server_time"],
        "properties": {"server_time": {"type": "number"}},
    }
    if row.lists:
        meta["required"] += ["page", "limit", "total", "truncated"]
        for name in ("page", "limit", "total", "scanned"):
            meta["properties"][name] = {"type": "integer"}
        meta["properties"]["truncated"] = {"type": "boolean"}
    return {
        "type": "object",
        "required": ["data", "meta"],
        "properties": {"data": schema, "meta": meta},
    }
