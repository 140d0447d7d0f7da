"""Themes from files beside the configuration, as plain values that a terminal toolkit can take."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gqm_tui.core.tomlcheck import Problem, Table, read_toml

COLOURS = (
    *("primary", "secondary", "accent", "foreground", "background"),
    *("success", "warning", "error", "surface", "panel", "boost"),
)
_COLOUR = re.compile(r"#[0-9A-Fa-f]{3,8}|[a-z][a-z0-9_]*|(?:rgb|rgba|hsl|hsla)\([0-9., %]+\)")


@dataclass(frozen=True, slots=True)
class Theme:
    """One theme: its colours by token, whether it is a dark one, and further style variables."""

    name: str
    colours: Mapping[str, str]
    dark: bool = True
    variables: Mapping[str, str] = field(default_factory=dict)


def read_themes(folder: Path, problems: list[Problem]) -> tuple[Theme, ...]:
    """Read every `*.toml` of a folder, which need not exist; the name of a file is the name of its theme."""
    return tuple(_theme(path, problems) for path in sorted(folder.glob("*.toml")))


def _theme(path: Path, problems: list[Problem]) -> Theme:
    before = len(problems)
    table = read_toml(path, problems)
    if len(problems) > before:
        return Theme(path.stem, {})
    colours = {token: value for token in COLOURS if (value := _colour(table, token)) is not None}
    if "primary" not in table:
        table.wrong("primary", "is missing: the one colour that every theme needs")
    dark = table.flag("dark", default=True)
    variables = table.table("variables").each_text()
    table.done()
    return Theme(path.stem, colours, dark, variables)


def _colour(table: Table, token: str) -> str | None:
    value = table.text(token)
    if value is not None and not _COLOUR.fullmatch(value):
        table.wrong(token, f'"{value}" is not a colour like "#8ec07c" or "ansi_green"')
        return None
    return value
