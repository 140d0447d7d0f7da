"""Short forms for the tests of the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gqm.config import Config, Problem, parse_config
from gqm.errors import ConfigError

HASH = "$2b$12$" + "a" * 53
KEY = "gqm_ak_" + "0123456789abcdef" * 3
KEY_HASH = "sha256:" + "0123456789abcdef" * 4
SAMPLE = Path(__file__).with_name("readme_sample.yaml")

_STAND_INS = {
    "<HASH>": HASH,
    "<COST_9>": HASH.replace("$12$", "$09$"),
    "<COST_15>": HASH.replace("$12$", "$15$"),
    "<KEY>": KEY,
    "<KEY_HASH>": KEY_HASH,
    "<BELL>": "\x07",
}


def found(
    text: str,
    *,
    env: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
    file: str = "gqm.yaml",
) -> tuple[Problem, ...]:
    """Return all problems of a text, whatever their level."""
    try:
        config = parse_config(text, env=env or {}, overrides=overrides, file=file)
    except ConfigError as error:
        return error.problems
    return tuple(sorted((*config.incomplete, *config.warnings), key=lambda p: (p.line or 0, p.column or 0)))


def lines(
    text: str,
    *,
    env: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
    file: str = "gqm.yaml",
) -> list[str]:
    """Return the problems of a text as they are shown, without the file name."""
    shown = [str(item) for item in found(text, env=env, overrides=overrides, file=file)]
    return [line.removeprefix(f"{file}:") for line in shown]


def load(
    text: str, *, env: Mapping[str, str] | None = None, overrides: Mapping[str, object] | None = None
) -> Config:
    """Return the configuration of a text that has no errors."""
    return parse_config(text, env=env or {}, overrides=overrides)


def cases(name: str) -> list[tuple[str, str, list[str]]]:
    """Read a file of cases: rule, configuration, and the lines that are expected."""
    _, *blocks = SAMPLE.with_name(name).read_text().split("\n=== ")
    found_cases = []
    for block in blocks:
        rule, _, rest = block.partition("\n")
        text, _, expected = rest.partition("\n>>>\n")
        for stand_in, value in _STAND_INS.items():
            text = text.replace(stand_in, value)
        found_cases.append((rule, text, expected.strip().split("\n")))
    return found_cases
