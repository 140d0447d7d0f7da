"""Finds globals in Lua 5.1 source: names that are used or assigned without a ``local`` that reaches them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["Globals", "find_globals"]

_TOKEN = re.compile(
    r"""
    (?P<space>\s+|--\[\[.*?\]\]|--[^\n]*)
  | (?P<text>'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|\[\[.*?\]\])
  | (?P<number>0x[0-9a-fA-F]+|\d+\.?\d*(?:[eE][+-]?\d+)?)
  | (?P<name>[A-Za-z_]\w*)
  | (?P<sign>\.\.\.|\.\.|==|~=|<=|>=|[-+*/%^\#<>=(){}\[\];:,.])
    """,
    re.VERBOSE | re.DOTALL,
)
_KEYWORDS = frozenset(
    re.findall(
        r"\w+",
        """and break do else elseif end false for function if in local nil not or repeat return then true
        until while""",
    )
)


@dataclass
class Globals:
    """What a chunk takes from, and puts into, the global table."""

    used: set[str] = field(default_factory=set)
    assigned: set[str] = field(default_factory=set)


def find_globals(source: str) -> Globals:
    """Return the globals of a chunk. Raises ``ValueError`` for text that is not Lua."""
    return _Walk(list(_tokens(source))).result


def _tokens(source: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(source):
        match = _TOKEN.match(source, at)
        if match is None or match.lastgroup is None:
            raise ValueError(f"not Lua: {source[at : at + 30]!r}")
        at = match.end()
        kind, text = match.lastgroup, match.group()
        if kind != "space":
            yield "keyword" if kind == "name" and text in _KEYWORDS else kind, text
    yield "end", ""


class _Walk:
    """One pass over the tokens with a stack of scopes."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self.result = Globals()
        self._tokens = tokens
        self._at = 0
        self._scopes: list[set[str]] = [set()]
        self._tables = 0  # depth of table constructors, in which `name =` is a key
        self._loop_names: set[str] = set()
        while self._kind() != "end":
            self._step()
        if len(self._scopes) != 1:
            raise ValueError("blocks are not closed")

    def _kind(self, ahead: int = 0) -> str:
        return self._tokens[self._at + ahead][0]

    def _text(self, ahead: int = 0) -> str:
        return self._tokens[min(self._at + ahead, len(self._tokens) - 1)][1]

    def _next(self) -> tuple[str, str]:
        self._at += 1
        return self._tokens[self._at - 1]

    def _open(self, names: set[str]) -> None:
        self._scopes.append(names)

    def _step(self) -> None:
        kind, text = self._next()
        if kind == "keyword":
            step = getattr(self, f"_keyword_{text}", None)
            if step is not None:
                step()
        elif kind == "sign":
            self._tables += {"{": 1, "}": -1}.get(text, 0)
            if text in (".", ":") and self._kind() == "name":
                self._next()  # a field, not a variable
        elif kind == "name":
            self._variable(text)

    def _variable(self, name: str) -> None:
        if self._tables and self._text() == "=":
            return  # a key of a table constructor
        if any(name in scope for scope in self._scopes):
            return
        self.result.used.add(name)
        if self._is_assigned():
            self.result.assigned.add(name)

    def _is_assigned(self) -> bool:
        # `a = …` and `a, b.c = …`: no operator but commas and fields up to the sign
        ahead = 0
        while self._text(ahead) == "," or (ahead and self._kind(ahead) == "name") or self._text(ahead) == ".":
            ahead += 1
        return self._text(ahead) == "=" and not self._tables

    def _names(self) -> set[str]:
        names = {self._next()[1]}
        while self._text() == ",":
            self._next()
            names.add(self._next()[1])
        return names

    def _keyword_local(self) -> None:
        if self._text() == "function":
            self._next()
            self._scopes[-1].add(self._next()[1])
            self._function_body()
        else:
            self._scopes[-1] |= self._names()

    def _keyword_function(self) -> None:
        if self._kind() == "name":
            name = self._text()
            if not any(name in scope for scope in self._scopes) and self._text(1) == "(":
                self.result.assigned.add(name)
            while self._text() != "(":
                self._next()
        self._function_body()

    def _function_body(self) -> None:
        self._next()  # the opening parenthesis
        names = set()
        while self._text() != ")":
            names.add(self._next()[1])
        self._next()
        self._open(names | {"..."})

    def _keyword_for(self) -> None:
        self._loop_names = self._names()

    def _keyword_do(self) -> None:
        self._open(self._loop_names)
        self._loop_names = set()

    def _keyword_then(self) -> None:
        self._open(set())

    def _keyword_repeat(self) -> None:
        self._open(set())

    def _keyword_else(self) -> None:
        self._scopes.pop()
        self._open(set())

    def _keyword_elseif(self) -> None:
        self._scopes.pop()

    def _keyword_until(self) -> None:
        self._scopes.pop()

    def _keyword_end(self) -> None:
        if len(self._scopes) == 1:
            raise ValueError("an end too many")
        self._scopes.pop()
