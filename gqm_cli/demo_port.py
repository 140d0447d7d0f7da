"""Which port a demo listens on, so that two demos that start at once do not choose the same."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from gqm_cli.diagnostics import CommandFailed

HOST = "127.0.0.1"
FIRST_PORT, LAST_PORT = 8080, 8179


@contextmanager
def reserved_port(wanted: int | None) -> Iterator[int]:
    """Choose the port ``wanted``, or the first free one, and keep other demos from choosing it meanwhile.

    Raises `CommandFailed` if it, or each of the usual ones, is in use.
    """
    with ExitStack() as stack:
        for port in (wanted,) if wanted is not None else range(FIRST_PORT, LAST_PORT + 1):
            try:
                stack.enter_context(_reserve(port))
                _try_listening(port)
            except OSError as exc:
                stack.close()
                if wanted is not None:
                    text = f"port {port} cannot be used: {os.strerror(exc.errno or 0).lower()}"
                    raise CommandFailed(f"{text}; choose another with --port") from None
            else:
                yield port
                return
    raise CommandFailed(f"ports {FIRST_PORT} to {LAST_PORT} are all in use; choose another with --port")


def _reserve(port: int) -> socket.socket:
    """Return a socket that no other demo can have. Raises ``OSError`` if one has it.

    The port itself is taken later, by the process that serves. Linux has names for sockets that vanish with
    their process; elsewhere nothing is reserved, and one of two demos that start in the same moment fails.
    """
    reservation = socket.socket(socket.AF_UNIX)
    try:
        if sys.platform == "linux":
            reservation.bind(f"\0gqm-demo-{port}")
    except OSError:
        reservation.close()
        raise
    return reservation


def _try_listening(port: int) -> None:
    with socket.socket() as attempt:
        # As a server does: connections that an earlier one closed a moment ago do not count.
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        attempt.bind((HOST, port))
