"""The filter language of every table: words, `col:text`, `col=exact`, `col>14m`, `-term`, joined by AND."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

Value = str | float | None

# A term is a run of bare characters and quoted parts; a quote that is still open reaches to the end.
_TERM = re.compile(r'(?:"[^"]*(?:"|$)|[^\s"])+')
_PARTS = re.compile(r"(?P<not>-?)(?P<col>[A-Za-z_][A-Za-z0-9_]*)(?P<op>[:=<>])(?P<text>.*)", re.DOTALL)
_NUMBER = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>[smhdkM%]?)")
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "k": 1e3, "M": 1e6, "%": 0.01}


class QueryError(ValueError):
    """A filter that cannot be understood; its text is one sentence for the filter bar."""


@dataclass(frozen=True, slots=True)
class Term:
    """One condition; without a column it looks at every shown one. `number` is the limit of `<` and `>`."""

    text: str
    column: str | None = None
    op: str = ":"
    negated: bool = False
    number: float = 0.0

    def matches(self, row: Mapping[str, Value]) -> bool:
        """Tell whether a row, by column name, meets this condition."""
        values = list(row.values()) if self.column is None else [row.get(self.column)]
        return any(self._holds(value) for value in values) != self.negated

    def _holds(self, value: Value) -> bool:
        if self.op in "<>":
            if not isinstance(value, float | int):
                return False
            return value > self.number if self.op == ">" else value < self.number
        shown = "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
        wanted, shown = self.text.casefold(), shown.casefold()
        return shown == wanted if self.op == "=" else wanted in shown


@dataclass(frozen=True, slots=True)
class Query:
    """A whole filter; the empty one matches every row."""

    terms: tuple[Term, ...] = ()

    def matches(self, row: Mapping[str, Value]) -> bool:
        """Tell whether a row, by column name, meets every condition. Spans are in seconds."""
        return all(term.matches(row) for term in self.terms)


def _number(text: str, term: str) -> float:
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise QueryError(f"{term}: a number is needed, like 14m, 2h, 5k or 80%")
    return float(found["number"]) * _UNITS[found["unit"]]


def _term(raw: str, columns: Collection[str]) -> Term:
    parts = _PARTS.fullmatch(raw)
    if parts is None:
        negated = raw.startswith("-") and len(raw) > 1
        return Term(raw[negated:].replace('"', ""), negated=negated)
    column, op, text = parts["col"], parts["op"], parts["text"].replace('"', "")
    if column not in columns:
        raise QueryError(f"no field {column} here; there are {', '.join(columns)}")
    if op not in "<>" and not text and op != "=":
        raise QueryError(f"{raw} needs a text after the colon")
    number = _number(text, raw) if op in "<>" else 0.0
    return Term(text, column, op, bool(parts["not"]), number)


def parse(text: str, columns: Collection[str]) -> Query:
    """Read a filter for a table with these columns.

    Raises QueryError for a field the table does not have, and for `<` or `>` without a number.
    """
    return Query(tuple(_term(found[0], columns) for found in _TERM.finditer(text)))
