"""Lengths of time: how they are written, read and shown. Inside GQM they are float seconds."""

from __future__ import annotations

import math
import re

from gqm.config.problems import Refused

__all__ = [
    "DURATION_PATTERN",
    "LONGEST_S",
    "NOT_A_DURATION",
    "WHOLE_NUMBER",
    "format_duration",
    "parse_duration",
    "read_duration",
]

LONGEST_S = 36_500 * 86_400.0
"""The longest duration that is accepted anywhere: 100 years. Times beyond it fit no stored score."""

NOT_A_DURATION = 'not a duration; use seconds or text such as "500ms", "30s", "5m", "24h"'

_UNITS_S = {"d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_GROUPS = "".join(rf"(?:({_NUMBER}){unit}{'(?!s)' if unit == 'm' else ''})?" for unit in _UNITS_S)
_TEXT = re.compile(rf"(-?)(?=[0-9]){_GROUPS}")

WHOLE_NUMBER = re.compile(r"[-+]?(?:0|[1-9][0-9]*(?:_[0-9]+)*)")
"""A decimal integer as YAML values may have it; leading zeros would mean octal to other readers."""

DURATION_PATTERN = rf"^(?=[0-9]){_GROUPS}$"
"""The text form as a regular expression for the JSON schema."""


def read_duration(text: str, *, plain: bool = False) -> float:
    """Return the seconds that a text stands for; with ``plain`` also a bare number of whole seconds.

    Accepts a sign, so that the caller can say which range a negative value leaves. Raises `Refused` (R12).
    """
    if plain and WHOLE_NUMBER.fullmatch(text):
        return float(text.replace("_", ""))
    match = _TEXT.fullmatch(text)
    if match is None:
        raise Refused("R12", NOT_A_DURATION)
    groups = zip(match.groups()[1:], _UNITS_S.values(), strict=True)
    # Rounded to the microsecond: 1.1 x 0.001 s would else carry the noise of binary fractions.
    seconds = round(math.fsum(float(number) * unit for number, unit in groups if number), 6)
    return -seconds if match.group(1) else seconds


def parse_duration(value: str | int) -> float:
    """Return a duration in seconds: an int is seconds, text is groups such as ``"1h30m"`` or ``"500ms"``.

    Raises ``ValueError`` for anything else, also for a negative duration.
    """
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(NOT_A_DURATION)
    try:
        seconds = read_duration(str(value), plain=isinstance(value, int))
    except Refused as refused:
        raise ValueError(refused.text) from None
    if not 0 <= seconds <= LONGEST_S:
        raise ValueError(f"{value} is out of range (0s to {format_duration(LONGEST_S)})")
    return seconds


def format_duration(seconds: float) -> str:
    """Write a duration the way it may be typed: ``90`` gives ``1m30s``, ``0.05`` gives ``50ms``."""
    if seconds < 0:
        return f"-{format_duration(-seconds)}"
    left_ms = seconds * 1000
    parts = []
    for unit, unit_s in _UNITS_S.items():
        unit_ms = round(unit_s * 1000)
        count = left_ms if unit == "ms" else left_ms // unit_ms
        if count:
            parts.append(f"{count:.10g}{unit}")
            left_ms -= count * unit_ms
    return "".join(parts) or "0s"
