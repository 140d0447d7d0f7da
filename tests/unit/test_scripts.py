"""The Lua files: headers that tell what callers must know, parts that resolve, no global variables."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

import gqm.store
from gqm.store.scripts import script, script_names
from tests.support.lua_scope import find_globals

FOLDER = Path(gqm.store.__file__).parent / "lua"
SCRIPTS = sorted(FOLDER.glob("*.lua"))
LIBRARIES = sorted((FOLDER / "lib").glob("*.lua"))
BUILTINS = {"KEYS", "ARGV", "redis", "cjson", "string", "table", "math"}
FUNCTIONS = {"ipairs", "pairs", "pcall", "tonumber", "tostring", "type", "unpack"}


def header(path: Path) -> str:
    lines = path.read_text("utf-8").splitlines()
    count = next(i for i, line in enumerate(lines) if not line.startswith("--"))
    return "\n".join(lines[:count])


def needs(path: Path) -> list[str]:
    found = re.search(r"^-- needs: (.+)$", path.read_text("utf-8"), re.MULTILINE)
    return found.group(1).split() if found else []


def test_there_are_scripts_and_all_are_listed() -> None:
    assert {path.stem for path in SCRIPTS} == set(script_names())
    assert {"enqueue", "claim", "complete", "retry", "dead_letter", "return_unstarted"} <= set(script_names())


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_header_says_purpose_keys_arguments_and_answers(path: Path) -> None:
    text = header(path)
    lines = [line for line in text.splitlines() if not line.startswith("-- needs:")]
    assert re.match(r"-- [A-Z].*[a-z]", lines[0]), "the first line is the purpose"
    assert re.search(r"^-- KEYS {2}1(\.\.)? ", text, re.MULTILINE)
    assert re.search(r"^-- ARGV {2}1 prefix", text, re.MULTILINE)
    assert re.search(r"^-- Returns ", text, re.MULTILINE)


@pytest.mark.parametrize("path", LIBRARIES, ids=lambda path: path.stem)
def test_library_says_what_it_is(path: Path) -> None:
    assert f"-- lib/{path.stem}: " in header(path)


@pytest.mark.parametrize("path", SCRIPTS + LIBRARIES, ids=lambda path: path.stem)
def test_needs_resolve_without_circles(path: Path) -> None:
    def walk(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, f"circle: {above}"
        library = FOLDER / "lib" / f"{name}.lua"
        assert library.exists(), f"{path.name} needs {name}, which is not there"
        for needed in needs(library):
            walk(needed, (*above, name))

    for name in needs(path):
        walk(name, ())


def code(path: Path) -> str:
    lines = path.read_text("utf-8").splitlines()
    return "\n".join(line for line in lines if line.strip() and not line.lstrip().startswith("--"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_each_part_stands_once_and_behind_those_that_it_needs(path: Path) -> None:
    source = script(path.stem).source

    def place(part: Path) -> int:
        assert source.count(code(part)) == 1
        for name in needs(part):
            assert place(FOLDER / "lib" / f"{name}.lua") < source.index(code(part))
        return source.index(code(part))

    assert place(path) + len(code(path)) == len(source), "the script itself is the end"
    assert not re.search(r"^\s*--", source, re.MULTILINE), "comments cost memory in every server"


@pytest.mark.parametrize("name", script_names())
def test_no_script_touches_a_global_variable(name: str) -> None:
    found = find_globals(script(name).source)
    assert not found.assigned
    assert found.used <= BUILTINS | FUNCTIONS


@pytest.mark.parametrize("name", script_names())
def test_sha_is_that_of_the_source(name: str) -> None:
    found = script(name)
    assert found is script(name), "assembled once"
    assert found.sha == hashlib.sha1(found.source.encode()).hexdigest()


@pytest.mark.parametrize("path", SCRIPTS + LIBRARIES, ids=lambda path: path.stem)
def test_no_command_that_a_shared_server_must_not_get(path: Path) -> None:
    assert not re.search(r"'(KEYS|FLUSH\w*|CONFIG|SCRIPT|SHUTDOWN|SELECT)'", path.read_text("utf-8"))


@pytest.mark.parametrize("path", SCRIPTS + LIBRARIES, ids=lambda path: path.stem)
def test_lines_fit(path: Path) -> None:
    assert max(len(line) for line in path.read_text("utf-8").splitlines()) <= 120


# ------------------------------------------------------------------------------- the check itself


@pytest.mark.parametrize(
    ("source", "assigned"),
    [
        ("x = 1", {"x"}),
        ("local x; x = 1", set()),
        ("local function f() y = 2 end", {"y"}),
        ("function f() end", {"f"}),
        ("local t = { a = 1, b = { c = 2 } }", set()),
        ("local t = {} t.x = 1; t['y'] = 2", set()),
        ("local a; a, b = 1, 2", {"b"}),
        ("b, c = 1, 2", {"b", "c"}),
        ("if true then local z = 1 end z = 2", {"z"}),
        ("if a then local z = 1 else z = 2 end", {"z"}),
        ("for i = 1, 2 do i = 3 end", set()),
        ("for k, v in pairs({}) do k = v end k = 1", {"k"}),
        ("repeat local r = 1 until true; r = 1", {"r"}),
        ("local function f(p, ...) p = ... end p = 1", {"p"}),
        ("local s = 'x = 1' -- y = 2\nreturn s == 1", set()),
        ("local f = function(n) n = 1; m = n end", {"m"}),
        ("while true do local w = 1 end w = 1", {"w"}),
    ],
)
def test_globals_are_found(source: str, assigned: set[str]) -> None:
    assert find_globals(source).assigned == assigned


def test_globals_that_are_read_are_found() -> None:
    assert find_globals("local a = b.c(d[e], 'f') + a:g(h)").used == {"b", "d", "e", "h"}


@pytest.mark.parametrize("source", ["if x then", "end", "local x = @"])
def test_broken_lua_is_no_pass(source: str) -> None:
    with pytest.raises(ValueError, match=r"not closed|too many|not Lua"):
        find_globals(source)
