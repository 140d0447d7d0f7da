"""The program and its commands as Typer sees them: loaded when used, all with the same help and errors."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup

from gqm_cli.completion import VARIABLE, prepare
from gqm_cli.diagnostics import Session, WrongUse, guard
from gqm_cli.output import BOLD, printable, say, styled

if TYPE_CHECKING:
    # Typer has no public names for these; at run time only their public methods are used.
    from typer._click import Command as AnyCommand
    from typer._click import Context, HelpFormatter, Parameter

_SHARED = ("debug", "version", "help_")
_FIRST_COLUMN = 26


@dataclass(frozen=True, slots=True)
class Entry:
    """One command of the overview: where its function lives, and what is said about it without loading it."""

    name: str
    place: str
    """``module:function`` below this package; empty for a group."""
    section: str
    summary: str
    hidden: bool = False
    secret: bool = False
    """Its arguments may hold a secret that somebody put there by mistake: none is repeated in a message."""
    members: tuple[Entry, ...] = ()
    """The commands of a group."""


class Command(TyperCommand):
    """A command: takes the shared options too, refuses extra arguments, shows help in one layout."""

    secret = False

    def get_params(self, ctx: Context) -> list[Parameter]:
        """Return the parameters: its own, then the shared options of the program."""
        return [*super().get_params(ctx), *_shared(ctx)]

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Read the arguments; what is left over is refused."""
        ctx.allow_extra_args = True
        ctx.ignore_unknown_options = self.secret
        given = list(args)
        super().parse_args(ctx, args)
        if ctx.resilient_parsing:
            return ctx.args
        if self.secret and "--" not in given:
            self._check_taken(ctx)
        if ctx.args:
            raise WrongUse(self._surplus(ctx))
        return ctx.args

    def _check_taken(self, ctx: Context) -> None:
        """Refuse an unknown option that was taken for an argument."""
        values = [ctx.params.get(param.name or "") for param in self.params if _is_argument(param)]
        taken = [value for value in values if isinstance(value, str) and value.startswith("-")]
        if taken:
            near = self._near(ctx, taken)
            raise WrongUse(near or f'unknown option; see "{ctx.command_path} --help"')

    def _near(self, ctx: Context, words: Sequence[str]) -> str:
        options = [name for param in self.get_params(ctx) for name in param.opts]
        near = [option for word in words for option in get_close_matches(word, options, n=1)]
        return f'unknown option; did you mean "{near[0]}"?' if near else ""

    def _surplus(self, ctx: Context) -> str:
        if not self.secret:
            extra = " ".join(printable(arg) for arg in ctx.args)
            return f'unexpected argument {extra}; see "{ctx.command_path} --help"'
        near = self._near(ctx, ctx.args)
        if near:
            return near
        takes = "one argument" if any(_is_argument(param) for param in self.params) else "no argument"
        return f"{ctx.info_name} takes {takes}: it would show in the process list; use the prompt or --stdin"

    def format_help(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Write usage, description, arguments, options and examples."""
        write_help(self, ctx, formatter)


class Group(TyperGroup):
    """Several commands under one name. A command's module is imported when it is used, not before."""

    entries: tuple[Entry, ...] = ()

    def get_params(self, ctx: Context) -> list[Parameter]:
        """Return the parameters: its own, then the shared options of the program."""
        own = super().get_params(ctx)
        return own if ctx.parent is None else [*own, *_shared(ctx)]

    def list_commands(self, ctx: Context) -> list[str]:
        """Return the names of all commands, in the order of the overview."""
        return [entry.name for entry in self.entries]

    def get_command(self, ctx: Context, cmd_name: str) -> AnyCommand | None:
        """Load a command; ``None`` if there is none of that name."""
        entry = next((entry for entry in self.entries if entry.name == cmd_name), None)
        return None if entry is None else load(entry)

    def resolve_command(
        self, ctx: Context, args: list[str]
    ) -> tuple[str | None, AnyCommand | None, list[str]]:
        """Find the command that the arguments name. Raises `WrongUse` with the nearest name."""
        name, *rest = args
        command = self.get_command(ctx, name)
        if command is None and not ctx.resilient_parsing:
            near = get_close_matches(name, [entry.name for entry in self.entries if not entry.hidden], n=1)
            advice = (
                f'did you mean "{near[0]}"?' if near else f'"{ctx.command_path} --help" lists the commands'
            )
            raise WrongUse(f'unknown command "{printable(name)}"; {advice}')
        return name if command else None, command, rest

    def format_help(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Write the overview: what each command is for, without loading any."""
        write_help(self, ctx, formatter)

    def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Write the commands, section by section."""
        shown = [entry for entry in self.entries if not entry.hidden]
        width = max(len(entry.name) for entry in shown)
        for section in dict.fromkeys(entry.section for entry in shown):
            rows = [(entry.name.ljust(width), entry.summary) for entry in shown if entry.section == section]
            _write_rows(formatter, section, rows)


class Program(Group):
    """``gqm`` itself."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command line and leave the process with its exit code."""
        words = list(sys.argv[1:] if args is None else args)
        session = Session(json="--json" in words)
        if VARIABLE in os.environ:
            prepare()
            self._main_shell_completion(extra, "gqm", complete_var)

        def work() -> None:
            with self.make_context("gqm", words, obj=session) as ctx:
                self.invoke(ctx)

        sys.exit(guard(session, work))


def load(entry: Entry) -> AnyCommand:
    """Import the function of a command and make the command of it; a group loads its commands when used."""
    if entry.members:
        return _load_group(entry)
    module, _, function = entry.place.partition(":")
    callback: Callable[..., object] = getattr(import_module(f"gqm_cli.{module}"), function)
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(
        entry.name,
        cls=Command,
        hidden=entry.hidden,
        short_help=entry.summary,
        add_help_option=False,
    )(callback)
    command = typer.main.get_command(app)
    assert isinstance(command, Command)
    command.secret = entry.secret
    return command


def _load_group(entry: Entry) -> Group:
    app = typer.Typer(name=entry.name, add_completion=False, rich_markup_mode=None)

    def overview(ctx: typer.Context) -> None:
        if ctx.invoked_subcommand is None:
            say(ctx.get_help())

    app.callback(
        cls=Group,
        invoke_without_command=True,
        help=f"{entry.summary}.",
        short_help=entry.summary,
        add_help_option=False,
    )(overview)
    group = typer.main.get_command(app)
    assert isinstance(group, Group)
    group.entries = entry.members
    return group


# ------------------------------------------------------------------------------------------ help


def _shared(ctx: Context) -> list[Parameter]:
    """Return the options that every command takes."""
    return [param for param in ctx.find_root().command.params if param.name in _SHARED]


def write_help(command: Command | Group, ctx: Context, formatter: HelpFormatter) -> None:
    """Write the help of a command: wrapped to 80 columns, headings bold on a terminal."""
    params = [param for param in command.get_params(ctx) if not getattr(param, "hidden", False)]
    arguments = [param for param in params if _is_argument(param)]
    shared = [param for param in params if param.name in _SHARED]
    own = [param for param in params if param not in arguments and param not in shared]
    names = [_name(param) for param in arguments]
    end = ["COMMAND ..."] if isinstance(command, Group) else []
    formatter.write(f"{_heading('Usage')} {' '.join((ctx.command_path, '[OPTIONS]', *names, *end))}\n")
    text, _, examples = (command.help or "").partition("\f")
    formatter.write_paragraph()
    formatter.write_text(text.strip())
    _write_rows(formatter, "Arguments", [_row(param) for param in arguments])
    if isinstance(command, Group):
        command.format_commands(ctx, formatter)
    if ctx.parent is None:
        own, shared = [*own, *shared], []
    _write_rows(formatter, "Options", [_row(param) for param in own])
    _write_rows(formatter, "For every command", [_row(param) for param in shared])
    if examples.strip():
        formatter.write(f"\n{_heading('Examples')}\n")
        formatter.write("".join(f"  {line.strip()}\n" for line in examples.strip().splitlines()))


def _is_argument(param: Parameter) -> bool:
    return param.param_type_name == "argument"


def _row(param: Parameter) -> tuple[str, str]:
    return _name(param), getattr(param, "help", "") or ""


def _name(param: Parameter) -> str:
    """Return how a parameter is written: ``-c, --config FILE``, ``--api / --no-api``, ``USER``."""
    metavar = getattr(param, "metavar", None)
    if _is_argument(param):
        return metavar or param.name or ""
    names = ", ".join(sorted(param.opts, key=len))
    if param.secondary_opts:
        names += f" / {', '.join(param.secondary_opts)}"
    return f"{names} {metavar}" if metavar else names


def _heading(text: str) -> str:
    return styled(f"{text}:", BOLD, sys.stdout)


def _write_rows(formatter: HelpFormatter, title: str, rows: Sequence[tuple[str, str]]) -> None:
    if rows:
        formatter.write(f"\n{_heading(title)}\n")
        formatter.indent()
        formatter.write_dl(rows, col_max=_FIRST_COLUMN)
        formatter.dedent()
