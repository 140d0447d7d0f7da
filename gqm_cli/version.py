"""``gqm version``: which GQM this is, and for programs also what it stands on."""

from __future__ import annotations

from gqm import __version__
from gqm_cli.options import Json
from gqm_cli.output import say, say_json


def version(json: Json = False) -> None:
    """Show the version of GQM.

    With --json also the versions of Python and of the libraries that matter for a bug report.
    """
    if json:
        say_json(_facts())
    else:
        say(f"gqm {__version__}")


def _facts() -> dict[str, str]:
    import platform
    from importlib import metadata

    return {
        "gqm": __version__,
        "python": platform.python_version(),
        "textual": metadata.version("textual"),
        "redis_py": metadata.version("redis"),
        "platform": platform.platform(),
    }
