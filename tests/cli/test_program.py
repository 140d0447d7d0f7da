"""The program as a whole: help, version, wrong use, streams, colour, start time."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gqm_cli import main
from tests.cli.helpers import GQM, Gqm

GROUPS = [entry.name for entry in main.Gqm.entries if entry.members]
MEMBERS = [f"{entry.name} {item.name}" for entry in main.Gqm.entries for item in entry.members]
COMMANDS = [*(entry.name for entry in main.Gqm.entries), *MEMBERS]
SHOWN = [entry.name for entry in main.Gqm.entries if not entry.hidden]
HEAVY = {"textual", "bcrypt", "httpx", "redis", "rich", "yaml", "pydantic", "asyncio"}


def test_without_a_command_the_overview_is_shown(gqm: Gqm) -> None:
    done = gqm()
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("Usage: gqm [OPTIONS] COMMAND ...\n")
    for name in SHOWN:
        assert f"\n  {name} " in done.out


@pytest.mark.fault(13)
@pytest.mark.parametrize("option", ["-h", "--help"])
@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_is_on_stdout_with_exit_0(gqm: Gqm, command: str, option: str) -> None:
    done = gqm(*command.split(), option)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"Usage: gqm {command}".rstrip())
    assert "-h, --help" in done.out


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_80_columns_and_explains_every_option(gqm: Gqm, command: str) -> None:
    lines = gqm(*command.split(), "--help").out.splitlines()
    assert max(map(len, lines)) <= 80
    for index, line in enumerate(lines):
        if re.match(r"  -", line) and not re.match(r"  -.*\S {2,}\S", line):
            assert lines[index + 1].startswith(" " * 10), line


@pytest.mark.fault(13)
@pytest.mark.parametrize(
    "args", [["version"], ["--version"], *([*name.split(), "--version"] for name in COMMANDS)]
)
def test_version_is_one_plain_line(gqm: Gqm, args: list[str]) -> None:
    done = gqm(*args)
    assert (done.code, done.out, done.err) == (0, "gqm 1.0.0\n", "")


def test_version_for_programs(gqm: Gqm) -> None:
    done = gqm("version", "--json")
    assert done.code == 0
    assert json.loads(done.out) == {
        "gqm": "1.0.0",
        "python": platform.python_version(),
        "textual": importlib.metadata.version("textual"),
        "redis_py": importlib.metadata.version("redis"),
        "platform": platform.platform(),
    }
    assert done.out.count("\n") == 1


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["rnu"], 'unknown command "rnu"; did you mean "run"?'),
        (["zzz"], 'unknown command "zzz"; "gqm --help" lists the commands'),
        (["\x1b[31m"], 'unknown command "\\x1b[31m"; "gqm --help" lists the commands'),
        (["version", "--jsn"], 'unknown option --jsn; did you mean "--json"?'),
        (["--hlep"], 'unknown option --hlep; did you mean "--help"?'),
        (["version", "--zzzzz"], 'unknown option --zzzzz; see "gqm version --help"'),
        (["version", "one", "two"], 'unexpected argument one two; see "gqm version --help"'),
        (["check", "a", "b"], 'unexpected argument b; see "gqm check --help"'),
        (["check", "a", "-c", "b"], "CONFIG is a and --config is b; give one of them"),
        (["run", "a", "-c", "b"], "CONFIG is a and --config is b; give one of them"),
        (["run", "--log-format"], "option '--log-format' requires an argument"),
    ],
)
@pytest.mark.fault(18)
def test_wrong_use_is_one_line_and_exit_2(gqm: Gqm, args: list[str], text: str) -> None:
    done = gqm(*args)
    assert (done.code, done.out, done.err) == (2, "", f"gqm: error: {text}\n")


def test_wrong_use_names_the_option_and_what_is_allowed(gqm: Gqm) -> None:
    done = gqm("run", "--log-level", "loud")
    assert (done.code, done.out) == (2, "")
    assert "--log-level" in done.err
    assert "debug" in done.err
    assert done.err.count("\n") == 1


@pytest.mark.fault(15)
def test_each_kind_of_failure_has_its_exit_code(gqm: Gqm) -> None:
    gqm.write("gqm.yaml", "redis:\n  addr: localhost:1\n")
    gqm.write("bad.yaml", "app:\n  processes: many\n")
    codes = [
        gqm("version").code,
        gqm("init").code,
        gqm("version", "x").code,
        gqm("check", "bad.yaml").code,
        gqm("enqueue", "mail").code,
    ]
    assert codes == [0, 1, 2, 3, 4]


@pytest.mark.fault(14)
def test_the_commands_exist() -> None:
    assert {"init", "check", "run", "enqueue", "tui", "version", *GROUPS} <= set(COMMANDS)
    assert {"queue", "job", "cron", "dashboard"} <= set(GROUPS)


def test_an_error_for_programs_is_a_document_besides_the_line(gqm: Gqm) -> None:
    done = gqm("enqueue", "mail", "--json", "--payload", "{")
    assert done.code == 2
    document = json.loads(done.out)
    assert document["code"] == "USAGE"
    assert done.err == f"gqm: error: {document['error']}\n"


def test_a_json_document_is_safe_on_a_terminal(gqm: Gqm) -> None:
    done = gqm("enqueue", "mail", "--json", "--payload", "@\x9b31mé\u202e.json")
    assert done.out.isascii() is False
    assert json.loads(done.out)["error"].startswith("--payload @\\x9b31mé\\u202e")
    assert "\x9b" not in done.out


@pytest.mark.parametrize("args", [["--help"], ["version"], ["init", "--stdout"], ["run", "--help"]])
def test_a_closed_stdout_ends_quietly(gqm: Gqm, args: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as out:
        done = subprocess.run(
            [*GQM, *args],
            cwd=gqm.folder,
            env=gqm.env,
            stdout=out,
            stderr=subprocess.PIPE,
            timeout=30,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("args", "closed", "code", "out", "err"),
    [
        ("version", ">&-", 0, "", ""),
        ("list-users", ">&-", 0, "", ""),
        ("version", "2>&-", 0, "gqm 1.0.0\n", ""),
        ("nope", "2>&-", 2, "", ""),
        ("set-password ana", "<&-", 2, "", "there is no terminal to ask on; give the password with --stdin"),
        ("set-password ana --stdin", "<&-", 1, "", "the password is too short: at least 8 characters"),
        ("version", "> /dev/full", 1, "", "no space left on device"),
    ],
)
def test_streams_that_are_closed_or_full(
    gqm: Gqm, args: str, closed: str, code: int, out: str, err: str
) -> None:
    gqm.write("gqm.yaml", "")
    done = subprocess.run(
        ["bash", "-c", f"{' '.join(GQM)} {args} {closed}"],
        cwd=gqm.folder,
        env=gqm.env,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (code, out)
    assert done.stderr == (f"gqm: error: {err}\n" if err else "")


def test_a_narrow_encoding_does_not_end_in_a_traceback(gqm: Gqm) -> None:
    gqm.write("é€.yaml", "app:\n  log_level: lüd\n")
    done = gqm.process("check", "é€.yaml", PYTHONIOENCODING="ascii", LC_ALL="C.UTF-8")
    assert done.code == 3
    assert "l\\xfcd" in done.out


@pytest.mark.parametrize(
    ("env", "coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_colour_is_for_terminals_that_want_it(gqm: Gqm, env: dict[str, str], coloured: bool) -> None:
    done = gqm.terminal("--help", **env)
    assert ("\x1b[1mUsage:\x1b[0m" in done.out) is coloured
    assert ("\x1b[" in done.out) is coloured
    wrong = gqm.terminal("nope", **env)
    assert wrong.code == 2
    assert ("\x1b[31merror:\x1b[0m" in wrong.err) is coloured


def test_there_is_never_colour_in_a_pipe(gqm: Gqm) -> None:
    for args in ([], ["run", "--help"], ["nope"]):
        done = gqm.process(*args, FORCE_COLOR="1")
        assert "\x1b" not in done.out + done.err


def test_an_unexpected_error_is_one_line_with_a_way_to_the_traceback(gqm: Gqm) -> None:
    gqm.write("handlers.py", "")
    program = (
        "import gqm_cli.version as v, gqm_cli.main as m\n"
        "def broken(json: bool = False) -> None:\n    raise ValueError('two\\nlines')\n"
        "v.version = broken\nm.run()\n"
    )

    def run(*args: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", program, *args]
        return subprocess.run(command, env=gqm.env, capture_output=True, text=True, timeout=30, check=False)

    plain = run("version")
    assert plain.returncode == 1
    assert plain.stderr == (
        "gqm: error: unexpected ValueError: two\\x0alines; --debug shows where it comes from\n"
    )
    for args in (["version", "--debug"], ["--debug", "version"]):
        told = run(*args)
        assert told.returncode == 1
        assert "Traceback (most recent call last):" in told.stderr
        assert told.stderr.endswith(plain.stderr)


def loaded(*args: str) -> set[str]:
    """Names of the modules that a command loads."""
    program = (
        "import sys, json, io, contextlib\nfrom gqm_cli.main import app\n"
        f"try:\n    with contextlib.redirect_stdout(io.StringIO()):\n        app({list(args)!r})\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        "print(json.dumps([*sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True
    )
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("args", [["version"], ["--help"], *([*name.split(), "--help"] for name in COMMANDS)])
def test_what_a_command_does_not_need_is_not_loaded(args: list[str]) -> None:
    assert HEAVY & loaded(*args) == set()


@pytest.mark.parametrize("args", [["check"], ["list-users"], ["init", "--stdout"], ["generate-api-key"]])
def test_commands_on_files_load_no_client_and_no_interface(
    args: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gqm.yaml").write_text("")
    assert {"textual", "bcrypt", "httpx", "redis", "rich", "asyncio"} & loaded(*args) == set()


@pytest.mark.parametrize(("args", "limit_s"), [(["version"], 0.150), (["--help"], 0.250)])
def test_the_start_is_quick(gqm: Gqm, args: list[str], limit_s: float) -> None:
    taken = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert gqm.process(*args).code == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    # Computing time, and the best of five: other programs may keep the machine busy.
    assert min(taken) < limit_s


def complete(gqm: Gqm, line: str) -> list[str]:
    """What a shell offers behind a command line."""
    words = str(len(line.split(" ")) - 1)
    done = gqm.process(COMP_WORDS=line, COMP_CWORD=words, _GQM_COMPLETE="complete_bash")
    assert (done.code, done.err) == (0, "")
    return done.out.split()


def test_completion_knows_commands_options_and_words_of_the_file(gqm: Gqm) -> None:
    gqm.write(
        "gqm.yaml",
        "queues: [{name: critical}]\n"
        "pools: [{name: p, job_types: [mail.send, mail.bulk], queues: [critical]}]\n",
    )
    assert complete(gqm, "gqm en") == ["enqueue"]
    assert "--payload" in complete(gqm, "gqm enqueue --pa")
    assert complete(gqm, "gqm enqueue mail") == ["mail.bulk", "mail.send"]
    assert complete(gqm, "gqm enqueue x --queue ") == ["critical", "default"]
    gqm.write("gqm.yaml", "[broken")
    assert complete(gqm, "gqm enqueue x --queue ") == []


def test_completion_knows_groups_states_and_cron_entries(gqm: Gqm) -> None:
    gqm.write(
        "gqm.yaml",
        "queues: [{name: critical}]\n"
        "scheduler: {cron_entries: [{id: tidy, cron_expr: '@daily', job_type: t}]}\n",
    )
    assert complete(gqm, "gqm queue p") == ["pause"]
    assert complete(gqm, "gqm queue pause ") == ["critical", "default"]
    assert complete(gqm, "gqm job list --status dea") == ["dead_letter"]
    assert complete(gqm, "gqm cron trigger ") == ["tidy"]
    assert complete(gqm, "gqm dashboard ") == ["export"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(gqm: Gqm, shell: str) -> None:
    done = gqm.process(_GQM_COMPLETE=f"source_{shell}")
    assert (done.code, done.err) == (0, "")
    assert "_GQM_COMPLETE" in done.out
    script = gqm.write("script", done.out)
    if shutil.which(shell):
        checked = subprocess.run([shell, "-n", str(script)], capture_output=True, timeout=30, check=False)
        assert (checked.returncode, checked.stderr) == (0, b"")


def test_show_completion_prints_the_script_of_the_shell(gqm: Gqm) -> None:
    command = f'"{sys.executable}" -m gqm_cli --show-completion; true'
    done = subprocess.run(
        ["bash", "-c", command], env=gqm.env, capture_output=True, text=True, timeout=30, check=False
    )
    assert "complete -o default -F _gqm_completion gqm" in done.stdout
    assert done.stderr == ""
