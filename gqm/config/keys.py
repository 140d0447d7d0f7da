"""What a key of the configuration is: one declaration for parser, schema, reference and template."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from typing import TypeVar

from gqm.config.durations import format_duration
from gqm.config.values import Duration, Kind, ListOf, Payload, Section, Sections, Text, Tls, Ttl, Word

__all__ = ["Key", "declare", "keys_of", "section", "sections"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a section.

    ``field`` is the attribute of the model, ``name`` the key in YAML: the same, but durations carry their
    unit in Python (``grace_period_s``). ``unset`` says in words what happens without the key, where the
    default value alone does not. ``empty_counts``: an empty text is a value, not "not given". ``secret``: no
    message repeats the value. ``sample`` is what the template shows, ``active`` whether it is in use there.
    """

    field: str
    name: str
    kind: Kind
    doc: str
    default: object
    unset: str = ""
    required: bool = False
    empty_counts: bool = False
    secret: bool = False
    sample: str = ""
    active: bool = False

    @property
    def default_words(self) -> str:
        """The default as it would be written in YAML, or in words."""
        if self.required:
            return "required"
        if self.unset:
            return self.unset
        value = written(self.kind, self.default)
        return value if value not in ("", "[]") else "none"

    @property
    def type_name(self) -> str:
        """The type in words."""
        if isinstance(self.kind, ListOf):
            return f"list of {self.kind.kind.name}"
        return "list of mappings" if isinstance(self.kind, Sections) else self.kind.name

    @property
    def template_value(self) -> str:
        """What the template shows as the value, in YAML."""
        if self.sample:
            return self.sample
        value = written(self.kind, self.default)
        quoted = isinstance(self.kind, Text | Word | Duration | Ttl) and value != "0"
        return f'"{value}"' if quoted else value

    @property
    def allowed(self) -> str:
        """What the key accepts beyond its type, in a few words."""
        kind = self.kind.kind if isinstance(self.kind, ListOf) else self.kind
        return "" if isinstance(kind, Section | Sections | Tls | Payload) else kind.allowed()


def written(kind: Kind, value: object) -> str:
    """Write a value of the model as YAML, without quotes."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(kind, Duration | Ttl) and isinstance(value, float):
        return "0" if value == 0 else format_duration(value)
    if isinstance(kind, Tls):
        return "false"
    if isinstance(value, tuple):
        return "[]"
    if isinstance(value, float):
        return f"{value:g}"
    return "" if value is None else str(value)


def declare(
    default: T,
    kind: Kind,
    doc: str,
    *,
    unset: str = "",
    required: bool = False,
    empty_counts: bool = False,
    secret: bool = False,
    sample: str = "",
    active: bool = False,
) -> T:
    """Declare a key: a field of a frozen dataclass with all that `Key` says about it."""
    declared = Key("", "", kind, doc, default, unset, required, empty_counts, secret, sample, active)
    return dataclasses.field(default=default, repr=not secret, metadata={"key": declared})


def section(model: type[T], doc: str) -> T:
    """Declare a key that holds a section; without it the section has its defaults."""
    declared = Key("", "", Section(model), doc, None)
    return dataclasses.field(default_factory=model, metadata={"key": declared})


def sections(model: type[T], doc: str, *, active: bool = False) -> tuple[T, ...]:
    """Declare a key that holds a list of sections; without it the list is empty."""
    declared = Key("", "", Sections(model), doc, (), active=active)
    return dataclasses.field(default=(), metadata={"key": declared})


@functools.cache
def keys_of(model: type) -> dict[str, Key]:
    """Return the keys of a model class by their YAML names, in the order of declaration."""
    found = {}
    for item in dataclasses.fields(model):
        declared = item.metadata.get("key")
        if isinstance(declared, Key):
            name = item.name.removesuffix("_s")
            found[name] = dataclasses.replace(declared, field=item.name, name=name)
    return found
