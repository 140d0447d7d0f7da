"""Rules of the source and of the files around it that keep whole kinds of attacks out."""

from __future__ import annotations

import ast
import inspect
import re
import stat
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gqm
from gqm.config import parse_config
from gqm.errors import ConfigError
from gqm.keys import Keys
from gqm.store.scripts import script, script_names
from tests.engine.running import running
from tests.support.wait import eventually

ROOT = Path(__file__).parents[2]
PACKAGES = ("gqm", "gqm_cli", "gqm_tui")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

# ---------------------------------------------------------------- no code from data (line 14)

UNPACKERS = {"pickle", "cPickle", "dill", "marshal", "shelve", "jsonpickle", "code", "codeop"}
RUNNERS = {"eval", "exec", "compile", "__import__"}
ITSELF = "gqm/engine/runners/"
"""Worker processes and their engine are one program of one user; what they pickle comes from neither Redis
nor the network."""
IMPORTERS = {
    "gqm/__init__.py": "its own parts, named in it",
    "gqm/embedded/__init__.py": "its own parts, named in it",
    "gqm/server.py": "modules that the operator's program or configuration names",
    "gqm_cli/handlers.py": "modules that the operator's configuration names",
    "gqm_cli/program.py": "its own parts, named in it",
}


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """All calls with the last name of what is called."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = node.func
            name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
            yield name, node


def is_bare(node: ast.Call) -> bool:
    """Whether a name is called that is no method of something."""
    return isinstance(node.func, ast.Name)


@pytest.mark.security(14)
def test_nothing_unpacks_or_runs_what_it_reads() -> None:
    importing = set()
    assert len(SOURCES) > 100
    for path in SOURCES:
        tree = ast.parse(path.read_text())
        name = str(path.relative_to(ROOT))
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                modules = {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                modules = {(node.module or "").partition(".")[0]}
            else:
                continue
            assert not UNPACKERS & modules or name.startswith(ITSELF), name
        for called, node in calls(tree):
            assert not (called in RUNNERS and is_bare(node)), f"{name}:{node.lineno} calls {called}"
            if called == "import_module" and not isinstance(node.args[0], ast.Constant):
                importing.add(name)
            if called in ("load", "load_all") and ast.unparse(node.func).startswith("yaml."):
                raise AssertionError(f"{name}:{node.lineno}: yaml.load makes objects of what it reads")
    assert importing <= IMPORTERS.keys(), importing - IMPORTERS.keys()


@pytest.mark.security(14)
def test_a_type_that_names_a_module_runs_nothing(redis_socket: str, prefix: str, tmp_path: Path) -> None:
    where = f"unix:{redis_socket}"
    server = gqm.Server(where, prefix=prefix, unknown_type_ttl=0.1)
    server.handle("known", lambda job: "ran")
    trace = tmp_path / "ran"
    with gqm.Client(where, prefix=prefix) as client, running(server):
        for name in ("os.system", "subprocess.call", "builtins.eval", "tests.security.run", "known.__call__"):
            client.enqueue(name, {"args": [f"touch {trace}"], "__class__": name}, job_id=name)
        client.enqueue("known", job_id="last")
        eventually(lambda: client.get("last").status == "completed")  # type: ignore[union-attr]
        for name in ("os.system", "subprocess.call", "builtins.eval"):
            job = client.get(name)
            assert job is not None
            assert job.status != "completed"
    assert not trace.exists()


@pytest.mark.security(14)
@pytest.mark.parametrize(
    "text",
    [
        "app: !!python/object/apply:os.system ['touch x']\n",
        "app: !!python/name:os.system\n",
        "app: {timezone: !!python/object/new:object []}\n",
        "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n" for old, new in pairwise("abcdefgh")),
    ],
)
def test_yaml_makes_no_objects_and_no_floods(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_config(text, env={})


# ---------------------------------------------------------------------------- keys (line 16)

ids = st.text("abz019._-", min_size=1, max_size=8)
names = st.text("abz019._:-", min_size=1, max_size=8)
BUILDERS = [item for item in vars(Keys).items() if inspect.isfunction(item[1]) and item[0][0] != "_"]
WITH_COLONS = ("entry", "queue", "user", "address")
"""Parameters whose values may hold colons; ids hold none."""
FIXED = {"name": "processed", "day": "2026-11-24", "minute": 29_000_000}


def all_keys(keys: Keys, job_id: str, name: str) -> dict[str, str]:
    """What each method of the builder makes of an id or a name, by the call."""
    found = {}
    for method, function in BUILDERS:
        wanted = list(inspect.signature(function).parameters)[1:]
        given = [FIXED.get(word, name if word in WITH_COLONS else job_id) for word in wanted]
        key = getattr(keys, method)(*given)
        if isinstance(key, str):
            found[f"{method}{given}"] = key
    return found


@pytest.mark.security(16)
@given(first=st.tuples(ids, names), second=st.tuples(ids, names))
def test_different_things_have_different_keys(first: tuple[str, str], second: tuple[str, str]) -> None:
    keys = Keys("gqm:")
    named = all_keys(keys, *first) | all_keys(keys, *second)
    assert len(named) >= 25
    assert len(set(named.values())) == len(named), named


@pytest.mark.security(16)
@given(first=ids, second=ids)
def test_key_spaces_do_not_meet(first: str, second: str) -> None:
    one, other = Keys(f"{first}:"), Keys(f"{second}:")
    if first != second:
        assert one.job("x") != other.job("x")
        assert one.queues != other.queues


@pytest.mark.security(16)
def test_only_one_module_builds_key_names() -> None:
    """Nowhere else is text put behind a prefix."""
    for path in SOURCES:
        if path.name == "keys.py" or "gqm_tui" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr) and len(node.values) > 1:
                first, second = node.values[0], node.values[1]
                if isinstance(first, ast.FormattedValue) and ast.unparse(first.value).endswith("keys.prefix"):
                    assert not isinstance(second, ast.Constant), f"{path.relative_to(ROOT)}:{node.lineno}"


# -------------------------------------------------------------------------- scripts (line 17)


@pytest.mark.security(17)
def test_scripts_are_files_and_never_made_of_data() -> None:
    """Each text that is sent as a script is, to the letter, what the files hold."""
    lines = {
        line for path in (ROOT / "gqm/store/lua").rglob("*.lua") for line in path.read_text().splitlines()
    }
    assert len(script_names()) > 30
    for name in script_names():
        source = script(name).source
        assert set(source.splitlines()) <= lines, name
        assert not re.search(r"\b(load|loadstring|dofile|loadfile|setfenv)\s*\(", source), name
        assert not re.search(r"\bp?call_?\(\s*(ARGV|KEYS)\[\d+\]\s*[,)]", source), (
            f"{name} lets data name a command"
        )
    for path in SOURCES:
        for called, node in calls(ast.parse(path.read_text())):
            if called in ("register_script", "script_load", "eval", "evalsha") and not is_bare(node):
                raise AssertionError(f"{path}:{node.lineno}: {called} goes past the builders")
            if called == "script" and is_bare(node):
                literal = isinstance(node.args[0], ast.Constant | ast.Name)
                assert literal, f"{path}:{node.lineno}: a script's name is made of something"


# -------------------------------------------------------------------------- secrets (lines 5, 19)

FILE = """\
monitoring:
  auth:
    enabled: true
    users:
      - username: ana
        password_hash: ""
        role: admin
"""


def gqm_command(*words: str, stdin: str = "", cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gqm_cli", *words]
    options: dict[str, Any] = {"capture_output": True, "text": True, "timeout": 60, "check": False}
    return subprocess.run(command, input=stdin, cwd=cwd, **options)


@pytest.mark.security(5)
@pytest.mark.security(19)
def test_a_password_comes_from_stdin_and_is_stored_hashed_in_a_private_file(tmp_path: Path) -> None:
    file = tmp_path / "gqm.yaml"
    file.write_text(FILE)
    file.chmod(0o644)
    inode = file.stat().st_ino
    done = gqm_command("set-password", "ana", "--config", str(file), "--stdin", stdin="a long password\n")
    assert done.returncode == 0, done.stderr
    text = file.read_text()
    assert "a long password" not in text + done.stdout + done.stderr
    cost = re.search(r"\$2b\$(\d\d)\$", text)
    assert cost
    assert int(cost[1]) >= 12
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.stat().st_ino != inode, "a new file took the place of the old one at once"
    assert [item.name for item in tmp_path.iterdir()] == ["gqm.yaml"]


@pytest.mark.security(19)
@pytest.mark.parametrize("command", ["set-password", "hash-password", "add-api-key", "init"])
def test_no_command_takes_a_secret_as_an_argument(command: str, tmp_path: Path) -> None:
    done = gqm_command(command, "--help", cwd=tmp_path)
    assert done.returncode == 0
    options = set(re.findall(r"(?<![\w-])--[a-z-]+", done.stdout))
    assert not {item for item in options if re.search(r"password|secret|token|hash$|key$", item)}, options
    refused = gqm_command("set-password", "ana", "a long password", cwd=tmp_path)
    assert refused.returncode == 2


# ------------------------------------------------------------------------- versions (line 26)

UNBOUNDED = {"tzdata": "its versions are dates, and it holds data only"}


@pytest.mark.security(26)
def test_every_dependency_has_an_upper_bound() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    needed = [*project["dependencies"], *extras["embedded"], *extras["otel"], *extras["fast"]]
    assert len(needed) > 10
    for text in needed:
        name = re.split(r"[\[<>=!~;, ]", text)[0]
        assert re.search(r"<\s*\d|==\s*\d", text) or name in UNBOUNDED, text


# --------------------------------------------------------------- an unprotected Redis (line 1)

START = """
import asyncio, logging, gqm

async def start():
    server = gqm.Server("192.0.2.1:6379")
    server.handle("a", lambda job: None)
    try:
        await asyncio.wait_for(server.start(), 0.5)
    except (gqm.RedisUnavailable, TimeoutError):
        pass

logging.disable(logging.CRITICAL)
%s
for _ in range(2):
    asyncio.run(start())
"""


@pytest.mark.security(1)
@pytest.mark.parametrize(("said", "banners"), [("", 1), ("gqm.acknowledge_unprotected_redis()", 0)])
def test_a_redis_without_password_elsewhere_is_told_loudly_and_once(said: str, banners: int) -> None:
    command = [sys.executable, "-c", START % said]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr.count("Redis at 192.0.2.1:6379 has no password and is on another machine") == banners
