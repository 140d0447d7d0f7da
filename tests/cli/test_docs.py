"""Every command line that the documentation shows: it works, and prints what stands below it."""

from __future__ import annotations

import re
import shlex
import signal
from pathlib import Path

import pytest
import typer

from gqm_cli.diagnostics import Session, WrongUse
from gqm_cli.main import app
from gqm_cli.program import Group
from gqm_cli.reference import helps, with_reference
from tests.cli.helpers import Gqm, free_port
from tests.cli.session import commands_of, play

ROOT = Path(__file__).parent.parent.parent
REFERENCE = ROOT / "docs/cli.md"
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted(ROOT.glob("examples/*/README.md")),
]

_BLOCK = re.compile(r"^```(?:(console)|\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`(gqm [a-z][^`]*)`")
_LINE = re.compile(r"^(?:\$ |.*\$\(|.*\| |until |[\w.]+/bin/)*(gqm [a-z-].*)$")
_END = re.compile(r"(?: +#|\)$|\)\"?;?|[|;&<>\[]| \\$).*$")
_ELSEWHERE = ("gqm tui", "gqm demo")
"""What has tests of its own, on a terminal of its own."""


def shown(text: str) -> list[str]:
    """The command lines of a page, in sentences and blocks but for sessions, without the shell's part."""
    blocks = [line for session, block in _BLOCK.findall(text) if not session for line in block.splitlines()]
    lines = [found[1] for line in blocks if (found := _LINE.match(line.strip()))]
    lines += [" ".join(span.split()) for span in _SPAN.findall(_BLOCK.sub("", text))]
    return [_END.sub("", line).strip() for line in lines]


def parse(line: str) -> None:
    """Read a command line as the program does, without doing anything. Raises what it refuses."""
    words = shlex.split(line)[1:]
    command = typer.main.get_command(app)
    context = command.make_context("gqm", words, obj=Session())
    while isinstance(command, Group):
        words = [*context._protected_args, *context.args]
        if not words:
            return
        name, found, rest = command.resolve_command(context, words)
        assert name is not None
        assert found is not None
        command, context = found, found.make_context(name, rest, parent=context)


def test_lines_are_found_and_wrong_ones_are_refused() -> None:
    block = "$ gqm run && x\nA=$(gqm add-api-key a)\n.venv/bin/gqm check # y\n"
    text = f"so `gqm init` and\n```sh\n{block}```\n"
    assert shown(text) == ["gqm run", "gqm add-api-key a", "gqm check", "gqm init"]
    with pytest.raises(WrongUse):
        parse("gqm chek")
    with pytest.raises(WrongUse):
        parse("gqm queue pause a b")


@pytest.mark.fault(17)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_line_of_the_pages_is_one(page: Path) -> None:
    for line in shown(page.read_text("utf-8")):
        try:
            parse(line)
        except Exception as exc:
            raise AssertionError(f"{page.name}: {line}: {exc}") from exc


def test_the_reference_is_what_the_commands_say() -> None:
    document = REFERENCE.read_text("utf-8")
    assert with_reference(document) == document, "python -m gqm_cli.reference docs/cli.md writes it"


def test_the_reference_is_what_the_help_shows(gqm: Gqm) -> None:
    found = dict(helps())
    for path in ("gqm", "gqm enqueue", "gqm job retry"):
        assert gqm.process(*path.split()[1:], "--help").out.rstrip() == found[path].rstrip()


@pytest.mark.fault(17)
def test_the_sessions_print_what_stands_there() -> None:
    document = REFERENCE.read_text("utf-8")
    printed = play(document)
    assert printed.splitlines() == document.splitlines(), "python -m tests.cli.session docs/cli.md writes it"


def test_the_sessions_show_every_command_that_ends_by_itself() -> None:
    typed = " ; ".join(commands_of(REFERENCE.read_text("utf-8")))
    paths = [path for path, text in helps() if "COMMAND ..." not in text.partition("\n")[0]]
    assert [
        path for path in paths if f"{path} " not in typed and path not in (*_ELSEWHERE, "gqm doctor")
    ] == []


def run_lines(gqm: Gqm, page: str) -> int:
    """Run the command lines of a page's blocks in one folder and in their order; returns how many.

    A server is started and stopped, on a port that is free.
    """
    count = 0
    for _, block in _BLOCK.findall(page):
        for line in shown(f"```\n{block}```\n"):
            if line.startswith(_ELSEWHERE) or re.search(rf"{re.escape(line)} *[<\[]", block):
                continue  # a placeholder stands for what a reader puts there
            count += 1
            if not line.startswith("gqm run"):
                done = gqm.terminal(*shlex.split(line)[1:], answers=["correct horse", "correct horse"])
                assert done.code == 0, (line, done)
                continue
            for path in gqm.folder.glob("*.yaml"):
                path.write_text(path.read_text().replace("127.0.0.1:8080", f"127.0.0.1:{free_port()}"))
            server = gqm.start(*shlex.split(line)[1:])
            server.says("api  ")
            server.signal(signal.SIGTERM)
            assert server.ends() == 0, server.err
    return count


def test_the_lines_of_a_page_are_run(gqm: Gqm) -> None:
    lines = (
        "gqm init",
        "gqm set-password ana",
        "$ KEY=$(gqm add-api-key x)",
        "gqm run",
        "gqm queue list --json",
    )
    block = "\n".join((*lines, "gqm revoke-api-key <name>", "gqm tui"))
    assert run_lines(gqm, f"text\n```sh\n{block}\n```\n") == len(lines)
    assert gqm("list-users").out.splitlines()[1:] == ["ana   admin  set"]
    with pytest.raises(AssertionError):
        run_lines(gqm, "```sh\ngqm job show nope\n```\n")


@pytest.mark.fault(17)
def test_the_command_lines_of_the_readme_work(gqm: Gqm) -> None:
    run_lines(gqm, (ROOT / "README.md").read_text("utf-8"))
