"""The JSON schema of ``gqm.yaml``, for editors that complete and check while one types."""

from __future__ import annotations

from gqm.config.keys import Key, keys_of
from gqm.config.model import Config
from gqm.config.values import Kind, ListOf, Payload, Section, Sections, Text, Tls, Word

__all__ = ["json_schema"]

_FROM_ENVIRONMENT: dict[str, object] = {"type": "string", "pattern": r"\$\{"}


def json_schema() -> dict[str, object]:
    """Return the schema (draft 2020-12), generated from the model.

    It is a little wider than the loader, which also compares values with each other. Every scalar may also be
    text with ``${NAME}`` in it, and every key may be empty.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "gqm.yaml",
        "description": "Configuration of GQM, a Redis job queue",
        **_section(Config),
    }


def _section(model: type) -> dict[str, object]:
    keys = keys_of(model)
    rule: dict[str, object] = {
        "type": ["object", "null"] if model is Config else "object",
        "properties": {name: _described(known) for name, known in keys.items()},
        "additionalProperties": False,
    }
    required = [name for name, known in keys.items() if known.required]
    return {**rule, "required": required} if required else rule


def _described(known: Key) -> dict[str, object]:
    rule = _rule(known.kind)
    if not known.required:
        empty: list[object] = [{"const": ""}] if isinstance(known.kind, Text | Word) else []
        rule = {"anyOf": [*_alternatives(rule), *empty, {"type": "null"}]}
    described: dict[str, object] = {"description": _sentence(known), **rule}
    if isinstance(known.default, bool | int | str) and known.default != "" and not known.required:
        described["default"] = known.default
    elif isinstance(known.default, float):
        described["default"] = known.default_words if known.default else 0
    return described


def _sentence(known: Key) -> str:
    text = f"{known.doc} ({known.allowed})" if known.allowed else known.doc
    return text[0].upper() + text[1:] + "."


def _rule(kind: Kind) -> dict[str, object]:
    match kind:
        case Section(model):
            return _section(model)
        case Sections(model):
            return {"type": "array", "items": _section(model)}
        case Tls(model):
            return {"anyOf": [{"type": "boolean"}, _FROM_ENVIRONMENT, _section(model)]}
        case Payload():
            return {"type": ["object", "string"]}
        case ListOf(kind):
            return {"type": "array", "items": _scalar(kind.schema())}
        case kind:
            return _scalar(kind.schema())


def _scalar(rule: dict[str, object]) -> dict[str, object]:
    return {"anyOf": [*_alternatives(rule), _FROM_ENVIRONMENT]}


def _alternatives(rule: dict[str, object]) -> list[object]:
    inner = rule.get("anyOf")
    return [*inner] if isinstance(inner, list) and len(rule) == 1 else [rule]
