"""``gqm init``: a new configuration file, commented key by key and ready to run."""

from __future__ import annotations

import os
import shlex
import sys
from typing import Annotated

import typer

from gqm_cli.diagnostics import CommandFailed, WrongUse
from gqm_cli.options import DEFAULT_FILE, has_password
from gqm_cli.output import note, printable

_NEXT = """\
Next:
  1. Write a handler, such as this in jobs.py, and set app.handlers to ["jobs"]:
       import gqm

       @gqm.handler("hello")
       def hello(job: gqm.Job) -> None:
           print("hello", job.payload.get("name"))
  2. gqm run{file}
  3. gqm tui
For other machines: run "gqm set-password admin{file}", then change api.addr."""


def init(
    config: Annotated[
        str, typer.Option("--config", "-c", metavar="FILE", help="File to write (default: gqm.yaml).")
    ] = DEFAULT_FILE,
    redis: Annotated[
        str,
        typer.Option(
            "--redis",
            metavar="ADDR",
            help="host:port, unix:/path, a URL without a password, or embedded: a private server in ./.gqm "
            "(default: embedded).",
        ),
    ] = "embedded",
    stdout: Annotated[bool, typer.Option("--stdout", help="Print the file instead of writing it.")] = False,
) -> None:
    """Write a configuration file to begin with.

    Every key is in it once, in use or commented out, with its meaning, its unit and its default. An existing
    file is never overwritten.

    \f
    gqm init
    gqm init --redis localhost:6379
    gqm init --stdout > other.yaml
    """
    text = _template(redis)
    if stdout:
        sys.stdout.write(text)
        return
    _create(config, text)
    note(f"created {printable(config)}")
    note(_NEXT.format(file="" if config == DEFAULT_FILE else f" -c {printable(shlex.quote(config))}"))


def _template(redis: str) -> str:
    from gqm.config import Problem, parse_config, render_template
    from gqm.errors import ConfigError

    if has_password(redis):
        raise WrongUse(
            "--redis has a password in it, which would show in the process list; "
            'write url: "${REDIS_URL}" into the file instead'
        )
    text = render_template(redis)
    try:
        parse_config(text, env={})
    except ConfigError as exc:
        problem = next(item for item in exc.problems if isinstance(item, Problem))
        raise WrongUse(f'--redis "{redis}": {problem.text}') from None
    return text


def _create(path: str, text: str) -> None:
    try:
        # Secrets will go into it: nobody else may read it, from the first byte on.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise CommandFailed(
            f"{path} exists already and is not overwritten; choose another name with --config"
        ) from None
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        os.unlink(path)
        raise
