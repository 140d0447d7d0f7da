"""The types of values: what each accepts, how it refuses, and how it reads in schema and reference."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from gqm.config.durations import (
    DURATION_PATTERN,
    LONGEST_S,
    NOT_A_DURATION,
    WHOLE_NUMBER,
    format_duration,
    read_duration,
)
from gqm.config.problems import CODE, Refused, did_you_mean, shown
from gqm.config.tree import Node, Scalar, describe

if TYPE_CHECKING:
    from gqm.config.formats import Format
    from gqm.config.model import TLSConfig

__all__ = [
    "Bool",
    "Duration",
    "Int",
    "Kind",
    "ListOf",
    "Number",
    "Payload",
    "RateLimit",
    "Section",
    "Sections",
    "Text",
    "Tls",
    "Ttl",
    "Value",
    "Word",
    "wrong_type",
]

_FLOAT = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,4})?")
_TRUE = frozenset({"true", "yes", "on", "y"})
_FALSE = frozenset({"false", "no", "off", "n"})
_TEXT_LIMIT = 4096  # nothing longer can be a number or a duration
_DIGITS = 30  # longer integers are out of every range, and int() would refuse the very long ones
_HUGE = 1_000_000_000_000_000_000_000_000_000_000


def wrong_type(expected: str, node: Node) -> Refused:
    """Return the refusal of a value of the wrong type."""
    return Refused("R9", f"expected {expected}, got {describe(node)}")


def _out_of_range(scalar: Scalar, least: str, most: str) -> Refused:
    return Refused("R13", f"{_show(scalar)} is out of range ({least} to {most})")


def _any_case(words: Iterable[str]) -> str:
    """Return a pattern for words in any case; the schema's dialect has no flag for that."""
    spelled = ("".join(f"[{char.upper()}{char}]" for char in word) for word in words)
    return f"^(?:{'|'.join(spelled)})$"


def _show(scalar: Scalar) -> str:
    return shown(scalar.text, hidden=scalar.hidden)


class Value(Protocol):
    """The type of a single value."""

    name: ClassVar[str]

    def read(self, scalar: Scalar) -> object:
        """Return the value that a scalar stands for. Raises `Refused`."""

    def allowed(self) -> str:
        """Say what is accepted, in a few words; empty if the type says it all."""

    def schema(self) -> dict[str, object]:
        """Describe the value as JSON schema."""


@dataclass(frozen=True, slots=True)
class Int:
    """A whole number within bounds."""

    least: int
    most: int
    name: ClassVar[str] = "int"

    def read(self, scalar: Scalar) -> int:
        """Return the number. Raises `Refused`: R9, R13."""
        number = read_int(scalar)
        if not self.least <= number <= self.most:
            raise _out_of_range(scalar, str(self.least), str(self.most))
        return number

    def allowed(self) -> str:
        """Give the bounds."""
        return f"{self.least} to {self.most}"

    def schema(self) -> dict[str, object]:
        """Describe the number as JSON schema."""
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


def read_int(scalar: Scalar) -> int:
    """Read a decimal number of any size. Raises `Refused` (R9)."""
    text = scalar.text
    if not scalar.plain or not WHOLE_NUMBER.fullmatch(text):
        raise wrong_type(Int.name, scalar)
    if len(text) > _DIGITS:
        return -_HUGE if text.startswith("-") else _HUGE
    return int(text)


@dataclass(frozen=True, slots=True)
class RateLimit:
    """Requests per second: a positive number, or -1 for none."""

    most: int = 100_000
    name: ClassVar[str] = "int"

    def read(self, scalar: Scalar) -> int:
        """Return the number. Raises `Refused`: R9, R13, R51."""
        number = read_int(scalar)
        if number == 0 or number < -1:
            raise Refused("R51", f"allowed: 1..{self.most}, or -1 for no limit")
        if number > self.most:
            raise _out_of_range(scalar, "1", str(self.most))
        return number

    def allowed(self) -> str:
        """Give the bounds."""
        return f"1 to {self.most}, or -1 for no limit"

    def schema(self) -> dict[str, object]:
        """Describe the number as JSON schema."""
        return {"type": "integer", "minimum": -1, "maximum": self.most, "not": {"const": 0}}


@dataclass(frozen=True, slots=True)
class Number:
    """A decimal number within bounds."""

    least: float
    most: float
    name: ClassVar[str] = "number"

    def read(self, scalar: Scalar) -> float:
        """Return the number. Raises `Refused`: R9, R13."""
        text = scalar.text
        if WHOLE_NUMBER.fullmatch(text):
            number = float(read_int(scalar))
        elif scalar.plain and len(text) <= _TEXT_LIMIT and _FLOAT.fullmatch(text):
            number = float(text)
        else:
            raise wrong_type(self.name, scalar)
        if not self.least <= number <= self.most:
            raise _out_of_range(scalar, f"{self.least:g}", f"{self.most:g}")
        return number

    def allowed(self) -> str:
        """Give the bounds."""
        return f"{self.least:g} to {self.most:g}"

    def schema(self) -> dict[str, object]:
        """Describe the number as JSON schema."""
        return {"type": "number", "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True, slots=True)
class Bool:
    """True or false, in any of YAML's words."""

    name: ClassVar[str] = "bool"

    def read(self, scalar: Scalar) -> bool:
        """Return the truth value. Raises `Refused` (R9)."""
        word = scalar.text.lower()
        if not scalar.plain or word not in _TRUE | _FALSE:
            raise wrong_type(self.name, scalar)
        return word in _TRUE

    def allowed(self) -> str:
        """Give the two words."""
        return "true, false"

    def schema(self) -> dict[str, object]:
        """Describe the value as JSON schema. Parsers of YAML 1.2 see ``yes`` and ``no`` as text."""
        words = _any_case(sorted(_TRUE | _FALSE))
        return {"anyOf": [{"type": "boolean"}, {"type": "string", "pattern": words}]}


@dataclass(frozen=True, slots=True)
class Text:
    """A text, of a given form or of any."""

    form: Format | None = None
    longest: int = 0
    name: ClassVar[str] = "text"

    def read(self, scalar: Scalar) -> str:
        """Return the text as written. Raises `Refused` with the rule of the form."""
        text = scalar.text
        if self.longest and len(text) > self.longest:
            raise Refused("R2", f"larger than {self.longest} characters")
        if self.form and not self.form.accepts(text):
            raise Refused(self.form.rule, self.form.text.format(value=_show(scalar)))
        return text

    def allowed(self) -> str:
        """Give the form in words."""
        if self.longest:
            return f"at most {self.longest} characters"
        return self.form.words if self.form else ""

    def schema(self) -> dict[str, object]:
        """Describe the text as JSON schema; numbers and booleans are taken as they are written."""
        rule: dict[str, object] = {"type": ["string", "number", "boolean"]}
        if self.form and self.form.pattern:
            rule["pattern"] = self.form.pattern
        if self.longest:
            rule["maxLength"] = self.longest
        return rule


@dataclass(frozen=True, slots=True)
class Word:
    """One of a few words; ``any_case`` accepts and folds capital letters."""

    words: tuple[str, ...]
    any_case: bool = False
    name: ClassVar[str] = "text"

    def read(self, scalar: Scalar) -> str:
        """Return the word. Raises `Refused` (R14)."""
        word = scalar.text.lower() if self.any_case else scalar.text
        if word not in self.words:
            near = did_you_mean(word, self.words, hidden=scalar.hidden)
            raise Refused("R14", f'"{_show(scalar)}" is not allowed ({self.allowed()}){near}')
        return word

    def allowed(self) -> str:
        """List the words."""
        return ", ".join(self.words)

    def schema(self) -> dict[str, object]:
        """Describe the word as JSON schema."""
        if self.any_case:
            return {"type": "string", "pattern": _any_case(self.words)}
        return {"enum": list(self.words)}


@dataclass(frozen=True, slots=True)
class Duration:
    """A length of time in seconds.

    ``positive`` refuses zero and less in words of its own: such a limit cannot be switched off.
    ``signed`` leaves negative values to a later rule.
    """

    least_s: float = 0.0
    most_s: float = LONGEST_S
    positive: bool = False
    signed: bool = False
    name: ClassVar[str] = "duration"

    def read(self, scalar: Scalar) -> float:
        """Return the seconds. Raises `Refused`: R12, R13, R24."""
        seconds = _seconds(scalar)
        if self.positive and seconds <= 0:
            raise Refused("R24", "cannot be switched off; leave the key out for 1800 s")
        least_s = -LONGEST_S if self.signed else self.least_s
        if not least_s <= seconds <= self.most_s:
            raise _out_of_range(scalar, format_duration(self.least_s), format_duration(self.most_s))
        return seconds

    def allowed(self) -> str:
        """Give the bounds."""
        if self.most_s == LONGEST_S:
            return "above 0s" if self.positive else f"{format_duration(self.least_s)} or more"
        return f"{format_duration(self.least_s)} to {format_duration(self.most_s)}"

    def schema(self) -> dict[str, object]:
        """Describe the duration as JSON schema: whole seconds, or text with units."""
        seconds = {"type": "integer", "minimum": 1 if self.positive else int(-(-self.least_s // 1))}
        return {"anyOf": [seconds, {"type": "string", "pattern": DURATION_PATTERN}]}


@dataclass(frozen=True, slots=True)
class Ttl:
    """How long something is kept: a duration, 0 for not at all, -1 for ever."""

    name: ClassVar[str] = "duration"

    def read(self, scalar: Scalar) -> float:
        """Return the seconds, or -1.0 for ever. Raises `Refused`: R13, R25."""
        if scalar.plain and scalar.text == "-1":
            return -1.0
        try:
            seconds = _seconds(scalar)
        except Refused:
            seconds = -1.0
        if seconds < 0:
            raise Refused("R25", "allowed: -1 (keep for ever), 0 (delete at once) or a duration")
        if seconds > LONGEST_S:
            raise _out_of_range(scalar, "0s", format_duration(LONGEST_S))
        return seconds

    def allowed(self) -> str:
        """Name the two special values."""
        return "-1 = for ever, 0 = not at all"

    def schema(self) -> dict[str, object]:
        """Describe the duration as JSON schema."""
        return {
            "anyOf": [{"type": "integer", "minimum": -1}, {"type": "string", "pattern": DURATION_PATTERN}]
        }


def _seconds(scalar: Scalar) -> float:
    text = scalar.text
    if len(text) > _TEXT_LIMIT:
        raise Refused("R12", NOT_A_DURATION)
    # In code a float of seconds is what everybody writes; in YAML it hides which unit is meant.
    if scalar.place == CODE and scalar.plain and not WHOLE_NUMBER.fullmatch(text) and _FLOAT.fullmatch(text):
        return float(text)
    return read_duration(text, plain=scalar.plain)


# --------------------------------------------------------------------------------- composed types


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of single values."""

    kind: Value
    name: ClassVar[str] = "list"


@dataclass(frozen=True, slots=True)
class Section:
    """A mapping whose keys are the fields of a model class."""

    model: type
    name: ClassVar[str] = "mapping"


@dataclass(frozen=True, slots=True)
class Sections:
    """A list of such mappings."""

    model: type
    name: ClassVar[str] = "list"


@dataclass(frozen=True, slots=True)
class Tls:
    """A boolean, or a mapping that means "on" and says more; both make a ``TLSConfig``."""

    model: type[TLSConfig]
    name: ClassVar[str] = "bool or mapping"


@dataclass(frozen=True, slots=True)
class Payload:
    """A JSON object: a mapping, or the text of one."""

    name: ClassVar[str] = "mapping"


Kind = Value | ListOf | Section | Sections | Tls | Payload
