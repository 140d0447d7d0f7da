"""What went wrong, for people and programs: here, and only here, exceptions become exit codes and lines."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from gqm_cli.output import RED, has_colour, json_line, note, printable, styled

DONE, FAILED, USAGE, CONFIG, CONNECTION = 0, 1, 2, 3, 4
"""Exit codes: done; failed, refused or declined; wrong use; bad configuration; Redis or API out of reach."""

if TYPE_CHECKING:
    from gqm.errors import ConfigError, StartFailed

_MARK = "gqm: error: "


class CommandFailed(Exception):
    """A command cannot do what it was asked to; the text is one line: what, which, what next.

    ``code`` is a word for programs, ``status`` the exit code.
    """

    def __init__(self, text: str, *, status: int = FAILED, code: str = "FAILED") -> None:
        super().__init__(text)
        self.status = status
        self.code = code


class WrongUse(CommandFailed):
    """The command line does not say what is needed, or says what does not go together."""

    def __init__(self, text: str) -> None:
        super().__init__(text, status=USAGE, code="USAGE")


class SettingsBroken(CommandFailed):
    """A file of settings that is not ``gqm.yaml`` cannot be used; ``lines`` has one for each problem."""

    def __init__(self, lines: tuple[str, ...]) -> None:
        super().__init__("; ".join(lines), status=CONFIG, code="CONFIG_INVALID")
        self.lines = lines


@dataclass(slots=True)
class Session:
    """What one call of ``gqm`` was asked for apart from its command."""

    debug: bool = False
    json: bool = False


@dataclass(frozen=True, slots=True)
class Explanation:
    """A failure as it is told: exit code, a word for programs, and a line for each problem."""

    status: int
    code: str
    lines: tuple[str, ...]


def guard(session: Session, work: Callable[[], object]) -> int:
    """Do the work of a command and return its exit code; whatever goes wrong is told here."""
    try:
        work()
        sys.stdout.flush()
    except typer.Exit as exc:
        return _flushed(exc.exit_code)
    except BrokenPipeError:
        _drop_stdout()
        return DONE
    except (KeyboardInterrupt, EOFError, typer.Abort):
        return _tell(session, Explanation(FAILED, "INTERRUPTED", (f"{_MARK}interrupted",)))
    except Exception as exc:  # noqa: BLE001 - the last resort: every failure becomes a line and a code
        if session.debug:
            _show_traceback(exc)
        return _tell(session, explain(exc))
    return DONE


def _flushed(status: int) -> int:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_stdout()
    return status


def _drop_stdout() -> None:
    """Make the interpreter's last flush go nowhere: whoever read our output has gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _show_traceback(exc: BaseException) -> None:
    import traceback

    for line in "".join(traceback.format_exception(exc)).splitlines():
        note(printable(line))


def _tell(session: Session, found: Explanation) -> int:
    if session.json:
        text = "\n".join(line.removeprefix(_MARK) for line in found.lines)
        sys.stdout.write(f"{json_line({'error': text, 'code': found.code})}\n")
    for line in found.lines:
        note(_coloured(line) if has_colour(sys.stderr) else line)
    return _flushed(found.status)


def _coloured(line: str) -> str:
    return line.replace(_MARK, f"gqm: {styled('error:', RED, sys.stderr)} ", 1)


# ------------------------------------------------------------------------------- what it means


def explain(exc: Exception) -> Explanation:
    """Return how a failure is told."""
    from gqm.errors import ConfigError, StartFailed

    if isinstance(exc, SettingsBroken):
        return Explanation(exc.status, exc.code, tuple(printable(line) for line in exc.lines))
    if isinstance(exc, CommandFailed):
        return _one_line(exc.status, exc.code, str(exc))
    if isinstance(exc, StartFailed):
        exc = _of_child(exc)
    if isinstance(exc, ConfigError):
        return _of_config(exc)
    if is_wrong_use(exc):
        return _one_line(USAGE, "USAGE", _usage_text(exc))
    for kind, status, code in _known():
        if isinstance(exc, kind):
            return _one_line(status, code, f"{_text(exc)}{_advice(exc)}")
    text = f"unexpected {type(exc).__name__}: {exc}; --debug shows where it comes from"
    return _one_line(FAILED, "INTERNAL", text)


def _of_child(exc: StartFailed) -> Exception:
    """Return the error that an engine process met, as if it had happened here."""
    from gqm import errors

    kind = getattr(errors, exc.error, None)
    return kind(str(exc)) if isinstance(kind, type) and issubclass(kind, Exception) else exc


def _one_line(status: int, code: str, text: str) -> Explanation:
    return Explanation(status, code, (_MARK + printable(text),))


def _known() -> Iterable[tuple[type[Exception], int, str]]:
    """Return exit code and word of each error of GQM; of several that fit, the first."""
    from gqm import errors

    return (
        (errors.RedisUnavailable, CONNECTION, "REDIS_UNAVAILABLE"),
        (errors.RedisSetupError, CONNECTION, "REDIS_SETUP"),
        (errors.DuplicateJobID, FAILED, "DUPLICATE_JOB_ID"),
        (errors.DependencyNotFound, FAILED, "DEPENDENCY_NOT_FOUND"),
        (errors.CyclicDependency, FAILED, "CYCLIC_DEPENDENCY"),
        (errors.JobNotFound, FAILED, "NOT_FOUND"),
        (errors.QueueNotFound, FAILED, "NOT_FOUND"),
        (errors.CronEntryNotFound, FAILED, "NOT_FOUND"),
        (errors.JobStateError, FAILED, "CONFLICT"),
        (errors.PayloadTooLarge, USAGE, "PAYLOAD_TOO_LARGE"),
        (errors.InvalidJob, USAGE, "USAGE"),
        (errors.InvalidQuery, USAGE, "USAGE"),
        (errors.GQMError, FAILED, "FAILED"),
        (OSError, FAILED, "SYSTEM"),
    )


def _advice(exc: Exception) -> str:
    from gqm.errors import RedisUnavailable

    return '; is it running? see "gqm doctor"' if isinstance(exc, RedisUnavailable) else ""


def _of_config(exc: ConfigError) -> Explanation:
    from gqm.config import check_report
    from gqm.errors import ConfigIncomplete

    code = "CONFIG_INCOMPLETE" if isinstance(exc, ConfigIncomplete) else "CONFIG_INVALID"
    *lines, counts = check_report(exc).lines
    if not lines:
        return _one_line(CONFIG, code, str(exc))
    if len(exc.problems) > len(lines):
        lines.append(counts)
    return Explanation(CONFIG, code, tuple(lines))


def _text(exc: Exception) -> str:
    from gqm.errors import GQMError

    if isinstance(exc, GQMError) or not isinstance(exc, OSError):
        return str(exc)
    reason = (exc.strerror or str(exc)).lower()
    return f"{exc.filename}: {reason}" if exc.filename else reason


# ------------------------------------------------------------- errors of the command line parser


def is_wrong_use(exc: Exception) -> bool:
    """Whether an error is the parser's refusal of a command line."""
    # The parser's classes have no public place of their own; this one stands below their common base.
    return isinstance(exc, typer.BadParameter.__mro__[1])


def _usage_text(exc: Exception) -> str:
    option = getattr(exc, "option_name", None)
    if option is not None and hasattr(exc, "possibilities"):
        near = next(iter(exc.possibilities or ()), None)
        return (
            f'unknown option {option}; did you mean "{near}"?'
            if near
            else f"unknown option {option}{_see_help(exc)}"
        )
    text = " ".join(getattr(exc, "format_message", exc.__str__)().split()).rstrip(".")
    return f"{text[:1].lower()}{text[1:]}{_see_help(exc)}"


def _see_help(exc: Exception) -> str:
    context = getattr(exc, "ctx", None)
    return f'; see "{context.command_path} --help"' if context is not None else ""
