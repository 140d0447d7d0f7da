"""The filter language of every table: words, `col:text`, `col=exact`, `col>14m`, `-term`, joined by AND."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

Value = str | float | None

# A term is a run of bare characters and quoted parts; a quote that is still open reaches to the end.
_TERM = re.compile(r'(?:"[^"]*(?:"|$)|[^\s"])+')
_PARTS = re.compile(r"(?P<not>-?)(?P<col>[A-Za-z_][A-Za-z0-9_]*)(?P<op>[:=<>])(?P<text>.*)", re.DOTALL)
_NUMBER = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>[smhdkM%]?)")
_MOMENT = re.compile(r"-?(?P<ago>\d{1,9}[smhd])|(?P<epoch>\d{10,12}(?:\.\d{1,9})?)")
_MOST_CHARS = {"type": 128, "queue": 128, "error": 200, "action": 128, "target": 1_024}
_MOST_CHARS_ELSE = 256
_MOST_VALUES = 20
# The server looks for these texts anywhere; it has no way to ask for exactly this text.
_PARTS_ONLY = frozenset({"q", "error"})
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


def _term(raw: str, columns: Collection[str] | Mapping[str, str]) -> Term:
    parts = _PARTS.fullmatch(raw)
    if parts is None:
        negated = raw.startswith("-") and len(raw) > 1
        return Term(raw[negated:].replace('"', ""), negated=negated)
    column, op, text = parts["col"], parts["op"], parts["text"].replace('"', "")
    if column not in columns:
        names = dict.fromkeys(columns.values() if isinstance(columns, Mapping) else columns)
        raise QueryError(f"no field {column} here; there are {', '.join(names)}")
    if isinstance(columns, Mapping):
        column = columns[column]
    if op not in "<>" and not text and op != "=":
        raise QueryError(f"{raw} needs a text after the colon")
    number = _number(text, raw) if op in "<>" else 0.0
    return Term(text, column, op, bool(parts["not"]), number)


def parse(text: str, columns: Collection[str] | Mapping[str, str]) -> Query:
    """Read a filter for a table with these columns; a mapping gives the column that each accepted word means.

    Raises QueryError for a field the table does not have, and for `<` or `>` without a number.
    """
    return Query(tuple(_term(found[0], columns) for found in _TERM.finditer(text)))


def to_params(query: Query, allowed: Collection[str], word: str = "q") -> dict[str, str]:
    """Say a filter in the parameters of a list that the server filters and cuts into pages.

    `allowed` are the parameters that the list takes, `word` is the one that a word without a column becomes.
    A type with a colon is looked for by its beginning, with `=` as a whole. Raises QueryError naming the
    first term that the server cannot be asked for.
    """
    params: dict[str, str] = {}
    for term in query.terms:
        name = term.column or word
        if name not in allowed:
            raise QueryError(
                f"{name}: the server cannot look for that here, only for {', '.join(sorted(allowed))}"
            )
        if term.negated or term.op in "<>":
            sign = "-" if term.negated else term.op
            raise QueryError(f"{name}: this list knows no {sign}; the server takes {name}:text")
        if name in params:
            once = f"{name} stands there twice; the server takes it once"
            several = 'the server takes one word; put quotes around "several words"'
            raise QueryError(once if term.column else several)
        params[name] = _param(name, term)
    return params


def _param(name: str, term: Term) -> str:
    if term.op == "=" and name in _PARTS_ONLY:
        raise QueryError(f"{name}: the server looks for parts of it only, so write {name}:text")
    if name in ("since", "until"):
        found = _MOMENT.fullmatch(term.text)
        if found is None:
            raise QueryError(f"{name} takes a span before now, like {name}:15m, or unix seconds")
        return f"-{found['ago']}" if found["ago"] else found["epoch"]
    parts = term.text.split(",") if name in ("type", "queue") else [term.text]
    most = _MOST_CHARS.get(name, _MOST_CHARS_ELSE)
    if not all(parts) or len(parts) > _MOST_VALUES or any(len(part) > most for part in parts):
        what = f"1 to {_MOST_VALUES} texts of 1 to {most}" if name in ("type", "queue") else f"1 to {most}"
        raise QueryError(f"{name} takes {what} characters")
    if name == "type" and term.op == ":":
        parts = [part if part.endswith("*") else f"{part}*" for part in parts]
    return ",".join(parts)
