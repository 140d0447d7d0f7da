"""The text of the project: nothing unfinished, no swallowed errors, no paths of the machine behind it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = (
    ".ci",
    "benchmarks",
    "deploy",
    "docs",
    "examples",
    "gqm",
    "gqm_cli",
    "gqm_tui",
    "tests",
    "web_static",
)
TEXT = {"", ".css", ".html", ".js", ".json", ".lua", ".md", ".py", ".sh", ".toml", ".txt", ".yaml", ".yml"}

# Put together from parts, so that this file does not hold what it looks for.
MARKS = ["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"]
PLACES = ["/wo" + "rk/", "/fa" + "rm/", "bash" + "_jobs", "/ro" + "ot/"]
SWITCH = "# no" + "qa"

FORBIDDEN = {
    "a mark of unfinished work": rf"\b({'|'.join(MARKS)})\b",
    "a path of one machine": "|".join(PLACES),
    "a conflict marker": r"(?m)^(<{7}|>{7}) ",
    "a check switched off without a reason": rf"{SWITCH}(?!: [A-Z]+\d+(, ?[A-Z]+\d+)* +--? \w)",
}


def files() -> Iterator[Path]:
    yield from (path for path in ROOT.iterdir() if path.is_file() and path.suffix in {".md", ".toml"})
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and path.suffix in TEXT and "__pycache__" not in path.parts:
                yield path


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def python_files() -> Iterator[tuple[Path, ast.AST]]:
    for path in files():
        if path.suffix == ".py":
            yield path, ast.parse(path.read_text("utf-8"))


def swallows(handler: ast.ExceptHandler) -> bool:
    return all(
        isinstance(step, ast.Pass) or (isinstance(step, ast.Expr) and isinstance(step.value, ast.Constant))
        for step in handler.body
    )


def is_stub(node: ast.AST) -> bool:
    return isinstance(node, ast.Raise) and "NotImplemented" in ast.dump(node)


@pytest.mark.parametrize("what", sorted(FORBIDDEN))
def test_no_file_holds(what: str) -> None:
    found = [
        f"{name_of(path)}:{text.count(chr(10), 0, hit.start()) + 1}: {hit.group()!r}"
        for path in files()
        for text in [path.read_text("utf-8")]
        for hit in re.finditer(FORBIDDEN[what], text)
    ]
    assert found == []


def test_no_error_is_swallowed_without_a_word() -> None:
    found = [
        f"{name_of(path)}:{node.lineno}"
        for path, tree in python_files()
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler) and swallows(node)
    ]
    assert found == []


def test_nothing_is_left_to_be_implemented() -> None:
    found = [f"{name_of(path)}" for path, tree in python_files() for node in ast.walk(tree) if is_stub(node)]
    assert found == []


@pytest.mark.parametrize(
    ("what", "text", "found"),
    [
        ("a mark of unfinished work", f"# {MARKS[0]}: later", True),
        ("a mark of unfinished work", f"mktemp {MARKS[2] * 2}", False),
        ("a path of one machine", f"see {PLACES[0]}main", True),
        ("a path of one machine", "work/main and /workers", False),
        ("a conflict marker", f"a\n{'<' * 7} HEAD\n", True),
        ("a check switched off without a reason", f"x  {SWITCH}", True),
        ("a check switched off without a reason", f"x  {SWITCH}: E501", True),
        ("a check switched off without a reason", f"x  {SWITCH}: E501, BLE001 - foreign code", False),
    ],
)
def test_the_search_finds_what_it_looks_for(what: str, text: str, found: bool) -> None:
    assert bool(re.search(FORBIDDEN[what], text)) is found


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("try: f()\nexcept Exception: pass", True),
        ("try: f()\nexcept OSError:\n    ...", True),
        ("try: f()\nexcept OSError:\n    log(1)", False),
        ("try: f()\nexcept OSError:\n    pass\n    log(1)", False),
    ],
)
def test_the_search_finds_swallowed_errors(code: str, found: bool) -> None:
    handlers = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ExceptHandler)]
    assert [swallows(handler) for handler in handlers] == [found]


def test_the_search_reaches_every_kind_of_file() -> None:
    seen = {name_of(path) for path in files()}
    assert {".ci/run", "README.md", "gqm/errors.py", "pyproject.toml", name_of(Path(__file__))} <= seen
    assert any(name.endswith(".lua") for name in seen)
